"""Strict parser of WFDB header files: it checks everything before any signal file is opened.

Comments are kept apart, and no message shows them: they can hold names and diagnoses.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import NamedTuple

from .formats import INVALID
from .paths import own_name, read_bytes, refuse
from .start import is_start

LARGEST_HEADER = 2**20
DEFAULT_FS = 250.0
DEFAULT_GAIN = 200.0
NO_SAMPLES = "0"
LARGEST_FS = 1e6

_LONGEST_LINE = 4096
_LOWEST_FS = 0.01
_GAIN_RANGE = (1e-4, 1e12)
# A frame of a minute at 1,000 Hz.
_LARGEST_FRAME = 2**16
# How many of a unit make one mV. Units of voltage are in lower case; the micro sign has two code points.
_PER_MV = {"mv": 1.0, "uv": 1e3, "\u00b5v": 1e3, "\u03bcv": 1e3, "nv": 1e6, "v": 1e-3}

_FLOAT = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_FS = re.compile(rf"({_FLOAT})(?:/{_FLOAT}(?:\({_FLOAT}\))?)?", re.ASCII)
_INTEGER = r"(-?\d{1,12})"
_SIGNAL = re.compile(
    rf"(\S+)\s+(\S+)(?:\s+(\S+)(?:\s+{_INTEGER}(?:\s+{_INTEGER}(?:\s+{_INTEGER}(?:\s+{_INTEGER}"
    rf"(?:\s+{_INTEGER}(?:\s+(.*))?)?)?)?)?)?)?",
    re.ASCII,
)
_FORMAT = re.compile(r"(\d{1,4})(?:x(\d{1,12}))?(?::(\d{1,12}))?(?:\+(\d{1,15}))?", re.ASCII)
_GAIN = re.compile(rf"({_FLOAT})(?:\(([+-]?\d{{1,10}})\))?(?:/(\S+))?", re.ASCII)


class SignalSpec(NamedTuple):
    """One signal line: where the samples are, and what they mean."""

    file: str
    fmt: str
    per_frame: int
    skew: int
    offset: int
    gain: float  # adu per mV; NaN if the unit is no voltage
    baseline: int
    unit: str
    initial: int
    checksum: int | None
    name: str


class Header(NamedTuple):
    """A parsed header.

    `fs` counts frames, and so do `n_times` and the length of a segment: a frame has one sample of a signal or more.
    `n_times` is None where no length is given. `segments` holds (name, length) of each segment; a plain one has none.
    `start` holds the words on when the record starts.
    """

    fs: float
    n_times: int | None
    n_signals: int
    signals: tuple[SignalSpec, ...]
    segments: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]
    start: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()


def read_header(directory: str, record: str, root: str | None, notes: list[str]) -> Header:
    """Read and parse the header of a record; add its warnings to `notes`.

    Raises
    ------
    ValueError
        If the file is too large, lies outside `root` (see `regular_size`), or `parse_header` refuses it.
    OSError
        If the file is missing or cannot be read.
    """
    header = parse_header(read_bytes(directory, record + ".hea", record, at_most=LARGEST_HEADER, root=root), record)
    notes.extend(header.notes)
    return header


def parse_header(raw: bytes, record: str) -> Header:
    """Parse a header file.

    Parameters
    ----------
    raw : bytes
        Contents of the file, at most `LARGEST_HEADER` bytes.
    record : str
        Name of the record, for messages and for comparison with the name in the header.

    Returns
    -------
    header : Header
        With gains in adu per mV. `notes` are warnings for the caller to give: what is missing or odd.

    Raises
    ------
    ValueError
        If a field that matters for the signal is malformed or implausible, or contradicts another field.

    References
    ----------
    WFDB Applications Guide, header(5).
    """
    lines, comments = _lines(raw, record)
    tokens = lines[0].split()
    notes: list[str] = []
    n_segments = _count_segments(tokens[0], record, notes)
    n_signals, fs, n_times = _record_fields(tokens, record, notes)
    if not n_signals:
        refuse(record, f"the number of signals is {tokens[1][:20]!r}: expected a positive integer")
    rest = lines[1:]
    if n_segments is not None:
        if len(rest) != n_segments:
            refuse(record, f"the header announces {n_segments} segments but has {len(rest)} segment lines")
        segments = tuple(_segment(line, record) for line in rest)
        return Header(fs, n_times, n_signals, (), segments, tuple(notes), tuple(tokens[4:]), comments)
    if len(rest) != n_signals:
        refuse(record, f"the header announces {n_signals} signals but has {len(rest)} signal lines")
    signals = []
    for i, line in enumerate(rest, 1):
        try:
            signals.append(_signal(line))
        except ValueError as error:
            refuse(record, f"signal {i}: {error}")
    signals = _calibrated(signals, notes)
    if n_times is None:
        # By the format's rules, checksums mean nothing where no length is given.
        signals = [spec._replace(checksum=None) for spec in signals]
    return Header(fs, n_times, n_signals, tuple(signals), (), tuple(notes), tuple(tokens[4:]), comments)


def frame_rate(raw: bytes, record: str) -> float:
    """Return the frames per second of a header, of which only the record line is read.

    Raises
    ------
    ValueError
        If the record line cannot be read.
    """
    return _record_fields(_lines(raw, record)[0][0].split(), record, [])[1]


def _calibrated(signals: list[SignalSpec], notes: list[str]) -> list[SignalSpec]:
    """Replace gains of 0 by the default, and note gains that are 0 or negative."""
    gains = {spec.gain for spec in signals}
    if 0 in gains:
        uncalibrated = [spec.name or str(i) for i, spec in enumerate(signals, 1) if spec.gain == 0]
        notes.append(f"no gain for {', '.join(uncalibrated)}: {DEFAULT_GAIN:g} adu/mV assumed")
        signals = [spec._replace(gain=DEFAULT_GAIN) if spec.gain == 0 else spec for spec in signals]
    if any(gain < 0 for gain in gains):
        negative = [spec.name or str(i) for i, spec in enumerate(signals, 1) if spec.gain < 0]
        notes.append(f"negative gain for {', '.join(negative)}: the signal is inverted, as in the header")
    return signals


def _lines(raw: bytes, record: str) -> tuple[list[str], tuple[str, ...]]:
    """Decode a header, and return its lines without blank ones, and its comments without their mark."""
    if b"\0" in raw:
        refuse(record, "the header holds NUL bytes: it is binary or UTF-16, not text")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    every = [line for line in map(str.strip, text.split("\n")) if line]
    has_comments = "#" in text
    lines = [line for line in every if line[0] != "#"] if has_comments else every
    comments = [line.lstrip("#").strip() for line in every if line[0] == "#"] if has_comments else []
    if not lines:
        refuse(record, "the header is empty: it has no record line")
    if max(map(len, lines)) > _LONGEST_LINE:
        refuse(record, f"a line of the header is longer than {_LONGEST_LINE} characters")
    return lines, tuple(comments)


def _count_segments(token: str, record: str, notes: list[str]) -> int | None:
    """Check the record name in the header; return the number of segments, or None for a plain record."""
    name, slash, last = token.rpartition("/")
    n_segments = None
    if slash and name and last.isdecimal() and last.isascii() and (last != record or name == record):
        if len(last) > 7 or last == "0":
            refuse(record, f"implausible number of segments {last[:20]!r}")
        n_segments = int(last)
        # Some publishers write the path of the record, not its name.
        name = name.rpartition("/")[2]
    else:
        name = last
    # A name that is not UTF-8 was decoded in two ways: compare its bytes.
    if name != record and name.encode("latin-1", "replace") != os.fsencode(record):
        notes.append("the header gives another record name: the file may have been renamed")
    return n_segments


def _record_fields(tokens: list[str], record: str, notes: list[str]) -> tuple[int, float, int | None]:
    """Return the number of signals, the rate of frames [Hz] and the length [frames] in the record line."""
    if len(tokens) < 2:
        refuse(record, "the record line has no number of signals")
    n_signals = _count(tokens[1], 9)
    if n_signals is None:
        refuse(record, f"the number of signals is {tokens[1][:20]!r}: expected a positive integer")
    fs, n_times = DEFAULT_FS, None
    if len(tokens) == 2:
        notes.append(f"no sampling rate in the header: {DEFAULT_FS:g} Hz assumed")
    else:
        match = _FS.fullmatch(tokens[2])
        fs = float(match[1]) if match else 0.0
        if not _LOWEST_FS <= fs <= LARGEST_FS:
            refuse(record, f"implausible sampling rate {tokens[2][:20]!r} Hz")
    if len(tokens) > 3:
        n_times = _count(tokens[3], 15)
        if n_times is None:
            refuse(record, f"the length is {tokens[3][:20]!r}: expected a number of samples")
    # A length of 0 is one that is not given.
    n_times = n_times or None
    if len(tokens) > 4 and not all(map(is_start, tokens[4:])):
        notes.append("the start time is not readable and is ignored")
    return n_signals, fs, n_times


def _count(token: str, digits: int) -> int | None:
    return int(token) if token.isascii() and token.isdecimal() and len(token) <= digits else None


def _segment(line: str, record: str) -> tuple[str, int]:
    tokens = line.split()
    length = _count(tokens[1], 15) if len(tokens) == 2 else None
    if length is None:
        refuse(record, f"malformed segment line {line[:40]!r}: expected a name and a number of samples")
    name = own_name(tokens[0])
    if name is None:
        refuse(record, "the name of a segment leaves the record's directory")
    return name.removesuffix(".hea"), length


def _signal(line: str) -> SignalSpec:
    """Parse a signal line; the caller adds the record's name to a ValueError."""
    match = _SIGNAL.fullmatch(line)
    if not match:
        raise ValueError(f"malformed line {line[:40]!r}: expected FILE FORMAT GAIN, up to five integers, NAME")
    file, storage, calibration, _, zero, initial, checksum, _, name = match.groups()
    file = _own_file(file)
    fmt, per_frame, skew, offset = _format(storage)
    gain, baseline, unit = _gain(calibration or "0")
    if baseline is None:
        baseline = int(zero or 0)
    # Without an initial value, a signal of differences starts at the middle of the converter's range.
    first, total = int(initial or zero or 0), None if checksum is None else int(checksum)
    return SignalSpec(file, fmt, per_frame, skew, offset, gain, baseline, unit, first, total, name or "")


@lru_cache(256)
def _own_file(file: str) -> str:
    name = own_name(file)
    if name is None:
        raise ValueError("the name of its signal file leaves the record's directory")
    return name


@lru_cache(256)
def _format(token: str) -> tuple[str, int, int, int]:
    """Return the format, the samples per frame, the skew [frames] and the offset [bytes]."""
    match = _FORMAT.fullmatch(token)
    if not match or (match[1] not in INVALID and match[1] != NO_SAMPLES):
        raise ValueError(f"unknown format {token[:20]!r}: expected one of {', '.join(INVALID)}")
    fmt, per_frame, skew, offset = match[1], int(match[2] or 1), int(match[3] or 0), int(match[4] or 0)
    if per_frame < 1:
        raise ValueError(f"format {token[:20]!r} has no sample per frame")
    if per_frame > _LARGEST_FRAME:
        raise ValueError(f"implausible format {token[:20]!r}: more than {_LARGEST_FRAME} samples per frame")
    return fmt, per_frame, skew, offset


@lru_cache(1024)
def _gain(token: str) -> tuple[float, int | None, str]:
    """Return the gain [adu/mV] (0: not calibrated; NaN: the unit is no voltage), the baseline [adu] and the unit."""
    match = _GAIN.fullmatch(token)
    if not match:
        raise ValueError(f"malformed gain {token[:30]!r}: expected GAIN(BASELINE)/UNIT")
    baseline = int(match[2]) if match[2] else None
    unit = match[3] or "mV"
    per_mv = _PER_MV.get(unit.lower())
    gain = float(match[1])
    if gain == 0 or per_mv is None:
        return (0.0 if per_mv is not None else float("nan")), baseline, unit
    gain *= per_mv
    if not _GAIN_RANGE[0] <= abs(gain) <= _GAIN_RANGE[1]:
        raise ValueError(f"implausible gain {token[:30]!r}: {gain:g} adu per mV")
    return gain, baseline, unit
