"""Quantities of rhythm and of beats: the columns of feature tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .median_beat import BeatWaves, window_mean, window_weight, with_default

__all__ = [
    "EARLY_RR", "LEAD_QUANTITIES", "beat_rms", "frontal_axis", "rhythm_measures", "rr_around", "wave_amplitudes",
]  # fmt: skip

EARLY_RR = 0.85
"""A beat is early if the RR interval before it is below this share of the usual one."""

# A beat whose correlation with the record's median beat is lower counts as ectopic.
_ECTOPIC_CORRELATION = 0.8

LEAD_QUANTITIES = {
    "r_amplitude": "qrs",
    "s_amplitude": "qrs",
    "qrs_area": "qrs",
    "st_level": "st_t",
    "t_amplitude": "st_t",
    "p_amplitude": "p",
}
"""Quantities that are measured in every lead, and the group of their columns."""


def rr_around(
    seconds: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return the RR intervals before and after each beat, relative to the record's median.

    Parameters
    ----------
    seconds : ndarray of float64, shape (n_rpeaks,)
        R peaks [s], increasing.

    Returns
    -------
    before, after : ndarray of float64, shape (n_rpeaks,)
        Log ratio to the median RR; NaN at the ends of the record.
    median : float
        Median RR [s]; NaN with fewer than two R peaks.
    """
    before, after = np.full(seconds.size, np.nan), np.full(seconds.size, np.nan)
    if seconds.size < 2:
        return before, after, np.nan
    rr = np.diff(seconds)
    median = float(np.median(rr))
    before[1:] = after[:-1] = np.log(rr / median)
    return before, after, median


def rhythm_measures(
    seconds: NDArray[np.float64], correlation: NDArray[np.float32], inside: NDArray[np.bool_]
) -> tuple[float, float, float, float, float]:
    """Measure the rhythm of a record.

    Parameters
    ----------
    seconds : ndarray of float64, shape (n_rpeaks,)
        R peaks [s].
    correlation : ndarray of float32, shape (n_beats,)
        Correlation with the median beat, for the beats whose window lies inside the record.
    inside : ndarray of bool, shape (n_rpeaks,)
        R peaks of these beats.

    Returns
    -------
    log_median_rr, log_sd_rr, log_rmssd, beat_rate, ectopic_share : float
        [log s], [log s], [log s], [1/min] and 0 to 1; NaN if there are too few beats.
    """
    if seconds.size < 2:
        return (np.nan,) * 5
    before, _, median = rr_around(seconds)
    rr = np.diff(seconds)
    sd = rmssd = np.nan
    if rr.size > 1:
        # 5 ms keep the logarithm finite if all intervals are equal.
        sd, rmssd = float(np.log(rr.std() + 0.005)), float(np.log(np.sqrt(np.mean(np.diff(rr) ** 2)) + 0.005))
    odd = before < np.log(EARLY_RR)
    odd[inside] |= correlation < _ECTOPIC_CORRELATION
    return np.log(median), sd, rmssd, 60.0 * rr.size / (seconds[-1] - seconds[0]), odd.mean()


def wave_amplitudes(beats: NDArray[np.float32], waves: BeatWaves, fs: float, n_before: int) -> NDArray[np.float32]:
    """Measure the `LEAD_QUANTITIES` of beats.

    Parameters
    ----------
    beats : ndarray of float32, shape (n_records, n_leads, n_samples)
        Median beats [mV].
    waves : BeatWaves
        Their waves; a usual position replaces a missing one.
    fs : float
        Sampling rate [Hz].
    n_before : int
        Index of the R peak.

    Returns
    -------
    amplitudes : ndarray of float32, shape (6, n_records, n_leads)
        [mV], the area [mV s]; NaN if a lead is absent.
    """
    t = ((np.arange(beats.shape[2]) - n_before) / fs).astype(np.float32)
    # Amplitudes are relative to the level just before QRS, so that a slow baseline does not count.
    start, stop = with_default(waves.qrs_onset, -0.05), with_default(waves.qrs_offset, 0.06)
    b = beats - window_mean(beats, t, start - 0.03, start - 0.005)[:, :, None]
    in_qrs = ((t >= start[:, None]) & (t <= stop[:, None]))[:, None, :]
    t_peak, p_peak = with_default(waves.t_peak, 0.28), with_default(waves.p_peak, -0.14)
    half = np.where(np.isnan(waves.p_peak), 0.05, 0.01).astype(np.float32)
    return np.stack(
        [
            np.where(in_qrs, b, np.float32(0.0)).max(axis=2),
            np.where(in_qrs, b, np.float32(0.0)).min(axis=2),
            np.einsum("nlm,nm->nl", b, window_weight(t, start, stop)),
            window_mean(b, t, stop + 0.06, stop + 0.08),
            window_mean(b, t, t_peak - 0.02, t_peak + 0.02),
            window_mean(b, t, p_peak - half, p_peak + half),
        ]
    ) + np.where(np.isnan(b[:, :, 0]), np.float32(np.nan), np.float32(0.0))


def frontal_axis(leads: NDArray[np.float32], smallest: float) -> NDArray[np.float32]:
    """Compute the frontal axis from leads I and II.

    Parameters
    ----------
    leads : ndarray of float32, shape (n, n_leads)
        Areas or amplitudes, I and II first.
    smallest : float
        A shorter vector has no direction.

    Returns
    -------
    axis : ndarray of float32, shape (n, 2)
        Sine and cosine; NaN if there is no direction.
    """
    horizontal, vertical = leads[:, 0], (2 * leads[:, 1] - leads[:, 0]) / np.float32(np.sqrt(3))
    length = np.hypot(horizontal, vertical)
    length = np.where(length > smallest, length, np.float32(np.nan))
    return np.stack([vertical / length, horizontal / length], axis=1)


def beat_rms(beats: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the RMS of each beat over the leads that are present.

    Parameters
    ----------
    beats : ndarray of float32, shape (n_beats, n_leads, n_samples)
        NaN if a lead is absent.

    Returns
    -------
    rms : ndarray of float32, shape (n_beats,)
        NaN if it is almost 0 or there is no lead.
    """
    power = np.einsum("nlm,nlm->nl", beats, beats) / beats.shape[2]
    n_present = np.isfinite(power).sum(axis=1)
    mean = np.where(np.isfinite(power), power, 0.0).sum(axis=1) / np.maximum(n_present, 1)
    return np.where(mean > 1e-10, np.sqrt(mean), np.nan).astype(np.float32)
