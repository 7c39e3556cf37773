"""Records in HDF5 files, as CODE-15 lays them out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from .collection import Stack, StoredRecords, stacked
from .files import Ids, Layout, files_of, patients_of, stamp_of, texts


class HDF5Records(StoredRecords):
    """Records in HDF5 files of others, read where they lie when they are needed.

    A file holds one array of signals, and can hold arrays of identifiers, along the records.

    Parameters
    ----------
    path : str, path-like, or sequence of them
        A file, a pattern such as ``"exams_part*.hdf5"``, or files. Those of a pattern are taken in alphabetical order.
    signals : str, default="tracings"
        Array of the signals: (n_records, n_times, n_leads), (n_records, n_leads, n_times), or (n_records, n_times) of
        one lead. The smaller of the last two axes is that of the leads.
    record_ids : str, sequence of n_records, or None, default="exam_id"
        Names of the records: an array of the files, or values. None calls them "0", "1", ...
    patient_ids : str, sequence of n_records, mapping, or None, default=None
        Who each record is of: an array of the files, values, or values by name of the record.
    fs : float, default=400.0
        Sampling rate [Hz].
    leads : sequence of str, default=None
        Names of the leads, as for the estimators; None takes twelve leads in the standard order.
    scale : float or sequence of n_leads float, default=1.0
        Millivolts of the value 1.
    trim : bool, default=True
        Whether zeros at the beginning and at the end, in all leads, are padding, and are left out.

    Attributes
    ----------
    names : tuple of str
        Names of the records.
    patient_ids : ndarray of str (n_records,) or None
        Who each record is of; "" where that is not known.
    fs : float
        Sampling rate [Hz].
    leads : tuple of str
        Names of the leads.
    shape : tuple of one int
        (n_records,).

    Raises
    ------
    ImportError
        If h5py is missing.
    TypeError, ValueError
        If a file lacks an array, if arrays do not go together, or if a parameter cannot be used.
    OSError
        If a file is missing or cannot be read. A damaged record raises when it is read.

    Notes
    -----
    Threads and processes can share it. A pickle holds the paths and the names, but no signals.

    References
    ----------
    A. H. Ribeiro et al., CODE-15 %, Zenodo, 2021, https://doi.org/10.5281/zenodo.4916206.

    Examples
    --------
    >>> records = HDF5Records("exams_part*.hdf5", fs=400, patient_ids=patient_of_exam)  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        signals: str = "tracings",
        *,
        record_ids: Ids = "exam_id",
        patient_ids: Ids = None,
        fs: float = 400.0,
        leads: Sequence[str] | None = None,
        scale: float | Sequence[float] = 1.0,
        trim: bool = True,
    ) -> None:
        self._files = _Files(files_of(path), signals)
        shapes = [self._files.array(i).shape for i in range(len(self._files.paths))]
        kinds = {shape[1:] for shape in shapes}
        if len(kinds) > 1 or not all(1 <= len(kind) <= 2 for kind in kinds):
            raise ValueError(
                f"signals={signals!r} must have one shape (n_records, n_times, n_leads) in all files, got "
                f"{', '.join(map(str, shapes[:5]))}"
            )
        (self._shape,) = kinds
        n_leads = 1 if len(self._shape) == 1 else min(self._shape)
        self._layout = Layout(fs, leads, n_leads, scale, trim)
        lengths = [shape[0] for shape in shapes]
        names = self._ids("record_ids", record_ids, lengths) or [str(i) for i in range(sum(lengths))]
        patients = patients_of(patient_ids, names) or self._ids("patient_ids", patient_ids, lengths)
        table = {
            "file": np.repeat(np.arange(len(lengths)), lengths),
            "row": np.concatenate([np.arange(n) for n in lengths]),
        }
        super().__init__(self._files.label, names, patients, table)

    @property
    def fs(self) -> float:
        """Sampling rate [Hz]."""
        return self._layout.fs

    @property
    def leads(self) -> tuple[str, ...]:
        """Names of the leads."""
        return self._layout.leads

    def _ids(self, parameter: str, ids: Ids, lengths: list[int]) -> list[str] | None:
        if ids is None:
            return None
        if not isinstance(ids, str):
            if len(ids) != sum(lengths):
                raise ValueError(f"{parameter} must have one entry per record: {len(ids)} for {sum(lengths)} records")
            return texts(ids)
        found = [texts(self._files.array(i, ids)[()]) for i in range(len(lengths))]
        if [len(one) for one in found] != lengths:
            raise ValueError(f"{parameter}={ids!r} has {[len(one) for one in found]} entries for {lengths} records")
        return [text for one in found for text in one]

    def _samples(self, positions: NDArray[np.int64]) -> int:
        return int(np.prod(self._shape))

    def _read(self, positions: NDArray[np.int64]) -> Iterator[Stack]:
        found: dict[int, NDArray[np.float32]] = {}
        files, rows = self._table["file"][positions], self._table["row"][positions]
        # HDF5 reads ranges fast, and rows in no order not at all.
        order = np.lexsort((rows, files))
        for run in np.split(order, np.flatnonzero((np.diff(files[order]) != 0) | (np.diff(rows[order]) != 1)) + 1):
            try:
                read = self._files.array(int(files[run[0]]))[int(rows[run[0]]) : int(rows[run[-1]]) + 1]
            except (OSError, RuntimeError, KeyError) as error:
                raise OSError(
                    f"file {self._files.name(int(files[run[0]]))!r}, record {self._names[positions[run[0]]]!r} and "
                    f"{len(run) - 1} more: cannot be read: {error}"
                ) from error
            found |= {int(i): self._layout.signal(self._turned(values)) for i, values in zip(run, read, strict=True)}
        yield from stacked([found[i] for i in range(len(positions))], self.fs, self.leads)

    def _turned(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values (n_leads, n_times), whichever way they lie."""
        if values.ndim == 1:
            return values[None]
        return values.T if values.shape[1] < values.shape[0] else values

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_stamp": stamp_of(self._files.paths)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # It is of the moment of pickling, and made anew in the next pickle.
        state.pop("_stamp", None)
        self.__dict__.update(state)


class _Files:
    """HDF5 files, opened when they are read; each process opens its own."""

    def __init__(self, paths: list[str], signals: str) -> None:
        self.paths, self._signals = paths, signals
        self._reset()

    def _reset(self) -> None:
        self._open: dict[tuple[int, int], Any] = {}

    @property
    def label(self) -> str:
        return self.name(0) + (f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else "")

    def name(self, i: int) -> str:
        return os.path.basename(self.paths[i])

    def array(self, i: int, name: str | None = None) -> Any:
        """Return an array of a file; that of the signals without a name."""
        h5py = import_optional("h5py", "HDF5Records", "hdf5")
        name = self._signals if name is None else name
        key = (os.getpid(), i)
        try:
            # Threads that come at once may each open it, and keep the first. A lock would be held after a fork.
            if key not in self._open:
                self._open.setdefault(key, h5py.File(self.paths[i], "r"))
        except OSError as error:
            raise OSError(f"file {self.name(i)!r} is no HDF5 file that can be read: {error}") from error
        found = self._open[key].get(name)
        if found is None or not hasattr(found, "shape"):
            there = ", ".join(self._open[key])
            raise ValueError(f"file {self.name(i)!r} has no array {name!r}; it has {there[:200]}")
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {"paths": self.paths, "_signals": self._signals}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()
