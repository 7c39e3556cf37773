"""The state of the files of records: a digest that changes when a file does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

from .header import LARGEST_HEADER
from .paths import own_name

# Segments of segments are refused when a record is read.
_DEEPEST = 2


def fingerprint(root: str, names: Iterable[str]) -> str:
    """Return a digest of the headers, and of size and time of change of the signal files, of some records.

    Parameters
    ----------
    root : str
        Folder of the records.
    names : iterable of str
        Records, as paths relative to `root` without extension.

    Returns
    -------
    digest : str
        64 hexadecimal digits. A file that is missing or cannot be read counts as such: nothing is raised.

    Notes
    -----
    No signal is read. Headers are read and not parsed. For files that follow a header, such as annotations, nothing is
    looked at.
    """
    digest = hashlib.sha256()
    seen: dict[str, bytes] = {}
    for name in names:
        directory, _, record = name.rpartition("/")
        folder = os.path.join(root, directory) if directory else root
        digest.update(os.fsencode(f"{name}\0"))
        digest.update(_state_of(folder, record, seen, _DEEPEST))
    return digest.hexdigest()


def _state_of(folder: str, record: str, seen: dict[str, bytes], depth: int) -> bytes:
    """Return the state of a record: its header, then its signal files or its segments."""
    path = os.path.join(folder, f"{record}.hea")
    if path in seen:
        return seen[path]
    try:
        with open(path, "rb") as stream:
            header = stream.read(LARGEST_HEADER)
    except OSError as error:
        return str(error.errno).encode()
    lines = [line.split(None, 1)[0] for line in header.splitlines() if line.strip() and line.lstrip()[:1] != b"#"]
    parts = [header]
    for word in dict.fromkeys(lines[1:]):
        name = own_name(os.fsdecode(word))
        if name is None:
            continue
        # Segments have no extension of their own. A first line without a slash means signals.
        if b"/" in lines[0] and depth > 1:
            parts.append(_state_of(folder, name.removesuffix(".hea"), seen, depth - 1))
        parts.append(_state_of_file(os.path.join(folder, name)))
    state = hashlib.sha256(b"\0".join(parts)).digest()
    seen[path] = state
    return state


def _state_of_file(path: str) -> bytes:
    try:
        status = os.stat(path)
    except OSError as error:
        return str(error.errno).encode()
    return f"{status.st_size} {status.st_mtime_ns}".encode()
