"""Mains hum for the R-peak detector: which lines a signal has, the signal without them, and pure tones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from .rpeaks_activity import Signal

_MAINS = (50.0, 60.0)  # [Hz]
_HARMONICS = (2, 3)
_SHARE, _HARMONIC_SHARE = 0.1, 0.01  # of the energy of the signal's slope, from which on a line is removed
_TONE_SHARE = 0.9  # a signal of which one line has this share is no ECG
_WIDTH = 0.6  # [Hz] of a line to each side
_SPAN = 0.4  # [s] over which amplitude and phase of a line are taken as constant
_LOWEST = 15.0  # [Hz] a line that the sampling rate folds below this lies among the waves


class Slopes:
    """Energy of the slope of signals (n_leads, n_times), all leads together, by frequency."""

    def __init__(self, x: NDArray, fs: float) -> None:
        n = x.shape[1]
        self.hertz = np.arange(n // 2 + 1) * (fs / n)
        around = (x - x.mean(axis=1, keepdims=True)).astype(np.float32, copy=False)
        amplitude = np.abs(rfft(around, axis=1)).astype(np.float64)
        self.energy = np.square(amplitude * np.sin(np.pi / fs * self.hertz)).sum(axis=0)
        self.width = max(_WIDTH, 2 * fs / n)
        self.fs = fs

    def share(self, hertz: float) -> float:
        """Return the share of a line."""
        near = np.abs(self.hertz - hertz) <= self.width
        return float(self.energy[near].sum() / max(float(self.energy.sum()), np.finfo(np.float32).tiny))

    def mains(self) -> list[float]:
        """Return the frequencies at which mains hum is strong [Hz]."""
        out = []
        for mains in _MAINS:
            folded = _folded(mains, self.fs)
            if folded > _LOWEST and self.share(folded) > _SHARE:
                higher = [k * mains for k in _HARMONICS if k * mains < self.fs / 2]
                out += [mains, *(hertz for hertz in higher if self.share(hertz) > _HARMONIC_SHARE)]
        return out

    def is_tone(self) -> bool:
        """Tell whether the signal is little else than one line."""
        return self.share(float(self.hertz[self.energy.argmax()])) > _TONE_SHARE


def without_lines(x: NDArray, lines: list[float], fs: float) -> Signal:
    """Subtract sines of given frequencies whose amplitude and phase change slowly."""
    n = x.shape[1]
    span = min(round(_SPAN * fs), n)
    start = np.clip(np.arange(n) - span // 2, 0, n - span)
    y = x.astype(np.float64)
    for hertz in lines:
        wave = np.exp(-2j * np.pi * hertz / fs * np.arange(n))
        summed = np.zeros((len(y), n + 1), np.complex128)
        np.cumsum(y * wave, axis=1, out=summed[:, 1:])
        mean = (summed[:, start + span] - summed[:, start]) / span
        # A sine has a positive and a negative frequency; at half the sampling rate both are one.
        sides = 1 if abs(2 * _folded(hertz, fs) - fs) < 1 else 2
        y -= sides * (mean * wave.conj()).real
    return y.astype(np.float32)


def _folded(hertz: float, fs: float) -> float:
    """Return the frequency at which a line appears [Hz]."""
    return abs(hertz - round(hertz / fs) * fs)
