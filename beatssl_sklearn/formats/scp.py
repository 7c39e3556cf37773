"""SCP-ECG: the standard of electrocardiographs (EN 1064, ISO 11073-91064)."""

from __future__ import annotations

import struct

from .._optional import import_optional
from ..ecg.wfdb.paths import refuse
from .contents import Contents, Options, Place
from .kit import contents_of, parsed

_SECTION_HEADER = 16
_LEAD_DEFINITION = 3
# A Huffman code of a sample has one bit at least.
_SAMPLES_PER_BYTE = 8


def read_scp(place: Place, options: Options) -> Contents:
    """Read an SCP-ECG file: the rhythm."""
    _refuse_promises(place)
    parser = import_optional("ecgdatakit.parsing.parsers.scp_ecg", "reading SCP-ECG files", "formats")
    record, notes = parsed(parser.SCPECGParser(), place)
    return contents_of(record, notes, _exact_rate(record.raw_metadata.get("rhythm_sample_interval_us", 0)))


def _exact_rate(interval: int) -> float | None:
    """Return the rate [Hz] of an interval in whole microseconds: a whole number if it may be one."""
    if interval <= 0:
        return None
    whole = round(1e6 / interval)
    return float(whole) if whole and round(1e6 / whole) == interval else 1e6 / interval


def _refuse_promises(place: Place) -> None:
    """Refuse lead definitions with more samples than the bits of the file, before memory is taken for them."""
    with open(place.path, "rb") as file:
        raw = file.read(2**16)
    try:
        (length,) = struct.unpack_from("<I", raw, 10)
        for at in range(6 + _SECTION_HEADER, min(6 + length, len(raw)) - 9, 10):
            section, size, index = struct.unpack_from("<HII", raw, at)
            if section == _LEAD_DEFINITION and size:
                _check_leads(place, index - 1 + _SECTION_HEADER)
    except struct.error:
        refuse(place.name, "it is cut off: its list of sections or of leads is incomplete")


def _check_leads(place: Place, offset: int) -> None:
    with open(place.path, "rb") as file:
        file.seek(max(0, offset))
        raw = file.read(2 + 255 * 9)
    for lead in range(raw[0] if raw else 0):
        first, last = struct.unpack_from("<II", raw, 2 + 9 * lead)
        if last - first >= _SAMPLES_PER_BYTE * place.size:
            refuse(place.name, f"lead {lead + 1} promises {last - first + 1} samples, the file has {place.size} bytes")
