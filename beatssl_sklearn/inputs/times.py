"""When records were taken: dates, and numbers of days, as days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .labels import as_labels, missing_labels

_DAY = timedelta(days=1)
# 27,000 years: dates written as a number (20240131), seconds and nanoseconds since 1970 are above.
_LARGEST = 1e7
# Differences of times of day are exact to some 1e-11 days only.
_ROUNDING = 1e-9
_ALLOWED = "a date (datetime64, datetime, pandas' Timestamp, text in ISO 8601) or a number of days"


def days_of(times: ArrayLike, n_records: int, name: str = "times") -> NDArray[np.float64]:
    """Return times as days since one moment.

    Parameters
    ----------
    times : array-like of shape (n_records,)
        Dates with or without a time of day: datetime64, datetime, date, pandas' Timestamps, or text in ISO 8601. Or
        days since any moment: numbers, timedelta64, timedelta, pandas' Timedeltas, or text. All must be of one kind;
        dates with a time zone are one. None, NaN, NaT, pandas' NA and empty text are missing.
    n_records : int
        Number of records.
    name : str, default="times"
        Name of the parameter, for messages.

    Returns
    -------
    ndarray of float64 of shape (n_records,)
        NaN where a time is missing.

    Raises
    ------
    ValueError
        If there is not one time per record, all are missing, or one is no date and no number of days; the message
        names its record.
    TypeError
        If a time is of another type, or times are of several kinds.
    """
    given = as_labels(times, name)
    if given.shape != (n_records,):
        raise ValueError(f"{name} must hold one time per record: shape {given.shape} for {n_records} records")
    if given.dtype.kind in "mM":
        # Of any unit. NaT becomes NaN.
        unit = given.astype(f"{given.dtype.kind}8[us]")
        days: NDArray[np.float64] = (unit - np.zeros(1, unit.dtype)) / np.timedelta64(1, "D")
    elif given.dtype.kind in "iuf":
        days = given.astype(np.float64)
    else:
        days = _days_of_cells(given, name)
    missing = np.isnan(days)
    if missing.all():
        raise ValueError(f"{name}: the times of all {n_records} records are missing")
    wrong = np.flatnonzero(~missing & ~(np.abs(days) <= _LARGEST))
    if len(wrong):
        raise ValueError(
            f"{name}: the time of record {wrong[0]} is {given[wrong[0]]!s}; numbers are days, of at most {_LARGEST:g}"
        )
    return days


def are_near(a: NDArray[np.float64], b: NDArray[np.float64] | float, max_gap: float) -> NDArray[np.bool_]:
    """Return which times are at most a gap apart.

    Parameters
    ----------
    a, b : ndarray of float64
        Times [days]; NaN is near to nothing.
    max_gap : float
        Largest gap [days].

    Returns
    -------
    ndarray of bool
        Of the shape of ``a - b``.
    """
    return np.asarray(np.abs(a - b) <= max_gap * (1 + _ROUNDING))


def _days_of_cells(given: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Return days of Python's objects and of text."""
    days = np.full(len(given), np.nan)
    cells = given.tolist()
    first: dict[str, int] = {}
    for i in np.flatnonzero(~missing_labels(given)).tolist():
        if isinstance(cells[i], str) and not cells[i].strip():
            continue
        try:
            kind, days[i] = _day_of(cells[i])
        except TypeError:
            held = f"{cells[i]!r}, of type {type(cells[i]).__name__}"
            raise TypeError(f"{name}: the time of record {i} is {held}; give {_ALLOWED}") from None
        except ValueError:
            raise ValueError(f"{name}: the time of record {i} is {cells[i]!r}; give {_ALLOWED}") from None
        # Text can be "nan", too.
        if not np.isnan(days[i]):
            first.setdefault(kind, i)
    if len(first) > 1:
        (one, at), (other, there) = list(first.items())[:2]
        raise TypeError(f"{name} must be of one kind: that of record {at} is {one}, that of record {there} {other}")
    return days


def _day_of(cell: Any) -> tuple[str, float]:
    """Return what kind of time a cell holds, and its day."""
    if isinstance(cell, str):
        try:
            cell = datetime.fromisoformat(cell.strip())
        except ValueError:
            return "a number of days", float(cell)
    if isinstance(cell, datetime):
        if cell.tzinfo is None:
            return "a date", (cell - datetime(1970, 1, 1)) / _DAY
        return "a date with a time zone", (cell - datetime(1970, 1, 1, tzinfo=UTC)) / _DAY
    if isinstance(cell, date):
        return "a date", float(cell.toordinal() - date(1970, 1, 1).toordinal())
    if isinstance(cell, np.datetime64):
        return "a date", float((cell.astype("M8[us]") - np.datetime64(0, "us")) / np.timedelta64(1, "D"))
    if isinstance(cell, np.timedelta64):
        return "a number of days", float(cell.astype("m8[us]") / np.timedelta64(1, "D"))
    if isinstance(cell, timedelta):
        return "a number of days", cell / _DAY
    if isinstance(cell, Real) and not isinstance(cell, bool):
        return "a number of days", float(cell)
    raise TypeError
