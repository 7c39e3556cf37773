"""Read and write WFDB annotation files (MIT format)."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._optional import find_stack_level
from ...files.atomic import write_atomically
from .annotation_codes import CODES, Content, decode, encode
from .paths import read_bytes, refuse, split_record
from .rates import record_rates

_EXTENSION = re.compile(r"[A-Za-z0-9_\-]{1,32}", re.ASCII)
_LARGEST_FILE = 2**26
_LARGEST_SAMPLE = 2**31 - 1
_LONGEST_AUX = 255


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


def read_annotations(path: str | os.PathLike[str], extension: str, *, fs: float | None = None) -> Annotations:
    """Read an annotation file.

    Parameters
    ----------
    path : str or path-like
        The record without extension.
    extension : str
        Extension of the annotation file, for example "atr".
    fs : float, default=None
        Sampling rate of the record [Hz]. None means that of its header, as `read_wfdb` gives it.

    Returns
    -------
    annotations : Annotations
        `sample` of shape (n_annotations,), int64; `symbol` and `aux`, lists of str.

    Raises
    ------
    ValueError
        If the file is not a valid annotation file, or if `fs` is not positive; the message names the record.
    OSError
        If there is no such file.

    Warns
    -----
    UserWarning
        If there is no end mark, as in a truncated file, or if something follows it.

    Notes
    -----
    A file may count in a time resolution of its own. Positions are then converted to the rate of the record and rounded
    to the nearest sample; without a header and without `fs` they are left as they are. Other files count in the frames
    of the header, or at the rate `fs`. Subtypes, channels and numbers of annotations are dropped, and so are notes that
    define symbols.

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
    if fs is not None and not (isinstance(fs, Real) and np.isfinite(float(fs)) and fs > 0):
        refuse(name, f"fs must be positive and finite, got {fs!r:.40}")
    raw = read_bytes(directory, file, name, at_most=_LARGEST_FILE)
    if not raw:
        refuse(name, f"file {file!r} is empty: even an end mark is missing")
    try:
        content = decode(raw)
    except (ValueError, IndexError) as error:
        refuse(name, f"file {file!r} is not a valid annotation file: {error}")
    if not content.complete:
        _warn(name, f"file {file!r} has no end mark: it may be truncated")
    if content.n_after:
        _warn(name, f"file {file!r} goes on after its end mark: {content.n_after} bytes are ignored")
    sample = np.array([entry.sample for entry in content.entries], dtype=np.int64)
    if len(sample) and (sample[0] < 0 or (np.diff(sample) < 0).any()):
        refuse(name, f"file {file!r} has annotations before the record starts or out of order")
    ratio = _samples_per_tick(directory, name, content, fs)
    if ratio != 1 and len(sample):
        if sample[-1] * ratio >= 2**53:
            refuse(name, f"file {file!r} has the implausible time resolution {content.resolution!r}")
        sample = np.floor(sample * ratio + 0.5).astype(np.int64)
    symbols = [content.symbols.get(entry.code, str(entry.code)) for entry in content.entries]
    return Annotations(sample, symbols, [entry.aux for entry in content.entries])


def _samples_per_tick(directory: str, name: str, content: Content, fs: float | None) -> float:
    """Return how many samples at the wanted rate one tick of a file is; 1 where that is unknown."""
    if fs is not None:
        return float(fs) / (content.resolution or fs)
    try:
        frames, rate = record_rates(directory, name)
    except FileNotFoundError:
        return 1.0
    except ValueError:
        # A header that cannot be read matters only where it is needed.
        if content.resolution is None:
            return 1.0
        raise
    return rate / (content.resolution or frames)


def _rate_unlike_frames(directory: str, name: str) -> float | None:
    """Return the rate of a record if it is not that of its frames, in which a file counts that does not tell a rate."""
    try:
        frames, rate = record_rates(directory, name)
    except (FileNotFoundError, ValueError):
        return None
    return rate if rate != frames else None


def _warn(name: str, text: str) -> None:
    warnings.warn(f"record {name!r}: {text}", UserWarning, stacklevel=find_stack_level())


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
        Positions [samples] at the rate `fs`, in ascending order.
    symbol : sequence of str, of length n_annotations
        Symbols of WFDB's table.
    fs : float, default=None
        Sampling rate of the positions [Hz], which is written into the file. None means that of the record, as
        `read_wfdb` gives it; it is written if frames of the record have several samples. Without a header beside the
        file, None writes no rate, and positions count frames.
    aux : sequence of str, default=None
        Further text of each annotation, at most 255 ASCII characters.

    Raises
    ------
    ValueError
        If positions are negative or out of order, if a symbol is unknown, or if lengths differ.
    TypeError
        If positions are not integers.
    OSError
        If the file cannot be written, or there is a header that cannot be read.
    """
    directory, name = split_record(path)
    target = Path(directory, f"{name}.{_check_extension(extension)}")
    if target.is_symlink():
        refuse(name, f"annotation file {target.name!r} is a symbolic link: it is not replaced")
    positions = _check_positions(name, sample)
    symbols, notes = _check_texts(name, len(positions), symbol, aux)
    if fs is not None and not (np.isfinite(fs) and fs > 0):
        refuse(name, f"fs must be positive and finite, got {fs!r}")
    raw = encode(positions.tolist(), symbols, notes, _rate_unlike_frames(directory, name) if fs is None else fs)
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
    unknown = sorted({repr(s)[:20] for s in symbols if not (isinstance(s, str) and s in CODES)})
    if unknown:
        refuse(name, f"unknown annotation symbols {', '.join(unknown[:10])}")
    for text in notes or ():
        if not (isinstance(text, str) and text.isascii() and len(text) <= _LONGEST_AUX and "\0" not in text):
            refuse(name, f"aux must hold ASCII text of at most {_LONGEST_AUX} characters, got {text!r:.40}")
    return symbols, notes
