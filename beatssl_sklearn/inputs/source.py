"""Whatever users pass as X, read block by block: arrays, memmaps, lists of records, lazily read folders.

An array is never copied as a whole: `read` takes one block, checks it, and gives it on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..ecg.leads import resolve_leads
from ..ecg.preprocess import check_fs
from .cells import is_record
from .checks import as_signal, check_duration

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
    integers : bool
        Whether the records held integers.
    limits : ndarray (2, n_records, n_leads) or None
        Largest and smallest value of each lead, which show whether all samples are numbers; None if they are not.
    """

    rows: NDArray[np.int64]
    signal: NDArray[np.float32]
    fs: float
    leads: tuple[str, ...]
    blank: NDArray[np.bool_]
    integers: bool = False
    limits: NDArray[np.float32] | None = None


class Source(Protocol):
    """Records that are read when they are needed."""

    notes: list[str]
    """What is odd about all of them, before one is read."""

    @property
    def unused_leads(self) -> tuple[str, ...] | None:
        """Names of leads that the user gave although records know their own; None if there are none."""

    @property
    def record_names(self) -> Sequence[Any] | None:
        """A label of each record: a folder's names, or the index of a table's column. None for arrays and lists."""

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


@runtime_checkable
class ReadsStacks(Protocol):
    """A collection of records that reads many of them faster at once than one by one."""

    def read_stacks(
        self, positions: NDArray[np.int64], n_records: int, n_samples: int
    ) -> Iterator[tuple[NDArray[np.float32], float, tuple[str, ...]]]:
        """Yield signals (n_records, n_leads, n_times) [mV], their rate [Hz] and leads.

        They are the records at `positions`, in that order; those that follow each other and are alike come together, at
        most `n_records` of them, and at most `n_samples` samples unless one record has more.
        """


@dataclass
class ArraySource:
    """Records in one array (n_records, n_leads, n_times); a memmap stays one."""

    unused_leads: ClassVar[None] = None

    array: NDArray
    fs: float
    leads: tuple[str, ...]
    allow_nan: bool
    integers: bool = False
    notes: list[str] = field(default_factory=list)
    record_names: Sequence[Any] | None = None

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
            yield _checked(Block(part, signal, self.fs, self.leads, _NONE_BLANK, self.integers), self.allow_nan)


@dataclass
class RecordSource:
    """Records of any length: a list, a column of a table, or a folder that is read lazily.

    Records know their own rate and leads. Arrays in their place have those of the estimator.

    Parameters
    ----------
    records : sequence
        Anything that gives an `ECGRecord` for a position, or an array (n_leads, n_times) where `fs` and `leads` are
        given. One that has the method of `ReadsStacks` is read by it.
    allow_nan : bool
        Whether NaN counts as missing samples instead of being an error.
    fs : float, default=None
        Sampling rate of arrays [Hz].
    leads : tuple of str, default=None
        Names of the leads of arrays.
    record_names : sequence, default=None
        A label of each record.
    notes : list of str
        What is odd about all of them, before one is read.
    unused_leads : tuple of str, default=None
        Names of leads that the user gave although no record is an array; `RecordCheck` tells of them.
    """

    records: Any
    allow_nan: bool
    fs: float | None = None
    leads: tuple[str, ...] | None = None
    record_names: Sequence[Any] | None = None
    notes: list[str] = field(default_factory=list)
    unused_leads: tuple[str, ...] | None = None

    @property
    def n_records(self) -> int:
        """Number of records."""
        return len(self.records)

    @property
    def n_leads(self) -> int:
        """Leads of arrays; 12 where records know their own."""
        return 12 if self.leads is None else len(self.leads)

    @property
    def described(self) -> tuple[float, tuple[str, ...]] | None:
        """Rate [Hz] and leads of arrays; None where records know their own."""
        return None if self.fs is None or self.leads is None else (self.fs, self.leads)

    def read(self, index: NDArray[np.int64], block_size: int) -> Iterator[Block]:
        """Yield records in blocks of one length, rate and lead set.

        Parameters
        ----------
        index : ndarray of int64
            Positions of the records, in the order wanted.
        block_size : int
            Most records of a block.

        Yields
        ------
        Block

        Raises
        ------
        TypeError, ValueError, OSError
            If a record cannot be used; the message names it.
        """
        if isinstance(self.records, ReadsStacks):
            yield from self._read_stacks(self.records, index, block_size)
        else:
            yield from self._read_one_by_one(index, block_size)

    def _read_one_by_one(self, index: NDArray[np.int64], block_size: int) -> Iterator[Block]:
        waiting: list[_Record] = []
        for i in index:
            record = self._record(int(i))
            full = len(waiting) >= max(1, min(block_size, _BLOCK_SAMPLES // max(1, record.signal.size)))
            if waiting and (full or waiting[-1].kind != record.kind):
                yield self._block(waiting)
                waiting = []
            waiting.append(record)
        if waiting:
            yield self._block(waiting)

    def _read_stacks(self, records: ReadsStacks, index: NDArray[np.int64], block_size: int) -> Iterator[Block]:
        """Read from a collection that gives many records at once."""
        done = 0
        for signal, fs, leads in records.read_stacks(index, block_size, _BLOCK_SAMPLES):
            rows = index[done : done + len(signal)]
            done += len(signal)
            what = self._called(int(rows[0]))
            leads, fs = record_leads(leads, what), check_fs(fs, f"fs of {what}")
            check_duration(signal.shape[2], fs, what)
            yield _checked(Block(rows, signal, fs, leads, _NONE_BLANK), self.allow_nan, self.record_names)

    def _record(self, i: int) -> _Record:
        record, what = self.records[i], self._called(i)
        if not is_record(record):
            if self.described is None or not hasattr(record, "__len__"):
                raise TypeError(f"{what} is a {type(record).__name__}, not an ECGRecord")
            return self._array(i, record, *self.described)
        signal = as_signal(record.signal, what)
        leads = record_leads(getattr(record, "leads", None), what)
        if len(signal) != len(leads):
            raise ValueError(f"{what}: a signal of shape {signal.shape} does not go with {len(leads)} leads")
        fs = check_fs(record.fs, f"fs of {what}")
        check_duration(signal.shape[1], fs, what)
        return _Record(i, signal, fs, leads)

    def _called(self, i: int) -> str:
        return _called(i, self.record_names)

    def _array(self, i: int, values: Any, fs: float, leads: tuple[str, ...]) -> _Record:
        """Return an array of a column as a record of the estimator's rate and leads; one axis is one lead."""
        what = self._called(i)
        signal = as_signal([values] if np.ndim(values) == 1 else values, what)
        if len(signal) != len(leads):
            raise ValueError(f"{what} has {len(signal)} leads, but {len(leads)} are expected")
        check_duration(signal.shape[1], fs, what)
        return _Record(i, signal, fs, leads)

    def _block(self, waiting: list[_Record]) -> Block:
        index = np.array([w.row for w in waiting], dtype=np.int64)
        signal = _as_float32(np.stack([w.signal for w in waiting]))
        block = Block(index, signal, waiting[0].fs, waiting[0].leads, _NONE_BLANK, waiting[0].signal.dtype.kind in "iu")
        return _checked(block, self.allow_nan, self.record_names)


class _Record(NamedTuple):
    row: int
    signal: NDArray
    fs: float
    leads: tuple[str, ...]

    @property
    def kind(self) -> tuple[tuple[int, ...], bool, float, tuple[str, ...]]:
        """What the records of a block have in common."""
        return self.signal.shape, self.signal.dtype.kind in "iu", self.fs, self.leads


def record_leads(leads: Any, what: str) -> tuple[str, ...]:
    """Return the names of a record's leads.

    Raises
    ------
    TypeError, ValueError
        If they are no names, unknown or doubled; the message names the record.
    """
    if leads is None or isinstance(leads, (str, bytes)) or not hasattr(leads, "__iter__"):
        raise TypeError(f"{what}: its leads must be a sequence of names, got {leads!r:.60}")
    names = tuple(leads)
    try:
        resolve_leads(names)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from error
    return names


_NONE_BLANK: NDArray[np.bool_] = np.zeros(0, dtype=bool)


def _called(row: int, names: Sequence[Any] | None) -> str:
    """Return how messages call a record: by its position, and by its name if it has one."""
    name = None if names is None else names[row]
    return f"record {row} ({name:.80})" if isinstance(name, str) else f"record {row}"


def _as_float32(signal: NDArray) -> NDArray[np.float32]:
    # What float32 cannot hold becomes infinite, and is refused as such.
    with np.errstate(over="ignore"):
        return np.asarray(signal, dtype=np.float32)


def _checked(block: Block, allow_nan: bool, names: Sequence[Any] | None = None) -> Block:
    """Refuse samples that are no numbers, and mark records without a known sample."""
    limits = np.stack([block.signal.max(axis=-1), block.signal.min(axis=-1)])
    if np.isfinite(limits).all():
        return block._replace(blank=np.zeros(len(block.signal), dtype=bool), limits=limits)
    _refuse_infinite(block, allow_nan, names)
    return block._replace(blank=np.asarray(np.isnan(block.signal).all(axis=(1, 2))))


def _refuse_infinite(block: Block, allow_nan: bool, names: Sequence[Any] | None) -> None:
    signal = block.signal
    for what, bad in (("infinity", np.isinf(signal)), ("NaN", np.isnan(signal))):
        if not bad.any() or (what == "NaN" and allow_nan):
            continue
        record, lead = (int(i[0]) for i in np.nonzero(bad.any(axis=2)))
        advice = "; allow_nan=True takes NaN as missing samples" if what == "NaN" else ""
        row = int(block.rows[record])
        raise ValueError(
            f"Input X contains {what}: {_called(row, names)}, lead {block.leads[lead]} has "
            f"{int(bad[record, lead].sum())} such samples, and {int(bad.any(axis=(1, 2)).sum())} records of this block "
            f"have some{advice}"
        )
