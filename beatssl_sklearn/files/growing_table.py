"""Tables that grow record by record, whatever their format.

A table grows under a temporary name of its own and takes its name when it is complete. An older table stays until
then, and two runs that write the same table do not meet: the one that ends last wins. Text in a cell is always as
`cell_text` describes.
"""

from __future__ import annotations

import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .cell_text import escape_text
from .places import check_replaceable

if TYPE_CHECKING:
    from pandas import DataFrame

Columns = Mapping[str, NDArray[Any]]


class GrowingTable(ABC):
    """A table that grows by data frames (`write`) or by embeddings (`add`), not by both.

    In a ``with`` statement the table is opened, and takes its own name at the end; after an error nothing is left of
    it. Without the statement, the caller opens, commits and closes the table, and renames or removes `part`.

    Parameters
    ----------
    path : Path
        Name of the complete table.
    features : sequence of n_dims str, default=()
        Names of the columns of embeddings.

    Attributes
    ----------
    part : Path
        Name of the growing table, in the same folder; no other run has it.
    n_rows : int
        Rows that `add` has added.
    """

    def __init__(self, path: Path, features: Sequence[str] = ()) -> None:
        self.path, self.features, self.n_rows = path, [str(name) for name in features], 0
        # Hidden, and short: a name may have just the length that the system allows.
        self.part = path.with_name(f".{secrets.token_hex(8)}.part")
        self._stream: Any = None
        self._whole = True

    def open(self) -> None:
        """Create the file `part`, so that a place that cannot be written to is noticed before any work.

        Raises
        ------
        OSError
            If `path` is a folder or no possible name, or the file cannot be created.
        """
        check_replaceable(self.path)
        self._stream = self._create()

    def _create(self) -> IO[Any]:
        # "x" refuses a name that exists, a link included.
        return open(self.part, "xb")

    @property
    def opened(self) -> bool:
        """Whether the file was created."""
        return self._stream is not None

    def add(self, name: str, rows: NDArray[np.float32], described: Columns | None = None) -> None:
        """Add embeddings of a record; they count when they are committed.

        Parameters
        ----------
        name : str
            What stands in the column "record".
        rows : ndarray of shape (n_rows, n_dims), float32
            The embeddings.
        described : mapping of str to ndarray (n_rows,), default=None
            Further columns, which say what the rows are: the same ones in every call.
        """
        self._write_arrays({"record": np.full(len(rows), escape_text(name)), **(described or {})}, rows)
        self.n_rows += len(rows)

    def write(self, name: str, frame: DataFrame) -> None:
        """Add rows of a record, of which the column "record" gets the name; they count when they are committed.

        Parameters
        ----------
        name : str
            What stands in the column "record".
        frame : DataFrame
            With the columns of the first one; their text is plain.
        """
        self._write_frame(frame.assign(record=escape_text(name)))

    @abstractmethod
    def _write_frame(self, frame: DataFrame) -> None:
        """Add rows."""

    @abstractmethod
    def _write_arrays(self, described: dict[str, NDArray[Any]], rows: NDArray[np.float32]) -> None:
        """Add rows (n_rows, n_dims) and the columns (n_rows,) that describe them."""

    @abstractmethod
    def commit(self) -> None:
        """Declare that the rows so far belong to whole records."""

    def close(self) -> bool:
        """Complete the file; return whether it holds whole records only. A second call does nothing."""
        try:
            if not self._stream.closed:
                self._complete()
        finally:
            self._stream.close()
        return self._whole

    @abstractmethod
    def _complete(self) -> None:
        """Write what is still to be written."""

    def discard(self) -> None:
        """Remove the growing table."""
        try:
            if self._stream is not None:
                # It writes what is left, for which a full disk has no room.
                self._stream.close()
        finally:
            if os.path.lexists(self.part):
                self.part.unlink(missing_ok=True)

    def __enter__(self) -> GrowingTable:
        try:
            self.open()
        except BaseException:
            # A signal can come between the file and the statement.
            self.discard()
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self.close()
                os.replace(self.part, self.path)
        finally:
            self.discard()
