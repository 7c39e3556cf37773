"""Whatever users pass as X, read block by block: arrays, memmaps, lists of records, lazily read folders.

An array is never copied as a whole: `read` takes one block, checks it, and gives it on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..ecg.preprocess import check_fs
from .checks import check_duration

# Samples that a block may hold: what lies in memory at once, whatever the length of a record.
_BLOCK_SAMPLES = 8_000_000


class Block(NamedTuple):
    """Consecutive records of one length, rate and lead set.

    Attributes
    ----------
    rows : ndarray of int64 (n_records,)
        Positions of the records in X.
    signal : ndarray of float32 (n_records, n_leads, n_times)
        Signals [mV]. Missing samples are NaN, if they are allowed.
    fs : float
        Sampling rate [Hz].
    leads : tuple of str
        Names of the leads.
    blank : bool ndarray (n_records,)
        Records without a single known sample.
    """

    rows: NDArray[np.int64]
    signal: NDArray[np.float32]
    fs: float
    leads: tuple[str, ...]
    blank: NDArray[np.bool_]


class Source(Protocol):
    """Records that are read when they are needed."""

    @property
    def n_records(self) -> int: ...

    @property
    def n_leads(self) -> int:
        """Leads of an array; 12 where records know their own."""

    @property
    def described(self) -> tuple[float, tuple[str, ...]] | None:
        """Rate [Hz] and leads of an array; None where records know their own."""

    def read(self, index: NDArray[np.int64], block_size: int) -> Iterator[Block]:
        """Yield the records at `index`, in that order, in blocks of at most `block_size`."""


@dataclass
class ArraySource:
    """Records in one array (n_records, n_leads, n_times); a memmap stays one."""

    array: NDArray
    fs: float
    leads: tuple[str, ...]
    allow_nan: bool

    @property
    def n_records(self) -> int:
        return len(self.array)

    @property
    def n_leads(self) -> int:
        return int(self.array.shape[1])

    @property
    def described(self) -> tuple[float, tuple[str, ...]]:
        return self.fs, self.leads

    def read(self, index: NDArray[np.int64], block_size: int) -> Iterator[Block]:
        size = max(1, min(block_size, _BLOCK_SAMPLES // max(1, self.array.shape[1] * self.array.shape[2])))
        for start in range(0, len(index), size):
            part = index[start : start + size]
            in_a_row = part[-1] - part[0] == len(part) - 1 and (np.diff(part) == 1).all()
            taken = self.array[part[0] : part[-1] + 1] if in_a_row else self.array[part]
            signal = _as_float32(taken)
            yield _checked(part, signal, self.fs, self.leads, self.allow_nan)


@dataclass
class RecordSource:
    """Records that know their own rate and leads, of any length: a list, or a folder that is read lazily."""

    records: Any
    allow_nan: bool

    @property
    def n_records(self) -> int:
        return len(self.records)

    @property
    def n_leads(self) -> int:
        return 12

    @property
    def described(self) -> None:
        return None

    def read(self, index: NDArray[np.int64], block_size: int) -> Iterator[Block]:
        waiting: list[tuple[int, NDArray, float, tuple[str, ...]]] = []
        for i in index:
            signal, fs, leads = self._record(int(i))
            full = len(waiting) >= max(1, min(block_size, _BLOCK_SAMPLES // max(1, signal.size)))
            if waiting and (full or _kind(waiting[-1]) != (signal.shape, fs, leads)):
                yield self._block(waiting)
                waiting = []
            waiting.append((int(i), signal, fs, leads))
        if waiting:
            yield self._block(waiting)

    def _record(self, i: int) -> tuple[NDArray, float, tuple[str, ...]]:
        record = self.records[i]
        try:
            signal, fs, leads = record.signal, record.fs, tuple(record.leads)
        except AttributeError:
            raise TypeError(f"record {i} is a {type(record).__name__}, not an ECGRecord") from None
        if not isinstance(signal, np.ndarray) or signal.dtype.kind not in "fiu":
            kind = f"array of {signal.dtype}" if isinstance(signal, np.ndarray) else type(signal).__name__
            raise TypeError(f"record {i}: its signal must be an array of real numbers in mV, got a {kind}")
        if signal.ndim != 2 or signal.shape[0] != len(leads):
            raise ValueError(f"record {i}: a signal of shape {signal.shape} does not go with {len(leads)} leads")
        check_duration(signal.shape[1], check_fs(fs, f"fs of record {i}"), f"record {i}")
        return signal, float(fs), leads

    def _block(self, waiting: list[tuple[int, NDArray, float, tuple[str, ...]]]) -> Block:
        index = np.array([w[0] for w in waiting], dtype=np.int64)
        signal = _as_float32(np.stack([w[1] for w in waiting]))
        return _checked(index, signal, waiting[0][2], waiting[0][3], self.allow_nan)


def _kind(waiting: tuple[int, NDArray, float, tuple[str, ...]]) -> tuple[tuple[int, ...], float, tuple[str, ...]]:
    return waiting[1].shape, waiting[2], waiting[3]


def _as_float32(signal: NDArray) -> NDArray[np.float32]:
    # What float32 cannot hold becomes infinite, and is refused as such.
    with np.errstate(over="ignore"):
        return np.asarray(signal, dtype=np.float32)


def _checked(index: NDArray, signal: NDArray[np.float32], fs: float, leads: tuple[str, ...], allow_nan: bool) -> Block:
    blank: NDArray[np.bool_] = np.zeros(len(signal), dtype=bool)
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.add.reduce(signal, axis=None)
    if not np.isfinite(total):
        _refuse_infinite(index, signal, leads, allow_nan)
        blank = np.asarray(np.isnan(signal).all(axis=(1, 2)))
    return Block(index, signal, fs, leads, blank)


def _refuse_infinite(index: NDArray, signal: NDArray, leads: tuple[str, ...], allow_nan: bool) -> None:
    # A sum may overflow to infinity although every sample is finite: look at the samples themselves.
    for what, bad in (("infinity", np.isinf(signal)), ("NaN", np.isnan(signal))):
        if not bad.any() or (what == "NaN" and allow_nan):
            continue
        record, lead = (int(i[0]) for i in np.nonzero(bad.any(axis=2)))
        advice = "; allow_nan=True takes NaN as missing samples" if what == "NaN" else ""
        raise ValueError(
            f"Input X contains {what}: record {int(index[record])}, lead {leads[lead]} has "
            f"{int(bad[record, lead].sum())} such samples, and {int(bad.any(axis=(1, 2)).sum())} records of this block "
            f"have some{advice}"
        )
