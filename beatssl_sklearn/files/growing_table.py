"""Tables that grow record by record: CSV, Parquet or NPZ.

A table grows under another name and takes its own name when it is complete. An older table stays until then.
"""

from __future__ import annotations

import csv
import errno
import os
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional

if TYPE_CHECKING:
    from pandas import DataFrame

# Bytes of a Parquet row group: smaller groups compress less and take longer, larger ones need more memory.
_GROUP_BYTES = 2**24
# Rows that become text at once: numpy takes 128 bytes per number on the way.
_ROWS_AS_TEXT = 64
_EMBEDDING = "embedding"


class GrowingTable(ABC):
    """A table that grows by data frames (`write`, `commit`) or by embeddings (`add`), not by both.

    In a ``with`` statement the table is opened, and takes its own name at the end; after an error nothing is left of
    it. Without the statement, the caller opens, commits and closes the table, and renames or removes `part`.

    Parameters
    ----------
    path : Path
        Name of the complete table.
    part : Path, default=None
        Name of the growing table, in the same folder. None means ``stem.part.suffix``.

    Attributes
    ----------
    n_rows : int
        Rows that `add` has added.
    """

    def __init__(self, path: Path, part: Path | None = None) -> None:
        self.path, self.n_rows = path, 0
        self.part = path.with_name(f"{path.stem}.part{path.suffix}") if part is None else part
        self._stream: Any = None
        self._whole = True

    def open(self) -> None:
        """Create the file `part`, so that a folder without permission is noticed before any work.

        Raises
        ------
        OSError
            If `path` is a folder, or the file cannot be created.
        """
        if self.path.is_dir():
            raise IsADirectoryError(errno.EISDIR, f"{self.path.name} is a folder")
        self._stream = self._create()

    def _create(self) -> IO[Any]:
        return open(self.part, "wb")

    @property
    def opened(self) -> bool:
        """Whether the file was created."""
        return self._stream is not None

    def add(
        self, name: str, fs: float, rows: NDArray[np.float32], rpeaks: NDArray[np.int64] | None = None
    ) -> None:
        """Add the embeddings of a record.

        Parameters
        ----------
        name : str
            Name of the record.
        fs : float
            Sampling rate of the record [Hz].
        rows : ndarray of shape (n_rows, n_dims), float32
            One row for the record, or one per heartbeat.
        rpeaks : ndarray of shape (n_rows,), int64, default=None
            R peaks of the heartbeats [samples].
        """
        described: dict[str, NDArray[Any]] = {"record": np.full(len(rows), name)}
        if rpeaks is not None:
            described |= {"beat": np.arange(len(rows)), "rpeak": rpeaks, "time_s": rpeaks / fs}
        self._write_arrays(described, rows)
        self.commit()
        self.n_rows += len(rows)

    @abstractmethod
    def write(self, frame: DataFrame) -> None:
        """Add rows. All frames must have the columns of the first one."""

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

    def __enter__(self) -> GrowingTable:
        self.open()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.close()
            if kind is None:
                os.replace(self.part, self.path)
        finally:
            self.part.unlink(missing_ok=True)


class CSVTable(GrowingTable):
    """A table as text. Closing it cuts off the rows after the last commit."""

    _n_whole = 0

    def _create(self) -> IO[Any]:
        return open(self.part, "w", newline="", encoding="utf-8")

    def write(self, frame: DataFrame) -> None:
        # By itself, pandas writes the fewest digits that read back as the same number.
        frame.to_csv(self._stream, index=False, header=self._stream.tell() == 0, lineterminator="\n")

    def _write_arrays(self, described: dict[str, NDArray[Any]], rows: NDArray[np.float32]) -> None:
        # Not by `to_csv`, which takes a third longer for a thousand columns.
        writer = csv.writer(self._stream)
        if self._stream.tell() == 0:
            writer.writerow([*described, *_names_of_dims(rows)])
        columns = [column.tolist() for column in described.values()]
        for start in range(0, len(rows), _ROWS_AS_TEXT):
            part = slice(start, start + _ROWS_AS_TEXT)
            # Text of float32, not of float64: the fewest digits that read back as the same number.
            values = rows[part].astype(str).tolist()
            own = zip(*(column[part] for column in columns), strict=True)
            writer.writerows([*left, *right] for left, right in zip(own, values, strict=True))

    def commit(self) -> None:
        self._stream.flush()
        self._n_whole = self._stream.tell()

    def _complete(self) -> None:
        self._stream.truncate(self._n_whole)


class _ColumnTable(GrowingTable):
    """Keeps columns, as arrays, until there are enough rows to write."""

    def __init__(self, path: Path, part: Path | None = None) -> None:
        super().__init__(path, part)
        self._parts: list[dict[str, NDArray[Any]]] = []

    def write(self, frame: DataFrame) -> None:
        # Text as text and not as objects, which NPZ would pickle.
        kinds = {name: str if dtype.kind == "O" else None for name, dtype in frame.dtypes.items()}
        self._keep({str(name): frame[name].to_numpy(dtype) for name, dtype in kinds.items()})

    def _write_arrays(self, described: dict[str, NDArray[Any]], rows: NDArray[np.float32]) -> None:
        self._keep({**described, _EMBEDDING: rows})

    def _keep(self, columns: dict[str, NDArray[Any]]) -> None:
        self._parts.append(columns)

    def _joined(self) -> dict[str, Any]:
        """Return the columns so far."""
        names = self._parts[0] if self._parts else ()
        return {name: np.concatenate([part[name] for part in self._parts]) for name in names}


class ParquetTable(_ColumnTable):
    """A table of typed columns.

    Raises
    ------
    ImportError
        If pyarrow is missing.
    """

    def __init__(self, path: Path, part: Path | None = None) -> None:
        super().__init__(path, part)
        self._parquet = import_optional("pyarrow.parquet", "writing .parquet", "parquet")
        self._arrow = import_optional("pyarrow", "writing .parquet", "parquet")
        self._writer: Any = None
        self._n_bytes = 0

    def _keep(self, columns: dict[str, NDArray[Any]]) -> None:
        super()._keep(columns)
        self._whole = False
        self._n_bytes += sum(column.nbytes for column in columns.values())
        if self._n_bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Write a row group."""
        columns = self._joined()
        if not columns:
            return
        if _EMBEDDING in columns:
            rows = columns.pop(_EMBEDDING)
            columns |= dict(zip(_names_of_dims(rows), rows.T, strict=True))
        if self._writer is None:
            text, number = self._arrow.string, self._arrow.from_numpy_dtype
            types = {name: text() if c.dtype.kind == "U" else number(c.dtype) for name, c in columns.items()}
            self._writer = self._parquet.ParquetWriter(self._stream, self._arrow.schema(types))
        schema = self._writer.schema
        # NaN becomes null, as in tables that pandas writes.
        arrays = [self._arrow.array(columns[field.name], field.type, from_pandas=True) for field in schema]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=schema))
        self._parts, self._n_bytes = [], 0

    def commit(self) -> None:
        self._whole = True

    def _complete(self) -> None:
        self._flush()
        if self._writer is not None:
            self._writer.close()


class NPZTable(_ColumnTable):
    """One array per column, embeddings as one array. The format cannot grow: the rows stay in memory until the end."""

    _n_whole = 0

    def commit(self) -> None:
        self._n_whole = len(self._parts)

    def _complete(self) -> None:
        self._parts = self._parts[: self._n_whole]
        np.savez(self._stream, **self._joined())


def open_table(path: Path) -> GrowingTable:
    """Return the kind of table that the ending of a file's name asks for. It grows as a hidden file.

    Raises
    ------
    ValueError
        If the ending is not .csv, .parquet or .npz.
    ImportError
        If the ending is .parquet and pyarrow is missing.
    """
    kinds: dict[str, type[GrowingTable]] = {".csv": CSVTable, ".parquet": ParquetTable, ".npz": NPZTable}
    if path.suffix.lower() not in kinds:
        raise ValueError(f"{path.name}: a table's name must end in one of {', '.join(kinds)}")
    return kinds[path.suffix.lower()](path, path.with_name(f".{path.name}.part"))


def _names_of_dims(rows: NDArray[np.float32]) -> list[str]:
    return [f"e{k}" for k in range(rows.shape[1])]
