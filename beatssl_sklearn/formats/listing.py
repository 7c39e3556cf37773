"""Which files of a folder are ECG records, by their names."""

from __future__ import annotations

import os
from typing import NamedTuple

from ..ecg.wfdb.listing import Listing, list_records, natural_order
from ..ecg.wfdb.paths import is_inside
from .table import FORMATS

_DEEPEST = 64
_STATING = frozenset(extension for one in FORMATS if one.states_all for extension in one.extensions)
_SILENT = frozenset(extension for one in FORMATS if not one.states_all for extension in one.extensions)
# The index of a DICOM medium is no record.
_NO_RECORDS = ("DICOMDIR",)
_DICOM_MARK = (128, b"DICM")


class _Found(NamedTuple):
    """Names of files below a folder, and what could not be searched.

    Attributes
    ----------
    stating : list of str
        Files of formats that say what they are, as paths relative to the folder.
    silent : list of str
        Arrays and tables, which may be ECGs.
    unreadable : list of str
        Subfolders that cannot be searched, each with the reason.
    """

    stating: list[str]
    silent: list[str]
    unreadable: list[str]


def list_ecgs(root: str, label: str) -> Listing:
    """Return the records below a folder: those of WFDB, then files of formats that say what they are, or else arrays.

    Parameters
    ----------
    root : str
        The folder.
    label : str
        What messages call it.

    Returns
    -------
    Listing

    Raises
    ------
    ValueError
        If subfolders are nested too deeply, or a RECORDS file is wrong.
    OSError
        If the folder itself cannot be searched.
    """
    headers = list_records(root, label)
    found = _Found([], [], [])
    # A record of WFDB has files of its own, and other formats may hold a copy of it.
    _search(root, "", label, found, frozenset(headers.names))
    names = headers.names + sorted(found.stating, key=natural_order) or sorted(found.silent, key=natural_order)
    known = {text.rpartition(" (")[0] for text in headers.unreadable}
    unreadable = [text for text in found.unreadable if text.rpartition(" (")[0] not in known]
    return Listing(names, headers.unreadable + unreadable, headers.links)


def _search(root: str, inner: str, label: str, found: _Found, taken: frozenset[str]) -> None:
    if inner.count("/") > _DEEPEST:
        raise ValueError(f"folder {label!r}: its subfolders are nested more than {_DEEPEST} times")
    below: list[str] = []
    try:
        with os.scandir(os.path.join(root, inner)) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below.append(f"{inner}{name}/")
                elif inner + os.path.splitext(name)[0] not in taken and entry.is_file():
                    _sort_in(entry.path, inner + name, root, found)
    except OSError as error:
        if not inner:
            raise type(error)(f"folder {label!r} cannot be searched: {error.strerror}") from None
        found.unreadable.append(f"{inner} ({error.strerror})")
        return
    for folder in below:
        _search(root, folder, label, found, taken)


def _sort_in(path: str, name: str, root: str, found: _Found) -> None:
    extension = os.path.splitext(name)[1].lower()
    if extension in _STATING or (not extension and _is_dicom(path, root)):
        found.stating.append(name)
    elif extension in _SILENT:
        found.silent.append(name)


def _is_dicom(path: str, root: str) -> bool:
    """Return whether a file without extension is DICOM, as archives write them."""
    if os.path.basename(path) in _NO_RECORDS or not is_inside(path, root):
        return False
    offset, mark = _DICOM_MARK
    try:
        with open(path, "rb") as stream:
            stream.seek(offset)
            return stream.read(len(mark)) == mark
    except OSError:
        # It may be a file of anybody's.
        return False
