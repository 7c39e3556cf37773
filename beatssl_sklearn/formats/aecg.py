"""HL7 annotated ECG: XML of trials and registries."""

from __future__ import annotations

from .._optional import import_optional
from .contents import Contents, Options, Place
from .kit import contents_of, parsed
from .xml_guard import checked_xml


def read_aecg(place: Place, options: Options) -> Contents:
    """Read an HL7 aECG file: the first rhythm series.

    The library rounds the rate to whole Hz; the increment that it keeps gives the rate itself.
    """
    checked_xml(place)
    parser = import_optional("ecgdatakit.parsing.parsers.hl7_aecg", "reading HL7 aECG files", "formats")
    record, notes = parsed(parser.HL7aECGParser(), place)
    rate = record.raw_metadata["rhythm_time"]["sampling_rate_exact"]
    # The rounding is not ours.
    return contents_of(record, [note for note in notes if "is not an integer" not in note], rate)
