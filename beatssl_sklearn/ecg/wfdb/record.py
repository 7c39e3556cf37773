"""Read WFDB records as float32 signals in mV."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._optional import find_stack_level
from .header import Header
from .info import describe
from .paths import find_record, refuse
from .physical import check_units, physical_signals
from .samples import checksum_notes, read_digital, sum_samples
from .segments import Segment, check_length, common_multiple, join_segments, read_headers
from .selection import Wanted, choose_signals, wanted_signals


@dataclass(frozen=True, eq=False, repr=False)
class ECGRecord:
    """One ECG record.

    It is one object to NumPy and pandas: a column of a table can hold records. It unpacks into ``signal, fs, leads``,
    and ``record[0]`` is the signal. Two records are equal only if they are the same object.

    Parameters
    ----------
    signal : ndarray of shape (n_leads, n_times), float32
        Signals [mV], NaN where a sample is missing. It may be a transposed view of an array (n_times, n_leads).
    fs : float
        Sampling rate [Hz].
    leads : tuple of str, of length n_leads
        Lead names.
    info : mapping of str to object, default={}
        What else is known of the record. Nothing is computed from it. See `read_wfdb` for what it reads from a header.
    """

    signal: NDArray[np.float32]
    fs: float
    leads: tuple[str, ...]
    info: Mapping[str, Any] = field(default_factory=dict)

    # Without a length, it is no sequence to NumPy, which would take a sequence apart.
    def __iter__(self) -> Iterator[Any]:
        return iter((self.signal, self.fs, self.leads))

    def __getitem__(self, key: Any) -> Any:
        return (self.signal, self.fs, self.leads)[key]

    def __repr__(self) -> str:
        shape = " x ".join(map(str, np.shape(self.signal)))
        kind = getattr(self.signal, "dtype", type(self.signal).__name__)
        fs = f"{self.fs:g}" if isinstance(self.fs, Real) else repr(self.fs)
        return f"ECGRecord(signal: {shape} {kind} [mV], fs={fs}, leads={self.leads})"


def read_wfdb(
    path: str | os.PathLike[str],
    *,
    leads: Sequence[str] | Mapping[str, str] | None = None,
    positional: bool = False,
    confine_to_root: str | os.PathLike[str] | None = None,
) -> ECGRecord:
    """Read a local WFDB record in mV.

    Parameters
    ----------
    path : str or path-like
        The record without extension, or its header file.
    leads : sequence of str, mapping of str to str, or None, default=None
        Wanted leads, in this order. All must be in the record; its other signals are ignored. A mapping names single
        signals: ``{"ECG1": "II"}`` reads the signal that the header calls ECG1 as lead II, and ``"-II"`` as lead II
        upside down. Signals with a standard name are read, too, and all others are ignored; names that the record does
        not have do not matter. None means all leads, in the order of `LEADS`. Signals beside the ECG are then ignored:
        those without a standard name whose unit is not one of voltage or whose name says so, such as RESP or ABP. All
        others must be standard leads; the page on WFDB files lists their names.
    positional : bool, default=False
        Take the signals of voltage in the order of the header, whatever their names; `leads` then gives their names.
    confine_to_root : str or path-like, default=None
        Directory that the record and its files may not leave, after symbolic links are resolved. None means that links
        may not leave the record's directory.

    Returns
    -------
    record : ECGRecord
        `signal` of shape (n_leads, n_times), float32 [mV]; `fs` [Hz]; `leads`. `info` has these keys:

        - "record": the record's name;
        - "comments": the header's comments without their mark, a tuple of str;
        - "signal_names": what the header calls the signals, a tuple of str;
        - "base_time", "base_date": when the record starts, as "10:30:00" and "1989-04-25", if the header says so;
        - "patient_id", "age", "sex": text from the first comment such as ``# Patient ID: 17``, ``# subject_id = 17``,
          ``# patient 17``, ``# Age: 56`` or ``# <sex>: F``, if there is one.

    Raises
    ------
    ValueError
        If the header is malformed or contradicts the files, if a unit is not one of voltage, if leads are unknown,
        duplicate or missing, or if the record needs more memory than its files can justify or than there is. The
        message names the record.
    TypeError
        If an argument has the wrong type.
    OSError
        If a file is missing or cannot be read.

    Warns
    -----
    UserWarning
        If the record is readable but odd: a gain that is missing or negative, a checksum mismatch, trailing data, no
        sampling rate, an unreadable start time, another name in the header, leads of unequal sampling rates.

    Notes
    -----
    The header is checked before any other file is touched. File names may not leave the record's directory, and only
    regular files are opened; a folder before a name in the header is left out. Nothing comes from a network. Signals
    with several samples per frame keep their own rate. Leads of unequal rates are averaged to the highest rate that all
    can be averaged to: the rate of frames times the greatest common divisor of their samples per frame. A reversed lead
    such as ``-aVR`` is returned with its sign corrected. Records of several segments are joined, with NaN in gaps.

    Examples
    --------
    >>> read_wfdb("ludb/data/1")  # doctest: +SKIP
    ECGRecord(signal: 12 x 5000 float32 [mV], fs=500, leads=('I', 'II', ...))
    """
    directory, name, root = find_record(path, confine_to_root)
    return load_record(directory, name, wanted_signals(leads, positional), root)


def load_record(directory: str, name: str, wanted: Wanted, root: str | None, title: str | None = None) -> ECGRecord:
    """Read a record after its path was checked; see `read_wfdb`. Its `info` calls it `title`."""
    try:
        return _load_record(directory, name, wanted, root, title or name)
    except MemoryError:
        refuse(name, "there is not enough memory to read it")


def _load_record(directory: str, name: str, wanted: Wanted, root: str | None, title: str) -> ECGRecord:
    notes: list[str] = []
    header, headers = read_headers(directory, name, root, notes)
    chosen = choose_signals(name, header, headers, wanted)
    if header.segments:
        parts = join_segments(name, header, headers, chosen.columns)
        multiple = common_multiple(name, header, parts, notes)
        frames = _read_segments(directory, name, header, parts, len(chosen.columns), multiple, root, notes)
    else:
        parts = [Segment(name, header, 0, 0, chosen.columns, ())]
        multiple = common_multiple(name, header, parts, notes)
        frames = _read_signals(directory, parts[0], multiple, root, notes)
    if -1 in chosen.signs:
        frames *= np.array(chosen.signs, dtype=np.float32)
    warn_of(name, notes)
    return ECGRecord(frames.T, header.fs * multiple, chosen.names, describe(title, header, chosen.in_header))


def warn_of(name: str, notes: Sequence[str]) -> None:
    """Give each different note as a warning that names the record."""
    for note in dict.fromkeys(notes):
        warnings.warn(f"record {name!r}: {note}", UserWarning, stacklevel=find_stack_level())


def _read_signals(
    directory: str, part: Segment, multiple: int, root: str | None, notes: list[str]
) -> NDArray[np.float32]:
    """Read the wanted signals of one segment: (n_frames * multiple, n_columns) [mV]."""
    check_units(part.name, part.header, part.columns)
    digital = read_digital(directory, part.name, part.header, part.columns, root, notes)
    notes.extend(checksum_notes(sum_samples(digital, part.header), part.header))
    return physical_signals(digital, part.header, part.columns, multiple)


def _read_segments(
    directory: str,
    name: str,
    header: Header,
    parts: list[Segment],
    n_columns: int,
    multiple: int,
    root: str | None,
    notes: list[str],
) -> NDArray[np.float32]:
    """Read the wanted signals of all segments: (n_times, n_columns) [mV], NaN in gaps and in absent signals."""
    n_times = sum(length for _, length in header.segments) * multiple
    check_length(directory, name, parts, n_times * n_columns, root)
    frames = np.full((n_times, n_columns), np.nan, dtype=np.float32)
    for part in parts:
        try:
            signals = _read_signals(directory, part, multiple, root, notes)
        except (ValueError, OSError) as error:
            refuse(name, f"in a segment: {error}")
        frames[part.start * multiple : (part.start + part.n_times) * multiple, part.to] = signals
    return frames
