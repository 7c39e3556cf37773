"""Training batches of `WaveSegmenter`: windows of annotated records, stretched, scaled, noisy and with fewer leads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..ecg.leads import EIGHT_LEADS, place_leads
from ..ecg.preprocess import UNIT_MV, resample
from ..ecg.simulate.noise import electrode_noise
from .augment import LOW_RATES, WaveAugment, high_passed, noise_alone
from .p_exchange import P, vary_p

IGNORED = -1


class AnnotatedRecord(NamedTuple):
    """A record at the rate of the network."""

    signal: NDArray[np.float32]
    """Preprocessed leads (n_times, 12), absent ones 0."""
    mask: NDArray[np.int8]
    """Labels (n_times, 12), -1 where unknown or the lead is absent."""


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
    weight : ndarray of float64, optional
        How often windows of each record of `index` are drawn; None, or equal ones: every window once an epoch.
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
        weight: NDArray[np.float64] | None = None,
    ) -> None:
        self.records, self.augment, self.device, self.seed = records, augment, device, seed
        self.fs, self.fs_encoder, self.n_leads = fs, fs_encoder, n_leads
        self.n_times = round(window * fs)
        n_windows = [max(1, round(len(records[i].signal) / fs / 10)) for i in index]
        self.index = np.repeat(index, n_windows)
        weights = np.ones(len(index)) if weight is None else weight
        # None: every window once an epoch.
        alike = augment is None or not len(index) or np.ptp(weights) == 0
        self.share = None if alike else np.repeat(weights, n_windows) / np.repeat(weights, n_windows).sum()
        given = augment is not None and augment.p_exchange > 0
        drawn = index[weights > 0] if given else index[:0]
        self.donors = [records[i] for i in drawn if (records[i].mask == P).any()]
        self.n_batches = max(1, ceil(len(self.index) / batch_size))
        self.epoch = 0

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        rng = np.random.default_rng([self.seed, self.epoch if self.augment is not None else 0])
        if self.share is None:
            drawn = rng.permutation(self.index)
        else:
            drawn = rng.choice(self.index, len(self.index), p=self.share)
        for part in np.array_split(drawn, self.n_batches):
            yield self._batch(part, rng)

    def size(self, batch: tuple[dict[str, Tensor], Tensor]) -> int:
        """Return the windows of a batch."""
        return len(batch[1])

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
        if self.donors and rng.random() < augment.p_exchange and (mask == P).any():
            signal, mask = vary_p(signal, mask, self.fs, self.donors, rng)
        return self._varied(signal, augment, rng), mask

    def _varied(self, signal: NDArray[np.float32], augment: WaveAugment, rng: np.random.Generator) -> NDArray:
        present = signal.any(axis=0)
        gain = augment.gain ** (rng.uniform(-1, 1) + 0.5 * rng.uniform(-1, 1, 12))
        signal = signal * gain.astype(np.float32)
        if rng.random() < augment.noise:
            level = augment.noise_mv / UNIT_MV * 20 ** rng.uniform(-1, 0)
            noise, _ = place_leads(electrode_noise(rng, self.fs, len(signal)), EIGHT_LEADS)
            signal = signal + np.float32(level) * noise.T
        if rng.random() < augment.low_rate:
            low = float(rng.choice(LOW_RATES))
            blunt = resample(resample(signal.T, self.fs, low), low, self.fs)[:, : len(signal)]
            signal = blunt.T
        if augment.high_pass > 0 and rng.random() < augment.high_pass:
            signal = high_passed(signal, rng, self.fs)
        if augment.inverted > 0:
            signal = signal * np.where(rng.random(12) < augment.inverted, -1, 1)
        return np.asarray(signal * present, dtype=np.float32)

    def score(self, outputs: list[Tensor]) -> dict[str, float]:
        """Return the mean Dice coefficient of P, QRS and T of logits, for the batches of epoch 0."""
        confusion = np.zeros((2, outputs[0].shape[-1]))
        self.epoch = 0
        for (_, labels), logits in zip(self, outputs, strict=True):
            known = labels != IGNORED
            truth, found = labels[known].long(), logits.argmax(-1)[known]
            n = logits.shape[-1]
            confusion[0] += 2 * torch.bincount(truth[truth == found], minlength=n).cpu().numpy()
            confusion[1] += (torch.bincount(truth, minlength=n) + torch.bincount(found, minlength=n)).cpu().numpy()
        dice = confusion[0, 1:] / np.maximum(confusion[1, 1:], 1)
        return {"valid_dice": float(dice.mean())}
