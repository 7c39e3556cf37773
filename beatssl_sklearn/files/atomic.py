"""Files that are complete or absent."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, flush it to the disk, then rename it.

    A new file gets the permissions that the user's umask leaves; a file that replaces an older one keeps those of the
    older one. The older file stays until the new one is complete.

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
    # A name of its own length: the file's own may be as long as the file system allows.
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    # "x" refuses a name that exists, a link included. The kernel applies the umask, so nobody has to read it:
    # reading it means setting it, for all threads.
    stream = open(temporary, "xb")
    try:
        with stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        _keep_permissions(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _keep_permissions(older: Path, newer: Path) -> None:
    try:
        mode = os.lstat(older).st_mode
    except FileNotFoundError:
        return
    # A link is replaced, and its permissions say nothing.
    if stat.S_ISREG(mode):
        os.chmod(newer, stat.S_IMODE(mode))


def _flush_folder(folder: Path) -> None:
    """Bring the new name to the disk, too, where the system lets a folder be flushed."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        # Some network file systems cannot; the file itself is complete.
        pass
    finally:
        os.close(handle)
