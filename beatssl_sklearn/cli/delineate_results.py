"""What `beatssl delineate` writes: tables, annotation files, pictures."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any

from ..ecg.waves.annotations import write_waves
from ..ecg.waves.intervals import beat_intervals, record_intervals
from ..ecg.waves.table import CONSENSUS
from ..ecg.wfdb.paths import is_inside
from ..files.atomic import write_atomically
from ..files.growing_table import GrowingTable
from ..files.table_formats import CSVTable, ParquetTable
from .delineate_record import RecordWaves
from .messages import complain, shown
from .outputs import unwritable
from .progress import Progress
from .refused import Refused

_DPI = 110
_INTERVALS = {"record": ("intervals",), "beat": ("beat_intervals",), "both": ("intervals", "beat_intervals")}


class Results:
    """Everything that is written, to be used in a ``with`` statement.

    Tables grow under names of their own, and get waves.csv and so on when they are complete, so that older ones stay
    until then. After an error or an interruption the records that were complete are kept as waves.incomplete.csv and
    so on; without any, nothing is left.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.
    ids : mapping of str to str
        What the tables call each record.

    Raises
    ------
    OSError, ValueError
        If `out` is a file, or annotations would lie among the records.
    ImportError
        If a package for the format is missing.
    """

    def __init__(self, arguments: argparse.Namespace, ids: Mapping[str, str]) -> None:
        self.n_records = self.n_waves = self.n_pictures = 0
        self._arguments, self._ids = arguments, ids
        self._out: Path = arguments.out
        self._annotations, self.pictures = self._out / "annotations", self._out / "plots"
        _check_out(self._out, arguments.folder, self._annotations if arguments.annotations else None)
        kind: type[GrowingTable] = ParquetTable if arguments.format == "parquet" else CSVTable
        names = ("waves", *_INTERVALS[arguments.intervals])
        self._tables = {name: kind(self._out / f"{name}.{arguments.format}") for name in names}

    @property
    def paths(self) -> list[Path]:
        """The tables, as they will be called."""
        return [table.path for table in self._tables.values()]

    @property
    def stretch(self) -> str:
        """What pictures show of a record."""
        start = self._arguments.plot_start
        return f"{start:g} to {start + self._arguments.plot_length:g} s"

    def __enter__(self) -> Results:
        self._created = not self._out.exists()
        try:
            self._out.mkdir(parents=True, exist_ok=True)
            for table in self._tables.values():
                table.open()
        except OSError as error:
            self._leave_nothing()
            raise unwritable(table.path if self._out.is_dir() else self._out, error) from error
        except BaseException:
            self._leave_nothing()
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            whole = [table.close() for table in self._tables.values()]
            if kind is None:
                for table in self._tables.values():
                    os.replace(table.part, table.path)
            elif self.n_records and all(whole):
                self._keep()
        finally:
            self._leave_nothing()

    def _keep(self) -> None:
        kept = [table.path.with_stem(f"{table.path.stem}.incomplete") for table in self._tables.values()]
        for table, path in zip(self._tables.values(), kept, strict=True):
            os.replace(table.part, path)
        names = " and ".join(path.name for path in kept)
        complain(f"{self.n_records} records were complete: see {names} in {self._out}")

    def _leave_nothing(self) -> None:
        for table in self._tables.values():
            table.discard()
        if self._created and self._out.is_dir() and not any(self._out.iterdir()):
            self._out.rmdir()

    def add(self, waves: RecordWaves, refused: Refused, bar: Progress) -> None:
        """Write what is wanted of a record."""
        reader, record = waves.reader, self._ids[waves.name]
        if self._arguments.annotations:
            (self._annotations / waves.name).parent.mkdir(parents=True, exist_ok=True)
        wanted = (*reader.leads, CONSENSUS) if self._arguments.consensus else reader.leads
        n_waves = 0
        for lead in wanted:
            rows = waves.of_lead(lead)
            n_waves += len(rows)
            self._tables["waves"].write(record, rows)
            if self._arguments.annotations:
                write_waves(self._annotations / waves.name, rows, reader.fs, leads=[lead])
        agreed = waves.of_lead(CONSENSUS)
        if "intervals" in self._tables:
            intervals = record_intervals(agreed, reader.fs, n_records=1)
            self._tables["intervals"].write(record, intervals)
        if "beat_intervals" in self._tables:
            of_beats = beat_intervals(agreed, reader.fs)
            of_beats.insert(3, "time_s", of_beats["rpeak"] / reader.fs)
            self._tables["beat_intervals"].write(record, of_beats)
        if self.n_pictures < self._arguments.plot:
            self._draw(waves, wanted, refused, bar)
        for grown in self._tables.values():
            grown.commit()
        self.n_records, self.n_waves = self.n_records + 1, self.n_waves + n_waves

    def _draw(self, waves: RecordWaves, leads: tuple[str, ...], refused: Refused, bar: Progress) -> None:
        from matplotlib.figure import Figure

        from ..plotting import plot_delineation

        reader, arguments = waves.reader, self._arguments
        start = round(arguments.plot_start * reader.fs)
        stop = min(reader.n_times, start + max(1, round(arguments.plot_length * reader.fs)))
        if start >= stop:
            lasts = reader.n_times / reader.fs
            refused.warn(waves.name, f"no picture: it lasts {lasts:g} s, --plot-start is {arguments.plot_start:g}", bar)
            return
        table = _marks(waves, leads, start, stop)
        try:
            # A figure of its own, which no window shows and nobody has to close.
            figure = plot_delineation(
                reader.read(start, stop), reader.fs, table, leads=reader.leads, t0=start / reader.fs,
                recorded=reader.n_times / reader.fs, title=shown(waves.name), figure=Figure(),
            )  # fmt: skip
        except ValueError as error:
            refused.warn(waves.name, f"no picture: {error}", bar)
            return
        content = BytesIO()
        figure.savefig(content, format=arguments.plot_format, dpi=_DPI)
        path = self.pictures / f"{waves.name}.{arguments.plot_format}"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not by `savefig`, which would follow a link.
        write_atomically(path, content.getvalue())
        self.n_pictures += 1


def _marks(waves: RecordWaves, leads: tuple[str, ...], start: int, stop: int) -> Any:
    """Return the waves that lie in a stretch, in part or whole; None without any."""
    import pandas as pd

    found = [rows for lead in leads if len(rows := waves.of_lead(lead, start, stop))]
    return pd.concat(found) if found else None


def _check_out(out: Path, folder: Path, annotations: Path | None) -> None:
    """Refuse, before hours of work, what could not be written after it, or over the annotations of others."""
    if out.exists() and not out.is_dir():
        raise OSError(f"--out {out}: this is a file; a folder is needed")
    if annotations is None:
        return
    if is_inside(str(annotations), str(folder)) or is_inside(str(folder), str(annotations)):
        raise ValueError(f"--out {out}: annotations are not written into the records' own folder; choose another one")
