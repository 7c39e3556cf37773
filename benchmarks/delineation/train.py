"""Train the segmenter "waves": a teacher, one or more students, on all records or without those of a fold.

    python -m benchmarks.delineation.train --ptbxl PTBXL --qtdb QTDB --fold 0 --steps 1500,2500
    python -m benchmarks.delineation.train --ptbxl PTBXL --qtdb QTDB --model WAVES.bssl

A fold leaves out a fifth of LUDB's patients and some sources of the QT Database. Its network, ``waves-fold0.bssl`` in
the cache, is the row "waves" of the other programs, which score it on what it has not seen. Without `--fold` all
records are used. PTB-XL: folds 1 to 7; fold 8 is for choices, fold 9 for scores (`benchmarks.delineation.p_waves`).
Every stage is kept in the cache, so that a run that was stopped goes on with the next.

Cannot show: anything about quality.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from beatssl_sklearn import WaveSegmenter, save

from .common import folds_of, make_parser, read_ludb
from .recipe import SOURCES, Records, chosen_ptbxl, fitted_on, labelled_by, of_ludb, of_qtdb, simulated

PTBXL_FOLDS = tuple(range(1, 8))


def annotated(args: argparse.Namespace) -> dict[str, Records]:
    """Return the records with labels that need no teacher."""
    ludb = read_ludb(args.data, args.quick)
    every = np.arange(len(ludb.X))
    test = every[:0] if args.fold is None else folds_of(len(ludb.X), args.quick)[args.fold]
    without = () if args.fold is None else SOURCES[args.fold]
    parts = {"ludb": of_ludb(ludb, np.setdiff1d(every, test)), "qtdb": of_qtdb(args.qtdb, without)}
    parts["simulated"] = simulated(1 if args.quick else 52)
    return parts


def cached(args: argparse.Namespace, stage: str = "") -> Path:
    """Return the file of a network in the cache."""
    where = "all" if args.fold is None else f"fold{args.fold}"
    return Path(args.cache) / f"waves-{where}{stage}.bssl"


def stage(args: argparse.Namespace, name: str, parts: dict[str, Records], n_steps: int) -> WaveSegmenter:
    """Train one network, unless its file is there."""
    file = cached(args, f"-{name}-{n_steps}-s{args.seed}")
    if file.exists():
        return WaveSegmenter.load(file)
    began = time.perf_counter()
    segmenter = fitted_on(parts, n_steps, args.seed, verbose=1)
    file.parent.mkdir(parents=True, exist_ok=True)
    save(segmenter, file)
    loss = segmenter.history_[-1]["train_loss"]
    sys.stdout.write(f"{file.stem}: loss {loss:.4f}, {time.perf_counter() - began:.0f} s\n")
    sys.stdout.flush()
    return segmenter


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--ptbxl", type=Path, required=True, help="PTB-XL as published")
    parser.add_argument("--qtdb", type=Path, required=True, help="the QT Database as published")
    parser.add_argument("--fold", type=int, choices=range(len(SOURCES)))
    parser.add_argument("--steps", default="1500,2500,5000", help="of the teacher and of each student")
    parser.add_argument("--model", type=Path, help="by default waves-fold0.bssl, or waves-all.bssl, in the cache")
    args = parser.parse_args(argv)
    steps = [2, 2] if args.quick else [int(n) for n in args.steps.split(",")]
    parts = annotated(args)
    segmenter = stage(args, "teacher", parts, steps[0])
    chosen = chosen_ptbxl(args.ptbxl, PTBXL_FOLDS, args.quick) if len(steps) > 1 else []
    for k, n_steps in enumerate(steps[1:], start=1):
        segmenter = stage(args, f"student{k}", {**parts, "ptbxl": labelled_by(segmenter, chosen)}, n_steps)
    model = args.model or cached(args)
    model.parent.mkdir(parents=True, exist_ok=True)
    save(segmenter, model)


if __name__ == "__main__":
    main()
