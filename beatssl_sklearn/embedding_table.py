"""Tables of embeddings, written row by row: CSV, Parquet or NPZ."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class EmbeddingTable(Protocol):
    """A table that grows by one record at a time and is complete when its context ends, also by an error."""

    n_rows: int

    def add(self, name: str, fs: float, rows: NDArray[np.float32], rpeaks: NDArray[np.int64] | None) -> None:
        """Add the embedding of a record (1, n_dims), or those of its beats (n_beats, n_dims) with their R peaks."""

    def __enter__(self) -> EmbeddingTable: ...

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None: ...


def open_table(path: Path) -> EmbeddingTable:
    """Open the kind of table that a file's ending asks for.

    Raises
    ------
    ValueError
        If the ending is not .csv, .parquet or .npz.
    ImportError
        If .parquet is wanted and pyarrow is missing.
    """
    kinds = {".csv": _CSVTable, ".parquet": _ParquetTable, ".npz": _NPZTable}
    if path.suffix not in kinds:
        raise ValueError(f"{path.name}: the ending must be one of {', '.join(kinds)}")
    return kinds[path.suffix](path)


def _columns(
    name: str, fs: float, rows: NDArray[np.float32], rpeaks: NDArray[np.int64] | None
) -> dict[str, NDArray | list[str]]:
    columns: dict[str, NDArray | list[str]] = {"record": [name] * len(rows)}
    if rpeaks is not None:
        columns |= {"beat": np.arange(len(rows)), "rpeak": rpeaks, "time_s": rpeaks / fs}
    return columns | {f"e{k}": rows[:, k] for k in range(rows.shape[1])}


class _Table:
    def __init__(self, path: Path) -> None:
        self.path, self.n_rows = path, 0

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def add(self, name: str, fs: float, rows: NDArray[np.float32], rpeaks: NDArray[np.int64] | None) -> None:
        self.n_rows += len(rows)
        self.write(_columns(name, fs, rows, rpeaks))

    def write(self, columns: dict[str, Any]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class _CSVTable(_Table):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._stream = open(path, "w", newline="", encoding="utf-8")
        self._writer: Any = None

    def write(self, columns: dict[str, Any]) -> None:
        if self._writer is None:
            self._writer = csv.writer(self._stream)
            self._writer.writerow(columns)
        self._writer.writerows(zip(*(getattr(c, "tolist", lambda c=c: c)() for c in columns.values()), strict=True))

    def close(self) -> None:
        self._stream.close()


class _ParquetTable(_Table):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise ImportError("writing .parquet needs pyarrow: pip install 'beatssl-sklearn[parquet]'") from error
        self._arrow, self._writer = pyarrow, None
        self._waiting: list[Any] = []

    def write(self, columns: dict[str, Any]) -> None:
        self._waiting.append(self._arrow.table(columns))
        if len(self._waiting) >= 256:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = self._arrow.concat_tables(self._waiting)
        if self._writer is None:
            self._writer = self._arrow.parquet.ParquetWriter(self.path, table.schema)
        self._writer.write_table(table)
        self._waiting = []

    def close(self) -> None:
        self._flush()
        if self._writer is not None:
            self._writer.close()


class _NPZTable(_Table):
    """Kept until the end, since the format has no rows to add: it is as large as the embeddings themselves."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._parts: list[dict[str, Any]] = []

    def write(self, columns: dict[str, Any]) -> None:
        meta = {k: np.asarray(v) for k, v in columns.items() if not k.startswith("e")}
        values = [v for k, v in columns.items() if k.startswith("e")]
        self._parts.append({**meta, "embedding": np.column_stack(values)})

    def close(self) -> None:
        joined = {key: np.concatenate([p[key] for p in self._parts]) for key in (self._parts or [{}])[0]}
        np.savez(self.path, **joined)
