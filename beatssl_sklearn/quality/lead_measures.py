"""What is measured of each lead to judge its quality, at about 100 samples per second.

A record costs less than a millisecond. So most measures come from means of some samples, and each looks once at them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .coarse import Coarse, cut_beats

# Mains [Hz], and frequencies beside them; seconds of a segment, in which all of them have whole periods.
_HUM, _BESIDE, _SEGMENT_S = (50.0, 60.0), (40.0, 70.0), 0.2
# A lead stands still if it changes less than this share of its largest value in some seconds, or less than that [mV].
_STILL, _STILL_S, _STILL_MV = 2e-6, 0.25, 1e-7
# Least samples at a limit [s], and in number; a single stretch of them has to last longer [s].
_AT_LIMIT_S, _AT_LIMIT, _ONE_STRETCH_S = 0.016, 5, 0.5
# What lies next to a limit: so much of the lead's range; up to the second, if some steps of its resolution are more.
_NEAR, _NEAR_STEPS = np.array([0.04, 0.15]), 3
# Activity is averaged over some samples of about 10 ms; the share of the calmest such bins that shows the noise.
_BIN, _CALM = 5, 0.3
# A beat is missing if its activity is less than so many times that of the bins in the middle.
_MISSING = 2.0
# Half a second, of which means show the baseline.
_BASELINE_S = 0.5
# Least value in logarithms [mV].
_LEAST = 1e-4


class LeadMeasures(NamedTuple):
    """Measures of the leads of some records, each of shape (n_records, n_leads).

    Attributes
    ----------
    flat : ndarray
        Share of the time in which the lead keeps one value, or is missing.
    clipped : ndarray
        Share of the time at the lead's largest or smallest value, where that is a limit: the lead comes back to it,
        and is there longer than next to it.
    powerline : ndarray
        Share of the lead's power at 50 or 60 Hz, whichever is larger; NaN below 126 samples per second.
    baseline : ndarray
        Range of the lead's mean over 1 s [mV].
    noise : ndarray
        Mean bend between waves, of 15 to 50 Hz: muscle, mains, contacts [mV].
    burst : ndarray
        The same in the noisiest second [mV].
    spikes : ndarray
        Largest bend relative to that of the heartbeats.
    missing_beats : ndarray
        Share of the record's R peaks at which the lead shows nothing; NaN without R peaks.
    unlike : ndarray
        Power in which the lead's heartbeats differ from their median, relative to that of the median; of the median
        heartbeat. NaN with fewer than three.
    unlike_worst : ndarray
        The same of the second-worst heartbeat of ten.
    amplitude : ndarray
        Median height of the QRS complexes [mV]; the range of calm bins without them.
    range : ndarray
        Largest minus smallest value [mV].
    """

    flat: NDArray[np.float32]
    clipped: NDArray[np.float32]
    powerline: NDArray[np.float32]
    baseline: NDArray[np.float32]
    noise: NDArray[np.float32]
    burst: NDArray[np.float32]
    spikes: NDArray[np.float32]
    missing_beats: NDArray[np.float32]
    unlike: NDArray[np.float32]
    unlike_worst: NDArray[np.float32]
    amplitude: NDArray[np.float32]
    range: NDArray[np.float32]


def lead_measures(coarse: Coarse, signal: NDArray[np.float32], fs: float) -> LeadMeasures:
    """Measure the leads of some records.

    Parameters
    ----------
    coarse : Coarse
        The records at about 100 samples per second, and their R peaks there.
    signal : ndarray of shape (n_records, n_leads, n_times)
        The records [mV], without missing samples.
    fs : float
        Sampling rate of `signal` [Hz].

    Returns
    -------
    LeadMeasures
    """
    x = coarse.signal
    high, low = x.max(axis=-1), x.min(axis=-1)
    size = np.maximum(np.abs(high), np.abs(low))
    tolerance = np.maximum(_STILL * size, _STILL_MV)[..., None]
    flat = np.maximum(_still(x, tolerance, coarse.rate), coarse.missing)
    bins = _bins(_bend(x))
    noise, middle, burst = _levels(bins, coarse.rate)
    at_beats, missing = _activity_at_beats(bins, middle, coarse)
    unlike, worst, amplitude = _beat_shapes(coarse)
    return LeadMeasures(
        flat,
        np.where(flat > 0.99, 0, _clipped(signal, fs)).astype(np.float32),
        _powerline(signal, fs, x.var(axis=-1)),
        _baseline(x, coarse.rate),
        noise,
        burst,
        bins.max(axis=-1) / np.maximum(at_beats, _LEAST),
        missing,
        unlike,
        worst,
        np.where(np.isnan(amplitude), high - low, amplitude),
        high - low,
    )


def _still(x: NDArray, tolerance: NDArray, rate: float) -> NDArray[np.float32]:
    """Return the share of stretches in which a lead keeps one value."""
    length = max(2, round(_STILL_S * rate))
    changes = np.abs(x[..., 1:] - x[..., :-1]) > tolerance
    n_stretches = max(1, changes.shape[-1] // length)
    cut = changes[..., : n_stretches * length].reshape(*x.shape[:2], n_stretches, -1)
    return np.asarray(1 - cut.any(axis=-1).mean(axis=-1), dtype=np.float32)


def _clipped(x: NDArray[np.float32], fs: float) -> NDArray[np.float32]:
    """Return the share of samples at a limit of the lead.

    Heartbeats pass their largest value within a sample or two, and are longer just below it. What is cut off at a limit
    stays there, and hardly has values next to it.
    """
    share = np.zeros(x.shape[:2], np.float32)
    least, stretch = max(_AT_LIMIT, _AT_LIMIT_S * fs), _ONE_STRETCH_S * fs
    high, low = x.max(axis=-1), x.min(axis=-1)
    tolerance = np.maximum(_STILL * np.maximum(np.abs(high), np.abs(low)), _STILL_MV)
    for limit, at in ((high, x >= (high - tolerance)[..., None]), (low, x <= (low + tolerance)[..., None])):
        n_at = np.count_nonzero(at, axis=-1)
        # A padded record keeps the value 0, which is no limit.
        for lead in zip(*np.nonzero((n_at >= least) & (n_at < x.shape[-1]) & (limit != 0)), strict=True):
            own = at[lead]
            comes_back = own[0] + np.count_nonzero(own[1:] & ~own[:-1]) > 1
            away = np.abs(x[lead] - limit[lead])[~own]
            near = np.clip(_NEAR_STEPS * away.min(), *(_NEAR * (high[lead] - low[lead])))
            if (comes_back or n_at[lead] >= stretch) and n_at[lead] > np.count_nonzero(away <= near):
                share[lead] += n_at[lead] / len(own)
    return share


def _powerline(signal: NDArray[np.float32], fs: float, power: NDArray) -> NDArray[np.float32]:
    """Return the share of the power at the mains' frequency, beyond that beside it."""
    if fs < 2.1 * _HUM[1]:
        return np.full(signal.shape[:2], np.nan, np.float32)
    length = round(_SEGMENT_S * fs)
    n_segments = signal.shape[-1] // length
    frequencies = np.array([*_HUM, *(f for f in _BESIDE if 2.1 * f < fs)])
    phase = 2 * np.pi * np.outer(np.arange(length) / fs, frequencies)
    window = np.hanning(length + 2)[1:-1, None]
    waves = (np.concatenate([np.cos(phase), np.sin(phase)], axis=1) * window * 2 / window.sum()).astype(np.float32)
    found = signal[..., : n_segments * length].reshape(*signal.shape[:2], n_segments, length) @ waves
    parts = found[..., : len(frequencies)] ** 2 + found[..., len(frequencies) :] ** 2
    # QRS complexes have power at these frequencies, too, in a part of the segments.
    ordered = np.sort(np.ascontiguousarray(parts.swapaxes(2, 3)), axis=-1)
    squared = ordered[..., n_segments // 2] / 2
    hum = np.maximum(squared[..., :2].max(axis=-1) - squared[..., 2:].mean(axis=-1), 0)
    # `power` is that of means, which have lost a part of the hum; this one is inexact on a large offset.
    whole = np.einsum("nlt,nlt->nl", signal, signal) / signal.shape[-1] - signal.mean(axis=-1) ** 2
    return np.clip(hum / np.maximum(np.maximum(power, whole), _LEAST**2), 0, 1).astype(np.float32)


def _baseline(x: NDArray, rate: float) -> NDArray[np.float32]:
    length = max(1, round(_BASELINE_S * rate))
    n_parts = x.shape[-1] // length
    if n_parts < 3:
        return np.zeros(x.shape[:2], np.float32)
    means = x[..., : n_parts * length].reshape(*x.shape[:2], n_parts, length) @ np.full(length, 1 / length, np.float32)
    level = (means[..., 1:] + means[..., :-1]) / 2
    return np.asarray(level.max(axis=-1) - level.min(axis=-1))


def _bend(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far each sample lies from the line between its neighbours: frequencies from 15 Hz on."""
    bend = x[..., 2:] + x[..., :-2]
    bend *= np.float32(-0.5)
    bend += x[..., 1:-1]
    return np.abs(bend, out=bend)


def _bins(bend: NDArray[np.float32]) -> NDArray[np.float32]:
    n_bins = bend.shape[-1] // _BIN
    ones = np.full(_BIN, 1 / _BIN, np.float32)
    return np.asarray(bend[..., : n_bins * _BIN].reshape(*bend.shape[:2], n_bins, _BIN) @ ones)


def _levels(bins: NDArray[np.float32], rate: float) -> tuple[NDArray, NDArray, NDArray]:
    """Return the activity of calm bins, of the bins in the middle, and of the calm bins of the noisiest second."""
    ordered = np.sort(bins, axis=-1)
    noise, middle = (ordered[..., int(share * bins.shape[-1])] for share in (_CALM, 0.5))
    length = max(1, round(rate / _BIN))
    n_seconds = bins.shape[-1] // length
    if n_seconds < 2:
        return noise, middle, middle
    seconds = np.sort(bins[..., : n_seconds * length].reshape(*bins.shape[:2], n_seconds, length), axis=-1)
    return noise, middle, seconds[..., length // 2].max(axis=-1)


def _activity_at_beats(bins: NDArray, middle: NDArray, coarse: Coarse) -> tuple[NDArray, NDArray]:
    """Return the median activity of heartbeats, and the share of heartbeats with no more than there is between them."""
    # Without heartbeats, bins in the middle stand for them.
    typical = middle.copy()
    missing = np.full(middle.shape, np.nan, np.float32)
    for i, peaks in enumerate(coarse.rpeaks):
        if len(peaks):
            # The bend begins one sample later than the signal.
            centre = np.clip((peaks - 1) // _BIN, 1, bins.shape[-1] - 2)
            here = np.maximum(np.maximum(bins[i][:, centre - 1], bins[i][:, centre]), bins[i][:, centre + 1])
            typical[i] = np.sort(here, axis=1)[:, len(peaks) // 2]
            missing[i] = (here <= _MISSING * middle[i][:, None]).mean(axis=1)
    return typical, missing


def _beat_shapes(coarse: Coarse) -> tuple[NDArray, NDArray, NDArray]:
    """Return how unlike each other the heartbeats of each lead are, in the middle and at worst; QRS heights [mV]."""
    shape = coarse.signal.shape[:2]
    unlike, worst, amplitude = (np.full(shape, np.nan, np.float32) for _ in range(3))
    for i in range(shape[0]):
        beats, qrs = cut_beats(coarse, i)
        n_beats = beats.shape[-1]
        if n_beats < 3:
            continue
        beats -= beats.mean(axis=1, keepdims=True)
        median = np.sort(beats, axis=-1)[..., n_beats // 2]
        beats -= median[..., None]
        off = np.sort(np.einsum("ltb,ltb->lb", beats, beats), axis=-1)
        own = np.maximum(np.einsum("lt,lt->l", median, median), _LEAST**2)
        unlike[i], worst[i] = off[:, n_beats // 2] / own, off[:, int(0.85 * n_beats)] / own
        part = median[:, qrs]
        amplitude[i] = part.max(axis=-1) - part.min(axis=-1)
    return unlike, worst, amplitude
