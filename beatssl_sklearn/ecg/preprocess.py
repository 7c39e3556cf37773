"""Resampling, baseline and scale of signals.

`fit` and `transform` call the same function, so that preprocessing cannot differ between training and use.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin

from .leads import place_leads

FS_RANGE = (50.0, 2000.0)
# A lead that varies less than this share of its offset is a constant with rounding noise.
_FLAT = 2e-6
# Typical root mean square of a 12-lead ECG [mV]: the unit of "absolute" amplitudes.
UNIT_MV = 0.2
# In this range, in units of `UNIT_MV`, amplitudes stay as they are; other records are scaled to its nearer end.
_KEPT = (0.1, 10.0)
AMPLITUDES = ("absolute", "relative")
# The anti-aliasing filter of scipy.signal.resample_poly: 10 zero crossings on each side, Kaiser window.
_ZERO_CROSSINGS = 10
_KAISER = 5.0


class Preprocessed(NamedTuple):
    """Signals in the form that a network reads."""

    signal: NDArray[np.float32]
    """Scaled signals without offset (n_records, n_times, 12); absent and flat leads are 0."""
    present: NDArray[np.bool_]
    """Leads that are given and not flat (n_records, 12)."""
    scale: NDArray[np.float32]
    """Root mean square of the record [mV] (n_records,); 0 if the record is flat."""


def check_fs(fs: object, name: str = "fs") -> float:
    """Return a sampling rate as a float.

    Raises
    ------
    TypeError
        If it is not a real number.
    ValueError
        If it lies outside 50-2000 Hz.
    """
    if isinstance(fs, bool) or not isinstance(fs, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a sampling rate in Hz, got {fs!r}")
    if not FS_RANGE[0] <= float(fs) <= FS_RANGE[1]:
        raise ValueError(f"{name} must lie between {FS_RANGE[0]:g} and {FS_RANGE[1]:g} Hz, got {fs!r}")
    return float(fs)


def resampling_ratio(fs: float, fs_model: float) -> tuple[int, int]:
    """Return (up, down), the fraction that is nearest to `fs_model / fs` (exact for the usual rates)."""
    ratio = Fraction(fs_model / fs).limit_denominator(512)
    return ratio.numerator, ratio.denominator


@lru_cache(maxsize=32)
def _block_filter(up: int, down: int) -> tuple[NDArray[np.float32], int]:
    """Return the resampling filter as a matrix that maps a block of input samples to a block of output samples.

    Returns
    -------
    matrix : ndarray (n_in + 2 * margin, n_out)
        Column k holds the filter's taps for output sample k of a block.
    margin : int
        Further input samples that a block needs on each side.
    """
    half = _ZERO_CROSSINGS * max(up, down)
    taps = firwin(2 * half + 1, 1.0 / max(up, down), window=("kaiser", _KAISER)) * up
    margin = half // up + 1
    n_blocks = max(1, ceil(max(32 / up, 2 * margin / down)))
    n_in, n_out = n_blocks * down, n_blocks * up
    sample = np.arange(-margin, n_in + margin)[:, None]
    tap = np.arange(n_out)[None, :] * down - sample * up + half
    inside = (tap >= 0) & (tap <= 2 * half)
    matrix = np.where(inside, taps[np.clip(tap, 0, 2 * half)], 0.0)
    # Every column sums to 1, so that a flat lead stays flat.
    return np.ascontiguousarray(matrix / matrix.sum(axis=0), dtype=np.float32), margin


def resample(X: NDArray, fs: float, fs_model: float) -> NDArray[np.float32]:
    """Resample signals with the polyphase filter of `scipy.signal.resample_poly`, as matrix products.

    One matrix filters a block of samples, so that two matrix products do the work without a copy in another order.
    This is several times faster than a filter that runs sample by sample.

    Parameters
    ----------
    X : array (..., n_times)
        Signals. Beyond its ends a signal continues with its first and last value.
    fs, fs_model : float
        Sampling rate of `X` and of the result [Hz].

    Returns
    -------
    ndarray (..., ceil(n_times * fs_model / fs)) float32
        The same signals at the rate `fs_model`.
    """
    X = np.asarray(X)
    up, down = resampling_ratio(fs, fs_model)
    n_times = X.shape[-1]
    if up == down:
        return np.asarray(X, dtype=np.float32)
    matrix, margin = _block_filter(up, down)
    n_in, n_out = len(matrix) - 2 * margin, matrix.shape[1]
    n_blocks = ceil(n_times / n_in)
    padded = np.empty((*X.shape[:-1], (n_blocks + 1) * n_in), dtype=np.float32)
    padded[..., margin : margin + n_times] = X
    padded[..., :margin] = padded[..., margin : margin + 1]
    padded[..., margin + n_times :] = padded[..., margin + n_times - 1 : margin + n_times]
    # The output of a block needs its own samples and the first 2 * margin samples of the next block: two products.
    blocks = padded.reshape(-1, n_in)
    out = blocks @ matrix[:n_in]
    reached = int(np.flatnonzero(matrix[n_in:].any(axis=0))[0])
    out[:-1, reached:] += blocks[1:, : 2 * margin] @ matrix[n_in:, reached:]
    out = out.reshape(*X.shape[:-1], (n_blocks + 1) * n_out)
    return out[..., : ceil(n_times * up / down)]


def preprocess(
    X: NDArray,
    fs: float,
    fs_model: float,
    leads: tuple[str, ...] | None = None,
    amplitude: str = "absolute",
) -> Preprocessed:
    """Bring signals to the sampling rate, leads and scale of a model.

    The mean of each lead is subtracted. One number divides the whole record, so that the ratios between leads stay.
    NaN samples are missing and become 0, the baseline.

    Parameters
    ----------
    X : array (n_records, n_leads, n_times)
        Signals [mV].
    fs, fs_model : float
        Sampling rate of `X` and of the model [Hz].
    leads : tuple of str or None
        Names of the leads of `X`; None means the standard twelve in canonical order.
    amplitude : {"absolute", "relative"}
        "absolute": in units of .2 mV, so that a model can see high and low voltage, which many diagnoses need. Records
        with a root mean square below .02 mV or above 2 mV are scaled to these bounds. "relative": in units of the
        record's root mean square over the leads that carry a signal, so that gain and unit of `X` do not matter.

    Returns
    -------
    Preprocessed
        Signals (n_records, n_times_model, 12), the leads present, and the scale.
    """
    signal, present = np.asarray(X, dtype=np.float32), np.ones(12, dtype=bool)
    if leads is not None:
        signal, present = place_leads(signal, leads)
    # A gap makes the mean of its lead NaN. Gaps are filled only in this case, because it takes time.
    with np.errstate(invalid="ignore"):
        resampled = resample(signal, fs, fs_model)
        mean = resampled.mean(axis=-1)
    if not np.isfinite(mean).all():
        resampled = resample(_fill_missing(signal), fs, fs_model)
        mean = resampled.mean(axis=-1)
    centred = resampled - mean[..., None]
    power = np.einsum("nlt,nlt->nl", centred, centred) / centred.shape[-1]
    reduced = np.ones(len(power), dtype=np.float32)
    absurd = ~np.isfinite(power).all(axis=1)
    if absurd.any():
        # The squares of absurd amplitudes overflow float32: scale those records down first.
        reduced[absurd] = np.abs(centred[absurd]).max(axis=(1, 2))
        centred /= reduced[:, None, None]
        mean = mean / reduced[:, None]
        power = np.einsum("nlt,nlt->nl", centred, centred) / centred.shape[-1]
    alive = (power > (_FLAT * mean) ** 2) & present
    scale = np.sqrt(np.where(alive, power, 0).sum(axis=1) / np.maximum(alive.sum(axis=1), 1))
    gain = 1 / np.where(scale > 0, scale, 1)
    scale = (scale * reduced).astype(np.float32)
    if amplitude == "absolute":
        gain = gain * np.clip(scale / UNIT_MV, *_KEPT)
    centred *= np.where(alive, gain[:, None], 0)[..., None]
    out = np.ascontiguousarray(centred.transpose(0, 2, 1))
    return Preprocessed(out, alive, scale)


def _fill_missing(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Replace missing samples by the mean of their lead, which becomes 0 when the mean is subtracted."""
    missing = np.isnan(signal)
    known = np.maximum((~missing).sum(axis=-1, keepdims=True), 1)
    filled = np.where(missing, 0, signal)
    return np.where(missing, filled.sum(axis=-1, keepdims=True) / known, filled).astype(np.float32)
