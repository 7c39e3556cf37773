"""Read and write WFDB annotation files (MIT format)."""

from __future__ import annotations

import os
import re
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._optional import find_stack_level
from ...files.atomic import write_atomically
from .paths import read_bytes, refuse, split_record

_EXTENSION = re.compile(r"[A-Za-z0-9_\-]{1,32}", re.ASCII)
_LARGEST_FILE = 2**26
_LARGEST_SAMPLE = 2**31 - 1
_LONGEST_AUX = 255

_NOTHING, _NOTE, _LARGEST_CODE = 0, 22, 49
_SKIP, _AUX = 59, 63
# Codes of the number, the subtype and the channel of an annotation.
_IGNORED = (60, 61, 62)
# Codes 15 and 17 are not assigned; users define 42 to 49.
_SYMBOLS = dict(enumerate("NLRaVFJASEj/Q~ | sT*D\"=pB^t+u?![]en@xf()r", start=1))
del _SYMBOLS[15], _SYMBOLS[17]
_CODES = {symbol: code for code, symbol in _SYMBOLS.items()}


class Annotations(NamedTuple):
    """Annotations of a record.

    Attributes
    ----------
    sample : ndarray of shape (n_annotations,), int64
        Positions [samples] at the record's sampling rate.
    symbol : list of str
        Symbols, for example "N" or "V" for beats, and "(" or ")" for the borders of waves.
    aux : list of str
        Further text, or "".
    """

    sample: NDArray[np.int64]
    symbol: list[str]
    aux: list[str]

    def __repr__(self) -> str:
        return f"Annotations(n={len(self.symbol)}, symbols={sorted(set(self.symbol))})"


def read_annotations(path: str | os.PathLike[str], extension: str) -> Annotations:
    """Read an annotation file.

    Parameters
    ----------
    path : str or path-like
        The record without extension.
    extension : str
        Extension of the annotation file, for example "atr".

    Returns
    -------
    annotations : Annotations
        `sample` of shape (n_annotations,), int64; `symbol` and `aux`, lists of str.

    Raises
    ------
    ValueError
        If the file is not a valid annotation file; the message names the record.
    OSError
        If there is no such file.

    Warns
    -----
    UserWarning
        If there is no end mark, as in a truncated file.

    Notes
    -----
    Subtypes, channels and numbers of annotations are dropped.

    References
    ----------
    WFDB Applications Guide, annot(5), MIT format.

    Examples
    --------
    >>> read_annotations("mitdb/100", "atr")  # doctest: +SKIP
    Annotations(n=2274, symbols=['+', 'A', 'N', 'V'])
    """
    directory, name = split_record(path)
    file = f"{name}.{_check_extension(extension)}"
    raw = read_bytes(directory, file, name, at_most=_LARGEST_FILE)
    if not raw:
        refuse(name, f"file {file!r} is empty: even an end mark is missing")
    try:
        entries, complete = _decode(raw)
    except (ValueError, IndexError) as error:
        refuse(name, f"file {file!r} is not a valid annotation file: {error}")
    if not complete:
        text = f"record {name!r}: file {file!r} has no end mark: it may be truncated"
        warnings.warn(text, UserWarning, stacklevel=find_stack_level())
    symbols = _symbols(entries)
    kept = [entry for entry in entries if entry.code != _NOTHING and not entry.definition]
    sample = np.array([entry.sample for entry in kept], dtype=np.int64)
    if len(sample) and (sample[0] < 0 or (np.diff(sample) < 0).any()):
        refuse(name, f"file {file!r} has annotations before the record starts or out of order")
    return Annotations(sample, [symbols.get(entry.code, str(entry.code)) for entry in kept], [e.aux for e in kept])


def write_annotations(
    path: str | os.PathLike[str],
    extension: str,
    sample: ArrayLike,
    symbol: Sequence[str],
    fs: float | None = None,
    aux: Sequence[str] | None = None,
) -> None:
    """Write an annotation file; an older one is replaced only when the new one is complete.

    Parameters
    ----------
    path : str or path-like
        The record without extension.
    extension : str
        Extension of the annotation file.
    sample : array-like of shape (n_annotations,), integers
        Positions [samples], in ascending order.
    symbol : sequence of str, of length n_annotations
        Symbols of WFDB's table.
    fs : float, default=None
        Sampling rate [Hz] to write into the file. None writes none.
    aux : sequence of str, default=None
        Further text of each annotation, at most 255 ASCII characters.

    Raises
    ------
    ValueError
        If positions are negative or out of order, if a symbol is unknown, or if lengths differ.
    TypeError
        If positions are not integers.
    OSError
        If the file cannot be written.
    """
    directory, name = split_record(path)
    target = Path(directory, f"{name}.{_check_extension(extension)}")
    if target.is_symlink():
        refuse(name, f"annotation file {target.name!r} is a symbolic link: it is not replaced")
    positions = _check_positions(name, sample)
    symbols, notes = _check_texts(name, len(positions), symbol, aux)
    if fs is not None and not (np.isfinite(fs) and fs > 0):
        refuse(name, f"fs must be positive and finite, got {fs!r}")
    raw = _encode(positions.tolist(), symbols, notes, fs)
    try:
        write_atomically(target, raw)
    except OSError as error:
        raise type(error)(f"record {name!r}: annotations cannot be written: {error.strerror}") from None


def _check_extension(extension: str) -> str:
    if not isinstance(extension, str):
        raise TypeError(f"extension must be a str, got {type(extension).__name__}")
    extension = extension.removeprefix(".")
    if not _EXTENSION.fullmatch(extension) or extension in ("hea", "dat"):
        raise ValueError(f"extension {extension[:40]!r} does not fit an annotation file: expected for example 'atr'")
    return extension


class _Entry(NamedTuple):
    sample: int
    code: int
    aux: str
    definition: bool = False


def _decode(raw: bytes) -> tuple[list[_Entry], bool]:
    """Return all annotations, and whether an end mark was found."""
    words = np.frombuffer(raw[: len(raw) // 2 * 2], dtype="<u2").tolist()
    entries: list[_Entry] = []
    i, sample = 0, 0
    while i < len(words):
        # The highest six bits are the code, the others a distance or a length.
        code, value = words[i] >> 10, words[i] & 1023
        i += 1
        if code == _NOTHING and value == 0:
            return entries, True
        if code == _SKIP:
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
            entries.append(_Entry(sample, code, ""))
        elif code not in _IGNORED:
            raise ValueError(f"unknown code {code}")
    return entries, False


def _symbols(entries: list[_Entry]) -> dict[int, str]:
    """Return the symbols by code, with those that the file defines; mark the entries that are definitions."""
    symbols = dict(_SYMBOLS)
    defining = False
    for i, entry in enumerate(entries):
        if entry.sample != 0 or entry.code != _NOTE or not (defining or entry.aux.startswith("## ")):
            continue
        entries[i] = entry._replace(definition=True)
        parts = entry.aux.split(None, 2)
        if entry.aux.startswith("## "):
            defining = entry.aux == "## annotation type definitions"
        elif len(parts) > 1 and parts[0].isascii() and parts[0].isdecimal():
            symbols[int(parts[0][:4])] = parts[1]
    return symbols


def _encode(samples: list[int], symbols: list[str], aux: list[str] | None, fs: float | None) -> bytes:
    """Return the content of an annotation file; the inverse of `_decode`."""
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
        add(sample - previous, _CODES[symbol], aux[i] if aux is not None else "")
        previous = sample
    return b"".join(parts) + b"\0\0"


def _check_positions(name: str, sample: ArrayLike) -> NDArray[np.int64]:
    positions = np.asarray(sample)
    if positions.ndim != 1 or (positions.dtype.kind not in "iu" and positions.size):
        raise TypeError(f"record {name!r}: sample must be a 1-D array of integers, got {positions.dtype} "
                        f"of shape {positions.shape}")
    positions = positions.astype(np.int64)
    if not len(positions):
        return positions
    if positions[0] < 0 or positions[-1] > _LARGEST_SAMPLE or (np.diff(positions) < 0).any():
        refuse(name, f"sample must be ascending, from 0 to {_LARGEST_SAMPLE}")
    return positions


def _check_texts(
    name: str, n_annotations: int, symbol: Sequence[str], aux: Sequence[str] | None
) -> tuple[list[str], list[str] | None]:
    symbols = list(symbol)
    notes = None if aux is None else list(aux)
    for parameter, values in (("symbol", symbols), ("aux", symbols if notes is None else notes)):
        if len(values) != n_annotations:
            refuse(name, f"{parameter} has {len(values)} entries for {n_annotations} positions")
    unknown = sorted({repr(s)[:20] for s in symbols if not (isinstance(s, str) and s in _CODES)})
    if unknown:
        refuse(name, f"unknown annotation symbols {', '.join(unknown[:10])}")
    for text in notes or ():
        if not (isinstance(text, str) and text.isascii() and len(text) <= _LONGEST_AUX and "\0" not in text):
            refuse(name, f"aux must hold ASCII text of at most {_LONGEST_AUX} characters, got {text!r:.40}")
    return symbols, notes
