"""The study's records: PTB-XL with four kinds of labels, and their hand features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import WFDBFolder, detect_rpeaks, fetch_ptbxl
from beatssl_sklearn.ecg.features import (
    FeatureTable,
    concatenate,
    fit_components,
    fit_scaling,
    record_features,
    standardize,
    with_components,
)

TASKS = ("superclass", "subclass", "rhythm", "form")
MIN_POSITIVES = 3
_CHUNK = 256


@dataclass(frozen=True)
class Task:
    """Labels of all records, `target` (n_records, n_classes), and which records have a label."""

    classes: tuple[str, ...]
    target: NDArray[np.int8]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        return np.asarray(self.target.any(axis=1))


@dataclass(frozen=True)
class Records:
    """PTB-XL records of the training folds and of the fold that scores."""

    folder: Path
    X: WFDBFolder
    tasks: dict[str, Task]
    patient: NDArray[np.int64]
    record_id: NDArray[np.int64]
    fold: NDArray[np.int64]
    test_fold: int

    @property
    def test(self) -> NDArray[np.bool_]:
        return np.asarray(self.fold == self.test_fold)

    @property
    def train(self) -> NDArray[np.bool_]:
        return ~self.test

    @property
    def key(self) -> str:
        """Digest of the records' numbers."""
        return str(joblib.hash(self.record_id))[:12]

    def take(self, rows: NDArray[np.int64]) -> Records:
        """Return some of the records."""
        tasks = {kind: Task(task.classes, task.target[rows]) for kind, task in self.tasks.items()}
        own = {name: getattr(self, name)[rows] for name in ("X", "patient", "record_id", "fold")}
        return replace(self, tasks=tasks, **own)

    def seen_by(self, leads: Sequence[str] | None) -> WFDBFolder:
        """Return the same records with some of their leads only."""
        return self.X if leads is None else WFDBFolder(self.folder, names=self.X.names, leads=leads)


def load_ptbxl(
    folder: Path, *, test_fold: int = 9, per_fold: int | None = None, whole_test: bool = True
) -> Records:
    """Load folds 1 to 8 and the fold that scores.

    Parameters
    ----------
    folder : Path
        PTB-XL as published, or as `unpack.py` of the shared data writes it.
    test_fold : int, default=9
    per_fold : int, default=None
        So many records of each training fold, at even steps; None is all.
    whole_test : bool, default=True
        Whether the fold that scores is whole all the same.
    """
    data = fetch_ptbxl(folder, folds=[*range(1, 9), test_fold], download_if_missing=False)
    keep = np.arange(len(data.fold))
    if per_fold is not None:
        members = [np.flatnonzero(data.fold == k) for k in np.unique(data.fold)]
        some = [m if whole_test and data.fold[m[0]] == test_fold else _spread(m, per_fold) for m in members]
        keep = np.sort(np.concatenate(some))
    test = data.fold[keep] == test_fold
    tasks = {"superclass": Task(tuple(data.target_names), data.target[keep])}
    for kind in TASKS[1:]:
        tasks[kind] = multi_hot([data[kind][i] for i in keep], test)
    age = data.age[keep]
    tasks["age"] = two_classes(("65 or younger", "over 65"), age > 65, np.isfinite(age))
    tasks["sex"] = two_classes(("female", "male"), data.sex[keep] == "M", data.sex[keep] != "")
    return Records(
        Path(folder), data.data[keep], tasks, data.patient_id[keep], data.record_id[keep], data.fold[keep], test_fold
    )


def _spread(members: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Choose `n` of some records at even steps: neighbouring numbers were recorded in the same months."""
    return members[np.unique(np.linspace(0, len(members) - 1, min(n, len(members))).round().astype(np.int64))]


def multi_hot(codes: Sequence[Iterable[str]], test: NDArray[np.bool_]) -> Task:
    """Return a table of the codes with at least three positives in the training folds and one in the other."""
    names = sorted({code for own in codes for code in own})
    column = {name: k for k, name in enumerate(names)}
    table = np.zeros((len(codes), len(names)), np.int8)
    for i, own in enumerate(codes):
        table[i, [column[code] for code in own]] = 1
    kept = np.flatnonzero((table[~test].sum(axis=0) >= MIN_POSITIVES) & (table[test].sum(axis=0) >= 1))
    return Task(tuple(names[k] for k in kept), table[:, kept])


def two_classes(names: tuple[str, str], second: NDArray[np.bool_], known: NDArray[np.bool_]) -> Task:
    """Return a task of two classes that exclude each other; both have the same AUROC."""
    return Task(names, (np.stack([~second, second], axis=1) & known[:, None]).astype(np.int8))


def feature_table(records: Records, leads: Sequence[str] | None, cache: Path) -> FeatureTable:
    """Measure the hand features of all records, once for each lead set."""
    path = cache / "features" / f"{'-'.join(leads or ('12',))}-{records.key}.npz"
    if not path.exists():
        X = records.seen_by(leads)
        parts = [_measure(X[i : i + _CHUNK]) for i in range(0, len(X), _CHUNK)]
        table = concatenate(parts)
        assert table.beats is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, values=table.values, names=np.array(table.names), groups=table.groups, beats=table.beats)
    with np.load(path, allow_pickle=False) as kept:
        names = tuple(str(n) for n in kept["names"])
        return FeatureTable(kept["values"], names, kept["groups"], beats=kept["beats"])


def _measure(X: Any) -> FeatureTable:
    signal, leads = np.asarray(X), X[0].leads
    return record_features(signal, X[0].fs, detect_rpeaks(signal, X[0].fs), leads)


def hand_features(fit_on: FeatureTable, table: FeatureTable, train: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return standardised features with principal components of the median beats, and which of them are missing.

    Components and scales come from the training records of `fit_on`; it is `table` unless the leads differ.
    """
    beats = fit_on.beats
    assert beats is not None
    components = fit_components(beats[train])
    scaling = fit_scaling(_rows(with_components(fit_on, components=components), train))
    z, present, _ = standardize(with_components(table, components=components), scaling)
    missing = ~np.isfinite(with_components(fit_on, components=components).values[train])
    return np.hstack([z, ~present[:, missing.any(axis=0)]]).astype(np.float32)


def _rows(table: FeatureTable, rows: NDArray[np.bool_]) -> FeatureTable:
    return FeatureTable(table.values[rows], table.names, table.groups, table.group_names)
