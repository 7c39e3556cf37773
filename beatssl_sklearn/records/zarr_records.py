"""Records in a zarr store."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .collection import Stack, StoredRecords
from .quantize import restore
from .signal_chunks import SignalChunks, read_table
from .store_format import Kind, as_url, kinds_of, label_of, open_root


class ZarrRecords(StoredRecords):
    """Records of a zarr store that `pack_records` or `beatssl pack` has written; they are read when they are needed.

    Parameters
    ----------
    store : str or path-like
        Folder, or a URL of any place that fsspec knows: ``"memory://..."``, ``"https://..."``, ``"s3://..."``.
    storage_options : mapping, default=None
        What fsspec needs for this place, such as ``{"anon": True}``.

    Attributes
    ----------
    names : tuple of str
        Names of the records.
    patient_ids : ndarray of str (n_records,) or None
        Who each record is of.
    fs : float or None
        Sampling rate [Hz]; None if records differ.
    leads : tuple of str or None
        Names of the leads; None if records differ.
    shape : tuple of one int
        (n_records,).

    Raises
    ------
    ImportError
        If zarr is missing.
    FileNotFoundError
        If there is no store.
    ValueError
        If it is another program's, of another version, half written or damaged.
    OSError
        If a chunk is missing or fails its checksum; the message names the store and the records. A chunk of signals
        raises when one of its records is read.

    Notes
    -----
    A sample is an integer of 16 bits times the step of its lead. It differs from what was packed by half a step at
    most. A pickle holds the place and the names, but no signals.

    Examples
    --------
    >>> records = ZarrRecords("ptbxl.zarr")  # doctest: +SKIP
    >>> len(records), records[0].signal.shape, records[:100].patient_ids[0]  # doctest: +SKIP
    (21799, (12, 5000), '15709')
    """

    def __init__(
        self, store: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None
    ) -> None:
        self._url, self._options = as_url(store), dict(storage_options or {})
        label = label_of(self._url)
        root = open_root(self._url, self._options)
        self._kinds = kinds_of(root, label)
        n_records = sum(kind.n_records for kind in self._kinds)
        if not root.attrs.get("complete"):
            raise ValueError(
                f"store {label!r} is half written: {n_records} records are complete; run the same packing again, and "
                f"it goes on"
            )
        names, table = read_table(root, self._kinds, label)
        del table["position"]
        patients = names[:, 1].tolist()
        super().__init__(label, names[:, 0].tolist(), patients if any(patients) else None, table)
        self._chunks = SignalChunks(self._url, self._options, self._kinds, str(root.attrs.get("id")))

    @property
    def fs(self) -> float | None:
        """Sampling rate [Hz]; None if records differ."""
        rates = {kind.fs for kind in self._own_kinds()}
        return rates.pop() if len(rates) == 1 else None

    @property
    def leads(self) -> tuple[str, ...] | None:
        """Names of the leads; None if records differ."""
        leads = {kind.leads for kind in self._own_kinds()}
        return leads.pop() if len(leads) == 1 else None

    def verify(self) -> None:
        """Read all chunks of these records.

        Raises
        ------
        OSError
            If a chunk is missing or fails its checksum; the message names the store and the records.
        """
        for _ in self.read_stacks(np.lexsort((self._table["row"], self._table["kind"]))):
            pass

    def _own_kinds(self, positions: Any = slice(None)) -> list[Kind]:
        return [self._kinds[k] for k in np.unique(self._table["kind"][positions])]

    def _samples(self, positions: NDArray[np.int64]) -> int:
        return max(len(kind.leads) * kind.n_times for kind in self._own_kinds(positions))

    def _read(self, positions: NDArray[np.int64]) -> Iterator[Stack]:
        kinds, lengths = self._table["kind"][positions], self._table["length"][positions]
        borders = np.flatnonzero((np.diff(kinds) != 0) | (np.diff(lengths) != 0)) + 1
        for part in np.split(positions, borders):
            k, length = int(kinds[0]), int(lengths[0])
            kinds, lengths = kinds[len(part) :], lengths[len(part) :]
            yield Stack(self._signals(part, k, length), self._kinds[k].fs, self._kinds[k].leads)

    def _signals(self, positions: NDArray[np.int64], k: int, length: int) -> NDArray[np.float32]:
        """Read records of one kind and length, each chunk once."""
        kind, rows = self._kinds[k], self._table["row"][positions]
        steps = self._table["step"][positions, : len(kind.leads)]
        out = np.empty((len(positions), len(kind.leads), length), dtype=np.float32)
        for c in np.unique(rows // kind.chunk).tolist():
            here = np.flatnonzero(rows // kind.chunk == c)
            try:
                digital = self._chunks.read(k, c)
                # One by one, they stay in the processor's cache.
                for i in here:
                    lacks = restore(digital[rows[i] - c * kind.chunk, :, :length], steps[i], out[i])
                    # zarr fills up a chunk that is gone; a lead that has a step has a sample.
                    if lacks and np.isnan(out[i, steps[i] > 0]).all(axis=1).any():
                        raise FileNotFoundError("a chunk of the signals is missing")
            except OSError as error:
                names = [self._names[i] for i in positions[here].tolist()]
                raise type(error)(f"store {self._label!r}, {_listed(names)}: {error}") from error
        return out


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"record {names[0]!r}{more}"
