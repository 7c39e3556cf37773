"""Speed of reading records from stores, beside WFDB files and a plain array.

Command
-------
``OMP_NUM_THREADS=1 python -m benchmarks.bench_records [--n-records N] [--rounds R] [--out FILE.json]``

What it measures
----------------
Records per second of CPU time, one thread, files in the page cache, for 12 leads of 10 s at 500 and 100 Hz, as float32
in mV, 64 records at a time: in their order; shuffled within each 64; and in no order at all. Read are `ZarrRecords`
with each compression, `WFDBFolder`, and an array of int16 in a file of numpy that is mapped and multiplied by its step.
All take turns in one process; the medians over rounds are given. The CPU time of all threads counts, those of zarr,
too. The records are simulated ECGs in whole microvolts, repeated, with noise of their own. Bytes per record are those
of the files.

What it cannot show
-------------------
Disk or network speed, and several processes. Figures of different runs differ by 10 % and more: only ratios within one
run mean something.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from beatssl_sklearn import WFDBFolder, make_ecg, pack_records
from beatssl_sklearn.ecg import LEADS

BATCH = 64
Read = Callable[[np.ndarray], Any]


def simulate(fs: int, n_records: int) -> np.ndarray:
    """Return ECGs in whole microvolts, as integers (n_records, 12, n_times)."""
    some = make_ecg(min(32, n_records), fs=fs, rhythm="mixed", random_state=0).data
    noise = np.random.default_rng(0).normal(0, 5, size=(n_records, 12, 10 * fs)).astype(np.float32)
    return np.rint(1000 * np.resize(some, noise.shape) + noise).astype(np.int16)


def write_wfdb(folder: Path, digital: np.ndarray, fs: int) -> None:
    """Write the records as PTB-XL has them."""
    for i, record in enumerate(digital):
        record.T.astype("<i2").tofile(folder / f"{i:05d}.dat")
        sums = record.sum(axis=1, dtype=np.int64) & 0xFFFF
        lines = [f"{i:05d} 12 {fs} {record.shape[1]}"] + [
            f"{i:05d}.dat 16 1000.0(0)/mV 16 0 {record[k, 0]} {sums[k]} 0 {lead}" for k, lead in enumerate(LEADS)
        ]
        (folder / f"{i:05d}.hea").write_text("\n".join(lines) + "\n")


def readers(folder: Path, fs: int, n_records: int) -> tuple[dict[str, Read], dict[str, float]]:
    """Write the records in all forms; return what reads some of them, and bytes per record."""
    digital = simulate(fs, n_records)
    (folder / "wfdb").mkdir()
    write_wfdb(folder / "wfdb", digital, fs)
    np.save(folder / "array.npy", digital)
    array, files = np.load(folder / "array.npy", mmap_mode="r"), WFDBFolder(folder / "wfdb")
    signal = digital.astype(np.float32) * np.float32(0.001)
    found: dict[str, Read] = {
        "array of int16 in a file": lambda rows: array[rows].astype(np.float32) * np.float32(0.001),
        "WFDBFolder": lambda rows: np.stack([files[int(i)].signal for i in rows]),
    }
    for name in ("none", "lz4", "zstd"):
        records = pack_records(signal, folder / f"{name}.zarr", fs=fs, compression=None if name == "none" else name)
        found[f"ZarrRecords, {name}"] = lambda rows, records=records: [s.signal for s in records.read_stacks(rows)]
    sizes = {path.name: size_of(path) / n_records for path in folder.iterdir()}
    return found, sizes


def size_of(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


def orders(n_records: int) -> dict[str, np.ndarray]:
    """Return the orders in which all records are read."""
    rng = np.random.default_rng(0)
    rows = np.arange(n_records)
    within = np.concatenate([rng.permutation(rows[i : i + BATCH]) for i in range(0, n_records, BATCH)])
    return {"in order": rows, "shuffled within 64": within, "in no order": rng.permutation(rows)}


def compare(found: dict[str, Read], rows: np.ndarray, rounds: int) -> dict[str, float]:
    """Records per second of CPU time by reader, medians over interleaved rounds."""
    seconds: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, read in found.items():
            start = time.process_time()
            for i in range(0, len(rows), BATCH):
                read(rows[i : i + BATCH])
            seconds[name].append(time.process_time() - start)
    return {name: len(rows) / statistics.median(times) for name, times in seconds.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-records", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=None, help="JSON file for the figures")
    options = parser.parse_args(arguments)
    command = f"python -m benchmarks.bench_records --n-records {options.n_records} --rounds {options.rounds}"
    results: dict[str, Any] = {"about": {"command": command, "date": time.strftime("%Y-%m-%d")}}
    for fs in (500, 100):
        with tempfile.TemporaryDirectory() as folder:
            found, sizes = readers(Path(folder), fs, options.n_records)
            results[f"{fs} Hz, bytes per record"] = sizes
            sys.stdout.write(f"{fs} Hz x 10 s, bytes per record: ")
            sys.stdout.write(", ".join(f"{name} {size:,.0f}" for name, size in sizes.items()) + "\n")
            for title, rows in orders(options.n_records).items():
                figures = results[f"{fs} Hz, {title}"] = compare(found, rows, options.rounds)
                sys.stdout.write(f"{fs} Hz x 10 s, {title}\n")
                for name, speed in figures.items():
                    ratio = speed / figures["WFDBFolder"]
                    sys.stdout.write(f"  {name:28s}{speed:10,.0f} records/s   {ratio:6.2f} x WFDBFolder\n")
    if options.out is not None:
        options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
