"""Records with what is measured of them: the leads, and the heartbeats of all leads together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..ecg.preprocess import check_fs
from .coarse import Coarse, coarsen, without_gaps
from .lead_measures import LeadMeasures, lead_measures

# Records that are measured at once: so many fit the fast memory of a processor.
CHUNK = 32


class Measured(NamedTuple):
    """Measures of some records.

    Attributes
    ----------
    leads : LeadMeasures
        Of each lead, of shape (n_records, n_leads).
    n_beats : ndarray of int64, shape (n_records,)
        R peaks of all leads together.
    heart_rate : ndarray of shape (n_records,)
        60 / median RR interval [1/min]; NaN with fewer than two R peaks.
    """

    leads: LeadMeasures
    n_beats: NDArray[np.int64]
    heart_rate: NDArray[np.float64]


def measure_quality(X: ArrayLike, fs: float) -> Measured:
    """Measure records of one length and rate.

    Parameters
    ----------
    X : array-like of shape (n_records, n_leads, n_times)
        Signals [mV]; NaN is missing.
    fs : float
        Sampling rate [Hz].

    Returns
    -------
    Measured
        Of all records.

    Raises
    ------
    ValueError
        If X has another number of dimensions, or `fs` is out of range.
    """
    fs = check_fs(fs)
    signal = np.asarray(X, dtype=np.float32)
    if signal.ndim != 3 or 0 in signal.shape:
        raise ValueError(f"X must have shape (n_records, n_leads, n_times), got {signal.shape}")
    return joined([measure_chunk(signal[i : i + CHUNK], fs)[0] for i in range(0, len(signal), CHUNK)])


def measure_chunk(signal: NDArray[np.float32], fs: float) -> tuple[Measured, Coarse]:
    """Measure some records, and return them at a coarse rate, too."""
    filled, missing = without_gaps(signal)
    coarse = coarsen(filled, fs, missing)
    n_beats = np.array([len(r) for r in coarse.rpeaks], dtype=np.int64)
    rates = [60 * coarse.rate / max(1.0, _median(np.diff(r))) if len(r) > 1 else np.nan for r in coarse.rpeaks]
    return Measured(lead_measures(coarse, filled, fs), n_beats, np.array(rates)), coarse


def joined(parts: list[Measured]) -> Measured:
    """Join measures of records with the same number of leads."""
    leads = LeadMeasures(*(np.concatenate(own) for own in zip(*(p.leads for p in parts), strict=True)))
    return Measured(leads, np.concatenate([p.n_beats for p in parts]), np.concatenate([p.heart_rate for p in parts]))


def _median(values: NDArray[np.int64]) -> float:
    return float(np.sort(values)[len(values) // 2])
