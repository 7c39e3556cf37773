"""Records of `beatssl beats`: their heartbeats with labels, from some records at once or from one of any length."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import BeatEmbedder
from ..ecg.beat_morphology import stretches_morphology
from ..ecg.beat_timing import beat_timing
from ..ecg.wfdb import write_annotations
from ..ecg.wfdb.annotation_codes import CODES
from ..embedding.long_records import PieceEmbedding, embed_pieces
from ..segmentation.long_records import PIECE_S
from .batch_results import results_of
from .folder import Batch, LongRecord
from .long_record import Pieces, Rows, Waiting
from .models import from_file
from .progress import Progress
from .refused import RECORD_ERRORS, Refused
from .result_folder import ResultFolder
from .sequence_head import Head, Labels, open_pipeline, set_embedder, steps_after_embedder, tried

# Samples of a batch. The beats of one lead take some thirty times the memory of its samples, for a while twice.
BATCH_SAMPLES = 2**21


class LabelledBeats(NamedTuple):
    """The heartbeats of a record: R peaks (n_beats,) [samples], their labels, and rate [Hz] and duration [min]."""

    rpeaks: NDArray[np.int64]
    labels: Labels
    fs: float
    minutes: float


class BeatModel:
    """A pipeline that labels the heartbeats of records.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.

    Attributes
    ----------
    head : Head
        The steps after the embedder.
    allow_nan : bool
        Whether records may have missing samples.

    Raises
    ------
    ValueError, OSError
        If the model's file cannot be read, or holds something else.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        pipeline = open_pipeline(arguments, [BeatEmbedder])
        self._embedder = pipeline.steps[0][1]
        with from_file(arguments.model):
            set_embedder(self._embedder, arguments)
        self.batch_size: int = arguments.batch_size
        self.check: str = arguments.check
        self.allow_nan = bool(self._embedder.allow_nan)
        self.timing, self.morphology = bool(self._embedder.timing), bool(self._embedder.morphology)
        self.align = bool(self._embedder.align)
        self.model = self._embedder.encoder_.model(arguments.device, self._embedder.precision)
        self.head = Head(steps_after_embedder(pipeline))
        n_columns = len(self._embedder.get_feature_names_out())
        tried(self.head.of_steps, n_columns, arguments.model)

    def label(self, records: Batch) -> list[LabelledBeats]:
        """Label the beats of whole records."""
        every = self._embedder.rpeaks(records)
        embedded = self._embedder.transform(records, rpeaks=every)
        found = []
        for rpeaks, rows, record in zip(every, embedded, records, strict=True):
            labels = self.head.of_steps(rows)
            found.append(LabelledBeats(rpeaks, labels, record.fs, record.signal.shape[1] / record.fs / 60))
        return found

    def label_waiting(self, waiting: Waiting, rpeaks: NDArray[np.int64], record: LongRecord) -> LabelledBeats:
        """Label the beats of a record whose embeddings wait on disk."""
        fs = record.reader.fs
        more = [np.zeros((len(rpeaks), 0), np.float32)]
        if self.morphology:
            # The typical beat is known once all beats are: the signal is read again, half an hour at a time.
            more.append(stretches_morphology(record.reader.read, record.reader.n_times, rpeaks, fs))
        if self.timing:
            more.append(beat_timing(rpeaks, fs))
        described = np.concatenate(more, axis=1)

        def read(start: int, stop: int) -> NDArray[np.float32]:
            return np.concatenate([waiting.read(start, stop), described[start:stop]], axis=1)

        labels = self.head.of_long(read, len(rpeaks))
        return LabelledBeats(rpeaks, labels, fs, record.reader.n_times / fs / 60)


class BeatResults(ResultFolder):
    """Tables of beats and of records, and annotation files; see `ResultFolder`.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.
    ids : mapping of str to str
        What the tables call each record.
    head : Head
        Its classes are columns.

    Raises
    ------
    ValueError
        If annotation files are wanted, and a class has no symbol there.
    """

    def __init__(self, arguments: argparse.Namespace, ids: Mapping[str, str], head: Head) -> None:
        super().__init__(arguments, ids, {"beats": head.columns, "records": ()})
        self.n_beats, self._classes = 0, head.classes
        unknown = [name for name in head.classes if name not in CODES]
        if arguments.annotations and unknown:
            raise ValueError(
                f"--annotations: {arguments.model} has the class {unknown[0]}, which is no symbol of annotation files"
            )

    def add(self, name: str, beats: LabelledBeats) -> None:
        """Write what is wanted of a record."""
        record, rpeaks, labels = self.ids[name], beats.rpeaks, beats.labels
        described = {
            "beat": np.arange(len(rpeaks)), "rpeak": rpeaks, "time_s": rpeaks / beats.fs, "label": labels.names
        }  # fmt: skip
        self.tables["beats"].add(record, labels.columns(self._classes), described)
        counts = Counter(labels.names.tolist())
        totals = {"n_beats": len(rpeaks)} | {f"n_{one}": counts[one] for one in self._classes}
        numbers = {column: np.array([value]) for column, value in totals.items()}
        numbers["minutes"] = np.array([beats.minutes])
        self.tables["records"].add(record, np.zeros((1, 0), np.float32), numbers)
        if self.arguments.annotations:
            write_annotations(self.annotation_path(name), "atr", rpeaks, labels.names.tolist(), fs=beats.fs)
        self.commit()
        self.n_beats += len(rpeaks)


def add_batch(results: BeatResults, batch: Batch, model: BeatModel, refused: Refused, bar: Progress) -> None:
    """Label the beats of records and add them to the results."""
    for name, beats in results_of(batch, model.label, model.check, refused, bar):
        results.add(name, beats)
    bar.update(len(batch))


def add_long(results: BeatResults, record: LongRecord, model: BeatModel, refused: Refused, bar: Progress) -> None:
    """Embed the beats of a record some minutes at a time, label them together, and add them to the results."""

    def start() -> Iterator[PieceEmbedding]:
        options: dict[str, Any] = {"batch_size": model.batch_size, "allow_nan": model.allow_nan, "align": model.align}
        return embed_pieces(record.reader, model.model, "beat", piece=PIECE_S, **options)

    with Waiting(results.out, model.model.n_dims_beat) as waiting:
        rpeaks: list[NDArray[np.int64]] = []
        parts = Pieces(record, model, start, PIECE_S, refused, bar)
        for part in parts:
            waiting.add(Rows(part.beats, {}))
            rpeaks.append(part.rpeaks)
        beats = _labelled(waiting, np.concatenate(rpeaks), record, model, refused, bar) if parts.usable else None
    if beats is not None:
        results.add(record.name, beats)
    bar.note("")
    bar.update()


def _labelled(
    waiting: Waiting, rpeaks: NDArray[np.int64], record: LongRecord, model: BeatModel, refused: Refused, bar: Progress
) -> LabelledBeats | None:
    try:
        return model.label_waiting(waiting, rpeaks, record)
    except RECORD_ERRORS as error:
        refused.add(record.name, error, bar)
        return None
