"""Chunks of a zarr store: those of signals, one at a time, and all of the arrays beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .chunk_files import ChunkFiles
from .store_format import ARRAYS, Kind, open_root


class SignalChunks:
    """Chunks of signals, by kind and number; the last one is kept, so that records next to each other are read once.

    It can be used by several threads. A pickle holds the place alone.

    Parameters
    ----------
    url : str
        The store.
    options : dict
        What fsspec needs for it.
    kinds : list of Kind
    store_id : str
        Tells the store from one that has taken its place.
    """

    def __init__(self, url: str, options: dict[str, Any], kinds: list[Kind], store_id: str) -> None:
        self._url, self._options, self._kinds, self._id = url, options, kinds, store_id
        self._reset()

    def _reset(self) -> None:
        self._arrays: dict[int, tuple[Any, ChunkFiles | None]] = {}
        self._last: tuple[int, int, NDArray[np.int16]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_url": self._url, "_options": self._options, "_kinds": self._kinds, "_id": self._id}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def read(self, k: int, c: int) -> NDArray[np.int16]:
        """Return chunk `c` of kind `k`: (n_records, n_leads, n_times).

        Raises
        ------
        OSError
            If it cannot be read, or fails its checksum.
        """
        last = self._last
        if last is not None and last[:2] == (k, c):
            return last[2]
        size = self._kinds[k].chunk
        array, files = self._array(k)
        digital = None if files is None else files.read(c)
        if digital is None:
            digital = read_rows(array, c * size, (c + 1) * size)
        self._last = (k, c, digital)
        return digital

    def _array(self, k: int) -> tuple[Any, ChunkFiles | None]:
        # Threads that come at once may each open it, and keep the first. A lock would be held for ever after a fork.
        if k not in self._arrays:
            root, kind = open_root(self._url, self._options), self._kinds[k]
            if str(root.attrs.get("id")) != self._id:
                raise OSError("another store has taken its place since these records were opened; open them again")
            array = array_of(root, k, "signal")
            as_told = array.chunks == (kind.chunk, len(kind.leads), kind.n_times) and "://" not in self._url
            files = ChunkFiles(Path(self._url) / str(k) / "signal", array) if as_told else None
            self._arrays.setdefault(k, (array, files))
        return self._arrays[k]


def array_of(root: Any, k: int, name: str) -> Any:
    """Return an array of a kind.

    Raises
    ------
    OSError
        If it is missing or damaged.
    """
    try:
        return root[f"{k}/{name}"]
    except KeyError as error:
        raise FileNotFoundError(f"the array {k}/{name} is missing") from error
    except ValueError as error:
        raise OSError(f"the description of the array {k}/{name} is damaged: {error}") from error


def read_rows(array: Any, start: int, stop: int) -> NDArray[Any]:
    """Return rows of an array.

    Raises
    ------
    OSError
        If a chunk of them cannot be read, or fails its checksum.
    """
    try:
        return np.asarray(array[start:stop])
    # Codecs and places raise what they like.
    except Exception as error:
        raise OSError(f"a chunk of {array.path} cannot be read: {error}") from error


def read_table(root: Any, kinds: list[Kind], label: str) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Read what is known of all records, in the order in which they were packed.

    Parameters
    ----------
    root : zarr group
    kinds : list of Kind
    label : str
        What messages call the store.

    Returns
    -------
    names : ndarray of str (n_records, 2)
        Record and patient.
    table : dict of str to ndarray
        "kind", "row", "length" and "position" (n_records,), and "step" (n_records, most leads).

    Raises
    ------
    OSError
        If a chunk is missing or damaged.
    """
    n_leads = max((len(kind.leads) for kind in kinds), default=0)
    names: list[NDArray[Any]] = [np.empty((0, 2), dtype=object)]
    step: list[NDArray[Any]] = [np.empty((0, n_leads), dtype=np.float32)]
    whole: list[NDArray[Any]] = [np.empty((0, 4), dtype=np.int64)]
    for k, kind in enumerate(kinds):
        n = kind.n_records
        if not n:
            continue
        try:
            read = {name: read_rows(array_of(root, k, name), 0, n) for name in ARRAYS if name != "signal"}
        except OSError as error:
            raise type(error)(f"store {label!r}: {error}") from error
        found = read["name"].astype(object)
        # What zarr fills up with where a chunk is gone.
        for name, gone in (("name", found[:, 0] == ""), ("step", np.isnan(read["step"]).any(axis=1)),
                           ("length", read["length"] == 0), ("position", read["position"] < 0)):
            if len(gone) < n or gone.any():
                row = int(np.argmax(gone)) if gone.any() else len(gone)
                raise FileNotFoundError(f"store {label!r}: the chunk of {k}/{name} with row {row} is missing")
        if read["step"].shape[1] != len(kind.leads):
            raise OSError(f"store {label!r}: its attributes are damaged: {k}/step has not {len(kind.leads)} leads")
        names.append(found)
        step.append(np.pad(read["step"], ((0, 0), (0, n_leads - len(kind.leads)))))
        whole.append(np.stack([np.full(n, k), np.arange(n), read["length"], read["position"]], axis=1).astype(np.int64))
    columns = np.concatenate(whole)
    order = np.argsort(columns[:, 3], kind="stable")
    table = {name: columns[order, i] for i, name in enumerate(("kind", "row", "length", "position"))}
    return np.concatenate(names)[order], table | {"step": np.concatenate(step)[order]}
