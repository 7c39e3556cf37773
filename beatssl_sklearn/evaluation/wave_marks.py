"""Marks of annotated and predicted waves: read from tables or dicts, and paired."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..ecg.leads import LEADS, canonical_lead
from ..ecg.waves.find import WAVES
from ..ecg.waves.table import CONSENSUS, check_rate, check_table

__all__ = ["BOUNDARIES", "ComparedMarks", "compare_marks"]

BOUNDARIES = ("onset", "peak", "offset")
_ONSET, _PEAK, _OFFSET = range(3)
_LEADS = (*LEADS, CONSENSUS)


class _Marks(NamedTuple):
    """Waves of all records, one per row. `times` (n, 3) [samples] is NaN where a mark is missing."""

    record: NDArray[np.int64]
    lead: NDArray[np.int64]
    wave: NDArray[np.int64]
    times: NDArray[np.float64]


class ComparedMarks(NamedTuple):
    """Counts (n_records, 3 waves, 3 boundaries), and for each match its flat position in them and its error [ms]."""

    records: NDArray[np.int64]
    n_true: NDArray[np.int64]
    n_predicted: NDArray[np.int64]
    n_matched: NDArray[np.int64]
    cell: NDArray[np.int64]
    error_ms: NDArray[np.float64]


def compare_marks(true: Any, predicted: Any, fs: float, tolerance: float) -> ComparedMarks:
    """Pair predicted marks with annotated marks of the same record, lead, wave and boundary, and count them.

    Parameters
    ----------
    true, predicted : DataFrame, or sequence of n_records dict
        As for :func:`~beatssl_sklearn.evaluation.delineation.delineation_scores`, which states the rules.
    fs : float
        Sampling rate of the marks [Hz].
    tolerance : float
        Largest distance of a pair [s], inclusive.

    Returns
    -------
    ComparedMarks

    Raises
    ------
    ValueError, TypeError
        As for :func:`~beatssl_sklearn.evaluation.delineation.delineation_scores`.
    """
    check_rate(fs)
    if not (isinstance(tolerance, Real) and np.isfinite(tolerance) and tolerance >= 0):
        raise ValueError(f"tolerance must be a number >= 0 [s], got {tolerance!r}")
    (t, n_of_true), (p, n_of_predicted) = _read(true, "true"), _read(predicted, "predicted")
    if n_of_true is not None and n_of_predicted is not None and n_of_true != n_of_predicted:
        raise ValueError(f"true has {n_of_true} records but predicted has {n_of_predicted}")
    _check_records(p.record, n_of_true, "predicted", "true")
    _check_records(t.record, n_of_predicted, "true", "predicted")
    records = np.unique(t.record) if n_of_true is None else np.arange(n_of_true)

    # A strip is one lead of one record. Strips are numbered in the order of the records; those without a mark are left
    # out.
    marked = ~np.isnan(t.times).all(axis=1)
    strips = np.unique(t.record[marked] * len(_LEADS) + t.lead[marked])
    t, p = (_of_strips(marks, strips) for marks in (t, p))
    record_of_strip = np.searchsorted(records, strips // len(_LEADS))
    # The slack keeps a pair at exactly the tolerance a pair, whatever tolerance * fs rounds to.
    reach = tolerance * fs + 1e-6
    shape = (len(records), len(WAVES), len(BOUNDARIES))
    partner = np.stack([_partners(t, p, b, reach) for b in range(3)], axis=1)
    # Flat positions in the tables of counts: record, then wave, then boundary.
    cell_t, cell_p = (9 * record_of_strip[m.record, None] + 3 * m.wave[:, None] + np.arange(3) for m in (t, p))
    matched = partner >= 0
    counted = matched | ~(np.isnan(p.times) | _outside(t, p, len(strips)) | _excused(t, partner))
    error = p.times[matched] - t.times[partner[matched], np.nonzero(matched)[1]]

    def count(cell: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(cell, minlength=records.size * 9).reshape(shape)

    return ComparedMarks(
        records,
        count(cell_t[~np.isnan(t.times)]),
        count(cell_p[counted]),
        count(cell_p[matched]),
        cell_p[matched],
        error * (1000.0 / fs),
    )


def _check_records(record: NDArray[np.int64], n_records: int | None, name: str, other: str) -> None:
    """Raise ValueError for a record that the other input, a sequence of `n_records`, does not have."""
    if n_records is None:
        return
    outside = record[(record < 0) | (record >= n_records)]
    if len(outside):
        raise ValueError(f"{name} has record {outside[0]}, but {other} has the records 0 to {n_records - 1}")


def _of_strips(marks: _Marks, strips: NDArray[np.int64]) -> _Marks:
    """Keep the waves of these strips, sorted by strip, wave and time. `record` becomes the number of the strip."""
    strip = marks.record * len(_LEADS) + marks.lead
    kept = np.isin(strip, strips)
    number, wave, times = np.searchsorted(strips, strip[kept]), marks.wave[kept], marks.times[kept]
    order = np.lexsort((times[:, _OFFSET], times[:, _ONSET], times[:, _PEAK], wave, number))
    return _Marks(number[order], marks.lead[kept][order], wave[order], times[order])


def _partners(t: _Marks, p: _Marks, boundary: int, reach: float) -> NDArray[np.int64]:
    """Row of the annotated wave whose mark matches the mark of each predicted wave, or -1."""
    rows_t, rows_p = (np.flatnonzero(~np.isnan(marks.times[:, boundary])) for marks in (t, p))
    time_t, time_p = t.times[rows_t, boundary], p.times[rows_p, boundary]
    partner = np.full(len(p.record), -1)
    if not len(rows_t) or not len(rows_p):
        return partner
    # All waves are laid out on one axis and searched in one go. Each kind of wave of each strip has its own stretch,
    # farther than `reach` from the others. The axis is long, so its times are rounded: the search takes one sample
    # more, and `near` decides by the exact times.
    low, high = min(time_t.min(), time_p.min()), max(time_t.max(), time_p.max())
    step = high - low + 2 * reach + 4
    axis_t, axis_p = (
        (marks.record[rows] * 3 + marks.wave[rows]) * step + time - low
        for marks, rows, time in ((t, rows_t, time_t), (p, rows_p, time_p))
    )
    order_t, order_p = np.argsort(axis_t, kind="stable"), np.argsort(axis_p, kind="stable")
    first = np.searchsorted(axis_p[order_p], axis_t[order_t] - reach - 1, side="left")
    number = np.searchsorted(axis_p[order_p], axis_t[order_t] + reach + 1, side="right") - first
    i = np.repeat(order_t, number)
    j = order_p[np.repeat(first - (np.cumsum(number) - number), number) + np.arange(len(i))]
    near = (time_p[j] >= time_t[i] - reach) & (time_p[j] <= time_t[i] + reach)
    i, j = i[near], j[near]
    # Greedy: the nearest pair forms first, and each mark is used once.
    nearest_first = np.argsort(np.abs(time_t[i] - time_p[j]), kind="stable")
    free_t, free_p = bytearray(b"\1" * len(time_t)), bytearray(b"\1" * len(time_p))
    for a, b in zip(i[nearest_first].tolist(), j[nearest_first].tolist(), strict=True):
        if free_t[a] and free_p[b]:
            free_t[a] = free_p[b] = 0
            partner[rows_p[b]] = rows_t[a]
    return partner


def _outside(t: _Marks, p: _Marks, n_strips: int) -> NDArray[np.bool_]:
    """Mask of the predicted marks before the first or after the last annotated mark of their strip."""
    first, last = np.full(n_strips, np.inf), np.full(n_strips, -np.inf)
    missing = np.isnan(t.times)
    np.minimum.at(first, t.record, np.where(missing, np.inf, t.times).min(axis=1))
    np.maximum.at(last, t.record, np.where(missing, -np.inf, t.times).max(axis=1))
    return (p.times < first[p.record, None]) | (p.times > last[p.record, None])


def _excused(t: _Marks, partner: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask of the predicted marks that their linked annotated wave lacks."""
    # An unmatched mark has the partner -1: it points to one more row at the end, which lacks nothing.
    missing = np.concatenate([np.isnan(t.times), np.zeros((1, 3), bool)])
    link = partner[:, _PEAK]
    for boundary in (_ONSET, _OFFSET):
        # Without an annotated peak, the onset or the offset links the two waves.
        other = partner[:, boundary]
        link = np.where((link < 0) & missing[other, _PEAK], other, link)
    return missing[link]


def _read(waves: Any, name: str) -> tuple[_Marks, int | None]:
    """Return the marks, and the number of records if they come as a sequence."""
    import pandas as pd

    if isinstance(waves, pd.DataFrame):
        return _from_table(waves, name), None
    if isinstance(waves, (Mapping, str, bytes)) or not hasattr(waves, "__len__"):
        kind = type(waves).__name__
        raise TypeError(f"{name} must be a table of waves or a sequence with one dict per record, got {kind}")
    rows: list[tuple[int, str, str, NDArray[np.float64]]] = []
    for number, leads in enumerate(waves):
        if not isinstance(leads, Mapping) or not all(isinstance(kinds, Mapping) for kinds in leads.values()):
            raise TypeError(f"{name}, record {number}, must be a dict of lead to dict of wave to array")
        for lead, kinds in leads.items():
            for wave, marks in kinds.items():
                rows.append((number, lead, wave, _as_times(marks, f"{name}, record {number}, lead {lead}, {wave}")))
    sizes = np.array([len(times) for *_, times in rows], np.int64)
    record, lead, wave = (np.repeat(np.array([row[k] for row in rows], object), sizes) for k in range(3))
    times = np.concatenate([np.zeros((0, 3)), *(times for *_, times in rows)])
    return _coded(record.astype(np.int64), lead, wave, times, name), len(waves)


def _from_table(table: Any, name: str) -> _Marks:
    check_table(table, name)
    try:
        times = table[list(BOUNDARIES)].to_numpy(np.float64, na_value=np.nan)
        number = table["record"].to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must have numbers in the columns record, {', '.join(BOUNDARIES)}") from error
    if not (np.isfinite(number) & (number == np.round(number))).all():
        raise ValueError(f"{name} must have whole numbers in the column record")
    lead, wave = (np.asarray(table[column], object) for column in ("lead", "wave"))
    return _coded(number.astype(np.int64), lead, wave, _as_times(times, name), name)


def _as_times(marks: ArrayLike, where: str) -> NDArray[np.float64]:
    """Marks (n_waves, 3) [samples] with NaN for missing ones."""
    try:
        times = np.array(marks, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: marks must be an array of shape (n_waves, 3) [samples]") from error
    if not times.size:
        return np.zeros((0, 3))
    if times.ndim != 2 or times.shape[1] != 3:
        raise ValueError(f"{where}: marks must have the shape (n_waves, 3), got {times.shape}")
    if np.isinf(times).any():
        raise ValueError(f"{where}: marks must be finite, or NaN or -1 where they are missing")
    times[times <= -1] = np.nan
    return times


def _coded(
    record: NDArray[np.int64], lead: NDArray[Any], wave: NDArray[Any], times: NDArray[np.float64], name: str
) -> _Marks:
    """Encode the names of leads and waves as positions in `_LEADS` and `WAVES`."""
    leads, of_lead = np.unique(lead.astype(str), return_inverse=True)
    waves, of_wave = np.unique(wave.astype(str), return_inverse=True)
    for k, found in enumerate(waves):
        if found not in WAVES:
            first = record[of_wave == k][0]
            raise ValueError(f"{name}, record {first}: unknown wave {found[:60]!r}, expected one of {', '.join(WAVES)}")
    code = np.zeros(len(leads), np.int64)
    for k, found in enumerate(leads):
        try:
            code[k] = _LEADS.index(found if found == CONSENSUS else canonical_lead(str(found))[0])
        except ValueError as error:
            raise ValueError(f"{name}, record {record[of_lead == k][0]}: {error}") from error
    if len(np.unique(code)) < len(code):
        named = np.unique(np.stack([record, code[of_lead], of_lead]), axis=1)
        twice = np.flatnonzero((named[:2, 1:] == named[:2, :-1]).all(axis=0))
        if len(twice):
            number, position = named[:2, twice[0]]
            raise ValueError(f"{name}, record {number}: lead {_LEADS[position]} occurs under two names")
    return _Marks(record, code[of_lead], np.array([WAVES.index(w) for w in waves], np.int64)[of_wave], times)
