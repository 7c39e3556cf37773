"""How records lie in a zarr store, and what is refused.

A store is a zarr group (format 3) whose attributes say ``"format": "beatssl-records"``, the version, whether it is
complete, and its kinds. Records of one rate and lead set, and of about one length, are a kind; it is a group "0", "1",
... of arrays along the records:

- `signal` (n, n_leads, n_times), int16: -32768 is a missing sample, and fills up a record that is shorter;
- `step` (n, n_leads), float32 [mV];
- `length` (n,), int32: samples of each record;
- `position` (n,), int64: where the record stood in what was packed;
- `name` (n, 2), text: the record and the patient, who is "" if unknown.

Every chunk ends with its CRC-32C. The attributes count the records that are complete; rows beyond are rests of a run
that was stopped, and the next run writes over them.
"""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from .._optional import import_optional

FORMAT, VERSION = "beatssl-records", 1
# Rows of a chunk of the arrays beside the signals.
N_TABLE_ROWS = 16_384
ARRAYS = ("signal", "step", "length", "position", "name")


class Kind(NamedTuple):
    """Records of one rate and lead set, and of about one length.

    Attributes
    ----------
    fs : float
        Sampling rate [Hz].
    leads : tuple of str
        Names of the leads.
    n_times : int
        Samples of the longest of these records.
    chunk : int
        Records of a chunk.
    n_records : int
        Records that are complete.
    """

    fs: float
    leads: tuple[str, ...]
    n_times: int
    chunk: int
    n_records: int


def check_chunk(chunk: int | None) -> int | None:
    """Return how many records a chunk has, as an int.

    Raises
    ------
    TypeError, ValueError
        If it is no such number.
    """
    if chunk is None:
        return None
    if isinstance(chunk, (bool, np.bool_)) or not isinstance(chunk, Integral):
        raise TypeError(f"chunk must be an integer or None, got {chunk!r:.60}")
    if chunk < 1:
        raise ValueError(f"chunk must be positive or None, got {chunk!r}")
    return int(chunk)


def import_zarr() -> Any:
    """Import zarr."""
    return import_optional("zarr", "ZarrRecords", "zarr")


def label_of(url: str) -> str:
    """Return the store's own name: messages never show the path above it."""
    return url.rstrip("/\\").replace("\\", "/").rpartition("/")[2] or url


def as_url(store: str | os.PathLike[str]) -> str:
    """Return a path or URL as text; paths are absolute, so that they mean the same after a change of folder.

    Raises
    ------
    TypeError
        If it is neither.
    """
    url = os.fspath(store) if isinstance(store, os.PathLike) else store
    if not isinstance(url, str):
        raise TypeError(f"store must be a path or a URL, got {type(url).__name__}: {url!r:.60}")
    if not url:
        raise ValueError("store is an empty path; give a path or a URL")
    return url if "://" in url else os.path.abspath(url)


def zarr_store(url: str, options: dict[str, Any], read_only: bool) -> Any:
    """Return the zarr store at a path or URL; other places than local paths are those of fsspec."""
    import_zarr()
    if "://" not in url:
        return import_optional("zarr.storage", "ZarrRecords", "zarr").LocalStore(url, read_only=read_only)
    import_optional("fsspec", f"the store {url.partition('://')[0]}://", "zarr")
    storage = import_optional("zarr.storage", "ZarrRecords", "zarr")
    return storage.FsspecStore.from_url(url, storage_options=options or None, read_only=read_only)


def open_root(url: str, options: dict[str, Any], read_only: bool = True) -> Any:
    """Open the group of a store of this format.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is another program's, or of another version.
    """
    zarr, label = import_zarr(), label_of(url)
    store = zarr_store(url, options, read_only)
    try:
        root = zarr.open_group(store, mode="r" if read_only else "r+", zarr_format=3)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"store {label!r}: there is no zarr group (format 3) at this place") from error
    except zarr.errors.ContainsArrayError as error:
        raise ValueError(f"store {label!r} is a zarr array, not records of `beatssl pack`") from error
    except OSError as error:
        raise OSError(f"store {label!r} cannot be opened: {error}") from error
    except ValueError as error:
        raise ValueError(
            f"store {label!r}: its zarr.json is damaged: {error}; pack the records again, at another place"
        ) from error
    found = root.attrs.asdict()
    if found.get("format") != FORMAT:
        raise ValueError(
            f"store {label!r} is another program's: its attributes lack \"format\": {FORMAT!r}; read its arrays with "
            f"zarr, and pass them to `pack_records`"
        )
    if found.get("version") != VERSION:
        raise ValueError(
            f"store {label!r} has version {found.get('version')!r:.20} of the format, and this version of "
            f"beatssl_sklearn reads version {VERSION}: pack the records again, or install the other version"
        )
    return root


def kinds_of(root: Any, label: str) -> list[Kind]:
    """Return the kinds that the attributes of a store tell.

    Raises
    ------
    ValueError
        If the attributes are no such description.
    """
    try:
        kinds = [
            Kind(float(k["fs"]), tuple(map(str, k["leads"])), int(k["n_times"]), int(k["chunk"]), int(k["n_records"]))
            for k in root.attrs["kinds"]
        ]
        for kind in kinds:
            if not (0 < kind.fs < np.inf and kind.leads and min(kind.n_times, kind.chunk) > 0 <= kind.n_records):
                raise ValueError(f"{kind}")
        return kinds
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"store {label!r}: its attributes are damaged: {error!r:.200}; pack it again") from error
