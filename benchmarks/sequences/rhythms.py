"""Heads for atrial fibrillation: of records ("af") and of windows ("af-episodes"), their worth, and their files.

    python -m benchmarks.sequences.rhythms --cinc2017 CINC2017

Both are logistic regressions on the shipped encoder's embedding and on measures of the RR intervals, trained on CinC
2017. "af" labels records N, A, O and ~; each training record is there twice, once turned over, because the hand of the
electrode is not known. Measured by five folds, stratified, records with the same signal together; mean F1 of N, A and
O with bootstrap over records. "af-episodes" labels windows of 10 s, every 5 s, AFIB or not; records are read as lead I
and again as II. Measured by duration on MIT-BIH DS1, lead II, of which training has seen no patient; the transitions'
weight is chosen there, so that the figure is not a clean one.

Expected, before the run: .81 for "af"; .95 / .93 on DS1 with flutter left out.

Cannot show: DS1 has two patients with atrial fibrillation. CinC 2017 has no patient ids.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from beatssl_sklearn import ECGRecord, SequenceClassifier, WindowEmbedder, fetch_mitdb, save
from beatssl_sklearn.datasets import fetch_cinc2017
from beatssl_sklearn.ecg import RR_MEASURES, merge_episodes
from beatssl_sklearn.evaluation import episode_scores

from ..study.results import Table, command_of, with_interval, write_markdown

ROOT = Path(__file__).parents[2]
CLASSES = ("N", "A", "O", "~")
LEADS = ("I", "II")
N_RR = len(RR_MEASURES)
N_FOLDS, N_BOOTSTRAP = 5, 1000
C_RECORD, C_WINDOW = 0.015, 0.005
WEIGHTS = (0.0, 0.1, 0.25, 0.5)
WEIGHT = 0.25
RUN: dict[str, Any] = {"batch_size": 32, "check": "ignore", "allow_nan": True}


def logistic(C: float) -> Pipeline:
    """Return a logistic regression on standardized columns."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=300, tol=1e-3))


def pipelines() -> dict[str, Pipeline]:
    """Return the pipelines that ship, not fitted."""
    record = WindowEmbedder("ptbxl", window=None, timing=True)
    windows = WindowEmbedder("ptbxl", window=10.0, step=5.0, timing=True, timing_window=30.0)
    return {
        "af": Pipeline([("embed", record), ("label", SequenceClassifier(logistic(C_RECORD), None))]),
        "af-episodes": Pipeline([("embed", windows), ("label", SequenceClassifier(logistic(C_WINDOW), weight=WEIGHT))]),
    }


def embedded(cache: Path, name: str, embedder: WindowEmbedder, records: Any) -> list[NDArray[np.float32]]:
    """Embed records once, some at a time."""
    path = cache / f"{name}.joblib"
    if not path.exists():
        found: list[Any] = []
        for start in range(0, len(records), 100):
            found += list(embedder.transform([records[i] for i in range(start, min(start + 100, len(records)))]))
            sys.stdout.write(f"{name}: {len(found)} of {len(records)}\n")
            sys.stdout.flush()
        cache.mkdir(parents=True, exist_ok=True)
        joblib.dump(found, path)
    return list(joblib.load(path))


class Turned:
    """Records as lead I or II, turned over or not."""

    def __init__(self, records: Any, lead: str, sign: float) -> None:
        self.records, self.lead, self.sign = records, lead, sign

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, i: int) -> ECGRecord:
        record = self.records[i]
        return ECGRecord(self.sign * record.signal[:1], record.fs, (self.lead,))


def mean_f1(y: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Return the challenge's score."""
    return float(np.mean(f1_score(y, predicted, average=None, labels=["N", "A", "O"])))


def cross_validated(
    y: NDArray[Any], groups: NDArray[Any], plain: list[NDArray], turned: list[NDArray]
) -> dict[str, Any]:
    """Return the scores of the head of records."""
    predicted = np.empty(len(y), dtype=y.dtype)
    for train, test in StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=0).split(y, y, groups):
        head = pipelines()["af"][-1]
        rows = [part[i] for part in (plain, turned) for i in train]
        head.fit(rows, [y[[i]] for _ in range(2) for i in train])
        predicted[test] = np.concatenate(list(head.predict([plain[i] for i in test])))
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(y), len(y)) for _ in range(N_BOOTSTRAP)]
    low, high = np.quantile([mean_f1(y[d], predicted[d]) for d in draws], [0.025, 0.975])
    each = f1_score(y, predicted, average=None, labels=list(CLASSES))
    means = {"mean": mean_f1(y, predicted), "mean_low": low, "mean_high": high}
    return {**means, **{f"F1 {c}": v for c, v in zip(CLASSES, each, strict=True)}}


def fit_episodes(y: NDArray[Any], windows: list[list[NDArray]]) -> SequenceClassifier:
    """Fit the head of windows; each record has the same weight, noise is left out."""
    kept = np.flatnonzero(y != "~")
    rows = [part[i] for part in windows for i in kept]
    labels = [np.full(len(part[i]), "AFIB" if y[i] == "A" else "N") for part in windows for i in kept]
    weights = [1 / len(part[i]) for part in windows for i in kept]
    head: SequenceClassifier = pipelines()["af-episodes"][-1]
    return head.fit(rows, labels, sample_weight=weights)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = os.environ.get("BEATSSL_DATA", str(ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(shared), help="folder with mitdb/ as published")
    parser.add_argument("--cinc2017", type=Path, required=True, help="folder of CinC 2017 as published")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "sequences")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "sequences")
    parser.add_argument("--weights", type=Path, default=ROOT / "beatssl_sklearn" / "weights")
    parser.add_argument("--episodes", action="store_true", help="also the head of windows; half an hour on one core")
    parser.add_argument("--records", type=int, default=None, help="first records of each set, for trials")
    args = parser.parse_args()
    threadpool_limits(1)
    warnings.simplefilter("ignore")
    read = fetch_cinc2017(args.cinc2017, download_if_missing=False)
    n = len(read.data) if args.records is None else args.records
    records, y, groups = read.data[:n], read.target[:n], read.group[:n]
    whole = pipelines()["af"][0].set_params(**RUN)
    windowed = pipelines()["af-episodes"][0].set_params(**RUN)
    plain = embedded(args.cache, f"cinc-{n}-plain", whole, Turned(records, "I", 1.0))
    turned = embedded(args.cache, f"cinc-{n}-turned", whole, Turned(records, "I", -1.0))
    # R peaks are those of the record, whichever way its trace is turned.
    turned = [np.concatenate([b[:, :-N_RR], a[:, -N_RR:]], axis=1) for a, b in zip(plain, turned, strict=True)]
    table = Table(args.out / "af.csv", ("row",))
    table.add({"row": "af", **cross_validated(y, groups, plain, turned)})
    record_head = pipelines()["af"]
    record_head[-1].fit([*plain, *turned], [y[[i]] for i in range(n)] * 2)
    write_model(args.weights / "af.bssl", record_head)
    if args.episodes:
        windows = [embedded(args.cache, f"cinc-{n}-{lead}", windowed, Turned(records, lead, 1.0)) for lead in LEADS]
        episode_head = pipelines()["af-episodes"]
        episode_head.steps[-1] = ("label", fit_episodes(y, windows))
        write_model(args.weights / "af-episodes.bssl", episode_head)
        score_episodes(table, args, episode_head, windowed)
    write(table, args, y)


def write_model(path: Path, pipeline: Pipeline) -> None:
    """Write a pipeline and say how large the file is."""
    save(pipeline, path, by_name=True)
    sys.stdout.write(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB\n")


def score_episodes(table: Table, args: argparse.Namespace, head: Pipeline, windowed: WindowEmbedder) -> None:
    """Score episodes on MIT-BIH DS1 by weights of the transitions."""
    ds1 = fetch_mitdb(args.data / "mitdb", records="DS1", download_if_missing=False)
    own = [i for i in range(len(ds1.data)) if ds1.leads[i][0] == "II"]
    strips = Turned([ds1.data[i] for i in own], "II", 1.0)
    rows = embedded(args.cache, "mitdb-windows", windowed, strips)
    lengths = [record.signal.shape[1] for record in strips.records]
    spans = windowed.windows([strips[i] for i in range(len(own))])
    for weight in WEIGHTS:
        labels = head[-1].set_params(weight=weight).predict(rows)
        found = [merge_episodes(part, span) for part, span in zip(labels, spans, strict=True)]
        for ignore in ((), ("AFL",)):
            s = episode_scores([ds1.rhythms[i] for i in own], found, fs=ds1.fs, n_times=lengths, ignore=ignore)
            name = f"DS1, weight {weight}{', flutter left out' if ignore else ''}"
            times = {"Se": s.duration_sensitivity, "PPV": s.duration_ppv, "specificity": s.duration_specificity}
            of_episodes = {"episode Se": s.episode_sensitivity, "episode PPV": s.episode_ppv}
            table.add({"row": name, **times, **of_episodes})


def write(table: Table, args: argparse.Namespace, y: NDArray[Any]) -> None:
    """Write the Markdown table."""
    about = [
        f"CinC 2017: {len(y):,} records, " + ", ".join(f"{(y == c).sum():,} {c}" for c in ("N", "A", "O", "~")) + ".",
        "MIT-BIH DS1: lead II, half an hour each; two of 22 records have atrial fibrillation. By duration.",
    ]
    names = ("F1 N", "F1 A", "F1 O", "F1 ~", "Se", "PPV", "specificity", "episode Se", "episode PPV")
    lines = [[r["row"], with_interval(r, "mean"), *(with_interval(r, name) for name in names)] for r in table.rows]
    command = command_of("benchmarks.sequences.rhythms", sys.argv[1:])
    write_markdown(args.out / "af.md", "Atrial fibrillation", about, command, ("row", "mean F1 N, A, O", *names), lines)


if __name__ == "__main__":
    main()
