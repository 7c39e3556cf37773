"""Samples of one WFDB segment as integers, and their conversion to mV."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .formats import COMPRESSED, INVALID, block_bytes, decode, stored_bytes, stored_samples
from .header import NO_SAMPLES, Header, SignalSpec
from .paths import read_array, refuse, regular_size

# How many rows are handled as one: numpy is slow on short rows.
_ROWS = 64
# FLAC stores a constant block of 65,535 samples in a few bytes; no real signal comes near.
_LARGEST_COMPRESSION = 5000
_LARGEST_FLAC = 2**29


class Digital(NamedTuple):
    """Samples of one signal file.

    Attributes
    ----------
    frames : ndarray of shape (n_times, n_samples_per_frame), integers
        Samples of all signals in the file, as stored.
    signals : tuple of int
        Positions of these signals in the header.
    """

    frames: NDArray[Any]
    signals: tuple[int, ...]


def check_units(record: str, header: Header, wanted: Sequence[int]) -> None:
    """Raise a ValueError if the unit of a wanted signal is not one of voltage."""
    signals = header.signals
    for i in wanted:
        if math.isnan(signals[i].gain):
            refuse(record, f"signal {i + 1} has the unit {signals[i].unit[:20]!r}, which is not one of voltage")


def read_digital(
    directory: str, record: str, header: Header, wanted: tuple[int, ...], root: str | None, notes: list[str]
) -> list[Digital]:
    """Read the signal files that hold the wanted signals.

    Parameters
    ----------
    directory, record : str
        Directory and name of the record.
    header : Header
        Header of a record of one segment.
    wanted : tuple of int
        Positions of the wanted signals in the header.
    root : str or None
        See `regular_size`.
    notes : list of str
        Receives warnings.

    Returns
    -------
    digital : list of Digital
        One per file.

    Raises
    ------
    ValueError
        If a file is too short or not a regular file, or if signals contradict each other.
    OSError
        If a file is missing.
    """
    files: dict[str, list[int]] = {}
    for i, spec in enumerate(header.signals):
        files.setdefault(spec.file, []).append(i)
    digital: list[Digital] = []
    for file, members in files.items():
        if len(files) > 1 and not any(i in members for i in wanted):
            continue
        specs = [header.signals[i] for i in members]
        if len({(spec.fmt, spec.offset) for spec in specs}) > 1:
            refuse(record, f"signals in the file {file!r} have different formats or offsets")
        n_times, frames = _read_file(directory, record, header, specs, root, notes)
        if n_times != header.n_times:
            if digital:
                refuse(record, "its signal files have different lengths")
            header = header._replace(n_times=n_times)
        digital.append(Digital(frames, tuple(members)))
    return digital


def _read_file(
    directory: str, record: str, header: Header, specs: list[SignalSpec], root: str | None, notes: list[str]
) -> tuple[int, NDArray[Any]]:
    """Return the length of one file, and its samples (n_times, n_samples_per_frame)."""
    first = specs[0]
    per_frame = sum([spec.per_frame for spec in specs])
    if first.fmt == NO_SAMPLES:
        refuse(record, f"format 0: {', '.join(spec.name or '?' for spec in specs)} have no samples")
    size = regular_size(directory, first.file, record, root)
    if first.fmt in COMPRESSED:
        n_times, flat = _read_flac(directory, record, header.n_times, specs, size)
    else:
        available = size - first.offset
        n_times = header.n_times or stored_samples(first.fmt, max(available, 0)) // per_frame
        needed = stored_bytes(first.fmt, n_times * per_frame)
        if not 0 < needed <= available:
            refuse(record, f"file {first.file!r} has {max(available, 0)} bytes of samples, {max(needed, 1)} are needed")
        if header.n_times is not None and available - needed >= block_bytes(first.fmt):
            notes.append(f"{available - needed} bytes of trailing data are ignored: the header announces less")
        flat = decode(read_array(directory, first.file, record, first.offset, needed), first.fmt, n_times * per_frame)
    for spec in specs:
        if spec.skew >= n_times:
            refuse(record, f"a skew of {spec.skew} samples in a record of {n_times}")
    frames = flat.reshape(n_times, per_frame)
    return n_times, _undifference(frames, specs) if first.fmt == "8" else frames


def _undifference(frames: NDArray[Any], specs: list[SignalSpec]) -> NDArray[np.int64]:
    """Sum up the differences that format 8 stores, from one sample of a signal to its next."""
    absolute = np.empty(frames.shape, dtype=np.int64)
    start = 0
    for spec in specs:
        part = frames[:, start : start + spec.per_frame]
        absolute[:, start : start + spec.per_frame] = spec.initial + np.cumsum(part, dtype=np.int64).reshape(part.shape)
        start += spec.per_frame
    return absolute


def _read_flac(
    directory: str, record: str, n_times: int | None, specs: list[SignalSpec], size: int
) -> tuple[int, NDArray[np.int32]]:
    """Decode a FLAC file, after comparing its first block with the header."""
    file, per_frame, offset = specs[0].file, specs[0].per_frame, specs[0].offset
    n_bits = COMPRESSED[specs[0].fmt]
    head = read_array(directory, file, record, 0, min(size, 42)).tobytes()
    if len(head) < 42 or head[:4] != b"fLaC" or head[4] & 0x7F:
        refuse(record, f"file {file!r} is not a FLAC file")
    # From byte 18 on, the block STREAMINFO has 20 bits of rate, 3 of channels - 1, 5 of resolution - 1, 36 of length.
    packed = int.from_bytes(head[18:26], "big")
    channels, bits, length = (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1, packed & (2**36 - 1)
    if channels != len(specs) or bits > n_bits or any(spec.per_frame != per_frame for spec in specs):
        refuse(record, f"file {file!r} has {channels} channels of {bits} bits, unlike the header")
    n_times = n_times or max(length - offset, 0) // per_frame
    n_samples = n_times * per_frame
    if not 0 < n_samples <= length - offset:
        refuse(record, f"file {file!r} has {length} samples per signal: {offset} + {n_samples} are needed")
    if n_samples * channels > min(size * _LARGEST_COMPRESSION, _LARGEST_FLAC):
        refuse(record, f"file {file!r} claims {length} samples per signal in {size} bytes")
    try:
        # Slow to import, and few records are compressed.
        import soundfile

        with open(os.path.join(directory, file), "rb") as stream, soundfile.SoundFile(stream) as sound:
            sound.seek(offset)
            values = sound.read(n_samples, dtype="int32", always_2d=True)
    except Exception as error:
        # The errors of libsndfile print the path, and folder names can identify patients.
        refuse(record, f"file {file!r} cannot be decoded as FLAC ({type(error).__name__})")
    if values.shape != (n_samples, channels):
        refuse(record, f"file {file!r} ended early: {len(values)} of {n_samples} samples per signal")
    # soundfile puts samples into the highest bits of 32.
    values = values >> (32 - bits)
    # A channel is a signal. In a frame, the samples of one signal lie side by side.
    return n_times, values.reshape(n_times, per_frame, channels).transpose(0, 2, 1).reshape(-1)


def sum_samples(digital: Sequence[Digital], header: Header) -> dict[int, int]:
    """Sum the samples of each signal.

    Parameters
    ----------
    digital : sequence of Digital
        Samples as returned by `read_digital`.
    header : Header
        Header of the segment.

    Returns
    -------
    sums : dict of int to int
        Sums by the position of a signal in the header. They are right modulo 2**16, as checksums need them.
    """
    sums: dict[int, int] = {}
    for frames, signals in digital:
        n_times, width = frames.shape
        head = n_times - n_times % _ROWS
        # Integers of 16 and 32 bits wrap round without loss: checksums are modulo 2**16.
        blocks = np.add.reduce(frames[:head].reshape(-1, _ROWS * width), axis=0, dtype=frames.dtype)
        total = blocks.reshape(_ROWS, width).sum(axis=0, dtype=np.int64) + frames[head:].sum(axis=0, dtype=np.int64)
        by_signal = total.tolist()
        if width > len(signals):
            edges = np.cumsum([0] + [header.signals[i].per_frame for i in signals])
            by_signal = [sum(by_signal[a:b]) for a, b in zip(edges[:-1], edges[1:], strict=True)]
        sums.update(zip(signals, by_signal, strict=True))
    return sums


def checksum_notes(sums: Mapping[int, int], header: Header) -> list[str]:
    """Return a warning that names the signals whose sums are not the checksums in the header; none if all agree.

    Parameters
    ----------
    sums : mapping of int to int
        Sums of all samples of signals, as returned by `sum_samples`.
    header : Header
        Header of the segment.
    """
    signals = header.signals
    wrong = [
        i
        for i, total in sums.items()
        if (checksum := signals[i].checksum) is not None and (total - checksum) & 0xFFFF
    ]
    if not wrong:
        return []
    names = ", ".join(signals[i].name or str(i + 1) for i in sorted(wrong))
    return [f"checksum mismatch in {names}: the samples may be damaged"]


def physical_signals(digital: list[Digital], header: Header, wanted: tuple[int, ...]) -> NDArray[np.float32]:
    """Convert samples to mV.

    Parameters
    ----------
    digital : list of Digital
        Samples of all files that hold wanted signals.
    header : Header
        Header of the segment.
    wanted : tuple of int
        Positions of the wanted signals in the header, in the wanted order.

    Returns
    -------
    signals : ndarray of shape (n_times, n_wanted), float32
        Signals [mV]; NaN where a sample is missing. The mean is taken of several samples per frame.
    """
    if len(digital) == 1:
        return _one_file(digital[0], header, wanted)
    out = np.empty((len(digital[0].frames), len(wanted)), dtype=np.float32)
    for part in digital:
        here = [i for i in wanted if i in part.signals]
        out[:, [wanted.index(i) for i in here]] = _one_file(part, header, tuple(here))
    return out


def _one_file(part: Digital, header: Header, wanted: tuple[int, ...]) -> NDArray[np.float32]:
    """Convert the wanted signals of one file to mV."""
    specs = [header.signals[i] for i in wanted]
    widths = [header.signals[i].per_frame for i in part.signals]
    frames = part.frames
    if wanted != part.signals:
        starts = np.concatenate([[0], np.cumsum(widths)])
        places = [part.signals.index(i) for i in wanted]
        frames = frames[:, np.concatenate([np.arange(starts[k], starts[k + 1]) for k in places])]
        frames = np.ascontiguousarray(frames)
        widths = [spec.per_frame for spec in specs]
    columns = specs if max(widths) == 1 else [spec for spec in specs for _ in range(spec.per_frame)]
    gains, baselines = [spec.gain for spec in columns], [spec.baseline for spec in columns]
    values = _to_mv(frames, gains, baselines, INVALID[specs[0].fmt])
    if max(widths) > 1:
        values = _average_frames(values, widths)
    for column, spec in enumerate(specs):
        # A skewed signal begins later in the file than in time.
        if spec.skew:
            values[: -spec.skew, column] = values[spec.skew :, column].copy()
            values[-spec.skew :, column] = np.nan
    return values


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


def _average_frames(values: NDArray[np.float32], widths: list[int]) -> NDArray[np.float32]:
    """Return the mean of the valid samples of each signal in a frame; NaN if it has none."""
    out = np.full((len(values), len(widths)), np.nan, dtype=np.float32)
    start = 0
    for column, width in enumerate(widths):
        part = values[:, start : start + width]
        valid = np.isfinite(part)
        count = valid.sum(axis=1)
        total = np.where(valid, part, 0).sum(axis=1)
        np.divide(total, count, out=out[:, column], where=count > 0)
        start += width
    return out
