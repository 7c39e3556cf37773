"""Intervals between waves: RR, PR, QRS, QT and corrected QT."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .consensus import group_quantiles
from .table import CONSENSUS, check_rate, check_table, wave_labels

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["INTERVALS", "beat_intervals", "record_intervals"]

INTERVALS = ("RR", "PR", "QRS", "QT", "QTcB", "QTcF")
"""Columns of the intervals [ms]."""
# Intervals that are missing where a wave or a mark is.
_SHARED = ("PR", "QRS", "QT")

_P, _QRS, _T = 1, 2, 3
# Rates that differ by no more than this share are one rate.
_SAME_RATE = 1e-3


class _Waves(NamedTuple):
    """Columns of waves, sorted by record and peak."""

    record: NDArray[np.int64]
    onset: NDArray[np.float64]
    peak: NDArray[np.float64]
    offset: NDArray[np.float64]


def beat_intervals(
    table: DataFrame,
    fs: float | None = None,
    *,
    lead: str | None = None,
    longest_pr: float = 0.35,
    longest_qt: float = 0.8,
) -> DataFrame:
    r"""Measure the intervals of each beat.

    Parameters
    ----------
    table : DataFrame
        Waves as returned by `make_table`.
    fs : float, default=None
        Sampling rate [Hz]. None is each record's own, which the table tells by its positions and times.
    lead : str, default=None
        Lead to measure. None means the consensus over leads, or without one the only lead of the table.
    longest_pr : float, default=.35
        Longest time from the onset of P to the onset of QRS [s]: an earlier P does not belong to the beat.
    longest_qt : float, default=.8
        Longest time from the onset of QRS to the offset of T [s]: a later T does not belong to the beat.

    Returns
    -------
    intervals : DataFrame
        One row per QRS, sorted by record and time, NaN if a wave or mark is missing: ``record`` (int64), ``beat``
        (int64, from 0 in each record), ``rpeak`` (float64, peak of QRS [samples]), and in float64 [ms] ``RR`` from the
        previous QRS peak, ``PR`` from onset of P to onset of QRS, ``QRS`` from its onset to its offset, ``QT`` from
        onset of QRS to offset of T, ``QTcB`` and ``QTcF``; ``heart_rate`` [1/min] (float64).

    Raises
    ------
    TypeError
        If `table` is not a DataFrame.
    ValueError
        If a parameter is not positive, if `fs` is not the rate of a record, if the table lacks a column, or if it has
        several leads without a consensus and `lead` does not choose one.

    Notes
    -----
    P is the last P that begins before the QRS; its peak lies after the peaks of the previous QRS and of the T before
    it. T is the first T between the QRS peak and the next QRS. The formulas of Bazett and Fridericia correct QT for the
    heart rate, with the preceding RR in seconds:

    .. math:: QTcB = QT / \sqrt{RR / 1 s}, \qquad QTcF = QT / \sqrt[3]{RR / 1 s}

    References
    ----------
    H. C. Bazett, An analysis of the time-relations of electrocardiograms, Heart 7 (1920) 353-370. L. S. Fridericia, Die
    Systolendauer im Elektrokardiogramm bei normalen Menschen und bei Herzkranken, Acta Medica Scandinavica 53 (1920)
    469-486.

    Examples
    --------
    >>> from beatssl_sklearn.ecg.waves.table import table_of_marks
    >>> waves = {"QRS": [[80, 100, 120], [580, 600, 620]], "T": [[200, 250, 280], [700, 750, 780]]}
    >>> beat_intervals(table_of_marks([{"II": waves}], 500.0), 500.0)[["RR", "QRS", "QT", "QTcB"]]
           RR   QRS     QT   QTcB
    0     NaN  80.0  400.0    NaN
    1  1000.0  80.0  400.0  400.0
    """
    check_table(table)
    if fs is not None:
        check_rate(fs)
    for name, value in (("longest_pr", longest_pr), ("longest_qt", longest_qt)):
        if not value > 0:
            raise ValueError(f"{name} must be a positive time [s], got {value!r}")
    p, qrs, t = _three_waves(_one_lead(table, lead))
    rate = _rates(table, qrs.record, fs)
    start = np.where(np.isnan(qrs.onset), qrs.peak, qrs.onset)
    follows = np.r_[False, qrs.record[1:] == qrs.record[:-1]][: len(qrs.peak)]
    previous = np.where(follows, np.r_[np.nan, qrs.peak[:-1]][: len(qrs.peak)], -np.inf)
    following = np.where(np.r_[follows[1:], False][: len(qrs.peak)], np.r_[start[1:], np.inf][: len(qrs.peak)], np.inf)

    p_before, t_before = (_neighbour(waves, qrs.record, start, side=-1) for waves in (p, t))
    t_after = _neighbour(t, qrs.record, qrs.peak, side=1)
    pr = qrs.onset - p_before.onset
    conducted = (pr <= longest_pr * rate) & (p_before.peak > previous) & ~(p_before.peak <= t_before.peak)
    qt = t_after.offset - qrs.onset
    repolarised = (qt <= longest_qt * rate) & (t_after.peak < following)
    rr = np.where(follows & (qrs.peak > previous), qrs.peak - previous, np.nan) / rate
    ms = 1000 / rate
    qt_ms = np.where(repolarised, qt, np.nan) * ms
    first = np.flatnonzero(~follows)
    beat = np.arange(len(qrs.peak)) - np.repeat(first, np.diff(np.r_[first, len(qrs.peak)]))
    return _frame(
        {
            "record": qrs.record,
            "beat": beat,
            "rpeak": qrs.peak,
            "RR": 1000 * rr,
            "PR": np.where(conducted, pr, np.nan) * ms,
            "QRS": (qrs.offset - qrs.onset) * ms,
            "QT": qt_ms,
            "QTcB": qt_ms / np.sqrt(rr),
            "QTcF": qt_ms / np.cbrt(rr),
            "heart_rate": 60 / rr,
        }
    )


def record_intervals(
    table: DataFrame,
    fs: float | None = None,
    n_records: int | None = None,
    *,
    lead: str | None = None,
    longest_pr: float = 0.35,
    longest_qt: float = 0.8,
    min_share: float = 0.5,
) -> DataFrame:
    """Measure the median intervals of each record.

    Parameters
    ----------
    table, fs : as for `beat_intervals`
        Waves, and their sampling rate [Hz]; None is each record's own.
    n_records : int, default=None
        Number of records (rows of X): each has a row, also without any wave. None means the records in the table.
    lead, longest_pr, longest_qt : as for `beat_intervals`
        Which intervals count.
    min_share : float, default=.5
        Share of the beats of a record, from 0 to 1, that must have an interval; otherwise it is missing. The median of
        what few beats have would be the median of mistakes, such as the PR of a record in atrial fibrillation.

    Returns
    -------
    intervals : DataFrame
        One row per record: ``record`` (int64), ``n_beats`` (int64), and in float64 the medians over beats of
        ``heart_rate`` [1/min] and of ``RR``, ``PR``, ``QRS``, ``QT``, ``QTcB`` and ``QTcF`` [ms]. ``PR_share``,
        ``QRS_share`` and ``QT_share`` (float64) are the shares of the beats that have these intervals, also where the
        median is missing; ``p_share`` is the older name of ``PR_share``. NaN if there is nothing to measure, or if
        fewer beats than `min_share` have an interval. The first beat of a record never has an RR.

    Raises
    ------
    TypeError, ValueError
        As in `beat_intervals`, if `min_share` is not from 0 to 1, and if a record of the table is not below
        `n_records`.
    """
    if not isinstance(min_share, Real):
        raise TypeError(f"min_share must be a number, got {min_share!r:.80}")
    if not 0 <= min_share <= 1:
        raise ValueError(f"min_share must be from 0 to 1, got {min_share!r}")
    beats = beat_intervals(table, fs, lead=lead, longest_pr=longest_pr, longest_qt=longest_qt)
    records = np.unique(table["record"].to_numpy(np.int64))
    if n_records is not None:
        if records.size and not 0 <= records[0] <= records[-1] < n_records:
            raise ValueError(f"n_records is {n_records!r}, but the table has the records {records[0]} to {records[-1]}")
        records = np.arange(n_records)
    group = np.searchsorted(records, beats["record"].to_numpy())
    n_beats = np.bincount(group, minlength=len(records))
    medians = {
        name: group_quantiles(beats[name].to_numpy(), group, len(records), 0.5, min_share)
        for name in ("heart_rate", *INTERVALS)
    }
    shares = {f"{name}_share": _share(beats[name], group, n_beats) for name in _SHARED}
    return _frame({"record": records, "n_beats": n_beats, **medians, **shares, "p_share": shares["PR_share"]})


def _share(values: Any, group: NDArray[np.int64], n_beats: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of the beats of each record that have a value; NaN without a beat."""
    n = np.bincount(group, weights=np.isfinite(values.to_numpy()), minlength=len(n_beats))
    return np.where(n_beats > 0, n / np.maximum(n_beats, 1), np.nan)


def _rates(table: DataFrame, record: NDArray[np.int64], fs: float | None) -> NDArray[np.float64]:
    """Return the sampling rate of the record of each beat [Hz], as positions and times of the table tell it.

    Raises
    ------
    ValueError
        If a rate was given that is not a record's.
    """
    peak, seconds = (table[name].to_numpy(np.float64) for name in ("peak", "peak_s"))
    # At the first sample, and where the peak is missing, nothing is told.
    known = (peak > 0) & (seconds > 0)
    own = table["record"].to_numpy(np.int64)[known]
    names, code = np.unique(own, return_inverse=True)
    rates = group_quantiles(peak[known] / seconds[known], code, len(names), 0.5)
    if fs is not None:
        other = np.flatnonzero(np.abs(rates - fs) > _SAME_RATE * fs)
        if other.size:
            raise ValueError(
                f"fs={fs:g}, but record {names[other[0]]} of the table has {rates[other[0]]:g} Hz by its times; "
                f"without fs, each record has its own rate"
            )
        return np.full(len(record), float(fs))
    found = np.full(len(record), np.nan)
    there = np.isin(record, names)
    found[there] = rates[np.searchsorted(names, record[there])]
    return found


def _one_lead(table: DataFrame, lead: str | None) -> DataFrame:
    found = table["lead"].unique().tolist()
    if lead is None:
        lead = CONSENSUS if CONSENSUS in found else next(iter(found), CONSENSUS)
        if lead != CONSENSUS and len(found) > 1:
            raise ValueError(
                f"table has the leads {found} and no consensus: add the rows of consensus(), or choose a lead"
            )
    elif lead not in found and len(table):
        raise ValueError(f"lead {lead!r:.40} is not in the table, which has {found}")
    return table[table["lead"] == lead]


def _three_waves(rows: DataFrame) -> tuple[_Waves, _Waves, _Waves]:
    label, record = wave_labels(rows), rows["record"].to_numpy(np.int64)
    onset, peak, offset = (rows[name].to_numpy(np.float64) for name in ("onset", "peak", "offset"))
    order = np.lexsort((peak, record))
    order = order[np.isfinite(peak[order])]
    parts = [order[label[order] == k] for k in (_P, _QRS, _T)]
    p, qrs, t = (_Waves(record[part], onset[part], peak[part], offset[part]) for part in parts)
    return p, qrs, t


def _neighbour(waves: _Waves, record: NDArray[np.int64], time: NDArray[np.float64], side: int) -> _Waves:
    """Find the last wave whose peak is before each time of a record (side -1), or the first after it (1), or NaN."""
    # One number for record and time: one sorted search serves all records.
    low = min(waves.peak.min(initial=np.inf), time.min(initial=np.inf))
    span = max(waves.peak.max(initial=-np.inf), time.max(initial=-np.inf)) - low + 1
    if not np.isfinite(span):
        span, low = 1.0, 0.0
    key = waves.record * span + (waves.peak - low)
    at = np.searchsorted(key, record * span + (time - low), side="left" if side < 0 else "right")
    at = at - 1 if side < 0 else at
    inside = (at >= 0) & (at < len(key))
    found = np.append(waves.record, -1)[np.where(inside, at, -1)] == record
    at = np.where(inside & found, at, len(key))
    return _Waves(record, *(np.append(column, np.nan)[at] for column in waves[1:]))


def _frame(columns: dict[str, NDArray[Any]]) -> DataFrame:
    import pandas

    return pandas.DataFrame(columns)
