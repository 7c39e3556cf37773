"""Speed of R-peak detection, beside sleepecg and a matrix product.

Command
-------
``OMP_NUM_THREADS=1 python -m benchmarks.bench_rpeaks [--data FOLDER] [--rounds R]``

What it measures
----------------
Records per second of CPU time, one thread, for 12 leads of 10 s at 500 Hz in float32: "multilead" in batches of 64
and one by one, and "sleepecg" (its float64 copy of lead II included). A float32 product of 1024 x 1024 matrices takes
its turn in every round: the GFLOP/s show how fast the machine was, and the last column how many floating-point
operations of such a product one record costs. Records are LUDB's, or noise with spikes where the folder is absent.
Medians over rounds, all in one process.

What it cannot show
-------------------
Reading and converting files, several threads, and the memory traffic of a machine whose other cores are busy, which
moves the figures by 20 % and more: only ratios within one run mean something.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import detect_rpeaks, read_wfdb

BATCH, FS, GEMM = 64, 500.0, 1024


def records(data: Path) -> tuple[NDArray[np.float32], str]:
    """Return a batch of records and where they come from."""
    paths = sorted((data / "ludb" / "data").glob("*.hea"))[:BATCH]
    if len(paths) == BATCH:
        return np.stack([read_wfdb(p.with_suffix("")).signal for p in paths]).astype(np.float32, order="C"), "LUDB"
    x = 0.01 * np.random.default_rng(0).standard_normal((BATCH, 12, int(10 * FS)), dtype=np.float32)
    x[:, :, 200::400] += 1
    return x, "noise with spikes"


def cpu_seconds(call: Callable[[], object]) -> float:
    """CPU time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> None:
    """Write one line per detector."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = os.environ.get("BEATSSL_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    x, source = records(args.data)
    a = np.random.default_rng(0).standard_normal((GEMM, GEMM), dtype=np.float32)
    calls: dict[str, Callable[[], object]] = {
        "multilead, batches of 64": lambda: detect_rpeaks(x, FS),
        "multilead, one by one": lambda: [detect_rpeaks(record, FS) for record in x],
        "sleepecg, lead II": lambda: detect_rpeaks(x, FS, "sleepecg"),
    }
    product: list[float] = []
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(args.rounds + 1):
        product.append(cpu_seconds(lambda: np.matmul(a, a)))
        for name, call in calls.items():
            spent[name].append(cpu_seconds(call))
    # The first round warms up.
    per_second = 2 * GEMM**3 / statistics.median(product[1:])
    sys.stdout.write(f"{len(x)} records ({source}); float32 matmul {per_second / 1e9:.0f} GFLOP/s\n")
    for name, seconds in spent.items():
        each = statistics.median(seconds[1:]) / len(x)
        cost = f"{1e6 * each:8.1f} us = {each * per_second / 1e6:6.1f} MFLOP"
        sys.stdout.write(f"{name:26s} {1 / each:8.0f} records/s {cost}\n")


if __name__ == "__main__":
    main()
