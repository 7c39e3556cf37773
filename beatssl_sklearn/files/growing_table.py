"""Tables that grow record by record: CSV, Parquet or NPZ.

A table grows under a temporary name of its own and takes its name when it is complete. An older table stays until
then, and two runs that write the same table do not meet: the one that ends last wins. Text in a cell is always as
`cell_text` describes.
"""

from __future__ import annotations

import csv
import os
import secrets
import shutil
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from .cell_text import escape_text
from .places import check_replaceable

if TYPE_CHECKING:
    from pandas import DataFrame

# Bytes of a Parquet row group: smaller groups compress less and take longer, larger ones need more memory.
_GROUP_BYTES = 2**24
# Rows that become text at once: numpy takes 128 bytes per number on the way.
_ROWS_AS_TEXT = 64
_EMBEDDING, _FEATURE = "embedding", "feature"
# Of float64 in CSV: times, positions, intervals and rates are not known better than a millionth of their unit.
_DECIMALS = 6

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
    """Keeps columns, as arrays, until there are enough rows to write."""

    def __init__(self, path: Path, features: Sequence[str] = ()) -> None:
        super().__init__(path, features)
        self._parts: list[dict[str, NDArray[Any]]] = []

    def _write_frame(self, frame: DataFrame) -> None:
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

    def __init__(self, path: Path, features: Sequence[str] = ()) -> None:
        super().__init__(path, features)
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
            columns |= dict(zip(self.features, rows.T, strict=True))
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

    def discard(self) -> None:
        # An open writer would write to the closed file when it is collected.
        if self._writer is not None and self._writer.is_open:
            with suppress(Exception):
                self._writer.close()
        super().discard()


class NPZTable(_ColumnTable):
    """One array per column, embeddings as one array, beside the names of its columns.

    The format cannot grow: embeddings wait in a nameless file, other columns in memory.
    """

    _n_whole = 0

    def _create(self) -> IO[Any]:
        self._rows: IO[bytes] = TemporaryFile(dir=self.path.parent)
        return super()._create()

    def _keep(self, columns: dict[str, NDArray[Any]]) -> None:
        rows = columns.pop(_EMBEDDING, None)
        if rows is not None:
            self._rows.write(np.ascontiguousarray(rows, dtype=np.float32).tobytes())
        super()._keep(columns)

    def commit(self) -> None:
        self._n_whole = len(self._parts)

    def _complete(self) -> None:
        self._parts = self._parts[: self._n_whole]
        columns = self._joined()
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
        self._rows.truncate(4 * shape[0] * shape[1])
        self._rows.seek(0)
        with archive.open(f"{_EMBEDDING}.npy", "w", force_zip64=True) as entry:
            np.lib.format.write_array_header_2_0(entry, header)
            shutil.copyfileobj(self._rows, entry, 2**20)

    def close(self) -> bool:
        try:
            return super().close()
        finally:
            self._rows.close()

    def discard(self) -> None:
        if self._stream is not None:
            self._rows.close()
        super().discard()


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
