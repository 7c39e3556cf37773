"""Collections that read a file or a record when it is indexed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class LazyList(Sequence[Any]):
    """Items that `read` returns for each path, at every access again; slices and index arrays give a `LazyList`.

    Parameters
    ----------
    read : callable
        Takes a path. It must be a function of a module, so that the list can be pickled.
    paths : sequence of Path
    """

    def __init__(self, read: Callable[[Path], Any], paths: Sequence[Path]) -> None:
        self._read, self._paths = read, list(paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, np.integer)):
            return self._read(self._paths[key])
        return type(self)(self._read, [self._paths[i] for i in np.arange(len(self))[key]])

    def __iter__(self) -> Iterator[Any]:
        return map(self._read, self._paths)


class LazyArray:
    """Arrays of one shape, stacked along the records; every index gives an ndarray.

    Parameters
    ----------
    read : callable
        Takes a path and returns an ndarray of shape `item_shape`. It must be a function of a module.
    paths : sequence of Path
    item_shape : tuple of int
    dtype : dtype

    Attributes
    ----------
    shape : tuple (n_records, *item_shape)
    """

    def __init__(
        self, read: Callable[[Path], NDArray[Any]], paths: Sequence[Path], item_shape: tuple[int, ...], dtype: Any
    ) -> None:
        self._read, self._paths = read, list(paths)
        self.shape = (len(self._paths), *item_shape)
        self.ndim = len(self.shape)
        self.dtype = np.dtype(dtype)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        if isinstance(key, tuple):
            if not key or key[0] is Ellipsis or key[0] is None:
                return np.asarray(self)[key]
            rows = self[key[0]]
            return rows[key[1:]] if isinstance(key[0], (int, np.integer)) else rows[(slice(None), *key[1:])]
        if isinstance(key, (int, np.integer)):
            return self._one(self._paths[key])
        chosen = [self._one(self._paths[i]) for i in np.arange(len(self))[key]]
        return np.stack(chosen) if chosen else np.zeros((0, *self.shape[1:]), self.dtype)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return map(self._one, self._paths)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("copy=False is not possible: the items are in files")
        return self[:].astype(dtype or self.dtype, copy=False)

    def _one(self, path: Path) -> NDArray[Any]:
        item = self._read(path)
        if item.shape != self.shape[1:]:
            raise ValueError(f"record {path} has shape {item.shape}, the first record {self.shape[1:]}")
        return item
