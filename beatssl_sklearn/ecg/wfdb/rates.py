"""The two rates of a record that annotations need: of its frames, and of its signals."""

from __future__ import annotations

import math

from .header import LARGEST_HEADER, NO_SAMPLES, Header, frame_rate
from .paths import read_bytes
from .physical import check_units
from .segments import Segment, common_multiple, join_segments, read_headers
from .selection import choose_signals, wanted_signals


def record_rates(directory: str, record: str) -> tuple[float, float]:
    """Return the frames per second of a record, and the sampling rate that `read_wfdb` gives its leads.

    If `read_wfdb` needs to be told which signals are leads, the rate is that of all signals of voltage.

    Raises
    ------
    ValueError
        If not even the record line of the header can be read.
    OSError
        If the header is missing.
    """
    try:
        header, headers = read_headers(directory, record, None, [])
    except ValueError:
        # Annotations can have a time although no signal can be read.
        fs = frame_rate(read_bytes(directory, f"{record}.hea", record, at_most=LARGEST_HEADER), record)
        return fs, fs
    try:
        multiple = _multiple_of_leads(record, header, headers)
    except ValueError:
        multiple = _multiple_of_voltage(header, headers)
    return header.fs, header.fs * multiple


def _multiple_of_leads(record: str, header: Header, headers: dict[str, Header]) -> int:
    """Return the samples per frame of the signals that `read_wfdb` reads; raise its ValueError if it reads none."""
    columns = choose_signals(record, header, headers, wanted_signals(None, False)).columns
    if header.segments:
        parts = join_segments(record, header, headers, columns)
    else:
        parts = [Segment(record, header, 0, 0, columns, ())]
    for part in parts:
        check_units(part.name, part.header, part.columns)
    return common_multiple(record, header, parts, [])


def _multiple_of_voltage(header: Header, headers: dict[str, Header]) -> int:
    """Return the samples per frame that all signals of voltage can be averaged to."""
    signals = [spec for part in headers.values() or [header] for spec in part.signals]
    widths = {spec.per_frame for spec in signals if spec.fmt != NO_SAMPLES and not math.isnan(spec.gain)}
    return math.gcd(*widths) or 1
