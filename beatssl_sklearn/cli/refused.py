"""Records that cannot be used: each is named, they are counted, and the rest goes on."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from .messages import complain, described, in_options, shown
from .progress import Progress

# What is a record's own failure: any error, of a reader, a network, or a class of the user's own. What is no error of
# a record (a full disk, an interruption) happens elsewhere or is no Exception.
RECORD_ERRORS = (Exception,)


class Refused:
    """Skipped records: one warning each, and a summary at the end.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command, with `folder` and `strict`.
    names : sequence of str
        All records.
    n_hidden : int, default=0
        Folders that could not be searched for records.
    """

    def __init__(self, arguments: argparse.Namespace, names: Sequence[str], n_hidden: int = 0) -> None:
        self.names: list[str] = []
        self._told: set[str] = set()
        self._arguments, self._n_hidden = arguments, n_hidden
        self._root = Path(arguments.folder)
        parents = {self._root, *(self._root / os.path.dirname(name) for name in names)}
        self._folders = {folder: _identity(folder) for folder in parents}

    def add(self, name: str, error: Exception, bar: Progress) -> None:
        """Warn of a record that cannot be used.

        Raises
        ------
        OSError
            If the folder has gone since: then it is not the record that failed.
        """
        for folder in (self._root, self._root / os.path.dirname(name)):
            if _identity(folder) != self._folders[folder]:
                raise OSError(f"{folder}: the folder was removed or replaced while its records were read") from error
        self.names.append(name)
        bar.write(f"skipped {shown(name)}: {self._text(described(error))}")

    def warn(self, name: str, text: str, bar: Progress) -> None:
        """Warn of a record that is used all the same; once, however often it is found."""
        for line in text.splitlines():
            self._tell(f"warning: {shown(name)}: {self._text(line)}", bar)

    def note(self, text: str, bar: Progress) -> None:
        """Warn by a text that names the records."""
        for line in text.splitlines():
            self._tell(f"warning: {self._text(line)}", bar)

    def _tell(self, line: str, bar: Progress) -> None:
        if line not in self._told:
            self._told.add(line)
            bar.write(line)

    def _text(self, text: str) -> str:
        # The only record of a call has this name there.
        return in_options(text.replace("record 0: ", ""), self._arguments)

    def summary(self, n_records: int) -> int:
        """Write how many records were skipped; return the exit status."""
        if self.names:
            complain(f"{len(self.names)} of {n_records} records were skipped")
        if self._n_hidden:
            complain(f"{self._n_hidden} folders could not be searched for records")
        return 1 if self._arguments.strict and (self.names or self._n_hidden) else 0


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino
