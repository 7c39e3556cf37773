"""How fast data sets become shards: engines, workers, and the number of records.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_scale engines [--records 512] [--engines joblib dask ray]
    OMP_NUM_THREADS=1 python -m benchmarks.bench_scale sweep [--sizes 1000 10000]
    OMP_NUM_THREADS=1 python -m benchmarks.bench_scale costs

Measures: `engines`: for each engine, with one worker and with two in turn, seconds until the first shard was there,
records per second between the first shard and the last, processor time per record of the driver and all its children,
and the peak memory of a worker; beside them the same work without an engine. `sweep`: time and peak memory of
`embed_dataset` on more and more records, each size in a process of its own, fitted to a line. `costs`: processor time
per record of embedding and delineating records of 10 s and 12 leads, and bytes of such records as WFDB holds them.

Records are simulated, 10 s at 100 Hz unless said otherwise; the data set repeats 256 different ones, so that neither
simulation nor disk is measured. The model is "ptbxl-s".

Cannot show: reading (see bench_read), networks of machines, GPUs. Where other programs run beside it, seconds say
little, and processor time is more than on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from beatssl_sklearn import RhythmEmbedder, WaveSegmenter, embed_dataset
from benchmarks.repeated_records import Repeated, simulated

_DIFFERENT = 256
_POLL_S = 0.1


class Watched:
    """Processor time and memory of this process and its children, as seen some times a second."""

    def __enter__(self) -> Watched:
        self._own = psutil.Process()
        self._cpu: dict[int, float] = {}
        self._peak: dict[int, float] = {}
        # joblib keeps workers for the next call.
        self._before = {child.pid: sum(child.cpu_times()[:2]) for child in self._own.children(recursive=True)}
        self._begun = sum(self._own.cpu_times()[:2])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_POLL_S):
            for child in self._own.children(recursive=True):
                try:
                    self._cpu[child.pid] = sum(child.cpu_times()[:2]) - self._before.get(child.pid, 0.0)
                    self._peak[child.pid] = max(self._peak.get(child.pid, 0.0), child.memory_info().rss / 2**20)
                except psutil.Error:
                    continue

    @property
    def cpu_s(self) -> float:
        """Seconds of the processor."""
        return sum(self._own.cpu_times()[:2]) - self._begun + sum(self._cpu.values())

    @property
    def peak_mib(self) -> float:
        """Peak of the largest child, or of this process if there is none [MiB]."""
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        return max(self._peak.values(), default=own)


def run_once(records: Any, embedder: Any, engine: str | None, n_jobs: int | None, shard_size: int) -> dict[str, Any]:
    """Embed a data set; return what it took."""
    times: list[tuple[float, int]] = []
    folder = Path(tempfile.mkdtemp())
    begun = time.perf_counter()
    try:
        with Watched() as watched:
            embed_dataset(
                embedder, records, folder, engine=engine, n_jobs=n_jobs, shard_size=shard_size,
                progress=lambda n: times.append((time.perf_counter() - begun, n)),
            )  # fmt: skip
    finally:
        shutil.rmtree(folder)
    times = times[1:]
    seconds = times[-1][0] - times[0][0]
    return {
        "engine": engine or "none",
        "workers": n_jobs or 1,
        "records": len(records),
        "total_s": round(time.perf_counter() - begun, 2),
        "first_shard_s": round(times[0][0], 2),
        "records_per_s": round(sum(n for _, n in times[1:]) / seconds, 1) if seconds else None,
        "cpu_ms_per_record": round(1e3 * watched.cpu_s / len(records), 3),
        "worker_peak_mib": round(watched.peak_mib),
    }


def compare_engines(n_records: int, engines: list[str], shard_size: int) -> list[dict[str, Any]]:
    """Return a row per engine and number of workers, in turn."""
    records, embedder = Repeated(_DIFFERENT, n_records, 100), RhythmEmbedder("ptbxl-s", check="ignore", device="cpu")
    rows = []
    for engine, n_jobs in [(None, None), *((engine, n) for engine in engines for n in (1, 2)), (None, None)]:
        rows.append(run_once(records, embedder, engine, n_jobs, shard_size))
        print(json.dumps(rows[-1]), flush=True)
    return rows


def sweep(sizes: list[int]) -> dict[str, Any]:
    """Return time and memory by the number of records, and how far they are from a line."""
    rows = []
    for n in sizes:
        command = [sys.executable, "-m", "benchmarks.bench_scale", "one", "--records", str(n)]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print(json.dumps(rows[-1]), flush=True)
    n = np.array(sizes, dtype=float)
    out: dict[str, Any] = {"rows": rows}
    if len(sizes) > 1:
        cpu = np.array([row["cpu_ms_per_record"] * row["records"] / 1e3 for row in rows])
        slope, first = np.polyfit(n, cpu, 1)
        out["cpu_line"] = f"{first:.1f} s + {1e3 * slope:.3f} ms per record"
        peak = np.array([row["worker_peak_mib"] for row in rows], dtype=float)
        slope, first = np.polyfit(n, peak, 1)
        out["memory_line"] = f"{first:.0f} MiB + {1e3 * slope:.3f} MiB per 1,000 records"
    return out


def costs(n_records: int) -> dict[str, float]:
    """Return processor time per record [ms] of what a plan needs to know."""
    out: dict[str, float] = {}
    for fs in (100, 500):
        X = simulated(n_records, fs)
        for name in ("ptbxl-s", "ptbxl"):
            own = RhythmEmbedder(name, fs=fs, check="ignore", device="cpu")
            out[f"embed {name} at {fs} Hz [ms]"] = cpu_ms(lambda own=own, X=X: own.transform(X), len(X))
    own = WaveSegmenter.load("waves").set_params(fs=500, leads=None, check="ignore", device="cpu")
    out["delineate at 500 Hz [ms]"] = cpu_ms(lambda: own.delineate(X), len(X))
    return out


def cpu_ms(work: Callable[[], Any], n: int) -> float:
    """Return the processor time of a call per record [ms], after one call to warm up."""
    work()
    begun = time.process_time()
    work()
    return round(1e3 * (time.process_time() - begun) / n, 2)


def main() -> None:
    """Run one of the measurements and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("engines", "sweep", "costs", "one"))
    parser.add_argument("--records", type=int, default=512)
    parser.add_argument("--shard-size", type=int, default=64)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--engines", nargs="+", default=["joblib", "dask", "ray"])
    arguments = parser.parse_args()
    if arguments.what == "engines":
        found: Any = compare_engines(arguments.records, arguments.engines, arguments.shard_size)
    elif arguments.what == "sweep":
        found = sweep(arguments.sizes)
    elif arguments.what == "costs":
        found = costs(32)
    else:
        embedder = RhythmEmbedder("ptbxl-s", check="ignore", device="cpu")
        found = run_once(Repeated(_DIFFERENT, arguments.records, 100), embedder, None, None, 1024)
    print(json.dumps(found, indent=None if arguments.what == "one" else 1))


if __name__ == "__main__":
    main()
