"""Heads for atrial fibrillation: of records ("af") and of windows ("af-episodes"), their worth, and their files.

    python -m benchmarks.sequences.rhythms --cinc2017 CINC2017 --episodes

Both are logistic regressions on the shipped encoder's embedding and on measures of the RR intervals, trained on CinC
2017. "af" labels records N, A, O and ~; each training record is there twice, once turned over, because the hand of the
electrode is not known. Measured by five folds, stratified, records with the same signal together; mean F1 of N, A and
O with bootstrap over records. "af-episodes" labels windows of 10 s, every 5 s, AFIB or not; records are read as lead I
and again as II. How much the order of windows counts is chosen on made recordings (`episodes`), without MIT-BIH.
Measured on MIT-BIH DS1, of which training has seen no patient, with bootstrap over records.

Expected, before the run: .81 for "af"; .95 / .93 by duration on DS1 with flutter left out.

Cannot show: DS1 has two patients with atrial fibrillation, and the lengths of windows and the strength of the
regression of "af-episodes" were tried on them. CinC 2017 has no patient ids.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from beatssl_sklearn import save
from beatssl_sklearn.datasets import fetch_cinc2017
from beatssl_sklearn.ecg import RR_MEASURES

from ..study.results import Table, command_of, with_interval, write_markdown
from .episodes import choose_weight, fit_episodes, score_ds1
from .rhythm_heads import RUN, Turned, embedded, pipelines

ROOT = Path(__file__).parents[2]
CLASSES = ("N", "A", "O", "~")
LEADS = ("I", "II")
N_RR = len(RR_MEASURES)
N_FOLDS, N_BOOTSTRAP = 5, 1000


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
    plain = embedded(args.cache, f"cinc-{n}-plain", whole, Turned(records, "I", 1.0))
    turned = embedded(args.cache, f"cinc-{n}-turned", whole, Turned(records, "I", -1.0))
    # R peaks are those of the record, whichever way its trace is turned.
    turned = [np.concatenate([b[:, :-N_RR], a[:, -N_RR:]], axis=1) for a, b in zip(plain, turned, strict=True)]
    table = Table(args.out / "af.csv", ("row",))
    if table.find(row="af") is None:
        table.add({"row": "af", **cross_validated(y, groups, plain, turned)})
    record_head = pipelines()["af"]
    record_head[-1].fit([*plain, *turned], [y[[i]] for i in range(n)] * 2)
    write_model(args.weights / "af.bssl", record_head)
    about = [f"CinC 2017: {len(y):,} records, " + ", ".join(f"{(y == c).sum():,} {c}" for c in CLASSES) + "."]
    if args.episodes:
        episodes(args, records, y, groups)
    write(args, table, about)


def episodes(args: argparse.Namespace, records: Any, y: NDArray[Any], groups: NDArray[Any]) -> None:
    """Fit, measure and write the head of windows."""
    windowed = pipelines()["af-episodes"][0].set_params(**RUN)
    n = len(y)
    windows = [embedded(args.cache, f"cinc-{n}-{lead}", windowed, Turned(records, lead, 1.0)) for lead in LEADS]
    pipeline = pipelines()["af-episodes"]
    pipeline.steps[-1] = ("label", fit_episodes(y, windows, np.arange(n)))
    table = Table(args.out / "episodes.csv", ("row",))
    chosen = choose_weight(table, args.cache, y, groups, windows, pipeline)
    score_ds1(table, args.cache, args.data, pipeline, chosen)
    pipeline[-1].set_params(weight=chosen)
    write_model(args.weights / "af-episodes.bssl", pipeline)
    names = ("Se", "PPV", "duration F1", "specificity", "episode Se", "episode PPV", "episode F1")
    lines = [[row["row"], *(with_interval(row, name) for name in names)] for row in table.rows]
    known = [
        "Stitched and repeated: windows of CinC 2017, by heads of three folds. Simulated: `make_ecg`. "
        f"On these the weight is chosen: {chosen:g}.",
        "DS1: 95 % intervals by bootstrap over its records, half an hour each; two have atrial fibrillation.",
    ]
    command = command_of("benchmarks.sequences.rhythms", sys.argv[1:])
    write_markdown(args.out / "episodes.md", "Episodes of atrial fibrillation", known, command, ("row", *names), lines)


def write_model(path: Path, pipeline: Pipeline) -> None:
    """Write a pipeline and say how large the file is."""
    save(pipeline, path, by_name=True)
    sys.stdout.write(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB\n")


def write(args: argparse.Namespace, table: Table, about: list[str]) -> None:
    """Write the Markdown table of the head of records."""
    names = tuple(f"F1 {c}" for c in CLASSES)
    lines = [[r["row"], with_interval(r, "mean"), *(with_interval(r, name) for name in names)] for r in table.rows]
    command = command_of("benchmarks.sequences.rhythms", sys.argv[1:])
    write_markdown(args.out / "af.md", "Atrial fibrillation", about, command, ("row", "mean F1 N, A, O", *names), lines)


if __name__ == "__main__":
    main()
