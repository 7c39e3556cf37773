"""Tables of embeddings, written record by record: CSV, Parquet or NPZ."""

from __future__ import annotations

import csv
import os
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS_PER_GROUP = 4096


class EmbeddingTable(ABC):
    """A table that grows by one record at a time, to be used in a ``with`` statement.

    It is written under a temporary name beside `path` and gets its own name when it is complete: after an error or an
    interruption there is no half of a table, and an older one is still there.

    Parameters
    ----------
    path : Path
        Of the table.

    Attributes
    ----------
    n_rows : int
        Rows so far.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.n_rows = path, 0
        self._part = path.with_name(f".{path.name}.part")

    def add(
        self, name: str, fs: float, rows: NDArray[np.float32], rpeaks: NDArray[np.int64] | None = None
    ) -> None:
        """Add a record.

        Parameters
        ----------
        name : str
            Of the record.
        fs : float
            Its sampling rate [Hz].
        rows : ndarray (n_rows, n_dims) float32
            One row for the record, or one per heartbeat.
        rpeaks : ndarray (n_rows,) int64, optional
            R peaks of the heartbeats [samples].
        """
        described: dict[str, Any] = {"record": np.full(len(rows), name)}
        if rpeaks is not None:
            described |= {"beat": np.arange(len(rows)), "rpeak": rpeaks, "time_s": rpeaks / fs}
        self.n_rows += len(rows)
        self._write(described, rows)

    def __enter__(self) -> EmbeddingTable:
        self._open()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._close()
            if kind is None:
                os.replace(self._part, self.path)
        finally:
            self._part.unlink(missing_ok=True)

    @abstractmethod
    def _open(self) -> None:
        """Create the file, so that a folder that cannot be written to is noticed before any work."""

    @abstractmethod
    def _write(self, described: dict[str, Any], rows: NDArray[np.float32]) -> None:
        """Take rows and the columns that describe them."""

    @abstractmethod
    def _close(self) -> None:
        """Complete the file."""


def open_table(path: Path) -> EmbeddingTable:
    """Return the kind of table that a file's ending asks for.

    Raises
    ------
    ValueError
        If the ending is not .csv, .parquet or .npz.
    ImportError
        If .parquet is wanted and pyarrow is missing.
    """
    kinds: dict[str, type[EmbeddingTable]] = {".csv": _CSVTable, ".parquet": _ParquetTable, ".npz": _NPZTable}
    if path.suffix.lower() not in kinds:
        raise ValueError(f"{path.name}: a table's name must end in one of {', '.join(kinds)}")
    return kinds[path.suffix.lower()](path)


def _names_of_dims(n_dims: int) -> list[str]:
    return [f"e{k}" for k in range(n_dims)]


class _CSVTable(EmbeddingTable):
    def _open(self) -> None:
        self._stream = open(self._part, "w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._stream)
        self._headed = False

    def _write(self, described: dict[str, Any], rows: NDArray[np.float32]) -> None:
        if not self._headed:
            self._writer.writerow([*described, *_names_of_dims(rows.shape[1])])
            self._headed = True
        # As text of float32: the fewest digits that read back as the same number.
        values = rows.astype(str).tolist()
        columns = [column.tolist() for column in described.values()]
        self._writer.writerows([*own, *row] for *own, row in zip(*columns, values, strict=True))

    def _close(self) -> None:
        self._stream.close()


class _ParquetTable(EmbeddingTable):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise ImportError("writing .parquet needs pyarrow: pip install 'beatssl-sklearn[parquet]'") from error
        self._arrow: Any = pyarrow

    def _open(self) -> None:
        self._stream = open(self._part, "wb")
        self._writer: Any = None
        self._waiting: list[Any] = []
        self._n_waiting = 0

    def _write(self, described: dict[str, Any], rows: NDArray[np.float32]) -> None:
        columns = described | dict(zip(_names_of_dims(rows.shape[1]), rows.T, strict=True))
        self._waiting.append(self._arrow.table(columns))
        self._n_waiting += len(rows)
        if self._n_waiting >= _ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = self._arrow.concat_tables(self._waiting).combine_chunks()
        if self._writer is None:
            self._writer = self._arrow.parquet.ParquetWriter(self._stream, table.schema)
        self._writer.write_table(table)
        self._waiting, self._n_waiting = [], 0

    def _close(self) -> None:
        try:
            self._flush()
            if self._writer is not None:
                self._writer.close()
        finally:
            self._stream.close()


class _NPZTable(EmbeddingTable):
    """Kept until the end, since the format has no rows to add: it is as large as the embeddings themselves."""

    def _open(self) -> None:
        self._stream = open(self._part, "wb")
        self._parts: list[dict[str, Any]] = []

    def _write(self, described: dict[str, Any], rows: NDArray[np.float32]) -> None:
        self._parts.append({**described, "embedding": rows})

    def _close(self) -> None:
        try:
            joined: dict[str, Any] = {}
            for key in self._parts[0] if self._parts else ():
                joined[key] = np.concatenate([part[key] for part in self._parts])
            np.savez(self._stream, **joined)
        finally:
            self._stream.close()
