"""Reports of ECGs as plain text: one spelling, and one statement per sentence."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

# Codes that an annotator gave behind the report are labels, and no part of it.
_LABELS = re.compile(r"(?:\bedit:|consensus label derived from:).*", re.DOTALL)
# The version of the recorder's program, "4.46  unbestätigter bericht". Long reports are cut: its end may be missing.
_PROGRAM = re.compile(
    r"\s\d\.\d{1,2}(?:\s+u\w*(?:\s+b\w*)?)?\s*$"
    r"|\bunbestätigter\s+bericht\b.*|\bunconfirmed\s+report\b.*|\btrace only requested\b\.?",
    re.DOTALL,
)
# Hyphens between letters and digits belong to the word, so that "st-t" is one.
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_RULE = re.compile(r"[*=_]{2,}|[*=]")
# A character set without umlauts gave "f#r" for "für".
_LOST_UMLAUT = re.compile(r"#(?=[^\W\d_])")
# Words that are also written without umlauts. "ue" is not always "ü", so that only known beginnings are changed.
_NO_UMLAUT = re.compile(
    r"\bueber|vorhofs?ueber|fuer\b|leitungsstoerung|veraenderung|moeglich|verzoeger|staendig|ulaer|verlaenger|maessig"
    r"|foermig|erhoeh|schaed|ischaemie|gestoert|vorhoefe|haeufig|verspaetet|laesion|unregelmaess"
)
# A full stop behind one of these ends no sentence.
_ABBREVIATIONS = (
    "abl ableit ablt amplitudkrit ant asc bds beg biphas bzw ca chron descend desc diff dr evtl extr fragl geringf "
    "gg ggf ggfs incl indiff inf inkompl insbes intermitt intraventr kompl lat li linksventr mögl moegl neg path pat "
    "periph pos post re rechtsventr repol sek sign sog spez supraventr teilw term unbest unspez unvollst vd ventr "
    "verd vgl vollst vs wahrsch zn a b c d n o u v z z.t e.g i.e"
)
_MARK = re.compile(
    r"(?P<kept>\b(?:" + "|".join(map(re.escape, _ABBREVIATIONS.split())) + r")\.|\d\.(?=\d)"
    r"|\b(?:\d|i{1,3})\.(?=\s?grad))"
    r"|(?P<stop>[.;\n\r]+)"
    # An age belongs to the statement before it.
    r"|(?P<run>\s{3,}+)(?!alter\b|wahrscheinlich alt\b|akut|mögl|neu\b|frisch|ålder|sannolikt|möjligen)"
)


def _umlaut(found: re.Match[str]) -> str:
    return re.sub("ae|oe|ue", lambda pair: {"ae": "ä", "oe": "ö", "ue": "ü"}[pair[0]], found[0])


def _cleaned(report: str) -> str:
    """Return a report in one spelling, without what is no report, with its blanks as they are."""
    # Half a character cannot be written in UTF-8: what was read with another encoding may hold it.
    report = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", report)
    text = unicodedata.normalize("NFC", report).casefold()
    text = _RULE.sub(" ", _PROGRAM.sub(" ", _LABELS.sub(" ", text)))
    return _NO_UMLAUT.sub(_umlaut, _LOST_UMLAUT.sub("ü", text))


def normalised(report: str) -> str:
    """Return a report in lower case, with single blanks, without what is no part of a report.

    Umlauts are composed characters. Known German words in another spelling get their umlauts ("ueberdreht" and
    "f#r"). Versions of programs, "unbestätigter bericht", "trace only requested" and codes of annotators are left out.
    Lone surrogates, which a wrong encoding leaves behind, become replacement characters.

    Parameters
    ----------
    report : str
        The text as it was written.

    Returns
    -------
    str
        "" if nothing is left.
    """
    text = " ".join(_cleaned(report).split())
    return text if any(map(str.isalpha, text)) else ""


def split_words(text: str) -> list[str]:
    """Return the words of a normalised text: runs of letters and digits, with hyphens between them.

    Parameters
    ----------
    text : str
        As `normalised` returns it.

    Returns
    -------
    list of str
        In their order.
    """
    return _WORD.findall(text)


def sentences(report: str) -> list[str]:
    """Return the sentences of a report, normalised.

    A sentence ends at a full stop, a semicolon or a line end, and not inside a number or behind a known abbreviation.
    Three blanks or more are a former line end. They end a sentence too, unless the report has full stops: then they
    are where a long sentence was wrapped.

    Parameters
    ----------
    report : str
        The text as it was written. Single blanks hide where its lines ended.

    Returns
    -------
    list of str
        [] for a report without a word.
    """
    text = _cleaned(report)
    marks = list(_MARK.finditer(text))
    wrapped = any("." in (mark["stop"] or "") for mark in marks)
    parts, start = [], 0
    for mark in marks:
        if mark["stop"] or (mark["run"] and not wrapped):
            parts.append(text[start : mark.start()])
            start = mark.end()
    parts.append(text[start:])
    return [" ".join(part.split()) for part in parts if any(map(str.isalpha, part))]


def check_reports(reports: Any, n_records: int) -> list[str]:
    """Return a report per record, "" where a record has none.

    Parameters
    ----------
    reports : sequence of (str or None)
        A list, an array or a column of a table. None, NaN and "" mean that a record has no report.
    n_records : int
        How many records there are.

    Returns
    -------
    list of str
        The texts as they were written.

    Raises
    ------
    TypeError
        If this is one text and not a sequence, or if a report is no text. The message names the record.
    ValueError
        If there is not one report per record.
    """
    if isinstance(reports, str | bytes) or not (isinstance(reports, Sequence) or hasattr(reports, "__array__")):
        raise TypeError(f"reports must be a sequence with a text or None per record, got {type(reports).__name__}")
    if len(reports) != n_records:
        raise ValueError(f"reports must have one text or None per record: {len(reports)} for {n_records} records")
    return [_text_of(record, report) for record, report in enumerate(reports)]


def _text_of(record: int, report: Any) -> str:
    if isinstance(report, str):
        return str(report)
    # pandas.NA is neither equal nor unequal to itself, and pandas is not imported for it.
    missing = report is None or type(report).__name__ == "NAType"
    if missing or (isinstance(report, float | np.floating) and np.isnan(report)):
        return ""
    raise TypeError(f"the report of record {record} must be a text or None, got {report!r:.60}")
