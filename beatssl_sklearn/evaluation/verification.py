"""Scores of pairs of records: are both of one patient? And of records among patients: whose are they?"""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_curve

__all__ = ["equal_error_rate", "identification_accuracy", "true_accepts_at"]


def equal_error_rate(scores: ArrayLike, same: ArrayLike) -> float:
    """Return the rate at which false accepts and false rejects are equal.

    Parameters
    ----------
    scores : array-like (n_pairs,)
        Similarity of each pair of records.
    same : array-like of bool (n_pairs,)
        Whether both are of one patient; 1 and 0 mean True and False.

    Returns
    -------
    float
        From 0 to 1, linearly interpolated between thresholds.

    Raises
    ------
    ValueError
        If the lengths differ, if a score is not finite, if `same` holds other values, or if one of the two kinds of
        pairs is missing.
    """
    false_accepts, true_accepts = _accept_rates(scores, same)
    gap = 1 - true_accepts - false_accepts
    # The strictest threshold rejects all, so that there is one before the rates cross.
    i = int(np.argmax(gap <= 0))
    share = gap[i - 1] / (gap[i - 1] - gap[i])
    return float(false_accepts[i - 1] + share * (false_accepts[i] - false_accepts[i - 1]))


def true_accepts_at(scores: ArrayLike, same: ArrayLike, false_accepts: float = 1e-3) -> float:
    """Return the share of pairs of one patient that are accepted at a share of false accepts.

    Parameters
    ----------
    scores : array-like (n_pairs,)
        Similarity of each pair of records.
    same : array-like of bool (n_pairs,)
        Whether both are of one patient; 1 and 0 mean True and False.
    false_accepts : float, default=1e-3
        Share of the other pairs that may be accepted.

    Returns
    -------
    float
        From 0 to 1; no threshold between scores is interpolated.

    Raises
    ------
    ValueError
        As for `equal_error_rate`, and if `false_accepts` is no share.
    """
    if not 0 <= false_accepts <= 1:
        raise ValueError(f"false_accepts must be a share from 0 to 1, got {false_accepts!r}")
    rates, accepted = _accept_rates(scores, same)
    return float(accepted[rates <= false_accepts].max())


def identification_accuracy(score: ArrayLike, truth: ArrayLike, classes: ArrayLike, k: int = 1) -> float:
    """Return the share of records whose patient is among the `k` best.

    Parameters
    ----------
    score : array-like (n_records, n_patients)
        Similarity of each record with each enrolled patient, as of `PatientIdentifier.decision_function`.
    truth : array-like (n_records,)
        Patient of each record.
    classes : array-like (n_patients,)
        Patient of each column.
    k : int, default=1
        How many patients are named; of equal scores, those in the first columns.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        If the shapes do not fit, if a score is not finite, if a patient has two columns or none, or if `k` is no
        positive integer.
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"k must be a positive integer, got {k!r}")
    scores, own, names = np.asarray(score, dtype=np.float64), np.asarray(truth), np.asarray(classes)
    if own.ndim != 1 or names.ndim != 1 or scores.shape != (len(own), len(names)) or not len(own):
        raise ValueError(
            f"score must have a row per record and a column per patient: shapes {scores.shape} for truth {own.shape} "
            f"and classes {names.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(bad):
        raise ValueError(f"score must be finite; that of record {bad[0]} is not")
    column = {name: i for i, name in enumerate(names.tolist())}
    if len(column) < len(names):
        raise ValueError("classes must be different patients")
    strangers = [i for i, name in enumerate(own.tolist()) if name not in column]
    if strangers:
        raise ValueError(
            f"truth: patient {own.tolist()[strangers[0]]!r} of record {strangers[0]} is not among the classes; leave "
            f"such records out"
        )
    true = np.array([column[name] for name in own.tolist()])[:, None]
    value = np.take_along_axis(scores, true, axis=1)
    before = (scores > value) | ((scores == value) & (np.arange(len(names)) < true))
    return float((before.sum(axis=1) < k).mean())


def _true_or_false(same: ArrayLike) -> NDArray[np.bool_]:
    """Return whether pairs are of one patient; text, a missing value or a code of a patient is neither."""
    given = np.asarray(same).ravel()
    if given.dtype.kind == "O":
        fits = np.array([isinstance(one, (Real, np.bool_)) and one in (0, 1) for one in given], dtype=bool)
    else:
        fits = np.isin(given, (0, 1)) if given.dtype.kind in "biuf" else np.zeros(len(given), dtype=bool)
    if not fits.all():
        first = int(np.argmin(fits))
        raise ValueError(f"same must hold True and False, or 1 and 0; number {first} is {given.tolist()[first]!r}")
    return given.astype(bool)


def _accept_rates(scores: ArrayLike, same: ArrayLike) -> tuple[NDArray, NDArray]:
    """Return the shares of accepted pairs of two patients and of one, from the strictest threshold on."""
    score, own = np.asarray(scores, dtype=np.float64).ravel(), _true_or_false(same)
    if score.shape != own.shape:
        raise ValueError(f"scores and same must have one length, got {len(score)} and {len(own)}")
    if not np.isfinite(score).all():
        first = int(np.argmin(np.isfinite(score)))
        raise ValueError(f"scores must be finite; number {first} is {score[first]}")
    if own.all() or not own.any():
        raise ValueError(f"same must hold pairs of one patient and of two: {int(own.sum())} of {len(own)} are of one")
    false_accepts, true_accepts, _ = roc_curve(own, score, drop_intermediate=False)
    return false_accepts, true_accepts
