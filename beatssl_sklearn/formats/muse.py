"""GE MUSE: XML that the archive exports."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from .._optional import import_optional
from .contents import Contents, Options, Place
from .kit import contents_of, parsed
from .xml_guard import checked_xml


def read_muse(place: Place, options: Options) -> Contents:
    """Read a GE MUSE XML file: the rhythm waveform."""
    raw = checked_xml(place)
    parser = import_optional("ecgdatakit.parsing.parsers.ge_muse_xml", "reading GE MUSE files", "formats")
    record, notes = parsed(parser.GEMuseXMLParser(), place)
    return contents_of(record, notes, _exact_rate(raw))


def _exact_rate(raw: bytes) -> float | None:
    """Return the rate of the rhythm [Hz], which the library rounds to a whole number; None leaves it to the library."""
    try:
        root = ElementTree.fromstring(raw)
        for waveform in root.iter("Waveform"):
            if (waveform.findtext("WaveformType") or "rhythm").strip().lower() == "rhythm":
                exponent = float(waveform.findtext("SampleExponent") or 0)
                return float(waveform.findtext("SampleBase") or "") * 10.0**exponent
    except (ValueError, OverflowError, ElementTree.ParseError):
        # The library takes decimal commas, and encodings that a header does not declare.
        return None
    return None
