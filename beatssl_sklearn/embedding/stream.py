"""From signals to embeddings: the streaming path that every embedder shares.

A record is embedded in windows of about 10 s, the length that models are trained on; a longer one becomes
several, each preprocessed by itself with two seconds of context on either side. So memory does not grow with the
length of a record, and a day's recording is embedded like the ten seconds that it consists of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import Bunch
from torch import Tensor

from ..ecg.preprocess import preprocess
from ..inputs.front_end import Detector, find_rpeaks
from ..inputs.plausibility import warn_about_rate, warn_about_scale
from ..inputs.source import Block, Source
from ..inputs.windows import Window, windows
from ..nn.blocks import Encoder
from ..nn.roi import beat_embeddings, mean_beats, sample_to_token

LEVELS = ("rhythm", "beat", "sample")






@dataclass(frozen=True)
class InferenceModel:
    """A fitted encoder, ready to run, with all that preprocessing must know."""

    encoder: Encoder
    fs_model: float
    amplitude: str
    device: torch.device
    precision: str
    beat_window: tuple[float, float]
    beat_phases: int
    detector: Detector

    @property
    def n_dims_beat(self) -> int:
        """Width of a beat's embedding."""
        return self.beat_phases * self.encoder.n_dims

    @property
    def n_dims_record(self) -> int:
        """Width of a record's embedding."""
        return self.encoder.n_dims_record + self.n_dims_beat

    def encode(self, signal: NDArray[np.float32]) -> Tensor:
        """Return the feature map (n_records, n_tokens, n_dims) of preprocessed signals."""
        x = torch.from_numpy(signal).to(self.device, non_blocking=True)
        if self.device.type != "cuda" or self.precision != "fp32":
            return self.encoder(x)
        # TensorFloat-32, cuDNN's default for convolutions, has ten bits: embeddings would differ from a CPU's.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return self.encoder(x)


class BlockEmbedding(NamedTuple):
    """What a block of records became; levels that were not asked for are None."""

    rows: NDArray[np.int64]
    rhythm: NDArray[np.float32] | None
    rpeaks: list[NDArray[np.int64]] | None
    beats: list[NDArray[np.float32]] | None
    samples: list[NDArray[np.float32]] | None
    times: NDArray[np.float64] | None


def embed(
    source: Source,
    model: InferenceModel,
    *,
    batch_size: int,
    levels: Sequence[str] = ("rhythm",),
    rpeaks: Sequence[NDArray] | None = None,
    index: NDArray[np.int64] | None = None,
    stacklevel: int = 3,
) -> Iterator[BlockEmbedding]:
    """Embed records block by block.

    Parameters
    ----------
    source : Source
        The records.
    model : InferenceModel
        The fitted encoder.
    batch_size : int
        Records, or windows of long records, that the network sees at once.
    levels : sequence of {"rhythm", "beat", "sample"}
        What is wanted.
    rpeaks : sequence of arrays, optional
        R peaks of the beats to embed in every record of the source [samples]; detected where not given. The rhythm
        embedding always rests on the detector's, and so is the same whichever beats are asked for.
    index : ndarray of int64, optional
        Records wanted; all by default.
    stacklevel : int
        Frames between this function and the caller whom warnings should point at.

    Yields
    ------
    BlockEmbedding
    """
    index = np.arange(source.n_records) if index is None else index
    flat: list[NDArray] = []
    scales: list[NDArray] = []
    rr: list[float] = []
    for block in source.read(index, batch_size):
        detected, peaks = None, None
        if "rhythm" in levels or ("beat" in levels and rpeaks is None):
            detected = find_rpeaks(block, model.detector, model.beat_window)
            rr += [float(np.median(np.diff(r))) / block.fs if len(r) > 1 else np.nan for r in detected]
        if "beat" in levels:
            peaks = detected if rpeaks is None else find_rpeaks(block, model.detector, model.beat_window, rpeaks)
        embedded, scale = _embed_block(block, model, batch_size, levels, peaks, detected)
        flat.append(block.rows[~block.blank])
        scales.append(scale[~block.blank])
        yield embedded
    if flat:
        warn_about_scale(np.concatenate(flat), np.concatenate(scales), stacklevel=stacklevel + 1)
        warn_about_rate(np.array(rr), stacklevel=stacklevel + 1)


def gather(blocks: Iterator[BlockEmbedding], levels: Sequence[str]) -> Bunch:
    """Join the embeddings of blocks in the order of X."""
    parts = list(blocks)
    out = Bunch()
    if "rhythm" in levels:
        out.rhythm = np.concatenate([p.rhythm for p in parts if p.rhythm is not None])
    if "beat" in levels:
        out.beat = [b for p in parts for b in p.beats or []]
        out.rpeaks = [r for p in parts for r in p.rpeaks or []]
    if "sample" in levels:
        out.sample = [s for p in parts for s in p.samples or []]
        out.times = [p.times for p in parts for _ in p.samples or []]
    return out






@torch.inference_mode()
def _embed_block(
    block: Block,
    model: InferenceModel,
    batch_size: int,
    levels: Sequence[str],
    rpeaks: list[NDArray[np.int64]] | None,
    detected: list[NDArray[np.int64]] | None,
) -> tuple[BlockEmbedding, NDArray]:
    n, n_times = len(block.rows), block.signal.shape[2]
    cuts = windows(n_times, block.fs)
    pooled = np.zeros((n, model.n_dims_record), dtype=np.float64)
    beats: list[list[NDArray]] = [[] for _ in range(n)]
    tokens: list[list[NDArray]] = [[] for _ in range(n)]
    times: list[NDArray] = []
    scale = np.zeros(n, dtype=np.float32)
    for group in _batches_of_windows(cuts, max(1, batch_size // n)):
        parts = [block.signal[:, :, w.start : w.stop] for w in group]
        signal = np.concatenate(parts) if len(parts) > 1 else parts[0]
        ready = preprocess(signal, block.fs, model.fs_model, block.leads, model.amplitude)
        feature_map = model.encode(ready.signal)
        np.maximum(scale, ready.scale.reshape(len(group), n).max(axis=0), out=scale)
        for k, window in enumerate(group):
            part = feature_map[k * n : (k + 1) * n]
            core, token_times = _core_tokens(part, window, block.fs, model)
            own = None if rpeaks is None else _embed_beats(part, rpeaks, window, block.fs, model)
            if "rhythm" in levels and detected is not None:
                every = own if detected is rpeaks and own else _embed_beats(part, detected, window, block.fs, model)
                share = (window.core_stop - window.core_start) / n_times
                pooled += share * _embed_records(core, every, model).cpu().numpy()
            if "sample" in levels:
                times.append(token_times)
                for row, part_tokens in zip(tokens, core.float().cpu().numpy(), strict=True):
                    row.append(part_tokens)
            if own is not None:
                for row, vectors in zip(beats, own.split(), strict=True):
                    row.append(vectors)
    pooled[block.blank] = np.nan
    result = BlockEmbedding(
        block.rows,
        pooled.astype(np.float32) if "rhythm" in levels else None,
        rpeaks,
        [_join(b) for b in beats] if rpeaks is not None else None,
        [_join(t) for t in tokens] if "sample" in levels else None,
        np.concatenate(times) if times else None,
    )
    return result, scale


def _join(parts: list[NDArray]) -> NDArray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _batches_of_windows(cuts: list[Window], at_once: int) -> Iterator[list[Window]]:
    """Group neighbouring windows of one length, so that they share a pass through the network."""
    group: list[Window] = []
    for window in cuts:
        if group and (len(group) == at_once or group[0].stop - group[0].start != window.stop - window.start):
            yield group
            group = []
        group.append(window)
    yield group


def _core_tokens(part: Tensor, window: Window, fs: float, model: InferenceModel) -> tuple[Tensor, NDArray]:
    """Return the tokens whose centre lies in the core of a window, and their times in the record [s]."""
    n_tokens = part.shape[1]
    times = window.start / fs + ((np.arange(n_tokens) + 0.5) * model.encoder.stride - 0.5) / model.fs_model
    if window.core_start == window.start and window.core_stop == window.stop:
        return part, times
    first, last = np.searchsorted(times, [window.core_start / fs, window.core_stop / fs])
    first = 0 if window.core_start == window.start else int(first)
    last = n_tokens if window.core_stop == window.stop else int(last)
    return part[:, first:last], times[first:last]


class _Beats(NamedTuple):
    """Embeddings of the beats of some records, one after the other."""

    vectors: Tensor
    record: Tensor
    lengths: list[int]

    def split(self) -> list[NDArray[np.float32]]:
        """One array per record."""
        return np.split(self.vectors.float().cpu().numpy(), np.cumsum(self.lengths)[:-1])


def _embed_beats(
    part: Tensor, rpeaks: list[NDArray[np.int64]], window: Window, fs: float, model: InferenceModel
) -> _Beats:
    """Embed the beats whose R peak lies in the core of a window."""
    own = [r[(r >= window.core_start) & (r < window.core_stop)] for r in rpeaks]
    lengths = [len(r) for r in own]
    record = torch.from_numpy(np.repeat(np.arange(len(own)), lengths))
    position = (np.concatenate(own) - window.start) * (model.fs_model / fs)
    before, after = (s * model.fs_model for s in model.beat_window)
    borders = (position - before, position + after)
    start, end = (sample_to_token(torch.from_numpy(p), model.encoder.stride) for p in borders)
    return _Beats(beat_embeddings(part, record, start, end, model.beat_phases), record, lengths)


def _embed_records(core: Tensor, beats: _Beats, model: InferenceModel) -> Tensor:
    return torch.cat([model.encoder.pool(core), mean_beats(beats.vectors, beats.record, core)], dim=1)
