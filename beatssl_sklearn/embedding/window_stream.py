"""From signals to an embedding per window: each window is embedded as if it were a record of its own.

So the embedding of a window does not depend on the rest of its record, and a recording of any length can be read some
minutes at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ecg.beats import as_objects
from ..ecg.preprocess import check_fs
from ..ecg.rr_measures import RR_MEASURES, rr_measures
from ..inputs.checks import check_duration
from ..inputs.plausibility import RecordCheck
from ..inputs.source import ArraySource, Block, Source
from ..quality.reliable import ReliabilityCheck, faults_of_block
from .fitted_encoder import FittedEncoder, InferenceModel
from .long_records import PIECE_S, Readable
from .stream import embed_block


class WindowPlan(NamedTuple):
    """Which windows are embedded, and what is measured of them.

    Attributes
    ----------
    window : float or None
        Length of a window [s]; None is the whole record.
    step : float
        Time from the start of one window to the next [s].
    timing : bool
        Whether measures of the RR intervals follow the embedding.
    timing_window : float or None
        Length of the stretch around a window's middle whose RR intervals are measured [s]; None is the window.
    min_duration : float
        Length of a record below which it is not embedded [s].
    """

    window: float | None = 10.0
    step: float = 5.0
    timing: bool = False
    timing_window: float | None = None
    min_duration: float = 0.0


class WindowPiece(NamedTuple):
    """Some windows of a record that is read piece by piece.

    Attributes
    ----------
    spans : ndarray (n_windows, 2) int64
        First sample of each window in the record, and the sample after its last one.
    rows : ndarray (n_windows, n_columns) float32
        Embeddings, and measures of RR intervals where these are wanted.
    """

    spans: NDArray[np.int64]
    rows: NDArray[np.float32]


def window_spans(n_times: int, fs: float, window: float | None, step: float) -> NDArray[np.int64]:
    """Return where the windows of a record begin and end.

    Parameters
    ----------
    n_times : int
        Length of the record [samples].
    fs : float
        Sampling rate [Hz].
    window : float or None
        Length of a window [s]; None is the whole record.
    step : float
        Time from the start of one window to the next [s].

    Returns
    -------
    ndarray (n_windows, 2) of int64
        First sample, and the sample after the last one. The last window ends with the record. A record that is no
        longer than a window is one window.
    """
    length = n_times if window is None else round(window * fs)
    if n_times <= length:
        return np.array([[0, n_times]], dtype=np.int64)
    starts = np.round(np.arange((n_times - length) / (step * fs) + 1) * step * fs).astype(np.int64)
    last = n_times - length
    starts = np.append(starts[starts < last], last)
    return np.stack([starts, starts + length], axis=1)


def embed_windows(
    encoder: FittedEncoder,
    source: Source,
    plan: WindowPlan,
    *,
    batch_size: int,
    device: Any = None,
    precision: str = "auto",
    check: str = "warn",
    reliable: str = "keep",
) -> NDArray[np.object_]:
    """Return one array (n_windows, n_columns) per record, as an object array; NaN for a record that is too short."""
    model, odd = encoder.model(device, precision), RecordCheck(source, check)
    unreliable = ReliabilityCheck(source, reliable)
    found: list[NDArray[np.float32]] = []
    for block in source.read(np.arange(source.n_records), batch_size):
        n_times = block.signal.shape[2]
        spans = window_spans(n_times, block.fs, plan.window, plan.step)
        if n_times < plan.min_duration * block.fs:
            odd.say(block.rows, f"shorter than {plan.min_duration:g} s (min_duration): not embedded")
            shape = (len(block.rows), len(spans), model.n_dims_pooled + len(RR_MEASURES) * plan.timing)
            found += list(np.full(shape, np.nan, dtype=np.float32))
            continue
        rpeaks = _find_rpeaks(block, spans, model, batch_size)
        rows = _embed(block, spans, rpeaks, model, batch_size)
        if unreliable.wanted:
            bad = _unreliable(block, spans, batch_size, unreliable)
            rows[bad & unreliable.drops] = np.nan
        joined = [_joined(own, spans) for own in rpeaks]
        odd.look(block, joined)
        if plan.timing:
            stretches = _stretches(spans, n_times, block.fs, plan)
            timing = [_timing(*peaks, stretches, block.fs) for peaks in zip(rpeaks, joined, strict=True)]
            rows = _beside(rows, np.stack(timing))
        found += list(rows)
    odd.tell()
    unreliable.tell()
    return as_objects(found)


def embed_window_pieces(
    record: Readable,
    model: InferenceModel,
    plan: WindowPlan,
    *,
    batch_size: int = 32,
    allow_nan: bool = False,
    piece: float = PIECE_S,
) -> Iterator[WindowPiece]:
    """Embed the windows of a record that is read piece by piece.

    Parameters
    ----------
    record : Readable
        Of any length.
    model : InferenceModel
        The fitted encoder.
    plan : WindowPlan
        The windows.
    batch_size : int, default=32
        Windows that the network sees at once.
    allow_nan : bool, default=False
        Whether NaN counts as missing.
    piece : float, default=600
        Time whose windows are embedded at once [s].

    Yields
    ------
    WindowPiece
        In the order of time. Joined, rows are those of the whole record to rounding.

    Raises
    ------
    ValueError, OSError
        If the record is too short, its rate is implausible, it lacks samples, or it cannot be read.
    """
    fs = check_fs(record.fs)
    check_duration(record.n_times, fs, "the record")
    spans = window_spans(record.n_times, fs, plan.window, plan.step)
    stretches = _stretches(spans, record.n_times, fs, plan)
    at_once = max(1, round(piece / plan.step))
    # Windows on both sides in which R peaks are found, too. At the ends of a record, stretches reach to one side only.
    context = ceil((plan.timing_window or 0.0) / plan.step)
    for i in range(0, len(spans), at_once):
        before, wide = min(i, context), spans[max(0, i - context) : i + at_once + context]
        own = slice(before, before + at_once)
        first, last = int(wide[0, 0]), int(wide[-1, 1])
        source = ArraySource(record.read(first, last)[None], fs, record.leads, allow_nan)
        (block,) = source.read(np.arange(1), 1)
        (rpeaks,) = _find_rpeaks(block, wide - first, model, batch_size)
        rows = _embed(block, wide[own] - first, [rpeaks[own]], model, batch_size)
        if plan.timing:
            joined = _joined(rpeaks, wide - first) + first
            measures = _timing(rpeaks[own], joined, None if stretches is None else stretches[i : i + at_once], fs)
            rows = _beside(rows, measures[None])
        yield WindowPiece(wide[own], rows[0])


def _cuts(block: Block, spans: NDArray[np.int64], batch_size: int) -> Iterator[tuple[int, int, Block]]:
    """Yield some windows of all records as records of their own, window by window: the first, how many, and a block."""
    at_once = max(1, batch_size // len(block.rows))
    for i in range(0, len(spans), at_once):
        group = spans[i : i + at_once]
        signal = np.concatenate([block.signal[:, :, start:stop] for start, stop in group])
        blank = np.isnan(signal).all(axis=(1, 2))
        yield i, len(group), block._replace(rows=np.arange(len(signal)), signal=signal, blank=blank, limits=None)


def _find_rpeaks(
    block: Block, spans: NDArray[np.int64], model: InferenceModel, batch_size: int
) -> list[list[NDArray[np.int64]]]:
    """Return the R peaks of each window of each record, counted from the start of the window."""
    # Also the peaks at the ends of a window, whose beats it does not hold wholly, have RR intervals.
    finder = replace(model.front_end, beat_window=(0.0, 1 / block.fs))
    rpeaks: list[list[NDArray[np.int64]]] = [[] for _ in block.rows]
    for _, _, cut in _cuts(block, spans, batch_size):
        for k, found in enumerate(finder.find_rpeaks(cut)):
            rpeaks[k % len(rpeaks)].append(found)
    return rpeaks


def _embed(
    block: Block,
    spans: NDArray[np.int64],
    rpeaks: list[list[NDArray[np.int64]]],
    model: InferenceModel,
    batch_size: int,
) -> NDArray[np.float32]:
    """Return the embeddings (n_records, n_windows, n_dims) of windows, given all their R peaks."""
    n = len(block.rows)
    rows = np.empty((n, len(spans), model.n_dims_pooled), dtype=np.float32)
    for i, n_windows, cut in _cuts(block, spans, batch_size):
        found = [rpeaks[k % n][i + k // n] for k in range(len(cut.rows))]
        inside = model.front_end.find_rpeaks(cut, found)
        embedded = embed_block(cut, model, batch_size, ("rhythm",), None, inside).rhythm
        assert embedded is not None
        rows[:, i : i + n_windows] = embedded.reshape(n_windows, n, -1).swapaxes(0, 1)
    return rows


def _unreliable(
    block: Block, spans: NDArray[np.int64], batch_size: int, unreliable: ReliabilityCheck
) -> NDArray[np.bool_]:
    """Return which windows (n_records, n_windows) are unreliable, each judged as a record, and note them."""
    texts: list[list[str]] = [[] for _ in block.rows]
    for _, _, cut in _cuts(block, spans, batch_size):
        for k, text in enumerate(faults_of_block(cut)):
            texts[k % len(texts)].append(text)
    for row, own in zip(block.rows, texts, strict=True):
        unreliable.look_at_windows(int(row), own, spans[:, 0] / block.fs)
    return np.array(texts) != ""


def _joined(rpeaks: list[NDArray[np.int64]], spans: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the R peaks of a record from those of its windows: neighbours share an overlap half and half."""
    middle = (spans[:-1, 1] + spans[1:, 0]) // 2
    borders = np.concatenate([spans[:1, 0], middle, spans[-1:, 1]])
    placed = [peaks + start for peaks, (start, _) in zip(rpeaks, spans, strict=True)]
    return np.concatenate(
        [p[(p >= a) & (p < b)] for p, a, b in zip(placed, borders[:-1], borders[1:], strict=True)]
    )


def _stretches(spans: NDArray[np.int64], n_times: int, fs: float, plan: WindowPlan) -> NDArray[np.int64] | None:
    """Return the stretches around windows whose RR intervals are measured; None if they are the windows."""
    if plan.timing_window is None:
        return None
    length = min(n_times, round(plan.timing_window * fs))
    starts = np.clip((spans.sum(axis=1) - length) // 2, 0, n_times - length)
    return np.stack([starts, starts + length], axis=1)


def _timing(
    rpeaks: list[NDArray[np.int64]],
    joined: NDArray[np.int64],
    stretches: NDArray[np.int64] | None,
    fs: float,
) -> NDArray[np.float64]:
    """Return the measures of RR intervals (n_windows, n_measures) of a record."""
    if stretches is None:
        return rr_measures(rpeaks, fs)
    edges = np.searchsorted(joined, stretches)
    return rr_measures([joined[a:b] for a, b in edges], fs)


def _beside(rows: NDArray[np.float32], measures: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return embeddings, and measures beside them; rows without a known sample are NaN."""
    measures = np.where(np.isnan(rows[:, :, :1]), np.nan, measures)
    return np.concatenate([rows, measures.astype(np.float32)], axis=2)
