"""Records of several segments: the headers of the segments, and which signals come from where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .header import LARGEST_FS, NO_SAMPLES, Header, read_header
from .paths import refuse, regular_size

# Gaps, and segments that occur again, cost no byte in any file. A record may have as many samples as this without a
# byte (64 MiB as float32), and this many times the bytes of its signal files.
_FREE_SAMPLES = 2**24
_SAMPLES_PER_BYTE = 32
_GAP = "~"
# In some sets, a gap is a segment of this name, whose header may be absent.
_NAMED_GAP = "null"


class Segment(NamedTuple):
    """The wanted signals of one segment, or of a whole record without segments.

    Attributes
    ----------
    name : str
        Name of the segment.
    header : Header
        Header of the segment.
    start, n_times : int
        First frame in the record, and length [frames].
    columns : tuple of int
        Positions of the wanted signals in the header.
    to : tuple of int
        Positions of the same signals among all wanted ones.
    """

    name: str
    header: Header
    start: int
    n_times: int
    columns: tuple[int, ...]
    to: tuple[int, ...]


def read_headers(
    directory: str, record: str, root: str | None, notes: list[str]
) -> tuple[Header, dict[str, Header]]:
    """Read the header of a record, and those of its segments by name; a plain record has no segments."""
    header = read_header(directory, record, root, notes)
    return header, _segment_headers(directory, record, header, root, notes) if header.segments else {}


def signal_names(record: str, header: Header, headers: dict[str, Header]) -> tuple[str, ...]:
    """Return the names of a record's signals; a record of several segments has them in its first segment."""
    if not header.segments:
        return tuple([spec.name for spec in header.signals])
    first = _first_segment(header, headers)
    if first is None:
        refuse(record, "it has no segment but gaps")
    if len(first.signals) != header.n_signals:
        refuse(record, f"it announces {header.n_signals} signals but its first segment has {len(first.signals)}")
    return tuple(spec.name for spec in first.signals)


def not_in_voltage(header: Header, headers: dict[str, Header]) -> tuple[int, ...]:
    """Return the positions among `signal_names` of signals whose unit is not one of voltage: their gain is NaN."""
    first = _first_segment(header, headers) or header
    return tuple([i for i, spec in enumerate(first.signals) if spec.gain != spec.gain])


def common_multiple(record: str, header: Header, parts: Sequence[Segment], notes: list[str]) -> int:
    """Return the samples per frame that wanted signals are brought to: their own, or what all can be averaged to.

    Raises
    ------
    ValueError
        If the sampling rate is implausible.
    """
    widths = {part.header.signals[i].per_frame for part in parts for i in part.columns}
    if widths <= {1}:
        return 1
    multiple = math.gcd(*widths)
    fs = header.fs * multiple
    if fs > LARGEST_FS:
        refuse(record, f"implausible sampling rate {fs:g} Hz: {header.fs:g} frames per second of {multiple} samples")
    if len(widths) > 1:
        notes.append(f"its leads have unequal sampling rates: they are averaged to {fs:g} Hz")
    return multiple


def join_segments(
    record: str, header: Header, headers: dict[str, Header], wanted: tuple[int, ...]
) -> list[Segment]:
    """Find out where in the record each segment lies, and which wanted signals it has.

    Parameters
    ----------
    record : str
        Name of the record, for messages.
    header, headers : Header, dict of str to Header
        The record's header, and those of its segments.
    wanted : tuple of int
        Positions of the wanted signals among `signal_names`.

    Returns
    -------
    segments : list of Segment
        In the order of time, without gaps and without segments that have no wanted signal.

    Raises
    ------
    ValueError
        If a signal's name occurs twice in a record whose segments have different signals, or if the signals differ in
        a record whose segments should all have the same.
    """
    names = signal_names(record, header, headers)
    # A first segment of length 0 is a layout: it names all signals, and each segment has some of them.
    has_layout = header.segments[0][1] == 0
    if has_layout and len(set(names)) < len(names):
        refuse(record, "its layout names a signal twice")
    segments: list[Segment] = []
    start = 0
    for name, length in header.segments:
        if length and not _is_gap(headers.get(name)):
            own = tuple(spec.name for spec in headers[name].signals)
            if not has_layout and own != names:
                refuse(record, f"segment {name!r} does not have the signals of the first segment")
            if has_layout and len(set(own)) < len(own):
                refuse(record, f"segment {name!r} names a signal twice")
            if has_layout:
                there = {own.index(names[k]): i for i, k in enumerate(wanted) if names[k] in own}
            else:
                there = {k: i for i, k in enumerate(wanted)}
            # A signal of format 0 has no samples here.
            columns = tuple(k for k in there if headers[name].signals[k].fmt != NO_SAMPLES)
            to = tuple(there[k] for k in columns)
            if columns:
                segments.append(Segment(name, headers[name]._replace(n_times=length), start, length, columns, to))
        start += length
    return segments


def check_length(directory: str, record: str, segments: Sequence[Segment], n_samples: int, root: str | None) -> None:
    """Refuse a record of far more samples than its files can hold, before memory is used for them.

    Parameters
    ----------
    directory, record : str
        Directory and name of the record.
    segments : sequence of Segment
        As returned by `join_segments`.
    n_samples : int
        Samples of all wanted signals, with those in gaps.
    root : str or None
        See `regular_size`.

    Raises
    ------
    ValueError
        If the record is refused.
    OSError
        If a signal file is missing.
    """
    if n_samples <= _FREE_SAMPLES:
        return
    files = {(part.header.signals[i].file, part.name) for part in segments for i in part.columns}
    sizes = {file: regular_size(directory, file, name, root) for file, name in files}
    if n_samples > (limit := _FREE_SAMPLES + _SAMPLES_PER_BYTE * sum(sizes.values())):
        refuse(record, f"it has {n_samples} samples, most of them in gaps: at most {limit} are read from files of "
               f"{sum(sizes.values())} bytes")


def _first_segment(header: Header, headers: dict[str, Header]) -> Header | None:
    """Return the header of the segment that names the signals: the layout, or the first that is no gap."""
    for name, length in header.segments:
        if length == 0 or not _is_gap(headers.get(name)):
            return headers.get(name)
    return None


def _is_gap(header: Header | None) -> bool:
    """Return whether a segment is a gap: it has no header, or a header of signals without samples."""
    return header is None or all(spec.fmt == NO_SAMPLES for spec in header.signals)


def _segment_headers(
    directory: str, record: str, header: Header, root: str | None, notes: list[str]
) -> dict[str, Header]:
    """Read the headers of all segments, and compare them with the record's own."""
    total = sum(length for _, length in header.segments)
    if header.n_times is not None and total != header.n_times:
        refuse(record, f"its segments have {total} samples in all, but it announces {header.n_times}")
    if total == 0:
        refuse(record, "its segments have no samples")
    headers: dict[str, Header] = {}
    for position, (name, length) in enumerate(header.segments):
        if name == _GAP:
            continue
        if name == record:
            refuse(record, "it is a segment of itself")
        if name not in headers:
            own_notes: list[str] = []
            try:
                headers[name] = read_header(directory, name, root, own_notes)
            except FileNotFoundError as error:
                if name == _NAMED_GAP:
                    continue
                refuse(record, f"in a segment: {error}")
            except (ValueError, OSError) as error:
                refuse(record, f"in a segment: {error}")
            # Gains of signals without samples do not matter.
            notes += [] if _is_gap(headers[name]) else own_notes
        if length == 0 and position > 0:
            refuse(record, f"segment {name!r} has no samples")
        _check_segment(record, header, name, headers[name], length)
    return headers


def _check_segment(record: str, header: Header, name: str, own: Header, length: int) -> None:
    """Compare the header of a segment with what the record's header announces."""
    if own.segments:
        refuse(record, f"segment {name!r} consists of segments itself")
    if own.fs != header.fs:
        refuse(record, f"segment {name!r} is sampled at {own.fs:g} Hz, the record at {header.fs:g} Hz")
    if own.n_times is not None and own.n_times != length:
        refuse(record, f"segment {name!r} has {own.n_times} samples, but the record announces {length}")
