"""Pretrain one model of the study and write it to a file that the other commands take.

    python -m benchmarks.study.train ours --unpacked PTBXL --size m --seed 0 --epochs 40 --checkpoint-dir CKPT \\
        --model OUT.bssl --history OUT.csv

Measures: nothing but the time. Signals of PTB-XL folds 1 to 8, no labels. Run again, it goes on from its last
checkpoint; with the same seed, size, precision and batch size it is the same run on a GPU (``--device cuda``), though
not bit for bit. ``--start MODEL`` goes on from a model, with rates that rise and fall again: give it another seed, or
it sees the same views again. ``--set lr=3e-3 --set objective__views__angle=30`` changes parameters of the row, with
values as JSON.

Cannot show: whether the model is any good; see the other commands.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from beatssl_sklearn import Pretrainer, save

from .common import QUICK
from .configs import PRETRAINED, encoder_params, make_pretrainer
from .data import load_ptbxl
from .models import load_model


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("row", choices=("random", *PRETRAINED))
    add("--unpacked", type=Path, required=True, help="PTB-XL in the publisher's layout")
    add("--model", type=Path, required=True, help="file to write")
    add("--history", type=Path, default=None, help="CSV of the epochs; default beside the model")
    add("--size", default="m", choices=("s", "m", "l"))
    add("--seed", type=int, default=0)
    add("--epochs", type=int, default=40)
    add("--start", default=None, help="a trained model, file or name, whose weights it begins with")
    add("--batch-size", type=int, default=256)
    add("--precision", default="auto")
    add("--checkpoint-dir", type=Path, default=None)
    add("--device", default=None)
    add("--threads", type=int, default=1)
    add("--per-fold", type=int, default=None, help="first records of each fold only")
    add("--set", action="append", default=[], metavar="PARAMETER=JSON")
    add("--quick", action="store_true", help="480 records, one epoch of a tiny network")
    args = parser.parse_args(argv)
    try:
        args.changes = dict(parse_change(text) for text in args.set)
    except ValueError as error:
        parser.error(f"--set: {error}")
    return args


def parse_change(text: str) -> tuple[str, Any]:
    """Read ``name=value``; a value that is not JSON is a word."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"PARAMETER=VALUE was expected, got {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    torch.set_num_threads(args.threads)
    threadpool_limits(args.threads)
    encoder = encoder_params(args.size)
    if args.quick:
        args.epochs, args.per_fold, encoder = 1, QUICK["per_fold"], encoder_params("s", QUICK["widths"])
    records = load_ptbxl(args.unpacked, per_fold=args.per_fold)
    pretrainer = make_pretrainer(
        args.row,
        args.seed,
        encoder=encoder,
        changes=args.changes,
        max_epochs=args.epochs,
        batch_size=args.batch_size,
        precision=args.precision,
        checkpoint_dir=args.checkpoint_dir,
        device=args.device,
        verbose=1,
    )
    earlier = [] if args.start is None else begin_with(pretrainer, load_model(args.start))
    started = time.perf_counter()
    pretrainer.fit(records.X[records.train], groups=records.patient[records.train])
    minutes = (time.perf_counter() - started) / 60
    pretrainer.history_ = [{**row, "epoch": i} for i, row in enumerate(earlier + pretrainer.history_, start=1)]
    pretrainer.n_iter_ = len(pretrainer.history_)
    pretrainer.set_params(warm_start=False)
    args.model.parent.mkdir(parents=True, exist_ok=True)
    save(pretrainer, args.model)
    write_history(pretrainer.history_, args.history or args.model.with_suffix(".csv"))
    about = {"row": args.row, "seed": args.seed, "size": args.size, "epochs": pretrainer.n_iter_}
    about |= {"n_records": int(records.train.sum()), "minutes": round(minutes, 1), "changes": args.changes}
    about |= {"start": args.start, "device": pretrainer.device_}
    about |= {"trained_minutes": round(_trained(pretrainer.history_) / 60, 1)}
    args.model.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")
    sys.stdout.write(json.dumps(about) + "\n")


def begin_with(pretrainer: Pretrainer, model: Pretrainer) -> list[dict[str, Any]]:
    """Let a fit begin with a model's weights; return the model's history."""
    pretrainer.set_params(warm_start=True)
    pretrainer.encoder_, pretrainer.heads_ = model.encoder_, model.heads_
    return model.history_


def _trained(history: list[dict[str, Any]]) -> float:
    """Return the seconds of all epochs, also of those before an interruption."""
    return float(sum(row.get("seconds", 0.0) for row in history))


def write_history(history: list[dict[str, Any]], path: Path) -> None:
    """Write a row per epoch."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(history)


if __name__ == "__main__":
    main()
