"""What `BeatSSL` measures on records and beats, and how it is made ready to be compared."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..contrast.similarity import calibrate_bandwidth
from ..ecg.features.beat_types import beat_types
from ..ecg.features.measure import beat_features, record_features, with_components
from ..ecg.features.scaling import standardize
from ..ecg.features.table import FeatureTable, concatenate
from ..inputs.source import Block
from .objective import FitContext

N_RECORD_COMPONENTS, N_BEAT_COMPONENTS = 32, 16


class MeasuredFeatures(NamedTuple):
    """Features of a block of records, and of their beats one after the other."""

    records: FeatureTable
    beats: FeatureTable | None
    beat_type: NDArray[np.int8]
    beat_cluster: NDArray[np.int64]


class StandardizedFeatures(NamedTuple):
    """Standardised features of records or beats, ready to be compared."""

    values: NDArray[np.float32]
    present: NDArray[np.bool_]
    weights: NDArray[np.float32]
    bandwidth: NDArray[np.float32]


class RecordsFeatures(NamedTuple):
    """Features of all records and of all beats."""

    records: StandardizedFeatures
    beats: StandardizedFeatures
    beat_type: NDArray[np.int8]
    beat_cluster: NDArray[np.int64]
    beat_phases: int


def measure_features(
    block: Block, rpeaks: list[NDArray], beat_window: tuple[float, float] | None
) -> MeasuredFeatures:
    """Measure a block.

    Parameters
    ----------
    block : Block
    rpeaks : list of ndarray
        R peaks of each record [samples].
    beat_window : tuple of float or None
        Seconds before and after the R peak; None measures no beats.
    """
    signal, fs, leads = block.signal, block.fs, block.leads
    typed = beat_types(signal, fs, rpeaks, leads)
    return MeasuredFeatures(
        record_features(signal, fs, rpeaks, leads),
        None if beat_window is None else beat_features(signal, fs, rpeaks, leads, beat_window),
        np.concatenate([t for t, _ in typed]),
        np.concatenate([c for _, c in typed]),
    )


def prepare_features(
    measured: list[MeasuredFeatures], fit: FitContext, perplexity: float, measures_beats: bool
) -> RecordsFeatures:
    """Put the features of all blocks together, standardised and with bandwidths."""
    generator = torch.Generator().manual_seed(fit.seed)
    table = with_components(concatenate([m.records for m in measured]), n_components=N_RECORD_COMPONENTS)
    records = _standardized(table, perplexity, fit.batch_size, generator)
    beat_type = np.concatenate([m.beat_type for m in measured])
    if measures_beats:
        beat_table = concatenate([m.beats for m in measured if m.beats is not None])
        per_batch = max(2, round(len(beat_type) * fit.batch_size / max(fit.n_records, 1)))
        beat_table = with_components(beat_table, n_components=N_BEAT_COMPONENTS)
        beats = _standardized(beat_table, perplexity, per_batch, generator)
    else:
        nothing = np.zeros((len(beat_type), 0), dtype=np.float32)
        ones = np.ones(len(beat_type), np.float32)
        beats = StandardizedFeatures(nothing, nothing > 0, np.zeros(0, np.float32), ones)
    cluster = np.concatenate([m.beat_cluster for m in measured])
    return RecordsFeatures(records, beats, beat_type, cluster, fit.front_end.beat_phases)


def _standardized(
    table: FeatureTable, perplexity: float, batch_size: int, generator: torch.Generator
) -> StandardizedFeatures:
    values, present, weights = standardize(table)
    if len(values) < 2:
        return StandardizedFeatures(values, present, weights, np.ones(len(values), dtype=np.float32))
    bandwidth = calibrate_bandwidth(
        torch.from_numpy(values),
        torch.from_numpy(present),
        torch.from_numpy(weights),
        perplexity=perplexity,
        batch_size=batch_size,
        generator=generator,
    )
    return StandardizedFeatures(values, present, weights, bandwidth.numpy().astype(np.float32))
