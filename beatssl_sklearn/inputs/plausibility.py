"""Warnings about signals that cannot be what they should be: scale and rate."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from .._optional import find_stack_level

# Root mean square of a record [mV]: the largest of 20,000 real ones is 2 mV.
_IMPLAUSIBLE_MV = 5.0
# Median RR interval [s] of a group of patients, healthy or ill: 40 to 133 beats per minute.
_PLAUSIBLE_RR, _ENOUGH_RECORDS = (0.45, 1.5), 5


def root_mean_square(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the root mean square of records (n_records, n_leads, n_times) over the leads that vary [mV]."""
    with np.errstate(over="ignore", invalid="ignore"):
        known = signal if np.isfinite(signal).all() else np.nan_to_num(signal)
        # Of one lead after the other, without a copy of the signals.
        power = known.var(axis=-1)
    varying = power > 0
    mean = np.where(varying, power, 0).sum(axis=1) / np.maximum(varying.sum(axis=1), 1)
    return np.sqrt(mean).astype(np.float32)


def warn_about_units(index: NDArray, scale: NDArray) -> None:
    """Warn of records whose root mean square [mV] cannot be one."""
    huge = index[~(scale <= _IMPLAUSIBLE_MV)]
    if len(huge):
        warnings.warn(
            f"{_listed(huge)}: root mean square above {_IMPLAUSIBLE_MV:g} mV; are these microvolts or ADC counts?",
            UserWarning,
            stacklevel=find_stack_level(),
        )


def warn_about_scale(index: NDArray, scale: NDArray) -> None:
    """Warn of records that are flat, or whose amplitude cannot be in mV."""
    flat = index[scale == 0]
    if len(flat):
        warnings.warn(f"{_listed(flat)}: no lead varies (flat signal)", UserWarning, stacklevel=find_stack_level())
    warn_about_units(index, scale)


def warn_about_rate(rr: NDArray) -> None:
    """Warn where the hearts of some records would beat at a rate that no group of patients has: `fs` may be wrong.

    `rr` holds the median RR interval of each record [s], NaN where there are not two beats.
    """
    known = rr[np.isfinite(rr)]
    if len(known) < _ENOUGH_RECORDS or _PLAUSIBLE_RR[0] <= (median := float(np.median(known))) <= _PLAUSIBLE_RR[1]:
        return
    side = "above" if median < 1 else "below"
    warnings.warn(
        f"half of the records would have a heart rate {side} {60 / median:.0f}/min: is fs the sampling rate of X?",
        UserWarning,
        stacklevel=find_stack_level(),
    )


def _listed(index: NDArray) -> str:
    shown = ", ".join(str(int(i)) for i in index[:10])
    return f"record{'s' if len(index) > 1 else ''} {shown}{' and others' if len(index) > 10 else ''}"
