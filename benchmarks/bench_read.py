"""Speed of reading WFDB records, beside wfdb.

Command
-------
``OMP_NUM_THREADS=1 python -m benchmarks.bench_read [--data FOLDER] [--n-records N] [--rounds R] [--out FILE.json]``

What it measures
----------------
Records per second of CPU time, one thread, files in the page cache, for 12 leads of 10 s in format 16 at 500 and
100 Hz: `read_wfdb` (header check, checksums, mV, lead order), `wfdb.rdrecord` with float64 and float32 results, and
the bare `numpy.fromfile` of the signal file. All take turns in one process; the medians over rounds are given. Records
are written from simulated noise of 16 bits into a temporary folder; with ``--data``, the records of ``ptbxl500`` there
take their place at 500 Hz.

What it cannot show
-------------------
Disk or network speed, several processes or threads, and long records. Figures of different runs differ by 10 % and
more: only ratios within one run mean something.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from beatssl_sklearn.ecg import LEADS, WFDBFolder, read_wfdb


def write_noise(folder: Path, fs: int, n_records: int, seed: int = 0) -> list[str]:
    """Write records of 10 s of 12 leads of noise as PTB-XL writes them; return their paths."""
    rng = np.random.default_rng(seed)
    paths = []
    for k in range(n_records):
        name = f"{k:05d}"
        samples = rng.normal(0, 300, size=(10 * fs, 12)).astype("<i2")
        sums = samples.sum(axis=0, dtype=np.int64) & 0xFFFF
        lines = [f"{name} 12 {fs} {10 * fs}"] + [
            f"{name}.dat 16 1000.0(0)/mV 16 0 {samples[0, i]} {sums[i]} 0 {lead}" for i, lead in enumerate(LEADS)
        ]
        (folder / f"{name}.dat").write_bytes(samples.tobytes())
        (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")
        paths.append(str(folder / name))
    return paths


def seconds_of_cpu(read: Callable[[str], Any], paths: Sequence[str]) -> float:
    """CPU time of reading all records once."""
    start = time.process_time()
    for path in paths:
        read(path)
    return time.process_time() - start


def compare(paths: Sequence[str], rounds: int) -> dict[str, float]:
    """Records per second of CPU time by reader, medians over interleaved rounds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import wfdb
    readers: dict[str, Callable[[str], Any]] = {
        "read_wfdb": read_wfdb,
        "wfdb.rdrecord": wfdb.rdrecord,
        "wfdb.rdrecord, float32": lambda path: wfdb.rdrecord(path, return_res=32),
        "numpy.fromfile, no header": lambda path: np.fromfile(path + ".dat", dtype="<i2"),
    }
    for path in paths:
        difference = np.abs(read_wfdb(path).signal - wfdb.rdrecord(path).p_signal.T).max()
        if not difference <= 1e-6:
            raise RuntimeError(f"record {os.path.basename(path)!r} differs from wfdb by {difference} mV")
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(rounds):
        for name, read in readers.items():
            seconds[name].append(seconds_of_cpu(read, paths))
    return {name: len(paths) / statistics.median(times) for name, times in seconds.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Speed of reading WFDB records, beside wfdb.")
    default = os.environ.get("BEATSSL_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", default=default, help="folder with ptbxl500; noise is read where it is absent")
    parser.add_argument("--n-records", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=None, help="JSON file for the figures")
    options = parser.parse_args(arguments)
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for fs in (500, 100):
            inner = Path(folder) / str(fs)
            inner.mkdir()
            results[f"{fs} Hz x 10 s, noise"] = compare(write_noise(inner, fs, options.n_records), options.rounds)
    real = Path(options.data) / "ptbxl500"
    if real.is_dir():
        paths = [str(real / name) for name in WFDBFolder(real).names[: options.n_records]]
        results["500 Hz x 10 s, PTB-XL"] = compare(paths, options.rounds)
    for title, figures in results.items():
        sys.stdout.write(f"{title}\n")
        for name, speed in figures.items():
            ratio = figures["read_wfdb"] / speed
            sys.stdout.write(f"  {name:28s}{speed:10,.0f} records/s   read_wfdb is {ratio:5.2f} x as fast\n")
    if options.out is not None:
        options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
