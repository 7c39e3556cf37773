"""Warnings about signals that cannot be what they should be: scale and rate."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from .._optional import find_stack_level

_IMPLAUSIBLE_MV = 50.0
# Median RR interval [s] of a group of patients, healthy or ill: 37 to 133 beats per minute.
_PLAUSIBLE_RR, _MANY_RECORDS = (0.45, 1.6), 20


def warn_about_scale(index: NDArray, scale: NDArray) -> None:
    """Warn of records that are flat, or whose amplitude cannot be in mV."""
    flat, huge = index[scale == 0], index[scale > _IMPLAUSIBLE_MV]
    if len(flat):
        warnings.warn(f"{_listed(flat)}: no lead varies (flat signal)", UserWarning, stacklevel=find_stack_level())
    if len(huge):
        warnings.warn(
            f"{_listed(huge)}: root mean square above {_IMPLAUSIBLE_MV:g} mV; are these microvolts or ADC counts?",
            UserWarning,
            stacklevel=find_stack_level(),
        )


def warn_about_rate(rr: NDArray) -> None:
    """Warn where the hearts of many records would beat at a rate that no group of patients has: `fs` may be wrong.

    `rr` holds the median RR interval of each record [s], NaN where there are not two beats.
    """
    known = rr[np.isfinite(rr)]
    if len(known) < _MANY_RECORDS or _PLAUSIBLE_RR[0] <= (median := float(np.median(known))) <= _PLAUSIBLE_RR[1]:
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
