"""The records of a job, whatever holds them: how many, their names and patients, parts of them, and a fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..files.cell_text import escape_text
from ..inputs.cells import Cells, Paths, cells_of, is_record

# Attributes of a collection that may hold the patient of each record.
_PATIENTS = ("patients", "patient_ids")


class Part:
    """Records that are read: a collection with names, by which estimators call them in messages.

    Parameters
    ----------
    names : sequence of str
    records : sequence
        Records, or arrays of records.
    """

    def __init__(self, names: Sequence[str], records: Sequence[Any]) -> None:
        self.names, self._records = tuple(names), records
        self.shape = (len(records),)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, i: int) -> Any:
        return self._records[i]


class GivenRecords:
    """Records of any kind that estimators take as X, read by slices.

    Parameters
    ----------
    records : as X of `RhythmEmbedder.transform`
    ids : sequence of str, default=None
        What tables call each record; None takes the names that the collection has, else the positions.
    patients : sequence, default=None
        Patient of each record; None takes those that the collection has.

    Raises
    ------
    ValueError
        If there is no record, or there are not as many ids or patients as records.
    TypeError
        If it is no collection.
    """

    def __init__(self, records: Any, ids: Sequence[Any] | None = None, patients: Sequence[Any] | None = None) -> None:
        sliced = hasattr(records, "__getitem__") and hasattr(records, "__len__")
        if not sliced or isinstance(records, (str, bytes, Mapping)):
            raise TypeError(f"records must be a collection of records or an array, got {type(records).__name__}")
        self._records = records
        self._cells: Cells | None = cells_of(records)
        self.n = len(records)
        if not self.n:
            raise ValueError("records holds no record")
        self.ids = self._named() if ids is None else ids
        found = next((p for name in _PATIENTS if (p := getattr(records, name, None)) is not None), None)
        self.patients = found if patients is None else patients
        for name, given in (("ids", self.ids), ("patients", self.patients)):
            if given is not None and len(given) != self.n:
                raise ValueError(f"{name} has {len(given)} entries, but there are {self.n} records")

    def _named(self) -> Sequence[Any] | None:
        if self._cells is None:
            return None
        own = self._cells.records
        return own.paths if self._cells.names is None and isinstance(own, Paths) else self._cells.names

    def part(self, start: int, stop: int) -> Any:
        """Return the records from `start` to `stop` as they were given: a slice, which need not be read yet."""
        return self._records.iloc[start:stop] if hasattr(self._records, "iloc") else self._records[start:stop]

    def ids_of(self, start: int, stop: int) -> list[str]:
        """Return what tables call these records."""
        if self.ids is None:
            return [str(i) for i in range(start, stop)]
        return [escape_text(str(name)) for name in self.ids[start:stop]]

    def patients_of(self, start: int, stop: int) -> list[str] | None:
        """Return the patients of these records; None where they are not known."""
        return None if self.patients is None else [escape_text(str(own)) for own in self.patients[start:stop]]

    def fingerprint(self) -> dict[str, Any]:
        """Return what tells these records from others: their number and names, and three of them.

        Not all are read: a million would take hours.
        """
        samples = {str(i): sample for i in sorted({0, self.n // 2, self.n - 1}) if (sample := self._sample(i))}
        return {
            "number": self.n,
            "ids": _digest(self.ids),
            "patients": _digest(self.patients),
            "samples": samples,
        }

    def _sample(self, i: int) -> dict[str, Any] | None:
        """Describe a record; None if it cannot be read, which the job will tell."""
        try:
            record = self._cells.records[i] if self._cells is not None else self._records[i : i + 1]
            signal = np.ascontiguousarray(record.signal if is_record(record) else record)
        except Exception:
            return None
        described: dict[str, Any] = {"shape": list(signal.shape)}
        if is_record(record):
            described |= {"rate": float(record.fs), "leads": ", ".join(map(str, record.leads))}
        return described | {"signal": hashlib.sha256(signal.tobytes()).hexdigest()[:16]}


def _digest(names: Sequence[Any] | None) -> str | None:
    if names is None:
        return None
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def read_part(part: Any, names: Sequence[str]) -> Any:
    """Read records that would be read anew by each method; arrays stay as they are."""
    cells = cells_of(part)
    return part if cells is None else Part(names, [cells.records[i] for i in range(len(part))])
