"""Batches of an objective: what it may draw from the records of a step.

Every draw is keyed by (seed, epoch), so that a run that was killed goes on bit for bit on its machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..inputs.front_end import FrontEnd
from ..inputs.windows import read_windows
from ..nn.roi import sample_to_token
from ..training.distributed import Ranks
from .measured import Records
from .objective import Objective, n_batches

# Share of the free memory of a GPU that preprocessed signals may take.
_CACHE_SHARE = 0.5


class Beats(NamedTuple):
    """Heartbeats inside the windows of a batch.

    Parameters
    ----------
    number : ndarray of int64 (n_beats,)
        Position of each beat among all beats.
    record : ndarray of int64 (n_beats,)
        Row of the batch that it lies in.
    time : ndarray of float64 (n_beats,)
        Time of the R peak in the window [s].
    """

    number: NDArray[np.int64]
    record: NDArray[np.int64]
    time: NDArray[np.float64]


@dataclass(frozen=True)
class Batch:
    """What `Objective.draw` may use.

    Parameters
    ----------
    rows : ndarray of int64 (n,)
        Records of the batch, as rows of X.
    known : object
        What `Objective.prepare` returned.
    rng : numpy.random.Generator
        Source of draws.
    generator : torch.Generator
        Source of draws on the device.
    progress : float
        Share of all training steps that are done, for schedules.
    batches : Batches
        What the methods read from.
    """

    rows: NDArray[np.int64]
    known: Any
    rng: np.random.Generator
    generator: torch.Generator
    progress: float
    batches: Batches

    @property
    def front_end(self) -> FrontEnd:
        """How signals are prepared."""
        return self.batches.records.front_end

    @property
    def seconds(self) -> float:
        """Length of a window [s], unless a draw asks for another one."""
        return self.batches.records.window

    @property
    def groups(self) -> Tensor | None:
        """Patient of each record (n,), as a number; None where they are unknown."""
        groups = self.batches.records.groups
        return None if groups is None else self.put(groups[self.rows])

    @property
    def times(self) -> NDArray[np.float64] | None:
        """Time of each record (n,) [days], NaN where it is missing; None unless the objective needs ``times``."""
        times = self.batches.records.times
        return None if times is None else times[self.rows]

    def draw_start(self, seconds: float | None = None) -> NDArray[np.float64]:
        """Draw where the window of each record begins.

        Parameters
        ----------
        seconds : float, default=None
            Length of the windows [s]; None means `seconds`.

        Returns
        -------
        ndarray (n,)
            Beginnings [s].
        """
        return self.batches.records.draw_start(self.rows, self.rng, self.seconds if seconds is None else seconds)

    def window(self, start: NDArray[np.float64], seconds: float | None = None) -> tuple[Tensor, Tensor]:
        """Read and prepare windows of the records.

        Parameters
        ----------
        start : ndarray (n,)
            Beginnings [s].
        seconds : float, default=None
            Length of the windows [s]; None means `seconds`.

        Returns
        -------
        signal : Tensor (n, n_times, 12)
            As the network reads it.
        present : bool Tensor (n, 12)
            Leads that each record has.
        """
        return self.batches.read(self.rows, start, self.seconds if seconds is None else seconds)

    def beats_in(self, start: NDArray[np.float64], seconds: float | None = None) -> Beats:
        """Find the heartbeats whose beat window lies inside the windows.

        Parameters
        ----------
        start : ndarray (n,)
            Beginnings [s].
        seconds : float, default=None
            Length of the windows [s]; None means `seconds`.

        Returns
        -------
        Beats
            In the order of the records.
        """
        return Beats(*self.batches.records.beats_of(self.rows, start, self.seconds if seconds is None else seconds))

    def regions(self, record: NDArray[np.int64], time: NDArray[np.float64], n_views: int = 1) -> dict[str, Tensor]:
        """Return where beats lie in stacked views, in token coordinates.

        Parameters
        ----------
        record, time : ndarray (n_beats,)
            Fields of `Beats`.
        n_views : int
            Views that are stacked, each with the beats of all records.

        Returns
        -------
        dict
            `roi_record`, row of the stacked views; `roi_start`, `roi_end`. They stay on the CPU, where taps are
            counted. `BeatSSLHeads` takes all three.
        """
        before, after = self.front_end.beat_window
        fs = self.front_end.fs_model
        samples = torch.from_numpy(np.tile(time, n_views) * fs)
        start, end = (sample_to_token(samples + shift * fs, self.batches.stride) for shift in (-before, after))
        rows = np.concatenate([record + k * len(self.rows) for k in range(n_views)])
        return {"roi_record": torch.from_numpy(rows), "roi_start": start, "roi_end": end}

    def put(self, array: NDArray) -> Tensor:
        """Move an array to the device.

        Parameters
        ----------
        array : ndarray
            Of any shape.

        Returns
        -------
        Tensor
            On the device.
        """
        return self.batches.put(array)


class Batches:
    """Iterate over the records of one epoch.

    Parameters
    ----------
    objective : Objective
    records : Records
    index : ndarray of int64
        Records to draw from.
    batch_size : int
        Records per batch; batches differ by one record at most, so that none is lost.
    stride : float
        Samples per token.
    device : torch.device
        Where views are drawn.
    seed : int
        Key of every draw.
    n_epochs : int
        Epochs of the whole training, for `Batch.progress`.
    ranks : Ranks, optional
        Processes that train together: each reads a part of the records of a step, and all draw the same.
    """

    def __init__(
        self,
        objective: Objective,
        records: Records,
        index: NDArray[np.int64],
        *,
        batch_size: int,
        stride: float,
        device: torch.device,
        seed: int,
        n_epochs: int,
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks = ranks
        self.objective, self.records, self.index, self.stride = objective, records, index, stride
        self.batch_size, self.device, self.seed, self.n_epochs = batch_size, device, seed, n_epochs
        self.epoch = 0
        self._may_be_drawn = np.zeros(records.source.n_records, dtype=bool)
        self._may_be_drawn[index] = True
        self._cache = self._cached_signals() if device.type == "cuda" else None

    def __len__(self) -> int:
        return n_batches(self.index, self.batch_size)

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Any]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))
        groups = None if self.records.groups is None else self.records.groups[self.index]
        # Objectives that do not ask for times need not know of them.
        asked = {} if self.records.times is None else {"times": self.records.times[self.index]}
        parts = self.objective.batches(self.index, groups, self.batch_size, rng, **asked)
        if len(parts) != len(self):
            name = type(self.objective).__name__
            raise ValueError(f"{name}.batches must return {len(self)} arrays, got {len(parts)}")
        for step, rows in enumerate(self._allowed(part) for part in parts):
            progress = (self.epoch + step / len(parts)) / max(1, self.n_epochs)
            batch = Batch(rows, self.records.known, rng, generator, progress, self)
            inputs, targets = self._drawn(batch)
            # How many records a batch has is the same for any number of views.
            self._n_records = len(rows)
            yield inputs, targets

    def _allowed(self, rows: Any) -> NDArray[np.int64]:
        """Refuse rows that an objective of the user's may not train on: they are held out, blank, or nowhere in X."""
        name = f"{type(self.objective).__name__}.batches"
        if not isinstance(rows, np.ndarray) or rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows):
            shown = f"{rows.dtype} {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
            raise TypeError(f"{name} must return arrays (n,) of row numbers, got {shown}")
        inside = (rows >= 0) & (rows < len(self._may_be_drawn))
        wrong = rows[~inside] if not inside.all() else rows[~self._may_be_drawn[rows]]
        if len(wrong):
            raise ValueError(f"{name} returned record {wrong[0]}, which is not among the rows that it was given")
        return rows

    def _drawn(self, batch: Batch) -> tuple[dict[str, Tensor], Any]:
        drawn = self.objective.draw(batch)
        if not isinstance(drawn, tuple) or len(drawn) != 2 or not isinstance(drawn[0], dict):
            name = type(self.objective).__name__
            raise TypeError(f"{name}.draw must return (dict of inputs, targets), got {_kind_of(drawn)}")
        return drawn

    def size(self, batch: Any) -> int:
        """Return how many records the batch that was drawn last has."""
        return self._n_records

    def put(self, array: NDArray) -> Tensor:
        """Return an array on the device."""
        tensor = torch.from_numpy(array)
        if self.device.type != "cuda":
            return tensor.to(self.device)
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def read(self, rows: NDArray[np.int64], start: NDArray[np.float64], seconds: float) -> tuple[Tensor, Tensor]:
        """Return prepared windows (n, n_times, 12) on the device, and the leads present (n, 12)."""
        part = seconds < self.records.window
        # The relative amplitude is that of the window.
        if self._cache is None or (part and self.records.front_end.amplitude != "absolute"):
            return self._read_together(rows, start, seconds)
        whole, present = (kept[self.put(rows)] for kept in self._cache)
        return (self._cut(whole, start, seconds) if part else whole.float()), present

    def _read_together(
        self, rows: NDArray[np.int64], start: NDArray[np.float64], seconds: float
    ) -> tuple[Tensor, Tensor]:
        if self.ranks is None or len(rows) < self.ranks.size:
            read, there = self._read(rows, start, seconds)
            return self.put(read), self.put(there)
        own, counts = self.ranks.own_rows(len(rows)), self.ranks.counts(len(rows))
        read, there = self._read(rows[own], start[own], seconds)
        return self.ranks.gather(self.put(read), counts), self.ranks.gather(self.put(there), counts)

    def _cut(self, whole: Tensor, start: NDArray[np.float64], seconds: float) -> Tensor:
        """Cut a window from each record on the device, with its own mean."""
        front_end = self.records.front_end
        n_times = front_end.n_times(seconds)
        latest = whole.shape[1] - n_times
        first = self.put(np.clip(np.rint(start * front_end.fs_model).astype(np.int64), 0, latest))
        times = first[:, None] + torch.arange(n_times, device=whole.device)
        cut = whole.gather(1, times[:, :, None].expand(-1, -1, whole.shape[2])).float()
        return cut - cut.mean(dim=1, keepdim=True)

    def _read(
        self, rows: NDArray[np.int64], start: NDArray[np.float64], seconds: float
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        return read_windows(self.records.source, self.records.front_end, rows, start, seconds)

    def _cached_signals(self) -> tuple[Tensor, Tensor] | None:
        """Return all signals on the device in half precision, where they fit and no window is drawn anew."""
        source, seconds = self.records.source, self.records.window
        n_times = self.records.front_end.n_times(seconds)
        n_bytes = source.n_records * n_times * 12 * 2
        if not self.records.whole_records or n_bytes > _CACHE_SHARE * torch.cuda.mem_get_info(self.device)[0]:
            return None
        signal = torch.empty((source.n_records, n_times, 12), dtype=torch.float16, device=self.device)
        present = torch.empty((source.n_records, 12), dtype=torch.bool, device=self.device)
        every = np.arange(source.n_records)
        for part in np.array_split(every, max(1, len(every) // 256)):
            ready, there = self._read(part, np.zeros(len(part)), seconds)
            signal[part[0] : part[-1] + 1] = self.put(ready).half()
            present[part[0] : part[-1] + 1] = self.put(there)
        return signal, present


def _kind_of(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {', '.join(type(v).__name__ for v in value)}"
    return f"a {type(value).__name__}"
