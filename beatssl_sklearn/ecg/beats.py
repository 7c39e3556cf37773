"""Beats: windows around R peaks.

One border rule holds everywhere: a beat counts only if its whole window ``[R - before, R + after)`` lies inside the
record. Nothing is padded, so that every window holds measured samples only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

__all__ = ["BEAT_WINDOW", "as_objects", "as_rpeaks", "beat_windows", "keep_inside", "window_samples"]

BEAT_WINDOW = (0.25, 0.45)
"""Time before and after the R peak [s]."""


def window_samples(fs: float, beat_window: tuple[float, float] = BEAT_WINDOW) -> tuple[int, int]:
    """Return how many samples a beat window has before and after the R peak.

    Parameters
    ----------
    fs : float
        Sampling rate [Hz].
    beat_window : tuple of two floats, default=(.25, .45)
        Time before and after the R peak [s].

    Returns
    -------
    n_before, n_after : int
        The window of the beat at sample ``r`` is ``[r - n_before, r + n_after)``.

    Raises
    ------
    ValueError
        If `fs` is not positive and finite, if `beat_window` is not two non-negative times, or if the window holds no
        sample.
    """
    if not np.isfinite(fs) or fs <= 0:
        raise ValueError(f"fs must be a positive, finite rate in Hz; got {fs!r}.")
    times = np.asarray(beat_window, dtype=np.float64)
    if times.shape != (2,) or not np.isfinite(times).all() or (times < 0).any():
        raise ValueError(f"beat_window must be two non-negative times in seconds; got {beat_window!r}.")
    n_before, n_after = (int(round(t * fs)) for t in times)
    if n_before + n_after < 1:
        raise ValueError(f"beat_window={beat_window!r} holds no sample at fs={fs!r} Hz.")
    return n_before, n_after


def keep_inside(
    rpeaks: ArrayLike, n_times: int, fs: float, beat_window: tuple[float, float] = BEAT_WINDOW
) -> NDArray[np.int64]:
    """Keep the R peaks of one record whose window lies inside the record.

    Parameters
    ----------
    rpeaks : array-like of int, shape (n_rpeaks,)
        Sample indices at `fs`.
    n_times : int
        Length of the record [samples].
    fs : float
        Sampling rate [Hz].
    beat_window : tuple of two floats, default=(.25, .45)
        Time before and after the R peak [s].

    Returns
    -------
    rpeaks : ndarray of int64, shape (n_beats,)
        In the order given; shape ``(0,)`` if no beat fits.

    Raises
    ------
    ValueError, TypeError
        If `rpeaks` is not a 1-D array of integers, and as in `window_samples`.
    """
    n_before, n_after = window_samples(fs, beat_window)
    r = as_rpeaks(rpeaks)
    return r[(r >= n_before) & (r + n_after <= n_times)]


def beat_windows(
    X: ArrayLike, rpeaks: ArrayLike, fs: float, beat_window: tuple[float, float] = BEAT_WINDOW
) -> NDArray[np.float32]:
    """Cut the beats of one record; beats that reach over its border are dropped, as in `keep_inside`.

    Parameters
    ----------
    X : array-like, shape (n_leads, n_times)
        One record [mV].
    rpeaks : array-like of int, shape (n_rpeaks,)
        Sample indices at `fs`.
    fs : float
        Sampling rate [Hz].
    beat_window : tuple of two floats, default=(.25, .45)
        Time before and after the R peak [s].

    Returns
    -------
    beats : ndarray of float32, shape (n_beats, n_leads, n_samples)
        One window for each of ``keep_inside(rpeaks, ...)``; the R peak is sample ``window_samples(...)[0]``.

    Raises
    ------
    ValueError, TypeError
        If `X` is not 2-D, and as in `keep_inside`.
    """
    x = np.asarray(X, dtype=np.float32)
    if x.ndim != 2:
        raise ValueError(f"X must be one record of shape (n_leads, n_times); got shape {x.shape}.")
    n_before, n_after = window_samples(fs, beat_window)
    r = keep_inside(rpeaks, x.shape[1], fs, beat_window)
    if r.size == 0:
        return np.empty((0, x.shape[0], n_before + n_after), dtype=np.float32)
    windows = sliding_window_view(x, n_before + n_after, axis=1)
    return np.ascontiguousarray(windows[:, r - n_before].swapaxes(0, 1))


def as_rpeaks(rpeaks: ArrayLike) -> NDArray[np.int64]:
    """Return the R peaks of one record as int64.

    Parameters
    ----------
    rpeaks : array-like of int, shape (n_rpeaks,)

    Returns
    -------
    rpeaks : ndarray of int64, shape (n_rpeaks,)

    Raises
    ------
    ValueError
        If `rpeaks` is not 1-D.
    TypeError
        If `rpeaks` does not hold integers (an empty array may have any dtype).
    """
    r = np.asarray(rpeaks)
    if r.ndim != 1:
        raise ValueError(f"rpeaks must be a 1-D array of sample indices for one record; got shape {r.shape}.")
    if r.size and not np.issubdtype(r.dtype, np.integer):
        raise TypeError(f"rpeaks must hold integer sample indices; got dtype {r.dtype}.")
    return r.astype(np.int64)


def as_objects(arrays: Sequence[NDArray]) -> NDArray[np.object_]:
    """Return an object array that holds each array as one element; `numpy.array` would stack arrays of one shape."""
    out = np.empty(len(arrays), dtype=object)
    for i, array in enumerate(arrays):
        out[i] = array
    return out
