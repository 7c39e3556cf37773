"""Signals as int16 with a step per lead."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import NDArray

MISSING = -32768
"""Stands for a missing sample."""
_LARGEST = 32767
# Signals that an ADC counted in whole microvolts, or in multiples of them, are kept as they are.
_MICROVOLT = np.float32(0.001)
# Between them is every ADC; a wave of 1 mV is nothing but zeros in larger steps.
_SMALLEST_STEP, _LARGEST_STEP = 1e-9, 1.0


def quantize(signal: NDArray, step: float | None = None) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Return a signal as integers and the step of each lead.

    Parameters
    ----------
    signal : ndarray (n_leads, n_times)
        Signal [mV], NaN where a sample is missing.
    step : float, default=None
        Step [mV] of all leads. None takes 1 µV for a lead that consists of whole microvolts, and for others the
        smallest step that its largest value allows.

    Returns
    -------
    digital : ndarray of int16 (n_leads, n_times)
        `MISSING` where a sample is missing.
    steps : ndarray of float32 (n_leads,)
        Steps [mV]; 0 for a lead without a known sample.

    Raises
    ------
    ValueError
        If a sample is infinite, or the step is too small for one.
    """
    signal = np.asarray(signal, dtype=np.float64)
    known = np.isfinite(signal)
    if np.isinf(signal).any():
        raise ValueError("a sample is infinite; missing samples are NaN")
    largest = np.max(np.abs(signal), axis=1, where=known, initial=0.0)
    if step is None:
        # The smallest number that float32 can divide by without losing digits.
        steps = np.maximum(np.nextafter((largest / _LARGEST).astype(np.float32), np.float32(np.inf)), np.float32(1e-30))
        counts = np.where(known, signal / 0.001, 0.0)
        whole = (np.abs(counts - np.rint(counts)).max(axis=1) < 1e-2) & (largest <= _LARGEST * 0.001)
        steps = np.where(whole, _MICROVOLT, steps)
    else:
        steps = np.full(len(signal), step, dtype=np.float32)
        if (lead := int(largest.argmax())) >= 0 and largest[lead] > _LARGEST * float(steps[lead]):
            raise ValueError(f"step={step:g} mV is too small for a sample of {largest[lead]:g} mV")
    digital = np.rint(np.where(known, signal, 0.0) / steps.astype(np.float64)[:, None])
    digital = np.where(known, np.clip(digital, -_LARGEST, _LARGEST), MISSING).astype(np.int16)
    return digital, np.where(known.any(axis=1), steps, np.float32(0.0)).astype(np.float32)


def check_step(step: float | None) -> float | None:
    """Return a step [mV] as a float.

    Raises
    ------
    TypeError, ValueError
        If it is no number, or one with which no ECG would be left.
    """
    if step is None:
        return None
    if isinstance(step, (bool, np.bool_)) or not isinstance(step, Real):
        raise TypeError(f"step must be a number [mV] or None, got {step!r:.60}")
    if not _SMALLEST_STEP <= step <= _LARGEST_STEP:
        raise ValueError(f"step must lie between {_SMALLEST_STEP:g} and {_LARGEST_STEP:g} mV, or be None, got {step!r}")
    return float(step)


def restore(digital: NDArray[np.int16], steps: NDArray[np.float32], out: NDArray[np.float32]) -> bool:
    """Write the signal [mV] of a record to `out` (n_leads, n_times); return whether samples are missing."""
    out[...] = digital
    out *= steps[:, None]
    # Most records lack nothing: a minimum is a tenth of the time of a comparison.
    lacks = bool(digital.min() == MISSING)
    if lacks:
        out[digital == MISSING] = np.nan
    return lacks
