"""Waves in WFDB annotation files, as in LUDB: one file per lead, with marks such as ``( p )`` for a P wave."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..leads import LEADS
from ..wfdb.annotations import read_annotations, write_annotations
from ..wfdb.paths import refuse, split_record
from ..wfdb.rates import record_rates
from .find import WAVES
from .table import CONSENSUS, check_table, table_of_marks, wave_labels

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["group_marks", "read_waves", "write_waves"]

_SYMBOLS = {"p": "P", "N": "QRS", "t": "T"}
_CONSENSUS_EXTENSION = "all"


def write_waves(
    path: str | os.PathLike[str],
    table: DataFrame,
    fs: float,
    *,
    record: int | None = None,
    leads: Sequence[str] | None = None,
) -> None:
    """Write the waves of a record as one annotation file per lead.

    Parameters
    ----------
    path : str or path-like
        The record without extension. The extension of a file is the lower-case name of its lead, as in LUDB ("1.avf"),
        or "all" for the consensus. Existing files are replaced.
    table : DataFrame
        Waves as returned by `make_table`; fractions of samples are rounded.
    fs : float
        Sampling rate [Hz], written into each file.
    record : int, default=None
        Record of the table. None means its only record.
    leads : sequence of str, default=None
        Leads to write; a lead without waves becomes a file without marks. None means the leads that have waves.

    Raises
    ------
    ValueError
        If the table has several records and `record` does not choose one, if a wave has no peak, if marks of a lead are
        out of order, or if two leads would share a file. The message names record, lead and sample, and no file is
        written.
    OSError
        If a file cannot be written.

    Notes
    -----
    As in LUDB, marks have number, channel and subtype 0: the file name gives the lead. Confidences are not written.
    """
    check_table(table)
    _, name = split_record(path)
    rows = _of_record(table, record, name)
    extensions = _extensions(rows["lead"].unique().tolist() if leads is None else leads)
    marks = {lead: _marks(rows[rows["lead"] == lead], name, lead) for lead in extensions}
    for lead, (samples, symbols) in marks.items():
        write_annotations(path, extensions[lead], samples, symbols, fs=fs)


def read_waves(
    path: str | os.PathLike[str],
    leads: Sequence[str] | None = None,
    *,
    fs: float | None = None,
    record: int = 0,
    strict: bool = False,
) -> DataFrame:
    """Read the waves of a record from one annotation file per lead, as in LUDB or written by `write_waves`.

    Parameters
    ----------
    path : str or path-like
        The record without extension.
    leads : sequence of str, default=None
        Leads to read, in this order; "consensus" means the waves over all leads. None means the standard leads and the
        consensus, as far as they have a file.
    fs : float, default=None
        Sampling rate of the table [Hz]. None means the rate of the record, from its header. Marks of a file with a time
        resolution of its own are converted to it; other files count at this rate.
    record : int, default=0
        Number of the record in the table.
    strict : bool, default=False
        Whether to raise an error if marks are in an impossible order. Otherwise `group_marks` groups them.

    Returns
    -------
    table : DataFrame
        As returned by `make_table`; missing marks and confidences are NaN.

    Raises
    ------
    ValueError
        If a file is not an annotation file, or if with `strict` it has an onset or offset without a wave, an onset
        after the peak, or other annotations. The message names record, lead and sample.
    OSError
        If a file of `leads` is missing, or if `fs` is None and the header is missing.
    """
    directory, name = split_record(path)
    if leads is None:
        there = _extensions([*LEADS, CONSENSUS]).items()
        leads = [lead for lead, ext in there if os.path.isfile(os.path.join(directory, f"{name}.{ext}"))]
        if not leads:
            raise FileNotFoundError(f"record {name!r}: there is no annotation file of any lead")
    extensions = _extensions(leads)
    frames, rate = _rates(directory, name) if fs is None else (fs, fs)
    waves = {}
    for lead, extension in extensions.items():
        annotations = read_annotations(path, extension, fs=rate if frames == rate else None)
        samples = annotations.sample.tolist()
        if strict:
            _check_order(samples, annotations.symbol, name, lead)
        waves[lead] = group_marks(samples, annotations.symbol)
    table = table_of_marks([waves], rate)
    table["record"] += record
    return table


def group_marks(samples: Sequence[int], symbols: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Group the marks of a lead into waves.

    Parameters
    ----------
    samples : sequence of int, of length n_marks
        Positions [samples], ascending.
    symbols : sequence of str, of length n_marks
        "(" and ")" are onsets and offsets, "p", "N" and "t" the peaks of P, QRS and T; others are skipped.

    Returns
    -------
    waves : dict of wave to ndarray of shape (n_waves, 3), int64
        Onset, peak and offset of each "P", "QRS" and "T", -1 for a missing mark. An onset between peak and offset moves
        to the peak: LUDB has such onsets, a sample or two late, in complexes that begin with their peak.
    """
    waves: dict[str, list[tuple[int, int, int]]] = {wave: [] for wave in WAVES}
    onset, peak, wave = -1, -1, ""
    for i, (sample, symbol) in enumerate(zip(samples, symbols, strict=True)):
        if symbol in _SYMBOLS:
            if wave:
                waves[wave].append((onset, peak, -1))
                onset = -1
            wave, peak = _SYMBOLS[symbol], sample
        elif symbol == ")":
            if wave:
                waves[wave].append((onset, peak, sample))
            onset, wave = -1, ""
        elif symbol == "(":
            if wave and list(symbols[i + 1 : i + 2]) == [")"]:
                onset = peak
                continue
            if wave:
                waves[wave].append((onset, peak, -1))
            onset, wave = sample, ""
    if wave:
        waves[wave].append((onset, peak, -1))
    return {name: np.array(rows, np.int64).reshape(-1, 3) for name, rows in waves.items()}


def _of_record(table: DataFrame, record: int | None, name: str) -> DataFrame:
    if record is not None:
        return table[table["record"] == record]
    found = table["record"].unique()
    if len(found) > 1:
        refuse(name, f"the table has {len(found)} records, from {found.min()} to {found.max()}: choose one by record")
    return table


def _extensions(leads: Sequence[str]) -> dict[str, str]:
    """Return the extension of the file of each lead."""
    if isinstance(leads, str):
        raise TypeError(f"leads must be a sequence of names, got the single value {leads!r:.60}")
    extensions: dict[str, str] = {}
    for lead in leads:
        extension = _CONSENSUS_EXTENSION if lead == CONSENSUS else str(lead).lower()
        if extension in extensions.values():
            raise ValueError(f"leads {list(leads)}: several would share the extension {extension!r}")
        extensions[lead] = extension
    return extensions


def _marks(rows: DataFrame, record: str, lead: str) -> tuple[NDArray[np.int64], list[str]]:
    """Return samples and symbols of a lead in the order of its file."""
    times = rows[["onset", "peak", "offset"]].to_numpy(np.float64)
    start = np.where(np.isnan(times[:, 0]), times[:, 1], times[:, 0])
    nowhere = np.flatnonzero(~np.isfinite(times[:, 1]))
    if nowhere.size:
        at = np.nanmax([*times[nowhere[0], ::2], -1.0])
        refuse(record, f"lead {lead}: the wave at sample {at:g} has no peak, and only a peak says which wave it is")
    order = np.argsort(start, kind="stable")
    peaks = np.array(list(_SYMBOLS), dtype=object)[wave_labels(rows)[order] - 1]
    symbols = np.stack([np.full(len(rows), "(", dtype=object), peaks, np.full(len(rows), ")", dtype=object)], axis=1)
    there = np.isfinite(times[order])
    samples = np.floor(times[order][there] + 0.5).astype(np.int64)
    back = np.flatnonzero(np.diff(samples) < 0)
    if back.size:
        pair = [f"{symbols[there][i]!r} at sample {samples[i]}" for i in (back[0], back[0] + 1)]
        refuse(record, f"lead {lead}: marks are out of order or waves overlap, {' and '.join(pair)}")
    return samples, symbols[there].tolist()


def _rates(directory: str, name: str) -> tuple[float, float]:
    try:
        return record_rates(directory, name)
    except FileNotFoundError:
        raise FileNotFoundError(f"record {name!r}: there is no header with the sampling rate: give fs") from None


def _check_order(samples: Sequence[int], symbols: Sequence[str], record: str, lead: str) -> None:
    """Raise an error for marks that `group_marks` would drop or move; missing marks are allowed."""
    opened, wave = -1, ""
    for i, (sample, symbol) in enumerate(zip(samples, symbols, strict=True)):
        where = f"lead {lead}, sample {sample}"
        if symbol in _SYMBOLS:
            opened, wave = -1, symbol
        elif symbol == ")" and wave:
            wave = ""
        elif symbol == ")":
            refuse(record, f"{where}: an offset without a wave")
        elif symbol == "(" and opened >= 0:
            refuse(record, f"lead {lead}, sample {opened}: an onset without a wave")
        elif symbol == "(" and wave and list(symbols[i + 1 : i + 2]) == [")"]:
            refuse(record, f"{where}: an onset after the peak of its wave")
        elif symbol == "(":
            opened, wave = sample, ""
        else:
            refuse(record, f"{where}: the annotation {symbol!r:.20} is not the mark of a wave")
    if opened >= 0:
        refuse(record, f"lead {lead}, sample {opened}: an onset without a wave")
