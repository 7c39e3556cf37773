"""Resampling, baseline and scale: what every signal goes through, in training and afterwards alike.

The same function serves `fit` and `transform`, so that preprocessing cannot differ between the two.
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
# A lead whose deviation is below this share of its offset is rounding noise around a constant, not a signal.
_FLAT = 2e-6
# Typical root mean square of a 12-lead ECG [mV]: the unit of signals that keep their amplitude.
UNIT_MV = 0.2
# Amplitudes are kept from a tenth to ten times the unit; beyond, signals are scaled back into this range.
_KEPT = (0.1, 10.0)
AMPLITUDES = ("absolute", "relative")
# The anti-aliasing filter of scipy.signal.resample_poly: 10 zero crossings a side, Kaiser window.
_ZERO_CROSSINGS = 10
_KAISER = 5.0


class Preprocessed(NamedTuple):
    """Signals as the network reads them."""

    signal: NDArray[np.float32]
    """Baseline-free, scaled signals (n_records, n_times, 12); absent and flat leads are 0."""
    present: NDArray[np.bool_]
    """Leads that are there and not flat (n_records, 12)."""
    scale: NDArray[np.float32]
    """Root mean square of the record [mV] (n_records,); 0 where the record is flat."""


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
    """Return the resampling filter as one matrix that turns a block of samples into a block of samples.

    Returns
    -------
    matrix : ndarray (n_in + 2 * margin, n_out)
        Column k holds the filter's taps of output sample k of a block.
    margin : int
        Samples that a block needs on either side.
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
    # Unit gain for a constant, whatever the phase: a flat lead stays flat.
    return np.ascontiguousarray(matrix / matrix.sum(axis=0), dtype=np.float32), margin


def resample(X: NDArray, fs: float, fs_model: float) -> NDArray[np.float32]:
    """Resample signals with the polyphase filter of `scipy.signal.resample_poly`, as matrix products.

    The filter of a block of samples is one matrix, so that the work is two products on the signals as they lie
    in memory; this is several times faster than filtering sample by sample.

    Parameters
    ----------
    X : array (..., n_times)
        Signals; continued by their first and last value beyond the ends.
    fs, fs_model : float
        Rate of `X` and the rate wanted [Hz].

    Returns
    -------
    ndarray (..., ceil(n_times * fs_model / fs)) float32
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
    # A block's outputs need its own samples and the first 2 * margin of the next block: both are plain matrices.
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
    """Bring signals to the model's rate, leads and scale.

    Each lead loses its mean, and the record is divided by one number, so that amplitude ratios between leads survive.
    Samples that are NaN count as missing and become 0, the baseline.

    Parameters
    ----------
    X : array (n_records, n_leads, n_times)
        Signals [mV].
    fs, fs_model : float
        Rate of `X` and of the model [Hz].
    leads : tuple of str or None
        Names of the leads of `X`; None takes them as the standard twelve in order.
    amplitude : {"absolute", "relative"}
        "absolute": in units of .2 mV, so that high and low voltage, which diagnoses rest on, are still seen; records
        with a root mean square below .02 mV or above 2 mV are brought to these bounds. "relative": in units of the
        record's root mean square over the leads that carry a signal, so that gain and units do not matter.

    Returns
    -------
    Preprocessed
        Signals (n_records, n_times_model, 12), the leads present, and the scale.
    """
    signal, present = np.asarray(X, dtype=np.float32), np.ones(12, dtype=bool)
    if leads is not None:
        signal, present = place_leads(signal, leads)
    # Gaps show as means that are NaN, and are filled only then.
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
        # Squares leave float32 only for absurd amplitudes: bring those records into range first.
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
    """Replace missing samples by the mean of their lead, which the baseline then turns into 0."""
    missing = np.isnan(signal)
    known = np.maximum((~missing).sum(axis=-1, keepdims=True), 1)
    filled = np.where(missing, 0, signal)
    return np.where(missing, filled.sum(axis=-1, keepdims=True) / known, filled).astype(np.float32)
