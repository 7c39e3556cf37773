"""Tables that are written record by record from data frames: CSV or Parquet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._optional import require

if TYPE_CHECKING:
    from pandas import DataFrame

_ROWS_PER_GROUP = 2**16
_TEXTS = ("record", "lead", "wave")




class GrowingTable(ABC):
    """A table that grows by data frames, under another name.

    Parameters
    ----------
    path : Path
        Of the table when it is complete, which is for others to declare by renaming `part`.

    Attributes
    ----------
    part : Path
        Of the table while it grows.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.part = path, path.with_name(f"{path.stem}.part{path.suffix}")
        self._stream: Any = None

    def open(self) -> None:
        """Create the file."""
        if self.path.is_dir():
            raise IsADirectoryError(0, f"{self.path.name} is a folder")
        self._stream = open(self.part, "wb")

    @property
    def opened(self) -> bool:
        """Whether the file was created."""
        return self._stream is not None

    @abstractmethod
    def write(self, frame: DataFrame) -> None:
        """Add rows."""

    @abstractmethod
    def commit(self) -> None:
        """Declare that the rows so far are those of whole records."""

    @abstractmethod
    def close(self) -> bool:
        """Complete the file; return whether it holds whole records only."""


class CSVTable(GrowingTable):
    """Text; rows of a record that was not completed are cut off."""

    _n_whole = 0

    def write(self, frame: DataFrame) -> None:
        # The fewest digits that read back as the same number, as pandas writes by itself.
        frame.to_csv(self._stream, index=False, header=self._stream.tell() == 0, lineterminator="\n")

    def commit(self) -> None:
        self._stream.flush()
        self._n_whole = self._stream.tell()

    def close(self) -> bool:
        try:
            if not self._stream.closed:
                self._stream.truncate(self._n_whole)
        finally:
            self._stream.close()
        return True


class ParquetTable(GrowingTable):
    """Parquet; needs pyarrow."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._arrow = require("pyarrow", "--format parquet", "parquet")
        self._parquet = require("pyarrow.parquet", "--format parquet", "parquet")
        self._writer: Any = None
        self._waiting: list[Any] = []
        self._n_waiting = 0
        self._whole = True

    def write(self, frame: DataFrame) -> None:
        self._whole = False
        if self._writer is None:
            text, number = self._arrow.string(), self._arrow.from_numpy_dtype
            fields = [(name, text if name in _TEXTS else number(frame[name].dtype)) for name in frame.columns]
            self._schema = self._arrow.schema(fields)
            self._writer = self._parquet.ParquetWriter(self._stream, self._schema)
        self._waiting.append(self._arrow.Table.from_pandas(frame, self._schema, preserve_index=False))
        self._n_waiting += len(frame)
        if self._n_waiting >= _ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(self._arrow.concat_tables(self._waiting).combine_chunks())
        self._waiting, self._n_waiting = [], 0

    def commit(self) -> None:
        self._whole = True

    def close(self) -> bool:
        try:
            if self._writer is not None:
                self._flush()
                self._writer.close()
                self._writer = None
        finally:
            self._stream.close()
        return self._whole
