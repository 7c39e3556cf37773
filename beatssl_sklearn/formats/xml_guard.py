"""A look at XML before a library builds a tree of it: no DTD, no entities, no depth, no crowd of elements."""

from __future__ import annotations

import os
from typing import NoReturn
from xml.parsers import expat

from ..ecg.wfdb.paths import read_bytes, refuse
from .contents import Place

LARGEST_XML = 2**28
"""Bytes of an XML file that are read."""

_DEEPEST = 100
_MOST_ELEMENTS = 2**20
_BEGINNING = 2**16


class _Hostile(Exception):
    """Why XML is refused."""


def root_element(head: bytes) -> str | None:
    """Return the name of the first element of XML, without namespace; None for what is no XML.

    Parameters
    ----------
    head : bytes
        Beginning of the file, of some 4,000 bytes or more.

    Returns
    -------
    str or None
    """
    if not head.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0").startswith(b"<"):
        return None
    found: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, _: found.append(name)
    try:
        parser.Parse(head, False)
    except (expat.ExpatError, LookupError, ValueError):
        # What comes behind the first element does not matter here; an unknown encoding leaves none.
        pass
    return found[0].rpartition(":")[2] if found else None


def checked_xml(place: Place) -> bytes:
    """Return an XML file; refuse what is not well-formed, or could fill the memory.

    Parameters
    ----------
    place : Place
        The file.

    Returns
    -------
    raw : bytes
        The whole file.

    Raises
    ------
    ValueError
        If it is too long, is not well-formed, declares a document type or entities, or has too many elements or too
        deep ones.
    OSError
        If it cannot be read.
    """
    folder, file = os.path.split(place.path)
    raw = read_bytes(folder, file, place.name, at_most=LARGEST_XML, root=folder)
    _check(raw, place.name)
    return raw


def _check(raw: bytes, name: str) -> None:
    def no_doctype(*_: object) -> NoReturn:
        raise _Hostile("declares a document type (DTD): such files are not read, since entities can fill the memory "
                       "or fetch other files")

    depth, n_elements = 0, 0

    def start(_: str, attributes: dict[str, str]) -> None:
        nonlocal depth, n_elements
        depth, n_elements = depth + 1, n_elements + 1 + len(attributes)
        if depth > _DEEPEST or n_elements > _MOST_ELEMENTS:
            raise _Hostile(f"has more than {_DEEPEST} levels or {_MOST_ELEMENTS} elements and attributes")

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = no_doctype
    parser.EntityDeclHandler = no_doctype
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        for position in range(0, len(raw), _BEGINNING):
            parser.Parse(raw[position : position + _BEGINNING], False)
        parser.Parse(b"", True)
    except _Hostile as error:
        refuse(name, f"its XML {error}")
    # The encoding may be unknown, or none of expat's.
    except (expat.ExpatError, LookupError, ValueError) as error:
        refuse(name, f"its XML is not well-formed: {error}")
