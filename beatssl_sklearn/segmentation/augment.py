"""How training windows of `WaveSegmenter` are varied."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from ..components import Bounds, Component, Limits, register
from ..ecg.leads import EIGHT_LEADS, place_leads
from ..ecg.preprocess import UNIT_MV
from ..ecg.simulate.noise import electrode_noise

# Rates [Hz] of recorders that a signal is brought down to and up again, so that blunt boundaries are learnt too.
LOW_RATES = (100.0, 125.0, 180.0, 250.0, 360.0)
# Cut-offs of monitors' high-pass filters [Hz].
_HIGH_PASS_HZ = (0.05, 0.8)
# Root mean square of noise without a signal [mV].
_NOISE_ALONE_MV = (0.01, 1.0)


@register
class WaveAugment(Component):
    """How training windows are varied.

    Parameters
    ----------
    stretch : float, default=1.25
        Time is stretched by a factor from 1 / `stretch` to `stretch`, so that heart rates vary.
    gain : float, default=1.5
        The same for the amplitude of the record; the amplitude of a lead varies by the square root of it.
    noise : float, default=0.6
        Share of windows with simulated noise: wander, muscle and mains.
    noise_mv : float, default=0.2
        Largest root mean square of that noise [mV]; it is drawn log-uniformly from a twentieth of this on.
    low_rate : float, default=0.25
        Share of windows that are brought to a lower sampling rate, 100 to 360 Hz, and back.
    lead_subset : float, default=0.5
        Share of windows of which the network sees a random subset of the leads.
    background : float, default=0.03
        Share of windows that hold noise instead of a signal, up to 1 mV of it, and no waves: detached electrodes, which
        no annotated record shows.
    p_exchange : float, default=0.0
        Share of windows of records with P waves whose P waves are made larger or smaller, taken out, exchanged for
        those of another record, or set in without relation to the complexes: so a network cannot tell from the
        complexes whether there is a P. Trained on few records with wide complexes, .3 is worth it; it takes a third
        more time.
    inverted : float, default=0.0
        Share of leads that are turned upside down, as swapped electrodes do.
    high_pass : float, default=0.0
        Share of windows that a first-order high-pass filter of .05 to .8 Hz has passed, as in monitors.
    """

    bounds: ClassVar[Mapping[str, Limits]] = {
        "stretch": Bounds(Real, 1, 4),
        "gain": Bounds(Real, 1, 4),
        "noise": Bounds(Real, 0, 1),
        "noise_mv": Bounds(Real, 1e-6, 10),
        "low_rate": Bounds(Real, 0, 1),
        "lead_subset": Bounds(Real, 0, 1),
        "background": Bounds(Real, 0, 1),
        "p_exchange": Bounds(Real, 0, 1),
        "inverted": Bounds(Real, 0, 1),
        "high_pass": Bounds(Real, 0, 1),
    }

    def __init__(
        self,
        *,
        stretch: float = 1.25,
        gain: float = 1.5,
        noise: float = 0.6,
        noise_mv: float = 0.2,
        low_rate: float = 0.25,
        lead_subset: float = 0.5,
        background: float = 0.03,
        p_exchange: float = 0.0,
        inverted: float = 0.0,
        high_pass: float = 0.0,
    ) -> None:
        self.stretch = stretch
        self.gain = gain
        self.noise = noise
        self.noise_mv = noise_mv
        self.low_rate = low_rate
        self.lead_subset = lead_subset
        self.background = background
        self.p_exchange = p_exchange
        self.inverted = inverted
        self.high_pass = high_pass


def checked_augment(augment: Any) -> WaveAugment:
    """Return a `WaveAugment` whose parameters are checked; None is the default one.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and its value.
    """
    if augment is None:
        return WaveAugment()
    if not isinstance(augment, WaveAugment):
        raise TypeError(f"augment must be a WaveAugment or None, got {augment!r}")
    augment.check()
    return augment


def high_passed(signal: NDArray[np.float32], rng: np.random.Generator, fs: float) -> NDArray[np.float32]:
    """Filter leads (n_times, 12) as a monitor does, with a cut-off that is drawn."""
    low, high = _HIGH_PASS_HZ
    pole = np.exp(-2 * np.pi * low * (high / low) ** rng.random() / fs)
    return np.asarray(lfilter([pole, -pole], [1, -pole], signal - signal[:1], axis=0), dtype=np.float32)


def noise_alone(rng: np.random.Generator, fs: float, n_times: int) -> NDArray[np.float32]:
    """Draw a window (n_times, 12) without a heart in it: white and electrode noise in a random mixture and size."""
    share = rng.random(dtype=np.float32)
    white = rng.standard_normal((8, n_times), dtype=np.float32)
    low, high = _NOISE_ALONE_MV
    level = low * (high / low) ** rng.random() / UNIT_MV
    mixed = np.sqrt(share) * white + np.sqrt(1 - share) * electrode_noise(rng, fs, n_times)
    placed, _ = place_leads(np.float32(level) * mixed, EIGHT_LEADS)
    return np.asarray(placed.T, dtype=np.float32)
