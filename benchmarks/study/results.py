"""Tables of results: CSV that grows row by row, Markdown made from it."""

from __future__ import annotations

import csv
import os
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

Row = dict[str, Any]
_OWN_FOLDERS = ("--cache", "--out")


class Table:
    """Rows of a CSV file, with keys in some of its columns; adding a row writes the file again.

    Parameters
    ----------
    path : Path
        Rows that it holds are kept: they are finished.
    keys : sequence of str
        Columns whose values identify a row.
    """

    def __init__(self, path: Path, keys: Sequence[str]) -> None:
        self.path, self.keys = Path(path), tuple(keys)
        self.rows: list[Row] = []
        if self.path.exists():
            with open(self.path, newline="") as stream:
                self.rows = [{k: _value(v) for k, v in row.items()} for row in csv.DictReader(stream)]

    def find(self, **key: Any) -> Row | None:
        """Return the finished row of a key, or None."""
        wanted = [str(_value(str(key[k]))) for k in self.keys]
        for row in self.rows:
            if [str(_value(str(row.get(k, "")))) for k in self.keys] == wanted:
                return row
        return None

    def add(self, row: Mapping[str, Any]) -> Row:
        """Add a row, in the place of the one with its key, and write the file."""
        own = dict(row)
        old = self.find(**{k: own[k] for k in self.keys})
        if old is None:
            self.rows.append(own)
        else:
            self.rows[self.rows.index(old)] = own
        columns = list(dict.fromkeys(k for r in self.rows for k in r))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".part")
        with open(temporary, "w", newline="") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(self.rows)
        os.replace(temporary, self.path)
        return own


def _value(text: str) -> Any:
    try:
        number = float(text)
    except (TypeError, ValueError):
        return text
    return int(number) if np.isfinite(number) and number.is_integer() and "." not in text else number


def shown(value: Any) -> str:
    """A score without its leading zero, three digits; anything else as it is."""
    if not isinstance(value, (float, np.floating)):
        return str(value)
    text = "" if np.isnan(value) else f"{float(value):.3f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def with_interval(row: Mapping[str, Any], name: str) -> str:
    """Show a score as "value (low-high)"."""
    if row.get(name, "") == "":
        return ""
    low, high = row.get(f"{name}_low", ""), row.get(f"{name}_high", "")
    if not isinstance(low, float) or np.isnan(low):
        return shown(float(row[name]))
    return f"{shown(float(row[name]))} ({shown(low)}-{shown(float(high))})"


def write_markdown(
    path: Path, title: str, about: Iterable[str], command: str, header: Sequence[str], lines: Iterable[Sequence[str]]
) -> None:
    """Write one table with its command, the date and what a reader must know."""
    text = [f"# {title}", "", f"`{command}`, {time.strftime('%Y-%m-%d')}.", "", *about, ""]
    text += ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    text += ["| " + " | ".join(line) + " |" for line in lines]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(text) + "\n")


def command_of(module: str, argv: Sequence[str]) -> str:
    """Return a command as others can run it: files by their last name, without private folders."""
    words, left_out = [], ""
    for word in argv:
        if word in _OWN_FOLDERS or left_out in _OWN_FOLDERS:
            left_out = word
            continue
        flag, equals, value = word.rpartition("=")
        words.append(flag + equals + (os.path.basename(value.rstrip("/")) if "/" in value else value))
    return shlex.join(["python", "-m", module, *words])


def mean_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of a few runs and its t interval; with fewer than two, limits are NaN."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        return float(x.mean()) if len(x) else float("nan"), float("nan"), float("nan")
    half = student.ppf(0.5 + level / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
    return float(x.mean()), float(x.mean() - half), float(x.mean() + half)
