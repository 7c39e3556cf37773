"""The middle of the QRS: a place of a heartbeat that a detector and an expert agree on.

A detector and an expert mark a beat at different places, above all a wide one: at its largest peak, its first one, or
where the slope is steepest. What is measured from the mark then depends on who set it. The centre of the slopes of the
QRS does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter1d

from .matching import as_positions
from .waves.table import check_rate

__all__ = ["GRID_HZ", "centre_of_slopes", "qrs_middles", "windows_at"]

# Beats are read at this rate [Hz].
GRID_HZ = 250.0
# Around the mark [s].
_BEFORE, _AFTER = 0.2, 0.3
# Farthest the middle may be from the mark [s].
_EARLIEST, _LATEST = -0.15, 0.2
# Widths of the windows that the centre is taken in, one after the other [s].
_WIDTHS = (0.15, 0.12, 0.12)
# Samples are averaged over this time [s]: slopes of noise and hum are not those of a QRS.
_SMOOTHED = 1 / 60


def qrs_middles(signal: ArrayLike, rpeaks: ArrayLike, fs: float) -> NDArray[np.float64]:
    """Return the middle of the QRS of each beat of one record.

    Parameters
    ----------
    signal : array-like of shape (n_leads, n_times)
        One record, in any unit, the same for all leads. NaN counts as 0.
    rpeaks : array-like of shape (n_beats,)
        R peaks, or other marks near the QRS [samples].
    fs : float
        Sampling rate [Hz].

    Returns
    -------
    ndarray (n_beats,) float64
        Centre of the squared slopes of all leads, within about 60 ms around itself [samples, with fractions]. It
        follows from .5 s around the mark alone, and is the mark where there is no signal. Marks that differ by 30 ms
        have the same middle to about 1 ms; the farthest that it may be from the mark is .2 s.

    Raises
    ------
    ValueError
        If the signal is not (n_leads, n_times), positions are not finite or lie outside, or `fs` is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from beatssl_sklearn import make_ecg
    >>> from beatssl_sklearn.ecg import qrs_middles
    >>> ecg = make_ecg(1, fs=250, random_state=0)
    >>> here, beside = (qrs_middles(ecg.data[0], ecg.rpeaks[0] + shift, fs=250) for shift in (0, 5))
    >>> bool(np.abs(here - beside).max() < 1)
    True
    """
    samples = np.asarray(signal)
    if samples.ndim != 2:
        raise ValueError(f"signal must be (n_leads, n_times), got {samples.shape}")
    check_rate(fs)
    at = as_positions(rpeaks, "rpeaks").astype(np.float64)
    if len(at) and not (at.min() >= 0 and at.max() < samples.shape[1]):
        raise ValueError(f"rpeaks must lie within the {samples.shape[1]} samples of the signal, got {rpeaks!r:.80}")
    if not len(at):
        return at
    known = np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    smooth = uniform_filter1d(known, max(1, round(_SMOOTHED * fs)), axis=1, mode="nearest")
    slopes = np.diff(windows_at(smooth, at, fs, _BEFORE, _AFTER), axis=2)
    steepness = (slopes / np.maximum(np.abs(slopes).max(axis=(1, 2), keepdims=True), 1e-12)) ** 2
    times = ((np.arange(steepness.shape[2]) + 0.5) / GRID_HZ - _BEFORE).astype(np.float32)
    return at + centre_of_slopes(steepness.sum(axis=1), times, 5) * fs


def windows_at(
    signal: NDArray[np.float32], at: NDArray[Any], fs: float, before: float, after: float
) -> NDArray[np.float32]:
    """Return the signal around positions at 250 Hz, (n_beats, n_leads, n_samples), by straight lines."""
    times = np.arange(-round(before * GRID_HZ), round(after * GRID_HZ) + 1) * (fs / GRID_HZ)
    where = np.clip(at[:, None] + times, 0, signal.shape[1] - 1.001)
    whole = where.astype(np.int64)
    part = (where - whole).astype(np.float32)
    return np.stack([lead[whole] * (1 - part) + lead[whole + 1] * part for lead in signal], axis=1)


def centre_of_slopes(steepness: NDArray[Any], times: NDArray[Any], rounds: int = 3) -> NDArray[np.float32]:
    """Return the centre of the squared slopes of each beat [s], near its mark.

    Parameters
    ----------
    steepness : ndarray (n_beats, n_samples)
        Squared slopes.
    times : ndarray (n_samples,)
        Time after the mark [s].
    rounds : int, default=3
        How often the window moves to the centre that it found.
    """
    middle = np.zeros(len(steepness), dtype=np.float32)
    for k in range(rounds):
        width = _WIDTHS[min(k, len(_WIDTHS) - 1)]
        near = steepness * np.exp(-0.5 * ((times - middle[:, None]) / (width / 2)) ** 2)
        middle = np.clip((near * times).sum(axis=1) / (near.sum(axis=1) + 1e-9), _EARLIEST, _LATEST)
    return middle
