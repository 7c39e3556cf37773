"""The multi-lead R-peak detector: activity of all leads, its levels, beats, R peaks.

It looks for activity that many leads share and that is high for *this* record. So amplitude and polarity do not matter,
and one dead or noisy lead cannot decide. `detect_rpeaks` documents the steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Signal = NDArray[np.float32]
Index = NDArray[np.int64]

# Activity at the coarse rate.
_COARSE_FS = 60.0  # [Hz] lowest coarse rate, of sums of blocks of samples
_LAG = 0.032  # [s] of the second difference
_BOX = 0.1  # [s] about the length of a QRS complex
_LEAD_CAP = 1.5  # most that a lead adds, relative to the mean of all: limits pacing spikes and electrode noise
_CHUNK, _BEATS = 1 << 15, 1 << 10  # coarse samples and beats per step: limits memory in long records
# Levels.
_WINDOW = 10.0  # [s] window of the levels, one every half window
_LOW, _HIGH = 0.30, 0.97  # quantiles of the activity: between the waves, and within the QRS complexes
_NOISE = 2.1  # white noise has high / low < 1 + _NOISE (1 + .8 s / duration) / sqrt(n_leads)
# Beats.
_THRESHOLD, _MISSED_THRESHOLD = 0.45, 0.2  # from the low (0) to the high level (1)
_REFRACTORY = 0.22  # [s]
_T_WAVE, _T_HEIGHT = 0.36, 0.5  # a maximum so soon after a beat [s] and below this share of its height is a T wave
_MISSED_RR = 1.5  # an RR interval this many times the usual one may hide a beat
_REFINE, _REFINE_LAG = 0.05, 0.048  # [s] search to each side, and lag of the second difference there


class Grid(NamedTuple):
    """The coarse time axis."""

    block: int
    """Samples of the record in a coarse sample."""
    rate: float
    """Coarse samples per second."""
    lag: int
    box: int
    refractory: int

    @classmethod
    def at(cls, fs: float) -> Grid:
        block = max(1, int(fs / _COARSE_FS))
        rate = fs / block
        return cls(block, rate, round(_LAG * rate), round(_BOX * rate), round(_REFRACTORY * rate))

    def samples(self, coarse: Index) -> Index:
        """Return the centre of the box at each coarse position, in samples of the record."""
        return ((2 * (coarse - self.box // 2) + self.box) * self.block) // 2


@dataclass(frozen=True)
class _Maxima:
    """Maxima of the activity of all records, ordered by record and time."""

    record: Index
    position: Index
    height: Signal
    low: Signal
    high: Signal

    def __getitem__(self, key: Any) -> _Maxima:
        return _Maxima(*(getattr(self, field.name)[key] for field in fields(self)))

    def above(self, share: float) -> NDArray[np.bool_]:
        return self.height > self.low + np.float32(share) * (self.high - self.low)


def multilead(x: NDArray, fs: float) -> list[Index]:
    """Find the R peaks of records (n_records, n_leads, n_times) [samples]."""
    grid = Grid.at(fs)
    n_leads = np.zeros(len(x), np.int64)
    activity = np.zeros((len(x), x.shape[2] // grid.block), np.float32)
    # The sums show gaps and overflows; `coarse_activity` bridges gaps and refuses infinite values.
    with np.errstate(invalid="ignore", over="ignore"):
        for i in range(len(x)):
            n_leads[i] = coarse_activity(x[i], grid, i, activity[i])
        found = _maxima(boxed(activity, grid.box), n_leads, grid)
        beats = _search_back(found, _without_t_waves(found[found.above(_THRESHOLD)], grid), grid)
        bounds = np.searchsorted(beats.record, np.arange(len(x) + 1))
        centres = grid.samples(beats.position)
        return [_refined(x[i], i, centres[bounds[i] : bounds[i + 1]], fs) for i in range(len(x))]


def coarse_activity(x: NDArray, grid: Grid, record: int, out: Signal) -> int:
    """Write the second difference of one record, summed over leads; return the number of leads that are not flat."""
    m, lag, n_leads = len(out), grid.lag, 0
    for start in range(0, m, _CHUNK):
        a, b = max(0, start - lag), min(m, start + _CHUNK + lag)
        if b - a <= 2 * lag:
            continue
        # One memory order gives a record the same bits in its sums, whatever array it is a part of.
        part = np.ascontiguousarray(x[:, a * grid.block : b * grid.block], dtype=np.float32)
        summed, active = _summed(part, grid)
        if not np.isfinite(summed).all():
            summed, active = _summed(bridged(part, record), grid)
        out[a + lag : b - lag] = summed
        n_leads = max(n_leads, active)
    return n_leads


def _summed(x: Signal, grid: Grid) -> tuple[Signal, int]:
    # For so short an axis a product with ones is three times faster than a sum.
    z = x.reshape(len(x), -1, grid.block) @ np.ones(grid.block, np.float32)
    d = _second_difference(z, grid.lag)
    active = int(np.count_nonzero(d.max(axis=1)))
    return _shared(d, active), active


def _second_difference(x: Signal, lag: int) -> Signal:
    """Return |2 x[t] - x[t - lag] - x[t + lag]| along the last axis, `lag` samples shorter at each end."""
    rise = x[..., lag:] - x[..., :-lag]
    d = rise[..., :-lag] - rise[..., lag:]
    return np.abs(d, out=d)


def _shared(d: Signal, n_leads: int) -> Signal:
    """Sum over leads (first axis), each capped at a multiple of their mean."""
    cap = d.sum(axis=0)
    cap *= np.float32(_LEAD_CAP / max(n_leads, 1))
    total: Signal = np.minimum(d, cap, out=d).sum(axis=0)
    return total


def boxed(activity: Signal, width: int) -> Signal:
    """Sum over `width` samples around each sample, with zeros outside."""
    n, m = activity.shape
    padded = np.zeros((n, m + width - 1), np.float32)
    padded[:, width // 2 : width // 2 + m] = activity
    out = padded[:, :m].copy()
    for j in range(1, width):
        out += padded[:, j : j + m]
    return out


def _maxima(activity: Signal, n_leads: Index, grid: Grid) -> _Maxima:
    """Find samples that are the largest within the refractory period to each side, in records that are not noise."""
    reach = grid.refractory
    record, position = np.nonzero((activity >= _highest_around(activity, reach)) & (activity > 0))
    height = activity[record, position]
    # A clipped signal makes plateaus: keep the first sample of each.
    first = np.ones(len(record), bool)
    first[1:] = (np.diff(record) > 0) | (np.diff(position) > reach)
    record, position, height = record[first], position[first], height[first]
    low, high = _local_levels(activity, record, position, grid)
    duration = activity.shape[1] / grid.rate
    noise = (1 + _NOISE * (1 + 0.8 / duration) / np.sqrt(np.maximum(n_leads, 1))).astype(np.float32)
    found = _Maxima(record, position, height, low, high)
    return found[high > noise[record] * low]


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


def _local_levels(activity: Signal, record: Index, position: Index, grid: Grid) -> tuple[Signal, Signal]:
    """Return the low and the high level of the activity at the given positions."""
    m, window = activity.shape[1], round(_WINDOW * grid.rate)
    if m <= 1.5 * window:
        # Sums are incomplete near both ends, which matters in records of a second.
        edge = grid.lag + grid.box // 2
        low, high = low_and_high(activity[:, edge : m - edge])
        return low[record], high[record]
    starts = np.append(np.arange(0, m - window, window // 2), m - window)
    out = np.empty((2, len(record)), np.float32)
    for i, row in enumerate(activity):
        mine = slice(*np.searchsorted(record, [i, i + 1]))
        for level, values in zip(out, low_and_high(sliding_window_view(row, window)[starts]), strict=True):
            level[mine] = np.interp(position[mine], starts + window / 2, values)
    return out[0], out[1]


def low_and_high(rows: Signal) -> tuple[Signal, Signal]:
    """Return two quantiles of each row: activity between the waves, and within the QRS complexes."""
    k = [int(q * (rows.shape[1] - 1)) for q in (_LOW, _HIGH)]
    ordered = np.partition(rows, k, axis=1)
    return ordered[:, k[0]], ordered[:, k[1]]


def _without_t_waves(beats: _Maxima, grid: Grid) -> _Maxima:
    """Drop maxima soon after a much higher one of the same record."""
    soon = np.zeros(len(beats.record), bool)
    soon[1:] = (np.diff(beats.record) == 0) & (np.diff(beats.position) <= _T_WAVE * grid.rate)
    soon[1:] &= beats.height[1:] < np.float32(_T_HEIGHT) * beats.height[:-1]
    return beats[~soon]


def _search_back(found: _Maxima, beats: _Maxima, grid: Grid) -> _Maxima:
    """Add the highest weak maximum of each RR interval that is long for its neighbourhood."""
    gaps = _long_intervals(beats.record, beats.position)
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
    both = _Maxima(*(np.concatenate([getattr(m, f.name) for m in (beats, weak[missed])]) for f in fields(beats)))
    return both[np.lexsort((both.position, both.record))]


def _long_intervals(record: Index, position: Index) -> list[int]:
    """Return the beats whose next RR interval is long for the nine intervals around it."""
    if not len(record):
        return []
    first = np.flatnonzero(np.diff(record, prepend=-1))
    last = np.append(first[1:], len(record)) - 1
    rr = np.diff(position, append=0)
    rr[last] = np.iinfo(np.int64).max
    shortest = np.repeat(np.minimum.reduceat(rr, first), last - first + 1)
    rr[last] = 0
    out = []
    # A long interval is long for the shortest one of the record, too: this test leaves few to look at.
    for i in np.flatnonzero(rr > _MISSED_RR * shortest).tolist():
        own = np.searchsorted(last, i)
        a, b = int(first[own]), int(last[own])
        around = np.sort(rr[max(a, i - 4) : min(b, i + 5)])
        if b - a >= 3 and rr[i] > _MISSED_RR * around[len(around) // 2]:
            out.append(i)
    return out


def _refined(x: NDArray, record: int, centres: Index, fs: float) -> Index:
    """Move each beat of one record to the sharpest deflection nearby."""
    if len(centres) > _BEATS:
        parts = range(0, len(centres), _BEATS)
        return np.concatenate([_refined(x, record, centres[a : a + _BEATS], fs) for a in parts])
    n_leads, n_times = x.shape
    reach, lag = math.ceil(_REFINE * fs), round(_REFINE_LAG * fs)
    width = 2 * (reach + lag) + 1
    windows = np.empty((n_leads, len(centres), width), np.float32)
    for i, start in enumerate((centres - reach - lag).tolist()):
        if 0 <= start <= n_times - width:
            windows[:, i] = x[:, start : start + width]
        else:
            windows[:, i] = x.take(np.arange(start, start + width), axis=1, mode="clip")
    sharpness = _shared(_second_difference(windows, lag), n_leads)
    if not np.isfinite(sharpness).all():
        windows = bridged(windows.reshape(-1, width), record).reshape(windows.shape)
        sharpness = _shared(_second_difference(windows, lag), n_leads)
    return np.minimum(np.maximum(centres + sharpness.argmax(axis=1) - reach, 0), n_times - 1)


def bridged(signal: Signal, record: int) -> Signal:
    """Bridge missing samples of a record with straight lines; a lead without any value becomes 0."""
    if np.isinf(signal).any():
        lead = int(np.flatnonzero(np.isinf(signal).any(axis=1))[0])
        raise ValueError(f"X must not be infinite: record {record}, lead {lead}")
    out = signal.copy()
    for row, missing in zip(out, np.isnan(signal), strict=True):
        if missing.all():
            row[:] = 0
        elif missing.any():
            row[missing] = np.interp(np.flatnonzero(missing), np.flatnonzero(~missing), row[~missing])
    return out
