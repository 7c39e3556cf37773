"""Records at about 100 samples per second, on which quality and leads are judged."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ecg.rpeaks import detect_rpeaks

_RATE = 100.0
# Seconds before and after an R peak, and on either side of it for the QRS complex.
_BEAT_S, _QRS_S = (0.25, 0.4), 0.06
# Heartbeats of a record that are looked at.
_MOST_BEATS = 12


class Coarse(NamedTuple):
    """Records at a coarse rate.

    Attributes
    ----------
    signal : ndarray of float32, shape (n_records, n_leads, n_coarse)
        Means of `block` samples [mV], without the mean of each lead.
    rate : float
        [Hz].
    block : int
        Samples in a coarse one.
    rpeaks : list of int64 arrays
        R peaks of each record, in coarse samples.
    missing : ndarray of shape (n_records, n_leads)
        Share of the samples that are missing.
    """

    signal: NDArray[np.float32]
    rate: float
    block: int
    rpeaks: list[NDArray[np.int64]]
    missing: NDArray[np.float32]


def without_gaps(signal: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return signals with the mean of their lead in place of missing samples, and the share of these in each lead."""
    if np.isfinite(signal.sum()):
        return signal, np.zeros(signal.shape[:2], np.float32)
    gone = np.isnan(signal)
    known = np.maximum((~gone).sum(axis=-1, keepdims=True), 1)
    filled = np.where(gone, 0, signal)
    mean = filled.sum(axis=-1, keepdims=True, dtype=np.float64) / known
    return np.where(gone, mean, filled).astype(np.float32), gone.mean(axis=-1).astype(np.float32)


def coarsen(
    signal: NDArray[np.float32],
    fs: float,
    missing: NDArray[np.float32],
    rpeaks: list[NDArray[np.int64]] | None = None,
) -> Coarse:
    """Bring records to a coarse rate and find their R peaks.

    Parameters
    ----------
    signal : ndarray of shape (n_records, n_leads, n_times)
        [mV], without missing samples.
    fs : float
        [Hz].
    missing : ndarray of shape (n_records, n_leads)
        Share of the samples that were missing.
    rpeaks : list of int64 arrays, default=None
        R peaks of each record [samples]; None finds them.

    Returns
    -------
    Coarse
        Of the same records.
    """
    block = max(1, round(fs / _RATE))
    n_coarse = signal.shape[-1] // block
    parts = signal[..., : n_coarse * block].reshape(*signal.shape[:2], n_coarse, block)
    x = parts @ np.full(block, 1 / block, np.float32) if block > 1 else signal.copy()
    x -= x.mean(axis=-1, keepdims=True)
    if rpeaks is None:
        rpeaks = detect_rpeaks(signal, fs)
    return Coarse(x, fs / block, block, [np.minimum(r // block, n_coarse - 1) for r in rpeaks], missing)


def cut_beats(coarse: Coarse, record: int) -> tuple[NDArray[np.float32], slice]:
    """Return heartbeats (n_leads, n_samples, n_beats) of a record, and where in them the QRS complex is."""
    before, after, qrs = (round(s * coarse.rate) for s in (*_BEAT_S, _QRS_S))
    signal, peaks = coarse.signal[record], coarse.rpeaks[record]
    inside = peaks[(peaks >= before) & (peaks + after < signal.shape[1])]
    if len(inside) > _MOST_BEATS:
        inside = inside[np.linspace(0, len(inside) - 1, _MOST_BEATS).astype(np.int64)]
    at = np.arange(-before, after)[:, None] + inside
    return signal.take(at, axis=1), slice(before - qrs, before + qrs + 1)
