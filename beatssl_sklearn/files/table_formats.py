"""The formats of growing tables: CSV, Parquet and NPZ."""

from __future__ import annotations

import csv
import shutil
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from .growing_table import GrowingTable

if TYPE_CHECKING:
    from pandas import DataFrame

# Bytes of a Parquet row group: smaller groups compress less and take longer, larger ones need more memory.
_GROUP_BYTES = 2**24
# Rows that become text at once: numpy takes 128 bytes per number on the way.
_ROWS_AS_TEXT = 64
_EMBEDDING, _FEATURE = "embedding", "feature"
# Of float64 in CSV: times, positions, intervals and rates are not known better than a millionth of their unit.
_DECIMALS = 6


class CSVTable(GrowingTable):
    """A table as text. Closing it cuts off the rows after the last commit."""

    _n_whole = 0

    def _create(self) -> IO[Any]:
        return open(self.part, "x", newline="", encoding="utf-8")

    def _write_frame(self, frame: DataFrame) -> None:
        # By itself, pandas writes the fewest digits that read back as the same number.
        is_first = self._stream.tell() == 0
        frame.round(_DECIMALS).to_csv(self._stream, index=False, header=is_first, lineterminator="\n")

    def _write_arrays(self, described: dict[str, NDArray[Any]], rows: NDArray[np.float32]) -> None:
        # Not by `to_csv`, which takes a third longer for a thousand columns.
        writer = csv.writer(self._stream, lineterminator="\n")
        if self._stream.tell() == 0:
            writer.writerow([*described, *self.features])
        columns = [(c.round(_DECIMALS) if c.dtype.kind == "f" else c).tolist() for c in described.values()]
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
    """Keeps columns, as arrays, until there are enough rows to write; large ones wait in a nameless file."""

    def __init__(self, path: Path, features: Sequence[str] = ()) -> None:
        super().__init__(path, features)
        self._parts: list[dict[str, NDArray[Any]]] = []
        self._n_whole = 0

    def _create(self) -> IO[Any]:
        self._aside: IO[bytes] = TemporaryFile(dir=self.path.parent)
        return super()._create()

    def _write_frame(self, frame: DataFrame) -> None:
        # Text as text and not as objects, which NPZ would pickle.
        kinds = {name: str if dtype.kind == "O" else None for name, dtype in frame.dtypes.items()}
        self._keep({str(name): frame[name].to_numpy(dtype) for name, dtype in kinds.items()})

    def _write_arrays(self, described: dict[str, NDArray[Any]], rows: NDArray[np.float32]) -> None:
        self._keep({**described, _EMBEDDING: rows})

    def _keep(self, columns: dict[str, NDArray[Any]]) -> None:
        self._parts.append(columns)

    def commit(self) -> None:
        self._n_whole = len(self._parts)

    def close(self) -> bool:
        try:
            return super().close()
        finally:
            self._aside.close()

    def discard(self) -> None:
        if self._stream is not None:
            self._aside.close()
        super().discard()


def _joined(parts: Sequence[dict[str, NDArray[Any]]]) -> dict[str, Any]:
    names = parts[0] if parts else ()
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


class ParquetTable(_ColumnTable):
    """A table of typed columns. Rows wait, aside if they are many, until they are committed.

    Raises
    ------
    ImportError
        If pyarrow is missing.
    """

    def __init__(self, path: Path, features: Sequence[str] = ()) -> None:
        super().__init__(path, features)
        self._parquet = import_optional("pyarrow.parquet", "writing .parquet", "parquet")
        self._arrow = import_optional("pyarrow", "writing .parquet", "parquet")
        self._schema: Any = None
        self._writer: Any = None
        self._writer_aside: Any = None
        self._n_bytes = self._n_bytes_whole = 0

    def _keep(self, columns: dict[str, NDArray[Any]]) -> None:
        super()._keep(columns)
        self._n_bytes += sum(column.nbytes for column in columns.values())
        if self._n_bytes >= _GROUP_BYTES:
            self._put_aside()

    def _put_aside(self) -> None:
        """Move the rows after the last commit to the disk."""
        rows = self._table_of(self._parts[self._n_whole :])
        if self._writer_aside is None:
            self._writer_aside = self._arrow.ipc.new_stream(self._aside, self._schema)
        self._writer_aside.write_table(rows)
        del self._parts[self._n_whole :]
        self._n_bytes = 0

    def _table_of(self, parts: Sequence[dict[str, NDArray[Any]]]) -> Any:
        columns = _joined(parts)
        if _EMBEDDING in columns:
            rows = columns.pop(_EMBEDDING)
            columns |= dict(zip(self.features, rows.T, strict=True))
        if self._schema is None:
            text, number = self._arrow.string, self._arrow.from_numpy_dtype
            types = {name: text() if c.dtype.kind == "U" else number(c.dtype) for name, c in columns.items()}
            self._schema = self._arrow.schema(types)
        # NaN becomes null, as in tables that pandas writes.
        arrays = [self._arrow.array(columns[field.name], field.type, from_pandas=True) for field in self._schema]
        return self._arrow.Table.from_arrays(arrays, schema=self._schema)

    def commit(self) -> None:
        # An interruption may leave a half of what is written here.
        self._whole = False
        if self._writer_aside is not None:
            self._fetch_aside()
        super().commit()
        self._n_bytes, self._n_bytes_whole = 0, self._n_bytes_whole + self._n_bytes
        if self._n_bytes_whole >= _GROUP_BYTES:
            self._write_whole()
        self._whole = True

    def _fetch_aside(self) -> None:
        """Write the rows that lie aside, after those that were committed before them."""
        if self._n_bytes_whole:
            self._write_whole()
        self._writer_aside.close()
        self._aside.seek(0)
        for batch in self._arrow.ipc.open_stream(self._aside):
            self._write_group(self._arrow.Table.from_batches([batch]))
        self._aside.seek(0)
        self._aside.truncate()
        self._writer_aside = None

    def _write_whole(self) -> None:
        """Write the committed rows as a row group."""
        self._write_group(self._table_of(self._parts[: self._n_whole]))
        del self._parts[: self._n_whole]
        self._n_whole = self._n_bytes_whole = 0

    def _write_group(self, rows: Any) -> None:
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self._stream, self._schema)
        self._writer.write_table(rows)

    def _complete(self) -> None:
        # A table without a row has columns all the same.
        if self._n_bytes_whole or (self._n_whole and self._writer is None):
            self._write_whole()
        if self._writer is not None:
            self._writer.close()

    def discard(self) -> None:
        # An open writer would write to the closed file when it is collected.
        if self._writer is not None and self._writer.is_open:
            with suppress(Exception):
                self._writer.close()
        super().discard()


class NPZTable(_ColumnTable):
    """One array per column, embeddings as one array, beside the names of its columns.

    The format cannot grow: embeddings wait aside, other columns in memory.
    """

    def _keep(self, columns: dict[str, NDArray[Any]]) -> None:
        rows = columns.pop(_EMBEDDING, None)
        if rows is not None:
            self._aside.write(np.ascontiguousarray(rows, dtype=np.float32).tobytes())
        super()._keep(columns)

    def _complete(self) -> None:
        columns = _joined(self._parts[: self._n_whole])
        with zipfile.ZipFile(self._stream, "w", allowZip64=True) as archive:
            for name, column in columns.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, column, allow_pickle=False)
            if self.features:
                self._write_embedding(archive, len(columns.get("record", ())))

    def _write_embedding(self, archive: zipfile.ZipFile, n_rows: int) -> None:
        with archive.open(f"{_FEATURE}.npy", "w") as entry:
            np.lib.format.write_array(entry, np.array(self.features), allow_pickle=False)
        shape = (n_rows, len(self.features))
        header = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": shape}
        self._aside.truncate(4 * shape[0] * shape[1])
        self._aside.seek(0)
        with archive.open(f"{_EMBEDDING}.npy", "w", force_zip64=True) as entry:
            np.lib.format.write_array_header_2_0(entry, header)
            shutil.copyfileobj(self._aside, entry, 2**20)


def open_table(path: Path, features: Sequence[str] = ()) -> GrowingTable:
    """Return the kind of table that the ending of a file's name asks for.

    Raises
    ------
    ValueError
        If the ending is not .csv, .parquet or .npz.
    ImportError
        If the ending is .parquet and pyarrow is missing.
    """
    kinds: dict[str, type[GrowingTable]] = {".csv": CSVTable, ".parquet": ParquetTable, ".npz": NPZTable}
    if path.suffix.lower() not in kinds:
        raise ValueError(f"{path}: a table's name must end in one of {', '.join(kinds)}")
    return kinds[path.suffix.lower()](path, features)
