"""The linear probe that a regressor starts from: ridge regression on the frozen embedding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..classifiers.logistic import principal_axes
from ..inputs.groups import group_folds
from .probe import N_FOLDS, ONE_FOLD_FROM, Standard
from .values import ValueTargets

# Penalties, from strong to weak; of standardised embeddings and values.
_ALPHAS = np.logspace(5, -1, 13)


def fit_ridge_probe(
    embedding: NDArray[np.float32],
    standard: Standard,
    targets: ValueTargets,
    index: NDArray[np.int64],
    groups: NDArray[np.int64] | None,
    seed: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit a probe on the records at `index`; the cross-validated squared error chooses each target's penalty.

    Parameters
    ----------
    embedding : ndarray (n_records, n_dims)
        Frozen embeddings of all records.
    standard : Standard
    targets : ValueTargets
        A record that counts as two is as good as the record twice, in one group.
    index : ndarray of int64
        Records to fit on, which count as more than 0.
    groups : ndarray of int64 or None
        Records of one group lie in one fold.
    seed : int
        Seed of the folds.

    Returns
    -------
    weight : ndarray (n_targets, n_dims)
    bias : ndarray (n_targets,)
        Standardised values of standardised embeddings are ``z @ weight.T + bias``.
    """
    counts = targets.counts[index]
    axes = principal_axes(standard.apply(embedding[index]), counts)
    folds = group_folds(index if groups is None else groups[index], N_FOLDS, seed)
    folds = folds[:1] if len(index) >= ONE_FOLD_FROM else folds
    weights, biases = [], []
    for column in range(targets.n_outputs):
        weight = counts * (targets.weights[index, column] > 0)
        slope, bias = _best_fit(axes.scores, targets.values[index, column].astype(np.float64), weight, folds)
        # From principal axes back to the dimensions of the embedding.
        weights.append(axes.basis @ slope.astype(np.float32))
        biases.append(bias)
    return np.stack(weights), np.array(biases, dtype=np.float32)


def _best_fit(
    Z: NDArray[np.float32], y: NDArray[np.float64], weight: NDArray[np.float64], folds: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    """Return slopes and intercept of one target, with the strongest penalty if there is no fold."""
    error = np.zeros(len(_ALPHAS))
    for out in folds:
        kept, known = ~out & (weight > 0), out & (weight > 0)
        if kept.any() and known.any():
            slopes, biases = _path(Z[kept], y[kept], weight[kept])
            error += weight[known] @ (Z[known] @ slopes + biases - y[known][:, None]) ** 2
    best = int(error.argmin())
    known = weight > 0
    slopes, biases = _path(Z[known], y[known], weight[known])
    return slopes[:, best], float(biases[best])


def _path(
    Z: NDArray[np.float32], y: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return slopes (r, n_alphas) and intercepts (n_alphas,) for all penalties, with one decomposition."""
    share = weight / weight.sum()
    centre, level = share @ Z, float(share @ y)
    root = np.sqrt(weight)
    rows = (Z - centre.astype(np.float32)) * root[:, None].astype(np.float32)
    variance, basis = np.linalg.eigh((rows.T @ rows).astype(np.float64))
    along = basis.T @ (rows.T.astype(np.float64) @ (root * (y - level)))
    slopes = basis @ (along[:, None] / (np.maximum(variance, 0.0)[:, None] + _ALPHAS))
    return slopes, level - centre @ slopes
