"""Batches for pretraining: views of some records, their beats, and what the contrast must know about both.

Every draw is keyed by (seed, epoch), so that a run that was killed goes on bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..ecg.preprocess import preprocess
from ..inputs.windows import cut_windows, repeat_to_length
from ..nn.roi import sample_to_token
from ..views.augment import Augmentation
from .measured import TrainingSet

# Beats of one view that a step compares: their pairs cost as much as the encoder beyond about a thousand.
MAX_BEATS = 1024
# Share of the free memory of a GPU that preprocessed signals may take.
_CACHE_SHARE = 0.5


class Views(NamedTuple):
    """What the network reads: the views stacked, and the beats' regions in token coordinates."""

    signal: Tensor
    """(n_views * n_records, n_times, 12)."""
    roi_record: Tensor
    """Row of `signal` that each region lies in (n_views * n_beats,); they stay on the CPU, where taps are counted."""
    roi_start: Tensor
    roi_end: Tensor


class Context(NamedTuple):
    """What the loss must know of a batch; see `TrainingSet` for the fields."""

    features: Tensor
    present: Tensor
    bandwidth: Tensor
    group: Tensor | None
    beat_record: Tensor
    beat_type: Tensor
    beat_cluster: Tensor
    beat_features: Tensor
    beat_present: Tensor
    beat_bandwidth: Tensor


class PretrainingBatches:
    """Iterate over the records of one epoch in random order.

    Parameters
    ----------
    data : TrainingSet
        Records with their peaks and features.
    index : ndarray of int64
        Records to draw from.
    batch_size : int
        Records per batch; batches differ by one record at most, so that none is lost.
    augment : callable
        Draws a view, as `views.augment` does.
    stride : float
        Samples per token.
    beat_window : tuple of float
        Seconds before and after the R peak.
    device : torch.device
        Where views are drawn.
    seed : int
        Key of every draw.
    n_views : int
        Views of each record in a batch.
    """

    def __init__(
        self,
        data: TrainingSet,
        index: NDArray[np.int64],
        *,
        batch_size: int,
        augment: Augmentation,
        stride: float,
        beat_window: tuple[float, float],
        device: torch.device,
        seed: int,
        n_views: int = 2,
    ) -> None:
        self.data, self.index, self.augment, self.device, self.seed = data, index, augment, device, seed
        self.stride, self.beat_window, self.n_views = stride, beat_window, n_views
        self.n_batches = ceil(len(index) / batch_size)
        self.epoch = 0
        self._cache = self._cached_signals() if device.type == "cuda" else None

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Context]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))
        order = rng.permutation(self.index)
        for part in np.array_split(order, self.n_batches):
            views, context = self._batch(part, rng, generator)
            yield views._asdict(), context

    def _batch(
        self, index: NDArray[np.int64], rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Views, Context]:
        start = self.data.draw_start(index, rng)
        if self._cache is None:
            signal, present = (self._to_device(a) for a in self._read(index, start))
        else:
            rows = self._to_device(index)
            signal, present = self._cache[0][rows].float(), self._cache[1][rows]
        drawn = [self.augment(signal, present, generator)[0] for _ in range(self.n_views)]
        beats, record, time = self.data.beats_of(index, start, self.beat_window)
        if len(beats) > MAX_BEATS:
            kept = np.sort(rng.choice(len(beats), MAX_BEATS, replace=False))
            beats, record, time = beats[kept], record[kept], time[kept]
        views = self._views(torch.cat(drawn), len(index), record, time)
        return views, self._context(index, beats, record)

    def _views(self, signal: Tensor, n_records: int, record: NDArray[np.int64], time: NDArray[np.float64]) -> Views:
        before, after = self.beat_window
        samples = torch.from_numpy(np.tile(time, self.n_views) * self.data.fs_model)
        start, end = (
            sample_to_token(samples + shift * self.data.fs_model, self.stride) for shift in (-before, after)
        )
        rows = np.concatenate([record + k * n_records for k in range(self.n_views)])
        return Views(signal, torch.from_numpy(rows), start, end)

    def _context(self, index: NDArray[np.int64], beats: NDArray[np.int64], record: NDArray[np.int64]) -> Context:
        data = self.data
        put = self._to_device
        return Context(
            features=put(data.records.values[index]),
            present=put(data.records.present[index]),
            bandwidth=put(data.records.bandwidth[index]),
            group=None if data.groups is None else put(data.groups[index]),
            beat_record=put(record),
            beat_type=put(data.beat_type[beats]),
            beat_cluster=put(data.beat_cluster[beats]),
            beat_features=put(data.beats.values[beats]),
            beat_present=put(data.beats.present[beats]),
            beat_bandwidth=put(data.beats.bandwidth[beats]),
        )

    def _to_device(self, array: NDArray) -> Tensor:
        tensor = torch.from_numpy(array)
        if self.device.type != "cuda":
            return tensor.to(self.device)
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def _read(self, index: NDArray[np.int64], start: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
        """Return the signals (n_records, n_times, 12) of the training window of each record, and the leads present."""
        data, n_times = self.data, self.data.n_times
        signal = np.zeros((len(index), n_times, 12), dtype=np.float32)
        present = np.zeros((len(index), 12), dtype=bool)
        done = 0
        for block in data.source.read(index, len(index)):
            stop = done + len(block.rows)
            cut = cut_windows(block.signal, block.fs, start[done:stop], data.window)
            ready = preprocess(cut, block.fs, data.fs_model, block.leads, data.amplitude)
            # A record shorter than the window is repeated: zeros would be a rhythm of their own.
            signal[done:stop] = repeat_to_length(ready.signal, n_times)
            present[done:stop] = ready.present
            done = stop
        return signal, present

    def _cached_signals(self) -> tuple[Tensor, Tensor] | None:
        """Return all signals on the device in half precision, where they fit and no window is drawn anew."""
        data = self.data
        n_bytes = data.source.n_records * data.n_times * 12 * 2
        if not data.whole_records or n_bytes > _CACHE_SHARE * torch.cuda.mem_get_info(self.device)[0]:
            return None
        signal = torch.empty((data.source.n_records, data.n_times, 12), dtype=torch.float16, device=self.device)
        present = torch.empty((data.source.n_records, 12), dtype=torch.bool, device=self.device)
        every = np.arange(data.source.n_records)
        for part in np.array_split(every, max(1, len(every) // 256)):
            ready, there = self._read(part, np.zeros(len(part)))
            signal[part[0] : part[-1] + 1] = self._to_device(ready).half()
            present[part[0] : part[-1] + 1] = self._to_device(there)
        return signal, present




