"""What `beatssl delineate` writes: tables, annotation files, pictures."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from ..ecg.waves.annotations import write_waves
from ..ecg.waves.intervals import record_intervals
from ..ecg.waves.table import CONSENSUS
from ..ecg.wfdb.paths import is_inside
from ..files.growing_table import CSVTable, ParquetTable
from .delineate_record import RecordWaves
from .messages import Refused

_PICTURE_S = 10.0


class Results:
    """Everything that is written, to be used in a ``with`` statement.

    Tables grow under the names waves.part.* and intervals.part.*, and get their own names when they are complete, so
    that older ones stay until then. After an error or an interruption the parts stay, with the records that were
    complete; without any, nothing is left.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.

    Raises
    ------
    OSError, ValueError
        If `out` is a file, or annotations would lie among the records.
    ImportError
        If a package for the format is missing.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.n_records = self.n_waves = 0
        self._arguments = arguments
        self._out: Path = arguments.out
        self._annotations, self._pictures = self._out / "annotations", self._out / "plots"
        _check_out(self._out, arguments.folder, self._annotations if arguments.annotations else None)
        kind = ParquetTable if arguments.format == "parquet" else CSVTable
        self._tables = [kind(self._out / f"{name}.{arguments.format}") for name in ("waves", "intervals")]

    def __enter__(self) -> Results:
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

    def add(self, waves: RecordWaves, refused: Refused, bar: Any) -> None:
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
            self._draw(waves, wanted, refused, bar)
        for grown in self._tables:
            grown.commit()
        self.n_records, self.n_waves = self.n_records + 1, self.n_waves + n_waves

    def _draw(self, waves: RecordWaves, leads: tuple[str, ...], refused: Refused, bar: Any) -> None:
        import pandas as pd

        from ..plotting import plot_delineation

        reader = waves.reader
        stop = min(reader.n_times, round(_PICTURE_S * reader.fs))
        path = self._pictures / f"{waves.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        marks = [rows for lead in leads if len(rows := waves.of_lead(lead, until=stop - 1))]
        table = pd.concat(marks) if marks else None
        try:
            figure = plot_delineation(reader.read(0, stop), reader.fs, table, leads=reader.leads, title=waves.name)
        except ValueError as error:
            refused.warn(waves.name, f"no picture: {error}", bar)
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
