"""How fast data sets become shards: engines, workers, and the number of records.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_scale sweep [--sizes 1000 10000 100000] [--out FILE.json]
    python -m benchmarks.bench_scale picture --out FILE.json
    OMP_NUM_THREADS=1 python -m benchmarks.bench_scale overhead [--records 100000] [--engines joblib dask ray spark]
    OMP_NUM_THREADS=1 python -m benchmarks.bench_scale engines [--records 8192] [--rounds 2] [--engines joblib dask ray]
    OMP_NUM_THREADS=1 python -m benchmarks.bench_scale costs --wfdb DIR

Measures: `sweep`: processor time and peak memory of packing more and more records into a zarr store, and of
`embed_dataset` on that store, each in a process of its own, fitted to a line. `picture` draws that beside the file.
`overhead`: processor time of a data set with each engine and one worker, less that of the same data set without an
engine; the records are short and the network is tiny, so that the engine is most of it. `engines`: for each engine,
with one worker and with two in turn, seconds until the first shard was there, records per second once each worker has
made a shard, processor time per record of the driver and all its children, and the peak memory of a worker; beside them
the same work without an engine. `costs`: processor time per record of reading, packing, embedding and delineating the
records of a folder, from the store to the shards, and their bytes.

Records are simulated, 10 s at 100 Hz unless said otherwise; the data set repeats 256 different ones, so that simulation
is not measured. The model is "ptbxl-s".

Cannot show: networks of machines, GPUs, cold disks. Where other programs run beside it, seconds say little, and
processor time is more than on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from operator import truediv
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from beatssl_sklearn import (
    BeatSSLPretrainer,
    RhythmEmbedder,
    WaveSegmenter,
    WFDBFolder,
    ZarrRecords,
    delineate_dataset,
    embed_dataset,
    pack_records,
)
from benchmarks.repeated_records import Repeated, simulated

_DIFFERENT = 256
_POLL_S = 0.25
_SHARD = 1024
# Files of a data set of WFDB; a store's have no suffix, but for its descriptions.
_DATA = (".dat", ".hea", ".json", "")


class Watched:
    """Processor time and memory of this process and its children, as seen some times a second."""

    def __enter__(self) -> Watched:
        self._own = psutil.Process()
        self._cpu: dict[int, float] = {}
        self._peak: dict[int, float] = {}
        self._watching = 0.0
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
            self._watching = time.thread_time()

    @property
    def cpu_s(self) -> float:
        """Seconds of the processor, without those of looking."""
        return sum(self._own.cpu_times()[:2]) - self._begun - self._watching + sum(self._cpu.values())

    @property
    def peak_mib(self) -> float:
        """Peak of the largest child, or of this process if there is none [MiB]."""
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        return max(self._peak.values(), default=own)


def run_once(records: Any, embedder: Any, engine: str | None, n_jobs: int | None, shard_size: int) -> dict[str, Any]:
    """Embed a data set; return what it took."""
    times: list[tuple[float, int]] = []
    memory: list[float] = []
    folder = Path(tempfile.mkdtemp())
    begun = time.perf_counter()

    def note(n: int) -> None:
        times.append((time.perf_counter() - begun, n))
        memory.append(psutil.Process().memory_info().rss / 2**20)

    try:
        with Watched() as watched:
            embed_dataset(embedder, records, folder, engine=engine, n_jobs=n_jobs, shard_size=shard_size, progress=note)
    finally:
        shutil.rmtree(folder)
    times = times[1:]
    # Each worker has made one: the engine has started, and the network is built.
    warm = times[(n_jobs or 1) - 1 :]
    seconds = warm[-1][0] - warm[0][0]
    shown = np.unique(np.linspace(1, len(memory) - 1, 11).round().astype(int))
    return {
        "engine": engine or "none",
        "workers": n_jobs or 1,
        "records": len(records),
        "total_s": round(time.perf_counter() - begun, 2),
        "first_shard_s": round(times[0][0], 2),
        "records_per_s": round(sum(n for _, n in warm[1:]) / seconds, 1) if seconds else None,
        "cpu_s": round(watched.cpu_s, 2),
        "cpu_ms_per_record": round(1e3 * watched.cpu_s / len(records), 4),
        "worker_peak_mib": round(watched.peak_mib),
        "driver_mib_by_shard": {int(i): round(memory[i]) for i in shown},
    }


def compare_engines(n_records: int, engines: list[str], shard_size: int, rounds: int) -> dict[str, Any]:
    """Return a row per engine, number of workers and round, in turn, and how much faster two workers are than one."""
    records, embedder = Repeated(_DIFFERENT, n_records, 100), RhythmEmbedder("ptbxl-s", check="ignore", device="cpu")
    rows = []
    for _ in range(rounds):
        for engine, n_jobs in [(None, None), *((engine, n) for engine in engines for n in (1, 2))]:
            rows.append(run_once(records, embedder, engine, n_jobs, shard_size))
            print(json.dumps(rows[-1]), flush=True)

    def rates(engine: str, workers: int) -> list[float]:
        return [row["records_per_s"] for row in rows if (row["engine"], row["workers"]) == (engine, workers)]

    faster = {
        engine: {
            "two workers / one": round(statistics.median(map(truediv, rates(engine, 2), rates(engine, 1))), 3),
            "two workers / no engine": round(statistics.median(map(truediv, rates(engine, 2), rates("none", 1))), 3),
        }
        for engine in engines
    }
    return {"rows": rows, "faster": faster}


def tiny_embedder() -> Any:
    """Return an embedder that nobody trained, which takes next to no time."""
    encoder = {"widths": (8, 8, 16), "n_dims": 8}
    some = BeatSSLPretrainer(fs=100, fs_model=100, encoder_params=encoder, max_epochs=0, device="cpu", random_state=0)
    return RhythmEmbedder(some.fit(simulated(8, 100, 2)).encoder_, check="ignore", device="cpu")


def overhead(n_records: int, engines: list[str]) -> list[dict[str, Any]]:
    """Return a row per engine; each runs in a process of its own, as a user's program would."""
    rows: list[dict[str, Any]] = []
    for engine in ["none", *engines, "none"]:
        rows.append(in_process("tiny", "--records", str(n_records), "--engines", engine))
        print(json.dumps(rows[-1]), flush=True)
    alone = min(row["cpu_s"] for row in rows if row["engine"] == "none")
    for row in rows:
        row["overhead_cpu_s"] = round(row["cpu_s"] - alone, 2)
        row["overhead_cpu_ms_per_record"] = round(1e3 * (row["cpu_s"] - alone) / n_records, 4)
    return rows


def in_process(*arguments: str) -> dict[str, Any]:
    """Run one measurement in a process of its own; return what it prints in its last line."""
    command = [sys.executable, "-m", "benchmarks.bench_scale", *arguments]
    found: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
    )
    return found


def pack_once(n_records: int, store: str) -> dict[str, Any]:
    """Pack a data set; return what it took."""
    simulated(_DIFFERENT, 100)
    cpu, begun = time.process_time(), time.perf_counter()
    pack_records(Repeated(_DIFFERENT, n_records, 100), store)
    cpu = time.process_time() - cpu
    size = sum(file.stat().st_size for file in Path(store).rglob("*") if file.is_file())
    return {
        "records": n_records,
        "total_s": round(time.perf_counter() - begun, 2),
        "cpu_s": round(cpu, 2),
        "cpu_ms_per_record": round(1e3 * cpu / n_records, 4),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10),
        "bytes_per_record": round(size / n_records),
    }


def sweep(sizes: list[int], out: Path | None) -> dict[str, Any]:
    """Return time and memory by the number of records, and how far they are from a line."""
    found: dict[str, Any] = {"about": about(), "pack": [], "embed": []}
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            store = str(Path(folder) / "records.zarr")
            for what in ("pack", "embed"):
                found[what].append(in_process(f"{what}-one", "--records", str(n), "--store", store))
                print(what, json.dumps(found[what][-1]), flush=True)
        if len(found["embed"]) > 1:
            found["lines"] = lines(found)
        write(found, out)
    return found


def lines(found: dict[str, Any]) -> dict[str, Any]:
    """Fit time and memory to lines, and growth of time to a power of the number of records."""
    fits: dict[str, Any] = {}
    for what, peak in (("pack", "peak_mib"), ("embed", "worker_peak_mib")):
        n = np.array([row["records"] for row in found[what]], dtype=float)
        for name, unit in (("cpu_s", "s"), (peak, "MiB")):
            values = np.array([row[name] for row in found[what]], dtype=float)
            slope, first = np.polyfit(n, values, 1)
            fits[f"{what}, {name}"] = f"{first:.4g} {unit} + {1e3 * slope:.4g} {unit} per 1,000 records"
        cpu = np.array([row["cpu_s"] for row in found[what]])
        # Of a power of the number of records: 1 is a line. Starting takes no part in it.
        grown = np.log(np.diff(cpu)[1:] / np.diff(cpu)[:-1]) / np.log(np.diff(n)[1:] / np.diff(n)[:-1])
        fits[f"{what}, power of the number of records"] = [round(float(power), 3) for power in grown]
    return fits


def about() -> dict[str, Any]:
    """Say what was run where and when."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")]
    return {
        # Where data lie is nobody's business.
        "command": "python -m benchmarks.bench_scale "
        + " ".join(re.sub("^/.*|^[.][.]/.*", "DIR", a) for a in sys.argv[1:]),
        "date": time.strftime("%Y-%m-%d"),
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "load_at_start": round(os.getloadavg()[0], 1),
    }


def picture(found: dict[str, Any], path: Path) -> None:
    """Draw time and peak memory of a sweep against the number of records."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    time_axes, memory_axes = figure.subplots(1, 2)
    for what, peak, colour, marker in (
        ("pack", "peak_mib", "#0072B2", "o"),
        ("embed", "worker_peak_mib", "#D55E00", "s"),
    ):
        n = np.array([row["records"] for row in found[what]], dtype=float)
        cpu = np.array([row["cpu_s"] for row in found[what]])
        slope, first = np.polyfit(n, cpu, 1)
        fine = np.geomspace(n[0], n[-1])
        time_axes.plot(fine, first + slope * fine, color=colour)
        time_axes.plot(n, cpu, marker, color=colour, markersize=8, label=what)
        memory_axes.plot(n, [row[peak] for row in found[what]], f"{marker}-", color=colour, markersize=8, label=what)
    time_axes.set(xscale="log", yscale="log", ylabel="processor time [s]")
    memory_axes.axhline(1.5e9 / 2**20, color="black", linestyle="--", label="1.5 GB")
    memory_axes.set(xscale="log", ylabel="peak memory [MiB]", ylim=(0, 1600))
    for axes in (time_axes, memory_axes):
        axes.set_xlabel("records")
        axes.legend(frameon=False, fontsize=14)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=14)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_fontsize(15)
    figure.savefig(path)


def write(found: Any, out: Path | None) -> None:
    """Write results, if there is a place for them."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=1) + "\n")


def costs(folder: Path) -> dict[str, float]:
    """Return processor time per record [ms] and bytes per record of all that a plan needs to know."""
    files = WFDBFolder(folder)
    n = len(files)
    out: dict[str, float] = {}
    out["read WFDB [ms]"] = cpu_ms(lambda: [record.signal for record in files], n)
    with tempfile.TemporaryDirectory() as name:
        places = (Path(name) / f"{i}" for i in count())

        def anew(work: Callable[[Path], Any]) -> float:
            return cpu_ms(lambda: work(next(places)), n)

        out["pack [ms]"] = anew(partial(pack_records, files))
        stored = pack_records(files, next(places))
        out["read zarr [ms]"] = cpu_ms(lambda: np.asarray(stored), n)
        for model in ("ptbxl-s", "ptbxl"):
            for precision in ("bf16", "fp32"):
                own = RhythmEmbedder(model, check="ignore", device="cpu", precision=precision)
                out[f"embed, {model}, {precision} [ms]"] = anew(partial(embed_dataset, own, stored, shard_size=1024))
        for precision in ("bf16", "fp32"):
            waves = WaveSegmenter.load("waves").set_params(check="ignore", device="cpu", precision=precision)
            out[f"delineate, {precision} [ms]"] = anew(partial(delineate_dataset, waves, stored, shard_size=1024))
        places_of = {"WFDB": Path(folder), "zarr": Path(name) / "0"}
        for what, place in places_of.items():
            out[f"{what} [bytes]"] = (
                sum(p.stat().st_size for p in place.rglob("*") if p.is_file() and p.suffix in _DATA) / n
            )
    return out


def cpu_ms(work: Callable[[], Any], n: int) -> float:
    """Return the processor time of a call per record [ms]: the median of three, after one to warm up."""
    seconds = []
    for _ in range(4):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return round(1e3 * statistics.median(seconds[1:]) / n, 3)


def one(options: argparse.Namespace) -> dict[str, Any]:
    """Run the part of a measurement that needs a process of its own."""
    if options.what == "pack-one":
        return pack_once(options.records, options.store)
    if options.what == "embed-one":
        embedder = RhythmEmbedder("ptbxl-s", check="ignore", device="cpu")
        return run_once(ZarrRecords(options.store), embedder, None, None, _SHARD)
    engine = None if options.engines == ["none"] else options.engines[0]
    records = Repeated(_DIFFERENT, options.records, 100, 2)
    return run_once(records, tiny_embedder(), engine, engine and 1, _SHARD)


def main() -> None:
    """Run one of the measurements and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wholes, parts = ("sweep", "picture", "overhead", "engines", "costs"), ("pack-one", "embed-one", "tiny")
    parser.add_argument("what", choices=(*wholes, *parts), metavar="{" + ",".join(wholes) + "}")
    parser.add_argument("--records", type=int, default=512)
    parser.add_argument("--shard-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--engines", nargs="+", default=["joblib", "dask", "ray"])
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    parser.add_argument("--wfdb", type=Path, help="folder of WFDB records, for costs")
    parser.add_argument("--store", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.what == "costs" and options.wfdb is None:
        parser.error("costs needs --wfdb")
    if options.what in parts:
        print(json.dumps(one(options)))
        return
    if options.what == "sweep":
        found: Any = sweep(options.sizes, options.out)
    elif options.what == "picture":
        picture(json.loads(options.out.read_text()), options.out.with_suffix(".svg"))
        return
    elif options.what == "overhead":
        found = {"about": about(), "rows": overhead(options.records, options.engines)}
    elif options.what == "engines":
        rounds = compare_engines(options.records, options.engines, options.shard_size, options.rounds)
        found = {"about": about(), **rounds}
    else:
        found = {"about": about(), "costs": costs(options.wfdb)}
    write(found, options.out)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
