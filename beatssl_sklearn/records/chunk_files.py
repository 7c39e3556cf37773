"""Chunks of signals in local folders, decoded where they are asked for.

zarr hands every chunk to an event loop and to threads, and copies it twice: of a chunk of 2 MB that is two thirds of
the time. Here its codecs are called one after the other. Other places, and all chunks that are not as expected, are
left to zarr, which says what is wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional

# What a `StoreWriter` of this version writes.
_PLAIN, _BLOSC = ["bytes", "crc32c"], ["bytes", "blosc", "crc32c"]


class ChunkFiles:
    """Files of the chunks of a signal array in a local folder.

    Parameters
    ----------
    folder : Path
        The array's folder.
    array : zarr array (n_records, n_leads, n_times)
        Its description.
    """

    def __init__(self, folder: Path, array: Any) -> None:
        self._folder, self._shape = folder / "c", array.chunks
        described = array.metadata.to_dict()
        names = [codec["name"] for codec in described["codecs"]]
        # What undoes the codecs, last first; empty if they are not known, or numcodecs cannot.
        self._decoders: list[Any] = []
        checksum = getattr(import_optional("numcodecs.checksum32", "ZarrRecords", "zarr"), "CRC32C", None)
        little = described["codecs"][0].get("configuration", {}).get("endian") == "little"
        if checksum and little and array.dtype == np.int16 and names in (_PLAIN, _BLOSC):
            blosc = import_optional("numcodecs", "ZarrRecords", "zarr").Blosc
            self._decoders = [checksum(location="end"), *([blosc()] if names == _BLOSC else [])]

    def read(self, c: int) -> NDArray[np.int16] | None:
        """Return chunk `c`, (n_records, n_leads, n_times); None if it is not there, or not as expected."""
        if not self._decoders:
            return None
        try:
            # A chunk that holds missing samples alone has no file.
            content: Any = (self._folder / str(c) / "0" / "0").read_bytes()
            for decoder in self._decoders:
                content = decoder.decode(content)
            return np.frombuffer(content, dtype="<i2").reshape(self._shape)
        except (OSError, RuntimeError, ValueError):
            return None
