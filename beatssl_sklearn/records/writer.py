"""Write a store of records, chunk by chunk; a run that was stopped goes on."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .quantize import MISSING, check_step, quantize
from .signal_chunks import array_of, read_rows, read_table
from .store_format import (
    ARRAYS,
    FORMAT,
    N_TABLE_ROWS,
    VERSION,
    Kind,
    check_chunk,
    import_zarr,
    kinds_of,
    label_of,
    open_root,
    zarr_store,
)

# Bytes of a chunk of signals: one that is read for a single record costs little, and many are read fast.
_CHUNK_BYTES = 2_000_000
# Records that are written at once, and bytes of their signals, unless a chunk is larger.
_COMMIT, _COMMIT_BYTES = 256, 2**26
# A record lies among records that are longer by this factor at most.
_LONGER = 1.25
COMPRESSION = ("lz4", "zstd", None)
"""Values of the parameter `compression`."""


class _Row(NamedTuple):
    signal: NDArray[np.int16]
    step: NDArray[np.float32]
    length: int
    position: int
    name: tuple[str, str]


class StoreWriter:
    """Writes records into a store that is new, or that an earlier run has begun.

    Parameters
    ----------
    url : str
        The store.
    options : mapping
        What fsspec needs for it.
    chunk : int or None
        Records of a chunk; None: as many as 2 MB hold.
    compression : {"lz4", "zstd", None}
    step : float or None
        Step [mV] of all samples; None: as `quantize` chooses.
    append : bool
        Whether records may be added to a store that is complete.

    Attributes
    ----------
    done : set of str
        Names of the records that the store has.

    Raises
    ------
    FileExistsError
        If there is something else at this place.
    ValueError
        If the store there was begun in another way.
    """

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any],
        *,
        chunk: int | None = None,
        compression: str | None = "lz4",
        step: float | None = None,
        append: bool = False,
    ) -> None:
        self._label = label_of(url)
        if compression not in COMPRESSION:
            raise ValueError(f"compression must be one of {COMPRESSION}, got {compression!r:.60}")
        self._chunk, self._step = check_chunk(chunk), check_step(step)
        self._how = {"chunk": self._chunk, "compression": compression, "step": self._step}
        self._token = secrets.token_hex(8)
        self._root = self._open(url, dict(options))
        self._complete, self._append = bool(self._root.attrs["complete"]), append
        self._kinds = kinds_of(self._root, self._label)
        names, table = read_table(self._root, self._kinds, self._label)
        self.done = set(names[:, 0].tolist())
        self._base = int(self._root.attrs["base"])
        if self._complete:
            self._base = int(table["position"].max(initial=-1)) + 1
        self._begun = False
        self._waiting: list[list[_Row]] = [self._unfilled(k) for k in range(len(self._kinds))]
        # Rows that wait although the store has them.
        self._stored = [len(rows) for rows in self._waiting]

    @property
    def n_records(self) -> int:
        """Records that are complete in the store."""
        return sum(kind.n_records for kind in self._kinds)

    def add(
        self, signal: NDArray, fs: float, leads: Sequence[str], name: str, patient_id: str = "", position: int = 0
    ) -> None:
        """Take a record; records are written when there are enough of a kind.

        Parameters
        ----------
        signal : ndarray (n_leads, n_times)
            Signal [mV], NaN where a sample is missing.
        fs : float
            Sampling rate [Hz].
        leads : sequence of str
        name : str
            Name that the store does not have.
        patient_id : str, default=""
        position : int, default=0
            Where the record stands in what is packed.

        Raises
        ------
        ValueError
            If the record cannot be packed; the message names it.
        OSError
            If the store cannot be written.
        """
        if name in self.done or not name:
            raise ValueError(f"store {self._label!r}: a record needs a name of its own, got {name!r:.80} again")
        if self._complete and not self._append:
            raise FileExistsError(
                f"store {self._label!r} is complete and lacks the record {name!r:.80}; append=True adds records"
            )
        if not self._begun:
            self._begin()
        try:
            digital, steps = quantize(signal, self._step)
        except ValueError as error:
            raise ValueError(f"record {name!r:.80}: {error}") from error
        k = self._kind_for(float(fs), tuple(leads), digital.shape[1])
        row = _Row(digital, steps, digital.shape[1], self._base + position, (name, patient_id))
        self._waiting[k].append(row)
        self.done.add(name)
        if len(self._waiting[k]) >= self._most(k):
            self._write(k)

    def finish(self) -> None:
        """Write the records that wait, and declare the store complete.

        Raises
        ------
        OSError
            If the store cannot be written.
        """
        for k, rows in enumerate(self._waiting):
            if len(rows) > self._stored[k]:
                self._write(k)
        if not self._complete:
            if not self._begun:
                self._begin()
            self._commit(complete=True)

    def _open(self, url: str, options: dict[str, Any]) -> Any:
        """Open a store that was begun, or begin one."""
        if "://" not in url and os.path.lexists(url) and not os.path.isdir(url):
            raise self._other_thing()
        try:
            root = open_root(url, options, read_only=False)
        except FileNotFoundError:
            self._refuse_folder(url)
            attributes = {"format": FORMAT, "version": VERSION, "complete": False, "id": secrets.token_hex(8),
                          "base": 0, "writer": self._token, "how": self._how, "kinds": []}
            return import_zarr().create_group(zarr_store(url, options, False), attributes=attributes, zarr_format=3)
        begun = root.attrs["how"]
        for name, value in self._how.items():
            if begun.get(name) != value:
                raise ValueError(
                    f"store {self._label!r} was begun with {name}={begun.get(name)!r}, not {value!r}; go on with that, "
                    f"or choose another place"
                )
        return root

    def _refuse_folder(self, url: str) -> None:
        if "://" in url or not os.path.lexists(url):
            return
        # A run that was stopped at once leaves a file that is not named yet.
        if any(not name.startswith("zarr.json") for name in os.listdir(url)):
            raise self._other_thing()

    def _other_thing(self) -> FileExistsError:
        return FileExistsError(f"store {self._label!r}: there is something else at this place; choose another one")

    def _kind_for(self, fs: float, leads: tuple[str, ...], n_times: int) -> int:
        """Return the kind of a record; a new one if there is none of about this length."""
        fit = [
            (kind.n_times, k)
            for k, kind in enumerate(self._kinds)
            if (kind.fs, kind.leads) == (fs, leads) and n_times <= kind.n_times <= _LONGER * n_times
        ]
        if fit:
            return min(fit)[1]
        chunk = self._chunk or max(1, min(N_TABLE_ROWS, _CHUNK_BYTES // (2 * len(leads) * n_times)))
        self._kinds.append(Kind(fs, leads, n_times, chunk, 0))
        self._waiting.append([])
        self._stored.append(0)
        return len(self._kinds) - 1

    def _most(self, k: int) -> int:
        kind = self._kinds[k]
        fit = min(_COMMIT, _COMMIT_BYTES // (2 * len(kind.leads) * kind.n_times))
        return kind.chunk * max(1, fit // kind.chunk)

    def _unfilled(self, k: int) -> list[_Row]:
        """Return the records of the last chunk if it is not full, to be written again with those that come."""
        kind = self._kinds[k]
        start = kind.n_records - kind.n_records % kind.chunk
        if start == kind.n_records:
            return []
        read = [read_rows(array_of(self._root, k, name), start, kind.n_records) for name in ARRAYS]
        return [
            _Row(signal, step, int(length), int(position), (str(name[0]), str(name[1])))
            for signal, step, length, position, name in zip(*read, strict=True)
        ]

    def _write(self, k: int) -> None:
        """Write the records of a kind that wait, read their signals again, and count them."""
        kind, rows = self._kinds[k], self._waiting[k]
        start = kind.n_records - kind.n_records % kind.chunk
        stop = start + len(rows)
        try:
            if not kind.n_records:
                self._create(k)
            arrays = {name: array_of(self._root, k, name) for name in ARRAYS}
            for name, array in arrays.items():
                array.resize((stop, *array.shape[1:]))
                array[start:stop] = self._column(name, rows, kind)
            written = read_rows(arrays["signal"], start, stop)
            if not np.array_equal(written, self._column("signal", rows, kind)):
                raise OSError("what was written is not what is read")
        except OSError as error:
            raise type(error)(
                f"store {self._label!r} cannot be written: {error}; its {self.n_records} complete records stay, and "
                f"the same packing goes on from there"
            ) from error
        self._kinds[k] = kind._replace(n_records=stop)
        self._commit(complete=False)
        keep = stop % kind.chunk
        self._waiting[k], self._stored[k] = rows[len(rows) - keep :], keep

    def _column(self, name: str, rows: list[_Row], kind: Kind) -> NDArray[Any]:
        if name == "name":
            return np.array([row.name for row in rows], dtype=object)
        if name != "signal":
            return np.array([getattr(row, name) for row in rows])
        column = np.full((len(rows), len(kind.leads), kind.n_times), MISSING, dtype=np.int16)
        for to, row in zip(column, rows, strict=True):
            to[:, : row.signal.shape[1]] = row.signal
        return column

    def _create(self, k: int) -> None:
        """Make the arrays of a kind; what an earlier run left of them is replaced."""
        kind, n_leads = self._kinds[k], len(self._kinds[k].leads)
        codecs = import_zarr().codecs
        check = [codecs.Crc32cCodec()]
        name = self._how["compression"]
        packed = [] if name is None else [codecs.BloscCodec(cname=name, clevel=1, shuffle="bitshuffle", typesize=2)]
        shape = {"signal": (n_leads, kind.n_times), "step": (n_leads,), "length": (), "position": (), "name": (2,)}
        types = {"signal": ("int16", MISSING), "step": ("float32", float("nan")), "length": ("int32", 0),
                 "position": ("int64", -1), "name": (str, "")}
        for array in ARRAYS:
            size = kind.chunk if array == "signal" else N_TABLE_ROWS
            dtype, fill = types[array]
            self._root.create_array(
                f"{k}/{array}", shape=(0, *shape[array]), chunks=(size, *shape[array]), dtype=dtype, fill_value=fill,
                compressors=[*packed, *check] if array == "signal" else check, overwrite=True,
            )

    def _begin(self) -> None:
        """Sign the store, so that a program that writes into it at the same time notices."""
        found = self._attributes()
        if kinds_of(self._root, self._label) != self._kinds or found["complete"] != self._complete:
            raise self._other_writer()
        self._root.attrs.update({"writer": self._token})
        self._begun = True

    def _commit(self, complete: bool) -> None:
        """Count the records that are complete."""
        if self._attributes().get("writer") != self._token:
            raise self._other_writer()
        kinds = [kind._asdict() for kind in self._kinds]
        self._root.attrs.update({"kinds": kinds, "base": self._base, "complete": complete})
        self._complete = complete

    def _attributes(self) -> dict[str, Any]:
        """Read the attributes again."""
        self._root = import_zarr().open_group(self._root.store, mode="r+", zarr_format=3)
        return dict(self._root.attrs)

    def _other_writer(self) -> FileExistsError:
        return FileExistsError(f"store {self._label!r}: another program writes into it; let one of them finish")
