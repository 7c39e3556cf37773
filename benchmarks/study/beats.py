"""MIT-BIH beats across patients, from the same encoders.

    python -m benchmarks.study.beats --unpacked PTBXL --model ours=OURS.bssl --rows random,features,hard,paper,ours

Measures: F1 of the AAMI classes N, S, V, F on DS1 (22 records, two leads, 360 Hz) with whole patients left out, eleven
folds. A linear head (softmax) on the beats' embeddings at the reference peaks; its strength and a threshold per class
are chosen on held-out patients of the training part, and the class with the largest margin over its threshold is the
decision. "in context": the first 128 principal components of each beat's embedding, beside their difference from the
median of the record, for the beat and for its two neighbours; this needs no label, and readers compare beats this way.
"features": the hand features of beats with principal components, the same heads. Intervals are 95 % by bootstrap over
patients.

Cannot show: DS2. Nearly all F beats belong to one record, 208: without it there is nothing to learn them from, and
their F1 means little. The detector is not tested. The other ten leads are absent for the encoder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from beatssl_sklearn import BeatEmbedder, Pretrainer, fetch_mitdb
from beatssl_sklearn.ecg import keep_inside
from beatssl_sklearn.ecg.features import beat_features, concatenate, fit_components, standardize, with_components
from beatssl_sklearn.evaluation.probing import LinearProbe, best_thresholds

from .common import Study, make_parser, parse
from .models import digest_of, remembered
from .results import Table, shown, with_interval, write_markdown

CLASSES = ("N", "S", "V", "F")
N_QUICK = 3
N_FOLDS, N_INNER_FOLDS, N_BOOTSTRAP = 11, 5, 1000
MOST_NORMAL, TOL = 300, 1e-3
C_GRID = (1e-4, 1e-3, 1e-2, 1e-1)
KEYS = ("row", "context", "encoder", "n_records")
_WINDOW = (0.25, 0.45)
_COMPONENTS_FROM = 5000


class Beats(NamedTuple):
    """Beats of DS1 whose window lies inside the record, unclassifiable ones left out."""

    data: Any
    rpeaks: list[NDArray[np.int64]]
    label: NDArray[np.int64]
    patient: NDArray[np.int64]
    record: NDArray[np.int64]


@cache
def load_beats(folder: Path, n_records: int | None = None) -> Beats:
    """Read the beats of DS1, or of its first records; a record lasts half an hour."""
    data = fetch_mitdb(folder, records="DS1", download_if_missing=False)
    n = len(data.data) if n_records is None else n_records
    rpeaks, labels, patients = [], [], []
    for i in range(n):
        known = np.isin(data.beat_labels[i], CLASSES)
        peaks, own = data.rpeaks[i][known], data.beat_labels[i][known]
        one = data.data[i]
        inside = np.isin(peaks, keep_inside(peaks, one.signal.shape[1], one.fs, _WINDOW))
        rpeaks.append(peaks[inside])
        labels.append(np.array([CLASSES.index(c) for c in own[inside]], np.int64))
        patients.append(np.full(inside.sum(), data.patient_id[i]))
    record = np.repeat(np.arange(n), [len(p) for p in rpeaks])
    return Beats(data.data[:n], rpeaks, np.concatenate(labels), np.concatenate(patients), record)


def beat_embeddings(
    pretrainer: Pretrainer, beats: Beats, cache_folder: Path, device: str | None = None
) -> NDArray[np.float32]:
    """Embed the beats, once for each model, record by record."""

    def compute() -> NDArray[np.float32]:
        embedder = BeatEmbedder(pretrainer, batch_size=64, device=device)
        parts = [
            embedder.transform([beats.data[i]], rpeaks=[peaks])[0] for i, peaks in enumerate(beats.rpeaks) if len(peaks)
        ]
        return np.concatenate(parts)

    path = cache_folder / "embeddings" / f"{digest_of(pretrainer)}-mitdb-{len(beats.rpeaks)}.npy"
    found = remembered(path, compute)
    if len(found) != len(beats.label):
        raise ValueError(f"{len(found)} embeddings of {len(beats.label)} beats: {path.name}")
    return found


def hand_beat_features(beats: Beats) -> NDArray[np.float32]:
    """Return standardised hand features; scales and components come from all beats, because no label is used."""
    tables = []
    for i, peaks in enumerate(beats.rpeaks):
        one = beats.data[i]
        tables.append(beat_features(one.signal[None], one.fs, [peaks], one.leads, _WINDOW))
    table = concatenate(tables)
    assert table.beats is not None
    some = np.random.default_rng(0).permutation(len(table.values))[:_COMPONENTS_FROM]
    z, present, _ = standardize(with_components(table, components=fit_components(table.beats[some])))
    return np.hstack([z, ~present[:, ~present.all(axis=0)]]).astype(np.float32)


def reduced(Z: NDArray[np.float32], n_dims: int = 128) -> NDArray[np.float32]:
    """Return the leading principal components of the standardised columns."""
    z = (Z - Z.mean(axis=0)) / np.maximum(Z.std(axis=0), 1e-6)
    axes = np.linalg.eigh((z.T @ z).astype(np.float64) / len(z))[1][:, ::-1][:, :n_dims]
    return np.asarray(z @ axes.astype(np.float32))


def in_context(Z: NDArray[np.float32], record: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return each beat, its difference from the record's median, and the differences of the beats beside it."""
    parts = []
    for i in np.unique(record):
        own = Z[record == i]
        off = own - np.median(own, axis=0)
        before, after = np.vstack([off[:1], off[:-1]]), np.vstack([off[1:], off[-1:]])
        parts.append(np.hstack([own, off, before, after]))
    return np.concatenate(parts)


def decide(p: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the class with the largest odds, in units of the odds at its threshold."""
    p = np.clip(p, 1e-9, 1 - 1e-9)
    t = np.clip(thresholds, 1e-9, 1 - 1e-9)
    return np.asarray((np.log(p / (1 - p)) - np.log(t / (1 - t))).argmax(axis=1))


def cross_validate(Z: NDArray[np.float32], label: NDArray, patient: NDArray) -> NDArray[np.int64]:
    """Predict each beat by a model that has not seen its patient."""
    found = np.zeros(len(label), np.int64)
    for train, test in _folds(label, patient, N_FOLDS):
        C, thresholds = choose(Z[train], label[train], patient[train])
        found[test] = decide(_probabilities(Z[train], label[train], patient[train], Z[test], C), thresholds)
    return found


def choose(Z: NDArray[np.float32], label: NDArray, patient: NDArray) -> tuple[float, NDArray[np.float64]]:
    """Return the strength and the thresholds with the best macro F1 on held-out patients, all of them in turn."""
    best, chosen = -1.0, (C_GRID[0], np.full(len(CLASSES), 0.5))
    for C in C_GRID:
        p = np.zeros((len(label), len(CLASSES)))
        for train, test in _folds(label, patient, N_INNER_FOLDS):
            p[test] = _probabilities(Z[train], label[train], patient[train], Z[test], C)
        thresholds = best_thresholds(label[:, None] == np.arange(len(CLASSES)), p)
        confusion = confusion_by_patient(label, decide(p, thresholds), patient).sum(axis=0)
        value = float(f1_of(confusion).mean())
        if value > best:
            best, chosen = value, (C, thresholds)
    return chosen


def _folds(label: NDArray, patient: NDArray, n_folds: int) -> Iterator[tuple[NDArray, NDArray]]:
    return GroupKFold(min(n_folds, len(np.unique(patient)))).split(label, label, patient)


def _probabilities(
    Z: NDArray[np.float32], label: NDArray, patient: NDArray, Z_test: NDArray[np.float32], C: float
) -> NDArray[np.float64]:
    """Fit softmax regression on at most 300 normal beats of a patient, and predict.

    Fewer normal beats change priors and not decisions: thresholds are chosen on all beats.
    """
    rows = np.flatnonzero(label != 0)
    for one in np.unique(patient):
        normal = np.flatnonzero((label == 0) & (patient == one))
        rows = np.append(rows, normal[np.linspace(0, len(normal) - 1, min(len(normal), MOST_NORMAL)).astype(np.int64)])
    rows = np.sort(rows)
    model = LinearProbe(C=C, tol=TOL).fit(Z[rows], label[rows])
    found = model.predict_proba(Z_test)
    p = np.zeros((len(Z_test), len(CLASSES)))
    p[:, model.classes_] = found
    return p


def confusion_by_patient(true: NDArray, found: NDArray, patient: NDArray) -> NDArray[np.int64]:
    """Count (n_patients, n_classes, n_classes): true class by found class."""
    code = np.unique(patient, return_inverse=True)[1]
    counts = np.zeros((code.max() + 1, len(CLASSES), len(CLASSES)), np.int64)
    np.add.at(counts, (code, true, found), 1)
    return counts


def f1_of(confusion: NDArray) -> NDArray[np.float64]:
    """Return the F1 of each class (..., n_classes); 0 where a class is neither there nor found."""
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    whole = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    return np.divide(2 * hit, whole, out=np.zeros(hit.shape), where=whole > 0)


def scores(true: NDArray, found: NDArray, patient: NDArray, seed: int = 0) -> dict[str, Any]:
    """Return the F1 of each class and their mean, with 95 % intervals over patients."""
    counts = confusion_by_patient(true, found, patient)
    n = len(counts)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=N_BOOTSTRAP)
    replicates, whole = f1_of(np.einsum("bp,pij->bij", drawn, counts)), f1_of(counts.sum(axis=0))
    columns = {f"f1_{c}": (whole[k], replicates[:, k]) for k, c in enumerate(CLASSES)}
    columns["f1_macro"] = whole.mean(), replicates.mean(axis=1)
    out: dict[str, Any] = {}
    for name, (value, spread) in columns.items():
        out[name] = float(value)
        out[f"{name}_low"], out[f"{name}_high"] = (float(q) for q in np.quantile(spread, [0.025, 0.975]))
    return out | {"n_beats": len(true)}


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__, ("random", "features", "hard", "paper", "ours"))
    args = parse(parser, "beats", argv)
    study = Study(args)
    beats = load_beats(args.data / "mitdb", N_QUICK if args.quick else None)
    table = Table(args.out / "beats.csv", KEYS)
    lines: list[Sequence[str]] = []
    for name in args.rows:
        encoder = name if name == "features" else digest_of(study.encoders(name)[0])
        for context in ("alone", "in context"):
            key = {"row": name, "context": context, "encoder": encoder, "n_records": len(beats.rpeaks)}
            row = table.find(**key)
            if row is None:
                Z = _representation(study, name, beats)
                Z = Z if context == "alone" else in_context(reduced(Z), beats.record)
                found = cross_validate(Z, beats.label, beats.patient)
                row = table.add({**key, **scores(beats.label, found, beats.patient), **study.describe(name)})
                sys.stdout.write(f"{name} {context}: {', '.join(shown(row[f'f1_{c}']) for c in CLASSES)}\n")
                sys.stdout.flush()
            columns = [with_interval(row, f"f1_{c}") for c in (*CLASSES, "macro")]
            lines.append([name, context, str(row["budget"]), *columns])
    n = {c: int((beats.label == k).sum()) for k, c in enumerate(CLASSES)}
    about = [
        f"MIT-BIH DS1, {len(beats.rpeaks)} records, {len(beats.label):,} beats at the reference peaks",
        f"({', '.join(f'{c} {v:,}' for c, v in n.items())}), patients left out; 95 % intervals by bootstrap over",
        "patients; seed 0.",
    ]
    header = ["row", "beat", "training", *(f"F1 {c}" for c in CLASSES), "macro"]
    write_markdown(args.out / "beats.md", "Beats across patients", about, args.command, header, lines)


def _representation(study: Study, name: str, beats: Beats) -> NDArray[np.float32]:
    if name == "features":
        return hand_beat_features(beats)
    return beat_embeddings(study.encoders(name)[0], beats, study.args.cache, study.args.device)


if __name__ == "__main__":
    main()
