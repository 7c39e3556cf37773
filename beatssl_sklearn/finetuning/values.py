"""Values for training a regressor: standardised, weighed, and which records are held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import r2_score

from ..inputs.groups import hold_out_balanced_groups
from ..inputs.labels import as_labels, checked_weights, missing_labels


@dataclass(frozen=True)
class ValueTargets:
    """Values encoded for the loss: standardised, an output per target."""

    values: NDArray[np.float32]
    """(n_records, n_targets), of mean 0 and standard deviation 1; 0 where the value is missing."""
    weights: NDArray[np.float32]
    """Weight of each entry of `values`, 1 on average over the records that count; 0 where the value is missing."""
    counts: NDArray[np.float64]
    """(n_records,), how many records each one counts as; one without any value is as if it were absent."""
    mean: NDArray[np.float64]
    """Mean of each target (n_targets,); of shape () where there is one value per record."""
    scale: NDArray[np.float64]
    """Standard deviation of each target, of the same shape; 1 for a target that is constant."""

    @property
    def n_outputs(self) -> int:
        return self.values.shape[1]

    def score(self, index: NDArray[np.int64], outputs: NDArray[np.float32]) -> dict[str, float]:
        return {"valid_r2": mean_r2(self.values[index], outputs, self.weights[index])}


def encode_values(y: Any, n_records: int, sample_weight: Any = None) -> ValueTargets:
    """Check values and standardise them.

    Parameters
    ----------
    y : array (n_records,) or (n_records, n_targets)
        Numbers; NaN, None and pandas' NA are missing.
    n_records : int
        Records of X.
    sample_weight : array (n_records,), default=None
        How many records each one counts as; None is one.

    Returns
    -------
    ValueTargets
        Values and weights for the loss.

    Raises
    ------
    ValueError, TypeError
        If there is not one row per record, a value is no finite number, a target has no value in any record that
        counts, or a weight is no finite number of at least 0.
    """
    if y is None:
        raise ValueError("FineTunedRegressor requires y to be passed, but the target y is None")
    given = numbers_of(y)
    if len(given) != n_records:
        raise ValueError(f"y holds the values of {len(given)} records, X has {n_records}")
    counts = checked_weights(sample_weight, n_records)
    counts = np.ones(n_records) if counts is None else counts
    if not counts.any():
        raise ValueError("sample_weight is zero for every record")
    table = given.reshape(n_records, -1)
    known = ~np.isnan(table)
    weights = known * counts[:, None]
    total = weights.sum(axis=0)
    if not total.all():
        raise ValueError(f"y: column {int(np.argmin(total))} has no value in any record that counts")
    filled = np.where(known, table, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = (weights * filled).sum(axis=0) / total
        deviation = np.where(known, table - mean, 0.0)
        scale = np.sqrt((weights * deviation**2).sum(axis=0) / total)
    if not np.isfinite(scale).all():
        column = int(np.argmin(np.isfinite(scale)))
        raise ValueError(f"y: the values of column {column} are too large for a standard deviation: scale them")
    # What is left of a constant is rounding.
    scale = np.where(scale > 1e-12 * np.abs(mean), scale, 1.0)
    counts = np.where(known.any(axis=1), counts, 0.0)
    shape = given.shape[1:]
    return ValueTargets(
        (deviation / scale).astype(np.float32),
        (weights / weights[counts > 0].mean()).astype(np.float32),
        counts,
        mean.reshape(shape),
        scale.reshape(shape),
    )


def numbers_of(y: Any) -> NDArray[np.float64]:
    """Return values as float64, NaN where they are missing.

    Raises
    ------
    ValueError, TypeError
        If they have no shape (n_records,) or (n_records, n_targets), or one is no finite number; the message names its
        record.
    """
    given = as_labels(y)
    if given.ndim not in (1, 2) or 0 in given.shape[1:]:
        raise ValueError(f"y must have the shape (n_records,) or (n_records, n_targets), got {given.shape}")
    if given.dtype.kind not in "biufO":
        raise TypeError(f"y must hold numbers, got {given.dtype}")
    missing = missing_labels(given)
    numbers = np.full(given.shape, np.nan)
    try:
        numbers[~missing] = given[~missing].astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"y must hold numbers: {error}") from None
    infinite = np.flatnonzero(np.isinf(numbers).reshape(len(numbers), -1).any(axis=1))
    if len(infinite):
        raise ValueError(f"y contains infinity: the value of record {infinite[0]}; NaN is a missing value")
    return numbers


def mean_r2(y: NDArray, predicted: NDArray, weights: NDArray) -> float:
    """Return the mean over targets of R2, each of its own known records; NaN if none has two.

    Parameters
    ----------
    y, predicted : ndarray (n_records, n_targets)
        Values and predictions.
    weights : ndarray (n_records, n_targets)
        0 where a value is missing.
    """
    scores = []
    for true, guess, weight in zip(y.T, predicted.T, weights.T, strict=True):
        known = weight > 0
        if known.sum() > 1:
            scores.append(r2_score(true[known], guess[known], sample_weight=weight[known]))
    return float(np.mean(scores)) if scores else float("nan")


def hold_out_values(
    index: NDArray[np.int64],
    targets: ValueTargets,
    groups: NDArray[np.int64] | None,
    fraction: float,
    seed: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split records for training and validation: whole groups, with shares of high values as equal as possible.

    Parameters
    ----------
    index : ndarray of int64 (n,)
        Records to split.
    targets : ValueTargets
        Values of all records.
    groups : ndarray of int64 (n_records,) or None
        Patient of each record.
    fraction : float
        Share to hold out.
    seed : int
        Key of the draws.

    Returns
    -------
    train, valid : ndarray of int64
        Parts of `index`.

    Raises
    ------
    ValueError
        If a target would have no value among the records to train on, or fewer than two records would be left.
    """
    labels = index if groups is None else groups[index]
    known = targets.weights[index] > 0
    high = targets.values[index] > 0
    table = np.hstack([known, high[:, high.any(axis=0)]])
    held_out = hold_out_balanced_groups(table, labels, fraction, seed)
    if held_out is None:
        raise ValueError(
            f"validation_fraction={fraction!r} leaves too few records to train on, of {len(index)} records of "
            f"{len(np.unique(labels))} patients; use early_stopping=False"
        )
    return index[~held_out], index[held_out]
