"""Whether a file can be written, to be asked before the work whose result it will hold."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path


def check_replaceable(path: Path) -> None:
    """Refuse a name that no new file can take.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    OSError
        If it is a folder, below a file, too long, or another user's file in a folder of all. Whether its folder
        exists is not looked at.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    folder, user = os.stat(path.parent), os.geteuid() if hasattr(os, "geteuid") else 0
    if folder.st_mode & stat.S_ISVTX and user not in (0, status.st_uid, folder.st_uid):
        raise PermissionError(errno.EPERM, "the file of this name belongs to another user")


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written: as `check_replaceable`, and by writing another file beside it.

    Parameters
    ----------
    path : Path
        The file. Neither it nor its folder is changed.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    check_replaceable(path)
    probe = path.with_name(f".{secrets.token_hex(8)}.tmp")
    open(probe, "xb").close()
    probe.unlink()
