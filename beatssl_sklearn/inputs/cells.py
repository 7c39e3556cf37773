"""Collections whose elements are records: lists, folders, and columns of tables.

An element is an `ECGRecord`, the path of a WFDB record, or the array of a record at the estimator's rate.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..ecg.wfdb import read_wfdb
from ..ecg.wfdb.fingerprint import fingerprint
from ..ecg.wfdb.paths import split_record


class Cells(NamedTuple):
    """Records one by one.

    Attributes
    ----------
    records : sequence
        Records, paths or arrays, by position.
    names : sequence or None
        A name of each, as a table's index or a folder has them.
    """

    records: Any
    names: Sequence[Any] | None


class Paths:
    """Paths of WFDB records; they are read one at a time.

    Parameters
    ----------
    paths : sequence of str or path-like
        As for `read_wfdb`.
    """

    def __init__(self, paths: Sequence[Any]) -> None:
        self.paths = [os.fspath(path) if isinstance(path, os.PathLike) else path for path in paths]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> Any:
        path = self.paths[i]
        if not isinstance(path, str):
            raise TypeError(f"record {i} must be a path, as the others are, got {path!r:.60}")
        try:
            return read_wfdb(path)
        except (ValueError, OSError) as error:
            kind = OSError if isinstance(error, OSError) else ValueError
            raise kind(f"record {i} ({path}): {error}") from error

    def __getstate__(self) -> dict[str, Any]:
        # A cache's key: with the state of all files of a record, so that one which was written anew is read anew.
        return {"paths": self.paths, "stamps": [_stamp(path) for path in self.paths]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.paths = state["paths"]


def _stamp(path: Any) -> str:
    try:
        folder, name = split_record(path)
        return fingerprint(folder, [name])
    except (TypeError, ValueError):
        # No path of a record: reading it will say so.
        return ""


def is_record(value: Any) -> bool:
    """Whether a value knows its own signal and rate, as an `ECGRecord` does."""
    return hasattr(value, "signal") and hasattr(value, "fs")


def cells_of(X: Any) -> Cells | None:
    """Return X as records one by one; None if it is an array, or a table of samples.

    Parameters
    ----------
    X : object
        A list of records or of paths, a lazily read collection, or a column of a table: a Series, a table with this
        one column, or an object array of one axis or of one column.

    Returns
    -------
    Cells or None

    Raises
    ------
    ValueError
        If X is a table in which a column of records is one of several.
    """
    if isinstance(X, (list, tuple)):
        # Arrays in a list are one array.
        of_records = any(map(is_record, X)) or (len(X) > 0 and all(isinstance(x, (str, os.PathLike)) for x in X))
        return _cells(list(X), None) if of_records else None
    if isinstance(X, np.ndarray):
        one_column = X.ndim == 1 or (X.ndim == 2 and X.shape[1] == 1)
        return _cells(X.ravel().tolist(), None) if one_column and X.dtype.kind in "OUT" else None
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        return _cells_of_table(X)
    if hasattr(X, "to_numpy"):
        index = getattr(X, "index", None)
        names = index.tolist() if index is not None and hasattr(index, "tolist") else None
        return _cells(list(X.to_numpy()), names)
    # Tensors have names, too.
    if hasattr(X, "names") and hasattr(X, "shape") and hasattr(X, "__getitem__") and not hasattr(X, "detach"):
        return Cells(X, X.names)
    return None


def _cells_of_table(X: Any) -> Cells | None:
    kinds = [getattr(dtype, "kind", "O") for dtype in X.dtypes]
    if len(kinds) == 1 and kinds[0] not in "fiub":
        return cells_of(X[X.columns[0]])
    for name, kind in zip(X.columns, kinds, strict=True):
        first = X[name].to_numpy()[0] if kind == "O" and len(X) else None
        if is_record(first) or isinstance(first, (str, os.PathLike)):
            chosen = repr(name) if is_record(first) else "'name of the column'"
            raise ValueError(
                f"X is a table of the columns {', '.join(map(str, X.columns))}; pass the one that holds the ECGs, as "
                f"X[{chosen}] or by a ColumnTransformer"
            )
    return None


def _cells(values: list[Any], names: Sequence[Any] | None) -> Cells | None:
    """Return the cells of a column, unless its first one is no record."""
    first = next((value for value in values if value is not None), None)
    if isinstance(first, (str, os.PathLike)):
        return Cells(Paths(values), names)
    return Cells(values, names) if _is_cell(first) else None


def _is_cell(value: Any) -> bool:
    """Whether a value is a record, or may be the array of one."""
    return is_record(value) or (hasattr(value, "__len__") and not isinstance(value, (str, bytes, dict)))
