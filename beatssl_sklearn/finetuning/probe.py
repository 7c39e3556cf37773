"""The linear probe that fine-tuning starts from: regularised logistic regression on the frozen embedding."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..classifiers.logistic import LogisticProblem, held_out_logits, principal_axes
from ..inputs.groups import group_folds
from .labels import LabelTargets

# Inverse penalties, from strong to weak: the variance of a normal prior on the weights.
_C_GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)
# Added to variances, both in the probe and in the network's BatchNorm.
NORM_EPS = 1e-5
N_FOLDS = 5
# With so many records, one held-out fold is enough.
ONE_FOLD_FROM = 2000


class Standard(NamedTuple):
    """Mean and variance of the dimensions of an embedding (n_dims,)."""

    mean: NDArray[np.float32]
    variance: NDArray[np.float32]

    def apply(self, embedding: NDArray) -> NDArray[np.float32]:
        """Return standardised embeddings, as the network's BatchNorm computes them."""
        return ((embedding - self.mean) / np.sqrt(self.variance + NORM_EPS)).astype(np.float32)


def standardisation(embedding: NDArray[np.float32], counts: NDArray[np.float64] | None = None) -> Standard:
    """Measure the dimensions of embeddings (n_records, n_dims); `counts` (n_records,) says how often each counts."""
    if counts is None or (counts == 1).all():
        mean, variance = (f(axis=0, dtype=np.float64) for f in (embedding.mean, embedding.var))
    else:
        share = counts / counts.sum()
        mean = share @ embedding
        variance = share @ (embedding - mean) ** 2
    # A dimension that is constant in these records must not decide about other records.
    return Standard(mean.astype(np.float32), np.where(variance > 1e-10, variance, 1e12).astype(np.float32))


def fit_probe(
    embedding: NDArray[np.float32],
    standard: Standard,
    targets: LabelTargets,
    index: NDArray[np.int64],
    groups: NDArray[np.int64] | None,
    seed: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit a probe on the records at `index`; cross-validated loss chooses its penalty.

    Parameters
    ----------
    embedding : ndarray (n_records, n_dims)
        Frozen embeddings of all records.
    standard : Standard
    targets : LabelTargets
        A record that counts as two is as good as the record twice, in one group.
    index : ndarray of int64
        Records to fit on, which count as more than 0.
    groups : ndarray of int64 or None
        Records of one group lie in one fold.
    seed : int
        Seed of the folds.

    Returns
    -------
    weight : ndarray (n_outputs, n_dims)
    bias : ndarray (n_outputs,)
        Logits of standardised embeddings are ``z @ weight.T + bias``.
    """
    # In float32 thousands of records fit into memory. The error in the logits is far below the noise of labels.
    counts = targets.counts[index]
    axes = principal_axes(standard.apply(embedding[index]), counts)
    table = (targets.indicators() if targets.softmax else targets.values)[index].astype(np.float32)
    # A softmax has one weight per record, a sigmoid one per entry. They are 1 on average, and here they count records.
    weights = targets.weights[index].reshape(len(index), -1) * np.float32(targets.mean_count)
    problem = LogisticProblem(axes.scores, axes.variance, table, targets.softmax, weights, counts)
    folds = group_folds(index if groups is None else groups[index], N_FOLDS, seed)
    fit = problem.fit(_best_C(problem, folds[:1] if len(index) >= ONE_FOLD_FROM else folds))
    # From principal axes back to the dimensions of the embedding.
    return fit.weights[:-1].T.astype(np.float32) @ axes.basis.T, fit.weights[-1].astype(np.float32)


def _best_C(problem: LogisticProblem, folds: NDArray[np.bool_]) -> float:
    """Return the first minimum of the held-out loss along `_C_GRID`; the strongest penalty if there is no fold."""
    held_out = [problem.rows(out) for out in folds]
    best, best_C = np.inf, _C_GRID[0]
    for C, logits in held_out_logits(problem, list(folds), _C_GRID):
        losses = [rows.loss(z)[0] for rows, z in zip(held_out, logits, strict=True)]
        loss = sum(losses)
        if loss >= best:
            break
        best, best_C = loss, C
    return best_C
