"""Whatever users pass as X, read block by block: arrays, memmaps, lists of records, lazily read folders.

An array is never copied as a whole: `read` takes one block, checks it, and gives it on.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ..ecg.leads import LEADS, resolve_leads
from ..ecg.preprocess import check_fs

MIN_DURATION = 0.3
_IMPLAUSIBLE_MV = 50.0
_EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
# Samples that a block may hold: what lies in memory at once, whatever the length of a record.
_BLOCK_SAMPLES = 8_000_000


class Block(NamedTuple):
    """Consecutive records of one length, rate and lead set."""

    rows: NDArray[np.int64]
    """Positions of the records in X."""
    signal: NDArray[np.float32]
    """Signals (n_records, n_leads, n_times) [mV]; NaN where missing and allowed."""
    fs: float
    leads: tuple[str, ...]
    blank: NDArray[np.bool_]
    """Records without a single known sample (n_records,)."""


class Source(Protocol):
    """Records that are read when they are needed."""

    @property
    def n_records(self) -> int: ...

    def read(self, index: NDArray[np.int64], block_size: int) -> Iterator[Block]:
        """Yield the records at `index`, in that order, in blocks of at most `block_size`."""


def name_leads(leads: Sequence[str] | str | None, n_leads: int) -> tuple[str, ...]:
    """Return the names of `n_leads` leads.

    Without names, twelve leads are the standard twelve in the standard order, eight are I, II, V1-V6, and one is
    lead II. Any other number is taken as the first so many of the standard twelve, with a warning.

    Raises
    ------
    ValueError
        If the names are unknown, doubled, or not as many as there are leads.
    """
    if leads is not None:
        names = (leads,) if isinstance(leads, str) else tuple(leads)
        try:
            resolve_leads(names)
        except ValueError as error:
            raise ValueError(f"leads={list(names)}: {error}") from error
        if len(names) != n_leads:
            raise ValueError(f"X has {n_leads} leads but leads={list(names)} names {len(names)}")
        return names
    if n_leads > len(LEADS):
        raise ValueError(
            f"X has {n_leads} leads, and only twelve are known; X must have the axes (n_records, n_leads, n_times)"
        )
    if n_leads == 12:
        return LEADS
    if n_leads in (1, 8):
        return ("II",) if n_leads == 1 else _EIGHT
    names = LEADS[:n_leads]
    warnings.warn(
        f"leads=None: the {n_leads} leads of X are taken as {', '.join(names)}; name them by the parameter leads",
        UserWarning,
        stacklevel=4,
    )
    return names


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


def check_duration(n_times: int, fs: float, what: str = "X") -> None:
    """Refuse signals that are too short to hold anything.

    Raises
    ------
    ValueError
        If there are less than 0.3 s.
    """
    if n_times < MIN_DURATION * fs:
        raise ValueError(f"{what} has {n_times} samples at {fs:g} Hz; at least {MIN_DURATION} s are needed")


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


# Median RR interval [s] of a group of patients, healthy or ill: 37 to 133 beats per minute.
_PLAUSIBLE_RR, _MANY_RECORDS = (0.45, 1.6), 20


def warn_about_scale(index: NDArray, scale: NDArray, stacklevel: int = 3) -> None:
    """Warn of records that are flat, or whose amplitude cannot be in mV."""
    flat, huge = index[scale == 0], index[scale > _IMPLAUSIBLE_MV]
    if len(flat):
        warnings.warn(f"{_listed(flat)}: no lead varies (flat signal)", UserWarning, stacklevel=stacklevel)
    if len(huge):
        warnings.warn(
            f"{_listed(huge)}: root mean square above {_IMPLAUSIBLE_MV:g} mV; are these microvolts or ADC counts?",
            UserWarning,
            stacklevel=stacklevel,
        )


def warn_about_rate(rr: NDArray, stacklevel: int = 3) -> None:
    """Warn where the hearts of many records would beat at a rate that no group of patients has: `fs` may be wrong.

    `rr` holds the median RR interval of each record [s], NaN where there are not two beats.
    """
    known = rr[np.isfinite(rr)]
    if len(known) < _MANY_RECORDS or _PLAUSIBLE_RR[0] <= (median := float(np.median(known))) <= _PLAUSIBLE_RR[1]:
        return
    side = "above" if median < 1 else "below"
    warnings.warn(
        f"half of the records would have a heart rate {side} {60 / median:.0f}/min: is fs the sampling rate of X?",
        UserWarning,
        stacklevel=stacklevel,
    )


def _listed(index: NDArray) -> str:
    shown = ", ".join(str(int(i)) for i in index[:10])
    return f"record{'s' if len(index) > 1 else ''} {shown}{' and others' if len(index) > 10 else ''}"


def is_record_collection(X: Any) -> bool:
    """Whether X holds records that know their own rate and leads."""
    if isinstance(X, (np.ndarray, str, bytes, dict)) or not hasattr(X, "__getitem__") or not hasattr(X, "__len__"):
        return False
    if hasattr(X, "names") and hasattr(X, "shape"):
        return True
    return isinstance(X, (list, tuple)) and len(X) > 0 and all(hasattr(x, "signal") and hasattr(x, "fs") for x in X)


def as_array(X: Any) -> NDArray:
    """Return X as an array without copying one that is one already.

    Raises
    ------
    TypeError
        For what is no array: None, text, dict, sparse matrices, True and False.
    ValueError
        For lists of arrays of unequal shapes, and complex numbers.
    """
    if scipy.sparse.issparse(X):
        raise TypeError("X is a sparse matrix: sparse input is not supported, signals are dense")
    if X is None or isinstance(X, (str, bytes, dict, set)):
        raise TypeError(
            f"X must be an array (n_records, n_leads, n_times) in mV or a list of ECGRecord, got {type(X).__name__}"
        )
    try:
        array = X if isinstance(X, np.ndarray) else np.asarray(X)
    except ValueError as error:
        raise ValueError(
            "X is a list of arrays of unequal shapes, whose rates and leads are unknown; pass records of unequal "
            "length as a list of ECGRecord(signal, fs, leads)"
        ) from error
    if array.dtype.kind == "b":
        raise TypeError("X holds True and False, not signals in mV")
    if array.dtype.kind == "c":
        raise ValueError("Complex data not supported: X must hold signals in mV")
    if array.dtype.kind in "iu" and array.ndim == 3:
        warnings.warn(
            f"X holds integers ({array.dtype}): signals are expected in mV; are these ADC counts?",
            UserWarning,
            stacklevel=4,
        )
    if array.dtype.kind == "O" and array.ndim == 1 and len(array):
        raise ValueError("X is an array of objects; pass one array, or a list of ECGRecord(signal, fs, leads)")
    return array


def refuse_swapped_axes(shape: tuple[int, ...], n_leads: int | None = None) -> None:
    """Refuse (n_records, n_times, n_leads), which other libraries use.

    Raises
    ------
    ValueError
        If the second axis cannot be the leads.
    """
    if len(shape) == 3 and 0 < shape[2] <= len(LEADS) and (shape[1] > len(LEADS) or shape[1] > shape[2] == n_leads):
        raise ValueError(
            f"X has shape {shape}: the axes seem swapped; the order is (n_records, n_leads, n_times), so the lead axis"
            f" comes second: use X.transpose(0, 2, 1)"
        )
