"""Which records a folder holds: its RECORDS files, or its headers."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from .paths import is_inside, is_plain_name, read_bytes

_LARGEST_LIST = 2**26
_MOST_NAMES = 2**22
_LONGEST_PATH = 1024
_DEEPEST = 64


class Listing(NamedTuple):
    """What was found below a folder.

    Attributes
    ----------
    names : list of str
        Records, as paths relative to the folder, without extension. Names from a RECORDS file stay in its order; others
        are in natural order ("2" before "10").
    unreadable : list of str
        Relative paths of the subfolders that cannot be searched, each with the reason.
    links : list of str
        Relative paths of links to folders outside: they are not followed.
    """

    names: list[str]
    unreadable: list[str]
    links: list[str]


def list_records(root: str, label: str) -> Listing:
    """Return the records below a folder, and what could not be searched for them.

    A folder with a file RECORDS holds the records that this file names; a name that ends in a slash means the records
    of a subfolder. A folder without such a file holds all its headers, and the records of its subfolders.

    Parameters
    ----------
    root : str
        The folder.
    label : str
        What messages call it.

    Raises
    ------
    ValueError
        If a name leaves the folder, if a RECORDS file is too long or leads back to its own folder, or if subfolders are
        nested too deeply.
    OSError
        If the folder itself cannot be searched, or a RECORDS file cannot be read.
    """
    found = Listing([], [], [])
    found.names.extend(_records_of(root, "", label, found, ()))
    return found


def _records_of(root: str, inner: str, label: str, found: Listing, above: tuple[str, ...]) -> list[str]:
    """Return the records of the folder `inner` ("" or a path with a slash at its end)."""
    folder = os.path.join(root, inner)
    if inner.count("/") > _DEEPEST:
        raise ValueError(f"folder {label!r}: its subfolders are nested more than {_DEEPEST} times")
    try:
        raw = read_bytes(folder, "RECORDS", label, at_most=_LARGEST_LIST, root=root)
    except FileNotFoundError:
        return _headers_of(root, inner, label, found, above)
    except PermissionError as error:
        if not inner:
            raise
        found.unreadable.append(f"{inner} ({error})")
        return []
    if raw.count(b"\n") > _MOST_NAMES:
        raise ValueError(f"folder {label!r}: file {inner + 'RECORDS'!r:.100} has more than {_MOST_NAMES} lines")
    # A link may lead back to a folder above.
    place = os.path.realpath(folder)
    if place in above:
        raise ValueError(f"folder {label!r}: file {inner + 'RECORDS'!r:.100} leads back to its own folder")
    names: list[str] = []
    for line in raw.decode("utf-8-sig", "surrogateescape").split("\n"):
        name = line.strip().replace("/./", "/").removeprefix("./")
        if not line.strip() or name.startswith("#"):
            continue
        if not name:
            raise ValueError(f"folder {label!r}: file {inner + 'RECORDS'!r:.100} leads back to its own folder")
        if name.endswith("/"):
            # Check the folder before it is searched.
            check_names(root, (inner + name + "x",), label)
            names += _records_of(root, inner + name, label, found, (*above, place))
        else:
            names.append(inner + name.removesuffix(".hea"))
    return names


def _headers_of(root: str, inner: str, label: str, found: Listing, above: tuple[str, ...]) -> list[str]:
    """Return the headers of a folder and the records of its subfolders; hidden folders are skipped."""
    here: list[str] = []
    try:
        with os.scandir(os.path.join(root, inner)) as entries:
            for entry in entries:
                name = entry.name
                if entry.is_dir(follow_symlinks=False):
                    if not name.startswith("."):
                        here.append(f"{inner}{name}/")
                elif name.endswith(".hea") and len(name) > 4:
                    here.append(inner + name[:-4])
                elif entry.is_symlink() and entry.is_dir() and not is_inside(entry.path, root):
                    found.links.append(inner + name)
    except OSError as error:
        if not inner:
            raise type(error)(f"folder {label!r} cannot be searched: {error.strerror}") from None
        found.unreadable.append(f"{inner} ({error.strerror})")
        return []
    names: list[str] = []
    for name in sorted(here, key=natural_order):
        names += _records_of(root, name, label, found, above) if name.endswith("/") else [name]
    return names


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Return a sorting key that reads digits as numbers."""
    parts = re.split(r"(\d{1,18})", name)
    return [(0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts)]


def check_names(root: str, names: Sequence[str], label: str) -> None:
    """Raise an error for names that leave the folder, by their text or through a link to a directory."""
    checked: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"names must hold str, got {type(name).__name__}")
        if len(name) > _LONGEST_PATH:
            raise ValueError(f"folder {label!r}: record name {name[:40]!r}... has {len(name)} characters, at most "
                             f"{_LONGEST_PATH}")
        if not all(is_plain_name(part) for part in name.split("/")) or "://" in name:
            raise ValueError(f"folder {label!r}: record name {os.path.basename(name)[:40]!r} leaves the folder")
        directory = name.rpartition("/")[0]
        if directory and directory not in checked:
            checked.add(directory)
            if not is_inside(os.path.join(root, directory), root):
                raise ValueError(f"folder {label!r}: a link leads record {os.path.basename(name)[:40]!r} outside")
