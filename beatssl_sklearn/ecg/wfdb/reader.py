"""Ranges of WFDB records: some minutes are read without the rest, so that any recording fits into memory."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .formats import COMPRESSED, stored_bytes, stored_samples
from .header import Header, SignalSpec
from .paths import is_inside, local_path, refuse, regular_size, split_record
from .record import ECGRecord, lead_names, load_record, read_header, segment_headers, select_signals, signal_names
from .samples import Digital, physical_signals, read_digital

__all__ = ["WFDBReader"]

# Blocks of the formats 212, 310 and 311 hold two and three samples: every sixth frame begins with a whole block.
_ALIGNED = 6
_CHUNK_SAMPLES = 2**21
_DIFFERENCES = "8"


class _Part(NamedTuple):
    """A segment of a record, or the whole of one that has none."""

    name: str
    header: Header
    start: int
    n_times: int
    columns: tuple[int, ...]
    to: tuple[int, ...]


class WFDBReader:
    """A WFDB record of which ranges are read when they are asked for.

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
        If the header is odd; what is odd about the samples is told by `check`.

    Notes
    -----
    A record whose only way of reading is from its beginning, in format 8 or compressed and of unknown length, is read
    once as a whole.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        leads: Sequence[str] | None = None,
        positional: bool = False,
        confine_to_root: str | os.PathLike[str] | None = None,
    ) -> None:
        self._directory, self._name = split_record(path)
        self._root = None if confine_to_root is None else local_path(confine_to_root, "confine_to_root")
        if self._root is not None and not is_inside(self._directory, self._root):
            refuse(self._name, "it lies outside confine_to_root")
        wanted, notes = lead_names(leads), list[str]()
        header = read_header(self._directory, self._name, self._root, notes)
        segments = (
            segment_headers(self._directory, self._name, header, self._root, notes) if header.segments else {}
        )
        names = signal_names(self._name, header, segments)
        try:
            self._chosen = select_signals(names, wanted, positional)
        except ValueError as error:
            refuse(self._name, str(error))
        self.fs, self.leads = header.fs, self._chosen.names
        self._whole: ECGRecord | None = None
        self._parts: list[_Part] = []
        if _from_the_beginning(header, segments):
            self._whole = load_record(self._directory, self._name, wanted, positional, self._root, stacklevel=3)
            self.n_times = self._whole.signal.shape[1]
            return
        self._parts = self._joined(header, segments, names) if header.segments else [self._single(header)]
        self.n_times = sum(n for _, n in header.segments) if header.segments else self._parts[0].n_times
        self._tell(notes)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Read the samples from `start` up to `stop`.

        Parameters
        ----------
        start, stop : int
            Within the record [samples].

        Returns
        -------
        signal : ndarray of shape (n_leads, stop - start), float32
            Signals [mV], NaN where a sample is missing.

        Raises
        ------
        ValueError
            If the range is empty or leaves the record, or the samples cannot be read.
        OSError
            If a file is missing or cannot be read.
        """
        if not 0 <= start < stop <= self.n_times:
            refuse(self._name, f"samples {start} to {stop} were asked for, it has {self.n_times}")
        if self._whole is not None:
            return self._whole.signal[:, start:stop]
        out = np.full((stop - start, len(self.leads)), np.nan, dtype=np.float32)
        for part in self._parts:
            first, last = max(start, part.start), min(stop, part.start + part.n_times)
            if first < last:
                out[first - start : last - start, part.to] = self._physical(part, first - part.start, last - part.start)
        if -1 in self._chosen.signs:
            out *= np.array(self._chosen.signs, dtype=np.float32)
        return out.T

    def check(self) -> None:
        """Read all samples once, and warn of checksums that do not match and of trailing data, as `read_wfdb` does."""
        notes: list[str] = []
        for part in self._parts:
            total = np.zeros(len(part.header.signals), dtype=np.int64)
            seen: set[int] = set()
            width = sum(spec.per_frame for spec in part.header.signals)
            step = max(1, _CHUNK_SAMPLES // width // _ALIGNED) * _ALIGNED
            for first in range(0, part.n_times, step):
                odd: list[str] = []
                digital, _, _ = self._digital(part, first, min(first + step, part.n_times), odd)
                for file in digital:
                    widths = [part.header.signals[i].per_frame for i in file.signals]
                    sums = file.frames.sum(axis=0, dtype=np.int64)
                    total[list(file.signals)] += np.add.reduceat(sums, np.cumsum([0, *widths[:-1]]))
                    seen.update(file.signals)
                if first + step >= part.n_times and part.header.n_times is not None:
                    notes += odd
            wrong = [
                spec.name or str(i + 1)
                for i, spec in enumerate(part.header.signals)
                if i in seen and spec.checksum is not None and (int(total[i]) - spec.checksum) & 0xFFFF
            ]
            if wrong:
                notes.append(f"checksum mismatch in {', '.join(wrong)}: the samples may be damaged")
        self._tell(notes)

    def _tell(self, notes: list[str]) -> None:
        for note in dict.fromkeys(notes):
            warnings.warn(f"record {self._name!r}: {note}", UserWarning, stacklevel=3)

    def _single(self, header: Header) -> _Part:
        columns = self._chosen.columns
        n_times = header.n_times
        if n_times is None:
            file = header.signals[columns[0]].file
            n_times = self._stored(self._name, [spec for spec in header.signals if spec.file == file])
        part = _Part(self._name, header, 0, n_times, columns, tuple(range(len(columns))))
        self._check_part(part)
        return part

    def _joined(self, header: Header, segments: dict[str, Header], names: tuple[str, ...]) -> list[_Part]:
        """Return the segments with the signals wanted from each; signals that a segment lacks are left out."""
        variable = header.segments[0][1] == 0
        wanted = [names[i] for i in self._chosen.columns]
        if variable and len(set(names)) < len(names):
            refuse(self._name, "its layout names a signal twice")
        parts: list[_Part] = []
        start = 0
        for segment, length in header.segments:
            if length and segment != "~":
                own = tuple(spec.name for spec in segments[segment].signals)
                if not variable and own != names:
                    refuse(self._name, f"segment {segment!r} does not have the signals of the first segment")
                if variable and len(set(own)) < len(own):
                    refuse(self._name, f"segment {segment!r} names a signal twice")
                to = [i for i, name in enumerate(wanted) if not variable or name in own]
                columns = [own.index(wanted[i]) if variable else self._chosen.columns[i] for i in to]
                if columns:
                    parts.append(_Part(segment, segments[segment], start, length, tuple(columns), tuple(to)))
                    self._check_part(parts[-1])
            start += length
        return parts

    def _stored(self, name: str, specs: list[SignalSpec]) -> int:
        """Frames that a file holds."""
        available = regular_size(self._directory, specs[0].file, name, self._root) - specs[0].offset
        return stored_samples(specs[0].fmt, max(available, 0)) // sum(spec.per_frame for spec in specs)

    def _check_part(self, part: _Part) -> None:
        """Refuse what can be refused before a sample is read: units, and files that are too short."""
        signals = part.header.signals
        for i in part.columns:
            if np.isnan(signals[i].gain):
                refuse(part.name, f"signal {i + 1} has the unit {signals[i].unit[:20]!r}, which is not one of voltage")
        for file in dict.fromkeys(signals[i].file for i in part.columns):
            specs = [spec for spec in signals if spec.file == file]
            needed = max(part.n_times, 1)
            if specs[0].fmt not in COMPRESSED and (n_stored := self._stored(part.name, specs)) < needed:
                refuse(part.name, f"file {file!r} holds {n_stored} samples of each signal, {needed} are needed")

    def _physical(self, part: _Part, start: int, stop: int) -> NDArray[np.float32]:
        # Signals that are skewed begin later in the file than in time, and end so.
        skew = max(spec.skew for spec in part.header.signals)
        first = min(start, max(0, part.n_times - skew - 1))
        digital, header, first = self._digital(part, first, min(part.n_times, stop + skew), [])
        return physical_signals(digital, header, part.columns)[start - first : stop - first]

    def _digital(self, part: _Part, first: int, last: int, notes: list[str]) -> tuple[list[Digital], Header, int]:
        """Read frames as if the files began a little before the frame `first`; return them, and where they begin."""
        first -= first % _ALIGNED
        widths: dict[str, int] = {}
        for spec in part.header.signals:
            widths[spec.file] = widths.get(spec.file, 0) + spec.per_frame
        signals = []
        for spec in part.header.signals:
            skipped = first * (spec.per_frame if spec.fmt in COMPRESSED else widths[spec.file])
            skipped = skipped if spec.fmt in COMPRESSED else stored_bytes(spec.fmt, skipped)
            signals.append(spec._replace(offset=spec.offset + skipped, checksum=None))
        header = part.header._replace(n_times=last - first, signals=tuple(signals))
        return read_digital(self._directory, part.name, header, part.columns, self._root, notes), header, first


def _from_the_beginning(header: Header, segments: dict[str, Any]) -> bool:
    headers = list(segments.values()) or [header]
    return any(
        spec.fmt == _DIFFERENCES or (spec.fmt in COMPRESSED and one.n_times is None and not header.segments)
        for one in headers
        for spec in one.signals
    )
