"""What a CSV file says of each record: groups, reports."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path


def record_column(path: Path, names: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Return the values of a column for records.

    Parameters
    ----------
    path : Path
        CSV file in UTF-8 with the column "record".
    names : sequence of n_records str
        The records; the file may hold others.
    columns : sequence of str
        Names that the column may have.

    Returns
    -------
    list of n_records str

    Raises
    ------
    ValueError
        If the file is no such table, lacks a record, or says two things of one.
    OSError
        If the file cannot be read.
    """
    expected = f"a table with the columns record and {' or '.join(columns)} was expected"
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restval="")
            column = next((name for name in columns if name in (reader.fieldnames or ())), None)
            if column is None or "record" not in (reader.fieldnames or ()):
                raise ValueError(f"{path.name}: {expected}")
            rows = [(row["record"], row[column]) for row in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name}: {expected}: {error}") from error
    found: dict[str, str] = {}
    for record, value in rows:
        if found.setdefault(record, value) != value:
            raise ValueError(f"{path.name}: record {record} has two different entries of {column}")
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"{path.name}: no {column} for {len(missing)} records, for example {missing[0]}")
    return [found[name] for name in names]
