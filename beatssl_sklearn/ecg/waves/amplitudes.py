"""Amplitudes of the waves of beats, lead by lead, against the level between P and QRS."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .borders import smooth

__all__ = ["FS_MEASURED", "LEAD_VALUES", "Beats", "lead_values"]

FS_MEASURED = 500.0
"""Rate at which signals are measured [Hz]: one rate makes the measures of all recordings alike."""

LEAD_VALUES = (
    "p_amplitude", "q_amplitude", "r_amplitude", "s_amplitude", "r2_amplitude", "t_amplitude", "qrs_area",
    "st_j", "st_j40", "st_j80", "q_duration",
)  # fmt: skip
"""What is measured of each beat in each lead: amplitudes and levels [mV], the area [mV ms], the duration [ms]."""

# A deflection of QRS that stays below this is no wave [mV]: the CSE Working Party's least wave is .02 mV.
_LEAST_MV = 0.03
# Nor is what stays below this share of the whole QRS: a bump before a tall R is no R of its own.
_LEAST_SHARE = 0.02
# The level lies between P and QRS: from the onset of QRS on [s], as in `ecg.features`.
_LEVEL_S = (-0.030, -0.005)
# Times after the end of QRS [s], and how far the mean around them reaches.
_ST_S, _ST_HALF_S = (0.0, 0.04, 0.08), 0.004
# Longer waves are looked at until here [s].
_LONGEST_QRS_S, _LONGEST_P_S, _LONGEST_T_S = 0.3, 0.3, 0.6
# P and T are broad, and noise on their tops would add to them: means over so many samples to each side.
_SMOOTHED = 5
_MS = 1000 / FS_MEASURED


class Beats(NamedTuple):
    """Beats of several records, in order of record and time; all positions in samples at `FS_MEASURED`."""

    record: NDArray[np.int64]
    """Row of the signals, (n_beats,)."""
    onset: NDArray[np.float64]
    """Onset of QRS over all leads, (n_beats,)."""
    offset: NDArray[np.float64]
    """Offset of QRS over all leads, (n_beats,)."""
    p: NDArray[np.float64]
    """Onset and offset of P in each lead, (n_beats, n_leads, 2); NaN where a lead shows none."""
    qrs: NDArray[np.float64]
    """Those of QRS."""
    t: NDArray[np.float64]
    """Those of T."""

    def take(self, part: slice) -> Beats:
        """Return some of the beats."""
        return Beats(
            self.record[part], self.onset[part], self.offset[part], self.p[part], self.qrs[part], self.t[part]
        )

    def shifted(self, start: float, chosen: NDArray[np.bool_]) -> Beats:
        """Return some of the beats, with positions that count from `start`."""
        return Beats(self.record[chosen], *(column[chosen] - start for column in self[1:]))


class _Baseline(NamedTuple):
    """Level of each lead at each beat, and how it changes to the next beat."""

    at: NDArray[np.float64]
    level: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32]

    def take(self, part: slice) -> _Baseline:
        return _Baseline(self.at[part], self.level[part], self.before[part], self.after[part])


def lead_values(
    signal: NDArray[np.float32], known: NDArray[np.bool_] | None, beats: Beats, n_at_once: int = 2048
) -> NDArray[np.float32]:
    """Measure beats in every lead.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_records, n_leads, n_times)
        Leads at `FS_MEASURED` [mV], without NaN.
    known : ndarray of bool, shape (n_records, n_leads, n_times), or None
        Which samples were measured and not filled in; None if all.
    beats : Beats
        Their marks.
    n_at_once : int, default=2048
        Beats whose windows are in memory at once.

    Returns
    -------
    values : ndarray of float32, shape (n_beats, n_leads, n_values)
        One column for each of `LEAD_VALUES`. Where QRS has no Q, R, S or second R, their amplitude is 0. NaN for P and
        T where the lead shows none, and for all where samples of the QRS are missing.

    Notes
    -----
    The baseline runs straight from the level before one QRS to that before the next: the mean over 30 to 5 ms before
    its onset. Q is the first deflection of QRS if it is negative, R the first positive one, S the deepest point after
    it, and the second R the highest positive one after S. A wave is larger than .03 mV and 2 % of the QRS; S and the
    second R turn back before QRS ends. A QRS without R is a Q as a whole (QS). P and T are the points that are farthest
    from the baseline.
    """
    n_leads = signal.shape[1]
    out = np.full((len(beats.record), n_leads, len(LEAD_VALUES)), np.nan, dtype=np.float32)
    line = _baseline(signal, beats)
    broad = smooth(signal.reshape(-1, signal.shape[2]), _SMOOTHED).reshape(signal.shape)
    for start in range(0, len(out), n_at_once):
        part = slice(start, start + n_at_once)
        own, base = beats.take(part), line.take(part)
        out[part, :, 1:5], out[part, :, 6], out[part, :, 10] = _complexes(signal, own, base)
        out[part, :, 7:10] = _st_levels(signal, own, base)
        out[part, :, 0] = _farthest(broad, own, own.p, base, base.before, _LONGEST_P_S)
        out[part, :, 5] = _farthest(broad, own, own.t, base, base.after, _LONGEST_T_S)
    if known is not None:
        out[~_known(known, beats)] = np.nan
    return out


def _baseline(signal: NDArray[np.float32], beats: Beats) -> _Baseline:
    first, last = (np.round(beats.onset + s * FS_MEASURED).astype(np.int64) for s in _LEVEL_S)
    index = first[:, None] + np.arange(int((last - first).max(initial=0)) + 1)
    inside = (index >= 0) & (index <= last[:, None])
    # (n_beats, n_samples, n_leads)
    found = signal[beats.record[:, None], :, np.maximum(index, 0)]
    n = inside.sum(axis=1)[:, None]
    total = np.einsum("bsl,bs->bl", found, inside.astype(np.float32))
    level = np.divide(total, n, out=np.full(total.shape, np.nan, np.float32), where=n > 0)
    at = beats.onset + np.mean(_LEVEL_S) * FS_MEASURED
    slope = np.zeros_like(level)
    follows = beats.record[1:] == beats.record[:-1]
    step = np.where(follows, np.diff(at), np.inf)[:, None]
    slope[:-1] = np.nan_to_num(np.diff(level, axis=0) / step)
    before = np.zeros_like(level)
    before[1:] = np.where(follows[:, None], slope[:-1], 0)
    return _Baseline(at, level, before, slope)


def _complexes(
    signal: NDArray[np.float32], beats: Beats, base: _Baseline
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return amplitudes of Q, R, S and the second R, the area, and the duration of Q."""
    first = np.floor(beats.onset).astype(np.int64)
    last = np.minimum(np.ceil(beats.offset), beats.onset + _LONGEST_QRS_S * FS_MEASURED).astype(np.int64)
    k = np.arange(int((last - first).max(initial=0)) + 1)
    index = np.minimum(first[:, None] + k, signal.shape[2] - 1)
    above = signal[beats.record[:, None], :, index].transpose(0, 2, 1) - base.level[:, :, None]
    above -= base.after[:, :, None] * (index - base.at[:, None])[:, None, :].astype(np.float32)
    above *= (first[:, None] + k <= last[:, None])[:, None, :]
    least = np.maximum(_LEAST_MV, _LEAST_SHARE * np.ptp(above, axis=2, keepdims=True))
    positive, negative = above > least, above < -least
    r_first = _first(positive)[:, :, None]
    s_first = _first(negative & (k > r_first))[:, :, None]
    r2_first = _first(positive & (k > s_first))[:, :, None]
    q = np.where(negative & (k < r_first), above, 0).min(axis=2)
    r = np.where(positive & (k < s_first), above, 0).max(axis=2)
    s = np.where(negative & (k >= s_first), above, 0).min(axis=2)
    r2 = np.where(positive & (k >= r2_first), above, 0).max(axis=2)
    # A level that lasts into ST is no wave: S and the second R turn back before QRS ends.
    end = np.take_along_axis(above, np.minimum(last - first, len(k) - 1)[:, None, None], axis=2)[:, :, 0]
    s = np.where(s < end - least[:, :, 0], s, 0)
    r2 = np.where(r2 > end + least[:, :, 0], r2, 0)
    # A NaN level makes all comparisons false: no wave, where nothing is known.
    gap = np.where(np.isnan(base.level), np.float32(np.nan), np.float32(0))
    area = above.sum(axis=2) * np.float32(_MS)
    duration = np.where(q < 0, _q_end(above, r_first[:, :, 0], k) + (first - beats.onset)[:, None], 0) * _MS
    # A QRS without R is a Q as a whole.
    whole = np.where(q < 0, (beats.offset - beats.onset)[:, None] * _MS, 0)
    duration = np.where(r_first[:, :, 0] == len(k), whole, duration).astype(np.float32)
    amplitudes: NDArray[np.float32] = np.stack([q, r, s, r2], axis=2) + gap[:, :, None]
    return amplitudes, area, np.asarray(duration + gap, np.float32)


def _q_end(above: NDArray[np.float32], r_first: NDArray[np.int64], k: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return where the signal rises through the baseline before R, in samples from the first one."""
    below = (above < 0) & (k < r_first[:, :, None])
    last = len(k) - 1 - _first(below[:, :, ::-1])
    last = np.clip(last, 0, max(len(k) - 2, 0))[:, :, None]
    low = np.take_along_axis(above, last, axis=2)[:, :, 0]
    high = np.take_along_axis(above, np.minimum(last + 1, len(k) - 1), axis=2)[:, :, 0]
    step = np.divide(-low, high - low, out=np.zeros_like(low), where=high > low)
    return last[:, :, 0] + np.clip(step, 0, 1).astype(np.float64)


def _first(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the index of the first true flag along the last axis; its length if there is none."""
    return np.where(flags.any(axis=-1), flags.argmax(axis=-1), flags.shape[-1])


def _st_levels(signal: NDArray[np.float32], beats: Beats, base: _Baseline) -> NDArray[np.float32]:
    half = round(_ST_HALF_S * FS_MEASURED)
    around = np.arange(-half, half + 1)
    out = np.empty((*base.level.shape, len(_ST_S)), dtype=np.float32)
    for i, seconds in enumerate(_ST_S):
        centre = np.round(beats.offset + seconds * FS_MEASURED).astype(np.int64)
        index = centre[:, None] + around
        found = signal[beats.record[:, None], :, np.minimum(index, signal.shape[2] - 1)].mean(axis=1)
        line = base.level + base.after * (centre - base.at)[:, None].astype(np.float32)
        out[:, :, i] = np.where((centre < signal.shape[2])[:, None], found - line, np.float32(np.nan))
    return out


def _farthest(
    signal: NDArray[np.float32],
    beats: Beats,
    marks: NDArray[np.float64],
    base: _Baseline,
    slope: NDArray[np.float32],
    longest: float,
) -> NDArray[np.float32]:
    """Return the value that is farthest from the baseline between two marks of each lead, NaN without marks."""
    out = np.full(base.level.shape, np.nan, dtype=np.float32)
    beat, lead = np.nonzero(np.isfinite(marks).all(axis=2))
    if not len(beat):
        return out
    first = np.round(marks[beat, lead, 0]).astype(np.int64)
    last = np.round(np.minimum(marks[beat, lead, 1], first + longest * FS_MEASURED)).astype(np.int64)
    k = np.arange(int((last - first).max()) + 1)
    # Beyond the last sample it is repeated.
    index = np.clip(np.minimum(first[:, None] + k, last[:, None]), 0, signal.shape[2] - 1)
    above = signal[beats.record[beat][:, None], lead[:, None], index] - base.level[beat, lead][:, None]
    above -= slope[beat, lead][:, None] * (index - base.at[beat][:, None]).astype(np.float32)
    high, low = above.max(axis=1), above.min(axis=1)
    out[beat, lead] = np.where(high >= -low, high, low)
    return out


def _known(known: NDArray[np.bool_], beats: Beats) -> NDArray[np.bool_]:
    """Tell which beats have all samples from the level to the last ST level, (n_beats, n_leads)."""
    missing = np.zeros((*known.shape[:2], known.shape[2] + 1), dtype=np.int64)
    np.cumsum(~known, axis=2, out=missing[:, :, 1:])
    first = np.clip(np.round(beats.onset + _LEVEL_S[0] * FS_MEASURED), 0, known.shape[2]).astype(np.int64)
    last = np.clip(np.round(beats.offset + _ST_S[-1] * FS_MEASURED) + 1, 0, known.shape[2]).astype(np.int64)
    return np.asarray(missing[beats.record, :, last] == missing[beats.record, :, first])
