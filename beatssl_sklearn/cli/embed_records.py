"""Records of `beatssl embed`: some at once, or one of any length, which is read and embedded some minutes at a time."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import BeatEmbedder, ECGRecord, RhythmEmbedder, SampleEmbedder
from ..ecg.wfdb.reader import WFDBReader
from ..embedding.long_records import PieceEmbedding, embed_pieces
from ..embedding.stream import token_times
from ..files.growing_table import GrowingTable
from ..inputs.plausibility import RecordCheck
from ..inputs.source import ArraySource
from ..segmentation.long_records import PIECE_S, pieces, survey
from .batch_results import results_of
from .folder import Batch, LongRecord, lacks
from .models import from_file
from .progress import Progress
from .refused import RECORD_ERRORS, Refused

_EMBEDDERS: dict[str, Any] = {"rhythm": RhythmEmbedder, "beat": BeatEmbedder, "sample": SampleEmbedder}


class Rows(NamedTuple):
    """Embeddings (n_rows, n_dims) of a record, and columns (n_rows,) that say what they are."""

    embedding: NDArray[np.float32]
    described: Mapping[str, NDArray[Any]]


class Level:
    """What is embedded: records, heartbeats or tokens.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.

    Attributes
    ----------
    name : str
        "rhythm", "beat" or "sample".
    features : list of str
        Names of the columns.
    allow_nan : bool
        Whether records may have missing samples.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.name: str = arguments.level
        self.batch_size: int = arguments.batch_size
        self.check: str = arguments.check
        self._embedder = _EMBEDDERS[self.name](
            arguments.model,
            batch_size=arguments.batch_size,
            device=arguments.device,
            allow_nan=True if arguments.allow_nan else None,
            check=arguments.check,
        )
        with from_file(arguments.model):
            encoder = self._embedder.encoder_
        self.allow_nan = bool(arguments.allow_nan or encoder.allow_nan)
        self.model = encoder.model(arguments.device)
        self.features: list[str] = self._embedder.get_feature_names_out().tolist()

    def embed(self, records: Batch) -> list[Rows]:
        """Embed whole records."""
        if self.name == "rhythm":
            return [Rows(row[None], {}) for row in self._embedder.transform(records)]
        if self.name == "sample":
            tokens = zip(self._embedder.transform(records), records, strict=True)
            return [Rows(rows, described_tokens(self._times(record), 0)) for rows, record in tokens]
        rpeaks = self._embedder.rpeaks(records)
        beats = zip(self._embedder.transform(records, rpeaks=rpeaks), rpeaks, records, strict=True)
        return [Rows(rows, described_beats(own, record.fs, 0)) for rows, own, record in beats]

    def _times(self, record: ECGRecord) -> NDArray[np.float64]:
        return token_times(record.signal.shape[1], record.fs, self.model)


def described_beats(rpeaks: NDArray[np.int64], fs: float, first: int) -> dict[str, NDArray[Any]]:
    """Return the columns of heartbeats, of which the first has the number `first` in its record."""
    return {"beat": first + np.arange(len(rpeaks)), "rpeak": rpeaks, "time_s": rpeaks / fs}


def described_tokens(times: NDArray[np.float64], first: int) -> dict[str, NDArray[Any]]:
    """Return the columns of tokens, of which the first has the number `first` in its record."""
    return {"token": first + np.arange(len(times)), "time_s": times}


def add_batch(
    table: GrowingTable, batch: Batch, level: Level, ids: Mapping[str, str], refused: Refused, bar: Progress
) -> None:
    """Embed records and add them to a table."""
    for name, rows in results_of(batch, level.embed, level.check, refused, bar):
        table.add(ids[name], *rows)
        table.commit()
    bar.update(len(batch.names))


def add_long(
    table: GrowingTable, record: LongRecord, level: Level, ids: Mapping[str, str], refused: Refused, bar: Progress
) -> None:
    """Embed a record some minutes at a time and add it to a table.

    Its rows wait on disk: a record whose end cannot be read has no rows.
    """
    with _Waiting(table.path.parent, len(level.features)) as waiting:
        if _embed_long(record, level, waiting, refused, bar):
            for rows in waiting.rows():
                table.add(ids[record.name], *rows)
            table.commit()
    bar.note("")
    bar.update()


def _embed_long(record: LongRecord, level: Level, waiting: _Waiting, refused: Refused, bar: Progress) -> bool:
    """Embed a record; return whether it could be used."""
    name, reader = record
    total, n_rows, blank = np.zeros(len(level.features)), 0, True
    try:
        with warnings.catch_warnings(record=True) as odd:
            warnings.simplefilter("always", UserWarning)
            found = survey(reader)
        if found.n_missing and not level.allow_nan:
            lead = max(found.n_missing, key=lambda one: found.n_missing[one])
            raise ValueError(lacks(lead, found.n_missing[lead]))
        with warnings.catch_warnings(record=True) as implausible:
            warnings.simplefilter("always", UserWarning)
            _check_beginning(reader, level)
        parts = embed_pieces(
            reader, level.model, level.name, batch_size=level.batch_size, allow_nan=level.allow_nan, piece=PIECE_S
        )
    except RECORD_ERRORS as error:
        refused.add(name, error, bar)
        return False
    for text in dict.fromkeys(str(warning.message) for warning in odd):
        refused.note(text, bar)
    for warning in implausible if not found.flat else ():
        refused.warn(name, f"its first ten minutes: {warning.message}", bar)
    if found.flat and level.check != "ignore":
        refused.warn(name, "no lead varies (flat signal)", bar)
    n_pieces = len(pieces(reader.n_times, reader.fs, PIECE_S))
    for done in count():
        bar.note(f"{done} of {n_pieces} pieces of {name}")
        try:
            part = next(parts, None)
        except RECORD_ERRORS as error:
            refused.add(name, error, bar)
            return False
        if part is None:
            break
        blank &= part.blank
        total += part.rhythm if level.name == "rhythm" else 0
        # Not among what is tried: a full disk is no fault of the record.
        if level.name != "rhythm":
            rows = _rows(part, level.name, reader.fs, n_rows)
            waiting.add(rows)
            n_rows += len(rows.embedding)
    if level.name == "rhythm":
        waiting.add(Rows(np.where(blank, np.nan, total).astype(np.float32)[None], {}))
    return True


def _check_beginning(reader: WFDBReader, level: Level) -> None:
    """Tell what is implausible in the first minutes of a record."""
    stop = min(reader.n_times, round(PIECE_S * reader.fs))
    source = ArraySource(reader.read(0, stop)[None], reader.fs, reader.leads, allow_nan=True)
    odd = RecordCheck(source, level.check)
    for block in source.read(np.arange(1), 1):
        if odd.wanted and not block.blank.any():
            odd.look(block, level.model.front_end.find_rpeaks(block))
    odd.tell()


def _rows(part: PieceEmbedding, level: str, fs: float, first: int) -> Rows:
    if level == "beat":
        return Rows(part.beats, described_beats(part.rpeaks, fs, first))
    return Rows(part.samples, described_tokens(part.times, first))


class _Waiting:
    """Rows of a record on disk, in a nameless file beside the table: a day has hundreds of megabytes of beats."""

    def __init__(self, folder: Path, n_dims: int) -> None:
        self._stream, self._n_dims = TemporaryFile(dir=folder), n_dims
        self._described: list[tuple[int, Mapping[str, NDArray[Any]]]] = []

    def __enter__(self) -> _Waiting:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def add(self, rows: Rows) -> None:
        self._stream.write(np.ascontiguousarray(rows.embedding).tobytes())
        self._described.append((len(rows.embedding), rows.described))

    def rows(self) -> Iterator[Rows]:
        self._stream.seek(0)
        for n_rows, columns in self._described:
            raw = self._stream.read(4 * n_rows * self._n_dims)
            yield Rows(np.frombuffer(raw, np.float32).reshape(n_rows, self._n_dims), columns)
