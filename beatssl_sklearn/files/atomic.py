"""Files that are complete or absent."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, flush it to the disk, then rename it.

    The file gets the permissions that the user's umask leaves to a new file. An older file of the same name stays
    until the new one is complete.

    Parameters
    ----------
    path : Path
        Name of the file.
    content : bytes
        Content of the file.

    Raises
    ------
    OSError
        If the folder is missing or not writable, or the disk is full. Nothing new is left in the folder.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    # "x" refuses a name that exists, a link included. The kernel applies the umask, so nobody has to read it:
    # reading it means setting it, for all threads.
    stream = open(temporary, "xb")
    try:
        with stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
