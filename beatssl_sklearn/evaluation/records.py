"""Some of the records of whatever holds records."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["take"]


def take(X: Any, rows: NDArray[np.int64]) -> Any:
    """Return records at some rows of an array, a lazily read folder, a table or a list."""
    if isinstance(X, (list, tuple)):
        return [X[i] for i in rows]
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]
