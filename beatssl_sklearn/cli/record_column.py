"""What a CSV file says of each record: groups, reports."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..files.cell_text import escape_text
from .messages import shown


class RecordColumn:
    """A column of a CSV file, by records.

    Parameters
    ----------
    path : Path
        CSV file in UTF-8.
    columns : sequence of str
        Names that the column may have.
    record_column : str, default="record"
        Column with the records.

    Raises
    ------
    ValueError
        If the file is no such table, a row has more or fewer cells than the header, or it says two things of one
        record.
    OSError
        If the file cannot be read.
    """

    def __init__(self, path: Path, columns: Sequence[str], record_column: str = "record") -> None:
        self._path = path
        expected = f"a table with the columns {record_column} and {' or '.join(columns)} was expected"
        try:
            with open(path, newline="", encoding="utf-8-sig") as stream:
                # Strict: a quote that is never closed would take all rows behind it for one text.
                reader = csv.reader(stream, strict=True)
                there = next(reader, [])
                column = next((name for name in columns if name in there), None)
                if column is None or record_column not in there:
                    raise ValueError(f"{path}: {expected}, got {', '.join(there)[:200] or 'none'}")
                at = [_only_place(path, there, name) for name in (record_column, column)]
                rows = []
                for row in filter(None, reader):
                    _check_cells(path, reader.line_num, row, there, at[0])
                    rows.append((row[at[0]], row[at[1]]))
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: {expected}: {error}") from error
        self._column, self._found = column, dict[str, str]()
        for record, value in rows:
            if self._found.setdefault(record, value) != value:
                raise ValueError(f"{path}: record {record} has two different entries of {column}")

    def values(
        self,
        names: Sequence[str],
        ids: Mapping[str, str],
        *,
        may_be_empty: bool = True,
        may_be_missing: bool = False,
    ) -> list[str]:
        """Return the values of records.

        Parameters
        ----------
        names : sequence of n_records str
            The records; the file may hold others.
        ids : mapping of str to str
            What the file calls them: as it is, or as tables of this package write it.
        may_be_empty : bool, default=True
            Whether a cell may be empty or blank.
        may_be_missing : bool, default=False
            Whether the file may lack records, though not all; their values are "".

        Returns
        -------
        list of n_records str

        Raises
        ------
        ValueError
            If the file lacks a record that it must have, or has an empty cell where none may be.
        """
        values = [self._found.get(escape_text(ids[name]), self._found.get(ids[name])) for name in names]
        missing = [name for name, value in zip(names, values, strict=True) if value is None]
        if missing and (not may_be_missing or len(missing) == len(names)):
            example = shown(ids[missing[0]])
            raise ValueError(f"{self._path}: no {self._column} for {len(missing)} records, for example {example}")
        found = [value or "" for value in values]
        empty = [name for name, value in zip(names, found, strict=True) if not value.strip()]
        if empty and not may_be_empty:
            raise ValueError(
                f"{self._path}: the {self._column} of record {shown(ids[empty[0]])} is empty ({len(empty)} records in "
                f"all): if it is unknown, give each of them a {self._column} of its own"
            )
        return found


def _only_place(path: Path, there: Sequence[str], name: str) -> int:
    """Return the position of a column, of which there must be one."""
    if there.count(name) > 1:
        raise ValueError(f"{path}: {there.count(name)} columns have the name {name}")
    return there.index(name)


def _check_cells(path: Path, line: int, row: Sequence[str], there: Sequence[str], at: int) -> None:
    """Refuse a row that does not fit the header, as where a comma cuts a text. Empty cells behind do no harm."""
    if len(row) < len(there) or any(cell.strip() for cell in row[len(there) :]):
        record = shown(row[at] if at < len(row) else row[0])
        raise ValueError(
            f"{path}, line {line}: the row of record {record} has {len(row)} cells, but the header has {len(there)}; "
            f"quote texts that hold commas"
        )
