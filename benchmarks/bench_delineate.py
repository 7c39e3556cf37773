"""How fast records in memory become waves, and where the time goes.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_delineate

Measures: `WaveSegmenter.load("waves").delineate` on 12 leads x 10 s at 500 Hz: records per second of CPU time on one
thread, in bf16 and fp32, and the share of the network and of finding waves in its probabilities; a GEMM of the same
precision runs in between, and the network's share of that roof is reported. Medians of interleaved rounds.

Cannot show: wall-clock time on several threads, reading from disk; noisy signals have a few more waves than these.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from beatssl_sklearn import WaveSegmenter, make_ecg
from beatssl_sklearn.ecg import LEADS
from beatssl_sklearn.ecg.waves import find_waves
from beatssl_sklearn.inputs import Block
from beatssl_sklearn.segmentation import label_block
from benchmarks.roof import cpu_seconds, gemm_gflops

OUT = Path(__file__).parent / "results" / "delineate.json"
FS = 500.0
# As many records as `delineate` reads at once.
BLOCK = 16
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def measure(precision: str, X: np.ndarray, rounds: int) -> dict[str, float]:
    """Return median seconds per record of the whole and of its parts, and GFLOP/s of a GEMM in between."""
    segmenter = WaveSegmenter.load("waves").set_params(precision=precision, device="cpu")
    segmenter.delineate(X[:2])
    model = segmenter.unet_.model(torch.device("cpu"), DTYPES[precision])
    rows = np.array_split(np.arange(len(X)), -(-len(X) // BLOCK))
    blocks = [Block(own, X[own], FS, LEADS, np.zeros(len(own), bool)) for own in rows]
    labelled = [found for block in blocks for _, found in label_block(block, model)]

    def find() -> None:
        for found in labelled:
            n_times = found.signal.shape[-1]
            find_waves(found.proba.reshape(-1, n_times, 4), found.signal.reshape(-1, n_times), model.fs)

    parts: dict[str, Callable[[], Any]] = {
        "delineate": lambda: segmenter.delineate(X),
        "network": lambda: [found for block in blocks for _, found in label_block(block, model)],
        "find_waves": find,
    }
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    gemm = []
    for _ in range(rounds):
        gemm.append(gemm_gflops(model.dtype, 0.2))
        for name, function in parts.items():
            seconds[name].append(cpu_seconds(function) / len(X))
    out = {name: statistics.median(s) for name, s in seconds.items()}
    return out | {"gemm_gflops": statistics.median(gemm), "records_per_second": 1 / out["delineate"]}


def network_flops() -> float:
    """Return the operations of one record of 12 leads and 10 s, from the layers' shapes."""
    net = WaveSegmenter.load("waves").unet_.module().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 12, round(10.24 * net.fs)))
    return float(counter.get_total_flops())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=OUT, help="JSON file for the figures")
    args = parser.parse_args()
    torch.set_num_threads(1)
    X = make_ecg(args.records, rhythm="mixed", fs=FS, random_state=0).data
    flops = network_flops()
    results: dict[str, Any] = {"gflop_per_record": flops / 1e9}
    for precision in ("bf16", "fp32"):
        found = measure(precision, X, args.rounds)
        found["share_of_roof"] = flops / found["network"] / 1e9 / found["gemm_gflops"]
        results[precision] = {name: round(value, 5) for name, value in found.items()}
        sys.stdout.write(f"{precision}: {json.dumps(results[precision])}\n")
    args.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
