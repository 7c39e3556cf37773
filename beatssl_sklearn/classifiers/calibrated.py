"""Logistic regressions on embeddings, one per label, with probabilities that are calibrated on held-out patients."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_recall_curve

from ..components import check_number
from ..inputs.groups import held_out_folds
from .logistic import LogisticProblem, held_out_logits, principal_axes

__all__ = ["C_GRID", "CalibratedFit", "check_grid", "column_scales", "fit_calibrated", "standardized"]

C_GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
# Of the regression that calibrates: practically none.
_NO_PENALTY = 1e6
# To rank strengths needs fewer digits than the fit that is kept.
_PATH_TOL = 1e-4
# Of a strength.
_LEAST = 1e-12


class CalibratedFit(NamedTuple):
    """Logits are ``z @ coef + intercept``; their sigmoid is the probability.

    Attributes
    ----------
    coef, intercept : ndarray (n_columns, n_labels), (n_labels,)
    thresholds : ndarray (n_labels,)
        Probabilities with the best F1 on held-out groups.
    C : ndarray (n_labels,)
        Inverse strengths of regularisation, with the least log loss on held-out groups.
    """

    coef: NDArray[np.float32]
    intercept: NDArray[np.float32]
    thresholds: NDArray[np.float64]
    C: NDArray[np.float64]


def check_grid(name: str, grid: Sequence[float]) -> None:
    """Refuse candidates that are not positive numbers.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter and the value.
    """
    if not len(grid):
        raise ValueError(f"{name} must hold positive numbers, got {grid!r}")
    for value in grid:
        check_number(name, value, Real, _LEAST)


def column_scales(Z: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation of each column; the deviation of a constant column is 0."""
    mean, scale = (f(axis=0, dtype=np.float64).astype(np.float32) for f in (Z.mean, Z.std))
    # Columns that vary by rounding errors only are constant.
    scale[scale <= 1e-6 * np.abs(mean)] = 0
    return mean, scale


def standardized(
    Z: NDArray[np.float32], mean: NDArray[np.float32], scale: NDArray[np.float32], clip: float
) -> NDArray[np.float32]:
    """Return standardised columns between ``-clip`` and ``clip``; constant ones are 0."""
    varies = scale > 0
    z = (Z - mean) * np.where(varies, 1 / np.where(varies, scale, 1), 0).astype(np.float32)
    clipped: NDArray[np.float32] = np.clip(z, -clip, clip, out=z)
    return clipped


def fit_calibrated(
    z: NDArray[np.float32],
    target: NDArray[np.float32],
    code: NDArray[np.int64],
    C_grid: Sequence[float],
    n_folds: int,
    seed: int,
) -> CalibratedFit:
    """Fit each label by itself: its strength, calibration and threshold come from groups that were held out.

    Parameters
    ----------
    z : ndarray (n, n_columns)
        Standardised rows.
    target : ndarray (n, n_labels) of 0 and 1
    code : ndarray (n,) of int
        Group of each row, at least two.
    C_grid : sequence of float
        Candidates of the inverse strength.
    n_folds : int
    seed : int
        Of the folds.
    """
    axes = principal_axes(z)
    problem = LogisticProblem(axes.scores, axes.variance, target, softmax=False, tol=_PATH_TOL)
    folds = list(held_out_folds(target, code, min(n_folds, len(np.unique(code))), seed))
    C, logits = _best_of_each(problem, folds, sorted({float(c) for c in C_grid}))
    slope, offset = _platt(logits, target)
    weights = np.empty((axes.scores.shape[1] + 1, target.shape[1]))
    for c in np.unique(C):
        own = np.flatnonzero(c == C)
        part = LogisticProblem(axes.scores, axes.variance, target[:, own], softmax=False)
        weights[:, own] = part.fit(float(c)).weights
    # The line that calibrates the logits becomes a part of the weights.
    weights *= slope
    weights[-1] += offset
    thresholds = np.array([_best_f1(t, p) for t, p in zip(target.T, expit(slope * logits + offset).T, strict=True)])
    return CalibratedFit(
        axes.basis @ weights[:-1].astype(np.float32), weights[-1].astype(np.float32), thresholds, C
    )


def _best_of_each(
    problem: LogisticProblem, folds: list[NDArray[np.bool_]], grid: list[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the strength of each label with the least held-out log loss, and the logits (n, n_labels) there."""
    n, n_labels = problem.target.shape
    best: NDArray[np.float64] = np.full((n, n_labels), np.nan)
    C, least = np.full(n_labels, grid[0]), np.full(n_labels, np.inf)
    for c, parts in held_out_logits(problem, folds, grid):
        logits = np.empty_like(best)
        for out, found in zip(folds, parts, strict=True):
            logits[out] = found
        loss = (np.logaddexp(0, logits) - problem.target * logits).mean(axis=0)
        better = loss < least
        C[better], least[better], best[:, better] = c, loss[better], logits[:, better]
    return C, best


def _platt(
    logits: NDArray[np.float64], target: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return slope and offset of each label, by which held-out logits predict the labels best (Platt 1999)."""
    lines = [
        LogisticRegression(C=_NO_PENALTY, max_iter=1000).fit(own[:, None], t)
        for own, t in zip(logits.T, target.T, strict=True)
    ]
    return np.array([line.coef_[0, 0] for line in lines]), np.array([line.intercept_[0] for line in lines])


def _best_f1(target: NDArray[np.float32], p: NDArray[np.float64]) -> float:
    precision, recall, thresholds = precision_recall_curve(target, p)
    # The last point has no threshold.
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[f1[:-1].argmax()])
