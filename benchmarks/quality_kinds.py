"""What goes wrong with twelve leads of a telephone or a ward, one kind at a time, for `study_quality`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from .quality_sets import Signals, Spoiler

N_LEADS = 12
# Ratio of the QRS complexes to noise at each electrode, as in the Noise Stress Test [dB].
RATIOS = (18, 12, 6, 0, -6)
ACCEPTABLE = (
    "as recorded", "noise .05 mV at all electrodes", "baseline wander .3 mV", "electrodes move, 18 dB",
    "muscle noise, 18 dB",
)  # fmt: skip
"""Kinds that a person would accept: the others are scored against them."""
BETWEEN = (
    "hum .05 mV", "electrodes move, 12 dB", "electrodes move, 6 dB", "muscle noise, 12 dB", "muscle noise, 6 dB",
)  # fmt: skip
"""Kinds that people would judge differently."""


class Kinds:
    """Spoils records in one way at a time.

    Parameters
    ----------
    data : Path
        Folder with `nstdb`.
    fs : float
        Rate of the records [Hz].
    part : int
        Part of the recordings of noise to take.
    """

    def __init__(self, data: Path, fs: float, part: int) -> None:
        self.fs, self.part, self.rng = fs, part, np.random.default_rng(1)
        self._spoiler = Spoiler(data, fs, self.rng)

    def __call__(self, x: Signals) -> Iterator[tuple[str, Signals]]:
        """Yield the name of each kind, and the records (n_records, 12, n_times) with it."""
        ways: dict[str, Callable[[Signals], None]] = {
            "as recorded": lambda _: None,
            "noise .05 mV at all electrodes": lambda one: self._electrodes(one, 0.05),
            "baseline wander .3 mV": lambda one: self._electrodes(one, 0.3, ("bw",)),
            "hum .05 mV": lambda one: self._hum(one, 0.05),
            "one lead flat": lambda one: self._flat(one, 1),
            "two leads flat": lambda one: self._flat(one, 2),
            "all limb leads flat": lambda one: self._level(one, list(range(6)), 0),
            "all leads flat": lambda one: self._level(one, list(range(N_LEADS)), 0),
            "one lead at a constant": lambda one: self._level(one, self._some(1), self.rng.uniform(-4, 4)),
            "one lead missing (NaN)": lambda one: self._level(one, self._some(1), np.nan),
            "one lead flat for half of the time": self._half,
            "one lead saturated": self._saturated,
            "noise 1 mV in one lead": lambda one: self._noisy(one, 1, 1.0),
            "noise 1 mV in two leads": lambda one: self._noisy(one, 2, 1.0),
            "noise .5 mV in four leads": lambda one: self._noisy(one, 4, 0.5),
            "one lead clipped at half its height": lambda one: self._clipped(one, 1),
            "all leads clipped at half their height": lambda one: self._clipped(one, N_LEADS),
            "baseline wander 1.5 mV": lambda one: self._electrodes(one, 1.5, ("bw",)),
            "noise alone, .3 mV": lambda one: self._alone(one, 0.3),
            "noise alone, 2 mV": lambda one: self._alone(one, 2.0),
        }
        for kind, name in (("em", "electrodes move"), ("ma", "muscle noise")):
            for ratio in RATIOS:
                ways[f"{name}, {ratio} dB"] = lambda one, kind=kind, ratio=ratio: self._ratio(one, kind, ratio)
        # The recordings of noise are loud and quiet by turns: this one has 1 mV in the very seconds of the record.
        ways["noise 1 mV in one lead, all the time"] = lambda one: self._noisy(one, 1, 1.0, same=True)
        ways["three leads clipped at half their height"] = lambda one: self._clipped(one, 3)
        ways["one lead clipped at .7 of its height"] = lambda one: self._clipped(one, 1, 0.7)
        for name, way in ways.items():
            copies = x.astype(np.float32, copy=True)
            for one in copies:
                way(one)
            yield name, copies

    def _some(self, n_leads: int) -> list[int]:
        return [int(lead) for lead in self.rng.choice(N_LEADS, n_leads, replace=False)]

    def _stretch(self, x: Signals, kinds: tuple[str, ...] = ("em", "ma")) -> Signals:
        return self._spoiler.stretch(str(self.rng.choice(kinds)), x.shape[-1], self.part)

    def _electrodes(self, x: Signals, size: float, kinds: tuple[str, ...] = ("bw", "em", "ma")) -> None:
        noise = {electrode: self._stretch(x, kinds) * size for electrode in range(9)}
        x += self._spoiler.at_electrodes(noise, x.shape[-1])

    def _hum(self, x: Signals, size: float) -> None:
        x += size * self.rng.random((N_LEADS, 1)) * np.sin(2 * np.pi * 50 * np.arange(x.shape[-1]) / self.fs)

    def _level(self, x: Signals, leads: list[int], value: float) -> None:
        x[leads] = value

    def _flat(self, x: Signals, n_leads: int) -> None:
        self._level(x, self._some(n_leads), 0)

    def _half(self, x: Signals) -> None:
        x[self._some(1), x.shape[-1] // 2 :] = 0

    def _saturated(self, x: Signals) -> None:
        (lead,) = self._some(1)
        x[lead] = np.clip(x[lead] + 8 * self._stretch(x, ("bw",)), -2, 2)

    def _noisy(self, x: Signals, n_leads: int, size: float, same: bool = False) -> None:
        for lead in self._some(n_leads):
            noise = self._stretch(x)
            x[lead] += size * noise / (noise.std() if same else 1)

    def _clipped(self, x: Signals, n_leads: int, share: float = 0.5) -> None:
        for lead in self._some(n_leads):
            own = x[lead] - np.median(x[lead])
            x[lead] = np.clip(own, share * own.min(), share * own.max())

    def _ratio(self, x: Signals, kind: str, ratio: float) -> None:
        height = np.median(np.percentile(x, 99.5, axis=1) - np.percentile(x, 0.5, axis=1))
        self._electrodes(x, float(np.sqrt(height**2 / 8 / 10 ** (ratio / 10))), (kind,))

    def _alone(self, x: Signals, size: float) -> None:
        x[:] = 0
        self._electrodes(x, size)
