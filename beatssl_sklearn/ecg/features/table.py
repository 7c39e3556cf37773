"""A table of features: named, grouped columns with missing values, and optionally a beat per row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["GROUP_NAMES", "FeatureTable", "concatenate", "make_table"]

GROUP_NAMES = ("rhythm", "qrs", "st_t", "p", "intervals", "axis", "morphology", "components")


class FeatureTable(NamedTuple):
    """Features of records or beats.

    Attributes
    ----------
    values : ndarray of float32, shape (n_rows, n_columns)
        NaN where a value is missing.
    names : tuple of str
        Names of the columns.
    groups : ndarray of int64, shape (n_columns,)
        What kind of column it is: an index into `group_names`.
    group_names : tuple of str
        Names of the groups; a group may have no column.
    beats : ndarray of float32, shape (n_rows, 8, n_grid), or None
        The rows' beats on a common grid, for principal components; NaN where a lead is absent.
    """

    values: NDArray[np.float32]
    names: tuple[str, ...]
    groups: NDArray[np.int64]
    group_names: tuple[str, ...] = GROUP_NAMES
    beats: NDArray[np.float32] | None = None


def make_table(
    values: NDArray[np.floating], columns: Sequence[tuple[str, str]], beats: NDArray[np.float32] | None = None
) -> FeatureTable:
    """Build a table from its values and the name and group of each column.

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
    """Join tables of the same columns, rows after rows.

    Parameters
    ----------
    tables : sequence of FeatureTable
        At least one.

    Returns
    -------
    table : FeatureTable
        With `beats` where all tables hold them.

    Raises
    ------
    ValueError
        If there is no table, or the columns differ.
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
