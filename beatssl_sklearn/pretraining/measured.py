"""What a fit computes once and keeps: R peaks, features, neighbourhoods and beat types of every record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from ..contrast.similarity import calibrate_bandwidth
from ..ecg.features.beat_types import beat_types
from ..ecg.features.measure import beat_features, record_features, with_components
from ..ecg.features.scaling import standardize
from ..ecg.features.table import FeatureTable, concatenate
from ..inputs.front_end import Detector, find_rpeaks
from ..inputs.source import Block, Source
from ..inputs.windows import training_window

N_RECORD_COMPONENTS, N_BEAT_COMPONENTS = 32, 16
_CHUNK = 64


class Analysis(NamedTuple):
    """What is measured on one block of records."""

    rows: NDArray[np.int64]
    duration: NDArray[np.float64]
    blank: NDArray[np.bool_]
    records: FeatureTable
    beat_time: list[NDArray[np.float64]]
    beats: FeatureTable | None
    beat_type: NDArray[np.int8]
    beat_cluster: NDArray[np.int64]


class Features(NamedTuple):
    """Standardised features of records or beats, ready to be compared."""

    values: NDArray[np.float32]
    present: NDArray[np.bool_]
    weights: NDArray[np.float32]
    bandwidth: NDArray[np.float32]


@dataclass
class TrainingSet:
    """Records with all that the contrast needs to know of them; signals stay in the source."""

    source: Source
    fs_model: float
    amplitude: str
    window: float
    """Seconds of a record that a batch holds."""
    n_times: int
    """The same in samples of the model."""
    whole_records: bool
    """Whether every record is exactly one window."""
    duration: NDArray[np.float64]
    records: Features
    beats: Features
    beat_time: NDArray[np.float64]
    """R peaks of all records, one after the other [s]."""
    beat_offset: NDArray[np.int64]
    """Where the beats of record i begin (n_records + 1,)."""
    beat_type: NDArray[np.int8]
    beat_cluster: NDArray[np.int64]
    usable: NDArray[np.int64]
    """Records with at least one known sample."""
    groups: NDArray[np.int64] | None = field(default=None)

    def digest(self) -> str:
        """Return a digest of the records: lengths, R peaks, groups, and the samples of sixteen of them.

        Features are left out: their last bits depend on the number of threads, and on the machine.
        """
        found = hashlib.sha256()
        for array in (self.duration, self.beat_time, self.beat_offset):
            found.update(np.ascontiguousarray(array).tobytes())
        if self.groups is not None:
            found.update(self.groups.tobytes())
        n = self.source.n_records
        for block in self.source.read(np.unique(np.linspace(0, n - 1, min(n, 16)).astype(np.int64)), 1):
            found.update(np.ascontiguousarray(block.signal).tobytes())
        return found.hexdigest()[:32]

    def draw_start(self, index: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw where the training window of each record begins [s]."""
        slack = np.maximum(self.duration[index] - self.window, 0.0)
        return rng.random(len(index)) * slack

    def beats_of(
        self, index: NDArray[np.int64], start: NDArray[np.float64], beat_window: tuple[float, float]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return the beats inside the training windows: their numbers, rows of `index`, and times in the window [s]."""
        first, last = self.beat_offset[index], self.beat_offset[index + 1]
        record = np.repeat(np.arange(len(index)), last - first)
        beats = np.arange(len(record)) + np.repeat(first - np.cumsum(last - first) + (last - first), last - first)
        time = self.beat_time[beats] - start[record]
        end = np.minimum(self.duration[index], self.window)[record]
        inside = (time >= beat_window[0]) & (time + beat_window[1] <= end)
        return beats[inside], record[inside], time[inside]


def build_training_set(
    source: Source,
    *,
    fs_model: float,
    amplitude: str,
    detector: Detector,
    beat_window: tuple[float, float],
    measure_beats: bool,
    perplexity: float,
    batch_size: int,
    rpeaks: Sequence[NDArray] | None,
    groups: NDArray[np.int64] | None,
    seed: int,
    n_jobs: int | None,
    progress: bool,
) -> TrainingSet:
    """Read every record once and measure it.

    Raises
    ------
    ValueError
        If a record cannot be used; the message names it.
    """
    parts = list(_analyse_all(source, detector, beat_window, measure_beats, rpeaks, n_jobs, progress))
    duration = np.concatenate([p.duration for p in parts])
    window, whole = training_window(duration)
    beat_time = [t for p in parts for t in p.beat_time]
    rng = torch.Generator().manual_seed(seed)
    table = concatenate([p.records for p in parts])
    records = _features(with_components(table, n_components=N_RECORD_COMPONENTS), perplexity, batch_size, rng)
    beat_type = np.concatenate([p.beat_type for p in parts])
    if measure_beats:
        beat_table = concatenate([p.beats for p in parts if p.beats is not None])
        per_batch = max(2, round(len(beat_type) * batch_size / max(source.n_records, 1)))
        beats = _features(with_components(beat_table, n_components=N_BEAT_COMPONENTS), perplexity, per_batch, rng)
    else:
        nothing = np.zeros((len(beat_type), 0), dtype=np.float32)
        beats = Features(nothing, nothing > 0, np.zeros(0, np.float32), np.ones(len(beat_type), np.float32))
    return TrainingSet(
        source=source,
        fs_model=fs_model,
        amplitude=amplitude,
        window=window,
        n_times=max(1, ceil(window * fs_model - 1e-9)),
        whole_records=whole,
        duration=duration,
        records=records,
        beats=beats,
        beat_time=np.concatenate([np.zeros(0), *beat_time]),
        beat_offset=np.concatenate([[0], np.cumsum([len(t) for t in beat_time])]).astype(np.int64),
        beat_type=beat_type,
        beat_cluster=np.concatenate([p.beat_cluster for p in parts]),
        usable=np.flatnonzero(~np.concatenate([p.blank for p in parts])),
        groups=groups,
    )


def _analyse_all(
    source: Source,
    detector: Detector,
    beat_window: tuple[float, float],
    measure_beats: bool,
    rpeaks: Sequence[NDArray] | None,
    n_jobs: int | None,
    progress: bool,
) -> Iterator[Analysis]:
    def analyse_chunk(index: NDArray[np.int64]) -> list[Analysis]:
        return [_analyse(b, detector, beat_window, measure_beats, rpeaks) for b in source.read(index, _CHUNK)]

    every = np.arange(source.n_records)
    chunks = [every[i : i + _CHUNK] for i in range(0, len(every), _CHUNK)]
    # Threads, because reading and BLAS release the interpreter and processes would copy the signals.
    parallel = joblib.Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    done = parallel(joblib.delayed(analyse_chunk)(c) for c in chunks)
    with tqdm(total=source.n_records, desc="features", unit="rec", disable=not progress) as bar:
        for analyses in done:
            for analysis in analyses:
                bar.update(len(analysis.rows))
                yield analysis


def _analyse(
    block: Block,
    detector: Detector,
    beat_window: tuple[float, float],
    measure_beats: bool,
    rpeaks: Sequence[NDArray] | None,
) -> Analysis:
    found = find_rpeaks(block, detector, beat_window, rpeaks)
    signal = block.signal if np.isfinite(block.signal).all() else np.nan_to_num(block.signal)
    typed = beat_types(signal, block.fs, found, block.leads)
    n = len(block.rows)
    return Analysis(
        block.rows,
        np.full(n, signal.shape[2] / block.fs),
        block.blank,
        record_features(signal, block.fs, found, block.leads),
        [r / block.fs for r in found],
        beat_features(signal, block.fs, found, block.leads, beat_window) if measure_beats else None,
        np.concatenate([t for t, _ in typed]),
        np.concatenate([c for _, c in typed]),
    )


def _features(table: FeatureTable, perplexity: float, batch_size: int, generator: torch.Generator) -> Features:
    values, present, weights = standardize(table)
    if len(values) < 2:
        return Features(values, present, weights, np.ones(len(values), dtype=np.float32))
    bandwidth = calibrate_bandwidth(
        torch.from_numpy(values),
        torch.from_numpy(present),
        torch.from_numpy(weights),
        perplexity=perplexity,
        batch_size=batch_size,
        generator=generator,
    )
    return Features(values, present, weights, bandwidth.numpy().astype(np.float32))


