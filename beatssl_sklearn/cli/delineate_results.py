"""What `beatssl delineate` writes: tables, annotation files, pictures."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from ..ecg.waves.annotations import write_waves
from ..ecg.waves.intervals import beat_intervals, record_intervals
from ..ecg.waves.table import CONSENSUS
from ..files.atomic import write_atomically
from .delineate_record import RecordWaves
from .messages import shown
from .progress import Progress
from .refused import Refused
from .result_folder import ResultFolder

_DPI = 110
_INTERVALS = {"record": ("intervals",), "beat": ("beat_intervals",), "both": ("intervals", "beat_intervals")}


class Results(ResultFolder):
    """Everything that is written, to be used in a ``with`` statement.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.
    ids : mapping of str to str
        What the tables call each record.

    Raises
    ------
    OSError, ValueError, ImportError
        As `ResultFolder`.
    """

    def __init__(self, arguments: argparse.Namespace, ids: Mapping[str, str]) -> None:
        super().__init__(arguments, ids, dict.fromkeys(("waves", *_INTERVALS[arguments.intervals]), ()))
        self.n_waves = self.n_pictures = 0
        self.pictures = self.out / "plots"

    @property
    def stretch(self) -> str:
        """What pictures show of a record."""
        start = self.arguments.plot_start
        return f"{start:g} to {start + self.arguments.plot_length:g} s"

    def add(self, waves: RecordWaves, refused: Refused, bar: Progress) -> None:
        """Write what is wanted of a record."""
        reader, record = waves.reader, self.ids[waves.name]
        wanted = (*reader.leads, CONSENSUS) if self.arguments.consensus else reader.leads
        n_waves = 0
        for lead in wanted:
            rows = waves.of_lead(lead)
            n_waves += len(rows)
            self.tables["waves"].write(record, rows)
            if self.arguments.annotations:
                write_waves(self.annotation_path(waves.name), rows, reader.fs, leads=[lead])
        agreed = waves.of_lead(CONSENSUS)
        if "intervals" in self.tables:
            intervals = record_intervals(agreed, reader.fs, n_records=1)
            self.tables["intervals"].write(record, intervals)
        if "beat_intervals" in self.tables:
            of_beats = beat_intervals(agreed, reader.fs)
            of_beats.insert(3, "time_s", of_beats["rpeak"] / reader.fs)
            self.tables["beat_intervals"].write(record, of_beats)
        if self.n_pictures < self.arguments.plot:
            self._draw(waves, wanted, refused, bar)
        self.commit()
        self.n_waves += n_waves

    def _draw(self, waves: RecordWaves, leads: tuple[str, ...], refused: Refused, bar: Progress) -> None:
        from matplotlib.figure import Figure

        from ..plotting import plot_delineation

        reader, arguments = waves.reader, self.arguments
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
