"""Batches for fine-tuning: one view of some records, and their labels or values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..inputs.front_end import FrontEnd
from ..inputs.plausibility import RecordCheck
from ..inputs.source import Source
from ..inputs.windows import read_windows, training_window
from ..nn.roi import sample_to_token
from ..views.augment import Views
from .targets import Targets

_CHUNK = 64


@dataclass
class LabelledRecords:
    """Records with their labels; signals stay in the source."""

    source: Source
    front_end: FrontEnd
    targets: Targets
    window: float
    """Seconds of a record that a batch holds."""
    duration: NDArray[np.float64]
    beat_time: list[NDArray[np.float64]]
    """R peaks of each record [s]."""
    usable: NDArray[np.int64]
    """Records that count, with at least one known sample."""

    def read(self, index: NDArray[np.int64], start: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        """Return windows (n_records, n_times, 12) that begin at `start` [s], and the leads present."""
        signal, present = read_windows(self.source, self.front_end, index, start, self.window)
        return torch.from_numpy(signal), torch.from_numpy(present)

    def regions(self, index: NDArray[np.int64], start: NDArray[np.float64], stride: float) -> dict[str, Tensor]:
        """Return the windows of the beats inside the training windows: row, and borders in token coordinates."""
        before, after = self.front_end.beat_window
        end = np.minimum(self.duration[index], self.window)
        times = [self.beat_time[i] - first for i, first in zip(index, start, strict=True)]
        inside = [t[(t >= before) & (t + after <= last)] for t, last in zip(times, end, strict=True)]
        samples = torch.from_numpy(np.concatenate(inside)) * self.front_end.fs_model
        borders = (samples + shift * self.front_end.fs_model for shift in (-before, after))
        first, last = (sample_to_token(border, stride) for border in borders)
        record = np.repeat(np.arange(len(index)), [len(t) for t in inside])
        # On the CPU, where taps are counted.
        return {"roi_record": torch.from_numpy(record), "roi_start": first, "roi_end": last}


def read_labelled(
    source: Source, front_end: FrontEnd, targets: Targets, check: str = "warn"
) -> LabelledRecords:
    """Read every record once: check it, find its R peaks, and learn its length.

    Raises
    ------
    ValueError
        If a record cannot be used, or none holds a sample, or one looks odd and `check` is "raise"; the message names
        it.
    """
    duration = np.zeros(source.n_records)
    blank = np.zeros(source.n_records, dtype=bool)
    beat_time: list[NDArray[np.float64]] = []
    odd = RecordCheck(source, check)
    for block in source.read(np.arange(source.n_records), _CHUNK):
        duration[block.rows] = block.signal.shape[2] / block.fs
        blank[block.rows] = block.blank
        rpeaks = front_end.find_rpeaks(block)
        beat_time += [r / block.fs for r in rpeaks]
        odd.look(block, rpeaks)
    odd.tell()
    counts = targets.counts > 0
    usable = np.flatnonzero(~blank & counts)
    if len(usable) < 2:
        raise ValueError(f"n_samples = {source.n_records}: {len(usable)} records hold a sample, at least 2 are needed")
    window = training_window(duration[counts])[0]
    return LabelledRecords(source, front_end, targets, window, duration, beat_time, usable)


class LabelledBatches:
    """Iterate over labelled records: shuffled views for training, records as they are for validation.

    Parameters
    ----------
    records : LabelledRecords
    index : ndarray of int64
        Records to draw from.
    batch_size : int
        Records per batch; batches differ by one record at most, so that none is lost.
    views : callable or None
        Draws a view; None is validation.
    dropout : float
        Share of the embedding's entries that are set to 0 in training.
    n_dims : int
        Width of the embedding.
    stride : float
        Samples per token.
    device : torch.device
    seed : int
        Key of every draw, with the epoch.
    """

    def __init__(
        self,
        records: LabelledRecords,
        index: NDArray[np.int64],
        *,
        batch_size: int,
        views: Views | None,
        dropout: float,
        n_dims: int,
        stride: float,
        device: torch.device,
        seed: int,
    ) -> None:
        self.records, self.index, self.views, self.device, self.seed = records, index, views, device, seed
        self.dropout, self.n_dims, self.stride = dropout, n_dims, stride
        # No batch of one record: BatchNorm would have nothing to compare it with.
        self.n_batches = max(1, min(ceil(len(index) / batch_size), len(index) // 2))
        self.epoch = 0

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], tuple[Tensor, Tensor]]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))
        order = self.index if self.views is None else rng.permutation(self.index)
        for part in np.array_split(order, self.n_batches):
            slack = np.maximum(self.records.duration[part] - self.records.window, 0.0)
            start = rng.random(len(part)) * slack
            signal, present = (t.to(self.device) for t in self.records.read(part, start))
            inputs = {"signal": signal, **self.records.regions(part, start, self.stride)}
            if self.views is not None:
                inputs["signal"], _ = self.views(signal, present, generator)
                if self.dropout > 0:
                    inputs["keep"] = self._draw_dropout(len(part), generator)
            targets = self.records.targets
            labels, weights = (torch.from_numpy(a[part]).to(self.device) for a in (targets.values, targets.weights))
            yield inputs, (labels, weights)

    def score(self, outputs: list[Tensor]) -> dict[str, float]:
        """Return the scores of outputs, for records in the order of `index`."""
        return self.records.targets.score(self.index, torch.cat(outputs).cpu().numpy())

    def _draw_dropout(self, n: int, generator: torch.Generator) -> Tensor:
        # Drawn here and not by torch's layer, which would draw from the global state.
        shape = (n, self.n_dims)
        kept = torch.rand(shape, dtype=torch.float32, device=self.device, generator=generator) >= self.dropout
        return kept.to(torch.float32) / (1 - self.dropout)
