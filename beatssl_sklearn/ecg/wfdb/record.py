"""Read WFDB records as float32 signals in mV."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._optional import find_stack_level
from ..leads import LEADS, canonical_lead, resolve_leads
from .header import Header
from .paths import find_record, refuse
from .samples import check_units, checksum_notes, physical_signals, read_digital, sum_samples
from .segments import join_segments, read_headers, signal_names


class ECGRecord(NamedTuple):
    """One ECG record.

    Parameters
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


class Selection(NamedTuple):
    """Chosen signals of a record.

    Attributes
    ----------
    columns : tuple of int, of length n_leads
        Positions of the signals in the record.
    signs : tuple of int, of length n_leads
        -1 for a reversed lead, otherwise 1.
    names : tuple of str, of length n_leads
        Lead names.
    """

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
        Wanted leads, in this order. All must be in the record; its other signals are ignored. None means all signals,
        in the order of `LEADS`; all must then be standard leads.
    positional : bool, default=False
        Take the signals in the order of the header, whatever their names; `leads` then gives their names.
    confine_to_root : str or path-like, default=None
        Directory that the record and its files may not leave, after symbolic links are resolved. None means that links
        may not leave the record's directory.

    Returns
    -------
    record : ECGRecord
        `signal` of shape (n_leads, n_times), float32 [mV]; `fs` [Hz]; `leads`.

    Raises
    ------
    ValueError
        If the header is malformed or contradicts the files, if a unit is not one of voltage, or if leads are unknown,
        duplicate or missing. The message names the record.
    TypeError
        If an argument has the wrong type.
    OSError
        If a file is missing or cannot be read.

    Warns
    -----
    UserWarning
        If the record is readable but odd: a gain that is missing or negative, a checksum mismatch, trailing data, no
        sampling rate, an unreadable start time, another name in the header.

    Notes
    -----
    The header is checked before any other file is touched. File names may not leave the record's directory, and only
    regular files are opened. Nothing comes from a network. Comments in the header are not kept. Signals with several
    samples per frame are averaged to one. A reversed lead such as ``-aVR`` is returned with its sign corrected. Records
    of several segments are joined, with NaN in gaps.

    Examples
    --------
    >>> read_wfdb("ludb/data/1")  # doctest: +SKIP
    ECGRecord(signal: 12 x 5000 float32 [mV], fs=500, leads=('I', 'II', ...))
    """
    directory, name, root = find_record(path, confine_to_root)
    return load_record(directory, name, lead_names(leads), positional, root)


def load_record(
    directory: str, name: str, leads: tuple[str, ...] | None, positional: bool, root: str | None
) -> ECGRecord:
    """Read a record after its path was checked; see `read_wfdb`."""
    notes: list[str] = []
    header, headers = read_headers(directory, name, root, notes)
    chosen = choose_signals(name, header, headers, leads, positional)
    if header.segments:
        frames = _read_segments(directory, name, header, headers, chosen.columns, root, notes)
    else:
        frames = _read_signals(directory, name, header, chosen.columns, root, notes)
    if -1 in chosen.signs:
        frames *= np.array(chosen.signs, dtype=np.float32)
    warn_of(name, notes)
    return ECGRecord(frames.T, header.fs, chosen.names)


def warn_of(name: str, notes: Sequence[str]) -> None:
    """Give each different note as a warning that names the record."""
    for note in dict.fromkeys(notes):
        warnings.warn(f"record {name!r}: {note}", UserWarning, stacklevel=find_stack_level())


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


def choose_signals(
    name: str, header: Header, headers: dict[str, Header], leads: tuple[str, ...] | None, positional: bool
) -> Selection:
    """Choose signals of a record by name or by position; see `read_wfdb`.

    Raises
    ------
    ValueError
        If leads are unknown, duplicate or missing; the message names the record.
    """
    names = signal_names(name, header, headers)
    try:
        return _select(names, leads, positional)
    except ValueError as error:
        refuse(name, str(error))


def _read_signals(
    directory: str, name: str, header: Header, columns: tuple[int, ...], root: str | None, notes: list[str]
) -> NDArray[np.float32]:
    """Read the wanted signals of one segment: (n_times, n_columns) [mV]."""
    check_units(name, header, columns)
    digital = read_digital(directory, name, header, columns, root, notes)
    notes.extend(checksum_notes(sum_samples(digital, header), header))
    return physical_signals(digital, header, columns)


def _read_segments(
    directory: str,
    name: str,
    header: Header,
    headers: dict[str, Header],
    columns: tuple[int, ...],
    root: str | None,
    notes: list[str],
) -> NDArray[np.float32]:
    """Read the wanted signals of all segments: (n_times, n_columns) [mV], NaN in gaps and in absent signals."""
    n_times = sum(length for _, length in header.segments)
    frames = np.full((n_times, len(columns)), np.nan, dtype=np.float32)
    for part in join_segments(name, header, headers, columns):
        try:
            signals = _read_signals(directory, part.name, part.header, part.columns, root, notes)
        except (ValueError, OSError) as error:
            refuse(name, f"in a segment: {error}")
        frames[part.start : part.start + part.n_times, part.to] = signals
    return frames


@lru_cache(256)
def _select(names: tuple[str, ...], leads: tuple[str, ...] | None, positional: bool) -> Selection:
    """Choose among signals of these names; cached, since the records of a folder mostly have the same."""
    if positional:
        if leads is not None and len(leads) != len(names):
            raise ValueError(f"leads has {len(leads)} names for {len(names)} signals")
        columns = tuple(range(len(names)))
        return Selection(columns, (1,) * len(names), leads if leads is not None else names)
    if leads is not None:
        return _select_by_name(names, leads)
    try:
        index, sign = resolve_leads(names)
    except ValueError as error:
        raise ValueError(f"{error}; positional=True takes signals as they stand, leads=[...] some by name") from None
    order = np.argsort(index)
    names = tuple(LEADS[i] for i in index[order])
    return Selection(tuple(order.tolist()), tuple(int(s) for s in sign[order]), names)


def _select_by_name(names: tuple[str, ...], leads: tuple[str, ...]) -> Selection:
    """Choose the wanted leads, in their order; other signals may have any names."""
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
    return Selection(columns, signs, wanted)
