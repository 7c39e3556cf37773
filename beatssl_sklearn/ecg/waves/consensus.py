"""Consensus over leads: one wave where several leads show the same wave."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .order import REACH_S, early_p, extra_t
from .rules import LABEL_QRS, WAVES
from .table import CONSENSUS, check_rate, check_table, make_table, wave_labels

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["MIN_SHARE", "consensus", "group_quantiles"]

MIN_SHARE = {"P": 1 / 3, "QRS": 1 / 2, "T": 1 / 3}
"""Share of the leads that must show a wave: P and T are flat in several leads of many hearts."""

# By label, for the middles of one wave in all leads [s]: the widest gap between neighbours, and the widest spread. Both
# are less than the cycle of atrial flutter (.2 s), and for T less than the cycle of ventricles at 200 beats per minute.
_WIDEST_GAP = np.array([np.nan, 0.10, 0.12, 0.15])
_WIDEST_SPREAD = np.array([np.nan, 0.14, 0.16, 0.20])
# From the end of a QRS to the beginning of a P before its T [s], as in `find_waves`.
_P_BLANKING = 0.06
# Of the members of a group: what fewer of them have is missing in the group.
_LEAST_SHARE = 0.5


def consensus(
    table: DataFrame,
    fs: float,
    *,
    min_share: float | Mapping[str, float] | None = None,
    quantile: float = 0.25,
    n_leads: int | None = None,
) -> DataFrame:
    """Measure waves over all leads of each record.

    Waves of one kind whose middles lie close together are one wave, seen in several leads. By the convention of global
    intervals it lasts from the earliest onset to the latest offset of all leads, because a lead perpendicular to the
    heart's vector shows the wave too short. Quantiles replace the extremes, because the error of a single lead cannot
    move them far. If neighbouring waves then overlap, QRS keeps its borders, and P and T meet in the middle. If that
    would be beyond a peak, the wave that fewer leads show is left out, but no QRS. One T is left between two QRS, and
    no P that begins within 60 ms of a QRS and before its T.

    Parameters
    ----------
    table : DataFrame
        Waves of several leads, as returned by `make_table`; rows of an earlier consensus are left out.
    fs : float
        Sampling rate [Hz].
    min_share : float or mapping of wave to float, default=None
        Share of the leads, from 0 to 1, that must show a wave. None means a third for P and T, and half for QRS
        (`MIN_SHARE`). Of one or two leads, one is enough.
    quantile : float, default=.25
        The onset is this quantile of the onsets, and the offset is 1 minus this quantile of the offsets: with .25 and
        twelve leads about the fourth earliest and the fourth latest. 0 takes the extremes, .5 the medians. Near 0,
        errors of single leads lengthen QRS and QT: on the marks of LUDB, the median QRS is 122, 103 and 94 ms with 0,
        .25 and .5, and the median QT is 430, 409 and 399 ms.
    n_leads : int, default=None
        Number of delineated leads; None means the leads that have a wave anywhere in the table.

    Returns
    -------
    waves : DataFrame
        As returned by `make_table`, with ``lead`` "consensus", sorted by record and onset. ``peak`` and ``confidence``
        are medians over the leads that show the wave. A mark that most of these leads lack is NaN.

    Raises
    ------
    TypeError
        If `table` is not a DataFrame, or `min_share` is no number.
    ValueError
        If a parameter is out of its range, or if the table lacks a column.

    References
    ----------
    The CSE Working Party, Recommendations for measurement standards in quantitative electrocardiography, European Heart
    Journal 6 (1985) 815-825. P. Laguna, R. Jané, P. Caminal, Automatic detection of wave boundaries in multilead ECG
    signals: validation with the CSE database, Computers and Biomedical Research 27 (1994) 45-60.
    """
    check_table(table)
    check_rate(fs)
    shares = _shares(min_share)
    if not 0 <= quantile <= 0.5:
        raise ValueError(f"quantile must be from 0 to 0.5, got {quantile!r}")
    rows = table[table["lead"] != CONSENSUS]
    record, label = rows["record"].to_numpy(np.int64), wave_labels(rows)
    lead = rows["lead"].astype("category").cat.codes.to_numpy(np.int64)
    n_found = int(lead.max(initial=-1)) + 1
    n_given = n_found if n_leads is None else n_leads
    if n_given < n_found:
        raise ValueError(f"n_leads must be at least {n_found}, the number of leads in the table, got {n_leads!r}")
    marks = rows[["onset", "peak", "offset"]].to_numpy(np.float64)
    group, n_groups = _same_waves(record, label, marks, fs)

    # A lead counts once for a wave, also if it shows it in two pieces.
    seen = np.bincount(np.unique(group * max(n_found, 1) + lead) // max(n_found, 1), minlength=n_groups)
    first = np.zeros(n_groups, np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    onset = group_quantiles(marks[:, 0], group, n_groups, quantile)
    peak = group_quantiles(marks[:, 1], group, n_groups, 0.5)
    offset = group_quantiles(marks[:, 2], group, n_groups, 1 - quantile)
    # If marks are missing in some leads, the marks of the others can lie beyond the peak.
    onset, offset = np.where(onset > peak, peak, onset), np.where(offset < peak, peak, offset)
    confidence = np.full(n_groups, np.nan)
    if "confidence" in rows:
        confidence = group_quantiles(rows["confidence"].to_numpy(np.float64), group, n_groups, 0.5)

    # A hair less, so that a third of twelve leads is four leads whatever the rounding of the product.
    needed = np.ceil(shares[label[first]] * n_given - 1e-9)
    if n_given <= 2:
        needed = np.ones(n_groups)
    kept = np.flatnonzero(seen >= np.maximum(needed, 1))
    kept = kept[np.lexsort((peak[kept], record[first[kept]]))]
    found = _Found(
        record[first[kept]], label[first[kept]], onset[kept], peak[kept], offset[kept], confidence[kept], seen[kept]
    )
    qrs = np.flatnonzero(label[first] == LABEL_QRS)
    found = _in_order(_apart(found), record[first[qrs]], peak[qrs], fs)
    marks = found.onset, found.peak, found.offset
    return make_table(found.record, CONSENSUS, found.label, *marks, fs, found.confidence, leads=[CONSENSUS])


class _Found(NamedTuple):
    """Consensus waves in order of records and peaks."""

    record: NDArray[np.int64]
    label: NDArray[np.int8]
    onset: NDArray[np.float64]
    peak: NDArray[np.float64]
    offset: NDArray[np.float64]
    confidence: NDArray[np.float64]
    n_leads: NDArray[np.int64]

    def without(self, rows: int | NDArray[np.int64]) -> _Found:
        kept: NDArray = np.ones(len(self.label), bool)
        kept[rows] = False
        return _Found(*(column[kept] for column in self))


def _shares(min_share: float | Mapping[str, float] | None) -> NDArray[np.float64]:
    """Return the least share of leads by label."""
    if isinstance(min_share, Mapping):
        unknown = [name for name in min_share if name not in WAVES]
        if unknown:
            raise ValueError(f"min_share has the unknown waves {unknown}: expected some of {WAVES}")
        by_wave = MIN_SHARE | dict(min_share)
    else:
        by_wave = MIN_SHARE if min_share is None else dict.fromkeys(WAVES, min_share)
    if not all(isinstance(by_wave[name], Real) for name in WAVES):
        raise TypeError(f"min_share must be a number, or one per wave, got {min_share!r:.80}")
    shares = np.array([np.nan, *(by_wave[name] for name in WAVES)], np.float64)
    if not ((shares[1:] >= 0) & (shares[1:] <= 1)).all():
        raise ValueError(f"min_share must be from 0 to 1, got {min_share!r}")
    return shares


def _same_waves(
    record: NDArray[np.int64], label: NDArray[np.int8], marks: NDArray[np.float64], fs: float
) -> tuple[NDArray[np.int64], int]:
    """Number the waves over all leads: in order of time, a wide gap begins a new wave."""
    # The middle of a wave varies less between leads than its peak, which can have either sign.
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
        # False P waves in fibrillation would make endless chains: cut too wide groups at their widest gap.
        inside = np.flatnonzero(wide[number] & ~new)
        off_centre = np.abs(2 * t[inside] - (t[start] + t[last])[number[inside]])
        inside = inside[np.lexsort((-off_centre, gap[inside], number[inside]))]
        new[inside[np.append(np.diff(number[inside]) > 0, True)]] = True
    group = np.empty(len(order), np.int64)
    group[order] = number
    return group, int(new.sum())


def group_quantiles(
    values: NDArray[np.float64],
    group: NDArray[np.int64],
    n_groups: int,
    quantile: float,
    least_share: float = _LEAST_SHARE,
) -> NDArray[np.float64]:
    """Compute a quantile of the finite values of each group.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
    group : ndarray of int64, shape (n,)
        Group of each value, from 0.
    n_groups : int
    quantile : float
        From 0 to 1.
    least_share : float, default=.5
        Share of the values of a group that must be finite.

    Returns
    -------
    quantiles : ndarray of float64, shape (n_groups,)
        With numpy's linear interpolation; NaN for a group of which fewer values are finite, or none.
    """
    finite = np.isfinite(values)
    v, g = values[finite], group[finite]
    v = v[np.lexsort((v, g))]
    n = np.bincount(g, minlength=n_groups)
    # A quantile of what most members lack would be one of the odd members.
    some = np.flatnonzero((n > 0) & (n >= least_share * np.bincount(group, minlength=n_groups)))
    start, at = (np.cumsum(n) - n)[some], quantile * (n[some] - 1)
    low = np.floor(at).astype(np.int64)
    below, above = v[start + low], v[start + np.minimum(low + 1, n[some] - 1)]
    out = np.full(n_groups, np.nan)
    out[some] = below + (at - low) * (above - below)
    return out


def _apart(found: _Found) -> _Found:
    """Let neighbours meet where they overlap; where the border would lie beyond a peak, the weaker one goes."""
    while True:
        record, label, onset, peak, offset = found[:5]
        i = np.flatnonzero((record[1:] == record[:-1]) & (offset[:-1] > onset[1:]))
        border = (offset[i] + onset[i + 1]) / 2
        border = np.where(label[i] == LABEL_QRS, offset[i], np.where(label[i + 1] == LABEL_QRS, onset[i + 1], border))
        beyond = (border <= peak[i]) | (border >= peak[i + 1])
        if not beyond.any():
            onset, offset = onset.copy(), offset.copy()
            offset[i], onset[i + 1] = border, border
            return found._replace(onset=onset, offset=offset)
        # The first of the pairs in conflict: what it leaves decides whether the next one is still in conflict.
        j = int(i[beyond][0])
        strength = [(label[k] == LABEL_QRS, found.n_leads[k], np.nan_to_num(found.confidence[k])) for k in (j, j + 1)]
        found = found.without(j if strength[0] < strength[1] else j + 1)


def _in_order(found: _Found, qrs_record: NDArray[np.int64], qrs_peak: NDArray[np.float64], fs: float) -> _Found:
    """Leave one T in each beat, and no P right after a QRS and before its T: leads may have kept different ones.

    A QRS that too few leads show still ends a beat, and where nobody marked QRS there are no beats to tell.
    """
    weight = found.n_leads * np.nan_to_num(found.confidence, nan=1.0) * (found.offset - found.onset)
    known = np.flatnonzero(np.isfinite(found.peak) & np.isin(found.record, qrs_record))
    order = np.lexsort((qrs_peak, qrs_record))
    before = _n_before(qrs_record[order], qrs_peak[order], found.record[known], found.peak[known])
    strip = before + np.cumsum(np.diff(found.record[known], prepend=-1) != 0)
    of_beat = strip, found.label[known], np.nan_to_num(weight[known]), found.peak[known]
    found = found.without(known[extra_t(*of_beat, REACH_S * fs)])
    early, _, _ = early_p(found.record, found.label, found.onset, found.offset, _P_BLANKING * fs, REACH_S * fs)
    return found.without(early)


def _n_before(
    record: NDArray[np.int64], time: NDArray[np.float64], of_record: NDArray[np.int64], at: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Count the entries, in order of record and time, that come before each place in a record."""
    code = np.unique(np.concatenate([record, of_record]), return_inverse=True)[1]
    times = np.concatenate([time, at])
    # Records one behind the other on one axis.
    low, high = times.min(initial=0.0), times.max(initial=0.0)
    place = code * (high - low + 1) + times - low
    return np.asarray(np.searchsorted(place[: len(record)], place[len(record) :]))
