"""Ranges of WFDB records: a recording of any length is read some minutes at a time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .formats import COMPRESSED, stored_bytes, stored_samples
from .header import Header, SignalSpec
from .paths import SMALL_FILE, check_large_file, find_record, refuse, regular_size
from .physical import check_units, physical_signals
from .record import ECGRecord, load_record, warn_of
from .samples import Digital, checksum_notes, files_of, frame_width, read_digital, sum_samples
from .segments import Segment, check_length, common_multiple, join_segments, read_headers
from .selection import choose_signals, wanted_signals

__all__ = ["WFDBReader"]

# Blocks of the formats 212, 310 and 311 hold two or three samples: every sixth frame starts with a block.
_ALIGNED = 6
_CHUNK_SAMPLES = 2**21
_DIFFERENCES = "8"


class WFDBReader:
    """A WFDB record whose samples are read by ranges.

    Parameters
    ----------
    path, leads, positional, confine_to_root
        As for `read_wfdb`.

    Attributes
    ----------
    fs : float
        Sampling rate [Hz].
    leads : tuple of str
        Names of the leads.
    n_times : int
        Length [samples].

    Raises
    ------
    ValueError, TypeError, OSError
        As for `read_wfdb`, from the header and the sizes of the files.

    Warns
    -----
    UserWarning
        If the header is odd. `check` warns of odd samples.

    Notes
    -----
    A record in format 8, or compressed and of unknown length, can only be read from its beginning: it is read as a
    whole, once.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        leads: Sequence[str] | Mapping[str, str] | None = None,
        positional: bool = False,
        confine_to_root: str | os.PathLike[str] | None = None,
    ) -> None:
        self._directory, self._name, self._root = find_record(path, confine_to_root)
        wanted, notes = wanted_signals(leads, positional), list[str]()
        header, headers = read_headers(self._directory, self._name, self._root, notes)
        self._chosen = choose_signals(self._name, header, headers, wanted)
        self.leads = self._chosen.names
        self._whole: ECGRecord | None = None
        self._segments: list[Segment] = []
        self._multiple = 1
        if _needs_the_beginning(header, headers):
            self._whole = load_record(self._directory, self._name, wanted, self._root)
            self.fs, self.n_times = self._whole.fs, self._whole.signal.shape[1]
            return
        if header.segments:
            self._segments = join_segments(self._name, header, headers, self._chosen.columns)
            n_frames = sum(length for _, length in header.segments)
        else:
            self._segments = [self._whole_record(header)]
            n_frames = self._segments[0].n_times
        self._multiple = common_multiple(self._name, header, self._segments, notes)
        self.fs, self.n_times = header.fs * self._multiple, n_frames * self._multiple
        if header.segments:
            check_length(self._directory, self._name, self._segments, self.n_times * len(self.leads), self._root)
        for segment in self._segments:
            self._check_files(segment)
        warn_of(self._name, notes)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Read the samples from `start` up to `stop`.

        Parameters
        ----------
        start, stop : int
            Range within the record [samples].

        Returns
        -------
        signal : ndarray of shape (n_leads, stop - start), float32
            Signals [mV], NaN where a sample is missing.

        Raises
        ------
        ValueError
            If the range is empty or leaves the record, or if the samples cannot be read.
        OSError
            If a file is missing or cannot be read.
        """
        if not 0 <= start < stop <= self.n_times:
            refuse(self._name, f"there are no samples {start} to {stop}: it has {self.n_times}")
        if self._whole is not None:
            return self._whole.signal[:, start:stop]
        try:
            return self._read(start, stop)
        except MemoryError:
            refuse(self._name, f"there is not enough memory to read {stop - start} samples of it")

    def _read(self, start: int, stop: int) -> NDArray[np.float32]:
        # Files are read by whole frames.
        multiple = self._multiple
        begin, end = start // multiple, -(-stop // multiple)
        out = np.full(((end - begin) * multiple, len(self.leads)), np.nan, dtype=np.float32)
        for part in self._segments:
            first, last = max(begin, part.start), min(end, part.start + part.n_times)
            if first < last:
                rows = slice((first - begin) * multiple, (last - begin) * multiple)
                out[rows, part.to] = self._physical(part, first - part.start, last - part.start)
        if -1 in self._chosen.signs:
            out *= np.array(self._chosen.signs, dtype=np.float32)
        return out[start - begin * multiple : stop - begin * multiple].T

    def check(self) -> None:
        """Read all samples once, and warn of wrong checksums and of trailing data, as `read_wfdb` does."""
        notes: list[str] = []
        for segment in self._segments:
            notes += self._notes_on_samples(segment)
        warn_of(self._name, notes)

    def _notes_on_samples(self, segment: Segment) -> list[str]:
        """Read a segment chunk by chunk; return what is odd about its samples."""
        # Sums do not depend on skews, and a skew may be longer than the last chunk. Keep one that no length allows.
        n_times = segment.n_times
        signals = tuple(spec._replace(skew=0 if spec.skew < n_times else spec.skew) for spec in segment.header.signals)
        segment = segment._replace(header=segment.header._replace(signals=signals))
        width = frame_width(signals)
        step = max(1, _CHUNK_SAMPLES // width // _ALIGNED) * _ALIGNED
        sums: Counter[int] = Counter()
        notes: list[str] = []
        for first in range(0, n_times, step):
            # Only the notes of the last chunk count: all others have data behind them.
            notes = []
            digital, _, _ = self._digital(segment, first, min(first + step, n_times), notes)
            sums.update(sum_samples(digital, segment.header))
        return notes + checksum_notes(sums, segment.header)

    def _whole_record(self, header: Header) -> Segment:
        """Return a record without segments as its own only segment."""
        columns = self._chosen.columns
        n_times = header.n_times
        if n_times is None:
            # As in a record that is read as a whole, the first file decides.
            first = next(iter(files_of(header, columns).values()))
            n_times = self._stored(self._name, [header.signals[i] for i in first])
        return Segment(self._name, header, 0, n_times, columns, tuple(range(len(columns))))

    def _stored(self, name: str, specs: list[SignalSpec]) -> int:
        """Return how many frames a file holds."""
        available = regular_size(self._directory, specs[0].file, name, self._root) - specs[0].offset
        return stored_samples(specs[0].fmt, max(available, 0)) // frame_width(specs)

    def _check_files(self, segment: Segment) -> None:
        """Refuse wrong units and short files before any sample is read."""
        signals = segment.header.signals
        check_units(segment.name, segment.header, segment.columns)
        for file in dict.fromkeys(signals[i].file for i in segment.columns):
            specs = [spec for spec in signals if spec.file == file]
            if (size := regular_size(self._directory, file, segment.name, self._root)) > SMALL_FILE:
                check_large_file(self._directory, file, segment.name, size)
            needed = max(segment.n_times, 1)
            if specs[0].fmt not in COMPRESSED and (n_stored := self._stored(segment.name, specs)) < needed:
                refuse(segment.name, f"file {file!r} holds {n_stored} samples of each signal, {needed} are needed")

    def _physical(self, segment: Segment, start: int, stop: int) -> NDArray[np.float32]:
        """Read a range of frames of a segment: ((stop - start) * multiple, n_columns) [mV]."""
        # Skewed signals begin later in the file than in time, and end later.
        skew = max(spec.skew for spec in segment.header.signals)
        first = min(start, max(0, segment.n_times - skew - 1))
        digital, header, first = self._digital(segment, first, min(segment.n_times, stop + skew), [])
        values = physical_signals(digital, header, segment.columns, self._multiple)
        return values[(start - first) * self._multiple : (stop - first) * self._multiple]

    def _digital(self, segment: Segment, first: int, last: int, notes: list[str]) -> tuple[list[Digital], Header, int]:
        """Read the frames up to `last` from `first` or a little before; return them, their header and their start."""
        first -= first % _ALIGNED
        widths: dict[str, int] = {}
        for spec in segment.header.signals:
            widths[spec.file] = widths.get(spec.file, 0) + spec.per_frame
        signals = []
        for spec in segment.header.signals:
            # The offset counts samples of each signal in a compressed file, and bytes in other files.
            skipped = first * (spec.per_frame if spec.fmt in COMPRESSED else widths[spec.file])
            skipped = skipped if spec.fmt in COMPRESSED else stored_bytes(spec.fmt, skipped)
            signals.append(spec._replace(offset=spec.offset + skipped))
        header = segment.header._replace(n_times=last - first, signals=tuple(signals))
        announced = segment.header.n_times is not None
        digital = read_digital(
            self._directory, segment.name, header, segment.columns, self._root, notes, announced=announced
        )
        return digital, header, first


def _needs_the_beginning(header: Header, headers: dict[str, Header]) -> bool:
    """Return whether a range can only be read together with all that comes before it."""
    parts = list(headers.values()) or [header]
    return any(
        spec.fmt == _DIFFERENCES or (spec.fmt in COMPRESSED and one.n_times is None and not header.segments)
        for one in parts
        for spec in one.signals
    )
