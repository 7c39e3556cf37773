"""Training batches of `WaveSegmenter`: windows of annotated records, stretched, scaled, noisy and with fewer leads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..ecg.leads import INDEPENDENT, LEADS, place_leads
from ..ecg.preprocess import UNIT_MV, resample
from ..ecg.simulate_noise import electrode_noise

IGNORED = -1
_EIGHT = tuple(LEADS[i] for i in INDEPENDENT)
# Rates [Hz] of recorders that a signal is brought down to and up again, so that blunt boundaries are learnt too.
_LOW_RATES = (100.0, 125.0, 180.0, 250.0, 360.0)
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


class AnnotatedRecord(NamedTuple):
    """A record at the rate of the network."""

    signal: NDArray[np.float32]
    """Preprocessed leads (n_times, 12), absent ones 0."""
    mask: NDArray[np.int8]
    """Labels (n_times, 12), -1 where unknown or the lead is absent."""


def noise_alone(rng: np.random.Generator, fs: float, n_times: int) -> NDArray[np.float32]:
    """Draw a window (n_times, 12) without a heart in it: white and electrode noise in a random mixture and size."""
    share = rng.random(dtype=np.float32)
    white = rng.standard_normal((8, n_times), dtype=np.float32)
    low, high = _NOISE_ALONE_MV
    level = low * (high / low) ** rng.random() / UNIT_MV
    mixed = np.sqrt(share) * white + np.sqrt(1 - share) * electrode_noise(rng, fs, n_times)
    placed, _ = place_leads(np.float32(level) * mixed, _EIGHT)
    return np.asarray(placed.T, dtype=np.float32)


class WaveBatches:
    """Iterate over windows of annotated records in random order.

    Parameters
    ----------
    records : sequence of AnnotatedRecord
    index : ndarray of int64
        Records to draw from.
    batch_size : int
        Windows per batch; batches differ by one window at most.
    fs, fs_encoder : float
        Rate of the records and of the encoder's input [Hz].
    window : float
        Length of a window [s]. A record yields one window per epoch for each 10 s that it lasts.
    n_leads : int
        Leads of each window that are labelled in one step.
    augment : WaveAugment or None
        None draws windows as they are, the same ones in every epoch, and all leads that are annotated.
    device : torch.device
    seed : int
        Key of every draw.
    """

    def __init__(
        self,
        records: Sequence[AnnotatedRecord],
        index: NDArray[np.int64],
        *,
        batch_size: int,
        fs: float,
        fs_encoder: float,
        window: float,
        n_leads: int,
        augment: WaveAugment | None,
        device: torch.device,
        seed: int,
    ) -> None:
        self.records, self.augment, self.device, self.seed = records, augment, device, seed
        self.fs, self.fs_encoder, self.n_leads = fs, fs_encoder, n_leads
        self.n_times = round(window * fs)
        seconds = [len(records[i].signal) / fs for i in index]
        self.index = np.repeat(index, [max(1, round(s / 10)) for s in seconds])
        self.n_batches = max(1, ceil(len(self.index) / batch_size))
        self.epoch = 0

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        rng = np.random.default_rng([self.seed, self.epoch if self.augment is not None else 0])
        for part in np.array_split(rng.permutation(self.index), self.n_batches):
            yield self._batch(part, rng)

    def _batch(self, index: NDArray[np.int64], rng: np.random.Generator) -> tuple[dict[str, Tensor], Tensor]:
        windows = [self._window(self.records[i], rng) for i in index]
        signal, mask = (np.stack([w[k] for w in windows]) for k in (0, 1))
        chosen = self._choose_leads(mask, rng)
        rows = np.arange(len(index))[:, None]
        # The encoder is shown these leads and some more, or all.
        shown = np.ones((len(index), 12), dtype=bool)
        if self.augment is not None:
            reduced = rng.random(len(index)) < self.augment.lead_subset
            shown = (rng.random((len(index), 12)) < rng.random((len(index), 1))) | ~reduced[:, None]
        shown[rows, chosen] = True
        encoder_signal = resample((signal * shown[:, None, :]).transpose(0, 2, 1), self.fs, self.fs_encoder)
        leads = signal.transpose(0, 2, 1)[rows, chosen]
        inputs = {"leads": leads, "signal": encoder_signal.transpose(0, 2, 1)}
        target = mask.transpose(0, 2, 1)[rows, chosen]
        put = {k: torch.from_numpy(np.ascontiguousarray(v)).to(self.device) for k, v in inputs.items()}
        return put, torch.from_numpy(np.ascontiguousarray(target)).to(self.device)

    def _choose_leads(self, mask: NDArray[np.int8], rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw leads (n_records, n_leads) of each record, annotated ones first."""
        annotated = (mask != IGNORED).any(axis=1)
        n_leads = min(self.n_leads, max(1, int(annotated.sum(axis=1).max())))
        if self.augment is not None and self.augment.lead_subset > 0 and rng.random() < self.augment.lead_subset:
            n_leads = int(rng.integers(1, n_leads + 1))
        return np.argsort(rng.random(annotated.shape) - annotated, axis=1)[:, :n_leads]

    def _window(self, record: AnnotatedRecord, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
        augment, n_times = self.augment, self.n_times
        stretch = 1.0 if augment is None else float(augment.stretch ** rng.uniform(-1, 1))
        n_seen = min(len(record.signal), ceil((n_times - 1) * stretch) + 1)
        known = np.flatnonzero((record.mask != IGNORED).any(axis=1))
        first, last = (known[0], known[-1]) if len(known) else (0, len(record.signal) - 1)
        # Anywhere in the annotated part and up to a second beyond it.
        slack = round(self.fs)
        low = int(np.clip(first - slack, 0, len(record.signal) - n_seen))
        high = int(np.clip(last + 1 + slack - n_seen, low, len(record.signal) - n_seen))
        start = int(rng.integers(low, high + 1))
        position = np.minimum(np.arange(n_times) * stretch, n_seen - 1)
        before = position.astype(np.int64)
        share = (position - before).astype(np.float32)[:, None]
        piece = record.signal[start : start + n_seen]
        after = np.minimum(before + 1, n_seen - 1)
        signal = piece[before] * (1 - share) + piece[after] * share
        mask = record.mask[start : start + n_seen][np.round(position).astype(np.int64)]
        beyond = np.arange(n_times) * stretch > n_seen - 1
        signal[beyond], mask = 0, np.where(beyond[:, None], np.int8(IGNORED), mask)
        if augment is None:
            return signal, mask
        if augment.background > 0 and rng.random() < augment.background:
            present = signal.any(axis=0)
            mask = np.where(present, np.int8(0), np.int8(IGNORED)) + np.zeros_like(mask)
            return noise_alone(rng, self.fs, n_times) * present, mask
        return self._varied(signal, augment, rng), mask

    def _varied(self, signal: NDArray[np.float32], augment: WaveAugment, rng: np.random.Generator) -> NDArray:
        present = signal.any(axis=0)
        gain = augment.gain ** (rng.uniform(-1, 1) + 0.5 * rng.uniform(-1, 1, 12))
        signal = signal * gain.astype(np.float32)
        if rng.random() < augment.noise:
            level = augment.noise_mv / UNIT_MV * 20 ** rng.uniform(-1, 0)
            noise, _ = place_leads(electrode_noise(rng, self.fs, len(signal)), _EIGHT)
            signal = signal + np.float32(level) * noise.T
        if rng.random() < augment.low_rate:
            low = float(rng.choice(_LOW_RATES))
            blunt = resample(resample(signal.T, self.fs, low), low, self.fs)[:, : len(signal)]
            signal = blunt.T
        return np.asarray(signal * present, dtype=np.float32)
