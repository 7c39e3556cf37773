"""One safe file for arrays and their configuration: safetensors with a digest over everything, written atomically.

Nothing in such a file is ever executed. The header holds the configuration as JSON, and a SHA-256 digest of the
configuration and of the name, type, shape and bytes of each array: the format itself does not notice a flipped bit.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from .atomic import write_atomically

MAX_HEADER_BYTES = 16 * 2**20
_CONFIG, _DIGEST = "beatssl_config", "sha256"


def write_tensor_file(path: str | os.PathLike[str], arrays: Mapping[str, NDArray], config: Mapping[str, Any]) -> None:
    """Write arrays and a JSON configuration. The file is complete or absent.

    Parameters
    ----------
    path : str or os.PathLike
        Name of the file.
    arrays : mapping of str to ndarray
        Arrays of any shape, layout in memory and byte order; the file has the little-endian one.
    config : mapping
        What `json.dumps` can write.

    Raises
    ------
    OSError
        If the folder is missing or not writable, or the disk is full. An older file of that name stays.
    TypeError
        If JSON cannot represent `config`, or the format has no such type of array.
    """
    path = Path(path)
    text = json.dumps(config, sort_keys=True)
    stored = {name: _as_stored(array) for name, array in arrays.items()}
    metadata = {_CONFIG: text, _DIGEST: _digest(text, stored)}
    try:
        content = safetensors.numpy.save(stored, metadata)
    except safetensors.SafetensorError as error:
        raise TypeError(f"arrays cannot be written: {error!s:.300}") from error
    write_atomically(path, content)


def read_tensor_file(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray], dict[str, Any]]:
    """Read what `write_tensor_file` wrote.

    Parameters
    ----------
    path : str or os.PathLike
        Name of the file.

    Returns
    -------
    arrays : dict of str to ndarray
        In the order of their names.
    config : dict
        The configuration.

    Raises
    ------
    OSError
        If the file is missing or is not a regular file.
    ValueError
        If another program wrote the file, it is cut short, or any bit of it has changed.
    """
    path = Path(path)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(f"{path.name} is not a regular file")
    # One read, so that the digest covers what is used. `safetensors.safe_open` maps the file into memory instead: if
    # somebody cuts the file short meanwhile, a bus error ends the process. It also takes headers of 100 MB.
    content = path.read_bytes()
    metadata = _metadata(content, path.name)
    try:
        arrays = safetensors.numpy.load(content)
        config = json.loads(metadata[_CONFIG])
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is damaged or not a beatssl_sklearn file: {error}") from error
    try:
        intact = _digest(metadata[_CONFIG], arrays) == metadata.get(_DIGEST)
    except UnicodeEncodeError:
        # Half a character, which no text of this package holds.
        intact = False
    if not intact:
        raise ValueError(f"{path.name} is damaged: its content does not match its SHA-256 digest")
    return dict(sorted(arrays.items())), config


def _metadata(content: bytes, name: str) -> dict[str, str]:
    """Return the texts in the header; `safetensors` reads them from files only, not from bytes."""
    refusal = f"{name} is not a beatssl_sklearn file, or is cut short"
    if len(content) < 8:
        raise ValueError(refusal)
    # The format starts with the length of its header, unsigned in 8 bytes.
    n_header = int.from_bytes(content[:8], "little")
    if n_header > min(len(content) - 8, MAX_HEADER_BYTES):
        raise ValueError(refusal)
    try:
        metadata = json.loads(content[8 : 8 + n_header].decode("utf-8"))["__metadata__"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(refusal) from error
    if not isinstance(metadata, dict):
        raise ValueError(refusal)
    return metadata


def _as_stored(array: NDArray) -> NDArray:
    """Return an array as the file holds it, so that the digest is of what will be read."""
    array = np.asarray(array)
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)


def _digest(config: str, arrays: Mapping[str, NDArray]) -> str:
    """Return the SHA-256 digest of a configuration and arrays, as hexadecimal digits."""
    digest = hashlib.sha256(config.encode("utf-8"))
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
