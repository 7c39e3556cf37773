"""Logistic regression with sample weights, for all outputs at once, along the principal axes of the embedding.

It minimises the same loss as scikit-learn's `LogisticRegression`. On 1,280-dimensional embeddings of PTB-XL, a search
over C takes a third of the time with 600 to 6,000 records, and less with 60.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

# Least `tol` of a warm start: to rank penalties needs fewer digits than the fit that is kept.
_PATH_TOL = 1e-4


class Axes(NamedTuple):
    """Rows in principal axes: `scores` (n, r) = rows @ `basis` (d, r), with the mean square of each column."""

    scores: NDArray[np.float32]
    basis: NDArray[np.float32]
    variance: NDArray[np.float64]


class LogisticFit(NamedTuple):
    """Weights (r + 1, n_outputs) with the intercepts in the last row, and the number of iterations."""

    weights: NDArray[np.float64]
    n_iter: int

    def logits(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return logits (n, n_outputs) of rows in principal axes."""
        logits: NDArray[np.float64] = scores @ self.weights[:-1].astype(np.float32) + self.weights[-1]
        return logits


@dataclass(frozen=True)
class LogisticProblem:
    """Rows and labels that a logistic regression is fitted to."""

    scores: NDArray[np.float32]
    """(n, r), as returned by `principal_axes`."""
    variance: NDArray[np.float64]
    """(r,), of the same axes."""
    target: NDArray[np.float32]
    """(n, n_outputs) of 0 and 1."""
    softmax: bool
    """Whether outputs exclude each other; else each one has a sigmoid."""
    sample_weight: NDArray[np.float32] | None = None
    """(n, 1) or (n, n_outputs): what each row's loss is multiplied by."""
    count: NDArray[np.float64] | None = None
    """(n,), how many records each row stands for; None is one."""
    max_iter: int = 200
    """Most iterations of L-BFGS in a fit."""
    tol: float = 1e-5
    """Largest element of the gradient of the mean loss that ends a fit, in coordinates of unit curvature."""

    def rows(self, kept: NDArray[np.bool_]) -> LogisticProblem:
        """Return the problem of some of the rows."""
        weight = None if self.sample_weight is None else self.sample_weight[kept]
        count = None if self.count is None else self.count[kept]
        return replace(self, scores=self.scores[kept], target=self.target[kept], sample_weight=weight, count=count)

    def fit(self, C: float, start: LogisticFit | None = None) -> LogisticFit:
        """Minimise mean loss + ||w||^2 / (2 n C) for all outputs together; intercepts have no penalty.

        The mean is over n records: rows, or what they stand for.

        Each coordinate is scaled by its curvature: about ``p (1 - p)`` times the column's variance, plus the penalty.
        This is exact for independent columns. Principal axes are nearly independent, so a few dozen iterations suffice.
        """
        n = len(self.scores) if self.count is None else float(self.count.sum())
        r, k = self.scores.shape[1], self.target.shape[1]
        share = self._shares()
        penalty = np.append(np.full(r, 1 / (n * C)), 0.0)[:, None]
        curvature = np.append(self.variance, 1.0)[:, None] * np.maximum(share * (1 - share), 1e-3) + penalty
        unit = 1 / np.sqrt(curvature)
        first = np.zeros((r + 1, k)) if start is None else start.weights
        if start is None:
            # Intercepts that predict each output's share of the rows.
            first[-1] = np.log(share) if self.softmax else np.log(share / (1 - share))

        def objective(u: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            w = u.reshape(r + 1, k) * unit
            value, error = self.loss(self.scores @ w[:-1].astype(np.float32) + w[-1].astype(np.float32))
            slope = np.vstack([(error.T @ self.scores).T, error.sum(axis=0, dtype=np.float64)])
            gradient = slope / n + penalty * w
            return value / n + float(0.5 * (penalty * w**2).sum()), (gradient * unit).ravel()

        tol = self.tol if start is None else max(self.tol, _PATH_TOL)
        options = {"maxiter": self.max_iter, "gtol": tol, "ftol": 0.0, "maxcor": 10}
        found = minimize(objective, (first / unit).ravel(), jac=True, method="L-BFGS-B", options=options)
        return LogisticFit(found.x.reshape(r + 1, k) * unit, int(found.nit))

    def _shares(self) -> NDArray[np.float64]:
        """Return the weighted share of each output's positive rows (n_outputs,), away from 0 and 1."""
        if self.sample_weight is None:
            share = self.target.mean(axis=0, dtype=np.float64)
        else:
            weight = self.sample_weight.sum(axis=0, dtype=np.float64)
            share = (self.sample_weight * self.target).sum(axis=0, dtype=np.float64) / np.maximum(weight, 1e-30)
        return np.clip(share, 1e-6, 1 - 1e-6)

    def loss(self, logits: NDArray[np.floating]) -> tuple[float, NDArray[np.floating]]:
        """Return the summed loss, and its derivative with respect to the logits (n, n_outputs)."""
        if self.softmax:
            log_p = log_softmax(logits, axis=1)
            error, losses = np.exp(log_p) - self.target, -(self.target * log_p)
        else:
            error, losses = expit(logits) - self.target, np.logaddexp(0, logits) - self.target * logits
        if self.sample_weight is not None:
            error, losses = self.sample_weight * error, self.sample_weight * losses
        return float(losses.sum(dtype=np.float64)), error


def principal_axes(Z: NDArray[np.float32], count: NDArray[np.float64] | None = None) -> Axes:
    """Rotate rows (n, d) so that their columns are uncorrelated; `count` (n,) above 0 says how often each row counts.

    A rotation changes neither the penalty nor the model. With fewer rows than columns, the solution lies in the span of
    the rows; only that span is kept.
    """
    n, d = Z.shape
    counted = Z
    if count is not None and (count != count[0]).any():
        counted = Z * np.sqrt(count / count.mean()).astype(np.float32)[:, None]
    if n >= d:
        variance, basis = np.linalg.eigh((counted.T @ counted).astype(np.float64) / n)
    else:
        variance, rows = np.linalg.eigh((counted @ counted.T).astype(np.float64) / n)
        # Directions that only rounding fills.
        kept = variance > 1e-7 * max(variance[-1], 1e-30)
        variance = variance[kept]
        basis = counted.T @ (rows[:, kept] / np.sqrt(n * variance)).astype(np.float32)
    # `eigh` puts the smallest first.
    basis = np.ascontiguousarray(basis[:, ::-1], dtype=np.float32)
    return Axes(Z @ basis, basis, np.maximum(variance[::-1], 0.0))


def held_out_logits(
    problem: LogisticProblem, folds: Sequence[NDArray[np.bool_]], C_grid: Iterable[float]
) -> Iterator[tuple[float, list[NDArray[np.float64]]]]:
    """Walk along penalties, and predict the rows that each fold holds out from the others.

    Parameters
    ----------
    problem : LogisticProblem
        All rows.
    folds : sequence of ndarray of bool of shape (n,)
        Rows that each fold holds out.
    C_grid : iterable of float
        Inverse strengths. Each fit starts at the one before, so neighbours should be near.

    Yields
    ------
    C : float
    logits : list of ndarray of shape (n_held_out, n_outputs)
        One array per fold.
    """
    parts = [(problem.rows(~out), problem.scores[out]) for out in folds]
    fits: list[LogisticFit | None] = [None] * len(parts)
    for C in C_grid:
        logits = []
        for k, (kept, scores) in enumerate(parts):
            fit = fits[k] = kept.fit(C, fits[k])
            logits.append(fit.logits(scores))
        yield C, logits
