"""Samples in mV: gains and baselines, missing samples, several samples per frame, and skews."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .formats import INVALID
from .header import NO_SAMPLES, Header, SignalSpec
from .paths import refuse
from .samples import Digital, frame_width

# How many rows are handled as one: numpy is slow on short rows.
_ROWS = 64


def check_units(record: str, header: Header, wanted: Sequence[int]) -> None:
    """Raise a ValueError if a wanted signal has no samples, or a unit that is not one of voltage."""
    signals = header.signals
    for i in wanted:
        if signals[i].fmt == NO_SAMPLES:
            refuse(record, f"signal {i + 1} has no samples (format 0)")
        if math.isnan(signals[i].gain):
            refuse(record, f"signal {i + 1} has the unit {signals[i].unit[:20]!r}, which is not one of voltage")


def physical_signals(
    digital: list[Digital], header: Header, wanted: tuple[int, ...], multiple: int = 1
) -> NDArray[np.float32]:
    """Convert samples to mV.

    Parameters
    ----------
    digital : list of Digital
        Samples of all files that hold wanted signals.
    header : Header
        Header of the segment.
    wanted : tuple of int
        Positions of the wanted signals in the header, in the wanted order.
    multiple : int, default=1
        Samples per frame of the result; it divides the samples per frame of each wanted signal.

    Returns
    -------
    signals : ndarray of shape (n_frames * multiple, n_wanted), float32
        Signals [mV]; NaN where a sample is missing. Of a signal with more samples per frame, the mean of as many as
        become one is taken.
    """
    if len(digital) == 1:
        return _one_file(digital[0], header, wanted, multiple)
    out = np.empty((len(digital[0].frames) * multiple, len(wanted)), dtype=np.float32)
    for part in digital:
        here = [i for i in wanted if i in part.signals]
        out[:, [wanted.index(i) for i in here]] = _one_file(part, header, tuple(here), multiple)
    return out


def _one_file(part: Digital, header: Header, wanted: tuple[int, ...], multiple: int) -> NDArray[np.float32]:
    """Convert the wanted signals of one file to mV."""
    specs = [header.signals[i] for i in wanted]
    frames = part.frames
    if frames.shape[1] == len(part.signals):
        if wanted != part.signals:
            frames = np.ascontiguousarray(frames[:, [part.signals.index(i) for i in wanted]])
        gains, baselines = [spec.gain for spec in specs], [spec.baseline for spec in specs]
        values = _to_mv(frames, gains, baselines, INVALID[specs[0].fmt])
    else:
        values = np.empty((len(frames) * multiple, len(wanted)), dtype=np.float32)
        for column, (i, spec) in enumerate(zip(wanted, specs, strict=True)):
            start = frame_width([header.signals[k] for k in part.signals[: part.signals.index(i)]])
            values[:, column] = _unframe(frames[:, start : start + spec.per_frame], spec, multiple)
    for column, spec in enumerate(specs):
        # A skewed signal begins later in the file than in time.
        if skew := spec.skew * multiple:
            values[:-skew, column] = values[skew:, column].copy()
            values[-skew:, column] = np.nan
    return values


def _unframe(frames: NDArray[Any], spec: SignalSpec, multiple: int) -> NDArray[np.float32]:
    """Return one signal (n_frames * multiple,) of its frames (n_frames, per_frame)."""
    samples = np.ascontiguousarray(frames).reshape(-1, 1)
    values = _to_mv(samples, [spec.gain], [spec.baseline], INVALID[spec.fmt]).reshape(-1, spec.per_frame // multiple)
    if values.shape[1] == 1:
        return values[:, 0]
    valid = np.isfinite(values)
    count = valid.sum(axis=1)
    mean = np.full(len(values), np.nan, dtype=np.float32)
    total = np.where(valid, values, 0).sum(axis=1, dtype=np.float64)
    np.divide(total, count, out=mean, where=count > 0, casting="same_kind")
    return mean


def _to_mv(
    frames: NDArray[Any], gains: list[float], baselines: list[int], invalid: int | None
) -> NDArray[np.float32]:
    """Compute (samples - baseline) / gain by column."""
    # float32 holds integers below 2**24 exactly, so that only the division rounds. Larger ones need float64.
    exact = frames.dtype.itemsize <= 2 and max(map(abs, baselines)) < 2**23
    out = np.empty(frames.shape, dtype=np.float32 if exact else np.float64)
    if any(baselines):
        _columnwise(np.subtract, frames, np.array(baselines, dtype=out.dtype), out)
        _columnwise(np.divide, out, np.array(gains, dtype=out.dtype), out)
    elif len(set(gains)) == 1:
        np.divide(frames, out.dtype.type(gains[0]), out=out, dtype=out.dtype)
    else:
        _columnwise(np.divide, frames, np.array(gains, dtype=out.dtype), out)
    if invalid is not None and frames.min() == invalid:
        out[frames == invalid] = np.nan
    return out if exact else out.astype(np.float32)


def _columnwise(ufunc: np.ufunc, a: NDArray[Any], by_column: NDArray[Any], out: NDArray[Any]) -> None:
    """Apply `ufunc(a, by_column)` to many rows at a time."""
    width = a.shape[1]
    head = len(a) - len(a) % _ROWS
    flat = (-1, _ROWS * width)
    ufunc(a[:head].reshape(flat), np.tile(by_column, _ROWS), out=out[:head].reshape(flat), dtype=out.dtype)
    ufunc(a[head:], by_column, out=out[head:], dtype=out.dtype)
