"""Records in a store: a collection that reads them when they are needed, one by one or many at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self, overload

import numpy as np
from numpy.typing import NDArray

from ..ecg import ECGRecord

# Records and samples that are read at once where nobody says how many.
_N_RECORDS, _N_SAMPLES = 64, 8_000_000


class Stack(NamedTuple):
    """Records of one length, rate and lead set.

    Attributes
    ----------
    signal : ndarray of float32 (n_records, n_leads, n_times)
        Signals [mV], NaN where a sample is missing.
    fs : float
        Sampling rate [Hz].
    leads : tuple of str
        Names of the leads.
    """

    signal: NDArray[np.float32]
    fs: float
    leads: tuple[str, ...]


class StoredRecords(ABC):
    """Base of the collections whose records lie in a store.

    A collection has the length, shape and indexing that scikit-learn needs to split it. An integer reads a record; a
    slice, an array of positions or a mask gives another collection, and reads nothing.

    Parameters
    ----------
    label : str
        What messages call the store.
    names : sequence of str
        Names of the records, each once.
    patient_ids : sequence of str or None
        Who each record is of; "" where that is not known.
    table : mapping of str to ndarray (n_records, ...)
        Where each record lies in the store. A part of the collection has this part of it.
    """

    def __init__(
        self,
        label: str,
        names: Sequence[str],
        patient_ids: Sequence[str] | None,
        table: Mapping[str, NDArray[Any]],
    ) -> None:
        self._label = label
        self._names = tuple(names)
        self._patient_ids = None if patient_ids is None else np.asarray(patient_ids, dtype=np.str_)
        self._table = dict(table)

    @abstractmethod
    def _samples(self, positions: NDArray[np.int64]) -> int:
        """Return how many samples the largest of these records has, as far as it is known."""

    @abstractmethod
    def _read(self, positions: NDArray[np.int64]) -> Iterator[Stack]:
        """Yield records in this order; those that follow each other and are alike are one stack."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the records."""
        return self._names

    @property
    def patient_ids(self) -> NDArray[np.str_] | None:
        """Who each record is of, (n_records,); "" where that is not known. None if the store does not tell."""
        return self._patient_ids

    @property
    def shape(self) -> tuple[int]:
        """(n_records,)."""
        return (len(self._names),)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._label!r}, n_records={len(self)})"

    def __iter__(self) -> Iterator[ECGRecord]:
        i = 0
        for signal, fs, leads in self.read_stacks(np.arange(len(self))):
            for one in signal:
                yield self._record(i, one, fs, leads)
                i += 1

    @overload
    def __getitem__(self, key: int | np.integer[Any]) -> ECGRecord: ...

    @overload
    def __getitem__(self, key: slice | Sequence[Any] | NDArray[Any] | tuple[Any, ...]) -> Self: ...

    def __getitem__(self, key: Any) -> ECGRecord | Self:
        # scikit-learn indexes with (rows, ...).
        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
            key = key[0]
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            i = range(len(self))[key]
            ((signal, fs, leads),) = self._read(np.array([i]))
            return self._record(i, signal[0], fs, leads)
        if not isinstance(key, slice) and not hasattr(key, "__len__"):
            raise _wrong_key(key)
        # An empty list becomes an array of float.
        key = key if isinstance(key, slice) or len(key) else np.empty(0, dtype=np.int64)
        chosen = np.arange(len(self))[key]
        if chosen.ndim != 1:
            raise _wrong_key(key)
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        part._table = {name: column[chosen] for name, column in self._table.items()}
        part._names = tuple([self._names[i] for i in chosen.tolist()])
        part._patient_ids = None if self._patient_ids is None else self._patient_ids[chosen]
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Stack records of equal shape, rate and leads: (n_records, n_leads, n_times) [mV]."""
        if copy is False:
            raise ValueError(f"copy=False is not possible: the records of {self._label!r} are in a store")
        stacks = list(self.read_stacks(np.arange(len(self))))
        if not stacks:
            return np.empty((0, 0, 0), dtype=dtype or np.float32)
        kinds = [(one.signal.shape[1:], one.fs, one.leads) for one in stacks]
        if other := next((i for i, kind in enumerate(kinds) if kind != kinds[0]), 0):
            odd = self._names[sum(len(one.signal) for one in stacks[:other])]
            raise ValueError(f"record {odd!r} differs from {self._names[0]!r} in length, rate or leads")
        return np.concatenate([one.signal for one in stacks]).astype(dtype or np.float32, copy=False)

    def read_stacks(
        self, positions: NDArray[np.int64], n_records: int = _N_RECORDS, n_samples: int = _N_SAMPLES
    ) -> Iterator[Stack]:
        """Read many records at once, in any order.

        Parameters
        ----------
        positions : ndarray of int64
            Positions in this collection, in the order wanted.
        n_records : int, default=64
            Most records of a stack.
        n_samples : int, default=8_000_000
            Most samples of a stack, unless a single record has more.

        Yields
        ------
        Stack
            Records that follow each other in `positions` and are of one length, rate and lead set.

        Raises
        ------
        ValueError, OSError
            If a record cannot be read; the message names the store and the record.
        """
        if not len(positions):
            return
        size = max(1, min(n_records, n_samples // max(1, self._samples(positions))))
        for start in range(0, len(positions), size):
            yield from self._read(positions[start : start + size])

    def _record(self, i: int, signal: NDArray[np.float32], fs: float, leads: tuple[str, ...]) -> ECGRecord:
        info = {"record": self._names[i]}
        if self._patient_ids is not None and self._patient_ids[i]:
            info["patient_id"] = str(self._patient_ids[i])
        return ECGRecord(signal, fs, leads, info)


def _wrong_key(key: Any) -> IndexError:
    return IndexError(f"expected an integer, a slice, or a 1-D array of int or bool, got {key!r:.60}")


def stacked(signals: list[NDArray[np.float32]], fs: float, leads: tuple[str, ...]) -> Iterator[Stack]:
    """Yield signals that follow each other and have one length as stacks."""
    lengths = np.array([signal.shape[1] for signal in signals])
    for part in np.split(np.arange(len(signals)), np.flatnonzero(np.diff(lengths)) + 1):
        yield Stack(np.stack([signals[i] for i in part]), fs, leads)
