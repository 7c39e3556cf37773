"""A folder of WFDB records as a collection that is read lazily."""

from __future__ import annotations

import fnmatch
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..._optional import find_stack_level
from .fingerprint import fingerprint
from .listing import check_names, list_records
from .paths import local_path
from .record import ECGRecord, load_record
from .selection import wanted_signals


class WFDBFolder:
    """Records below a folder; each is read when it is indexed.

    The collection has the length, shape and indexing that scikit-learn needs to split it. An integer reads a record;
    a slice or an array gives another `WFDBFolder`.

    Parameters
    ----------
    root : str or path-like
        The folder.
    leads, positional : as for `read_wfdb`
        Which signals to read, of every record. The `info` of a record calls it by its name here, with its subfolder.
    names : sequence of str, default=None
        Records to take, as paths relative to `root` without extension. None means the names in the file RECORDS; a name
        that ends in a slash means the records of that subfolder, which may have a file RECORDS of its own. Where that
        file is missing, it means all header files and all subfolders, in natural order ("2" before "10"); the segments
        of a record then count as records, too.
    pattern : str or sequence of str, default=None
        Keep only the records whose name matches this pattern, or one of these, as a shell would: ``"records100/*"``. An
        asterisk stands for slashes, too.
    skip_unreadable : bool, default=False
        What happens if a subfolder cannot be searched: False raises an error, True warns and goes on with the others.

    Attributes
    ----------
    names : tuple of str
        Names of the records.
    unreadable : tuple of str
        Subfolders that could not be searched, each with the reason; their records are not among `names`.
    shape : tuple of one int
        (n_records,).

    Raises
    ------
    ValueError
        If there are no records, if none matches `pattern`, or if a name leaves the folder.
    OSError
        If the folder is missing or cannot be read, or if a subfolder cannot be searched. A record whose file is gone
        raises when it is indexed.

    Warns
    -----
    UserWarning
        If links to folders outside are not followed, or, with `skip_unreadable`, if a subfolder cannot be searched.

    Notes
    -----
    Symbolic links to files are followed within `root`, not out of it; links to folders are followed only where a name
    leads through them. Hidden folders are not searched.

    A pickle holds the path of the folder and the names, but no signals. It also holds a digest of the headers and of
    the size and time of change of the signal files, so that caches that compare by pickle, as joblib's do, notice a
    record that has changed. Making a pickle therefore takes as long as reading all headers.

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
        leads: Sequence[str] | Mapping[str, str] | None = None,
        positional: bool = False,
        names: Sequence[str] | None = None,
        pattern: str | Sequence[str] | None = None,
        skip_unreadable: bool = False,
    ) -> None:
        self._root = local_path(root, "root")
        if not os.path.isdir(self._root):
            raise NotADirectoryError(f"root {self._label!r} is not an existing folder")
        if isinstance(names, (str, bytes)):
            raise TypeError(f"names must be a sequence of str, got the single value {names!r:.60}")
        self._wanted = wanted_signals(leads, positional)
        self._unreadable: tuple[str, ...] = ()
        listed = self._listed(skip_unreadable) if names is None else list(names)
        if not listed:
            raise ValueError(f"folder {self._label!r} holds no records: no RECORDS file with names and no *.hea file")
        check_names(self._root, listed, self._label)
        # Some lists name the header files.
        self._names = tuple([name.removesuffix(".hea") for name in listed])
        if pattern is not None:
            self._names = _matching(self._names, pattern, self._label)

    def _listed(self, skip_unreadable: bool) -> list[str]:
        """Return the names of all records; tell what could not be searched."""
        found = list_records(self._root, self._label)
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
            elif (record.signal.shape, record.fs, record.leads) != (first.signal.shape, first.fs, first.leads):
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
        try:
            return load_record(directory, record, self._wanted, self._root, name)
        except FileNotFoundError:
            if os.path.isdir(self._root):
                raise
            raise FileNotFoundError(f"folder {self._label!r} is gone: record {name!r} cannot be read") from None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": fingerprint(self._root, self._names)}

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
