"""Pack records into a zarr store."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from .._optional import find_stack_level
from ..ecg.preprocess import check_fs
from ..inputs import Block, RecordSource
from ..inputs.cells import cells_of
from ..inputs.checks import as_array, checked_leads, name_leads, refuse_swapped_axes
from .files import texts
from .store_format import as_url
from .writer import StoreWriter
from .zarr_records import ZarrRecords

# A record's own failures. What happens in the store is none.
_RECORD_ERRORS = (ValueError, TypeError, OSError)


class Packed(NamedTuple):
    """What is packed.

    Attributes
    ----------
    records : sequence
        An `ECGRecord` or an array (n_leads, n_times) at each position.
    names : list of str
        Their names.
    patient_ids : sequence of str or None
        Who they are of; None: what each record says itself.
    fs, leads : float, tuple of str; or None
        Rate and leads of arrays.
    """

    records: Any
    names: list[str]
    patient_ids: Sequence[str] | None
    fs: float | None
    leads: tuple[str, ...] | None


def pack_records(
    X: Any,
    out: str | os.PathLike[str],
    *,
    fs: float | None = None,
    leads: Sequence[str] | str | None = None,
    names: Sequence[Any] | None = None,
    patient_ids: Sequence[Any] | None = None,
    chunk: int | None = None,
    compression: str | None = "lz4",
    step: float | None = None,
    append: bool = False,
    skip_unreadable: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    verbose: int = 0,
) -> ZarrRecords:
    """Pack records into a zarr store, from which they are read fast.

    A run that was stopped goes on where it was: call it again with the same arguments. Records whose names the store
    has are not read again. Nothing is done if all of them are there.

    Parameters
    ----------
    X : array (n_records, n_leads, n_times), list of ECGRecord or of paths, column of a table, or collection
        Records [mV]. They may differ in length, rate and leads. A collection is read lazily: `WFDBFolder`,
        `HDF5Records`, `ParquetRecords` and others.
    out : str or path-like
        Folder, or a URL of a place that fsspec can write to.
    fs : float, default=None
        Sampling rate of arrays [Hz].
    leads : sequence of str, default=None
        Names of the leads of arrays, as for the estimators.
    names : sequence of n_records str, default=None
        Names of the records. None takes those of X, and "0", "1", ... where it has none.
    patient_ids : sequence of n_records str, default=None
        Who each record is of. None takes what X or its records say, and "" where they say nothing.
    chunk : int, default=None
        Records of a chunk, the smallest part that can be read. None: as many as 2 MB hold.
    compression : {"lz4", "zstd", None}, default="lz4"
        How chunks are compressed.
    step : float, default=None
        Step of the integers [mV]. None takes, for each lead, 1 µV if all samples are whole microvolts, and else its
        largest value by 32,767.
    append : bool, default=False
        Whether to add records to a store that is complete.
    skip_unreadable : bool, default=False
        What happens if a record cannot be read: False raises an error, True warns and goes on with the others.
    storage_options : mapping, default=None
        What fsspec needs for the place.
    verbose : int, default=0
        Whether to show progress.

    Returns
    -------
    records : ZarrRecords
        The store.

    Raises
    ------
    TypeError, ValueError
        If a parameter cannot be used, if two records have one name, or if a record cannot be packed; the message names
        it.
    FileExistsError
        If there is something else at the place, or a complete store that lacks some of the records.
    OSError
        If a record cannot be read, or the store cannot be written. What is complete stays.
    ImportError
        If zarr is missing.

    Warns
    -----
    UserWarning
        With `skip_unreadable`, if a record cannot be read.
    """
    packed = what_to_pack(X, fs, leads, names, patient_ids)
    writer = StoreWriter(
        as_url(out), storage_options or {}, chunk=chunk, compression=compression, step=step, append=append
    )

    def refuse(name: str, error: Exception) -> None:
        if not skip_unreadable:
            raise error
        warnings.warn(f"skipped {error}", UserWarning, stacklevel=find_stack_level())

    with tqdm(total=len(packed.names), desc="pack", unit="rec", disable=not verbose) as bar:
        write_records(packed, writer, refuse, bar.update)
    return ZarrRecords(out, storage_options=storage_options)


def what_to_pack(
    X: Any,
    fs: float | None,
    leads: Sequence[str] | str | None,
    names: Sequence[Any] | None,
    patient_ids: Sequence[Any] | None,
) -> Packed:
    """Return X as records with names; see `pack_records`.

    Raises
    ------
    TypeError, ValueError
        If that is not possible.
    """
    cells = cells_of(X)
    own_names = None
    if cells is not None:
        records, own_names = cells.records, cells.names
        named = None if leads is None else checked_leads(leads)
    else:
        records = as_array(X)
        if records.ndim != 3 or 0 in records.shape:
            raise ValueError(f"X must have the shape (n_records, n_leads, n_times), got {records.shape}")
        refuse_swapped_axes(records.shape)
        if fs is None:
            raise ValueError("X is an array: fs, its sampling rate [Hz], must be given")
        named = name_leads(leads, records.shape[1])
    n_records = len(records)
    given = _per_record("names", names, n_records)
    called = texts(given or own_names or range(n_records))
    if "" in called:
        raise ValueError(f"names: record {called.index('')} has no name; give each record one by the parameter names")
    if len(set(called)) < n_records:
        twice = Counter(called).most_common(1)[0][0]
        raise ValueError(f"two records have the name {twice!r:.80}; give names of their own by the parameter names")
    patients = _per_record("patient_ids", patient_ids, n_records)
    if patients is None and (stored := getattr(records, "patient_ids", None)) is not None:
        patients = list(stored)
    return Packed(
        records, called, None if patients is None else texts(patients), None if fs is None else check_fs(fs), named
    )


def write_records(
    packed: Packed, writer: StoreWriter, refuse: Callable[[str, Exception], None], tick: Callable[[], Any]
) -> None:
    """Write the records that the store does not have, and finish it.

    Parameters
    ----------
    packed : Packed
    writer : StoreWriter
    refuse : callable
        Gets the name of a record that cannot be read, and why.
    tick : callable
        Called after each record.

    Raises
    ------
    ValueError, OSError
        If the store cannot be written.
    """
    for i, name in enumerate(packed.names):
        if name not in writer.done:
            try:
                block, patient = _read(packed, i)
            except _RECORD_ERRORS as error:
                refuse(name, error)
            else:
                writer.add(block.signal[0], block.fs, block.leads, name, patient, i)
        tick()
    writer.finish()


def _read(packed: Packed, i: int) -> tuple[Block, str]:
    """Read and check a record; return it, and who it is of."""
    record = packed.records[i]
    # By its position, so that messages have that.
    leads = packed.leads
    if isinstance(record, np.ndarray):
        if packed.fs is None:
            raise ValueError(f"record {i} ({packed.names[i]:.80}) is an array: its sampling rate fs [Hz] must be given")
        leads = name_leads(leads, len(np.atleast_2d(record)))
    source = RecordSource({i: record}, True, packed.fs, leads, packed.names)
    (block,) = source.read(np.array([i]), 1)
    if block.integers:
        raise ValueError(f"record {i} ({packed.names[i]:.80}) holds integers; multiply ADC counts by their step in mV")
    if packed.patient_ids is not None:
        return block, packed.patient_ids[i]
    info = getattr(record, "info", None)
    return block, str(info.get("patient_id") or "") if isinstance(info, Mapping) else ""


def _per_record(name: str, values: Sequence[Any] | None, n_records: int) -> list[Any] | None:
    if values is None:
        return None
    if isinstance(values, str) or not hasattr(values, "__len__") or len(values) != n_records:
        n = len(values) if hasattr(values, "__len__") and not isinstance(values, str) else type(values).__name__
        raise ValueError(f"{name} must have one entry per record: {n} for {n_records} records")
    return list(values)
