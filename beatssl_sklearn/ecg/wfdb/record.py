"""Read WFDB records as float32 signals in mV."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..leads import LEADS, canonical_lead, resolve_leads
from .header import LARGEST_HEADER, Header, parse_header
from .paths import is_inside, local_path, read_bytes, refuse, split_record
from .samples import physical_signals, read_digital

# 24 h of 12 leads at 500 Hz, 2 GiB as float32: gaps between segments cost no byte in any file.
_LARGEST_MULTI_SEGMENT = 2**29


class ECGRecord(NamedTuple):
    """One ECG record.

    Attributes
    ----------
    signal : ndarray of shape (n_leads, n_times), float32
        Signals [mV], NaN where a sample is missing. It may be a transposed view of an array (n_times, n_leads).
    fs : float
        Sampling rate [Hz].
    leads : tuple of str, of length n_leads
        Lead names.
    """

    signal: NDArray[np.float32]
    fs: float
    leads: tuple[str, ...]

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.signal.shape))
        return f"ECGRecord(signal: {shape} {self.signal.dtype} [mV], fs={self.fs:g}, leads={self.leads})"


class _Selection(NamedTuple):
    """Which signals to take, in which order, and what to make of them."""

    columns: tuple[int, ...]
    signs: tuple[int, ...]
    names: tuple[str, ...]


def read_wfdb(
    path: str | os.PathLike[str],
    *,
    leads: Sequence[str] | None = None,
    positional: bool = False,
    confine_to_root: str | os.PathLike[str] | None = None,
) -> ECGRecord:
    """Read a local WFDB record in mV.

    Parameters
    ----------
    path : str or path-like
        The record without extension, or its header file.
    leads : sequence of str, default=None
        Leads wanted, in this order; all must be in the record, and its other signals are not looked at. By default all
        signals, which must be standard leads, in the order of `LEADS`.
    positional : bool, default=False
        Take the signals as they stand in the header, whatever their names; `leads` then gives their names.
    confine_to_root : str or path-like, default=None
        Directory that the record and its files may not leave, symbolic links resolved. By default files may be links
        only within the record's own directory.

    Returns
    -------
    record : ECGRecord
        The fields `signal` of shape (n_leads, n_times), float32 [mV]; `fs` [Hz]; `leads`.

    Raises
    ------
    ValueError
        If the header is malformed or contradicts the files, a unit is not one of voltage, or leads are unknown,
        duplicate or missing. The message names the record.
    TypeError
        If an argument has the wrong type.
    OSError
        If a file is missing or cannot be read.

    Warns
    -----
    UserWarning
        If the record is readable but odd: gain missing or negative, checksum mismatch, trailing data, sampling rate
        missing, start time unreadable, renamed.

    Notes
    -----
    The header is checked before any other file is touched; file names may not leave the record's directory, and only
    regular files are opened. Nothing is ever fetched from a network. Comments in the header are not kept. Signals
    sampled several times per frame are averaged to one sample per frame; a reversed lead such as ``-aVR`` is returned
    with its sign corrected. Records of several segments are joined, with NaN in gaps.

    Examples
    --------
    >>> read_wfdb("ludb/data/1")  # doctest: +SKIP
    ECGRecord(signal: 12 x 5000 float32 [mV], fs=500, leads=('I', 'II', ...))
    """
    directory, name = split_record(path)
    root = None
    if confine_to_root is not None:
        root = local_path(confine_to_root, "confine_to_root")
        if not is_inside(directory, root):
            refuse(name, "it lies outside confine_to_root")
    return load_record(directory, name, lead_names(leads), positional, root, stacklevel=3)


def load_record(
    directory: str, name: str, leads: tuple[str, ...] | None, positional: bool, root: str | None, stacklevel: int
) -> ECGRecord:
    """Read a record whose path was checked; see `read_wfdb`."""
    notes: list[str] = []
    header = read_header(directory, name, root, notes)
    parts = segment_headers(directory, name, header, root, notes) if header.segments else {}
    names = signal_names(name, header, parts)
    try:
        chosen = select_signals(names, leads, positional)
    except ValueError as error:
        refuse(name, str(error))
    if header.segments:
        frames = _read_segments(directory, name, header, parts, chosen, names, root, notes)
    else:
        frames = _read_signals(directory, name, header, chosen.columns, root, notes)
    if -1 in chosen.signs:
        frames *= np.array(chosen.signs, dtype=np.float32)
    for note in dict.fromkeys(notes):
        warnings.warn(f"record {name!r}: {note}", UserWarning, stacklevel=stacklevel)
    return ECGRecord(frames.T, header.fs, chosen.names)


def lead_names(leads: Sequence[str] | None) -> tuple[str, ...] | None:
    """Check the parameter `leads`."""
    if leads is None:
        return None
    if isinstance(leads, (str, bytes)):
        raise TypeError(f"leads must be a sequence of names, got the single value {leads!r:.60}")
    for lead in leads:
        if not isinstance(lead, str):
            raise TypeError(f"leads must hold names, got {type(lead).__name__}: {lead!r:.60}")
    return tuple(leads)


def read_header(directory: str, name: str, root: str | None, notes: list[str]) -> Header:
    header = parse_header(read_bytes(directory, name + ".hea", name, at_most=LARGEST_HEADER, root=root), name)
    notes.extend(header.notes)
    return header


def _read_signals(
    directory: str, name: str, header: Header, columns: tuple[int, ...], root: str | None, notes: list[str]
) -> NDArray[np.float32]:
    """Read the wanted signals of one segment: (n_times, n_columns) [mV]."""
    for i in columns:
        if math.isnan(header.signals[i].gain):
            refuse(name, f"signal {i + 1} has the unit {header.signals[i].unit[:20]!r}, which is not one of voltage")
    digital = read_digital(directory, name, header, columns, root, notes)
    return physical_signals(digital, header, columns)


def signal_names(name: str, header: Header, parts: dict[str, Header]) -> tuple[str, ...]:
    """Names of the record's signals; a record of several segments has them in its first segment."""
    if not header.segments:
        return tuple([spec.name for spec in header.signals])
    first = next((parts[segment] for segment, _ in header.segments if segment != "~"), None)
    if first is None:
        refuse(name, "it has no segment but gaps")
    if len(first.signals) != header.n_signals:
        refuse(name, f"it announces {header.n_signals} signals but its first segment has {len(first.signals)}")
    return tuple(spec.name for spec in first.signals)


@lru_cache(256)
def select_signals(names: tuple[str, ...], leads: tuple[str, ...] | None, positional: bool) -> _Selection:
    """Choose signals by name, or by position."""
    if positional:
        if leads is not None and len(leads) != len(names):
            raise ValueError(f"leads has {len(leads)} names for {len(names)} signals")
        columns = tuple(range(len(names)))
        return _Selection(columns, (1,) * len(names), leads if leads is not None else names)
    if leads is not None:
        return _select_by_name(names, leads)
    try:
        index, sign = resolve_leads(names)
    except ValueError as error:
        raise ValueError(f"{error}; positional=True takes signals as they stand, leads=[...] some by name") from None
    order = np.argsort(index)
    names = tuple(LEADS[i] for i in index[order])
    return _Selection(tuple(order.tolist()), tuple(int(s) for s in sign[order]), names)


def _select_by_name(names: tuple[str, ...], leads: tuple[str, ...]) -> _Selection:
    index, sign = resolve_leads(leads)
    if (sign < 0).any():
        raise ValueError("leads holds a reversed lead: signals are returned with their sign corrected")
    wanted = tuple(LEADS[i] for i in index)
    found: dict[str, tuple[int, int]] = {}
    twice: set[str] = set()
    for column, signal_name in enumerate(names):
        try:
            lead, factor = canonical_lead(signal_name)
        except ValueError:
            continue
        twice.update({lead} & found.keys())
        found[lead] = (column, factor)
    missing = [lead for lead in wanted if lead not in found]
    if missing:
        raise ValueError(f"leads not found: {', '.join(missing)}; it has {', '.join(found) or 'no standard lead'}")
    if twice.intersection(wanted):
        raise ValueError(f"duplicate leads: {', '.join(lead for lead in wanted if lead in twice)}")
    columns, signs = zip(*(found[lead] for lead in wanted), strict=True)
    return _Selection(columns, signs, wanted)


def segment_headers(
    directory: str, name: str, header: Header, root: str | None, notes: list[str]
) -> dict[str, Header]:
    """Read the headers of all segments, and check them against the record's own."""
    total = sum(length for _, length in header.segments)
    if header.n_times is not None and total != header.n_times:
        refuse(name, f"its segments have {total} samples in all, but it announces {header.n_times}")
    if total == 0 or total * header.n_signals > _LARGEST_MULTI_SEGMENT:
        refuse(name, f"its segments have {total} x {header.n_signals} samples: more than 0 and at most "
               f"{_LARGEST_MULTI_SEGMENT} are read")
    parts: dict[str, Header] = {}
    for position, (segment, length) in enumerate(header.segments):
        if segment == "~":
            continue
        if segment == name:
            refuse(name, "it is a segment of itself")
        if segment not in parts:
            try:
                parts[segment] = read_header(directory, segment, root, notes)
            except (ValueError, OSError) as error:
                refuse(name, f"in a segment: {error}")
        part = parts[segment]
        if part.segments:
            refuse(name, f"segment {segment!r} consists of segments itself")
        if part.fs != header.fs:
            refuse(name, f"segment {segment!r} is sampled at {part.fs:g} Hz, the record at {header.fs:g} Hz")
        if part.n_times is not None and part.n_times != length:
            refuse(name, f"segment {segment!r} has {part.n_times} samples, but the record announces {length}")
        if length == 0 and position > 0:
            refuse(name, f"segment {segment!r} has no samples")
    return parts


def _read_segments(
    directory: str,
    name: str,
    header: Header,
    parts: dict[str, Header],
    chosen: _Selection,
    signal_names: tuple[str, ...],
    root: str | None,
    notes: list[str],
) -> NDArray[np.float32]:
    """Join segments in time; signals that a segment lacks, and gaps, are NaN."""
    variable = header.segments[0][1] == 0
    wanted = [signal_names[i] for i in chosen.columns]
    if variable and len(set(signal_names)) < len(signal_names):
        refuse(name, "its layout names a signal twice")
    frames = np.full((sum(length for _, length in header.segments), len(wanted)), np.nan, dtype=np.float32)
    start = 0
    for segment, length in header.segments:
        stop = start + length
        if length and segment != "~":
            part = parts[segment]._replace(n_times=length)
            names = tuple(spec.name for spec in part.signals)
            if not variable and names != signal_names:
                refuse(name, f"segment {segment!r} does not have the signals of the first segment")
            if len(set(names)) < len(names) and variable:
                refuse(name, f"segment {segment!r} names a signal twice")
            to = [i for i, signal in enumerate(wanted) if signal in names]
            columns = tuple(names.index(wanted[i]) for i in to) if variable else chosen.columns
            to = to if variable else list(range(len(wanted)))
            if columns:
                try:
                    frames[start:stop, to] = _read_signals(directory, segment, part, columns, root, notes)
                except (ValueError, OSError) as error:
                    refuse(name, f"in a segment: {error}")
        start = stop
    return frames
