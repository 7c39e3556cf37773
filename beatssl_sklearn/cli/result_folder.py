"""A folder of results: tables that grow together, and a place for annotation files."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from ..ecg.wfdb.paths import is_inside
from ..files.growing_table import GrowingTable
from ..files.table_formats import CSVTable, ParquetTable
from .messages import complain
from .outputs import unwritable

# What `with` gives is of the class of what it is given.
Self = TypeVar("Self", bound="ResultFolder")


class ResultFolder:
    """Tables that grow together, to be used in a ``with`` statement.

    Tables grow under names of their own, and get waves.csv and so on when they are complete, so that older ones stay
    until then. After an error or an interruption the records that were complete are kept as waves.incomplete.csv and
    so on; without any, nothing is left.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command, with `out`, `folder`, `format` and `annotations`.
    ids : mapping of str to str
        What the tables call each record.
    tables : mapping of str to sequence of str
        Names of the tables, without ending, and the names of their columns of numbers; see `GrowingTable`.

    Attributes
    ----------
    n_records : int
        Records that are complete.
    annotations : Path
        Folder for annotation files.

    Raises
    ------
    OSError, ValueError
        If `out` is a file, or annotations would lie among the records.
    ImportError
        If a package for the format is missing.
    """

    def __init__(
        self, arguments: argparse.Namespace, ids: Mapping[str, str], tables: Mapping[str, Sequence[str]]
    ) -> None:
        self.n_records = 0
        self.arguments, self.ids = arguments, ids
        self.out: Path = arguments.out
        self.annotations = self.out / "annotations"
        _check_out(self.out, arguments.folder, self.annotations if arguments.annotations else None)
        kind: type[GrowingTable] = ParquetTable if arguments.format == "parquet" else CSVTable
        self.tables = {name: kind(self.out / f"{name}.{arguments.format}", own) for name, own in tables.items()}

    @property
    def paths(self) -> list[Path]:
        """The tables, as they will be called."""
        return [table.path for table in self.tables.values()]

    def annotation_path(self, name: str) -> Path:
        """Return the path of a record's annotation files, without extension; their folder is made."""
        path = self.annotations / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def commit(self) -> None:
        """Declare that all tables have all rows of a record."""
        for table in self.tables.values():
            table.commit()
        self.n_records += 1

    def __enter__(self: Self) -> Self:
        self._created = not self.out.exists()
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            for table in self.tables.values():
                table.open()
        except OSError as error:
            self._leave_nothing()
            raise unwritable(table.path if self.out.is_dir() else self.out, error) from error
        except BaseException:
            self._leave_nothing()
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            whole = [table.close() for table in self.tables.values()]
            if kind is None:
                for table in self.tables.values():
                    os.replace(table.part, table.path)
            elif self.n_records and all(whole):
                self._keep()
        finally:
            self._leave_nothing()

    def _keep(self) -> None:
        kept = [table.path.with_stem(f"{table.path.stem}.incomplete") for table in self.tables.values()]
        for table, path in zip(self.tables.values(), kept, strict=True):
            os.replace(table.part, path)
        names = " and ".join(path.name for path in kept)
        complain(f"{self.n_records} records were complete: see {names} in {self.out}")

    def _leave_nothing(self) -> None:
        for table in self.tables.values():
            table.discard()
        if self._created and self.out.is_dir() and not any(self.out.iterdir()):
            self.out.rmdir()


def _check_out(out: Path, folder: Path, annotations: Path | None) -> None:
    """Refuse, before hours of work, what could not be written after it, or over the annotations of others."""
    if out.exists() and not out.is_dir():
        raise OSError(f"--out {out}: this is a file; a folder is needed")
    if annotations is None:
        return
    if is_inside(str(annotations), str(folder)) or is_inside(str(folder), str(annotations)):
        raise ValueError(f"--out {out}: annotations are not written into the records' own folder; choose another one")
