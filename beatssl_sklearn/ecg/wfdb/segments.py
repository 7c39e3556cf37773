"""Records of several segments: the headers of the segments, and which signals come from where."""

from __future__ import annotations

from typing import NamedTuple

from .header import Header, read_header
from .paths import refuse

# 24 h of 12 leads at 500 Hz, 2 GiB as float32: gaps between segments cost no byte in any file.
_LARGEST_MULTI_SEGMENT = 2**29
_GAP = "~"


class Segment(NamedTuple):
    """The wanted signals of one segment, or of a whole record without segments.

    Attributes
    ----------
    name : str
        Name of the segment.
    header : Header
        Header of the segment.
    start, n_times : int
        First sample in the record, and length [samples].
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
    first = next((headers[name] for name, _ in header.segments if name != _GAP), None)
    if first is None:
        refuse(record, "it has no segment but gaps")
    if len(first.signals) != header.n_signals:
        refuse(record, f"it announces {header.n_signals} signals but its first segment has {len(first.signals)}")
    return tuple(spec.name for spec in first.signals)


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
        if length and name != _GAP:
            own = tuple(spec.name for spec in headers[name].signals)
            if not has_layout and own != names:
                refuse(record, f"segment {name!r} does not have the signals of the first segment")
            if has_layout and len(set(own)) < len(own):
                refuse(record, f"segment {name!r} names a signal twice")
            to = tuple(i for i, k in enumerate(wanted) if not has_layout or names[k] in own)
            columns = tuple(own.index(names[wanted[i]]) if has_layout else wanted[i] for i in to)
            if columns:
                segments.append(Segment(name, headers[name]._replace(n_times=length), start, length, columns, to))
        start += length
    return segments


def _segment_headers(
    directory: str, record: str, header: Header, root: str | None, notes: list[str]
) -> dict[str, Header]:
    """Read the headers of all segments, and compare them with the record's own."""
    total = sum(length for _, length in header.segments)
    if header.n_times is not None and total != header.n_times:
        refuse(record, f"its segments have {total} samples in all, but it announces {header.n_times}")
    if total == 0 or total * header.n_signals > _LARGEST_MULTI_SEGMENT:
        refuse(record, f"its segments have {total} x {header.n_signals} samples: more than 0 and at most "
               f"{_LARGEST_MULTI_SEGMENT} are read")
    headers: dict[str, Header] = {}
    for position, (name, length) in enumerate(header.segments):
        if name == _GAP:
            continue
        if name == record:
            refuse(record, "it is a segment of itself")
        if name not in headers:
            try:
                headers[name] = read_header(directory, name, root, notes)
            except (ValueError, OSError) as error:
                refuse(record, f"in a segment: {error}")
        _check_segment(record, header, name, headers[name], length)
        if length == 0 and position > 0:
            refuse(record, f"segment {name!r} has no samples")
    return headers


def _check_segment(record: str, header: Header, name: str, own: Header, length: int) -> None:
    """Compare the header of a segment with what the record's header announces."""
    if own.segments:
        refuse(record, f"segment {name!r} consists of segments itself")
    if own.fs != header.fs:
        refuse(record, f"segment {name!r} is sampled at {own.fs:g} Hz, the record at {header.fs:g} Hz")
    if own.n_times is not None and own.n_times != length:
        refuse(record, f"segment {name!r} has {own.n_times} samples, but the record announces {length}")
