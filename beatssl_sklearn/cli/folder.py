"""What the commands share on folders of records: which records can be used, and batches of them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..ecg import ECGRecord, WFDBFolder
from ..ecg.leads import resolve_leads
from ..ecg.preprocess import check_fs
from ..inputs.checks import check_duration
from ..nn.devices import resolve_device
from .messages import READ_ERRORS, Refused, progress

# Samples that a batch may hold, so that long records do not fill the memory together.
_BATCH_SAMPLES = 2**24


def open_folder(arguments: argparse.Namespace) -> WFDBFolder:
    """Return the folder of records, after a check of the options that hold for all of them.

    Raises
    ------
    ValueError, OSError
        If an option cannot be used, or the folder has no records.
    """
    # A wrong option must not become a warning for each record.
    resolve_device(arguments.device)
    if arguments.leads is not None:
        resolve_leads(arguments.leads)
    elif arguments.positional:
        raise ValueError("--positional needs --leads, the names of the signals in their order")
    return WFDBFolder(arguments.folder, leads=arguments.leads, positional=arguments.positional)


def readable_records(every: WFDBFolder, arguments: argparse.Namespace) -> tuple[WFDBFolder, Refused]:
    """Return the records of a folder that can be used, so that none stops a training that has begun.

    Raises
    ------
    ValueError
        If fewer than two are left.
    """
    refused, good = Refused(arguments), []
    with progress(every.names, "check", arguments.quiet) as bar:
        for i, name in enumerate(every.names):
            try:
                record = every[i]
                _check_record(record, arguments.allow_nan, "--allow-nan uses it all the same")
                if not np.ptp(record.signal, axis=1).any():
                    raise ValueError("no lead varies (flat signal)")
                good.append(i)
            except READ_ERRORS as error:
                refused.add(name, error, bar)
            bar.update()
    if len(good) < 2:
        raise ValueError(f"{len(good)} of {len(every)} records can be used; at least 2 are needed")
    return every[np.array(good)], refused


def batches(
    folder: WFDBFolder, size: int, allow_nan: bool, refused: Refused, bar: Any
) -> Iterator[tuple[list[str], list[ECGRecord]]]:
    """Yield names and records that can be used, at most `size` at a time.

    Parameters
    ----------
    folder : WFDBFolder
    size : int
        Records of a batch; long records make smaller batches.
    allow_nan : bool
        Whether the model takes missing samples.
    refused : Refused
        Gets the other records.
    bar : tqdm
        Counts the other records.
    """
    names: list[str] = []
    records: list[ECGRecord] = []
    n_samples = 0
    for i, name in enumerate(folder.names):
        try:
            record = folder[i]
            _check_record(record, allow_nan, "the model was trained without such records")
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


def _check_record(record: ECGRecord, allow_nan: bool, advice: str) -> None:
    check_duration(record.signal.shape[1], check_fs(record.fs), "the record")
    missing = np.isnan(record.signal).sum(axis=1)
    if missing.any() and not allow_nan:
        lead = int(missing.argmax())
        raise ValueError(f"lead {record.leads[lead]} lacks {missing[lead]} samples; {advice}")
