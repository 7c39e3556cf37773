"""The words of WFDB annotation files (MIT format): codes, definitions and the time resolution."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

import numpy as np

_NOTHING, _NOTE, _LARGEST_CODE = 0, 22, 49
_SKIP, _AUX = 59, 63
# Codes of the number, the subtype and the channel of an annotation.
_IGNORED = (60, 61, 62)
# Codes 15 and 17 are not assigned; users define 42 to 49.
_SYMBOLS = dict(enumerate("NLRaVFJASEj/Q~ | sT*D\"=pB^t+u?![]en@xf()r", start=1))
del _SYMBOLS[15], _SYMBOLS[17]
CODES = {symbol: code for code, symbol in _SYMBOLS.items()}
"""Codes of the symbols that can be written."""
_FIRST_OF_USERS = 42

_RESOLUTION = re.compile(r"## time resolution:\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*", re.ASCII)
_DEFINITION = re.compile(r"([0-9]{1,2})[ \t]+(\S+)(?:[ \t].*)?", re.ASCII | re.DOTALL)
# A record of the AHA format has 16 bytes: a zero, one of these letters, the time, a number and text.
_AHA_BYTES, _AHA_CODES = 16, b"NVFREPQOU[]"


class Entry(NamedTuple):
    """An annotation as stored."""

    sample: int
    code: int
    aux: str


class Content(NamedTuple):
    """What an annotation file holds.

    Attributes
    ----------
    entries : list of Entry
        Annotations, without those that define something.
    symbols : dict of int to str
        Symbols by code, with those that the file defines.
    resolution : float or None
        Ticks per second in which the file counts, if it says so.
    complete : bool
        Whether there is an end mark.
    n_after : int
        Bytes behind the end mark, from the first one that is not zero.
    """

    entries: list[Entry]
    symbols: dict[int, str]
    resolution: float | None
    complete: bool
    n_after: int


def decode(raw: bytes) -> Content:
    """Read the content of an annotation file.

    Raises
    ------
    ValueError
        If it is no annotation file of this format.
    """
    if _is_aha(raw):
        raise ValueError("it is in the AHA format, which is not read")
    words = np.frombuffer(raw[: len(raw) // 2 * 2], dtype="<u2").tolist()
    entries: list[Entry] = []
    i, sample, complete = 0, 0, False
    while i < len(words) and not complete:
        # The highest six bits are the code, the others a distance or a length.
        code, value = words[i] >> 10, words[i] & 1023
        i += 1
        if code == _NOTHING and value == 0:
            complete = True
        elif code == _SKIP:
            if i + 2 > len(words):
                raise ValueError("a distance is cut off")
            # The distance has 32 bits and a sign; the high word comes first, as on the PDP-11.
            step = (words[i] << 16) + words[i + 1]
            sample += step - (1 << 32 if step >= 1 << 31 else 0)
            i += 2
        elif code == _AUX:
            text = raw[2 * i : 2 * i + value]
            if not entries or len(text) < value:
                raise ValueError("text without an annotation, or cut off")
            entries[-1] = entries[-1]._replace(aux=text.decode("latin-1").rstrip("\0"))
            # Text is padded to whole words.
            i += (value + 1) // 2
        elif code <= _LARGEST_CODE:
            sample += value
            entries.append(Entry(sample, code, ""))
        elif code not in _IGNORED:
            raise ValueError(f"unknown code {code}")
    n_after = len(raw[2 * i :].lstrip(b"\0"))
    kept, symbols, resolution = _interpret(entries)
    if n_after and not kept:
        raise ValueError(f"it has no annotations before its end mark, and {n_after} bytes behind it")
    return Content(kept, symbols, resolution, complete, n_after)


def _is_aha(raw: bytes) -> bool:
    """Return whether each 16 bytes are a record of the AHA format; 255 pads its end."""
    if len(raw) < _AHA_BYTES or raw[:1] != b"\0":
        return False
    whole = raw[: len(raw) // _AHA_BYTES * _AHA_BYTES]
    return not whole[::_AHA_BYTES].strip(b"\0\xff") and not whole[1::_AHA_BYTES].strip(_AHA_CODES + b"\xff")


def _interpret(entries: list[Entry]) -> tuple[list[Entry], dict[int, str], float | None]:
    """Return annotations without definitions, symbols by code, and the time resolution.

    The notes at sample 0 before all other annotations define. Between headings a definition may be of any code, and
    without one of the codes that are left to users: a note such as "5 min rest" is a note.
    """
    symbols, resolution = dict(_SYMBOLS), None
    kept: list[Entry] = []
    defining, i = False, 0
    while i < len(entries) and (entries[i].code == _NOTHING or (entries[i].code == _NOTE and entries[i].sample == 0)):
        entry = entries[i]
        i += 1
        definition = _DEFINITION.fullmatch(entry.aux)
        if entry.code == _NOTHING:
            continue
        if entry.aux.startswith("## "):
            defining = entry.aux == "## annotation type definitions"
            if match := _RESOLUTION.fullmatch(entry.aux):
                resolution = _positive(match[1])
        elif definition and (defining or int(definition[1]) >= _FIRST_OF_USERS) and int(definition[1]) <= _LARGEST_CODE:
            symbols[int(definition[1])] = definition[2]
        else:
            kept.append(entry)
    return kept + [entry for entry in entries[i:] if entry.code != _NOTHING], symbols, resolution


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"its time resolution {text[:20]!r} is no number") from None
    if not np.isfinite(value):
        raise ValueError(f"its time resolution {text[:20]!r} is not finite")
    # As in WFDB's own library, 0 gives none.
    return value or None


def encode(samples: list[int], symbols: list[str], aux: list[str] | None, fs: float | None) -> bytes:
    """Return the content of an annotation file; the inverse of `decode`."""
    parts: list[bytes] = []

    def add(step: int, code: int, text: str) -> None:
        # A distance of more than ten bits precedes the annotation.
        if step > 1023:
            parts.append(struct.pack("<HHH", _SKIP << 10, step >> 16, step & 0xFFFF))
            step = 0
        parts.append(struct.pack("<H", code << 10 | step))
        if text:
            parts.append(struct.pack("<H", _AUX << 10 | len(text)) + text.encode("ascii") + b"\0" * (len(text) % 2))

    if fs is not None:
        add(0, _NOTE, f"## time resolution: {float(fs):.12g}")
    previous = 0
    for i, (sample, symbol) in enumerate(zip(samples, symbols, strict=True)):
        add(sample - previous, CODES[symbol], aux[i] if aux is not None else "")
        previous = sample
    return b"".join(parts) + b"\0\0"
