"""Feature tables: named columns in groups, with missing values, and optionally one beat per row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["GROUP_NAMES", "FeatureTable", "concatenate", "make_feature_table"]

GROUP_NAMES = ("rhythm", "qrs", "st_t", "p", "intervals", "axis", "morphology", "components")


class FeatureTable(NamedTuple):
    """Features of records or beats.

    Attributes
    ----------
    values : ndarray of float32, shape (n_rows, n_columns)
        NaN if a value is missing.
    names : tuple of str
        Names of the columns.
    groups : ndarray of int64, shape (n_columns,)
        Group of each column: an index into `group_names`.
    group_names : tuple of str
        Names of the groups; a group can have no column.
    beats : ndarray of float32, shape (n_rows, 8, n_grid), or None
        One beat per row on a common grid, for principal components; NaN if a lead is absent.
    """

    values: NDArray[np.float32]
    names: tuple[str, ...]
    groups: NDArray[np.int64]
    group_names: tuple[str, ...] = GROUP_NAMES
    beats: NDArray[np.float32] | None = None


def make_feature_table(
    values: NDArray[np.floating], columns: Sequence[tuple[str, str]], beats: NDArray[np.float32] | None = None
) -> FeatureTable:
    """Make a table from its values and the name and group of each column.

    Parameters
    ----------
    values : ndarray, shape (n_rows, n_columns)
    columns : sequence of (name, group name)
    beats : ndarray of float32, shape (n_rows, n_leads, n_grid), default=None

    Returns
    -------
    table : FeatureTable
    """
    groups = np.array([GROUP_NAMES.index(group) for _, group in columns], dtype=np.int64)
    names = tuple(name for name, _ in columns)
    return FeatureTable(values.astype(np.float32, copy=False), names, groups, GROUP_NAMES, beats)


def concatenate(tables: Sequence[FeatureTable]) -> FeatureTable:
    """Join the rows of tables that have the same columns.

    Parameters
    ----------
    tables : sequence of FeatureTable
        At least one.

    Returns
    -------
    table : FeatureTable
        With `beats` if all tables hold them.

    Raises
    ------
    ValueError
        If there is no table, or if the columns differ.
    """
    if not tables:
        raise ValueError("tables must hold at least one table.")
    first = tables[0]
    for i, table in enumerate(tables):
        if table.names != first.names:
            raise ValueError(f"table {i} has other columns than table 0.")
    beats = [table.beats for table in tables if table.beats is not None]
    return FeatureTable(
        np.concatenate([table.values for table in tables]),
        first.names,
        first.groups,
        first.group_names,
        np.concatenate(beats) if len(beats) == len(tables) else None,
    )
