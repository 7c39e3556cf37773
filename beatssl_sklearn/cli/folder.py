"""What the commands share: a folder of records, messages, records that cannot be used."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

READ_ERRORS = (ValueError, OSError)
# Samples that a batch may hold, so that long records do not fill the memory together.
_BATCH_SAMPLES = 2**24


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def progress(items: Sequence[Any], what: str, quiet: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=len(items), desc=what, unit="rec", disable=quiet)


class Refused:
    """Records that could not be used, told once each and summed up at the end."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def add(self, name: str, error: Exception, bar: Any) -> None:
        self.names.append(name)
        bar.write(f"skipped {name}: {error}", file=sys.stderr)

    def summary(self, n_records: int, strict: bool) -> int:
        if self.names:
            sys.stderr.write(f"{len(self.names)} of {n_records} records were skipped\n")
        return 1 if strict and self.names else 0


def open_folder(arguments: argparse.Namespace) -> Any:
    from ..ecg.leads import resolve_leads
    from ..ecg.wfdb import WFDBFolder
    from ..nn.devices import resolve_device

    # What is wrong with the command must not become a complaint about each record.
    resolve_device(arguments.device)
    if arguments.leads is not None:
        resolve_leads(arguments.leads)
    elif arguments.positional:
        raise ValueError("--positional needs --leads, the names of the signals in their order")
    return WFDBFolder(arguments.folder, leads=arguments.leads, positional=arguments.positional)


def readable_records(every: Any, allow_nan: bool, quiet: bool) -> tuple[Any, Refused]:
    """Return the records of a folder that can be used, so that none stops a training that has begun."""
    refused, good = Refused(), []
    with progress(every.names, "check", quiet) as bar:
        for i, name in enumerate(every.names):
            try:
                record = every[i]
                check_record(record, allow_nan)
                if not np.ptp(record.signal, axis=1).any():
                    raise ValueError("no lead varies (flat signal)")
                good.append(i)
            except READ_ERRORS as error:
                refused.add(name, error, bar)
            bar.update()
    if len(good) < 2:
        raise ValueError(f"{len(good)} of {len(every)} records can be used; at least 2 are needed")
    return every[np.array(good)], refused


def check_record(record: Any, allow_nan: bool) -> None:
    from ..ecg.preprocess import check_fs
    from ..inputs.checks import check_duration

    check_duration(record.signal.shape[1], check_fs(record.fs), "the record")
    missing = np.isnan(record.signal).sum(axis=1)
    if missing.any() and not allow_nan:
        lead = int(missing.argmax())
        raise ValueError(f"lead {record.leads[lead]} lacks {missing[lead]} samples; the model was not made for that")


def chunks(
    folder: Any, size: int, allow_nan: bool, refused: Refused, bar: Any
) -> Iterator[tuple[list[str], list[Any]]]:
    """Yield records that can be used, a batch at a time."""
    names: list[str] = []
    records: list[Any] = []
    n_samples = 0
    for i, name in enumerate(folder.names):
        try:
            record = folder[i]
            check_record(record, allow_nan)
        except READ_ERRORS as error:
            refused.add(name, error, bar)
            bar.update()
            continue
        names.append(name)
        records.append(record)
        n_samples += record.signal.size
        if len(records) == size or n_samples >= _BATCH_SAMPLES:
            yield names, records
            names, records, n_samples = [], [], 0
    if records:
        yield names, records
