"""From signals to embeddings: the streaming path that every embedder shares.

A record is embedded in windows of about 10 s, the length that models are trained on; a longer one becomes
several, each preprocessed by itself with two seconds of context on either side. So memory does not grow with the
length of a record, and a day's recording is embedded like the ten seconds that it consists of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import Bunch
from torch import Tensor

from ..ecg.beat_middle import qrs_middles
from ..ecg.beat_morphology import beat_morphology
from ..ecg.beat_timing import beat_timing
from ..ecg.beats import as_objects
from ..ecg.preprocess import resampling_ratio
from ..inputs.front_end import check_given_rpeaks
from ..inputs.plausibility import RecordCheck
from ..inputs.source import Block, Source
from ..inputs.windows import Window, windows
from ..nn.roi import beat_embeddings, mean_beats, sample_to_token
from ..quality.reliable import ReliabilityCheck
from .fitted_encoder import FittedEncoder, InferenceModel

LEVELS = ("rhythm", "beat", "sample")


class BlockEmbedding(NamedTuple):
    """What a block of records of one rate became; levels that were not asked for are None."""

    fs: float
    rows: NDArray[np.int64]
    rhythm: NDArray[np.float32] | None
    rpeaks: list[NDArray[np.int64]] | None
    beats: list[NDArray[np.float32]] | None
    samples: list[NDArray[np.float32]] | None
    times: NDArray[np.float64] | None
    morphology: list[NDArray[np.float32]] | None = None


def embed(
    source: Source,
    model: InferenceModel,
    *,
    batch_size: int,
    levels: Sequence[str] = ("rhythm",),
    rpeaks: Sequence[NDArray] | None = None,
    index: NDArray[np.int64] | None = None,
    check: str = "warn",
    reliable: str = "keep",
    morphology: bool = False,
    align: bool = False,
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
    check : {"warn", "raise", "ignore"}
        What to do with records that look odd, after the last one.
    reliable : {"keep", "warn", "drop", "raise"}
        What to do with records of a low quality; see `RhythmEmbedder`.
    morphology : bool
        Whether the columns of `beat_morphology` are wanted of the beats.
    align : bool
        Whether beats are embedded around the middle of their QRS.

    Yields
    ------
    BlockEmbedding

    Raises
    ------
    ValueError
        If a record looks odd and `check` is "raise", one is unreliable and `reliable` is "raise", or `rpeaks` does not
        hold one array per record.
    """
    index = np.arange(source.n_records) if index is None else index
    rpeaks = check_given_rpeaks(rpeaks, source.n_records)
    odd, unreliable = RecordCheck(source, check), ReliabilityCheck(source, reliable)
    for block in source.read(index, batch_size):
        detected, peaks = None, None
        if "rhythm" in levels or ("beat" in levels and rpeaks is None):
            detected = model.front_end.find_rpeaks(block)
        if "beat" in levels:
            peaks = detected if rpeaks is None else model.front_end.find_rpeaks(block, rpeaks)
        if odd.wanted:
            known = detected if detected is not None else peaks
            found = model.front_end.find_rpeaks(block) if known is None else known
            odd.look(block, found, given=detected is None and peaks is not None)
        middles = beat_middles(block, peaks) if align and peaks is not None else None
        embedded = embed_block(unreliable.look(block), model, batch_size, levels, peaks, detected, middles=middles)
        if morphology and peaks is not None:
            described = (beat_morphology(x, own, block.fs) for x, own in zip(block.signal, peaks, strict=True))
            embedded = embedded._replace(morphology=list(described))
        yield embedded if embedded.rhythm is None else embedded._replace(rhythm=model.read_out(embedded.rhythm))
    odd.tell()
    unreliable.tell()


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


def embed_rhythm(
    encoder: FittedEncoder,
    source: Source,
    *,
    batch_size: int,
    device: Any = None,
    precision: str = "auto",
    check: str = "warn",
    reliable: str = "keep",
) -> NDArray[np.float32]:
    """Return one embedding per record, (n_records, n_dims)."""
    model = encoder.model(device, precision)
    out = np.empty((source.n_records, model.n_dims_record), dtype=np.float32)
    for block in embed(source, model, batch_size=batch_size, check=check, reliable=reliable):
        out[block.rows] = block.rhythm
    return out


def embed_beats(
    encoder: FittedEncoder,
    source: Source,
    rpeaks: Sequence[NDArray] | None = None,
    timing: bool = False,
    morphology: bool = False,
    align: bool = False,
    *,
    batch_size: int,
    device: Any = None,
    precision: str = "auto",
    check: str = "warn",
    reliable: str = "keep",
) -> NDArray[np.object_]:
    """Return one array (n_beats, n_dims) per record, as an object array; morphology and timing come last."""
    run: dict[str, Any] = {"batch_size": batch_size, "check": check, "reliable": reliable}
    run |= {"rpeaks": rpeaks, "morphology": morphology, "align": align}
    found = []
    for block in embed(source, encoder.model(device, precision), levels=("beat",), **run):
        found += _described(block, timing, reliable == "drop") if timing or morphology else block.beats or []
    return as_objects(found)


def _described(block: BlockEmbedding, timing: bool, drop: bool) -> list[NDArray[np.float32]]:
    """Return the embeddings of the beats of each record, with morphology and timing after them, where wanted.

    With `drop`, these are NaN where the embedding is.
    """
    rows = []
    for i, (beats, peaks) in enumerate(zip(block.beats or [], block.rpeaks or [], strict=True)):
        parts = [beats] if block.morphology is None else [beats, block.morphology[i]]
        own = np.concatenate([*parts, beat_timing(peaks, block.fs)] if timing else parts, axis=1)
        if drop:
            own[np.isnan(own[:, 0])] = np.nan
        rows.append(own)
    return rows


def embed_tokens(
    encoder: FittedEncoder,
    source: Source,
    *,
    batch_size: int,
    device: Any = None,
    precision: str = "auto",
    check: str = "warn",
    reliable: str = "keep",
) -> NDArray:
    """Return the tokens (n_records, n_tokens, n_dims), or an object array where records are of unequal length."""
    run: dict[str, Any] = {"batch_size": batch_size, "check": check, "reliable": reliable}
    blocks = embed(source, encoder.model(device, precision), levels=("sample",), **run)
    tokens = [record for block in blocks for record in block.samples or []]
    return np.stack(tokens) if len({t.shape for t in tokens}) == 1 else as_objects(tokens)


def token_times(n_times: int, fs: float, model: InferenceModel) -> NDArray[np.float64]:
    """Return the centres [s] of the tokens of a record of `n_times` samples."""
    up, down = resampling_ratio(fs, model.front_end.fs_model)
    parts = []
    for window in windows(n_times, fs):
        n_tokens = ceil(ceil((window.stop - window.start) * up / down) / model.encoder.stride)
        parts.append(_core_times(n_tokens, window, fs, model)[1])
    return np.concatenate(parts)


@torch.inference_mode()
def embed_block(
    block: Block,
    model: InferenceModel,
    batch_size: int,
    levels: Sequence[str],
    rpeaks: list[NDArray[np.int64]] | None,
    detected: list[NDArray[np.int64]] | None,
    cuts: list[Window] | None = None,
    middles: list[NDArray[np.float64]] | None = None,
) -> BlockEmbedding:
    """Embed the records of a block window by window.

    Parameters
    ----------
    block : Block
        Signals of the records.
    model : InferenceModel
        The fitted encoder.
    batch_size : int
        Windows that the network sees at once.
    levels : sequence of {"rhythm", "beat", "sample"}
        What is wanted.
    rpeaks : list of arrays or None
        R peaks of the beats that are wanted [samples].
    detected : list of arrays or None
        R peaks that the rhythm embedding rests on [samples].
    cuts : list of Window, optional
        Windows to embed; those of whole records by default.
    middles : list of arrays, optional
        Places around which the beats of `rpeaks` are embedded [samples]; their R peaks by default.

    Returns
    -------
    BlockEmbedding
        Without the readout. A record that the block calls blank is NaN at every level.
    """
    n, n_times = len(block.rows), block.signal.shape[2]
    cuts = windows(n_times, block.fs) if cuts is None else cuts
    pooled = np.zeros((n, model.n_dims_pooled), dtype=np.float64)
    beats: list[list[NDArray]] = [[] for _ in range(n)]
    tokens: list[list[NDArray]] = [[] for _ in range(n)]
    times: list[NDArray] = []
    for group in _batches_of_windows(cuts, max(1, batch_size // n)):
        parts = [block.signal[:, :, w.start : w.stop] for w in group]
        signal = np.concatenate(parts) if len(parts) > 1 else parts[0]
        feature_map = model.encode(model.front_end(block._replace(signal=signal)).signal)
        for k, window in enumerate(group):
            part = feature_map[k * n : (k + 1) * n]
            kept, centres = _core_times(part.shape[1], window, block.fs, model)
            core = part[:, kept]
            own = None if rpeaks is None else _embed_beats(part, rpeaks, window, block.fs, model, middles)
            if "rhythm" in levels and detected is not None:
                same = detected is rpeaks and middles is None
                every = own if same and own else _embed_beats(part, detected, window, block.fs, model)
                share = (window.core_stop - window.core_start) / n_times
                pooled += share * _embed_records(core, every, model).cpu().numpy()
            if "sample" in levels:
                times.append(centres)
                for row, part_tokens in zip(tokens, core.float().cpu().numpy(), strict=True):
                    row.append(part_tokens)
            if own is not None:
                for row, vectors in zip(beats, own.split(), strict=True):
                    row.append(vectors)
    pooled[block.blank] = np.nan
    for i in np.flatnonzero(block.blank):
        # Nothing that looks plausible comes from a record without a sample.
        for vectors in (*beats[i], *tokens[i]):
            vectors[...] = np.nan
    return BlockEmbedding(
        block.fs,
        block.rows,
        pooled.astype(np.float32) if "rhythm" in levels else None,
        rpeaks,
        [_join(b) for b in beats] if rpeaks is not None else None,
        [_join(t) for t in tokens] if "sample" in levels else None,
        np.concatenate(times) if times else None,
    )


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


def _core_times(
    n_tokens: int, window: Window, fs: float, model: InferenceModel
) -> tuple[slice, NDArray[np.floating]]:
    """Return which tokens have their centre in the core of a window, and their times in the record [s]."""
    centre = (np.arange(n_tokens) + 0.5) * model.encoder.stride - 0.5
    times = window.start / fs + centre / model.front_end.fs_model
    if window.core_start == window.start and window.core_stop == window.stop:
        return slice(None), times
    first, last = np.searchsorted(times, [window.core_start / fs, window.core_stop / fs])
    begin = 0 if window.core_start == window.start else int(first)
    end = n_tokens if window.core_stop == window.stop else int(last)
    return slice(begin, end), times[begin:end]


class _Beats(NamedTuple):
    """Embeddings of the beats of some records, one after the other."""

    vectors: Tensor
    record: Tensor
    lengths: list[int]

    def split(self) -> list[NDArray[np.float32]]:
        """One array per record."""
        return np.split(self.vectors.float().cpu().numpy(), np.cumsum(self.lengths)[:-1])


def beat_middles(block: Block, rpeaks: list[NDArray[np.int64]]) -> list[NDArray[np.float64]]:
    """Return the middles of the QRS of the beats of each record [samples]."""
    return [qrs_middles(signal, own, block.fs) for signal, own in zip(block.signal, rpeaks, strict=True)]


def _embed_beats(
    part: Tensor,
    rpeaks: list[NDArray[np.int64]],
    window: Window,
    fs: float,
    model: InferenceModel,
    middles: list[NDArray[np.float64]] | None = None,
) -> _Beats:
    """Embed the beats whose R peak lies in the core of a window, around it or around the middle of the QRS."""
    inside = [(r >= window.core_start) & (r < window.core_stop) for r in rpeaks]
    own = [at[kept] for at, kept in zip(rpeaks if middles is None else middles, inside, strict=True)]
    lengths = [len(r) for r in own]
    record = torch.from_numpy(np.repeat(np.arange(len(own)), lengths))
    position = (np.concatenate(own) - window.start) * (model.front_end.fs_model / fs)
    before, after = (s * model.front_end.fs_model for s in model.front_end.beat_window)
    borders = (position - before, position + after)
    start, end = (sample_to_token(torch.from_numpy(p), model.encoder.stride) for p in borders)
    return _Beats(beat_embeddings(part, record, start, end, model.front_end.beat_phases), record, lengths)


def _embed_records(core: Tensor, beats: _Beats, model: InferenceModel) -> Tensor:
    return torch.cat([model.encoder.pool(core), mean_beats(beats.vectors, beats.record, core)], dim=1)
