"""The median beat of a record, and its waves.

Everything here works on the eight independent leads together: I, II, V1 to V6. Waves are found on the RMS over the
leads, so that one noisy or flat lead does not decide. A wave that is not found is missing (NaN), never guessed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..beats import BEAT_WINDOW, beat_windows, keep_inside, window_samples

__all__ = [
    "BeatWaves", "beat_correlation", "beat_waves", "centred_beats", "median_beat", "resampling_matrix", "window_mean",
    "window_weight", "with_default",
]  # fmt: skip

MAX_MEDIAN_BEATS = 200

# Chosen on the annotated borders of LUDB (earliest onset and latest end over the leads); RMS in mV, margin in s.
QRS_THRESHOLD = 0.08
QRS_MARGIN = 0.006
P_THRESHOLD = 0.15
P_MIN_RMS = 0.012
T_MIN_RMS = 0.02

Floats = NDArray[np.float32]


class BeatWaves(NamedTuple):
    """Times relative to the R peak [s], each of shape (n_beats,); NaN if a wave cannot be measured."""

    qrs_onset: Floats
    qrs_offset: Floats
    p_onset: Floats
    p_peak: Floats
    t_peak: Floats
    t_end: Floats


def centred_beats(
    x: Floats, rpeaks: NDArray[np.int64], fs: float, beat_window: tuple[float, float] = BEAT_WINDOW
) -> Floats:
    """Cut the beats of one record and subtract the mean of each lead of each beat.

    Parameters
    ----------
    x : ndarray of float32, shape (n_leads, n_times)
        Signal [mV].
    rpeaks : ndarray of int64, shape (n_rpeaks,)
        Sample indices at `fs`.
    fs : float
        Sampling rate [Hz].
    beat_window : tuple of two floats, default=(.25, .45)
        Time before and after the R peak [s].

    Returns
    -------
    beats : ndarray of float32, shape (n_beats, n_leads, n_samples)
        [mV]; without beats that reach over the border of the record.
    """
    beats = beat_windows(x, rpeaks, fs, beat_window)
    beats -= beats.mean(axis=2, keepdims=True)
    return beats


def median_beat(
    x: Floats, rpeaks: NDArray[np.int64], fs: float, beat_window: tuple[float, float] = BEAT_WINDOW
) -> Floats:
    """Compute the sample-wise median of a record's aligned beats.

    Parameters
    ----------
    x : ndarray of float32, shape (n_leads, n_times)
        Signal [mV]. A NaN sample makes this lead of its beat missing.
    rpeaks : ndarray of int64, shape (n_rpeaks,)
        Sample indices at `fs`.
    fs : float
        Sampling rate [Hz].
    beat_window : tuple of two floats, default=(.25, .45)
        Time before and after the R peak [s].

    Returns
    -------
    beat : ndarray of float32, shape (n_leads, n_samples)
        [mV], each lead with mean near 0; NaN for leads that most beats lack.

    Notes
    -----
    At most 200 beats are used, spread evenly over the record: the median hardly changes, and long records need no more
    memory.
    """
    r = keep_inside(rpeaks, x.shape[1], fs, beat_window)
    if r.size > MAX_MEDIAN_BEATS:
        r = r[np.linspace(0, r.size - 1, MAX_MEDIAN_BEATS).round().astype(np.int64)]
    if r.size == 0:
        return np.full((x.shape[0], sum(window_samples(fs, beat_window))), np.nan, dtype=np.float32)
    beats = np.sort(centred_beats(x, r, fs, beat_window), axis=0)
    # NaN sorts last, and one NaN sample makes its beat's whole lead NaN: so the first sample counts the valid beats.
    n_valid = np.isfinite(beats[:, :, 0]).sum(axis=0)
    if n_valid.min() == len(beats):
        return (beats[(len(beats) - 1) // 2] + beats[len(beats) // 2]) * np.float32(0.5)
    lead = np.arange(x.shape[0])
    low, high = np.maximum(n_valid - 1, 0) // 2, np.minimum(n_valid // 2, len(beats) - 1)
    # A median of what most beats lack would be a median of the odd ones.
    known = (2 * n_valid >= len(beats))[:, None]
    return np.where(known, (beats[low, lead] + beats[high, lead]) * np.float32(0.5), np.nan)


def beat_correlation(beats: Floats, template: Floats) -> Floats:
    """Compute the correlation of beats with a template, in all leads together.

    Parameters
    ----------
    beats : ndarray of float32, shape (n_beats, n_leads, n_samples)
        Beats, each lead with mean 0 [mV]. NaN counts as 0.
    template : ndarray of float32, shape (n_leads, n_samples)
        For example the record's median beat [mV].

    Returns
    -------
    correlation : ndarray of float32, shape (n_beats,)
        NaN if the beat or the template is constant.
    """
    a = np.nan_to_num(beats.reshape(len(beats), template.size), nan=0.0)
    b = np.nan_to_num(template.ravel(), nan=0.0)
    norm = np.sqrt(np.einsum("ij,ij->i", a, a) * (b @ b))
    ok = norm > 0
    return np.divide(a @ b, norm, out=np.full(len(a), np.nan, dtype=np.float32), where=ok)


def resampling_matrix(
    fs: float, fs_grid: float = 100.0, beat_window: tuple[float, float] = BEAT_WINDOW
) -> NDArray[np.float32]:
    """Return the matrix that brings beats at `fs` to a common grid: ``beats @ matrix``.

    Parameters
    ----------
    fs : float
        Sampling rate of the beats [Hz].
    fs_grid : float, default=100.0
        Sampling rate of the grid [Hz].
    beat_window : tuple of two floats, default=(.25, .45)
        Time before and after the R peak [s].

    Returns
    -------
    matrix : ndarray of float32, shape (n_samples, n_grid)
        Linear interpolation if `fs` <= `fs_grid` (the identity at `fs_grid`), otherwise a triangular mean over two grid
        steps, which removes most of what would alias.
    """
    n_before, n_after = window_samples(fs, beat_window)
    g_before, g_after = window_samples(fs_grid, beat_window)
    t = np.arange(-n_before, n_after) / fs
    grid = np.clip(np.arange(-g_before, g_after) / fs_grid, t[0], t[-1])
    width = 1.0 / min(fs, fs_grid)
    matrix = np.maximum(1.0 - np.abs(t[:, None] - grid[None, :]) / width, 0.0)
    # Rounding leaves tiny weights, which would make the identity inexact.
    matrix[matrix < 1e-9] = 0.0
    return np.asarray(matrix / matrix.sum(axis=0), dtype=np.float32)


def beat_waves(beats: Floats, fs: float, rr: NDArray[np.floating], n_before: int) -> BeatWaves:
    """Find QRS, P and T of beats on the RMS over the leads.

    Parameters
    ----------
    beats : ndarray of float32, shape (n_beats, n_leads, n_samples)
        Beats or median beats [mV]; NaN leads are left out.
    fs : float
        Sampling rate [Hz].
    rr : ndarray, shape (n_beats,)
        Typical RR interval [s], which limits the search for T; NaN if unknown.
    n_before : int
        Index of the R peak.

    Returns
    -------
    waves : BeatWaves
        QRS ends when the slope of all leads falls below 8 % of its maximum for 20 ms. P begins when its RMS has risen
        by 15 %. T ends where the tangent at its steepest descent meets the level that follows.
    """
    z = np.nan_to_num(beats, nan=0.0)
    n_leads = np.maximum(np.isfinite(beats[:, :, 0]).sum(axis=1), 1).astype(np.float32)
    t = ((np.arange(beats.shape[2]) - n_before) / fs).astype(np.float32)
    onset, offset = _qrs_bounds(z, t, fs)
    start, stop = with_default(onset, -0.05), with_default(offset, 0.06)
    # The level just before QRS is zero, so that an offset of a lead is no wave.
    rms = z - window_mean(z, t, start - 0.03, start - 0.005)[:, :, None]
    rms = np.sqrt(np.einsum("nlm,nlm->nm", rms, rms) / n_leads[:, None])
    cycle = with_default(np.asarray(rr, dtype=np.float32), 1.0)
    t_peak, t_end = _t_wave(rms, t, fs, stop, cycle)
    # P cannot begin before the T of the previous beat ends.
    p_onset, p_peak = _p_wave(rms, t, fs, with_default(t_end, 0.4) - cycle, start)
    return BeatWaves(onset, offset, p_onset, p_peak, t_peak, t_end)


def window_mean(x: Floats, t: Floats, start: Floats, stop: Floats) -> Floats:
    """Compute the mean of each row between its own two times; samples at the ends count in part.

    Parameters
    ----------
    x : ndarray of float32, shape (n, ..., n_samples)
    t : ndarray of float32, shape (n_samples,)
        Time of each sample, evenly spaced [s].
    start, stop : ndarray of float32, shape (n,)
        [s]

    Returns
    -------
    mean : ndarray of float32, shape (n, ...)
        0 if no sample lies in the window.
    """
    weight = window_weight(t, start, stop)
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), np.float32(1e-9))
    return np.asarray(np.einsum("n...m,nm->n...", x, weight), dtype=np.float32)


def window_weight(t: Floats, start: Floats, stop: Floats) -> Floats:
    """Return which part of each sample's cell [s] lies inside ``[start, stop]``, shape (n, n_samples)."""
    half = (t[1] - t[0]) / 2
    lower = np.maximum((t - half)[None, :], start[:, None])
    upper = np.minimum((t + half)[None, :], stop[:, None])
    return np.asarray(np.maximum(upper - lower, 0.0), dtype=np.float32)


def with_default(x: Floats, default: float) -> Floats:
    """Replace NaN in `x`."""
    return np.where(np.isnan(x), np.float32(default), x)


def _qrs_bounds(z: Floats, t: Floats, fs: float) -> tuple[Floats, Floats]:
    """Find the onset and offset of QRS [s] from the slope of all leads, between samples by linear interpolation."""
    # A difference over 20 ms is a slope without the noise of single samples.
    h = max(1, round(0.01 * fs))
    if t.size < 2 * h + 2:
        return np.full(len(z), np.nan, np.float32), np.full(len(z), np.nan, np.float32)
    slope = z[:, :, 2 * h :] - z[:, :, : -2 * h]
    s = np.sqrt(np.einsum("nlm,nlm->nm", slope, slope))
    tau = t[h:-h]
    # The given R peak may be inexact, but a steep T or another beat must not count: search within .1 s.
    peak = np.where(np.abs(tau) <= 0.1, s, -1.0).argmax(axis=1)
    top = s[np.arange(len(s)), peak]
    threshold = np.float32(QRS_THRESHOLD) * top
    # Notches within QRS have little slope for a moment: only 20 ms of it end the complex.
    run = max(2, round(0.02 * fs))
    low = np.cumsum(np.pad(s < threshold[:, None], ((0, 0), (1, 0))), axis=1)
    quiet = (low[:, run:] - low[:, :-run]) == run  # quiet[:, i]: samples i to i + run - 1 are below the threshold
    first = np.arange(quiet.shape[1])
    before = quiet & (first[None, :] + run <= peak[:, None])
    after = quiet & (first[None, :] > peak[:, None])
    last = before.shape[1] - 1 - before[:, ::-1].argmax(axis=1) + run - 1
    onset = _crossing(s, tau, last, last + 1, threshold) - np.float32(QRS_MARGIN)
    stop = after.argmax(axis=1)
    offset = _crossing(s, tau, stop, stop - 1, threshold) + np.float32(QRS_MARGIN)
    # Borders less than 30 or more than 300 ms apart are errors.
    width = offset - onset
    ok = before.any(axis=1) & after.any(axis=1) & (top > 1e-4) & (width > 0.03) & (width < 0.3)
    return np.where(ok, onset, np.float32(np.nan)), np.where(ok, offset, np.float32(np.nan))


def _p_wave(rms: Floats, t: Floats, fs: float, earliest: Floats, qrs_onset: Floats) -> tuple[Floats, Floats]:
    """Find the onset and peak of P [s]: the highest maximum before QRS, and the start of its left flank."""
    rows = np.arange(len(rms))
    inside = (t[None, :] > earliest[:, None]) & (t[None, :] < (qrs_onset - 0.03)[:, None])
    peak = np.where(inside, rms, -1.0).argmax(axis=1)
    # The rise counts from the lowest point before P, because the RMS between T and P is seldom 0.
    left = inside & (np.arange(t.size)[None, :] <= peak[:, None])
    foot = np.where(left, rms, np.inf).argmin(axis=1)
    rise = rms[rows, peak] - rms[rows, foot]
    threshold = rms[rows, foot] + np.float32(P_THRESHOLD) * rise
    below = left & (rms < threshold[:, None])
    last = t.size - 1 - below[:, ::-1].argmax(axis=1)
    # A rise from the first sample on means that P began before the search.
    first = inside.argmax(axis=1)
    later = np.minimum(first + max(1, round(0.02 * fs)), t.size - 1)
    flank = (foot == first) & (rms[rows, later] - rms[rows, foot] > np.float32(0.1) * rise)
    ok = below.any(axis=1) & (rise > P_MIN_RMS) & ~flank & (t[peak] < qrs_onset - 0.045)
    onset = _crossing(rms, t, last, last + 1, threshold)
    return np.where(ok, onset, np.float32(np.nan)), np.where(ok, t[peak], np.float32(np.nan))


def _t_wave(rms: Floats, t: Floats, fs: float, qrs_offset: Floats, rr: Floats) -> tuple[Floats, Floats]:
    """Find the peak and end of T [s]: the largest RMS after QRS, and the tangent at its steepest descent."""
    rows, columns = np.arange(len(rms)), np.arange(t.size)[None, :]
    none = np.full(len(rms), np.nan, dtype=np.float32)
    if t.size < 4:
        return none, none
    # The ST segment takes 80 ms after QRS, and the next P may begin after .65 of the cycle.
    inside = (t[None, :] > (qrs_offset + 0.08)[:, None]) & (t[None, :] < np.minimum(0.65 * rr, t[-1])[:, None])
    peak = np.where(inside, rms, -1.0).argmax(axis=1)
    # A maximum at an end of the search is the flank of something else.
    inner = inside[rows, np.maximum(peak - 1, 0)] & inside[rows, np.minimum(peak + 1, t.size - 1)]
    h = max(1, round(0.01 * fs))
    slope = np.zeros_like(rms)
    slope[:, h:-h] = (rms[:, 2 * h :] - rms[:, : -2 * h]) * np.float32(fs / (2 * h))
    falling = (columns > peak[:, None]) & (t[None, :] < np.minimum(0.8 * rr, t[-1])[:, None])
    steepest = np.where(falling, slope, 0.0).argmin(axis=1)
    fall = slope[rows, steepest]
    # The tangent ends at the lowest level that follows: with a U wave or a drift the RMS may never reach 0.
    level = np.where(falling & (columns >= steepest[:, None]), rms, np.inf).min(axis=1)
    level = np.where(np.isfinite(level), level, 0.0)
    drop = (rms[rows, steepest] - level) / np.maximum(-fall, np.float32(1e-6))
    found = inner & (rms[rows, peak] > T_MIN_RMS)
    # A tangent that needs more than 150 ms is too flat to mark an end.
    ended = found & (fall < 0) & (drop < 0.15)
    return np.where(found, t[peak], none), np.where(ended, t[steepest] + drop, none).astype(np.float32)


def _crossing(x: Floats, t: Floats, low: NDArray[np.int64], high: NDArray[np.int64], threshold: Floats) -> Floats:
    """Interpolate the time between two neighbouring samples of each row at which it passes the threshold."""
    rows = np.arange(len(x))
    low, high = np.clip(low, 0, t.size - 1), np.clip(high, 0, t.size - 1)
    step = x[rows, high] - x[rows, low]
    part = np.divide(threshold - x[rows, low], step, out=np.zeros_like(threshold), where=step > 0)
    return np.asarray(t[low] + np.clip(part, 0.0, 1.0) * (t[high] - t[low]), dtype=np.float32)
