"""Logistic regression for all classes at once, along the principal axes of the embedding."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax


class Axes(NamedTuple):
    """Rows in principal axes: `scores` (n, r) = rows @ `basis` (d, r), with the mean square of each column."""

    scores: NDArray[np.float32]
    basis: NDArray[np.float32]
    variance: NDArray[np.float64]


class LogisticFit(NamedTuple):
    weights: NDArray[np.float64]
    n_iter: int


def principal_axes(Z: NDArray[np.float32]) -> Axes:
    """Rotate rows so that their columns are uncorrelated.

    A rotation changes neither the penalty nor the model. With fewer rows than columns the solution lies in the span
    of the rows, and that is all that is kept.
    """
    n, d = Z.shape
    if n >= d:
        variance, basis = np.linalg.eigh((Z.T @ Z).astype(np.float64) / n)
    else:
        variance, rows = np.linalg.eigh((Z @ Z.T).astype(np.float64) / n)
        kept = variance > 1e-7 * max(variance[-1], 1e-30)
        variance = variance[kept]
        basis = Z.T @ (rows[:, kept] / np.sqrt(n * variance)).astype(np.float32)
    basis = np.ascontiguousarray(basis[:, ::-1], dtype=np.float32)
    return Axes(Z @ basis, basis, np.maximum(variance[::-1], 0.0))


def fit_logistic(
    scores: NDArray[np.float32],
    target: NDArray[np.float32],
    C: float,
    variance: NDArray[np.float64],
    softmax: bool,
    max_iter: int,
    tol: float,
    start: NDArray | None,
) -> LogisticFit:
    """Minimise mean loss + ||w||^2 / (2 n C) for all classes together; `weights` (r + 1, n_outputs) end in intercepts.

    Each coordinate is scaled by its curvature, about ``p (1 - p)`` times the column's variance plus the penalty, as if
    the columns were independent: in principal axes they nearly are, and a few dozen iterations do.
    """
    n, (r, k) = len(scores), (scores.shape[1], target.shape[1])
    share = np.clip(target.mean(axis=0, dtype=np.float64), 1e-6, 1 - 1e-6)
    penalty = np.append(np.full(r, 1 / (n * C)), 0.0)[:, None]
    curvature = np.append(variance, 1.0)[:, None] * np.maximum(share * (1 - share), 1e-3) + penalty
    unit = 1 / np.sqrt(curvature)
    if start is None:
        start = np.zeros((r + 1, k))
        start[-1] = np.log(share) if softmax else np.log(share / (1 - share))

    def loss(u: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w = u.reshape(r + 1, k) * unit
        logits = scores @ w[:-1].astype(np.float32) + w[-1].astype(np.float32)
        if softmax:
            log_p = log_softmax(logits, axis=1)
            error, value = np.exp(log_p) - target, -(target * log_p).sum(dtype=np.float64)
        else:
            error, value = expit(logits) - target, (np.logaddexp(0, logits) - target * logits).sum(dtype=np.float64)
        gradient = np.vstack([(error.T @ scores).T, error.sum(axis=0, dtype=np.float64)]) / n + penalty * w
        return float(value / n + 0.5 * (penalty * w**2).sum()), (gradient * unit).ravel()

    options = {"maxiter": max_iter, "gtol": tol, "ftol": 0.0, "maxcor": 10}
    found = minimize(loss, (start / unit).ravel(), jac=True, method="L-BFGS-B", options=options)
    return LogisticFit(found.x.reshape(r + 1, k) * unit, int(found.nit))
