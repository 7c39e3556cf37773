"""What timing, context, morphology, transitions and centring are worth for heartbeats, on records not seen before.

    python -m benchmarks.sequences.ablation --svdb SVDB

Sets: MIT-BIH DS1 (22 patients, five folds of patients) with training on the other DS1 patients ("DS1"), the same with
all of SVDB in training ("DS1, SVDB too"), and SVDB (53 records, six blocks of neighbours) with training on the other
blocks and DS1 ("SVDB"). Classes N, S, V, F; F1 as scikit-learn counts it, over all beats ("gross") and as the mean of
patients or records that have the class; 95 % intervals by bootstrap over patients or records. Annotated R peaks where
nothing else is said; at the package's own, a missed beat counts against its class, and an extra one against its label.

Expected, before the run: timing lifts S above all, context lifts V, transitions help runs of S by some hundredths and
isolated ones by nothing, a CRF is no better than counted transitions because training and test differ in their runs,
and centring harms where a record is full of one class.

Morphology came later, without a prediction. All of its columns were kept as first written; none was chosen by a score.

Cannot show: DS2 and the other records of SVDB, which are held back; F, of which one record has nearly all.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from beatssl_sklearn import BeatContext, SequenceClassifier
from beatssl_sklearn.ecg import MORPHOLOGY_NAMES, TIMING_NAMES
from beatssl_sklearn.evaluation import aami_scores

from ..study.results import Table, command_of, with_interval, write_markdown
from .beats import CLASSES, BeatSet, head, labeller, load_beats, shipped_labeller

SETS = ("DS1", "DS1, SVDB too", "SVDB")
KEYS = ("row", "set")
N_TIMING, N_MORPHOLOGY = len(TIMING_NAMES), len(MORPHOLOGY_NAMES)


class Way(NamedTuple):
    """How beats are described, which head labels them, and whether it learns and is tested at the package's R peaks."""

    describe: Callable[[list[NDArray]], list[NDArray]]
    make: Callable[[], Any]
    learns_detected: bool = False
    detected: bool = False


def context_columns(**parameters: Any) -> Callable[[list[NDArray]], list[NDArray]]:
    """Describe beats by their context, all records at once: without components, nothing is learnt."""
    own = {"n_components": 0, **parameters}
    chosen = some_columns(timing=own.get("timing", True), morphology=own.get("morphology", False))
    return lambda beats: list(BeatContext(**own).fit_transform(chosen(beats)))


def some_columns(
    embedding: bool = True, morphology: bool = False, timing: bool = False
) -> Callable[[list[NDArray]], list[NDArray]]:
    """Choose blocks of the columns."""

    def chosen(beats: list[NDArray]) -> list[NDArray]:
        n = beats[0].shape[1]
        edges = (0, n - N_MORPHOLOGY - N_TIMING, n - N_TIMING, n)
        blocks = zip((embedding, morphology, timing), edges, edges[1:], strict=False)
        columns = np.concatenate([np.arange(start, stop) for kept, start, stop in blocks if kept])
        return [b[:, columns] for b in beats]

    return chosen


def _logistic(n_components: int | None = None) -> Any:
    steps: list[Any] = [StandardScaler(), LogisticRegression(C=0.01, max_iter=300)]
    return make_pipeline(*([PCA(n_components, random_state=0)] if n_components else []), *steps)


def _alone(estimator: Any) -> Callable[[], Any]:
    return lambda: SequenceClassifier(estimator, None)


WAYS = {
    "embedding, logistic regression": Way(some_columns(), _alone(_logistic(128))),
    "timing": Way(some_columns(embedding=False, timing=True), _alone(head())),
    "embedding and timing, logistic regression": Way(some_columns(timing=True), _alone(_logistic(128))),
    "context": Way(context_columns(timing=False), _alone(head())),
    "context and timing, no neighbours": Way(context_columns(neighbours=0), _alone(head())),
    "context and timing, logistic regression": Way(context_columns(), _alone(_logistic())),
    "context and timing": Way(context_columns(), _alone(head())),
    "and 16 components": Way(context_columns(n_components=16), _alone(head())),
    "and centred scores": Way(context_columns(), lambda: SequenceClassifier(head(), None, centre=True)),
    "and transitions, weight .25": Way(context_columns(), lambda: SequenceClassifier(head(), weight=0.25)),
    "and transitions, weight .5": Way(context_columns(), labeller),
    "and transitions, weight 1": Way(context_columns(), lambda: SequenceClassifier(head(), weight=1.0)),
    "and a trained chain (crf)": Way(context_columns(), lambda: SequenceClassifier(head(), "crf")),
    "weight .5, tested at own R peaks": Way(context_columns(), labeller, False, True),
    "weight .5, learns at both R peaks": Way(context_columns(), shipped_labeller, True),
    "the same, tested at own R peaks": Way(context_columns(), shipped_labeller, True, True),
    "morphology and timing, learns at both R peaks": Way(some_columns(False, True, True), shipped_labeller, True),
    "morphology and timing, tested at own R peaks": Way(some_columns(False, True, True), shipped_labeller, True, True),
    "context, morphology and timing, both R peaks": Way(context_columns(morphology=True), shipped_labeller, True),
    "context, morphology and timing, own R peaks": Way(context_columns(morphology=True), shipped_labeller, True, True),
}


def predicted(way: Way, target: BeatSet, other: BeatSet | None) -> list[NDArray]:
    """Label the beats of each record by a head that has not seen its group."""
    tested = way.describe(target.detected_beats if way.detected else target.beats)
    return labelled(way, target, other, [tested])[0]


def labelled(
    way: Way, target: BeatSet, other: BeatSet | None, tested: list[list[NDArray]], seed: int = 0
) -> list[list[NDArray]]:
    """Label several descriptions of the beats of each record by a head that has not seen its group.

    Seeds but 0 draw other folds.
    """
    own = _to_learn(way, target)
    more = [] if other is None else [part for parts in _to_learn(way, other) for part in parts]
    found: list[list[Any]] = [[None] * len(target.names) for _ in tested]
    n_folds = min(6 if len(target.names) > 30 else 5, len(np.unique(target.groups)))
    folds = GroupKFold(n_folds, shuffle=True, random_state=seed) if seed else GroupKFold(n_folds)
    for train, test in folds.split(target.names, groups=target.groups):
        learnt = [part for i in train for part in own[i]] + more
        X, y, groups = zip(*learnt, strict=True)
        fitted = way.make().fit(X, y, groups=groups)
        for described, labels_of in zip(tested, found, strict=True):
            for i, labels in zip(test, fitted.predict([described[i] for i in test]), strict=True):
                labels_of[i] = labels
    return found


def _to_learn(way: Way, beats: BeatSet) -> list[list[tuple[NDArray, NDArray, str]]]:
    """Return, for each record, its beats, their labels and its group, once or at both kinds of R peaks."""
    groups = [f"{beats.fs:g} {group}" for group in beats.groups]
    found = [[part] for part in zip(way.describe(beats.beats), beats.labels, groups, strict=True)]
    if way.learns_detected:
        own = zip(way.describe(beats.detected_beats), beats.detected_labels, groups, strict=True)
        found = [[*parts, part] for parts, part in zip(found, own, strict=True)]
    return found


def scored(way: Way, target: BeatSet, other: BeatSet | None) -> dict[str, Any]:
    """Return F1 of each class, gross and as the mean over patients, with intervals."""
    at: dict[str, Any] = {}
    if way.detected:
        at = {"rpeaks": target.rpeaks, "detected": target.detected, "fs": target.fs}
    # Patients have DS1; of SVDB, each record counts as one.
    patients = target.groups if len(target.names) < 30 else np.arange(len(target.names))
    scores = aami_scores(
        target.labels, predicted(way, target, other), patients=patients, classes=CLASSES, exempt="none", **at
    )
    out: dict[str, Any] = {}
    for name, rates, of in (("gross", scores.gross, "gross"), ("mean", scores.mean_over_patients, "patients")):
        low, high = scores.intervals(of)
        for label in ("N", "S", "V", "F"):
            key = f"{name}_{label}"
            out[key] = rates.of(label)["f1"]
            out[f"{key}_low"], out[f"{key}_high"] = low.of(label)["f1"], high.of(label)["f1"]
    return out


def make_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments of every command that trains heads on both sets."""
    here = Path(__file__).parents[1]
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = os.environ.get("BEATSSL_DATA", str(here.parents[1] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(shared), help="folder with mitdb/ as published")
    parser.add_argument("--svdb", type=Path, required=True, help="folder of SVDB as published")
    parser.add_argument("--cache", type=Path, default=here.parent / "runs" / "sequences")
    parser.add_argument("--out", type=Path, default=here / "results" / "sequences")
    parser.add_argument("--records", type=int, default=None, help="first records of each set, for trials")
    return parser


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--rows", type=lambda s: s.split(";"), default=list(WAYS))
    words = sys.argv[1:] if argv is None else argv
    args = parser.parse_args(words)
    threadpool_limits(1)
    # The network stops after twelve epochs on purpose.
    warnings.simplefilter("ignore", ConvergenceWarning)
    ds1, svdb = (load_beats(name, args, args.records) for name in ("mitdb", "svdb"))
    table = Table(args.out / "beats.csv", KEYS)
    for row in args.rows:
        for name, target, other in zip(SETS, (ds1, ds1, svdb), (None, svdb, ds1), strict=True):
            if table.find(row=row, set=name) is None:
                start = time.time()
                table.add({"row": row, "set": name, **scored(WAYS[row], target, other)})
                sys.stdout.write(f"{row} | {name}: {time.time() - start:.0f} s\n")
                sys.stdout.flush()
            write(table, args, words, ds1, svdb)


def write(table: Table, args: argparse.Namespace, words: list[str], ds1: BeatSet, svdb: BeatSet) -> None:
    """Write the Markdown table."""
    about = [
        f"MIT-BIH DS1: {_counts(ds1)}. SVDB: {_counts(svdb)}. Seed 0.",
        "Each head has seen no beat of the fold's patients (DS1) or block of records (SVDB). F1; 95 % intervals by",
        "bootstrap over patients or records. `S mean`: mean over patients or records that have S beats.",
    ]
    header = ("set", "row", "F1 S", "S mean", "F1 V", "V mean", "F1 N", "F1 F")
    lines = []
    for name in SETS:
        for row in WAYS:
            if (found := table.find(row=row, set=name)) is not None:
                names = ("gross_S", "mean_S", "gross_V", "mean_V", "gross_N", "gross_F")
                lines.append([name, row, *(with_interval(found, key) for key in names)])
    command = command_of("benchmarks.sequences.ablation", words)
    write_markdown(args.out / "beats.md", "Heartbeats in sequence", about, command, header, lines)


def _counts(beats: BeatSet) -> str:
    every = np.concatenate(beats.labels)
    return f"{len(beats.names)} records, " + ", ".join(f"{(every == c).sum():,} {c}" for c in CLASSES)


if __name__ == "__main__":
    main()
