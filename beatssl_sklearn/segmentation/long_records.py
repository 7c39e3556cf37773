"""Waves of records of any length: read from disk, delineated and given on some minutes at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..ecg.preprocess import check_fs
from ..ecg.wfdb import ECGRecord
from ..ecg.wfdb.reader import WFDBReader
from ..inputs.checks import check_duration
from ..inputs.windows import CORE_S, windows

if TYPE_CHECKING:
    from pandas import DataFrame

PIECE_S = 600.0
# Windows of context. What is found in a window depends on the one before it where two sights of a wave overlap, and
# the window at the beginning of a piece lacks its margin.
_BEFORE, _AFTER = 2, 1


class Piece(NamedTuple):
    """A stretch of a record in samples; waves whose peak lies in its core are its own."""

    start: int
    stop: int
    core_start: int
    core_stop: int


def pieces(n_times: int, fs: float, piece: float = PIECE_S) -> list[Piece]:
    """Cut a record into pieces that are made of the windows in which all records are delineated.

    Parameters
    ----------
    n_times : int
        Length of the record [samples].
    fs : float
        Sampling rate [Hz].
    piece : float, default=600
        Length of the cores [s]; brought to a multiple of 10 s.

    Returns
    -------
    list of Piece
        Their cores tile the record.
    """
    cuts = windows(n_times, fs)
    step = max(1, round(piece / CORE_S))
    found = []
    for i in range(0, len(cuts), step):
        j = min(i + step, len(cuts))
        start = cuts[max(0, i - _BEFORE)].core_start
        found.append(Piece(start, cuts[min(j + _AFTER, len(cuts)) - 1].stop, cuts[i].core_start, cuts[j - 1].core_stop))
    return found


def delineate_file(
    path: str | os.PathLike[str],
    segmenter: Any,
    *,
    leads: Sequence[str] | None = None,
    positional: bool = False,
    consensus: bool = False,
    piece: float = PIECE_S,
    confine_to_root: str | os.PathLike[str] | None = None,
) -> Iterator[DataFrame]:
    """Delineate a WFDB record of any length, with memory for a few minutes of it.

    Parameters
    ----------
    path, leads, positional, confine_to_root
        As for `read_wfdb`.
    segmenter : WaveSegmenter
        Fitted; anything with its `delineate`.
    consensus : bool
        Whether to add the rows of the consensus over leads.
    piece : float, default=600
        Time from which the waves of one table are [s]; brought to a multiple of 10 s.

    Returns
    -------
    iterator of DataFrame
        Tables as returned by `WaveSegmenter.delineate`, with record 0, of consecutive parts of the record. Together
        they hold the waves that `delineate` finds in the whole record. If 10 s are not a whole number of samples,
        windows and waves can be up to a sample away from those in the whole record.

    Raises
    ------
    ValueError, TypeError, OSError
        If the record cannot be read, by this call; if its samples cannot, by the iterator.
    """
    reader = WFDBReader(path, leads=leads, positional=positional, confine_to_root=confine_to_root)
    return delineate_pieces(reader, segmenter, consensus=consensus, piece=piece)


def delineate_pieces(
    reader: WFDBReader, segmenter: Any, *, consensus: bool = False, piece: float = PIECE_S
) -> Iterator[DataFrame]:
    """Delineate a record that was opened; see `delineate_file`."""
    check_duration(reader.n_times, check_fs(reader.fs), "the record")
    ends: dict[str, float] = {}
    for cut in pieces(reader.n_times, reader.fs, piece):
        record = ECGRecord(reader.read(cut.start, cut.stop), reader.fs, reader.leads)
        table = _core(segmenter.delineate([record], consensus=consensus), cut, reader.fs)
        # At a rate at which windows lie elsewhere by a sample, both sights of a wave across the border may be left.
        begun = table["lead"].map(ends).to_numpy(np.float64, na_value=-np.inf)
        table = table[~(table["onset"].to_numpy() < begun)].reset_index(drop=True)
        ends |= table.groupby("lead")["offset"].max().to_dict()
        yield table


def _core(table: DataFrame, cut: Piece, fs: float) -> DataFrame:
    """Return the waves of a piece's core, counted from the record's first sample."""
    peak = table["peak"] + cut.start
    table = table[(peak >= cut.core_start) & (peak < cut.core_stop)].reset_index(drop=True)
    for mark in ("onset", "peak", "offset"):
        table[mark] += cut.start
        table[f"{mark}_s"] = table[mark] / fs
    return table


class Survey(NamedTuple):
    """What is to be known of a record's leads before work on it begins."""

    n_missing: dict[str, int]
    """Missing samples of each lead that lacks some."""
    flat: bool
    """Whether no lead varies."""


def survey(reader: WFDBReader) -> Survey:
    """Read a record once, and count its missing samples.

    Raises
    ------
    ValueError, OSError
        If it is too short, its rate is implausible, or its samples cannot be read.

    Warns
    -----
    UserWarning
        As of `WFDBReader.check`.
    """
    check_duration(reader.n_times, check_fs(reader.fs), "the record")
    reader.check()
    n_missing = np.zeros(len(reader.leads), dtype=np.int64)
    low, high = np.full((2, len(reader.leads)), np.nan, dtype=np.float32)
    for cut in pieces(reader.n_times, reader.fs):
        signal = reader.read(cut.core_start, cut.core_stop)
        n_missing += np.isnan(signal).sum(axis=1)
        low, high = np.fmin(low, np.fmin.reduce(signal, axis=1)), np.fmax(high, np.fmax.reduce(signal, axis=1))
    lacking = {lead: int(n) for lead, n in zip(reader.leads, n_missing, strict=True) if n}
    return Survey(lacking, not (high > low).any())
