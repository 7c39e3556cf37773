"""Waves over all leads, and the intervals that they make: RR, PR, QRS, QT and corrected QT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .find import WAVES
from .table import CONSENSUS, check_table, make_table, wave_labels

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["INTERVALS", "MIN_SHARE", "beat_intervals", "consensus", "record_intervals"]

MIN_SHARE = {"P": 1 / 3, "QRS": 1 / 2, "T": 1 / 3}
"""Share of the leads that have to show a wave: P and T are flat in several leads of many hearts."""

INTERVALS = ("RR", "PR", "QRS", "QT", "QTcB", "QTcF")

# By label, of the middles of one wave in all leads [s]: the widest gap between neighbours, and the widest spread. Both
# are less than the cycle of atrial flutter (.2 s), and of ventricles at 200 beats per minute for T.
_WIDEST_GAP = np.array([np.nan, 0.10, 0.12, 0.15])
_WIDEST_SPREAD = np.array([np.nan, 0.14, 0.16, 0.20])
_P, _QRS, _T = 1, 2, 3


class _Waves(NamedTuple):
    """Columns of waves, sorted by record and peak."""

    record: NDArray[np.int64]
    onset: NDArray[np.float64]
    peak: NDArray[np.float64]
    offset: NDArray[np.float64]


def consensus(
    table: DataFrame,
    fs: float,
    *,
    min_share: float | Mapping[str, float] | None = None,
    quantile: float = 0.25,
    n_leads: int | None = None,
) -> DataFrame:
    """Measure waves over all leads of each record.

    Waves of one kind whose middles lie near to each other are one wave seen in several leads. As is the convention of
    global intervals, it begins with its earliest onset and ends with its latest offset of all leads, because a lead
    that is perpendicular to the heart's vector shows the wave too short; not the extremes themselves are taken but
    quantiles, which a single lead's error cannot move far. Where the waves of neighbouring kinds then overlap, QRS
    keeps its boundaries and P and T meet in the middle.

    Parameters
    ----------
    table : DataFrame
        Waves of several leads, as of `make_table`; rows of a former consensus are left out.
    fs : float
        Sampling rate [Hz].
    min_share : float or mapping of wave to float, default=None
        Share of the leads, from 0 to 1, in which a wave must be seen. None means a third for P and T and half for QRS
        (`MIN_SHARE`). With one or two leads, one is enough.
    quantile : float, default=.25
        The onset is this quantile of the onsets, the offset that from the top of the offsets: with twelve leads about
        the fourth earliest and the fourth latest. 0 takes the extremes, .5 medians. The errors of single leads make
        QRS and QT the longer the nearer it is to 0: on LUDB's marks, medians of QRS are 122, 103 and 94 ms with 0, .25
        and .5, those of QT 430, 409 and 399 ms.
    n_leads : int, default=None
        Number of leads that were delineated; None means those that have a wave anywhere in the table.

    Returns
    -------
    waves : DataFrame
        As of `make_table`, with ``lead`` "consensus", sorted by record and onset; ``peak`` and ``confidence`` are
        medians over the leads that show the wave.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or the table lacks a column.

    References
    ----------
    The CSE Working Party, Recommendations for measurement standards in quantitative electrocardiography, European Heart
    Journal 6 (1985) 815-825. P. Laguna, R. Jané, P. Caminal, Automatic detection of wave boundaries in multilead ECG
    signals: validation with the CSE database, Computers and Biomedical Research 27 (1994) 45-60.
    """
    check_table(table)
    _check_fs(fs)
    shares = _shares(min_share)
    if not 0 <= quantile <= 0.5:
        raise ValueError(f"quantile must be from 0 to 0.5, got {quantile!r}")
    rows = table[table["lead"] != CONSENSUS]
    record, label = rows["record"].to_numpy(np.int64), wave_labels(rows)
    lead = rows["lead"].astype("category").cat.codes.to_numpy(np.int64)
    n_found = int(lead.max(initial=-1)) + 1
    if n_leads is not None and n_leads < n_found:
        raise ValueError(f"n_leads must be at least {n_found}, the number of leads in the table, got {n_leads!r}")
    marks = rows[["onset", "peak", "offset"]].to_numpy(np.float64)
    group, n_groups = _same_waves(record, label, marks, fs)

    seen = np.bincount(np.unique(group * max(n_found, 1) + lead) // max(n_found, 1), minlength=n_groups)
    first = np.zeros(n_groups, np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    onset = _quantile_of(marks[:, 0], group, n_groups, quantile)
    peak = _quantile_of(marks[:, 1], group, n_groups, 0.5)
    offset = _quantile_of(marks[:, 2], group, n_groups, 1 - quantile)
    # Where some marks are missing, those of other leads may lie beyond the peak.
    onset, offset = np.where(onset > peak, peak, onset), np.where(offset < peak, peak, offset)
    confidence = np.full(n_groups, np.nan)
    if "confidence" in rows:
        confidence = _quantile_of(rows["confidence"].to_numpy(np.float64), group, n_groups, 0.5)

    needed = np.ceil(shares[label[first]] * (n_found if n_leads is None else n_leads) - 1e-9)
    if (n_found if n_leads is None else n_leads) <= 2:
        needed = np.ones(n_groups)
    kept = np.flatnonzero(seen >= np.maximum(needed, 1))
    kept = kept[np.lexsort((peak[kept], record[first[kept]]))]
    record, label = record[first[kept]], label[first[kept]]
    onset, peak, offset = _apart(record, label, onset[kept], peak[kept], offset[kept])
    return make_table(record, CONSENSUS, label, onset, peak, offset, fs, confidence[kept], leads=[CONSENSUS])


def beat_intervals(
    table: DataFrame, fs: float, *, lead: str | None = None, longest_pr: float = 0.35, longest_qt: float = 0.8
) -> DataFrame:
    r"""Measure the intervals of each beat.

    Parameters
    ----------
    table : DataFrame
        Waves as of `make_table`.
    fs : float
        Sampling rate [Hz].
    lead : str, default=None
        Lead to measure. None means the consensus over leads if the table has one, otherwise its only lead.
    longest_pr : float, default=.35
        Between the onsets of P and QRS [s]: an earlier P is not this beat's.
    longest_qt : float, default=.8
        Between the onset of QRS and the offset of T [s]: a later T is not this beat's.

    Returns
    -------
    intervals : DataFrame
        One row per QRS, sorted by record and time, NaN where a wave or mark is missing: ``record`` (int64), ``beat``
        (int64, from 0 in each record), ``rpeak`` (float64, peak of QRS [samples]), and all in float64 [ms] ``RR`` from
        the previous QRS peak, ``PR`` from the onset of P to that of QRS, ``QRS`` from its onset to its offset, ``QT``
        from the onset of QRS to the offset of T, ``QTcB`` and ``QTcF``; ``heart_rate`` [1/min].

    Raises
    ------
    ValueError
        If the table has several leads without a consensus and `lead` does not choose one, or lacks a column.

    Notes
    -----
    P is the last one that begins before the QRS, after the peaks of the previous QRS and of the T before it; T is the
    first one between the QRS peak and the next QRS. With the preceding RR in seconds, QT is corrected for the heart
    rate by Bazett's and Fridericia's formulas:

    .. math:: QTcB = QT / \sqrt{RR / 1 s}, \qquad QTcF = QT / \sqrt[3]{RR / 1 s}

    References
    ----------
    H. C. Bazett, An analysis of the time-relations of electrocardiograms, Heart 7 (1920) 353-370. L. S. Fridericia, Die
    Systolendauer im Elektrokardiogramm bei normalen Menschen und bei Herzkranken, Acta Medica Scandinavica 53 (1920)
    469-486.

    Examples
    --------
    >>> from beatssl_sklearn.ecg.wave_table import table_of_marks
    >>> waves = {"QRS": [[80, 100, 120], [580, 600, 620]], "T": [[200, 250, 280], [700, 750, 780]]}
    >>> beat_intervals(table_of_marks([{"II": waves}], 500.0), 500.0)[["RR", "QRS", "QT", "QTcB"]]
           RR   QRS     QT   QTcB
    0     NaN  80.0  400.0    NaN
    1  1000.0  80.0  400.0  400.0
    """
    check_table(table)
    _check_fs(fs)
    for name, value in (("longest_pr", longest_pr), ("longest_qt", longest_qt)):
        if not value > 0:
            raise ValueError(f"{name} must be a positive time [s], got {value!r}")
    p, qrs, t = _three_waves(_one_lead(table, lead))
    start = np.where(np.isnan(qrs.onset), qrs.peak, qrs.onset)
    follows = np.r_[False, qrs.record[1:] == qrs.record[:-1]][: len(qrs.peak)]
    previous = np.where(follows, np.r_[np.nan, qrs.peak[:-1]][: len(qrs.peak)], -np.inf)
    following = np.where(np.r_[follows[1:], False][: len(qrs.peak)], np.r_[start[1:], np.inf][: len(qrs.peak)], np.inf)

    p_before, t_before = (_neighbour(waves, qrs.record, start, side=-1) for waves in (p, t))
    t_after = _neighbour(t, qrs.record, qrs.peak, side=1)
    pr = qrs.onset - p_before.onset
    conducted = (pr <= longest_pr * fs) & (p_before.peak > previous) & ~(p_before.peak <= t_before.peak)
    qt = t_after.offset - qrs.onset
    repolarised = (qt <= longest_qt * fs) & (t_after.peak < following)
    rr = np.where(follows & (qrs.peak > previous), qrs.peak - previous, np.nan) / fs
    ms = 1000 / fs
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
    fs: float,
    n_records: int | None = None,
    *,
    lead: str | None = None,
    longest_pr: float = 0.35,
    longest_qt: float = 0.8,
) -> DataFrame:
    """Medians of the intervals of each record's beats.

    Parameters
    ----------
    table, fs, lead, longest_pr, longest_qt
        As for `beat_intervals`.
    n_records : int, default=None
        Number of records, rows of X: each gets a row, also without any wave. None means the records in the table.

    Returns
    -------
    intervals : DataFrame
        One row per record: ``record`` (int64), ``n_beats`` (int64), and in float64, NaN where there is nothing to
        measure, the medians over beats of ``heart_rate`` [1/min] and of ``RR``, ``PR``, ``QRS``, ``QT``, ``QTcB`` and
        ``QTcF`` [ms], and ``p_share``, the share of the beats that have a P.

    Raises
    ------
    ValueError
        As for `beat_intervals`, or if a record of the table is not below `n_records`.
    """
    beats = beat_intervals(table, fs, lead=lead, longest_pr=longest_pr, longest_qt=longest_qt)
    records = np.unique(table["record"].to_numpy(np.int64))
    if n_records is not None:
        if records.size and not 0 <= records[0] <= records[-1] < n_records:
            raise ValueError(f"n_records is {n_records!r}, but the table has the records {records[0]} to {records[-1]}")
        records = np.arange(n_records)
    group = np.searchsorted(records, beats["record"].to_numpy())
    n_beats = np.bincount(group, minlength=len(records))
    n_p = np.bincount(group, weights=np.isfinite(beats["PR"].to_numpy()), minlength=len(records))
    medians = {
        name: _quantile_of(beats[name].to_numpy(), group, len(records), 0.5) for name in ("heart_rate", *INTERVALS)
    }
    p_share = np.where(n_beats > 0, n_p / np.maximum(n_beats, 1), np.nan)
    return _frame({"record": records, "n_beats": n_beats, **medians, "p_share": p_share})


def _check_fs(fs: float) -> None:
    if not (np.isfinite(fs) and fs > 0):
        raise ValueError(f"fs must be a positive number [Hz], got {fs!r}")


def _shares(min_share: float | Mapping[str, float] | None) -> NDArray[np.float64]:
    """Share of leads by label."""
    if isinstance(min_share, Mapping):
        unknown = [name for name in min_share if name not in WAVES]
        if unknown:
            raise ValueError(f"min_share has the unknown waves {unknown}: expected some of {WAVES}")
        by_wave = MIN_SHARE | dict(min_share)
    else:
        by_wave = MIN_SHARE if min_share is None else dict.fromkeys(WAVES, min_share)
    shares = np.array([np.nan, *(by_wave[name] for name in WAVES)], np.float64)
    if not ((shares[1:] >= 0) & (shares[1:] <= 1)).all():
        raise ValueError(f"min_share must be from 0 to 1, got {min_share!r}")
    return shares


def _same_waves(
    record: NDArray[np.int64], label: NDArray[np.int8], marks: NDArray[np.float64], fs: float
) -> tuple[NDArray[np.int64], int]:
    """Number the waves across leads: in the order of time, a wide gap starts a new one."""
    middle = (marks[:, 0] + marks[:, 2]) / 2
    middle = np.where(np.isnan(middle), marks[:, 1], middle)
    order = np.lexsort((middle, label, record))
    r, k, t = record[order], label[order], middle[order]
    gap = np.diff(t, prepend=np.nan)
    new = ~(gap <= _WIDEST_GAP[k] * fs)
    new[1:] |= (r[1:] != r[:-1]) | (k[1:] != k[:-1])
    while True:
        number = np.cumsum(new) - 1
        start = np.flatnonzero(new)
        last = np.append(start, len(t))[1:] - 1
        wide = t[last] - t[start] > _WIDEST_SPREAD[k[start]] * fs
        if not wide.any():
            break
        # Waves scattered at random, as spurious P waves in fibrillation, would make a chain without an end.
        inside = np.flatnonzero(wide[number] & ~new)
        off_centre = np.abs(2 * t[inside] - (t[start] + t[last])[number[inside]])
        inside = inside[np.lexsort((-off_centre, gap[inside], number[inside]))]
        new[inside[np.append(np.diff(number[inside]) > 0, True)]] = True
    group = np.empty(len(order), np.int64)
    group[order] = number
    return group, int(new.sum())


def _quantile_of(values: NDArray[np.float64], group: NDArray[np.int64], n_groups: int, q: float) -> NDArray[np.float64]:
    """Quantile of the finite values of each group, interpolated as by numpy; NaN where there are none."""
    finite = np.isfinite(values)
    v, g = values[finite], group[finite]
    v = v[np.lexsort((v, g))]
    n = np.bincount(g, minlength=n_groups)
    some = np.flatnonzero(n)
    start, at = (np.cumsum(n) - n)[some], q * (n[some] - 1)
    low = np.floor(at).astype(np.int64)
    below, above = v[start + low], v[start + np.minimum(low + 1, n[some] - 1)]
    out = np.full(n_groups, np.nan)
    out[some] = below + (at - low) * (above - below)
    return out


def _apart(
    record: NDArray[np.int64],
    label: NDArray[np.int8],
    onset: NDArray[np.float64],
    peak: NDArray[np.float64],
    offset: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Part the waves, in the order of their peaks, that overlap with the next one of their record."""
    i = np.flatnonzero((record[1:] == record[:-1]) & (offset[:-1] > onset[1:]))
    border = (offset[i] + onset[i + 1]) / 2
    border = np.where(label[i] == _QRS, offset[i], np.where(label[i + 1] == _QRS, onset[i + 1], border))
    border = np.clip(border, peak[i], peak[i + 1])
    onset, offset = onset.copy(), offset.copy()
    offset[i], onset[i + 1] = border, border
    return onset, peak, offset


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
    """The last wave whose peak is before each time of a record (side -1), or the first after it (1); NaN if none."""
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
