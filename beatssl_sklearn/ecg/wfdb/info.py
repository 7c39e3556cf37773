"""What a header says about a record besides its signals: comments, the start, the patient."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .header import Header
from .start import base_date, base_time

# "Age: 56", "<sex>: F", "Patient ID = 17", and "patient 1" alone on its line.
_FIELD = re.compile(
    r"<?\b(age|sex|gender|(?:patient|subject)(?:[ _-]?id)?)>?\s*[:=]\s*<?([^\s<>,;]+)|^(patient|subject)\s+(\S+)$",
    re.ASCII | re.IGNORECASE,
)
_UNKNOWN = ("", "nan", "none", "n/a", "na", "unknown", "-", "?")
_PERSON = ("patient", "subject")


def describe(record: str, header: Header, signal_names: tuple[str, ...]) -> dict[str, Any]:
    """Return the `info` of a record; see `read_wfdb`."""
    info: dict[str, Any] = {"record": record, "comments": header.comments, "signal_names": signal_names}
    if header.start:
        info |= _start(header.start)
    if header.comments:
        info |= _person(header.comments)
    return info


def _start(words: Sequence[str]) -> dict[str, str]:
    """Return time and date of the start as ISO 8601 writes them."""
    found: dict[str, str] = {}
    for word in words:
        if time := base_time(word):
            found.setdefault("base_time", time)
        elif day := base_date(word):
            found.setdefault("base_date", day)
    return found


def _person(comments: Sequence[str]) -> dict[str, str]:
    """Return what well-known comments say of the patient, the first of each kind, as text."""
    found: dict[str, str] = {}
    for comment in comments:
        for match in _FIELD.finditer(comment):
            field, value = (match[1] or match[3]).lower(), match[2] or match[4]
            field = "patient_id" if field.startswith(_PERSON) else "sex" if field == "gender" else field
            if value.lower() not in _UNKNOWN:
                found.setdefault(field, value)
    return found
