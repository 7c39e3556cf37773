"""Marks of annotated and predicted waves, paired and counted."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..ecg.waves.find import WAVES
from ..ecg.waves.table import check_rate
from .read_marks import BOUNDARIES, MARKED_LEADS, Marks, read_marks

__all__ = ["NARROW", "ComparedMarks", "Tolerance", "compare_marks"]

_ONSET, _PEAK, _OFFSET = range(3)
Tolerance: TypeAlias = float | Mapping[tuple[str, str], float]
"""Largest distance of a pair [s], one for all or one for each wave and boundary."""
NARROW: dict[tuple[str, str], float] = {
    **{("P", boundary): 0.050 for boundary in BOUNDARIES},
    **{("QRS", boundary): 0.040 for boundary in BOUNDARIES},
    **{("T", boundary): 0.050 for boundary in BOUNDARIES},
    ("T", "offset"): 0.100,
}
"""Narrow tolerances [s] by wave and boundary: P .05, QRS .04, T onset and peak .05, T offset .1."""


class ComparedMarks(NamedTuple):
    """Counts (n_records, 3 waves, 3 boundaries), and for each match its flat position in them and its error [ms].

    `n_predicted` is NaN where predictions cannot be counted.
    """

    records: NDArray[np.int64]
    n_true: NDArray[np.int64]
    n_predicted: NDArray[np.int64] | NDArray[np.float64]
    n_matched: NDArray[np.int64]
    cell: NDArray[np.int64]
    error_ms: NDArray[np.float64]


def compare_marks(
    true: Any, predicted: Any, fs: float, tolerance: Tolerance, leads: Literal["each", "nearest"]
) -> ComparedMarks:
    """Pair predicted marks with annotated marks of the same record, lead, wave and boundary, and count them.

    Parameters
    ----------
    true, predicted, fs, tolerance, leads
        As for :func:`~beatssl_sklearn.evaluation.delineation.delineation_scores`, which states the rules.

    Returns
    -------
    ComparedMarks

    Raises
    ------
    ValueError, TypeError
        As for :func:`~beatssl_sklearn.evaluation.delineation.delineation_scores`.
    """
    check_rate(fs)
    # The slack keeps a pair at exactly the tolerance a pair, whatever tolerance * fs rounds to.
    reach = _seconds(tolerance) * fs + 1e-6
    if leads not in ("each", "nearest"):
        raise ValueError(f"leads must be 'each' or 'nearest', got {leads!r:.60}")
    t, n_of_true = read_marks(true, "true", has_leads=leads == "each")
    p, n_of_predicted = read_marks(predicted, "predicted")
    if n_of_true is not None and n_of_predicted is not None and n_of_true != n_of_predicted:
        raise ValueError(f"true has {n_of_true} records but predicted has {n_of_predicted}")
    _check_records(p.record, n_of_true, "predicted", "true")
    _check_records(t.record, n_of_predicted, "true", "predicted")
    records = np.unique(t.record) if n_of_true is None else np.arange(n_of_true)
    compare = _in_each_lead if leads == "each" else _in_the_nearest_lead
    return compare(t, p, records, reach, fs)


def _seconds(tolerance: Any) -> NDArray[np.float64]:
    """Return the largest distance of a pair of each wave and boundary (3, 3) [s]."""
    if not isinstance(tolerance, Mapping):
        return np.full((len(WAVES), len(BOUNDARIES)), _checked_seconds(tolerance, "tolerance"))
    wanted = [(wave, boundary) for wave in WAVES for boundary in BOUNDARIES]
    wrong = [key for key in wanted if key not in tolerance] or [key for key in tolerance if key not in wanted]
    if wrong:
        raise ValueError(
            f"tolerance must have one entry for each of the nine pairs of wave and boundary, such as ('P', 'onset'):"
            f" {wrong[0]!r:.60} is {'missing' if wrong[0] not in tolerance else 'unknown'}"
        )
    seconds = [_checked_seconds(tolerance[key], f"tolerance[{key!r}]") for key in wanted]
    return np.array(seconds).reshape(len(WAVES), len(BOUNDARIES))


def _checked_seconds(value: Any, name: str) -> float:
    if not (isinstance(value, Real) and np.isfinite(float(value)) and float(value) >= 0):
        raise ValueError(f"{name} must be a number >= 0 [s], got {value!r}")
    return float(value)


def _in_each_lead(
    t: Marks, p: Marks, records: NDArray[np.int64], reach: NDArray[np.float64], fs: float
) -> ComparedMarks:
    """Compare leads with the same leads."""
    # A strip is one lead of one record. Strips are numbered in the order of the records; those without a mark are left
    # out.
    marked = ~np.isnan(t.times).all(axis=1)
    strips = np.unique(t.record[marked] * len(MARKED_LEADS) + t.lead[marked])
    t, p = (_of_strips(marks, strips) for marks in (t, p))
    record_of_strip = np.searchsorted(records, strips // len(MARKED_LEADS))
    partner = np.stack([_partners(t, p, b, reach[:, b]) for b in range(3)], axis=1)
    cell_t, cell_p = (_cells(record_of_strip[m.record], m.wave) for m in (t, p))
    matched = partner >= 0
    counted = matched | ~(np.isnan(p.times) | _outside(t, p, len(strips)) | _excused(t, partner))
    error = p.times[matched] - t.times[partner[matched], np.nonzero(matched)[1]]
    n_true, n_predicted, n_matched = (
        _count(cell, len(records)) for cell in (cell_t[~np.isnan(t.times)], cell_p[counted], cell_p[matched])
    )
    return ComparedMarks(records, n_true, n_predicted, n_matched, cell_p[matched], error * (1000.0 / fs))


def _in_the_nearest_lead(
    t: Marks, p: Marks, records: NDArray[np.int64], reach: NDArray[np.float64], fs: float
) -> ComparedMarks:
    """Compare one set of marks with every predicted lead; of each annotated mark, keep the nearest match."""
    order = np.lexsort((t.times[:, _OFFSET], t.times[:, _ONSET], t.times[:, _PEAK], t.wave, t.record))
    t = Marks(t.record[order], t.lead[order], t.wave[order], t.times[order])
    # Each predicted lead is a strip with its own copy of the marks. The consensus is no lead.
    is_lead = (p.lead < len(MARKED_LEADS) - 1) & np.isin(p.record, t.record)
    strips = np.unique((p.record * len(MARKED_LEADS) + p.lead)[is_lead])
    first = np.searchsorted(t.record, strips // len(MARKED_LEADS), side="left")
    number = np.searchsorted(t.record, strips // len(MARKED_LEADS), side="right") - first
    original = np.repeat(first - (np.cumsum(number) - number), number) + np.arange(number.sum())
    strip = np.repeat(np.arange(len(strips)), number)
    copies = Marks(strip, strips[strip] % len(MARKED_LEADS), t.wave[original], t.times[original])
    p = _of_strips(p, strips)
    cell_t = _cells(np.searchsorted(records, t.record), t.wave)
    cells: list[NDArray[np.int64]] = []
    errors: list[NDArray[np.float64]] = []
    for b in range(3):
        partner = _partners(copies, p, b, reach[:, b])
        found = np.flatnonzero(partner >= 0)
        row = original[partner[found]]
        error = p.times[found, b] - t.times[row, b]
        nearest_first = np.lexsort((np.abs(error), row))
        row, at = np.unique(row[nearest_first], return_index=True)
        cells.append(cell_t[row, b])
        errors.append(error[nearest_first][at])
    cell, error_ms = np.concatenate(cells), np.concatenate(errors) * (1000.0 / fs)
    n_true, n_matched = (_count(c, len(records)) for c in (cell_t[~np.isnan(t.times)], cell))
    return ComparedMarks(records, n_true, np.full(n_true.shape, np.nan), n_matched, cell, error_ms)


def _cells(number: NDArray[np.int64], wave: NDArray[np.int64]) -> NDArray[np.int64]:
    """Flat positions (n_waves, 3) in the tables of counts: record, then wave, then boundary."""
    return 9 * number[:, None] + 3 * wave[:, None] + np.arange(3)


def _count(cell: NDArray[np.int64], n_records: int) -> NDArray[np.int64]:
    return np.bincount(cell, minlength=n_records * 9).reshape(n_records, len(WAVES), len(BOUNDARIES))


def _check_records(record: NDArray[np.int64], n_records: int | None, name: str, other: str) -> None:
    """Raise ValueError for a record that the other input, a sequence of `n_records`, does not have."""
    if n_records is None:
        return
    outside = record[(record < 0) | (record >= n_records)]
    if len(outside):
        raise ValueError(f"{name} has record {outside[0]}, but {other} has the records 0 to {n_records - 1}")


def _of_strips(marks: Marks, strips: NDArray[np.int64]) -> Marks:
    """Keep the waves of these strips, sorted by strip, wave and time. `record` becomes the number of the strip."""
    strip = marks.record * len(MARKED_LEADS) + marks.lead
    kept = np.isin(strip, strips)
    number, wave, times = np.searchsorted(strips, strip[kept]), marks.wave[kept], marks.times[kept]
    order = np.lexsort((times[:, _OFFSET], times[:, _ONSET], times[:, _PEAK], wave, number))
    return Marks(number[order], marks.lead[kept][order], wave[order], times[order])


def _partners(t: Marks, p: Marks, boundary: int, reach: NDArray[np.float64]) -> NDArray[np.int64]:
    """Row of the annotated wave whose mark matches the mark of each predicted wave, or -1; `reach` is by wave."""
    rows_t, rows_p = (np.flatnonzero(~np.isnan(marks.times[:, boundary])) for marks in (t, p))
    time_t, time_p = t.times[rows_t, boundary], p.times[rows_p, boundary]
    partner = np.full(len(p.record), -1)
    if not len(rows_t) or not len(rows_p):
        return partner
    # All waves are laid out on one axis and searched in one go. Each kind of wave of each strip has its own stretch,
    # farther than `reach` from the others. The axis is long, so its times are rounded: the search takes one sample
    # more, and `near` decides by the exact times.
    low, high = min(time_t.min(), time_p.min()), max(time_t.max(), time_p.max())
    widest = float(reach.max())
    step = high - low + 2 * widest + 4
    axis_t, axis_p = (
        (marks.record[rows] * 3 + marks.wave[rows]) * step + time - low
        for marks, rows, time in ((t, rows_t, time_t), (p, rows_p, time_p))
    )
    order_t, order_p = np.argsort(axis_t, kind="stable"), np.argsort(axis_p, kind="stable")
    first = np.searchsorted(axis_p[order_p], axis_t[order_t] - widest - 1, side="left")
    number = np.searchsorted(axis_p[order_p], axis_t[order_t] + widest + 1, side="right") - first
    i = np.repeat(order_t, number)
    j = order_p[np.repeat(first - (np.cumsum(number) - number), number) + np.arange(len(i))]
    own = reach[t.wave[rows_t[i]]]
    near = (time_p[j] >= time_t[i] - own) & (time_p[j] <= time_t[i] + own)
    i, j = i[near], j[near]
    # Greedy: the nearest pair forms first, and each mark is used once.
    nearest_first = np.argsort(np.abs(time_t[i] - time_p[j]), kind="stable")
    free_t, free_p = bytearray(b"\1" * len(time_t)), bytearray(b"\1" * len(time_p))
    for a, b in zip(i[nearest_first].tolist(), j[nearest_first].tolist(), strict=True):
        if free_t[a] and free_p[b]:
            free_t[a] = free_p[b] = 0
            partner[rows_p[b]] = rows_t[a]
    return partner


def _outside(t: Marks, p: Marks, n_strips: int) -> NDArray[np.bool_]:
    """Mask of the predicted marks before the first or after the last annotated mark of their strip."""
    first, last = np.full(n_strips, np.inf), np.full(n_strips, -np.inf)
    missing = np.isnan(t.times)
    np.minimum.at(first, t.record, np.where(missing, np.inf, t.times).min(axis=1))
    np.maximum.at(last, t.record, np.where(missing, -np.inf, t.times).max(axis=1))
    return (p.times < first[p.record, None]) | (p.times > last[p.record, None])


def _excused(t: Marks, partner: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask of the predicted marks that their linked annotated wave lacks."""
    # An unmatched mark has the partner -1: it points to one more row at the end, which lacks nothing.
    missing = np.concatenate([np.isnan(t.times), np.zeros((1, 3), bool)])
    link = partner[:, _PEAK]
    for boundary in (_ONSET, _OFFSET):
        # Without an annotated peak, the onset or the offset links the two waves.
        other = partner[:, boundary]
        link = np.where((link < 0) & missing[other, _PEAK], other, link)
    return missing[link]
