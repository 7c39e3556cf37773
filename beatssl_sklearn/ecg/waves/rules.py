"""The parameters by which `find_waves` decides, checked and in samples."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["LABEL_P", "LABEL_QRS", "LABEL_T", "USUAL_LIMITS", "WAVES", "Rules", "checked_rules"]

WAVES = ("P", "QRS", "T")
"""Names of the labels 1, 2 and 3; label 0 is the background."""

USUAL_LIMITS = (0.1, 0.5, 0.5)
"""Least probability that a P, QRS or T is right, of waves that are kept where confidences are calibrated.

On LUDB any limit of P from .1 to .5 has the same F1. Other records' P waves are harder, and losing all is worse.
"""

LABEL_P, LABEL_QRS, LABEL_T = 1, 2, 3
_MIN_SAMPLES = 3  # an onset, a peak and an offset
_SMOOTHING = 0.015  # [s] to each side: P and T are wide enough for it, and their peaks are less noisy


class Rules(NamedTuple):
    """The parameters of `find_waves`, in samples."""

    fs: float
    max_gap: float
    min_length: NDArray[np.float64]
    min_confidence: NDArray[np.float64]
    refractory: float
    p_blanking: float
    smoothing: int
    r_wave: bool
    border_window: int
    need_qrs: bool
    sure_p: tuple[float, float] | None
    steady_p: float | None


def checked_rules(
    fs: float,
    *,
    max_gap: float,
    min_duration: Sequence[float],
    min_confidence: float | Sequence[float],
    refractory: float,
    p_blanking: float,
    qrs_peak: str,
    border_window: float,
    need_qrs: bool,
    sure_p: tuple[float, float] | None,
    steady_p: float | None,
) -> Rules:
    """Check the parameters of `find_waves`, and bring them to samples.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter and its value.
    """
    if _number("fs", fs) <= 0:
        raise ValueError(f"fs must be a positive, finite rate in Hz; got {fs!r}.")
    durations = _numbers("min_duration", min_duration)
    if durations.shape != (len(WAVES),) or not (np.isfinite(durations) & (durations >= 0)).all():
        raise ValueError(f"min_duration must be non-negative times in seconds of P, QRS and T; got {min_duration!r}.")
    confidences = _numbers("min_confidence", min_confidence)
    if confidences.shape not in ((), (len(WAVES),)) or not (np.isfinite(confidences) & (confidences >= 0)).all():
        raise ValueError(
            f"min_confidence must be non-negative and finite, one number or those of P, QRS and T; got "
            f"{min_confidence!r}."
        )
    others = {"max_gap": max_gap, "refractory": refractory, "p_blanking": p_blanking}
    others["border_window"] = border_window
    for name, value in others.items():
        if _number(name, value) < 0:
            raise ValueError(f"{name} must be non-negative and finite; got {value!r}.")
    if sure_p is not None:
        shares = _numbers("sure_p", sure_p)
        if shares.shape != (2,) or not ((shares >= 0) & (shares <= 1)).all():
            raise ValueError(f"sure_p must be a confidence and a share from 0 to 1, or None; got {sure_p!r}.")
    if steady_p is not None and not 0 <= _number("steady_p", steady_p) <= 1:
        raise ValueError(f"steady_p must be a share from 0 to 1, or None; got {steady_p!r}.")
    if qrs_peak not in ("largest", "r"):
        raise ValueError(f"qrs_peak must be 'largest' or 'r'; got {qrs_peak!r}.")
    # A hair less, so that .07 s is 7 samples at 100 Hz whatever the rounding of the product.
    gap, dead, blank = (time * fs - 1e-6 for time in (max_gap, refractory, p_blanking))
    min_length = np.append(0.0, np.maximum(durations * fs - 1e-6, _MIN_SAMPLES))
    smoothing, window = int(_SMOOTHING * fs), round(border_window * fs)
    least = np.append(0.0, np.broadcast_to(confidences, len(WAVES)))
    r_wave = qrs_peak == "r"
    return Rules(fs, gap, min_length, least, dead, blank, smoothing, r_wave, window, need_qrs, sure_p, steady_p)


def _number(name: str, value: Any) -> float:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number; got {value!r:.80}.")
    if not np.isfinite(float(value)):
        raise ValueError(f"{name} must be non-negative and finite; got {value!r}.")
    return float(value)


def _numbers(name: str, values: Any) -> NDArray[np.float64]:
    """Return a number, or a sequence of them."""
    try:
        given = np.asarray(values)
    except ValueError:
        given = np.asarray(None)
    if given.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be numbers; got {values!r:.80}.")
    return given.astype(np.float64)
