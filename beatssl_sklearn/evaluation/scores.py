"""Scores of predicted labels, and their intervals over patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import f1_score, roc_auc_score

from ..inputs.groups import group_codes
from ..inputs.labels import as_labels, check_labels, checked_weights

__all__ = ["best_thresholds", "bootstrap_interval", "macro_auroc", "macro_f1"]

_REPLICATES_AT_ONCE = 64


def macro_auroc(y: ArrayLike, score: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Area under the ROC curve, averaged over the classes that have both a positive and a negative.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, n_classes)
        0 and 1, or True and False. A table has one column per label; a row can have several labels. With a table of
        scores, a vector holds the number of each row's class, 0 to n_classes - 1.
    score : array-like of shape (n,) or (n, n_classes)
        Higher means more likely, on any scale.
    sample_weight : array-like of shape (n,), default=None
        How often each row counts; None is once.

    Returns
    -------
    float
        NaN if no class has both.

    Raises
    ------
    ValueError, TypeError
        If shapes disagree, a label is missing, `y` holds other values, or a score or a weight is not finite.

    References
    ----------
    Mann and Whitney, 1947: a tie of a positive and a negative counts one half.
    """
    target, scores = _checked(y, score)
    weight = checked_weights(sample_weight, len(target))
    counted = target if weight is None else target[weight > 0]
    both = counted.any(axis=0) & ~counted.all(axis=0)
    aurocs = [roc_auc_score(target[:, k], scores[:, k], sample_weight=weight) for k in np.flatnonzero(both)]
    return float(np.mean(aurocs)) if aurocs else float("nan")


def bootstrap_interval(
    statistic: str | Callable[[NDArray, NDArray], float],
    y: ArrayLike,
    score: ArrayLike | Sequence[ArrayLike],
    groups: ArrayLike | None = None,
    *,
    n_bootstrap: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the interval of a statistic over draws of groups (patients) with replacement.

    Parameters
    ----------
    statistic : "macro_auroc" or callable
        A function is called as ``statistic(y, score) -> float``. "macro_auroc" is about a hundred times faster. In a
        replicate it averages over the classes that have both values there.
    y : array-like of shape (n,) or (n, n_classes)
        As for :func:`macro_auroc`.
    score : array-like like `y`, or a list of such arrays
        A list of arrays holds the scores of several models for the same rows. The interval is then for the mean of
        their statistics; in each replicate all models have the same patients.
    groups : array-like of shape (n,), default=None
        Patient of each row; None draws rows.
    n_bootstrap : int, default=1000
        Number of replicates.
    level : float, default=.95
        Share of the replicates inside the interval (percentile method).
    seed : int, default=0
        Seed of the draws.

    Returns
    -------
    low, high : float
        NaN if the statistic is undefined in most replicates.

    Raises
    ------
    ValueError
        If shapes disagree, a label or a group is missing, or a parameter is out of range.
    """
    if n_bootstrap < 1 or not 0 < level < 1:
        raise ValueError(f"n_bootstrap must be >= 1 and level between 0 and 1, got {n_bootstrap!r} and {level!r}")
    if isinstance(statistic, str) and statistic != "macro_auroc":
        raise ValueError(f"statistic must be 'macro_auroc' or a function, got {statistic!r}")
    # A list of arrays holds models; a list of numbers or of rows holds the scores of one.
    models: list[Any] = [score]
    if isinstance(score, (list, tuple)) and len(score) and isinstance(score[0], np.ndarray):
        models = list(score)
    pairs = [_checked(y, s) for s in models]
    n = len(pairs[0][0])
    code = group_codes(groups, n)
    rng = np.random.default_rng(seed)
    n_groups = int(code.max()) + 1
    values = np.full(n_bootstrap, np.nan)
    for start in range(0, n_bootstrap, _REPLICATES_AT_ONCE):
        size = min(_REPLICATES_AT_ONCE, n_bootstrap - start)
        # How often each row counts in each replicate: the times that its group was drawn.
        times_drawn = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=size)[:, code]
        if isinstance(statistic, str):
            found = [_mean_of_defined(_aurocs(target, s, times_drawn)) for target, s in pairs]
        else:
            given, rows = np.asarray(y), [np.repeat(np.arange(n), w) for w in times_drawn]
            found = [np.array([statistic(given[r], np.asarray(s)[r]) for r in rows], float) for s in models]
        values[start : start + size] = np.mean(found, axis=0)
    values = values[np.isfinite(values)]
    # An interval of the few draws that have a value would not be that of the statistic.
    if 2 * len(values) < n_bootstrap:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def best_thresholds(
    y: ArrayLike, score: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return the threshold of each class that maximises F1 of ``score >= threshold``.

    Choose it on held-out folds, for example: on data to which the model was not fitted, and not on the test set.

    Parameters
    ----------
    y, score : array-like of shape (n,) or (n, n_classes)
        As for :func:`macro_auroc`.
    sample_weight : array-like of shape (n,), default=None
        How often each row counts; None is once.

    Returns
    -------
    ndarray of shape (n_classes,)
        Midway between two scores; infinity for a class without a positive.

    Raises
    ------
    ValueError
        As for :func:`macro_auroc`.
    """
    target, scores = _checked(y, score)
    weight = checked_weights(sample_weight, len(target))
    weight = np.ones(len(target)) if weight is None else weight
    best: NDArray[np.float64] = np.full(target.shape[1], np.inf)
    for k in range(target.shape[1]):
        order = np.argsort(-scores[:, k], kind="stable")
        s, w, n_positive = scores[order, k], weight[order], weight @ target[:, k]
        if n_positive == 0:
            continue
        # F1 if the k + 1 highest scores count as positive.
        f1 = 2 * np.cumsum(w * target[order, k]) / (np.cumsum(w) + n_positive)
        # No threshold separates equal scores.
        f1[:-1][s[:-1] == s[1:]] = -1
        last = int(f1.argmax())
        best[k] = s[last] if last == len(s) - 1 else _between(s[last + 1], s[last])
    return best


def macro_f1(y: ArrayLike, score: ArrayLike, thresholds: ArrayLike) -> float:
    """F1 of ``score >= thresholds``, averaged over the classes that have a positive.

    Parameters
    ----------
    y, score : array-like of shape (n,) or (n, n_classes)
        As for :func:`macro_auroc`.
    thresholds : array-like of shape (n_classes,)
        One per class, from other data.

    Returns
    -------
    float
        NaN if no class has a positive.

    Raises
    ------
    ValueError
        As for :func:`macro_auroc`.
    """
    target, scores = _checked(y, score)
    found = scores >= np.asarray(thresholds, dtype=np.float64)
    f1 = [f1_score(target[:, k], found[:, k]) for k in np.flatnonzero(target.any(axis=0))]
    return float(np.mean(f1)) if f1 else float("nan")


def _between(low: float, high: float) -> float:
    """A number above `low` and not above `high`."""
    middle = low + 0.5 * (high - low)
    return middle if low < middle else high


def _checked(y: Any, score: Any) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Labels (n, n_classes) as bool and scores (n, n_classes), or ValueError."""
    scores = np.asarray(score, dtype=np.float64)
    target = as_labels(y)
    if scores.ndim not in (1, 2) or target.ndim not in (1, 2) or len(target) != len(scores) or not len(target):
        raise ValueError(f"y and score must have one row per record, got shapes {target.shape} and {scores.shape}")
    check_labels(target, "y")
    if not np.isfinite(scores).all():
        raise ValueError("score must be finite, got NaN or infinity")
    scores = scores.reshape(len(scores), -1)
    if target.ndim == 1 and scores.shape[1] > 1:
        classes = np.arange(scores.shape[1])
        if not np.isin(target, classes).all():
            raise ValueError(f"y must hold class numbers from 0 to {len(classes) - 1}, got {np.unique(target)[:5]}")
        return target[:, None] == classes, scores
    target = target.reshape(len(target), -1)
    if target.shape != scores.shape:
        raise ValueError(f"y and score must have the same classes, got shapes {target.shape} and {scores.shape}")
    if not np.isin(target, (0, 1)).all():
        raise ValueError(f"y must hold 0 and 1, got {np.unique(target)[:5]}")
    return target.astype(bool), scores


def _aurocs(target: NDArray[np.bool_], score: NDArray[np.float64], weights: NDArray[Any]) -> NDArray[np.float64]:
    """AUROC (n_replicates, n_classes) of rows that are drawn `weights` (n_replicates, n) times; NaN if undefined.

    As :func:`macro_auroc` for each replicate, with one sort for all of them.
    """
    out = np.full((len(weights), target.shape[1]), np.nan)
    for k in range(target.shape[1]):
        positive, negative = np.flatnonzero(target[:, k]), np.flatnonzero(~target[:, k])
        negative = negative[np.argsort(score[negative, k], kind="stable")]
        # Drawn negatives below each place in their order.
        below = np.zeros((len(weights), len(negative) + 1))
        np.cumsum(weights[:, negative], axis=1, out=below[:, 1:])
        ranked = score[negative, k]
        first, last = (np.searchsorted(ranked, score[positive, k], side=side) for side in ("left", "right"))
        # Pairs that a positive wins, plus half of the ties: the mean of those strictly below and those not above.
        w = weights[:, positive].astype(np.float64)
        won = 0.5 * (np.einsum("ij,ij->i", w, below[:, first]) + np.einsum("ij,ij->i", w, below[:, last]))
        pairs = w.sum(axis=1) * below[:, -1]
        np.divide(won, pairs, out=out[:, k], where=pairs > 0)
    return out


def _mean_of_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis without NaN; NaN, without a warning, if nothing else is there."""
    defined = np.isfinite(values)
    total = np.where(defined, values, 0.0).sum(axis=-1)
    return np.divide(total, defined.sum(axis=-1), out=np.full(total.shape, np.nan), where=defined.any(axis=-1))
