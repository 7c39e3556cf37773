"""Philips Sierra: XML of PageWriter electrocardiographs and TraceMaster archives."""

from __future__ import annotations

import base64
import binascii
import xml.etree.ElementTree as ElementTree

import numpy as np

from .._optional import import_optional
from ..ecg.wfdb.paths import refuse
from .contents import Contents, Options, Place
from .kit import contents_of, parsed
from .xml_guard import checked_xml

# Codes of the compression, and the length of the dictionary that they grow.
_CODE_BITS, _FIRST_FREE, _LAST_CODE = 10, 256, 1022
_CHUNK_HEADER = 8
_NO = ("false", "no", "f", "0")
# Half an hour at 1,000 Hz, and twelve leads of it: a resting ECG has some ten seconds.
_LARGEST_CHUNK, _LARGEST_WHOLE = 2**22, 2**25


def read_sierra(place: Place, options: Options) -> Contents:
    """Read a Philips Sierra XML file: the rhythm, compressed or not."""
    raw = checked_xml(place)
    _refuse_expansion(raw, place)
    parser = import_optional("ecgdatakit.parsing.parsers.sierra_xml", "reading Philips Sierra files", "formats")
    record, notes = parsed(parser.SierraXMLParser(), place)
    return contents_of(record, notes)


def _refuse_expansion(raw: bytes, place: Place) -> None:
    """Refuse compressed waveforms that would grow beyond any ECG: ten bits can stand for 700 bytes."""
    try:
        root = ElementTree.fromstring(raw)
        texts = ["".join(one.itertext()) for one in root.iter() if _is_compressed(one)]
        chunks = [base64.b64decode("".join(text.split()), validate=True) for text in texts]
    except (ElementTree.ParseError, binascii.Error, ValueError):
        # Plain numbers, or damage that the library tells of.
        return
    total = 0
    for data in chunks:
        position = 0
        while position + _CHUNK_HEADER < len(data):
            size = int.from_bytes(data[position : position + 4], "little")
            body = data[position + _CHUNK_HEADER : position + _CHUNK_HEADER + size]
            length = _expanded(body)
            total += length
            if length > _LARGEST_CHUNK or total > _LARGEST_WHOLE:
                refuse(place.name, "its compressed waveforms would grow to more samples than any resting ECG has")
            position += _CHUNK_HEADER + size


def _is_compressed(element: ElementTree.Element) -> bool:
    if element.tag.rpartition("}")[2] != "parsedwaveforms":
        return False
    method = element.get("compression") or element.get("compressmethod") or ""
    return method.strip().upper() == "XLI" and element.get("compressflag", "True").strip().lower() not in _NO


def _expanded(data: bytes) -> int:
    """Return how many bytes LZW codes stand for, without making them; it stops at the limit."""
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
    codes = bits[: len(bits) // _CODE_BITS * _CODE_BITS].reshape(-1, _CODE_BITS) @ (1 << np.arange(9, -1, -1))
    lengths = dict.fromkeys(range(_FIRST_FREE), 1)
    total, previous, free = 0, 0, _FIRST_FREE
    for code in codes.tolist():
        length = lengths.get(code, previous + 1)
        lengths[code] = length
        if previous and free <= _LAST_CODE:
            lengths[free] = previous + 1
            free += 1
        total, previous = total + length, length
        if code > _LAST_CODE or total > _LARGEST_CHUNK:
            break
    return total
