"""ISHNE: the exchange format of Holter recorders."""

from __future__ import annotations

from .._optional import import_optional
from .contents import Contents, Options, Place
from .kit import contents_of, parsed

# The standard's mark of a lead that has come off.
_LEAD_OFF = -32768


def read_ishne(place: Place, options: Options) -> Contents:
    """Read an ISHNE Holter file; samples of a lead that has come off are missing."""
    parser = import_optional("ecgdatakit.parsing.parsers.ishne_holter", "reading ISHNE files", "formats")
    record, notes = parsed(parser.ISHNEHolterParser(), place)
    return contents_of(record, notes, missing=_LEAD_OFF)
