"""How fast records in memory become embeddings, and where the time goes.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_transform

Measures: `BeatSSLPretrainer.embed` (R peaks, record embedding, beat embeddings) on 12 leads x 10 s at 500 Hz, size m
with fs_model=250, in fp32 and bf16: records per second of CPU time on one thread, and the share of the time that the
encoder alone takes on the same signals; a GEMM of the same precision runs in between, and the encoder's share of that
roof is reported. Medians of interleaved rounds. With `--memory`: the peak memory of `transform` on a memmap of 100
batches, beside one of 10.

Cannot show: wall-clock time on several threads, reading from disk (see bench_read), embedding quality (the weights are
random: the work is the same).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from beatssl_sklearn import BeatSSLPretrainer, detect_rpeaks, make_ecg
from beatssl_sklearn.ecg import LEADS
from beatssl_sklearn.inputs import Block
from beatssl_sklearn.nn import build_encoder
from benchmarks.roof import cpu_seconds, gemm_gflops

BATCH = 32
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def measure(precision: str, X: np.ndarray, rounds: int) -> dict[str, float]:
    """Return median seconds per record of the whole and of its parts, and GFLOP/s of a GEMM in between."""
    pre = BeatSSLPretrainer(
        fs=500, fs_model=250, max_epochs=0, batch_size=BATCH, precision=precision, random_state=0, device="cpu"
    ).fit(X[:8])
    front_end, model = pre.encoder_.front_end, pre.encoder_.model("cpu", precision)
    batches = [X[i : i + BATCH] for i in range(0, len(X), BATCH)]
    blocks = [Block(np.arange(len(b)), b, 500.0, LEADS, np.zeros(len(b), bool)) for b in batches]
    ready = [front_end(b).signal for b in blocks]
    parts: dict[str, Callable[[], Any]] = {
        "transform": lambda: pre.embed(X, levels=("rhythm", "beat")),
        "encoder": lambda: [model.encode(b) for b in ready],
        "rpeaks": lambda: [detect_rpeaks(b, 500) for b in batches],
        "preprocess": lambda: [front_end(b) for b in blocks],
    }
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    gemm = []
    for _ in range(rounds):
        gemm.append(gemm_gflops(_DTYPES[precision], 0.2))
        for name, function in parts.items():
            seconds[name].append(cpu_seconds(function) / len(X))
    return {name: statistics.median(s) for name, s in seconds.items()} | {"gemm_gflops": statistics.median(gemm)}


def encoder_flops(n_times: int) -> float:
    """Return the operations of one record, from the layers' shapes."""
    encoder = build_encoder("beatnet", 250.0, {"size": "m"}, torch.Generator().manual_seed(0)).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder(torch.zeros(1, n_times, 12))
    return float(counter.get_total_flops())


def peak_of_memmap(n_records: int) -> float:
    """Return the peak memory [MiB] that transform adds on a memmap, measured in another process."""
    code = f"""
import resource, sys, numpy as np
from beatssl_sklearn import BeatSSLPretrainer, make_ecg
x = make_ecg(32, rhythm="mixed", random_state=0).data
pre = BeatSSLPretrainer(fs=500, fs_model=250, max_epochs=0, batch_size={BATCH}, random_state=0, device="cpu").fit(x)
X = np.memmap(sys.argv[1], dtype=np.float32, mode="r", shape=({n_records}, 12, 5000))
pre.transform(X[:{2 * BATCH}])
def anonymous():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("RssAnon")) / 1024
import threading
peak, stop = [anonymous()], threading.Event()
def watch():
    while not stop.wait(0.01):
        peak.append(anonymous())
thread = threading.Thread(target=watch); thread.start()
start = anonymous(); pre.transform(X); stop.set(); thread.join()
print(max(peak) - start)
"""
    with tempfile.NamedTemporaryFile(suffix=".dat") as file:
        X = np.memmap(file.name, dtype=np.float32, mode="w+", shape=(n_records, 12, 5000))
        X[:] = np.resize(make_ecg(32, rhythm="mixed", random_state=0).data, X.shape)
        X.flush()
        out = subprocess.run([sys.executable, "-c", code, file.name], capture_output=True, text=True, check=True)
    return float(out.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--records", type=int, default=128)
    parser.add_argument("--memory", action="store_true", help="measure the peak memory on a memmap too")
    parser.add_argument("--out", type=Path, default=None, help="JSON file for the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    X = make_ecg(arguments.records, rhythm="mixed", random_state=0).data
    flops = encoder_flops(2500)
    results: dict[str, Any] = {}
    print("precision  transform rec/s  encoder rec/s  encoder/transform  encoder/GEMM  rpeaks rec/s  preprocess rec/s")
    for precision in ("fp32", "bf16"):
        m = measure(precision, X, arguments.rounds)
        row = {
            "transform_rec_s": 1 / m["transform"],
            "encoder_rec_s": 1 / m["encoder"],
            "encoder_share": m["encoder"] / m["transform"],
            "encoder_of_gemm": flops / m["encoder"] / 1e9 / m["gemm_gflops"],
            "rpeaks_rec_s": 1 / m["rpeaks"],
            "preprocess_rec_s": 1 / m["preprocess"],
            "gemm_gflops": m["gemm_gflops"],
        }
        results[precision] = row
        print(
            f"{precision:9s}{row['transform_rec_s']:17.0f}{row['encoder_rec_s']:15.0f}{row['encoder_share']:19.1%}"
            f"{row['encoder_of_gemm']:14.1%}{row['rpeaks_rec_s']:14.0f}{row['preprocess_rec_s']:18.0f}"
        )
    if arguments.memory:
        few, many = peak_of_memmap(10 * BATCH), peak_of_memmap(100 * BATCH)
        results["memory_mib"] = {"10_batches": few, "100_batches": many}
        print(f"peak memory of transform on a memmap: {few:.0f} MiB for 10 batches, {many:.0f} MiB for 100")
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
