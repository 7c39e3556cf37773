"""Cross-validated scores of a linear classifier on frozen embeddings, with whole patients left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .. import BeatClassifier

FOLDS = (5, 3, 2)


class Scores(NamedTuple):
    """Macro F1 over the folds, and what was predicted for records or beats when their patient was left out."""

    f1: list[float]
    classes: list[str]
    n: int
    predicted: list[NDArray[np.str_]]

    def __str__(self) -> str:
        return f"{np.mean(self.f1):.3f} +- {np.std(self.f1):.3f}"


def cross_validated_f1(
    Z: Sequence[NDArray], labels: Sequence[NDArray[np.str_]], patients: NDArray[np.str_], seed: int
) -> Scores:
    """Cross-validate a linear classifier of rows (records or beats) with whole patients left out.

    Parameters
    ----------
    Z : sequence of n_records arrays (n_rows, n_dims)
    labels : sequence of n_records arrays (n_rows,) of str
        "" is unknown.
    patients : ndarray (n_records,)
    seed : int

    Returns
    -------
    Scores
        Without classes if there are no two that at least two patients have. F1 is averaged over the classes that
        occur in a fold's test patients.
    """
    patient_of_row = np.repeat(patients, [len(own) for own in labels])
    classes, n_folds = _scorable(np.concatenate(labels), patient_of_row)
    predicted = [np.full(len(own), "", dtype="<U64") for own in labels]
    if not classes:
        return Scores([], [], 0, predicted)
    keep = [np.isin(own, classes) for own in labels]
    rows = np.concatenate(keep)
    y, group = np.concatenate(labels)[rows], patient_of_row[rows]
    f1 = []
    for _, test_rows in StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(y, y, group):
        in_test = np.isin(patients, group[test_rows])
        test = np.flatnonzero(in_test).tolist()
        train = np.flatnonzero(~in_test & np.isin(patients, group)).tolist()
        known = [labels[i][keep[i]] for i in train]
        if len(np.unique(np.concatenate(known))) < 2:
            continue
        model = BeatClassifier(linear_head()).fit([Z[i][keep[i]] for i in train], known)
        for i, own in zip(test, model.predict([Z[i] for i in test]), strict=True):
            predicted[i] = own
        true, guess = (np.concatenate([what[i][keep[i]] for i in test]) for what in (labels, predicted))
        f1.append(float(f1_score(true, guess, labels=np.unique(true), average="macro", zero_division=0)))
    return Scores(f1, classes if f1 else [], len(y), predicted)


def linear_head() -> Any:
    """Return the classifier that is put on top of embeddings: standardised, linear, classes of equal weight."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000, class_weight="balanced"))


def _scorable(labels: NDArray[np.str_], patients: NDArray[np.str_]) -> tuple[list[str], int]:
    """Return the classes that enough patients have, and the number of folds that they allow."""
    pairs = {(label, patient) for label, patient in zip(labels.tolist(), patients.tolist(), strict=True) if label}
    count = {label: sum(1 for other, _ in pairs if other == label) for label in {label for label, _ in pairs}}
    for n_folds in FOLDS:
        classes = sorted(label for label, n in count.items() if n >= n_folds)
        if len(classes) > 1:
            return classes, n_folds
    return [], 0
