"""Records of `beatssl rhythms`: labels of their windows, the episodes that these make, and what is written of them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from ..ecg.episode_windows import merge_episodes
from ..ecg.episodes import Episode
from ..ecg.wfdb import write_annotations
from ..segmentation.long_records import PIECE_S
from .batch_results import results_of
from .folder import Batch, LongRecord, read_whole
from .long_record import Pieces
from .progress import Progress
from .refused import RECORD_ERRORS, Refused
from .result_folder import ResultFolder
from .rhythm_model import LONG_MIN, LabelledWindows, RhythmModel

# Samples of a batch: windows that overlap are there twice.
BATCH_SAMPLES = 2**22
# Names of rhythms in annotation files, where those of data sets are others.
_NOTES = {"A": "AFIB", "AF": "AFIB", "af": "AFIB", "sinus": "N"}


class RhythmResults(ResultFolder):
    """Tables of windows, records and episodes, and annotation files; see `ResultFolder`.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.
    ids : mapping of str to str
        What the tables call each record.
    model : RhythmModel
        Its classes are columns.

    Raises
    ------
    ValueError
        If annotation files are wanted, and a class cannot be written there.
    """

    def __init__(self, arguments: argparse.Namespace, ids: Mapping[str, str], model: RhythmModel) -> None:
        super().__init__(arguments, ids, {"windows": model.head.columns, "records": (), "episodes": ()})
        self.n_windows = self.n_episodes = 0
        self._classes = model.head.classes
        for name in self._classes if arguments.annotations else ():
            if not (name.isascii() and name.isprintable() and len(name) < 200):
                raise ValueError(f"--annotations: {arguments.model} has the class {name!r:.60}; a note must be ASCII")

    def add(self, name: str, found: LabelledWindows) -> None:
        """Write what is wanted of a record."""
        record, fs = self.ids[name], found.fs
        starts, stops = found.spans.T / fs
        labels = found.labels
        described = {"start_s": starts, "stop_s": stops, "label": labels.names}
        self.tables["windows"].add(record, labels.columns(self._classes), described)
        own = [str(label) or None for label in labels.names]
        # A record has its label also if all its episodes are too short.
        self._add_record(record, found, merge_episodes(own, found.spans))
        episodes = merge_episodes(own, found.spans, min_duration=self.arguments.min_duration, fs=fs)
        times = np.array([episode[:2] for episode in episodes], dtype=np.float64).reshape(-1, 2) / fs
        of_episodes = np.array([episode.label for episode in episodes], dtype=np.str_)
        described = {"label": of_episodes, "start_s": times[:, 0], "stop_s": times[:, 1]}
        self.tables["episodes"].add(record, np.zeros((len(episodes), 0), np.float32), described)
        if self.arguments.annotations:
            marks, notes = marks_of(episodes, found.n_times)
            write_annotations(self.annotation_path(name), "atr", marks, ["+"] * len(marks), fs=fs, aux=notes)
        self.commit()
        self.n_windows, self.n_episodes = self.n_windows + len(labels.names), self.n_episodes + len(episodes)

    def _add_record(self, record: str, found: LabelledWindows, episodes: Sequence[Episode]) -> None:
        lasts = dict.fromkeys(self._classes, 0)
        for start, stop, label in episodes:
            lasts[label] += stop - start
        longest = max(lasts, key=lambda label: lasts[label])
        label = found.whole if found.whole is not None else longest if lasts[longest] else ""
        columns = {"label": np.array([label], dtype=np.str_)}
        shares = {f"share_{name}": np.array([lasts[name] / found.n_times]) for name in self._classes}
        minutes = {"minutes": np.array([found.n_times / found.fs / 60])}
        self.tables["records"].add(record, np.zeros((1, 0), np.float32), {**columns, **shares, **minutes})


def marks_of(episodes: Sequence[Episode], n_times: int) -> tuple[list[int], list[str]]:
    """Return where rhythms begin [samples], and their notes, such as "(AFIB"; "(" begins a time without a rhythm."""
    marks, notes = [], []
    for episode, (following, *_) in pairwise([*episodes, Episode(n_times, n_times, "")]):
        marks.append(episode.start)
        notes.append(f"({_NOTES.get(episode.label, episode.label)}")
        if episode.stop < following:
            marks.append(episode.stop)
            notes.append("(")
    return marks, notes


def add_batch(results: RhythmResults, batch: Batch, model: RhythmModel, refused: Refused, bar: Progress) -> None:
    """Label the windows of records and add them to the results."""
    for name, found in results_of(batch, model.label, model.check, refused, bar):
        minutes = found.n_times / found.fs / 60
        if model.window is None and minutes > LONG_MIN:
            refused.warn(name, f"one label for {minutes:.0f} min; --model af-episodes labels windows", bar)
        results.add(name, found)
    bar.update(len(batch))


def add_long(results: RhythmResults, record: LongRecord, model: RhythmModel, refused: Refused, bar: Progress) -> None:
    """Label the windows of a long record, which is read some minutes at a time, and add them to the results.

    A model that knows no windows takes the record as a whole.
    """
    if model.window is None:
        batch = read_whole(record, refused, bar)
        if batch is None:
            bar.update()
        else:
            add_batch(results, batch, model, refused, bar)
        return
    parts = Pieces(record, model, lambda: model.pieces(record), PIECE_S, refused, bar)
    read = list(parts)
    if parts.usable:
        try:
            found = model.label_pieces(read, record)
        except RECORD_ERRORS as error:
            refused.add(record.name, error, bar)
        else:
            results.add(record.name, found)
    bar.note("")
    bar.update()
