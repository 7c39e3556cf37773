"""A record of any length, which is read some minutes at a time: what is told of it, and rows that wait for its end."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..ecg.wfdb.reader import WFDBReader
from ..embedding.fitted_encoder import InferenceModel
from ..inputs.plausibility import RecordCheck
from ..inputs.source import ArraySource
from ..segmentation.long_records import Survey, pieces, survey
from .folder import LongRecord, lacks
from .progress import Progress
from .refused import RECORD_ERRORS, Refused

Part = TypeVar("Part")


class Settings(Protocol):
    """What is done with records, and by which encoder."""

    allow_nan: bool
    check: str
    model: InferenceModel


class Rows(NamedTuple):
    """Embeddings (n_rows, n_dims) of a record, and columns (n_rows,) that say what they are."""

    embedding: NDArray[np.float32]
    described: Mapping[str, NDArray[Any]]


class Pieces(Generic[Part]):
    """The pieces of a record, one after the other, as long as it can be used.

    Parameters
    ----------
    record : LongRecord
    settings : Settings
    start : callable
        Returns the iterator of pieces, once the record was looked at.
    piece : float
        Length of a piece [s].
    refused : Refused
        Gets the record if it cannot be used, and what is odd in it.
    bar : Progress
        Shows which piece it is.

    Attributes
    ----------
    usable : bool
        Whether no piece has failed so far. If one has, results of those before it do not count.
    """

    def __init__(
        self,
        record: LongRecord,
        settings: Settings,
        start: Callable[[], Iterator[Part]],
        piece: float,
        refused: Refused,
        bar: Progress,
    ) -> None:
        self.usable = True
        self._record, self._settings, self._start, self._piece = record, settings, start, piece
        self._refused, self._bar = refused, bar

    def __iter__(self) -> Iterator[Part]:
        name, reader = self._record
        try:
            found, odd, implausible = self._look(reader)
            parts = self._start()
        except RECORD_ERRORS as error:
            self._fail(name, error)
            return
        for text in odd:
            self._refused.note(text, self._bar)
        for text in implausible if not found.flat else ():
            self._refused.warn(name, f"its first ten minutes: {text}", self._bar)
        if found.flat and self._settings.check != "ignore":
            self._refused.warn(name, "no lead varies (flat signal)", self._bar)
        n_pieces = len(pieces(reader.n_times, reader.fs, self._piece))
        for done in count():
            self._bar.note(f"{min(done, n_pieces)} of {n_pieces} pieces of {name}")
            try:
                part = next(parts, None)
            except RECORD_ERRORS as error:
                self._fail(name, error)
                return
            if part is None:
                return
            # What is done with it is not among what is tried: a full disk is no fault of the record.
            yield part

    def _fail(self, name: str, error: Exception) -> None:
        self.usable = False
        self._refused.add(name, error, self._bar)

    def _look(self, reader: WFDBReader) -> tuple[Survey, list[str], list[str]]:
        """Refuse a record that lacks samples; return what is odd in the file, and what is implausible."""
        with warnings.catch_warnings(record=True) as odd:
            warnings.simplefilter("always", UserWarning)
            found = survey(reader)
        if found.n_missing and not self._settings.allow_nan:
            lead = max(found.n_missing, key=lambda one: found.n_missing[one])
            raise ValueError(lacks(lead, found.n_missing[lead]))
        with warnings.catch_warnings(record=True) as implausible:
            warnings.simplefilter("always", UserWarning)
            self._check_beginning(reader)
        odd_texts, texts = ([str(warning.message) for warning in told] for told in (odd, implausible))
        return found, list(dict.fromkeys(odd_texts)), texts

    def _check_beginning(self, reader: WFDBReader) -> None:
        """Tell what is implausible in the first minutes of a record."""
        stop = min(reader.n_times, round(self._piece * reader.fs))
        source = ArraySource(reader.read(0, stop)[None], reader.fs, reader.leads, allow_nan=True)
        odd = RecordCheck(source, self._settings.check)
        for block in source.read(np.arange(1), 1):
            if odd.wanted and not block.blank.any():
                odd.look(block, self._settings.model.front_end.find_rpeaks(block))
        odd.tell()


class Waiting:
    """Rows of a record on disk, in a nameless file in a folder: a day has hundreds of megabytes of beats."""

    def __init__(self, folder: Path, n_dims: int) -> None:
        self._stream, self._n_dims = TemporaryFile(dir=folder), n_dims
        self._described: list[tuple[int, Mapping[str, NDArray[Any]]]] = []

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def add(self, rows: Rows) -> None:
        """Put rows on disk."""
        self._stream.write(np.ascontiguousarray(rows.embedding).tobytes())
        self._described.append((len(rows.embedding), rows.described))

    def rows(self) -> Iterator[Rows]:
        """Yield the rows as they were added."""
        self._stream.seek(0)
        for n_rows, columns in self._described:
            raw = self._stream.read(4 * n_rows * self._n_dims)
            yield Rows(np.frombuffer(raw, np.float32).reshape(n_rows, self._n_dims), columns)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the rows from `start` to before `stop`, of all that were added."""
        self._stream.seek(4 * start * self._n_dims)
        raw = self._stream.read(4 * (stop - start) * self._n_dims)
        return np.frombuffer(raw, np.float32).reshape(stop - start, self._n_dims)
