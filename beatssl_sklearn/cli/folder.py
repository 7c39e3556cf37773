"""What the commands share on folders of records: which records are wanted, how they are called, and batches of them."""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..ecg import ECGRecord
from ..ecg.leads import resolve_leads
from ..ecg.preprocess import check_fs
from ..ecg.wfdb.reader import WFDBReader
from ..formats import ECGFolder
from ..formats.whole_record import WholeRecord
from ..inputs.checks import check_duration
from ..nn.devices import resolve_device
from .messages import complain, shown
from .progress import Progress
from .refused import RECORD_ERRORS, Refused

# Samples that a batch may hold, so that long records do not fill the memory together. A record with more is long.
_BATCH_SAMPLES = 2**24
_FIRST_BYTES = 4096


class Batch:
    """Records that are read: a collection with names, by which estimators call them in warnings.

    Parameters
    ----------
    names : sequence of str
    records : sequence of ECGRecord
    """

    def __init__(self, names: Sequence[str], records: Sequence[ECGRecord]) -> None:
        self.names, self._records = tuple(names), tuple(records)
        self.shape = (len(self._records),)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, i: int) -> ECGRecord:
        return self._records[i]

    def __iter__(self) -> Iterator[ECGRecord]:
        return iter(self._records)

    def one_by_one(self) -> Iterator[Batch]:
        """Yield each record as a batch."""
        for name, record in zip(self.names, self._records, strict=True):
            yield Batch([name], [record])


class LongRecord(NamedTuple):
    """A record that is read by ranges, or was read as a whole where its format has no ranges."""

    name: str
    reader: WFDBReader


def open_folder(arguments: argparse.Namespace) -> tuple[ECGFolder, Refused]:
    """Return the folder of records that are wanted, after a check of the options that hold for all of them.

    It has WFDB records and files of all other formats, together: `ECGFolder` says which.

    Raises
    ------
    ValueError, OSError
        If an option cannot be used, or the folder has no records.
    """
    # A wrong option must not become a warning for each record.
    if arguments.fs is not None:
        check_fs(arguments.fs, "--fs")
    resolve_device(arguments.device)
    leads = arguments.leads
    if leads is not None:
        resolve_leads(list(leads.values()) if isinstance(leads, dict) else leads)
    elif arguments.positional:
        raise ValueError("--positional needs --leads, the names of the signals in their order")
    if not os.path.isdir(arguments.folder):
        raise NotADirectoryError(f"{arguments.folder}: there is no such folder")
    options: dict[str, Any] = {"leads": leads, "positional": arguments.positional, "fs": arguments.fs}
    try:
        with warnings.catch_warnings(record=True) as odd:
            warnings.simplefilter("always", UserWarning)
            every = ECGFolder(arguments.folder, pattern=arguments.records, skip_unreadable=True, **options)
    except (ValueError, OSError) as error:
        raise type(error)(f"{arguments.folder}: {error}") from error
    for warning in odd:
        complain(f"warning: {arguments.folder}: {warning.message}")
    return every, Refused(arguments, every.names, n_hidden=len(every.unreadable))


def record_ids(names: Sequence[str], arguments: argparse.Namespace) -> dict[str, str]:
    """Return what stands for each record in the column "record" of tables.

    Raises
    ------
    ValueError
        If it stands for two records.
    """
    ids = {name: _id(name, arguments) for name in names}
    known: dict[str, str] = {}
    for name, own in ids.items():
        if (other := known.setdefault(own, name)) != name:
            raise ValueError(f"--id {arguments.id}: {shown(other)} and {shown(name)} would both be {shown(own)}")
    return ids


def _id(name: str, arguments: argparse.Namespace) -> str:
    if arguments.id == "stem":
        return name.rpartition("/")[2]
    return name if arguments.id == "name" else str(Path(arguments.folder) / name)


def readable_records(every: ECGFolder, refused: Refused, arguments: argparse.Namespace) -> ECGFolder:
    """Return the records of a folder that can be used, so that none stops a training that has begun.

    Raises
    ------
    ValueError
        If fewer than two are left.
    """
    good = []
    with Progress(len(every), "check", arguments.quiet) as bar:
        for i, name in enumerate(every.names):
            try:
                record = every[i]
                _check_record(record, arguments.allow_nan)
                if not np.ptp(record.signal, axis=1).any():
                    raise ValueError("no lead varies (flat signal)")
                good.append(i)
            except RECORD_ERRORS as error:
                refused.add(name, error, bar)
            bar.update()
    if len(good) < 2:
        raise ValueError(f"{len(good)} of {len(every)} records can be used; at least 2 are needed")
    return every[np.array(good)]


def batches(
    folder: ECGFolder,
    arguments: argparse.Namespace,
    allow_nan: bool,
    refused: Refused,
    bar: Progress,
    most: int | None = None,
) -> Iterator[Batch | LongRecord]:
    """Yield records that can be used, some at a time, and long ones by themselves.

    Parameters
    ----------
    folder : ECGFolder
    arguments : argparse.Namespace
        Of the command, with `batch_size`.
    allow_nan : bool
        Whether the model takes missing samples.
    refused : Refused
        Gets the other records.
    bar : Progress
        Counts the other records.
    most : int, optional
        Samples that a batch may hold, where results need more memory than records.
    """
    most = _BATCH_SAMPLES if most is None else most
    names: list[str] = []
    records: list[ECGRecord] = []
    n_samples = 0
    for i, name in enumerate(folder.names):
        try:
            reader = _reader_of_long(name, arguments, most) if folder.is_wfdb(name) else None
            if reader is None:
                record = folder[i]
                _check_record(record, allow_nan)
                if record.signal.size > most and not folder.is_wfdb(name):
                    reader = WholeRecord(name, record)
        except RECORD_ERRORS as error:
            refused.add(name, error, bar)
            bar.update()
            continue
        if reader is not None:
            if records:
                yield Batch(names, records)
                names, records, n_samples = [], [], 0
            yield LongRecord(name, reader)
            continue
        names.append(name)
        records.append(record)
        n_samples += record.signal.size
        if len(records) == arguments.batch_size or n_samples >= most:
            yield Batch(names, records)
            names, records, n_samples = [], [], 0
    if records:
        yield Batch(names, records)


def read_whole(record: LongRecord, refused: Refused, bar: Progress) -> Batch | None:
    """Read a long record as a whole; None if it cannot be read."""
    name, reader = record
    try:
        with warnings.catch_warnings(record=True) as odd:
            warnings.simplefilter("always", UserWarning)
            read = ECGRecord(reader.read(0, reader.n_times), reader.fs, reader.leads)
    except RECORD_ERRORS as error:
        refused.add(name, error, bar)
        return None
    for warning in odd:
        refused.note(str(warning.message), bar)
    return Batch([name], [read])


def record_reader(name: str, arguments: argparse.Namespace) -> WFDBReader:
    """Open a record of the folder; one of another format than WFDB is read as a whole."""
    options: dict[str, Any] = {"leads": arguments.leads, "positional": arguments.positional}
    one = ECGFolder(arguments.folder, names=[name], fs=arguments.fs, **options)
    if not one.is_wfdb(name):
        return WholeRecord(name, one[0])
    return WFDBReader(Path(arguments.folder) / name, confine_to_root=arguments.folder, **options)


def _reader_of_long(name: str, arguments: argparse.Namespace, most: int) -> WFDBReader | None:
    """Return a reader for a record with more samples than a batch may hold; None for others."""
    announced = _announced_samples(os.path.join(arguments.folder, f"{name}.hea"))
    if announced is not None and announced <= most:
        return None
    reader = record_reader(name, arguments)
    return reader if reader.n_times * len(reader.leads) > most else None


def _announced_samples(header: str) -> int | None:
    """Return how many samples the first line of a header announces: a tenth of the time of reading all of it.

    None means that the first bytes do not tell.
    """
    try:
        with open(header, "rb") as stream:
            raw = stream.read(_FIRST_BYTES)
        lines = [line.strip() for line in raw.split(b"\n")]
        if len(raw) == _FIRST_BYTES:
            # It may be cut off.
            lines.pop()
        record, *signals = (line.split() for line in lines if line and line[:1] != b"#")
        n_signals, n_times = int(record[1]), int(record[3])
        # Of segments, or of signals beyond the first bytes, the formats are unknown.
        if b"/" in record[0] or len(signals) < n_signals:
            return None
        # The line counts frames, and a frame may have several samples of a signal: a format such as 16x32.
        several = any(b"x" in words[1] for words in signals if len(words) > 1)
        return None if several else n_signals * n_times or None
    except (OSError, ValueError, IndexError):
        return None


def _check_record(record: ECGRecord, allow_nan: bool) -> None:
    check_duration(record.signal.shape[1], check_fs(record.fs), "the record")
    if allow_nan:
        return
    missing = np.isnan(record.signal).sum(axis=1)
    if missing.any():
        lead = int(missing.argmax())
        raise ValueError(lacks(record.leads[lead], int(missing[lead])))


def lacks(lead: str, n_missing: int) -> str:
    """Return why a record with missing samples is refused."""
    return f"lead {lead} lacks {n_missing} samples; --allow-nan uses it all the same"
