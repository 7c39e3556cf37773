"""Records of `beatssl embed`: some at once, or one of any length, which is read and embedded some minutes at a time."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import BeatEmbedder, ECGRecord, RhythmEmbedder, SampleEmbedder
from ..embedding.long_records import PieceEmbedding, embed_pieces
from ..embedding.stream import token_times
from ..files.growing_table import GrowingTable
from ..segmentation.long_records import PIECE_S
from .batch_results import results_of
from .folder import Batch, LongRecord
from .long_record import Pieces, Rows, Waiting
from .models import from_file
from .progress import Progress
from .refused import Refused

_EMBEDDERS: dict[str, Any] = {"rhythm": RhythmEmbedder, "beat": BeatEmbedder, "sample": SampleEmbedder}


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
    with Waiting(table.path.parent, len(level.features)) as waiting:
        if _embed_long(record, level, waiting, refused, bar):
            for rows in waiting.rows():
                table.add(ids[record.name], *rows)
            table.commit()
    bar.note("")
    bar.update()


def _embed_long(record: LongRecord, level: Level, waiting: Waiting, refused: Refused, bar: Progress) -> bool:
    """Embed a record; return whether it could be used."""
    total, n_rows, blank = np.zeros(level.model.n_dims_pooled), 0, True

    def start() -> Iterator[PieceEmbedding]:
        options: dict[str, Any] = {"batch_size": level.batch_size, "allow_nan": level.allow_nan, "piece": PIECE_S}
        return embed_pieces(record.reader, level.model, level.name, **options)

    parts = Pieces(record, level, start, PIECE_S, refused, bar)
    for part in parts:
        blank &= part.blank
        total += part.rhythm if level.name == "rhythm" else 0
        if level.name != "rhythm":
            rows = _rows(part, level.name, record.reader.fs, n_rows)
            waiting.add(rows)
            n_rows += len(rows.embedding)
    if level.name == "rhythm":
        pooled = np.where(blank, np.nan, total).astype(np.float32)[None]
        waiting.add(Rows(level.model.read_out(pooled), {}))
    return parts.usable


def _rows(part: PieceEmbedding, level: str, fs: float, first: int) -> Rows:
    if level == "beat":
        return Rows(part.beats, described_beats(part.rpeaks, fs, first))
    return Rows(part.samples, described_tokens(part.times, first))
