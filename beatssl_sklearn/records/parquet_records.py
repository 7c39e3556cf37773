"""Records in Parquet files, as data lakes have them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from .collection import Stack, StoredRecords, stacked
from .files import Ids, Layout, files_of, patients_of, stamp_of, texts


class ParquetRecords(StoredRecords):
    """Records in Parquet files of others, one in each row, read where they lie when they are needed.

    Parameters
    ----------
    path : str, path-like, or sequence of them
        A file, a pattern such as ``"lake/*.parquet"``, or files. Those of a pattern are taken in alphabetical order.
    signals : str or sequence of str
        Columns of lists of numbers: one for each lead, or a single one with all leads, one after the other. A single
        column may also hold a list of lists, one for each lead.
    fs : float
        Sampling rate [Hz].
    leads : sequence of str, default=None
        Names of the leads. None takes the names of the columns, and for a single column twelve leads in the standard
        order.
    record_ids : str, sequence of n_records, or None, default=None
        Names of the records: a column, or values. None calls them "0", "1", ...
    patient_ids : str, sequence of n_records, mapping, or None, default=None
        Who each record is of: a column, values, or values by name of the record.
    scale : float or sequence of n_leads float, default=1.0
        Millivolts of the value 1.
    trim : bool, default=False
        Whether zeros at the beginning and at the end, in all leads, are padding, and are left out.

    Attributes
    ----------
    names : tuple of str
        Names of the records.
    patient_ids : ndarray of str (n_records,) or None
        Who each record is of; "" where that is not known.
    fs : float
        Sampling rate [Hz].
    leads : tuple of str
        Names of the leads.
    shape : tuple of one int
        (n_records,).

    Raises
    ------
    ImportError
        If pyarrow is missing.
    TypeError, ValueError
        If a file lacks a column, or if a parameter cannot be used.
    OSError
        If a file is missing or cannot be read. A damaged record raises when it is read.

    Notes
    -----
    Parquet is read by row groups. The last one is kept, so rows next to each other are read once; in no order, each
    record can cost a row group. For training, `pack_records` makes a store that is read in any order.

    Examples
    --------
    >>> records = ParquetRecords("lake/*.parquet", ["I", "II", "V2"], fs=500, record_ids="id")  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        signals: str | Sequence[str],
        *,
        fs: float,
        leads: Sequence[str] | None = None,
        record_ids: Ids = None,
        patient_ids: Ids = None,
        scale: float | Sequence[float] = 1.0,
        trim: bool = False,
    ) -> None:
        self._columns = [signals] if isinstance(signals, str) else list(signals)
        if not self._columns:
            raise ValueError("signals=[] names no column")
        if isinstance(signals, str):
            n_leads = 12 if leads is None else len(leads)
        else:
            n_leads, leads = len(self._columns), self._columns if leads is None else leads
        self._layout = Layout(fs, leads, n_leads, scale, trim)
        self._paths = files_of(path)
        groups = [(i, g, n) for i in range(len(self._paths)) for g, n in enumerate(self._group_sizes(i))]
        sizes = [n for _, _, n in groups]
        # A row group and the row in it.
        table = {
            "file": np.repeat([i for i, _, _ in groups], sizes).astype(np.int64),
            "group": np.repeat([g for _, g, _ in groups], sizes).astype(np.int64),
            "row": np.concatenate([np.arange(n) for n in sizes]) if sizes else np.empty(0, dtype=np.int64),
        }
        n_records = len(table["row"])
        names = self._ids("record_ids", record_ids, n_records) or [str(i) for i in range(n_records)]
        patients = patients_of(patient_ids, names) or self._ids("patient_ids", patient_ids, n_records)
        label = os.path.basename(self._paths[0]) + (f" and {len(self._paths) - 1} more" if self._paths[1:] else "")
        super().__init__(label, names, patients, table)
        self._last: tuple[tuple[int, int], list[Any]] | None = None

    @property
    def fs(self) -> float:
        """Sampling rate [Hz]."""
        return self._layout.fs

    @property
    def leads(self) -> tuple[str, ...]:
        """Names of the leads."""
        return self._layout.leads

    def _file(self, i: int) -> Any:
        parquet = import_optional("pyarrow.parquet", "ParquetRecords", "parquet")
        try:
            return parquet.ParquetFile(self._paths[i])
        except (OSError, ValueError) as error:
            raise OSError(
                f"file {os.path.basename(self._paths[i])!r} is no Parquet file that can be read: {error}"
            ) from error

    def _group_sizes(self, i: int) -> list[int]:
        """Return the rows of each row group of a file, which must have the columns of the signals."""
        with self._file(i) as file:
            self._check_columns(i, file, self._columns)
            return [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]

    def _check_columns(self, i: int, file: Any, columns: list[str]) -> None:
        there = file.schema_arrow.names
        if lost := [name for name in columns if name not in there]:
            raise ValueError(
                f"file {os.path.basename(self._paths[i])!r} has no column {lost[0]!r}; it has {', '.join(there)[:200]}"
            )

    def _ids(self, parameter: str, ids: Ids, n_records: int) -> list[str] | None:
        if ids is None:
            return None
        if not isinstance(ids, str):
            if len(ids) != n_records:
                raise ValueError(f"{parameter} must have one entry per record: {len(ids)} for {n_records} records")
            return texts(ids)
        found = []
        for i in range(len(self._paths)):
            with self._file(i) as file:
                self._check_columns(i, file, [ids])
                found += ["" if value is None else str(value) for value in file.read([ids])[ids].to_pylist()]
        return found

    def _samples(self, positions: NDArray[np.int64]) -> int:
        # Lengths are known when a row group is read, and that is what memory must hold at least.
        return 1

    def _read(self, positions: NDArray[np.int64]) -> Iterator[Stack]:
        found: dict[int, NDArray[np.float32]] = {}
        files, groups, rows = (self._table[name][positions] for name in ("file", "group", "row"))
        for file, group in sorted(set(zip(files.tolist(), groups.tolist(), strict=True))):
            here = np.flatnonzero((files == file) & (groups == group))
            name = self._names[positions[here[0]]]
            try:
                read = self._group(file, group)
                for i in here.tolist():
                    name = self._names[positions[i]]
                    found[i] = self._layout.signal(self._leads_of(read, int(rows[i])))
            except (OSError, ValueError) as error:
                raise type(error)(f"file {os.path.basename(self._paths[file])!r}, record {name!r}: {error}") from error
        yield from stacked([found[i] for i in range(len(positions))], self.fs, self.leads)

    def _group(self, file: int, group: int) -> list[Any]:
        """Return the columns of a row group."""
        last = self._last
        if last is not None and last[0] == (file, group):
            return last[1]
        with self._file(file) as opened:
            table = opened.read_row_group(group, self._columns)
        read = [table[name].combine_chunks() for name in self._columns]
        self._last = ((file, group), read)
        return read

    def _leads_of(self, read: list[Any], row: int) -> NDArray[Any]:
        """Return the values of a row, (n_leads, n_times).

        Raises
        ------
        ValueError
            If they are none, or their lengths do not go together.
        """
        parts = []
        for name, column in zip(self._columns, read, strict=True):
            cell = column[row]
            if not cell.is_valid or not hasattr(cell, "values"):
                raise ValueError(f"column {name!r} holds no list of numbers but {cell.as_py()!r:.40}")
            values = cell.values
            parts.append((values if _is_number(values.type) else values.flatten()).to_numpy(zero_copy_only=False))
        n_leads = len(self.leads)
        flat = np.concatenate(parts)
        if not len(flat) or len(flat) % n_leads or (len(parts) > 1 and len({len(part) for part in parts}) > 1):
            raise ValueError(f"{[len(part) for part in parts]} values cannot be {n_leads} leads of one length")
        return flat.reshape(n_leads, -1)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_last": None, "_stamp": stamp_of(self._paths)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # It is of the moment of pickling, and made anew in the next pickle.
        state.pop("_stamp", None)
        self.__dict__.update(state)


def _is_number(kind: Any) -> bool:
    types = import_optional("pyarrow.types", "ParquetRecords", "parquet")
    return bool(types.is_floating(kind) or types.is_integer(kind))
