"""Beats for the multi-lead R-peak detector: maxima of the activity, its levels, T waves and search back."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .rpeaks_activity import Grid, Index, Mask, Signal, boxed

# Levels.
_WINDOW = 10.0  # [s] window of the levels, one every half window
_LOW, _HIGH = 0.30, 0.97  # quantiles of the activity: between the waves, and within the QRS complexes
_LEAST = 1.0  # [s] signal that a window needs beside its gaps
_NOISE = 2.1  # white noise has high / low < 1 + _NOISE (1 + .8 s / duration) / sqrt(n_leads)
# Beats.
_THRESHOLD, _MISSED_THRESHOLD = 0.45, 0.2  # from the low (0) to the high level (1)
_T_WAVE, _T_HEIGHT = 0.36, 0.5  # a maximum so soon after a beat [s] and below this share of its height is a T wave
_MISSED_RR = 1.5  # an RR interval this many times the usual one may hide a beat
_MANY = 100  # beats of a record from which on numpy is faster than lists


class Levels(NamedTuple):
    """Low and high level of the activity in windows."""

    centre: NDArray[np.float64]
    """Of shape (n_windows,), coarse samples."""
    low: Signal
    """Of shape (n_records, n_windows)."""
    high: Signal

    def at(self, record: Index, position: Index) -> tuple[Signal, Signal]:
        """Return both levels at coarse positions of some records."""
        if len(self.centre) == 1:
            return self.low[record, 0], self.high[record, 0]
        out = np.empty((2, len(record)), np.float32)
        for i in range(len(self.low)):
            mine = slice(*np.searchsorted(record, [i, i + 1]))
            out[0, mine] = np.interp(position[mine], self.centre, self.low[i])
            out[1, mine] = np.interp(position[mine], self.centre, self.high[i])
        return out[0], out[1]

    def of(self, record: int) -> Levels:
        """Return the levels of one record."""
        return Levels(self.centre, self.low[record : record + 1], self.high[record : record + 1])


@dataclass(frozen=True)
class Maxima:
    """Maxima of the activity of all records, ordered by record and time."""

    record: Index
    position: Index
    height: Signal
    low: Signal
    high: Signal

    def __getitem__(self, key: Any) -> Maxima:
        return Maxima(self.record[key], self.position[key], self.height[key], self.low[key], self.high[key])

    def above(self, share: float) -> Mask:
        """Tell which maxima pass this share of the way from the low to the high level."""
        return self.height > self.low + np.float32(share) * (self.high - self.low)


def window_step(grid: Grid) -> int:
    """Return the distance of the windows of the levels in long records, in coarse samples."""
    return round(_WINDOW * grid.rate) // 2


def level_windows(n_coarse: int, grid: Grid) -> tuple[Index, int]:
    """Return starts and length of the windows of the levels, in coarse samples."""
    window = round(_WINDOW * grid.rate)
    if n_coarse <= 1.5 * window:
        return np.zeros(1, np.int64), n_coarse
    return np.append(np.arange(0, n_coarse - window, window_step(grid)), n_coarse - window), window


def find_beats(
    activity: Signal, n_leads: Index, grid: Grid, gone: dict[int, Mask], n_coarse: int | None = None
) -> tuple[Maxima, Levels]:
    """Find beats in the activity of records.

    Parameters
    ----------
    activity : ndarray of shape (n_records, n_coarse)
        From `coarse_activity`.
    n_leads : ndarray of shape (n_records,)
        Leads that are not flat.
    grid : Grid
        The coarse time axis.
    gone : dict of bool arrays (n_coarse,)
        Long gaps, by record.
    n_coarse : int, optional
        Length of the record, if the activity is a part of it.

    Returns
    -------
    beats : Maxima
        Ordered by record and time.
    levels : Levels
        Levels of the activity.
    """
    total = boxed(activity, grid.box)
    levels = _levels(total, grid, gone)
    record, position = highest(total, grid.refractory)
    height = total[record, position]
    low, high = levels.at(record, position)
    seconds = np.full(len(total), (n_coarse or total.shape[1]) / grid.rate)
    for i, gap in gone.items():
        seconds[i] -= np.count_nonzero(gap) / grid.rate
    noise = 1 + _NOISE * (1 + 0.8 / np.maximum(seconds, 0.1)) / np.sqrt(np.maximum(n_leads, 1))
    found = Maxima(record, position, height, low, high)
    stands_out = high > noise.astype(np.float32)[record] * low
    if not stands_out.all():
        found = found[stands_out]
    return _search_back(found, _without_t_waves(found[found.above(_THRESHOLD)], grid), grid, gone), levels


def highest(activity: Signal, reach: int) -> tuple[Index, Index]:
    """Return record and position of the samples that are the largest within `reach` to each side."""
    record, position = np.nonzero((activity >= _highest_around(activity, reach)) & (activity > 0))
    # A clipped signal makes plateaus: keep the first sample of each.
    again = (record[1:] == record[:-1]) & (position[1:] - position[:-1] <= reach)
    if again.any():
        first = np.append(True, ~again)
        return record[first], position[first]
    return record, position


def _highest_around(activity: Signal, reach: int) -> Signal:
    """Return the largest value within `reach` samples to each side; the window doubles in every step."""
    n, m = activity.shape
    out = np.zeros((n, m + 2 * reach), np.float32)
    out[:, reach : reach + m] = activity
    width, full = 1, 2 * reach + 1
    while width < full:
        step = min(width, full - width)
        out = np.maximum(out[:, :-step], out[:, step:])
        width += step
    return out


def _levels(activity: Signal, grid: Grid, gone: dict[int, Mask]) -> Levels:
    """Return the levels of each record; a record with gaps has those of its signal."""
    n, m = activity.shape
    starts, window = level_windows(m, grid)
    # Sums are incomplete near both ends, which matters in records of a second.
    edge = grid.lag + grid.box // 2 if len(starts) == 1 else 0
    low, high = np.empty((2, n, len(starts)), np.float32)
    if len(starts) == 1:
        low[:, 0], high[:, 0] = low_and_high(activity[:, edge : m - edge])
    else:
        for i, row in enumerate(activity):
            low[i], high[i] = low_and_high(sliding_window_view(row, window)[starts])
    centre = np.asarray(starts + window / 2, np.float64)
    for i, gap in gone.items():
        _levels_beside(gap, activity[i], starts, window, grid, low[i], high[i])
    return Levels(centre, low, high)


def _levels_beside(
    gap: Mask, row: Signal, starts: Index, window: int, grid: Grid, low: Signal, high: Signal
) -> None:
    """Write the levels of a record with gaps, each from the signal in its window."""
    known = [row[a : a + window][~gap[a : a + window]] for a in starts]
    enough = np.array([len(values) >= _LEAST * grid.rate for values in known])
    if not enough.any():
        enough = np.array([len(values) > 0 for values in known])
    low[:] = high[:] = 0
    if enough.any():
        centre = starts + window / 2
        pairs = np.array([low_and_high(known[k][None]) for k in np.flatnonzero(enough)])[..., 0]
        low[:], high[:] = (np.interp(centre, centre[enough], level) for level in pairs.T)


def low_and_high(rows: Signal) -> tuple[Signal, Signal]:
    """Return two quantiles of each row: activity between the waves, and within the QRS complexes."""
    k = [int(q * (rows.shape[1] - 1)) for q in (_LOW, _HIGH)]
    ordered = np.partition(rows, k, axis=1)
    return ordered[:, k[0]], ordered[:, k[1]]


def _without_t_waves(beats: Maxima, grid: Grid) -> Maxima:
    """Drop maxima soon after a much higher one of the same record."""
    soon = beats.height[1:] < np.float32(_T_HEIGHT) * beats.height[:-1]
    if not soon.any():
        return beats
    soon &= beats.record[1:] == beats.record[:-1]
    soon &= beats.position[1:] - beats.position[:-1] <= _T_WAVE * grid.rate
    return beats[np.append(True, ~soon)]


def _search_back(found: Maxima, beats: Maxima, grid: Grid, gone: dict[int, Mask]) -> Maxima:
    """Add the highest weak maximum of each RR interval that is long for its neighbourhood."""
    gaps = _long_intervals(beats.record, beats.position)
    if gone:
        # An interval over missing signal is no RR interval.
        own, at = beats.record.tolist(), beats.position.tolist()
        gaps = [i for i in gaps if own[i] not in gone or not gone[own[i]][at[i] : at[i + 1]].any()]
    if not gaps:
        return beats
    weak = found[found.above(_MISSED_THRESHOLD) & ~found.above(_THRESHOLD)]
    # One number for record and time: one sorted search finds the maxima of an interval.
    time, time_of_weak = ((m.record << 40) + m.position for m in (beats, weak))
    missed = []
    for i in gaps:
        within = (time[i] + round(_T_WAVE * grid.rate), time[i + 1] - grid.refractory)
        start, stop = np.searchsorted(time_of_weak, within)
        if stop > start:
            missed.append(start + int(weak.height[start:stop].argmax()))
    both = Maxima(*(np.concatenate([getattr(m, f.name) for m in (beats, weak[missed])]) for f in fields(beats)))
    return both[np.lexsort((both.position, both.record))]


def _long_intervals(record: Index, position: Index) -> list[int]:
    """Return the beats whose next RR interval is long for the nine intervals around it."""
    # Plain lists: most records have few beats.
    own, at = record.tolist(), position.tolist()
    out, first = [], 0
    while first < len(own):
        stop = bisect_right(own, own[first], first)
        if stop - first > _MANY:
            out += (first + _long_among(np.diff(position[first:stop]))).tolist()
            first = stop
            continue
        rr = [b - a for a, b in zip(at[first : stop - 1], at[first + 1 : stop], strict=True)]
        if len(rr) >= 3:
            # A long interval is long for the shortest one of the record, too: this test leaves few to look at.
            least = _MISSED_RR * min(rr)
            for k, interval in enumerate(rr):
                if interval > least:
                    around = sorted(rr[max(0, k - 4) : k + 5])
                    if interval > _MISSED_RR * around[len(around) // 2]:
                        out.append(first + k)
        first = stop
    return out


def _long_among(rr: Index) -> Index:
    """Return the long ones of many intervals of one record."""
    k = np.flatnonzero(rr > _MISSED_RR * rr.min())
    at = k[:, None] + np.arange(-4, 5)
    inside = (at >= 0) & (at < len(rr))
    around = np.sort(np.where(inside, rr.take(at, mode="clip"), np.iinfo(np.int64).max), axis=1)
    usual = around[np.arange(len(k)), np.count_nonzero(inside, axis=1) // 2]
    return k[rr[k] > _MISSED_RR * usual]
