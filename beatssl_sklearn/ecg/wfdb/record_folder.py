"""What folders of records share, whatever the format: names, indexing, pickles that notice a change."""

from __future__ import annotations

import fnmatch
import os
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self, overload

import numpy as np
from numpy.typing import NDArray

from ..._optional import find_stack_level
from .listing import Listing, check_names
from .paths import local_path
from .record import ECGRecord


class RecordFolder(ABC):
    """Records below a folder; each is read when it is indexed.

    A subclass finds the names of the records, reads one of them, and tells the state of their files.

    Parameters
    ----------
    root : str or path-like
        The folder.
    names : sequence of str or None
        Records to take, as paths relative to `root`. None means those that `_find` finds.
    pattern : str, sequence of str or None
        Keep only the records whose name matches this pattern, or one of these.
    skip_unreadable : bool
        What happens if a subfolder cannot be searched: False raises an error, True warns and goes on with the others.

    Raises
    ------
    ValueError, TypeError, OSError
        As for `WFDBFolder`.
    """

    _NONE_FOUND: ClassVar[str]
    """What a folder without records lacks."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        names: Sequence[str] | None,
        pattern: str | Sequence[str] | None,
        skip_unreadable: bool,
    ) -> None:
        self._root = local_path(root, "root")
        if not os.path.isdir(self._root):
            raise NotADirectoryError(f"root {self._label!r} is not an existing folder")
        if isinstance(names, (str, bytes)):
            raise TypeError(f"names must be a sequence of str, got the single value {names!r:.60}")
        self._unreadable: tuple[str, ...] = ()
        listed = self._listed(skip_unreadable) if names is None else list(names)
        if not listed:
            raise ValueError(f"folder {self._label!r} holds no records: {self._NONE_FOUND}")
        check_names(self._root, listed, self._label)
        # Some lists name the header files.
        self._names = tuple([name.removesuffix(".hea") for name in listed])
        if pattern is not None:
            self._names = _matching(self._names, pattern, self._label)

    @abstractmethod
    def _find(self) -> Listing:
        """Return the names of all records, and what could not be searched."""

    @abstractmethod
    def _load(self, name: str) -> ECGRecord:
        """Read a record."""

    @abstractmethod
    def _state(self) -> str:
        """Return a digest of the state of the records' files."""

    def _listed(self, skip_unreadable: bool) -> list[str]:
        """Return the names of all records; tell what could not be searched."""
        found = self._find()
        if found.unreadable and not skip_unreadable:
            raise OSError(f"folder {self._label!r}: {_first(found.unreadable)} cannot be searched; "
                          "skip_unreadable=True goes on without")
        self._unreadable = tuple(found.unreadable)
        for paths, text in ((found.unreadable, "cannot be searched: its records are left out"),
                            (found.links, "is a link to a folder outside and is not followed")):
            if paths:
                warnings.warn(f"folder {self._label!r}: {_first(paths)} {text}", UserWarning,
                              stacklevel=find_stack_level())
        return found.names

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the records, as paths relative to the folder."""
        return self._names

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Subfolders that could not be searched, each with the reason."""
        return self._unreadable

    @property
    def shape(self) -> tuple[int]:
        """(n_records,)."""
        return (len(self._names),)

    @property
    def _label(self) -> str:
        """The folder's own name: messages never show the path above it."""
        return os.path.basename(os.path.normpath(self._root))

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[ECGRecord]:
        return (self._read(name) for name in self._names)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._label!r}, n_records={len(self)})"

    @overload
    def __getitem__(self, key: int | np.integer[Any]) -> ECGRecord: ...

    @overload
    def __getitem__(self, key: slice | Sequence[Any] | NDArray[Any] | tuple[Any, ...]) -> Self: ...

    def __getitem__(self, key: Any) -> ECGRecord | Self:
        # scikit-learn indexes with (rows, ...).
        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
            key = key[0]
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            return self._read(self._names[key])
        if isinstance(key, slice):
            return self._subset(self._names[key])
        positions = np.asarray(key)
        # An empty list becomes an array of float.
        if positions.size == 0:
            positions = positions.astype(np.int64)
        if positions.ndim != 1 or positions.dtype.kind not in "iub":
            raise IndexError(f"expected an integer, a slice, or a 1-D array of int or bool, got {key!r:.60}")
        if positions.dtype.kind == "b":
            if len(positions) != len(self):
                raise IndexError(f"a mask of length {len(positions)} for {len(self)} records")
            positions = np.flatnonzero(positions)
        return self._subset(tuple(self._names[i] for i in positions.tolist()))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Stack records of equal shape, rate and leads: (n_records, n_leads, n_times) [mV]."""
        if copy is False:
            raise ValueError(f"copy=False is not possible: the records of a {type(self).__name__} are in files")
        out: NDArray[Any] | None = None
        first: ECGRecord | None = None
        for i, record in enumerate(self):
            if out is None or first is None:
                first = record
                out = np.empty((len(self), *record.signal.shape), dtype=dtype or np.float32)
            elif (record.signal.shape, record.fs, record.leads) != (first.signal.shape, first.fs, first.leads):
                raise ValueError(f"record {self._names[i]!r} differs from {self._names[0]!r} in length, rate or leads")
            out[i] = record.signal
        return np.empty((0, 0, 0), dtype=dtype or np.float32) if out is None else out

    def _subset(self, names: tuple[str, ...]) -> Self:
        """Return a folder with some of the records, without the checks, which they passed already."""
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__, _names=names)
        return part

    def _read(self, name: str) -> ECGRecord:
        try:
            return self._load(name)
        except FileNotFoundError:
            if os.path.isdir(self._root):
                raise
            raise FileNotFoundError(f"folder {self._label!r} is gone: record {name!r} cannot be read") from None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": self._state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # The digest is of the moment of pickling: it is never compared, and made anew in the next pickle.
        state.pop("_files", None)
        self.__dict__.update(state)


def _matching(names: tuple[str, ...], pattern: str | Sequence[str], label: str) -> tuple[str, ...]:
    """Return the names that match one of the patterns."""
    patterns = [pattern] if isinstance(pattern, str) else list(pattern)
    for one in patterns:
        if not isinstance(one, str):
            raise TypeError(f"pattern must be a str or a sequence of str, got {type(one).__name__}: {one!r:.60}")
    match = re.compile("|".join(map(fnmatch.translate, patterns)) or r"\Z.").match
    kept = tuple([name for name in names if match(name)])
    if not kept:
        raise ValueError(f"folder {label!r}: pattern {pattern!r:.100} matches none of its {len(names)} records")
    return kept


def _first(paths: Sequence[str]) -> str:
    """Name a few paths for a message."""
    return ", ".join(map(repr, paths[:5])) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
