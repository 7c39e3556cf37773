"""What labelling beats costs beside embedding them, and how long a day and a training take.

    python -m benchmarks.bench_beats

One process, one thread, simulated two-lead ECGs at 250 Hz. Ratios, in paired runs: everything after the embedding
(timing, context, classifier, chain) over `BeatEmbedder` alone. Also the decoding of 100,000 beats, a day, and the
training of the shipped head on 150,000 beats. Written to `results/beats.json`.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from beatssl_sklearn import BeatEmbedder, load, make_ecg
from beatssl_sklearn.sequences import Chain

from .sequences.beats import labeller

N_BEATS_A_DAY, N_TRAINING = 100_000, 150_000


def seconds(function: Callable[[], Any]) -> float:
    """Return the time of one call [s]."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "beats.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    X = make_ecg(1, rhythm="pvc", fs=250, duration=600, random_state=0).data[:, [1, 6]]
    plain = BeatEmbedder("ptbxl", fs=250, leads=("II", "V1"))
    whole = load("beats")
    whole[0].set_params(fs=250, leads=("II", "V1"))
    ratios = []
    for _ in range(args.pairs + 1):
        alone, labelled = seconds(lambda: plain.transform(X)), seconds(lambda: whole.predict(X))
        ratios.append(labelled / alone)
    rng = np.random.default_rng(0)
    head = whole[-1]
    n_columns = head.estimator_.n_features_in_
    day = rng.normal(size=(N_BEATS_A_DAY, n_columns)).astype(np.float32)
    scores = np.log(rng.dirichlet(np.ones(len(head.classes_)), N_BEATS_A_DAY))
    starts = np.zeros(N_BEATS_A_DAY, dtype=bool)
    starts[0] = True
    chain = Chain(head.start_, head.transitions_)
    rows = [rng.normal(size=(2000, n_columns)).astype(np.float32) for _ in range(N_TRAINING // 2000)]
    labels = [rng.choice(head.classes_, 2000) for _ in rows]
    found = {
        "machine": platform.processor() or platform.machine(),
        "labelled_over_embedded": float(np.median(ratios[1:])),
        "labelled_over_embedded_range": [float(min(ratios[1:])), float(max(ratios[1:]))],
        "best_path_of_a_day_s": min(seconds(lambda: chain.best_path(scores, starts)) for _ in range(3)),
        "head_of_a_day_s": min(seconds(lambda: head.predict([day])) for _ in range(3)),
        "training_on_150000_beats_s": seconds(lambda: labeller().fit(rows, labels)),
    }
    args.out.write_text(json.dumps(found, indent=1) + "\n")
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
