r"""Teach a shipped encoder's embedding to tell wave measures, and write the model with its readout.

    python -m benchmarks.study.readout ptbxl --unpacked PTBXL --measures MEASURES.npz --model OUT.bssl

Measures: `WaveMeasures` of PTB-XL folds 1 to 8, no labels, kept in MEASURES.npz batch by batch (run again, it goes on),
and the time of both. `benchmarks.study.labels --model ours=OUT.bssl` scores the result.

Cannot show: what the measures are worth by themselves. The segmenter behind them has seen 150 annotated patients.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from beatssl_sklearn import fit_readout, save

from .data import load_ptbxl
from .models import load_model
from .wave_vectors import measured


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("start", help="a trained model, file or name")
    add("--unpacked", type=Path, required=True, help="PTB-XL in the publisher's layout")
    add("--measures", type=Path, required=True, help="file of the measures; made where it is not there")
    add("--model", type=Path, required=True, help="file to write")
    add("--n-hidden", type=int, default=256)
    add("--epochs", type=int, default=15)
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=1)
    add("--last-fold", type=int, default=8, help="last fold that is taught; 7 leaves fold 8 for choices")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    threadpool_limits(args.threads)
    records = load_ptbxl(args.unpacked)
    train = np.flatnonzero(records.fold <= args.last_fold)
    about: dict[str, Any] = {name: getattr(args, name) for name in ("start", "n_hidden", "epochs", "seed", "last_fold")}
    started = time.perf_counter()
    targets = measured(records.X[train], records.record_id[train], args.measures)
    about |= {"n_records": len(train), "measures_minutes": round((time.perf_counter() - started) / 60, 1)}
    started = time.perf_counter()
    pretrainer = load_model(args.start).set_params(verbose=1)
    taught = fit_readout(
        pretrainer,
        records.X[train],
        targets,
        n_hidden=args.n_hidden,
        max_epochs=args.epochs,
        random_state=args.seed,
    )
    about["minutes"] = round((time.perf_counter() - started) / 60, 1)
    save(taught.set_params(verbose=0), args.model)
    args.model.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")
    sys.stdout.write(json.dumps(about) + "\n")


if __name__ == "__main__":
    main()
