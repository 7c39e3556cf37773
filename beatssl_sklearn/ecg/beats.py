"""Windows around R peaks, and ragged beats as one flat array and a length per record.

One border rule holds everywhere: a beat is used when its whole window ``[R - before, R + after)`` lies inside the
record, and dropped otherwise. Nothing is padded, so every window holds measured samples only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

__all__ = ["BEAT_WINDOW", "beat_windows", "flatten", "keep_inside", "split", "window_samples"]

BEAT_WINDOW = (0.25, 0.45)


def window_samples(fs: float, beat_window: tuple[float, float] = BEAT_WINDOW) -> tuple[int, int]:
    """Samples before and after the R peak that a beat window spans.

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
        If `fs` is not positive and finite, or `beat_window` is not two non-negative times that make at least
        one sample.
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
    """R peaks of one record whose window lies inside the record.

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
        In the order given; shape ``(0,)`` where no beat fits.

    Raises
    ------
    ValueError, TypeError
        If `rpeaks` is not a 1-D array of integers, or as `window_samples` raises.
    """
    n_before, n_after = window_samples(fs, beat_window)
    r = as_rpeaks(rpeaks)
    return r[(r >= n_before) & (r + n_after <= n_times)]


def beat_windows(
    X: ArrayLike, rpeaks: ArrayLike, fs: float, beat_window: tuple[float, float] = BEAT_WINDOW
) -> NDArray[np.float32]:
    """Cut the beats of one record; those that the border cuts are dropped, as `keep_inside` does.

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
        If `X` is not 2-D, or as `keep_inside` raises.
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


def flatten(arrays: Sequence[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Join one array per record into a flat array and the number of rows of each record.

    Parameters
    ----------
    arrays : sequence of ndarray, each of shape (n_beats_i, ...)
        All dimensions but the first must agree.

    Returns
    -------
    flat : ndarray, shape (sum of n_beats_i, ...)
    lengths : ndarray of int64, shape (n_records,)

    Raises
    ------
    ValueError
        If the trailing shapes differ (the first record that differs is named).
    """
    rows = [np.asarray(a) for a in arrays]
    for i, a in enumerate(rows):
        if a.ndim == 0 or a.shape[1:] != rows[0].shape[1:]:
            raise ValueError(f"record {i}: shape {a.shape} does not match record 0's {rows[0].shape}.")
    lengths = np.array([len(a) for a in rows], dtype=np.int64)
    return (np.concatenate(rows) if rows else np.empty(0)), lengths


def split(flat: ArrayLike, lengths: ArrayLike) -> list[NDArray[Any]]:
    """Undo `flatten`: one view per record.

    Parameters
    ----------
    flat : array-like, shape (n_rows, ...)
    lengths : array-like of int, shape (n_records,)

    Returns
    -------
    arrays : list of ndarray, each of shape (lengths[i], ...)

    Raises
    ------
    ValueError
        If a length is negative or the lengths do not sum to the number of rows.
    """
    rows, n = np.asarray(flat), np.asarray(lengths, dtype=np.int64)
    if n.ndim != 1 or (n < 0).any() or n.sum() != len(rows):
        raise ValueError(f"lengths must be non-negative and sum to the {len(rows)} rows of flat; got {lengths!r}.")
    return np.split(rows, np.cumsum(n)[:-1]) if n.size else []


def as_rpeaks(rpeaks: ArrayLike) -> NDArray[np.int64]:
    """R peaks of one record as 1-D int64, or an error that says what is wrong with them.

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
    """Return arrays as the elements of an object array, also where their shapes are equal."""
    out = np.empty(len(arrays), dtype=object)
    for i, array in enumerate(arrays):
        out[i] = array
    return out
