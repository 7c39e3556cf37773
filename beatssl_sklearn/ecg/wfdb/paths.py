"""Paths and files of a WFDB record.

Names are checked before any file is touched, and only regular files are opened. Messages name the record and the file,
never the folder: folder names can identify patients.
"""

from __future__ import annotations

import os
import stat
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

SMALL_FILE = 2**26
"""Bytes that may be read without a look at what is stored."""

_LONGEST_NAME = 250
# Compressing file systems store several bytes in one, but not as many.
_BYTES_PER_STORED = 64
_MOST_EXTENTS = 1000
# Do not block if a pipe replaces the file after the check.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def local_path(path: str | os.PathLike[str], parameter: str = "path") -> str:
    """Return a path as text, after checking that it is a plain local path.

    Raises
    ------
    TypeError
        If it is neither str nor path-like (bytes are refused).
    ValueError
        If it is empty, holds a NUL, or looks like the address of a network or of a chained file system.
    """
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(text, str):
        raise TypeError(f"{parameter} must be a str or a path-like object, got {type(path).__name__}: {path!r:.60}")
    if not text.strip():
        raise ValueError(f"{parameter} is empty: expected the path of a local file")
    shown = os.path.basename(text)[:60]
    if "\0" in text:
        raise ValueError(f"{parameter} {shown!r} holds a NUL character")
    # Only Windows separates folders by a backslash. There, two at the start mean a network share.
    if "://" in text or "::" in text or ("\\" in text and (os.sep != "\\" or text.startswith("\\\\"))):
        raise ValueError(f"{parameter} {shown!r} is not a local path: network and chained addresses are not opened")
    return text


def split_record(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Split a record's path into its directory and its name without the extension .hea."""
    text = local_path(path).removesuffix(".hea")
    directory, name = os.path.split(text)
    if name in ("", ".", ".."):
        raise ValueError(f"path must name a record, got {text[-60:]!r}")
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"record {name[:40] + '...'!r}: its name has {len(name)} characters, at most {_LONGEST_NAME}")
    return directory, name


def find_record(
    path: str | os.PathLike[str], confine_to_root: str | os.PathLike[str] | None
) -> tuple[str, str, str | None]:
    """Return the directory and the name of a record, and the root that its files may not leave; see `read_wfdb`."""
    directory, name = split_record(path)
    if confine_to_root is None:
        return directory, name, None
    root = local_path(confine_to_root, "confine_to_root")
    if not is_inside(directory, root):
        refuse(name, "it lies outside confine_to_root")
    return directory, name, root


def is_plain_name(name: str) -> bool:
    """Return whether a name in a header means an ordinary file in the record's directory ("-" is standard input)."""
    return (
        0 < len(name) <= _LONGEST_NAME
        and name not in (".", "..", "-")
        and not any(part in name for part in ("/", "\\", "\0", "::"))
        and not os.path.splitdrive(name)[0]
    )


def own_name(path: str) -> str | None:
    """Return the last part of a path in a header, or None if the path could mean a file outside.

    Publishers leave the folders of their own disk in headers. The file is always looked for in the record's directory.
    """
    parts = [part for part in path.split("/") if part != "."] if "/" in path else [path]
    return parts[-1] if parts and all(map(is_plain_name, parts)) else None


def refuse(record: str, reason: str) -> NoReturn:
    """Raise a ValueError that names the record."""
    raise ValueError(f"record {record!r}: {reason}") from None


def regular_size(directory: str, file: str, record: str, root: str | None = None) -> int:
    """Return the size of a file [bytes]; check that it is a regular file, without opening it.

    Parameters
    ----------
    directory, file : str
        Where the file is, and its name.
    record : str
        Name of the record, for messages.
    root : str or None
        Directory that a symbolic link may not leave. None means the file's directory.

    Raises
    ------
    ValueError
        If it is a device, a pipe or a directory, or a link out of `root`.
    OSError
        If it is missing or cannot be examined.
    """
    path = _joined(directory, file)
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            status = os.stat(path)
            if not is_inside(path, root if root is not None else directory):
                refuse(record, f"file {file!r} is a link out of its directory or folder: to allow it, take a directory "
                       "that holds both as the folder, and choose records by pattern; read_wfdb has confine_to_root")
    except FileNotFoundError:
        hint = _hint(directory, file, record)
        raise FileNotFoundError(f"record {record!r}: there is no file {file!r}{hint}") from None
    except OSError as error:
        raise _unreadable(record, file, error) from None
    if not stat.S_ISREG(status.st_mode):
        refuse(record, f"{file!r} is not a regular file")
    return status.st_size


def _hint(directory: str, file: str, record: str) -> str:
    """Return what to do where one file of a record was named in place of the record, as 5.dat of record 5."""
    stem = os.path.splitext(record)[0]
    asked = file.removeprefix(record)
    if stem == record or asked == file or not os.path.lexists(_joined(directory, stem + asked)):
        return ""
    return f"; {stem + asked!r} is there: name the record without the extension of a file, {stem!r}"


def is_inside(path: str, root: str) -> bool:
    """Return whether a path lies in a directory after all links are resolved."""
    inner, outer = os.path.realpath(path), os.path.realpath(root or os.curdir)
    return os.path.commonpath((inner, outer)) == outer


def read_bytes(directory: str, file: str, record: str, *, at_most: int, root: str | None = None) -> bytes:
    """Read a whole small file; ValueError if it has more than `at_most` bytes."""
    size = regular_size(directory, file, record, root)
    if size > at_most:
        refuse(record, f"file {file!r} has {size} bytes, more than the {at_most} that are read")
    return _read(directory, file, record, 0, size)


def read_array(directory: str, file: str, record: str, offset: int, n_bytes: int) -> NDArray[np.uint8]:
    """Read `n_bytes` of a file as a read-only array; the caller has checked the file and its size."""
    return np.frombuffer(_read(directory, file, record, offset, n_bytes), dtype=np.uint8)


def check_large_file(directory: str, file: str, record: str, size: int) -> None:
    """Refuse a large file that is nearly all hole: it has few bytes on disk and would fill the memory with zeros.

    Raises
    ------
    ValueError
        If the file is refused.
    OSError
        If it cannot be read.
    """
    if not hasattr(os, "SEEK_DATA"):
        return
    stored, end = 0, 0
    try:
        handle = os.open(_joined(directory, file), _FLAGS)
    except OSError as error:
        raise _unreadable(record, file, error) from None
    try:
        for _ in range(_MOST_EXTENTS):
            start = os.lseek(handle, end, os.SEEK_DATA)
            end = os.lseek(handle, start, os.SEEK_HOLE)
            stored += end - start
            if end >= size:
                break
        else:
            stored += size - end
    except OSError:
        # There is no data behind the last hole.
        pass
    finally:
        os.close(handle)
    if size > SMALL_FILE + _BYTES_PER_STORED * stored:
        refuse(record, f"file {file!r} has {size} bytes but only {stored} are stored: the others are a hole")


def _read(directory: str, file: str, record: str, offset: int, n_bytes: int) -> bytes:
    try:
        handle = os.open(_joined(directory, file), _FLAGS)
        try:
            if offset:
                os.lseek(handle, offset, os.SEEK_SET)
            raw = os.read(handle, n_bytes)
            # One read returns at most 2 GiB on Linux.
            while len(raw) < n_bytes and (more := os.read(handle, n_bytes - len(raw))):
                raw += more
        finally:
            os.close(handle)
    except OSError as error:
        raise _unreadable(record, file, error) from None
    if len(raw) < n_bytes:
        refuse(record, f"file {file!r} ended early: {len(raw)} of {n_bytes} bytes")
    return raw


def _joined(directory: str, file: str) -> str:
    # Of a plain name, this is what os.path.join gives, in a fifth of the time.
    return f"{directory}/{file}" if directory else file


def _unreadable(record: str, file: str, error: OSError) -> OSError:
    return type(error)(f"record {record!r}: file {file[:60]!r} cannot be read: {error.strerror}")
