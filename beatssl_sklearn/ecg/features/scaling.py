"""One scale for all columns of a feature table, and weights with which no group of columns dominates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .table import FeatureTable

__all__ = ["Scaling", "fit_scaling", "standardize"]

CLIP = 3.0
# Median absolute deviation to standard deviation, for normal values.
MAD_TO_SD = 1.4826
# In these groups a column's share of the weight is its share of the variance.
WEIGHTED_BY_VARIANCE = ("components",)

Floats = NDArray[np.float32]


class Scaling(NamedTuple):
    """Centre, scale and weight of each column, each of shape (n_columns,), float32."""

    centre: Floats
    scale: Floats
    weights: Floats


def fit_scaling(table: FeatureTable) -> Scaling:
    """Fit a robust centre and scale to each column, and its weight in a distance.

    Parameters
    ----------
    table : FeatureTable

    Returns
    -------
    scaling : Scaling
        Median and 1.4826 MAD; the standard deviation if the MAD is 0 (more than half of the values are equal). Columns
        without spread or without values get weight 0.

    Notes
    -----
    Every group with a usable column has the same weight, and the weights sum to 1 (to 0 if no column is usable). The
    columns of a group share its weight equally. Principal components share it in proportion to their variance: each is
    scaled to unit spread, and these weights restore their distance in the space of beats (up to a constant). With equal
    weights, components of noise would count as much as the first.
    """
    n_columns = table.values.shape[1]
    centre, scale = np.zeros(n_columns), np.zeros(n_columns)
    for k in range(n_columns):
        x = table.values[:, k].astype(np.float64)
        x = x[np.isfinite(x)]
        if x.size:
            centre[k] = np.median(x)
            spread = MAD_TO_SD * np.median(np.abs(x - centre[k]))
            scale[k] = spread if spread > 0 else x.std()
            # Rounding to float32 alone gives a constant a spread of about 1e-7 of its value.
            scale[k] *= scale[k] > 1e-6 * abs(centre[k])
    usable = scale > 0
    weights = np.zeros(n_columns)
    groups = np.unique(table.groups[usable])
    for group in groups:
        columns = usable & (table.groups == group)
        by_variance = table.group_names[group] in WEIGHTED_BY_VARIANCE
        share = np.square(scale[columns]) if by_variance else np.ones(columns.sum())
        weights[columns] = share / share.sum() / len(groups)
    return Scaling(centre.astype(np.float32), scale.astype(np.float32), weights.astype(np.float32))


def standardize(table: FeatureTable, scaling: Scaling | None = None) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Compute robust z-scores, clipped at 3, and mark missing values.

    Parameters
    ----------
    table : FeatureTable
    scaling : Scaling, default=None
        From `fit_scaling` on other rows of the same columns; None fits it to this table.

    Returns
    -------
    z : ndarray of float32, shape (n_rows, n_columns)
        Within [-3, 3]; 0 if a value is missing or the column has no spread.
    present : ndarray of bool, shape (n_rows, n_columns)
        False if a value is missing.
    weights : ndarray of float32, shape (n_columns,)
        Not negative, with sum 1; see `fit_scaling`.

    Raises
    ------
    ValueError
        If `scaling` has another number of columns.
    """
    fitted = fit_scaling(table) if scaling is None else scaling
    if fitted.scale.size != table.values.shape[1]:
        raise ValueError(f"scaling has {fitted.scale.size} columns but the table has {table.values.shape[1]}.")
    present = np.isfinite(table.values)
    usable = fitted.scale > 0
    z = (table.values - fitted.centre) / np.where(usable, fitted.scale, np.float32(1.0))
    z = np.where(present & usable, np.clip(z, -CLIP, CLIP), 0.0)
    return z.astype(np.float32, copy=False), present, fitted.weights
