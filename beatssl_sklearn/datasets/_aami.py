"""Beats of an annotation file and their AAMI classes, as the MIT-BIH databases share them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ecg.wfdb import Annotations, read_annotations

AAMI_CLASSES = ("N", "S", "V", "F", "Q")
_AAMI = {"N": "NLRBej", "S": "AaJS", "V": "VE", "F": "F", "Q": "/fQ"}
AAMI_CLASS = {symbol: name for name, symbols in _AAMI.items() for symbol in symbols}


class AnnotatedBeats(NamedTuple):
    """Beats of a record.

    Attributes
    ----------
    rpeaks : ndarray of shape (n_beats,), int64
        Positions [samples], strictly increasing.
    symbols, labels : ndarray of shape (n_beats,), str
        Annotation symbols, and their AAMI classes.
    annotations : Annotations
        All marks of the file, also those that are not beats.
    """

    rpeaks: NDArray[np.int64]
    symbols: NDArray[np.str_]
    labels: NDArray[np.str_]
    annotations: Annotations


def read_beats(path: Path, n_times: int) -> AnnotatedBeats:
    """Read the beats of the record's file ``.atr`` that lie in its `n_times` samples.

    Of several beats at one sample, the first counts: embedders need positions that increase, inside the signal.

    Raises
    ------
    ValueError
        If the file is no annotation file, or its marks are out of order; the message names the record.
    OSError
        If the file is missing.
    """
    marks = read_annotations(path, "atr")
    beats = [(sample, s) for sample, s in zip(marks.sample.tolist(), marks.symbol, strict=True) if s in AAMI_CLASS]
    positions = np.array([sample for sample, _ in beats], np.int64)
    # The reader has refused negative marks and marks out of order.
    kept = (np.diff(positions, prepend=-1) > 0) & (positions < n_times)
    symbols = np.array([symbol for _, symbol in beats], "<U1")[kept]
    labels = np.array([AAMI_CLASS[symbol] for symbol in symbols.tolist()], "<U1")
    return AnnotatedBeats(positions[kept], symbols, labels, marks)
