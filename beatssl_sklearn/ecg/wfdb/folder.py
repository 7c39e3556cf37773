"""A folder of WFDB records as a collection that is read lazily."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from .paths import is_inside, is_plain_name, local_path, read_bytes
from .record import ECGRecord, lead_names, load_record

_LARGEST_LIST = 2**26


class WFDBFolder:
    """Records below a folder; each is read when it is indexed.

    The collection has the length, shape and indexing that scikit-learn needs to split it. An integer reads a record;
    a slice or an array gives another `WFDBFolder`.

    Parameters
    ----------
    root : str or path-like
        The folder.
    leads, positional : as for `read_wfdb`
        Which signals to read, of every record.
    names : sequence of str, default=None
        Records to take, as paths relative to `root` without extension. None means the names in the file RECORDS.
        Without that file, it means all header files below `root`, in natural order ("2" before "10"); the segments of a
        record then count as records, too.

    Attributes
    ----------
    names : tuple of str
        Names of the records.
    shape : tuple of one int
        (n_records,).

    Raises
    ------
    ValueError
        If there are no records, or if a name leaves the folder.
    OSError
        If the folder is missing or cannot be read.

    Notes
    -----
    Symbolic links to files are followed within `root`, not out of it. A pickle holds the path of the folder and the
    names, but no signals.

    Examples
    --------
    >>> records = WFDBFolder("ludb")  # doctest: +SKIP
    >>> len(records), records[0].signal.shape  # doctest: +SKIP
    (200, (12, 5000))
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        leads: Sequence[str] | None = None,
        positional: bool = False,
        names: Sequence[str] | None = None,
    ) -> None:
        self._root = local_path(root, "root")
        if not os.path.isdir(self._root):
            raise NotADirectoryError(f"root {self._label!r} is not an existing folder")
        if isinstance(names, (str, bytes)):
            raise TypeError(f"names must be a sequence of str, got the single value {names!r:.60}")
        self._leads = lead_names(leads)
        self._positional = positional
        self._names = _listed_names(self._root, self._label) if names is None else tuple(names)
        if not self._names:
            raise ValueError(f"folder {self._label!r} holds no records: no RECORDS file with names and no *.hea file")
        _check_names(self._root, self._names, self._label)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the records, as paths relative to the folder."""
        return self._names

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
        return f"WFDBFolder({self._label!r}, n_records={len(self)})"

    @overload
    def __getitem__(self, key: int | np.integer[Any]) -> ECGRecord: ...

    @overload
    def __getitem__(self, key: slice | Sequence[Any] | NDArray[Any] | tuple[Any, ...]) -> WFDBFolder: ...

    def __getitem__(self, key: Any) -> ECGRecord | WFDBFolder:
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
            raise ValueError("copy=False is not possible: the records of a WFDBFolder are in files")
        out: NDArray[Any] | None = None
        first: ECGRecord | None = None
        for i, record in enumerate(self):
            if out is None or first is None:
                first = record
                out = np.empty((len(self), *record.signal.shape), dtype=dtype or np.float32)
            elif record.signal.shape != first.signal.shape or record[1:] != first[1:]:
                raise ValueError(f"record {self._names[i]!r} differs from {self._names[0]!r} in length, rate or leads")
            out[i] = record.signal
        return np.empty((0, 0, 0), dtype=dtype or np.float32) if out is None else out

    def _subset(self, names: tuple[str, ...]) -> WFDBFolder:
        """Return a folder with some of the records, without the checks, which they passed already."""
        part = object.__new__(WFDBFolder)
        part.__dict__.update(self.__dict__, _names=names)
        return part

    def _read(self, name: str) -> ECGRecord:
        directory, record = os.path.split(name)
        directory = os.path.join(self._root, directory) if directory else self._root
        return load_record(directory, record, self._leads, self._positional, self._root)


def _listed_names(root: str, label: str) -> tuple[str, ...]:
    """Return the names in the file RECORDS, or the names of all headers below the folder."""
    try:
        raw = read_bytes(root, "RECORDS", label, at_most=_LARGEST_LIST, root=root)
    except FileNotFoundError:
        return _walk(root)
    names: list[str] = []
    for line in raw.decode("utf-8-sig", errors="replace").splitlines():
        name = line.strip().replace("/./", "/").removeprefix("./")
        if name.endswith("/"):
            # A slash at the end means a folder of records. Check the folder before it is searched.
            _check_names(root, (name + "x",), label)
            names += [name + inner for inner in _walk(os.path.join(root, name))]
        elif name and not name.startswith("#"):
            names.append(name)
    return tuple(names)


def _walk(root: str) -> tuple[str, ...]:
    """Return the names of all headers below a folder, in natural order; hidden folders are skipped."""
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inner = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if inner == "." else inner + "/"
        names += [prefix + file[:-4] for file in files if file.endswith(".hea") and len(file) > 4]
    return tuple(sorted(names, key=_natural))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return a sorting key that reads digits as numbers."""
    parts = re.split(r"(\d{1,18})", name)
    return [(0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts)]


def _check_names(root: str, names: tuple[str, ...], label: str) -> None:
    """Raise an error for names that leave the folder, by their text or through a link to a directory."""
    checked: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"names must hold str, got {type(name).__name__}")
        if not all(is_plain_name(part) for part in name.split("/")) or "://" in name:
            raise ValueError(f"folder {label!r}: record name {os.path.basename(name)[:40]!r} leaves the folder")
        directory = name.rpartition("/")[0]
        if directory and directory not in checked:
            checked.add(directory)
            if not is_inside(os.path.join(root, directory), root):
                raise ValueError(f"folder {label!r}: a link leads record {os.path.basename(name)[:40]!r} outside")
