"""A pipeline that labels windows of records, or whole records, with rhythms."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import RhythmEmbedder, WindowEmbedder
from ..ecg import ECGRecord
from ..ecg.beats import as_objects
from ..ecg.rr_measures import RR_MEASURES
from ..embedding.parts import chosen_columns
from ..embedding.window_stream import WindowPiece, WindowPlan, embed_window_pieces
from ..segmentation.long_records import PIECE_S
from .folder import Batch, LongRecord, record_reader
from .messages import shown
from .models import from_file
from .refused import RECORD_ERRORS
from .sequence_head import Head, Labels, open_pipeline, set_embedder, steps_after_embedder, tried

# Longest record that one label may hold for without a word [min].
LONG_MIN = 2.0
_OF_RECORDS, _OF_WINDOWS = "af", "af-episodes"


def default_model(names: Sequence[str], arguments: argparse.Namespace) -> tuple[str, str]:
    """Return the model for records where none was given, and why it is not the one of records.

    Parameters
    ----------
    names : sequence of str
        The records.
    arguments : argparse.Namespace
        Of the command.

    Returns
    -------
    model : str
        Name of a shipped model: the one that labels windows if a record is long, else the one that labels records.
    reason : str
        "" for the latter.
    """
    if arguments.window is not None:
        return _OF_RECORDS, ""
    for name in names:
        try:
            with warnings.catch_warnings():
                # They come again when it is read.
                warnings.simplefilter("ignore", UserWarning)
                reader = record_reader(name, arguments)
        except RECORD_ERRORS:
            # It is named when it is read.
            continue
        minutes = reader.n_times / reader.fs / 60
        if minutes > LONG_MIN:
            reason = f"{shown(name)} lasts {minutes:.0f} min, so that windows are labelled, by the model {_OF_WINDOWS}"
            return _OF_WINDOWS, f"{reason}; --model {_OF_RECORDS} gives each record one label"
    return _OF_RECORDS, ""


class LabelledWindows(NamedTuple):
    """The windows of a record.

    Attributes
    ----------
    spans : ndarray (n_windows, 2) int64
        First sample of each window, and the sample after its last one.
    labels : Labels
        Of the windows.
    whole : str or None
        What the model says of the whole record, if it labels records.
    fs : float
        Sampling rate [Hz].
    n_times : int
        Length of the record [samples].
    """

    spans: NDArray[np.int64]
    labels: Labels
    whole: str | None
    fs: float
    n_times: int


class RhythmModel:
    """A pipeline that labels windows of records.

    Its head takes one of three things: the windows of a record as a sequence, and labels each; the same, and labels
    the record; or the embeddings of records, one a row. The last two label a window as if it were a record.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.

    Attributes
    ----------
    head : Head
        The steps after the embedder.
    window : float or None
        Length of a window [s]; None is the whole record.
    allow_nan : bool
        Whether records may have missing samples.

    Raises
    ------
    ValueError, OSError
        If the model's file cannot be read, or holds something else, or windows are out of their range.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        pipeline = open_pipeline(arguments, [WindowEmbedder, RhythmEmbedder])
        first = pipeline.steps[0][1]
        self._takes_records = isinstance(first, RhythmEmbedder)
        self._embedder = _by_windows(first) if self._takes_records else first
        with from_file(arguments.model):
            set_embedder(self._embedder, arguments)
        self._set_windows(arguments)
        self.batch_size: int = arguments.batch_size
        self.check: str = arguments.check
        self.allow_nan = bool(self._embedder.allow_nan)
        place = arguments.device, self._embedder.precision
        self.model = self._embedder.encoder_.model(*place)
        # A head on records reads the embeddings of whole records, with the readout.
        self._of_records = first.encoder_.model(*place) if self._takes_records else self.model
        self._parts = first.parts if self._takes_records else None
        self.head = Head(steps_after_embedder(pipeline))
        self._labels_records = False
        n_columns = len(self._embedder.get_feature_names_out())
        self._labels_records = tried(self._is_one_label, n_columns, arguments.model)
        tried(self._labelled, n_columns, arguments.model)

    @property
    def window(self) -> float | None:
        """Length of a window [s]; None is the whole record."""
        length: float | None = self._embedder.window
        return length

    def _set_windows(self, arguments: argparse.Namespace) -> None:
        """Take what the options say of windows, and refuse what is out of its range."""
        given = {"window": arguments.window, "step": arguments.step}
        if arguments.window is not None and arguments.step is None:
            given["step"] = arguments.window / 2
        self._embedder.set_params(**{name: value for name, value in given.items() if value is not None})
        self._embedder.windows([ECGRecord(np.zeros((1, 1000), np.float32), 100.0, ("I",))])

    def _is_one_label(self, rows: NDArray[np.float32]) -> bool:
        """Whether the head labels a sequence as a whole."""
        if self._takes_records:
            return False
        (found,), _ = self.head.predict(as_objects([rows]))
        return np.ndim(found) == 0

    def label(self, records: Batch) -> list[LabelledWindows]:
        """Label the windows of whole records."""
        spans = self._embedder.windows(records)
        found = []
        for own, rows, record in zip(spans, self._embedder.transform(records), records, strict=True):
            found.append(LabelledWindows(own, *self._labelled(rows), record.fs, record.signal.shape[1]))
        return found

    def pieces(self, record: LongRecord) -> Iterator[WindowPiece]:
        """Embed the windows of a record some minutes at a time."""
        embedder = self._embedder
        columns = chosen_columns(self.model, embedder.parts)
        if embedder.timing:
            columns = np.append(columns, self.model.n_dims_pooled + np.arange(len(RR_MEASURES)))
        options: dict[str, Any] = {"batch_size": self.batch_size, "allow_nan": self.allow_nan, "piece": PIECE_S}
        plan = WindowPlan(embedder.window, embedder.step, bool(embedder.timing), embedder.timing_window)
        for piece in embed_window_pieces(record.reader, self.model, plan, **options):
            yield piece._replace(rows=piece.rows[:, columns])

    def label_pieces(self, pieces: list[WindowPiece], record: LongRecord) -> LabelledWindows:
        """Label the windows of a record from its pieces, which are taken out of the list."""
        spans, rows = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
        # The windows of a day have 90 MB.
        pieces.clear()
        return LabelledWindows(spans, *self._labelled(rows), record.reader.fs, record.reader.n_times)

    def _labelled(self, rows: NDArray[np.float32]) -> tuple[Labels, str | None]:
        """Label windows, and the record if the model does. Windows without a known sample have no label."""
        known = np.isfinite(rows).all(axis=1)
        labels = self.head.unlabelled(len(rows))
        if not known.any():
            return labels, "" if self._labels_records else None
        of_known, whole = self._of_known(rows if known.all() else rows[known])
        if known.all():
            return of_known, whole
        labels.probabilities[known] = of_known.probabilities
        names = labels.names.astype(of_known.names.dtype)
        names[known] = of_known.names
        return Labels(names, labels.probabilities), whole

    def _of_known(self, rows: NDArray[np.float32]) -> tuple[Labels, str | None]:
        if self._takes_records:
            rows = self._of_records.read_out(rows)[:, chosen_columns(self._of_records, self._parts)]
            return self.head.labels(*self.head.predict(rows)), None
        if not self._labels_records:
            return self.head.of_steps(rows), None
        (whole,), _ = self.head.predict(as_objects([rows]))
        return self.head.labels(*self.head.predict(as_objects(list(rows[:, None])))), str(whole)


def _by_windows(embedder: RhythmEmbedder) -> WindowEmbedder:
    """Return what embeds windows as an embedder of records embeds these: the record as one window, until options."""
    kept = {name: getattr(embedder, name) for name in ("allow_nan", "precision")}
    return WindowEmbedder(embedder.encoder_, window=None, **kept)
