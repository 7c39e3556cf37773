"""Where results go: never over what a command reads, and to places that can be written to."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..files.places import check_writable

# Files in a folder of records that are results of an earlier run, and can be replaced.
_RESULTS = (".csv", ".parquet", ".npz", ".bssl", ".joblib", ".json", ".png", ".svg", ".pdf")
# Options that name files to read.
_READ = ("model", "start", "groups", "reports", "times")


def check_outputs(outputs: Iterable[Path], arguments: argparse.Namespace, option: str = "--out") -> None:
    """Refuse outputs that are something to read, by whatever link.

    Parameters
    ----------
    outputs : iterable of Path
        Files that the command will write.
    arguments : argparse.Namespace
        Of the command: its options that name files, and its folder of records.
    option : str, default="--out"
        What the outputs come from.

    Raises
    ------
    ValueError
        If one is an input; the message names both.
    """
    read = {_identity(path): path for path in _inputs(arguments)}
    for path in outputs:
        key = _identity(path)
        if key in read:
            raise ValueError(f"{option} {path}: this is {read[key]}, which is read; choose another name")
        folder = getattr(arguments, "folder", None)
        if folder is not None and os.path.exists(path):
            _refuse_record(path, Path(folder), option)


def check_file(path: Path, option: str = "--out") -> None:
    """Refuse a file that cannot be written, before the work whose result it will hold.

    Raises
    ------
    OSError
        Naming the option, the path and the reason.
    """
    try:
        check_writable(path)
    except OSError as error:
        raise unwritable(path, error, option) from error


def check_folder(path: Path, option: str) -> None:
    """Refuse a folder that is none, or that cannot be made or written to; it is not made yet.

    Raises
    ------
    OSError
        Naming the option, the path and the reason.
    """
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{option} {path}: {there} is a file; a folder is needed")
    try:
        check_writable(there / "file")
    except OSError as error:
        raise unwritable(path, error, option) from error


def unwritable(path: Path, error: OSError, option: str = "--out") -> OSError:
    """Return the error for a place that cannot be written to."""
    return type(error)(f"{option} {path}: cannot be written: {error.strerror or error}")


def _inputs(arguments: argparse.Namespace) -> Iterator[Path]:
    """Yield the files that options name; a text that names no file is something else."""
    texts = [getattr(arguments, name, None) for name in _READ]
    texts += getattr(arguments, "imports", [])
    for option in ("set", "encoder_set"):
        texts += [value for _, value in getattr(arguments, option, ()) if isinstance(value, str)]
    for text in texts:
        if text and os.path.isfile(text):
            yield Path(text)


def _identity(path: Path) -> tuple[int, int] | str:
    """Return what two names of one file share."""
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def _refuse_record(path: Path, folder: Path, option: str) -> None:
    """Refuse a file that is in the folder of records under any name, unless it is a result."""
    status = os.stat(path)
    for found in _files(folder, status.st_ino):
        if not os.path.samestat(os.stat(found), status):
            continue
        if found.suffix.lower() in _RESULTS and not _is_signal_file(found):
            continue
        raise ValueError(f"{option} {path}: this is {found}, a file of the records; choose another name")


def _files(folder: Path, inode: int) -> Iterator[Path]:
    """Yield the files below a folder that have an inode of this number, or are links."""
    for directory, _, _ in os.walk(folder):
        with os.scandir(directory) as entries:
            for entry in entries:
                if (entry.inode() == inode or entry.is_symlink()) and entry.is_file():
                    yield Path(entry.path)


def _is_signal_file(path: Path) -> bool:
    """Whether a header beside the file names it."""
    name = os.fsencode(path.name)
    for header in path.parent.glob("*.hea"):
        words = (line.split() for line in header.read_bytes().splitlines())
        if any(line[0].rpartition(b"/")[2] == name for line in words if line):
            return True
    return False
