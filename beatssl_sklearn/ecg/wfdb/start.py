"""When a record starts: the words on time and date in the record line of a header."""

from __future__ import annotations

import re
from datetime import date

_TIME = re.compile(r"(?:(?:([01]?\d|2[0-3]):)?([0-5]?\d):)?([0-5]?\d)(\.\d+)?", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(rf"(\d{{1,2}})[/-](\d{{1,2}}|{'|'.join(_MONTHS)})[/-](\d{{1,4}})", re.ASCII | re.IGNORECASE)
# A leap year.
_ANY_YEAR = 2000


def base_time(word: str) -> str | None:
    """Return a time of the day as ISO 8601 writes it; None if the word is none."""
    match = _TIME.fullmatch(word)
    if not match:
        return None
    # The seconds come last; hours and minutes may be absent.
    hours, minutes, seconds, fraction = match.groups()
    return f"{int(hours or 0):02d}:{int(minutes or 0):02d}:{int(seconds):02d}{fraction or ''}"


def base_date(word: str) -> str | None:
    """Return a day as ISO 8601 writes it; None if the word is no day of a calendar, "" if its century is unknown."""
    match = _DATE.fullmatch(word)
    if not match:
        return None
    day, month, year = match.groups()
    # The format asks for four digits of the year: of fewer, the century is unknown.
    known = len(year) == 4
    number = int(month) if month.isdecimal() else _MONTHS.index(month.lower()) + 1
    try:
        found = date(int(year) if known else _ANY_YEAR, number, int(day))
    except ValueError:
        return None
    return found.isoformat() if known else ""


def is_start(word: str) -> bool:
    """Return whether a word is a time of the day or a day."""
    return base_time(word) is not None or base_date(word) is not None
