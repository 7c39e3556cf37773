"""Samples of one WFDB segment as integers: signal files, compressed or not, and their checksums."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .formats import COMPRESSED, block_bytes, decode, stored_bytes, stored_samples
from .header import Header, SignalSpec
from .paths import SMALL_FILE, check_large_file, read_array, refuse, regular_size

# How many rows are handled as one: numpy is slow on short rows.
_ROWS = 64
# FLAC stores a constant block of 65,535 samples in a few bytes. Real signals take a quarter of a byte per sample or
# more; some leads may be off, and a short record may be flat.
_FLAC_SAMPLES_PER_BYTE = 32
_FREE_FLAC_SAMPLES = 2**24
# 8 GiB as float32. Records of more are read by ranges.
_LARGEST_READ = 2**31


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


def read_digital(
    directory: str,
    record: str,
    header: Header,
    wanted: tuple[int, ...],
    root: str | None,
    notes: list[str],
    *,
    announced: bool = True,
) -> list[Digital]:
    """Read the signal files that hold the wanted signals; without a length in the header, it is that of the first.

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
    announced : bool, default=True
        Whether a length in `header` comes from the record's own header.

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
    announced = announced and header.n_times is not None
    digital: list[Digital] = []
    for file, members in files_of(header, wanted).items():
        specs = [header.signals[i] for i in members]
        fmt, offset = specs[0].fmt, specs[0].offset
        if [spec for spec in specs if spec.fmt != fmt or spec.offset != offset]:
            refuse(record, f"signals in the file {file!r} have different formats or offsets")
        n_times, frames = _read_file(directory, record, header, specs, root, notes, announced)
        if n_times != header.n_times:
            if digital:
                refuse(record, "its signal files have different lengths")
            header = header._replace(n_times=n_times)
        digital.append(Digital(frames, tuple(members)))
    return digital


def files_of(header: Header, wanted: tuple[int, ...]) -> dict[str, list[int]]:
    """Return the files with wanted signals in the order of the header, and the positions of all signals of each."""
    files: dict[str, list[int]] = {}
    for i, spec in enumerate(header.signals):
        files.setdefault(spec.file, []).append(i)
    return {file: members for file, members in files.items() if len(files) == 1 or any(i in members for i in wanted)}


def _read_file(
    directory: str,
    record: str,
    header: Header,
    specs: list[SignalSpec],
    root: str | None,
    notes: list[str],
    announced: bool,
) -> tuple[int, NDArray[Any]]:
    """Return the length of one file, and its samples (n_times, n_samples_per_frame)."""
    first = specs[0]
    per_frame = frame_width(specs)
    size = regular_size(directory, first.file, record, root)
    if size > SMALL_FILE:
        check_large_file(directory, first.file, record, size)
    if first.fmt in COMPRESSED:
        n_times, flat = _read_flac(directory, record, header.n_times, specs, size)
    else:
        available = size - first.offset
        n_times = header.n_times or stored_samples(first.fmt, max(available, 0)) // per_frame
        needed = stored_bytes(first.fmt, n_times * per_frame)
        if not 0 < needed <= available:
            refuse(record, f"file {first.file!r} has {max(available, 0)} bytes of samples, {max(needed, 1)} are needed")
        if n_times * per_frame > _LARGEST_READ:
            refuse(record, f"file {first.file!r} has {n_times * per_frame} samples, more than the {_LARGEST_READ} "
                   "that are read at once")
        spare = available - needed
        if announced and spare >= block_bytes(first.fmt):
            notes.append(f"{spare} bytes of trailing data are ignored: the header announces less")
        elif not announced and stored_samples(first.fmt, available) // per_frame > n_times:
            notes.append(f"{spare} bytes of trailing data are ignored: another signal file ends earlier")
        flat = decode(read_array(directory, first.file, record, first.offset, needed), first.fmt, n_times * per_frame)
    for spec in specs:
        if spec.skew >= n_times:
            refuse(record, f"a skew of {spec.skew} samples in a record of {n_times}")
    frames = flat.reshape(n_times, per_frame)
    return n_times, _undifference(frames, specs) if first.fmt == "8" else frames


def frame_width(specs: Sequence[SignalSpec]) -> int:
    """Return how many samples of these signals a frame has."""
    return sum([spec.per_frame for spec in specs])


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
    if n_samples * channels > min(_FREE_FLAC_SAMPLES + _FLAC_SAMPLES_PER_BYTE * size, _LARGEST_READ):
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
        if width > len(signals):
            starts = np.cumsum([0] + [header.signals[i].per_frame for i in signals[:-1]])
            total = np.add.reduceat(total, starts)
        sums.update(zip(signals, total.tolist(), strict=True))
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
        # Programs that compute no checksum write 0.
        if (checksum := signals[i].checksum) and (total - checksum) & 0xFFFF
    ]
    if not wrong:
        return []
    names = ", ".join(signals[i].name or str(i + 1) for i in sorted(wrong))
    return [f"checksum mismatch in {names}: the samples may be damaged"]
