"""One record of `beatssl delineate`, of any length: read and delineated some minutes at a time."""

from __future__ import annotations

import argparse
import warnings
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ecg.waves.table import CONSENSUS, make_table, wave_labels
from ..ecg.wfdb.reader import WFDBReader
from ..segmentation.long_records import PIECE_S, delineate_pieces, pieces, survey
from ..segmentation.tables import NoSureWaves
from .folder import lacks, record_reader
from .messages import shown
from .progress import Progress
from .refused import RECORD_ERRORS, Refused

if TYPE_CHECKING:
    from pandas import DataFrame

_SPOOLED_BYTES = 2**18
_MARKS = ("onset", "peak", "offset")
_ROW = np.dtype([("wave", "i1"), *((mark, "f8") for mark in _MARKS), ("confidence", "f4")])


class RecordWaves:
    """The waves of one record, lead by lead; large ones lie on disk, since a day has millions of waves.

    Use it in a ``with`` statement.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.reader: WFDBReader
        self._leads: dict[str, Any] = {}

    def __enter__(self) -> RecordWaves:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for stream in self._leads.values():
            stream.close()

    def open(self, reader: WFDBReader) -> None:
        """Take the record whose waves will be added."""
        self.reader = reader
        for lead in (*reader.leads, CONSENSUS):
            self._leads[lead] = SpooledTemporaryFile(_SPOOLED_BYTES)

    def add(self, table: DataFrame) -> None:
        """Add the waves of a stretch of the record."""
        for lead, part in table.groupby("lead", sort=False):
            rows = np.empty(len(part), _ROW)
            rows["wave"] = wave_labels(part)
            for column in (*_MARKS, "confidence"):
                rows[column] = part[column].to_numpy()
            self._leads[str(lead)].write(rows.tobytes())

    def of_lead(self, lead: str, start: float = -np.inf, stop: float = np.inf) -> DataFrame:
        """Return the waves of a lead that lie in a stretch [samples], in part or whole, as a table of the record 0."""
        stream = self._leads[lead]
        stream.seek(0)
        rows = np.frombuffer(stream.read(), _ROW)
        # A wave whose mark is missing stays.
        rows = rows[~((rows["offset"] < start) | (rows["onset"] >= stop))]
        onset, peak, offset = (rows[mark] for mark in _MARKS)
        return make_table(0, lead, rows["wave"], onset, peak, offset, self.reader.fs, rows["confidence"])


class UnsureRecords:
    """Records in which waves were found and none is sure enough: a matter of the model, told once for all of them."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._n_waves, self._least = 0, 0.0

    def look(self, name: str, found: list[NoSureWaves]) -> None:
        """Take what was said of a record without waves, piece by piece."""
        if found:
            self._names.append(name)
            self._n_waves += sum(own.n_waves for own in found)
            self._least = found[0].least

    def tell(self, n_records: int, refused: Refused, bar: Progress) -> None:
        """Warn of them, once."""
        if self._names:
            where = f"{len(self._names)} of {n_records} records have no wave, {shown(self._names[0])} the first"
            refused.note(f"{where}: {NoSureWaves(self._n_waves, self._least)}", bar)


def delineated(
    waves: RecordWaves,
    segmenter: Any,
    arguments: argparse.Namespace,
    refused: Refused,
    unsure: UnsureRecords,
    bar: Progress,
) -> bool:
    """Fill in the waves of a record; return whether it could be used."""
    try:
        waves.open(record_reader(waves.name, arguments))
        _check_samples(waves, segmenter, refused, bar)
        tables = delineate_pieces(waves.reader, segmenter, consensus=True, piece=PIECE_S)
    except RECORD_ERRORS as error:
        refused.add(waves.name, error, bar)
        return False
    n_pieces = len(pieces(waves.reader.n_times, waves.reader.fs, PIECE_S))
    where = "in a part of it: " if n_pieces > 1 else ""
    n_waves, not_sure = 0, []
    for done in range(n_pieces):
        if n_pieces > 1:
            bar.note(f"{done} of {n_pieces} pieces of {waves.name}")
        try:
            with warnings.catch_warnings(record=True) as odd:
                warnings.simplefilter("always", UserWarning)
                table = next(tables)
        except RECORD_ERRORS as error:
            refused.add(waves.name, error, bar)
            return False
        for warning in odd:
            if isinstance(warning.message, NoSureWaves):
                not_sure.append(warning.message)
            else:
                refused.warn(waves.name, f"{where}{warning.message}", bar)
        n_waves += len(table)
        # Not among what is tried: a full disk is no fault of the record.
        waves.add(table)
    if not n_waves:
        unsure.look(waves.name, not_sure)
    bar.note("")
    return True


def _check_samples(waves: RecordWaves, segmenter: Any, refused: Refused, bar: Progress) -> None:
    found = survey(waves.reader)
    if found.n_missing and not segmenter.allow_nan:
        lead = max(found.n_missing, key=lambda name: found.n_missing[name])
        raise ValueError(lacks(lead, found.n_missing[lead]))
    if found.flat and segmenter.check != "ignore":
        refused.warn(waves.name, "no lead varies (flat signal)", bar)
