"""How training windows of `WaveSegmenter` are varied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ecg.leads import INDEPENDENT, LEADS, place_leads
from ..ecg.preprocess import UNIT_MV
from ..ecg.simulate.noise import electrode_noise

EIGHT_LEADS = tuple(LEADS[i] for i in INDEPENDENT)
# Rates [Hz] of recorders that a signal is brought down to and up again, so that blunt boundaries are learnt too.
LOW_RATES = (100.0, 125.0, 180.0, 250.0, 360.0)
# Root mean square of noise without a signal [mV].
_NOISE_ALONE_MV = (0.01, 1.0)


@dataclass(frozen=True)
class WaveAugment:
    """How training windows are varied.

    Parameters
    ----------
    stretch : float
        Time is stretched by a factor from 1 / `stretch` to `stretch`, so that heart rates vary.
    gain : float
        The same for the amplitude of the record; that of a lead varies by the square root of it.
    noise : float
        Share of windows with simulated noise: wander, muscle and mains.
    noise_mv : float
        Largest root mean square of that noise [mV]; it is drawn log-uniformly from a twentieth of this on.
    low_rate : float
        Share of windows that are brought to a lower sampling rate, 100 to 360 Hz, and back.
    lead_subset : float
        Share of windows of which the network sees a random subset of the leads.
    background : float
        Share of windows that hold noise instead of a signal, up to 1 mV of it, and no waves: the detached electrodes
        that no annotated record shows.
    """

    stretch: float = 1.25
    gain: float = 1.5
    noise: float = 0.6
    noise_mv: float = 0.2
    low_rate: float = 0.25
    lead_subset: float = 0.5
    background: float = 0.03

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
                raise TypeError(f"augment_params: {name} must be a number, got {value!r}")
        for name in ("stretch", "gain"):
            if not 1 <= getattr(self, name) <= 4:
                raise ValueError(f"augment_params: {name} must lie between 1 and 4, got {getattr(self, name)!r}")
        for name in ("noise", "low_rate", "lead_subset", "background"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"augment_params: {name} must lie between 0 and 1, got {getattr(self, name)!r}")
        if not 0 < self.noise_mv <= 10:
            raise ValueError(f"augment_params: noise_mv must lie between 0 and 10 mV, got {self.noise_mv!r}")

    @classmethod
    def of(cls, params: Mapping[str, Any] | None) -> WaveAugment:
        """Return the defaults with `params` in place of some.

        Raises
        ------
        TypeError, ValueError
            If a name is unknown or a value is no number or out of range.
        """
        if params is not None and not isinstance(params, Mapping):
            raise TypeError(f"augment_params must be a dict or None, got {params!r}")
        params = dict(params or {})
        unknown = sorted(str(name) for name in params if name not in cls.__dataclass_fields__)
        if unknown:
            raise ValueError(f"augment_params may hold {sorted(cls.__dataclass_fields__)}, got {unknown}")
        return replace(cls(), **params)


def noise_alone(rng: np.random.Generator, fs: float, n_times: int) -> NDArray[np.float32]:
    """Draw a window (n_times, 12) without a heart in it: white and electrode noise in a random mixture and size."""
    share = rng.random(dtype=np.float32)
    white = rng.standard_normal((8, n_times), dtype=np.float32)
    low, high = _NOISE_ALONE_MV
    level = low * (high / low) ** rng.random() / UNIT_MV
    mixed = np.sqrt(share) * white + np.sqrt(1 - share) * electrode_noise(rng, fs, n_times)
    placed, _ = place_leads(np.float32(level) * mixed, EIGHT_LEADS)
    return np.asarray(placed.T, dtype=np.float32)
