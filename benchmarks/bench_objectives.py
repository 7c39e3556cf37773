"""What objectives and their encoders cost, beside `BeatSSL` on beatnet of size m.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_objectives --rounds 5

Measures: CPU seconds on one thread, of whole fits (reading, views, losses, optimiser; what is measured once on the
records is in them) of a few epochs less those of one epoch, and of `RhythmEmbedder.transform`, on simulated 12-lead
records of 10 s at 100 Hz, two records a patient. Rows take turns within a round; each is divided by the first row of
its round. Medians and ranges of the rounds, as shares of the speed of `BeatSSL()`: above 1 is faster.

Cannot show: a GPU, several threads, other lengths; whether a step of one objective is worth as much as one of another.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from beatssl_sklearn import BeatSSL, DualStream, LeadAgnostic, Pretrainer, RhythmEmbedder, make_ecg
from benchmarks.roof import cpu_seconds
from benchmarks.study.configs import BEATNET, STREAMS, TRANSFORMER, Setting

ROWS: dict[str, Setting] = {
    "BeatSSL(), beatnet m": Setting(BeatSSL(), BEATNET),
    "BeatSSL.shipped(), beatnet m": Setting(BeatSSL.shipped(), BEATNET),
    "LeadAgnostic(), transformer": Setting(LeadAgnostic(), TRANSFORMER),
    "LeadAgnostic(local_weight=0), beatnet m": Setting(LeadAgnostic(local_weight=0.0), BEATNET),
    "DualStream(), dual_stream": Setting(DualStream(), STREAMS),
}
N_RECORDS, BATCH, N_EPOCHS = 128, 64, 2


def pretrainer(setting: Setting, max_epochs: int) -> Pretrainer:
    """Return the unfitted pretrainer of a row."""
    run: dict[str, Any] = {"max_epochs": max_epochs, "batch_size": BATCH, "precision": "fp32", "check": "ignore"}
    return Pretrainer(setting.objective, fs=100, random_state=0, **run, **setting.changes)


def measured(setting: Setting, X: NDArray, patients: NDArray) -> tuple[float, float, float]:
    """Return CPU seconds of one epoch of pretraining and of embedding all records, and millions of parameters."""
    short, long = pretrainer(setting, 1), pretrainer(setting, 1 + N_EPOCHS)
    first = cpu_seconds(lambda: short.fit(X, groups=patients))
    both = cpu_seconds(lambda: long.fit(X, groups=patients))
    embedder = RhythmEmbedder(short, batch_size=BATCH)
    embedder.transform(X[:BATCH])
    embedding = cpu_seconds(lambda: embedder.transform(X))
    return (both - first) / N_EPOCHS, embedding, sum(w.size for w in short.encoder_.weights.values()) / 1e6


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "objectives.json")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    ecg = make_ecg(N_RECORDS // 2, fs=100, random_state=0)
    X, patients = ecg.data.repeat(2, axis=0), torch.arange(N_RECORDS // 2).repeat_interleave(2).numpy()
    rounds: list[dict[str, tuple[float, float, float]]] = []
    for _ in range(args.rounds):
        rounds.append({name: measured(setting, X, patients) for name, setting in ROWS.items()})
    reference, out = next(iter(ROWS)), {}
    for name in ROWS:
        row: dict[str, Any] = {"million_parameters": round(rounds[0][name][2], 2)}
        for k, what in enumerate(("pretrain", "transform")):
            own = sorted(seconds[reference][k] / seconds[name][k] for seconds in rounds)
            row[what] = [round(x, 2) for x in (statistics.median(own), own[0], own[-1])]
            rate = statistics.median(N_RECORDS / seconds[name][k] for seconds in rounds)
            row[f"{what}_records_per_second"] = round(rate)
        out[name] = row
        sys.stdout.write(f"{name}: {json.dumps(row)}\n")
    args.out.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
