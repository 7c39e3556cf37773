"""Tables of text: a line of lead names, then one sample of all leads in each line."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..ecg.preprocess import FS_RANGE
from ..ecg.wfdb.paths import read_bytes, refuse
from .contents import Channel, Contents, Options, Place

_LARGEST_TABLE = 2**30
_SEPARATORS = "\t;,| "
# "II [uV]", "II (mV)": the unit stands in brackets.
_UNIT = re.compile(r"^(.*?)\s*[\[(]\s*([^\])]*?)\s*[\])]\s*$")
# Seconds in one of what time is counted in.
_SECONDS = {"": 1.0, "s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "us": 1e-6, "\u00b5s": 1e-6}
_TIME = re.compile(r"(?:time|t|elapsed[ _]?time|seconds|timestamp)(?:_(s|sec|ms|us))?", re.IGNORECASE)
# How far a time may be from where an even rate has it [samples]: writers round times.
_UNEVEN = 0.5
_MISSING = ("", "nan", "na", "n/a", "null", "none", "-")


def read_csv(place: Place, options: Options) -> Contents:
    """Read a table with a header; a column of times gives the rate, or the user says it."""
    folder, file = os.path.split(place.path)
    raw = read_bytes(folder, file, place.name, at_most=_LARGEST_TABLE, root=folder)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    if "\0" in text:
        refuse(place.name, "it is no text, and no format that is known")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) < 2:
        refuse(place.name, "it has no samples: a table has a line of lead names, and then a line for each sample")
    # A blank may also stand before a unit, "II [uV]": it separates columns only where no other mark does.
    separator = max(_SEPARATORS, key=lambda mark: (mark != " " and mark in lines[0], lines[0].count(mark)))
    if separator == " " and len(lines[1].split()) == 1:
        # The blank in "II (uV)" separates no columns: there is one.
        separator = "\t"
    titles = [title.strip().strip("\"'").strip() for title in _fields(lines[0], separator)]
    if all(_is_number(title) for title in titles):
        refuse(place.name, "its first line has no lead names; write one, or load the table and pass an array with fs "
               "and leads")
    columns = _columns(place, lines[1:], separator, len(titles))
    return _contents(place, titles, columns, options)


def _fields(line: str, separator: str) -> list[str]:
    return line.split() if separator == " " else line.split(separator)


def _columns(place: Place, lines: list[str], separator: str, n_columns: int) -> NDArray[np.float64]:
    """Return the numbers of all lines: (n_columns, n_times); an empty field is a missing sample."""
    # Where a comma separates no fields, it may stand for the point.
    comma = separator != ","
    values = np.empty((n_columns, len(lines)))
    for i, line in enumerate(lines):
        fields = _fields(line, separator)
        if len(fields) != n_columns:
            refuse(place.name, f"sample {i + 1} has {len(fields)} fields, the line of names has {n_columns}")
        for k, field in enumerate(fields):
            field = field.strip().strip('"')
            try:
                values[k, i] = float(field.replace(",", ".") if comma else field)
            except ValueError:
                if field.lower() not in _MISSING:
                    # A column of words is no signal.
                    values[k, i] = np.inf
                    continue
                values[k, i] = np.nan
    return values


def _contents(place: Place, titles: list[str], columns: NDArray[np.float64], options: Options) -> Contents:
    fs = options.fs
    channels: list[Channel] = []
    for title, values in zip(titles, columns, strict=True):
        match = _UNIT.match(title)
        name, unit = (match[1], match[2]) if match else (title, "")
        time = _TIME.fullmatch(name)
        if time:
            fs = _rate(place, values, (time[1] or unit).lower(), options.fs)
            continue
        channels.append(Channel(name, unit or options.unit or "mV", 0.0, _loader(place, name, values)))
    if fs is None:
        refuse(place.name, "it has no column of times, and does not state its sampling rate; fs=... says it [Hz]")
    return Contents([channel._replace(fs=fs) for channel in channels])


def _loader(place: Place, name: str, values: NDArray[np.float64]) -> Callable[[], NDArray[np.float64]]:
    def load() -> NDArray[np.float64]:
        if (wrong := np.flatnonzero(np.isinf(values))).size:
            refuse(place.name, f"sample {wrong[0] + 1} of {name!r:.60} is not a number")
        return values

    return load


def _rate(place: Place, times: NDArray[np.float64], unit: str, given: float | None) -> float:
    """Return the rate that times tell [Hz]."""
    if not np.isfinite(times).all() or unit not in _SECONDS:
        if given is None:
            refuse(place.name, f"its times are not numbers of a known unit ({unit[:20]!r}); fs=... says the rate [Hz]")
        return given
    seconds = (times - times[0]) * _SECONDS[unit]
    fs = (len(times) - 1) / seconds[-1] if seconds[-1] > 0 else 0.0
    steps = np.arange(len(times))
    # Written times are rounded: a whole number of Hz that explains all of them is the rate.
    for rate in (float(round(fs)), fs):
        if rate > 0 and np.abs(seconds - steps / rate).max() <= _UNEVEN / rate:
            return float(rate) if unit or FS_RANGE[0] <= rate <= FS_RANGE[1] else _without_unit(place, rate, given)
    refuse(place.name, f"its times are not even: {len(times)} samples in {seconds[-1]:g} s, not one after the other; "
           "bring them to one rate first")


def _without_unit(place: Place, rate: float, given: float | None) -> float:
    """Return the rate that is given where times in s would mean one that no ECG has: they count something else."""
    if given is None:
        refuse(place.name, f"its times state no unit, and in s they would mean {rate:g} Hz; call the column "
               "'time_ms' or 'time [ms]' if they are in ms, or let fs=... say the rate [Hz]")
    return given


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
