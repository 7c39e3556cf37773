"""Vectors of MiniRocket, the peer that needs no training: 9,996 shares of random kernels above a bias.

    python -m benchmarks.study.minirocket --unpacked PTBXL --vectors MR.npz
    python -m benchmarks.study.labels --unpacked PTBXL --vectors minirocket=MR.npz --rows minirocket,...

Measures: MiniRocket of aeon (Dempster et al. 2021, arXiv 2012.08791) with its defaults, on the eight independent leads
of PTB-XL's records at 100 Hz as they are read, biases from folds 1 to 8; records a second on one thread. It needs aeon,
in an environment of its own: ``pip install aeon``.

Cannot show: what other kernels or more of them give.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from .data import load_ptbxl

LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
_AT_ONCE = 1024


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unpacked", type=Path, required=True, help="PTB-XL in the publisher's layout")
    parser.add_argument("--vectors", type=Path, required=True, help="file to write")
    parser.add_argument("--leads", type=lambda s: tuple(s.split(",")), default=LEADS, help="II for lead II alone")
    parser.add_argument("--per-fold", type=int, default=None, help="first records of each fold, for trials")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    threadpool_limits(1)
    records = load_ptbxl(args.unpacked, per_fold=args.per_fold)
    folder = records.seen_by(args.leads)
    signals = np.stack([np.asarray(folder[i].signal, dtype=np.float32) for i in range(len(folder))])
    rocket = importlib.import_module("aeon.transformations.collection.convolution_based").MiniRocket
    transformer = rocket(random_state=args.seed, n_jobs=1).fit(signals[records.train])
    transformer.transform(signals[:8])  # compiled before the clock starts
    started = time.perf_counter()
    parts = [transformer.transform(signals[at : at + _AT_ONCE]) for at in range(0, len(signals), _AT_ONCE)]
    values = np.concatenate([np.asarray(part, dtype=np.float32) for part in parts])
    rate = len(values) / (time.perf_counter() - started)
    args.vectors.parent.mkdir(parents=True, exist_ok=True)
    np.savez(args.vectors, record_id=records.record_id, values=values)
    sys.stdout.write(f"{values.shape[0]} records, {values.shape[1]} numbers each, {rate:.0f} records/s\n")


if __name__ == "__main__":
    main()
