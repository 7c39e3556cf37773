"""What the way of pretraining does for delineation: encoders differing in one thing, a sixteenth of the patients.

    python -m benchmarks.delineation.encoders --epochs 100 --seeds 5 --model "ours=OURS.bssl" \\
        --model "ours, no beats=OURS_NO_BEATS.bssl" --model "paper=PAPER.bssl" --model "paper, no beats=NO_BEATS.bssl"

Models are files of `benchmarks.study.train`. Each encoder is put under the same decoder, once frozen and once
fine-tuned, and trained on the records that `benchmarks.delineation.few_labels` draws; "random" is the first model's
encoder as initialised.

Measures: mean IoU of P, QRS and T per sample on the fold that was held out. For each model "X, no beats" that comes
with a model "X", the difference that the beat term makes, and for all of them that from "random", seed by seed; 95 % t
intervals over the seeds.

Cannot show: the spread of pretrainings, because each model is one; what longer pretraining would change.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from beatssl_sklearn import FittedEncoder, load

from ..study.results import Row, Table, command_of, mean_interval, write_markdown
from .common import SHARE, Annotated, count, few_records, fitted, make_parser, read_ludb, scores
from .few_labels import SCORES, interval_cell

MODES: dict[str, dict[str, Any]] = {"frozen": {"encoder_lr": 0.0}, "fine-tuned": {}}
NO_BEATS = ", no beats"


def one_fit(
    name: str, encoder: FittedEncoder, mode: str, seed: int, ludb: Annotated, args: argparse.Namespace
) -> Row:
    """Train and score one network."""
    train, test = few_records(len(ludb.X), seed, args.quick)
    args.seed = seed
    row_name = f"{name} {mode}".replace(",", "")
    segmenter = fitted(row_name, ludb, train, args, f"few{len(train)}", pretrainer=encoder, **MODES[mode])
    found = scores(count(segmenter.delineate(ludb.X[test]), segmenter.predict(ludb.X[test]), ludb, test))
    sys.stdout.write(f"seed {seed} {name} {mode}: mIoU {found['miou']:.4f}\n")
    sys.stdout.flush()
    return found | {"n_records": len(train)}


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.set_defaults(epochs=100)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FILE", required=True)
    args = parser.parse_args(argv)
    if args.quick:
        args.epochs, args.seeds = 2, 2
    models = {name: load(path).encoder_ for name, _, path in (pair.partition("=") for pair in args.model)}
    models["random"] = next(iter(models.values())).with_random_weights(0)
    ludb = read_ludb(args.data, args.quick)
    table = Table(args.out / "encoders.csv", ("row", "mode", "seed", "epochs"))
    for seed in range(args.seeds):
        for name, encoder in models.items():
            for mode in MODES:
                key = {"row": name, "mode": mode, "seed": seed, "epochs": args.epochs}
                if table.find(**key) is None:
                    table.add({**one_fit(name, encoder, mode, seed, ludb, args), **key})
    write_page(args, [row for row in table.rows if row["epochs"] == args.epochs], list(models), argv)


def write_page(args: argparse.Namespace, rows: list[Row], names: list[str], argv: list[str] | None) -> None:
    """Write scores of the models, and what beat terms add."""
    of = {(row["row"], row["mode"], row["seed"]): row for row in rows}
    lines = []
    for mode in MODES:
        for name in names:
            cells = [mean_interval([float(of[name, mode, s][k]) for s in range(args.seeds)]) for k in SCORES]
            lines.append([name, mode, *(interval_cell(c) for c in cells)])
    compared = [(name, "random", f"{name} - random") for name in names if name != "random"]
    compared += [(name, name + NO_BEATS, f"beat term of {name}") for name in names if name + NO_BEATS in names]
    for mode in MODES:
        for name, other, shown_as in compared:
            pairs = [(of[name, mode, s], of[other, mode, s]) for s in range(args.seeds)]
            gains = [mean_interval([float(a[k]) - float(b[k]) for a, b in pairs]) for k in SCORES]
            lines.append([shown_as, mode, *(interval_cell(g) for g in gains)])
    about = [
        f"LUDB, {rows[0]['n_records']} training records (a {SHARE}th of the patients), {args.seeds} seeds,",
        f"{args.epochs} epochs; one pretraining per model. Means with 95 % t intervals over seeds.",
    ]
    header = ["encoder", "in training", "mIoU", "Dice", "F1: P", "QRS", "T"]
    command = command_of("benchmarks.delineation.encoders", argv or sys.argv[1:])
    write_markdown(args.out / "encoders.md", "Pretraining and delineation", about, command, header, lines)


if __name__ == "__main__":
    main()
