"""The linear probe that fine-tuning starts from: regularised logistic regression on the frozen embedding."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

from .labels import Targets

# Penalties that are tried, from strong to weak: the variance of a normal prior on the weights.
_VARIANCES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)
# Added to variances, in the probe and in the network's BatchNorm alike.
NORM_EPS = 1e-5
_N_FOLDS, _ONE_FOLD_FROM = 5, 2000
_MAX_ITER = 100


class Standard(NamedTuple):
    """Mean and variance of the dimensions of an embedding (n_dims,)."""

    mean: NDArray[np.float32]
    variance: NDArray[np.float32]

    def apply(self, embedding: NDArray) -> NDArray[np.float32]:
        """Return standardised embeddings, as the network's BatchNorm computes them."""
        return ((embedding - self.mean) / np.sqrt(self.variance + NORM_EPS)).astype(np.float32)


def standardisation(embedding: NDArray[np.float32]) -> Standard:
    """Measure the dimensions of embeddings (n_records, n_dims)."""
    mean, variance = (f(axis=0, dtype=np.float64) for f in (embedding.mean, embedding.var))
    # A dimension that does not vary among these records must not decide about others.
    return Standard(mean.astype(np.float32), np.where(variance > 1e-10, variance, 1e12).astype(np.float32))


def fit_probe(
    embedding: NDArray[np.float32],
    standard: Standard,
    targets: Targets,
    index: NDArray[np.int64],
    groups: NDArray[np.int64] | None,
    seed: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit a probe on the records at `index`; its penalty is chosen by cross-validated loss.

    Parameters
    ----------
    embedding : ndarray (n_records, n_dims)
        Frozen embeddings of all records.
    standard : Standard
    targets : Targets
    index : ndarray of int64
        Records to fit on.
    groups : ndarray of int64 or None
        Records of one group lie in one fold.
    seed : int
        Key of the folds.

    Returns
    -------
    weight : ndarray (n_outputs, n_dims)
    bias : ndarray (n_outputs,)
        Logits of standardised embeddings are ``z @ weight.T + bias``.
    """
    # In float32, which holds thousands of records; what the logits lose by it is far below the noise of labels.
    z = standard.apply(embedding[index])
    values, weights = targets.values[index], targets.weights[index].astype(np.float64)
    n_tried = _best_penalty(z, values, weights, targets, _folds(index, groups, seed))
    theta = np.zeros((targets.n_outputs, z.shape[1] + 1))
    for variance in _VARIANCES[:n_tried]:
        theta = _solve(z, values, weights, targets, variance, theta)
    return theta[:, :-1].astype(np.float32), theta[:, -1].astype(np.float32)


def _folds(index: NDArray[np.int64], groups: NDArray[np.int64] | None, seed: int) -> list[NDArray[np.bool_]]:
    label = np.unique(index if groups is None else groups[index], return_inverse=True)[1]
    n_groups = int(label.max()) + 1
    fold = np.random.default_rng([seed, 2]).permutation(n_groups)[label] * min(_N_FOLDS, n_groups) // n_groups
    folds = [fold == k for k in np.unique(fold)] if n_groups > 1 else []
    return folds[:1] if len(index) >= _ONE_FOLD_FROM else folds


def _best_penalty(
    z: NDArray, values: NDArray, weights: NDArray, targets: Targets, folds: list[NDArray[np.bool_]]
) -> int:
    """Return how many penalties to go through, from the strongest on; beyond the first minimum none is tried."""
    thetas = [np.zeros((targets.n_outputs, z.shape[1] + 1)) for _ in folds]
    best, n_best = np.inf, 1
    for n, variance in enumerate(_VARIANCES, start=1):
        loss = 0.0
        for k, out in enumerate(folds):
            # Each solution begins from the one before, which is near.
            thetas[k] = _solve(z[~out], values[~out], weights[~out], targets, variance, thetas[k])
            loss += _loss(z[out], values[out], weights[out], targets, thetas[k])[0]
        if loss >= best:
            break
        best, n_best = loss, n
    return n_best


def _solve(
    z: NDArray, values: NDArray, weights: NDArray, targets: Targets, variance: float, start: NDArray
) -> NDArray[np.float64]:
    def objective(flat: NDArray) -> tuple[float, NDArray]:
        theta = flat.reshape(start.shape)
        loss, residual = _loss(z, values, weights, targets, theta)
        slope = residual.T.astype(z.dtype) @ z + theta[:, :-1] / variance
        gradient = np.hstack([slope, residual.sum(axis=0)[:, None]])
        return (loss + 0.5 * (theta[:, :-1] ** 2).sum() / variance) / len(z), gradient.ravel() / len(z)

    solved = minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _MAX_ITER})
    found: NDArray[np.float64] = solved.x.reshape(start.shape)
    return found


def _loss(z: NDArray, values: NDArray, weights: NDArray, targets: Targets, theta: NDArray) -> tuple[float, NDArray]:
    """Return the summed loss and its derivative with respect to the logits (n, n_outputs)."""
    logits = z @ theta[:, :-1].T.astype(z.dtype) + theta[:, -1]
    if targets.softmax:
        log_p = log_softmax(logits, axis=1)
        rows = np.arange(len(z))
        residual = np.exp(log_p)
        residual[rows, values] -= 1
        return float(-(weights * log_p[rows, values]).sum()), residual * weights[:, None]
    loss = np.logaddexp(0, logits) - values * logits
    return float((weights * loss).sum()), weights * (expit(logits) - values)
