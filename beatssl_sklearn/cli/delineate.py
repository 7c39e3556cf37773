"""The command `beatssl delineate`: tables of waves and intervals, annotation files and pictures of a folder."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from .._optional import require
from ..ecg.waves.annotations import write_waves
from ..ecg.waves.intervals import record_intervals
from ..ecg.waves.table import CONSENSUS, empty_table, make_table, wave_labels
from ..ecg.wfdb.paths import is_inside
from ..ecg.wfdb.reader import WFDBReader
from ..files.growing_table import CSVTable, ParquetTable
from ..segmentation.long_records import PIECE_S, delineate_pieces, pieces, survey
from .folder import READ_ERRORS, Refused, open_folder, progress, say

if TYPE_CHECKING:
    from pandas import DataFrame

_PICTURE_S = 10.0
_SPOOLED_BYTES = 2**18
_MARKS = ("onset", "peak", "offset")
_ROW = np.dtype([("wave", "i1"), *((mark, "f8") for mark in _MARKS), ("confidence", "f4")])


def run_delineate(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    # What is missing must not be found out after the first record.
    empty_table()
    if arguments.plot:
        require("matplotlib", "--plot", "plot")
    segmenter = _segmenter(arguments)
    folder, refused = open_folder(arguments), Refused()
    with (
        _Results(arguments) as results,
        progress(folder.names, "delineate", arguments.quiet) as bar,
    ):
        for name in folder.names:
            with _RecordWaves(name) as waves:
                if _delineated(waves, segmenter, arguments, refused, bar):
                    results.add(waves, bar)
            bar.update()
        if not results.n_records:
            raise ValueError(f"none of {len(folder)} records could be delineated")
    say(f"{arguments.out}: {results.n_waves} waves of {results.n_records} records")
    return refused.summary(len(folder), arguments.strict)


def _segmenter(arguments: argparse.Namespace) -> Any:
    from ..segmentation.segmenter import WaveSegmenter

    segmenter = WaveSegmenter.load(arguments.model)
    # The device that it was trained on may not be here.
    segmenter.set_params(device=arguments.device, allow_nan=arguments.allow_nan or segmenter.allow_nan)
    return segmenter


class _RecordWaves:
    """The waves of one record, lead by lead, beyond some size on disk: a day has millions."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reader: WFDBReader
        self._leads: dict[str, Any] = {}

    def __enter__(self) -> _RecordWaves:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for stream in self._leads.values():
            stream.close()

    def open(self, reader: WFDBReader) -> None:
        """Take the record that waves will be of."""
        self.reader = reader
        for lead in (*reader.leads, CONSENSUS):
            self._leads[lead] = SpooledTemporaryFile(_SPOOLED_BYTES)

    def add(self, table: DataFrame) -> None:
        """Add the waves of a stretch of the record."""
        for lead, part in table.groupby("lead", sort=False):
            rows = np.empty(len(part), _ROW)
            rows["wave"] = wave_labels(part)
            for column in (*_MARKS, "confidence"):
                rows[column] = part[column].to_numpy()
            self._leads[str(lead)].write(rows.tobytes())

    def of_lead(self, lead: str, until: float = np.inf) -> DataFrame:
        """Return the waves of a lead, as a table of the record 0, that end by a time [samples]."""
        stream = self._leads[lead]
        stream.seek(0)
        rows = np.frombuffer(stream.read(), _ROW)
        rows = rows[rows["offset"] <= until]
        onset, peak, offset = (rows[mark] for mark in _MARKS)
        return make_table(0, lead, rows["wave"], onset, peak, offset, self.reader.fs, rows["confidence"])


def _delineated(
    waves: _RecordWaves, segmenter: Any, arguments: argparse.Namespace, refused: Refused, bar: Any
) -> bool:
    """Fill in the waves of a record; return whether it could be used."""
    told: set[str] = set()
    try:
        waves.open(
            WFDBReader(
                arguments.folder / waves.name,
                leads=arguments.leads,
                positional=arguments.positional,
                confine_to_root=arguments.folder,
            )
        )
        _check_samples(waves, segmenter.allow_nan, bar)
        tables = delineate_pieces(waves.reader, segmenter, consensus=True, piece=PIECE_S)
    except READ_ERRORS as error:
        refused.add(waves.name, error, bar)
        return False
    n_pieces = len(pieces(waves.reader.n_times, waves.reader.fs, PIECE_S))
    for done in range(n_pieces):
        if n_pieces > 1:
            bar.set_postfix_str(f"{done} of {n_pieces} pieces of {waves.name}")
        try:
            with warnings.catch_warnings(record=True) as odd:
                warnings.simplefilter("always", UserWarning)
                table = next(tables)
        except READ_ERRORS as error:
            refused.add(waves.name, error, bar)
            return False
        for text in dict.fromkeys(str(warning.message) for warning in odd):
            if text not in told:
                bar.write(f"warning: {waves.name}: {text}", file=sys.stderr)
            told.add(text)
        waves.add(table)
    bar.set_postfix_str("")
    return True


def _check_samples(waves: _RecordWaves, allow_nan: bool, bar: Any) -> None:
    found = survey(waves.reader)
    if found.n_missing and not allow_nan:
        lead = max(found.n_missing, key=lambda name: found.n_missing[name])
        raise ValueError(f"lead {lead} lacks {found.n_missing[lead]} samples; --allow-nan takes it all the same")
    if found.flat:
        bar.write(f"warning: {waves.name}: no lead varies (flat signal)", file=sys.stderr)


class _Results:
    """Everything that is written, to be used in a ``with`` statement.

    Tables grow under the names waves.part.* and intervals.part.*, and get their own names when they are complete, so
    that older ones stay until then. After an error or an interruption the parts stay, with the records that were
    complete; without any, nothing is left.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.n_records = self.n_waves = 0
        self._arguments = arguments
        self._out: Path = arguments.out
        self._annotations, self._pictures = self._out / "annotations", self._out / "plots"
        _check_out(self._out, arguments.folder, self._annotations if arguments.annotations else None)
        kind = ParquetTable if arguments.format == "parquet" else CSVTable
        self._tables = [kind(self._out / f"{name}.{arguments.format}") for name in ("waves", "intervals")]

    def __enter__(self) -> _Results:
        self._created = not self._out.exists()
        try:
            self._out.mkdir(parents=True, exist_ok=True)
            for table in self._tables:
                table.open()
        except OSError as error:
            self._leave_nothing()
            raise OSError(f"--out {self._out}: cannot be written to: {error.strerror}") from None
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        whole = [table.close() for table in self._tables]
        if kind is None:
            for table in self._tables:
                os.replace(table.part, table.path)
        elif self.n_records and all(whole):
            kept = " and ".join(table.part.name for table in self._tables)
            sys.stderr.write(f"{self.n_records} records were complete: see {kept} in {self._out}\n")
        else:
            self._leave_nothing()

    def _leave_nothing(self) -> None:
        for table in self._tables:
            if table.opened:
                table.close()
                table.part.unlink(missing_ok=True)
        if self._created and self._out.is_dir() and not any(self._out.iterdir()):
            self._out.rmdir()

    def add(self, waves: _RecordWaves, bar: Any) -> None:
        """Write what is wanted of a record."""
        reader, table = waves.reader, self._tables[0]
        if self._arguments.annotations:
            (self._annotations / waves.name).parent.mkdir(parents=True, exist_ok=True)
        wanted = (*reader.leads, CONSENSUS) if self._arguments.consensus else reader.leads
        n_waves = 0
        for lead in wanted:
            rows = waves.of_lead(lead)
            n_waves += len(rows)
            table.write(rows.assign(record=waves.name))
            if self._arguments.annotations:
                write_waves(self._annotations / waves.name, rows, reader.fs, leads=[lead])
        intervals = record_intervals(waves.of_lead(CONSENSUS), reader.fs, n_records=1)
        self._tables[1].write(intervals.assign(record=waves.name))
        if self.n_records < self._arguments.plot:
            self._draw(waves, wanted, bar)
        for grown in self._tables:
            grown.commit()
        self.n_records, self.n_waves = self.n_records + 1, self.n_waves + n_waves

    def _draw(self, waves: _RecordWaves, leads: tuple[str, ...], bar: Any) -> None:
        import pandas as pd

        from ..plotting.delineation import plot_delineation

        reader = waves.reader
        stop = min(reader.n_times, round(_PICTURE_S * reader.fs))
        path = self._pictures / f"{waves.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        marks = [rows for lead in leads if len(rows := waves.of_lead(lead, until=stop - 1))]
        table = pd.concat(marks) if marks else None
        try:
            figure = plot_delineation(
                reader.read(0, stop), reader.fs, table, leads=reader.leads, title=waves.name
            )
        except ValueError as error:
            bar.write(f"warning: {waves.name}: no picture: {error}", file=sys.stderr)
            return
        figure.savefig(path, dpi=110)


def _check_out(out: Path, folder: Path, annotations: Path | None) -> None:
    """Refuse, before hours of work, what could not be written after it, or over the annotations of others."""
    if out.exists() and not out.is_dir():
        raise OSError(f"--out {out}: this is a file; a folder is needed")
    if annotations is None:
        return
    if is_inside(str(annotations), str(folder)) or is_inside(str(folder), str(annotations)):
        raise ValueError(f"--out {out}: annotations are not written into the records' own folder; choose another one")
