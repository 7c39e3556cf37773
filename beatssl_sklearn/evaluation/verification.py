"""Scores of pairs of records: are both of one patient?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_curve

__all__ = ["equal_error_rate", "true_accepts_at"]


def equal_error_rate(scores: ArrayLike, same: ArrayLike) -> float:
    """Return the rate at which false accepts and false rejects are equal.

    Parameters
    ----------
    scores : array-like (n_pairs,)
        Similarity of each pair of records.
    same : array-like of bool (n_pairs,)
        Whether both are of one patient.

    Returns
    -------
    float
        From 0 to 1, linearly interpolated between thresholds.

    Raises
    ------
    ValueError
        If the lengths differ, if a score is not finite, or if one of the two kinds of pairs is missing.
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
        Whether both are of one patient.
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


def _accept_rates(scores: ArrayLike, same: ArrayLike) -> tuple[NDArray, NDArray]:
    """Return the shares of accepted pairs of two patients and of one, from the strictest threshold on."""
    score, own = np.asarray(scores, dtype=np.float64).ravel(), np.asarray(same, dtype=bool).ravel()
    if score.shape != own.shape:
        raise ValueError(f"scores and same must have one length, got {len(score)} and {len(own)}")
    if not np.isfinite(score).all():
        first = int(np.argmin(np.isfinite(score)))
        raise ValueError(f"scores must be finite; number {first} is {score[first]}")
    if own.all() or not own.any():
        raise ValueError(f"same must hold pairs of one patient and of two: {int(own.sum())} of {len(own)} are of one")
    false_accepts, true_accepts, _ = roc_curve(own, score, drop_intermediate=False)
    return false_accepts, true_accepts
