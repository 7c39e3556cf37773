"""Medians of the columns of a table, much faster than numpy finds them: what is typical of a record needs many."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["column_medians"]


def column_medians(x: NDArray[Any]) -> NDArray[Any]:
    """Return the median of each column of a table (n, ...) without NaN, exactly as ``np.median(x, axis=0)``.

    A partition about one place is fast, and about two it is not: for an even number of rows, the lower middle value is
    the largest of the lower half.
    """
    n, middle = len(x), len(x) // 2
    rows = np.array(x.reshape(n, -1).T, order="C")
    rows.partition(middle, axis=1)
    found = rows[:, middle]
    if n % 2 == 0:
        found = np.stack([rows[:, :middle].max(axis=1), found], axis=1).mean(axis=1)
    return found.reshape(x.shape[1:])
