"""A second look of the R-peak detector at 10 s in which beats stand out badly, or are as narrow as pacing spikes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .rpeaks_activity import FEW, Grid, Index, Mask, Signal, boxed, coarse_activity, second_difference, shared
from .rpeaks_beats import Levels, find_beats, highest, level_windows
from .rpeaks_gaps import bridge
from .rpeaks_hum import Slopes, without_lines
from .rpeaks_refine import refined
from .rpeaks_trust import Trust, trusted

CLOSE = 10.0
"""Beats stand out badly where high / low is smaller."""
MANY = 2.2
"""Beats per second from which on there may be more, one every two."""
_HUM_RATIO = 5.0  # high / low from which on hum does no harm
_LEFT = 0.005  # of the amplitude that must be left without hum
# Pacing spikes.
_SPIKES, _SPIKE_SHARE = 2, 0.15  # least number and share of a window's beats
_SPIKE = 0.008  # [s] to each side, removed with a spike
_SPIKE_HEIGHT = 0.4  # of a spike's curvature, relative to the usual one
_AFTER_SPIKE, _MOST_SPIKES = 0.2, 0.8  # so soon after so many spikes comes a beat [s]
_BROAD_LAG = 0.048  # [s]
_BROAD, _BROAD_SHARE = 0.012, 0.55  # a paced QRS complex has this share of its height so long before and after [s]
# Fast rhythms: 175 to 320 beats per minute.
_FAST_RR = (0.187, 0.34)  # [s]
_FAST_BOX, _FAST_REACH = 0.05, 0.15  # [s]
_FAST_LOW, _FAST_HIGH, _FAST_THRESHOLD = 0.10, 0.97, 0.35
_FAST_BEATS = 5
_REPEATS = 0.3  # correlation of the activity with itself after an RR interval
_REGULAR, _MOST = 0.15, 0.9  # so many of the RR intervals differ so little from their median
_MATCH, _HEIGHT = 0.8, 1.6  # correlation of a beat with the usual one, and ratio of their heights


def look_again(
    x: NDArray,
    fs: float,
    peaks: Index,
    narrow: Mask,
    activity: Signal,
    levels: Levels,
    gone: Mask | None,
    trust: Trust | None,
) -> Index:
    """Replace R peaks of one record in the windows of its levels that deserve a second look.

    Parameters
    ----------
    x : ndarray of shape (n_leads, n_times)
        Signals, without gaps.
    fs : float
        Sampling rate [Hz].
    peaks : ndarray of int64
        R peaks that were found [samples].
    narrow : ndarray of bool
        Which of them are as narrow as pacing spikes.
    activity : ndarray of shape (n_coarse,)
        Its activity, before it is summed over a box.
    levels : Levels
        Levels of its activity.
    gone : ndarray of bool or None
        Coarse samples without signal.
    trust : Trust or None
        Weights of its leads, if they do not count alike.

    Returns
    -------
    ndarray of int64
        R peaks [samples].
    """
    grid, n_times = Grid.at(fs), x.shape[1]
    starts, window = level_windows(len(activity), grid)
    borders = np.concatenate([[0], (levels.centre[1:] + levels.centre[:-1]) * grid.block / 2, [n_times]])
    ratio = levels.high[0] / np.maximum(levels.low[0], np.finfo(np.float32).tiny)
    # The middle of a window belongs to it alone.
    n_spikes, n_peaks = (
        np.bincount(np.searchsorted(borders[1:-1], some, side="right"), minlength=len(starts))
        for some in (peaks[narrow], peaks)
    )
    paced = (n_spikes >= _SPIKES) & (n_spikes >= _SPIKE_SHARE * n_peaks)
    new, replaced = [], np.zeros(len(peaks), bool)
    fast = (ratio < CLOSE) | (n_peaks > MANY / fs * np.diff(borders))
    for k in np.flatnonzero(fast | paced).tolist():
        coarse = slice(starts[k], starts[k] + window)
        a, b = (0, n_times) if len(starts) == 1 else (coarse.start * grid.block, coarse.stop * grid.block)
        part = Part(x[:, a:b], fs, grid, activity[coarse], None if gone is None else gone[coarse], len(activity))
        if trust is not None:
            part = part._replace(trust=trust.near(float(levels.centre[k])))
        within = slice(*np.searchsorted(peaks, (a, b)))
        found = _second_look(part, peaks[within] - a, narrow[within] & paced[k], ratio[k], bool(fast[k]))
        if found is not None:
            new.append(found[(found + a >= borders[k]) & (found + a < borders[k + 1])] + a)
            replaced |= (peaks >= borders[k]) & (peaks < borders[k + 1])
    return np.sort(np.concatenate([peaks[~replaced], *new])) if new else peaks


class Part(NamedTuple):
    """Some seconds of a record."""

    x: NDArray
    fs: float
    grid: Grid
    activity: Signal
    gone: Mask | None
    n_coarse: int
    """Length of the record."""
    n_leads: int = 0
    """Leads that are not flat."""
    trust: Trust | None = None
    """Weights of the leads, if they do not count alike."""


def _second_look(part: Part, peaks: Index, narrow: Mask, ratio: float, fast: bool) -> Index | None:
    """Return R peaks, or None if there is nothing better than what was found."""
    found = None
    if ratio < _HUM_RATIO:
        clean, hum = _without_hum(part)
        if clean is None:
            return np.zeros(0, np.int64)
        if hum:
            part, found = clean, _beats(clean)
    if narrow.any():
        rest = _with_signal(part, _without_spikes(part.x, peaks[narrow], part.fs))
        paced = _beats(rest)
        if len(paced) <= len(peaks) + 1 and _follow(paced, peaks[narrow], part.fs) and _broad(rest.x, paced, part.fs):
            part, found = rest, paced
    regular = _fast_beats(part) if fast and _repeats(part) else None
    return found if regular is None else regular


def _without_hum(part: Part) -> tuple[Part | None, bool]:
    """Return the part without hum, or None if it is a tone and little else; and whether there is hum."""
    slopes = Slopes(part.x, part.fs)
    lines = slopes.mains()
    if lines:
        clean = without_lines(part.x, lines, part.fs)
        if clean.std() < _LEFT * part.x.std():
            return None, True
        part = _with_signal(part, clean)
        slopes = Slopes(clean, part.fs)
    return (None if slopes.is_tone() else part), bool(lines)


def _with_signal(part: Part, x: Signal) -> Part:
    activity = np.zeros(len(part.activity), np.float32)
    bends = np.zeros((len(x), len(activity)), np.float32) if 1 < len(x) <= FEW else None
    n_leads, _ = coarse_activity(x, part.grid, activity, bends)
    trust = None if bends is None else trusted(bends[None], activity[None], part.grid).get(0)
    if part.gone is not None:
        activity[part.gone] = 0
    return part._replace(x=x, activity=activity, n_leads=n_leads, trust=trust)


def _beats(part: Part) -> Index:
    gone = {} if part.gone is None else {0: part.gone}
    beats, _ = find_beats(part.activity[None], np.array([part.n_leads]), part.grid, gone, part.n_coarse)
    return _peaks(part, part.grid.samples(beats.position))


def _peaks(part: Part, centres: Index) -> Index:
    trust = {} if part.trust is None else {0: part.trust}
    return refined([part.x], np.zeros_like(centres), centres, part.fs, trust)[0]


def _without_spikes(x: NDArray, spikes: Index, fs: float) -> Signal:
    """Bridge deflections as sharp as those at some positions."""
    half = max(2, math.ceil(_SPIKE * fs))
    out = np.array(x, np.float32, order="C")
    sharp = shared(second_difference(out, half), len(x))
    inside = spikes[(spikes >= half) & (spikes < x.shape[1] - half)] - half
    if not len(inside):
        return out
    at = np.flatnonzero(sharp > _SPIKE_HEIGHT * np.median(sharp[inside]))
    around = sharp.take(at[:, None] + np.arange(-half, half + 1), mode="clip")
    # Position k of `sharp` is sample k + half.
    for k in at[sharp[at] >= around.max(axis=1)].tolist():
        bridge(out, k, k + 2 * half + 1)
    return out


def _follow(beats: Index, spikes: Index, fs: float) -> bool:
    """Tell whether most spikes have a beat soon after them, and are no QRS complexes of their own."""
    following = np.append(beats, np.iinfo(np.int64).max)[np.searchsorted(beats, spikes)]
    return bool((following - spikes <= _AFTER_SPIKE * fs).mean() >= _MOST_SPIKES)


def _broad(x: Signal, peaks: Index, fs: float) -> bool:
    """Tell whether most beats are as broad as those of a ventricle that is paced."""
    lag, side = round(_BROAD_LAG * fs), max(1, round(_BROAD * fs))
    peaks = peaks[(peaks >= lag + side) & (peaks < x.shape[1] - lag - side)]
    if not len(peaks):
        return False
    # The second difference before, at and after each peak.
    at = peaks[:, None] + np.array([-side, 0, side])
    sharp = shared(np.abs(2 * x[:, at] - x[:, at - lag] - x[:, at + lag]), len(x))
    return bool(np.median(np.minimum(sharp[:, 0], sharp[:, 2]) / sharp[:, 1]) >= _BROAD_SHARE)


def _repeats(part: Part) -> bool:
    """Tell whether the activity repeats itself after an RR interval of a fast rhythm."""
    around = part.activity - part.activity.mean()
    first, last = (round(rr * part.grid.rate) for rr in _FAST_RR)
    if len(around) <= 2 * last:
        return False
    most = max(float(around[lag:] @ around[:-lag]) for lag in range(first, last + 1))
    return most > _REPEATS * float(around @ around)


def _fast_beats(part: Part) -> Index | None:
    """Return the beats of a regular rhythm of 175 to 320 per minute, or None if it is none."""
    grid = part.grid
    total = boxed(part.activity[None], max(1, round(_FAST_BOX * grid.rate)))
    _, position = highest(total, round(_FAST_REACH * grid.rate))
    known = total if part.gone is None else total[:, ~part.gone]
    low, high = np.quantile(known, (_FAST_LOW, _FAST_HIGH))
    position = position[total[0, position] > low + _FAST_THRESHOLD * (high - low)]
    if len(position) <= _FAST_BEATS:
        return None
    peaks = _peaks(part, ((2 * position + 1) * grid.block) // 2)
    rr = peaks[1:] - peaks[:-1]
    usual = np.median(rr)
    regular = (np.abs(rr - usual) <= _REGULAR * usual).mean() >= _MOST
    in_range = _FAST_RR[0] <= usual / part.fs <= _FAST_RR[1]
    return peaks if in_range and regular and _alike(part.x, peaks, part.fs) else None


def _alike(x: Signal, peaks: Index, fs: float) -> bool:
    """Tell whether nearly all beats have shape and height of the usual one: T waves and atrial waves do not."""
    half = round(0.05 * fs)
    peaks = peaks[(peaks >= half) & (peaks < x.shape[1] - half)]
    shapes = np.stack([x[:, p - half : p + half + 1] for p in peaks]).astype(np.float32)
    shapes -= shapes.mean(axis=2, keepdims=True)
    shapes = shapes.reshape(len(peaks), -1)
    usual = np.median(shapes, axis=0)
    size = np.maximum(np.linalg.norm(shapes, axis=1), np.finfo(np.float32).tiny)
    match = shapes @ usual / (size * max(float(np.linalg.norm(usual)), 1e-30))
    ratio = size / np.median(size)
    return bool(((match > _MATCH) & (ratio < _HEIGHT) & (ratio > 1 / _HEIGHT)).mean() >= _MOST)
