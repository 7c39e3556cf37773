"""WFDB files: records and annotations.

`paths` checks and reads files, `header` parses headers, `start` their time and date, and `info` what they say of the
patient. `formats` decodes bytes, `samples` reads signal files, `physical` brings their samples to mV, `segments` joins
segments, `selection` chooses signals. `record` reads whole records, `reader` ranges of them, `folder` many of them, by
`record_folder`, which folders of other formats share; `listing` finds them and `fingerprint` tells whether they have
changed. `annotations` reads and writes annotation files, `annotation_codes` has their words, and `rates` the rates that
their positions count at.
"""

from __future__ import annotations

from .annotations import Annotations, read_annotations, write_annotations
from .folder import WFDBFolder
from .record import ECGRecord, read_wfdb

__all__ = ["Annotations", "ECGRecord", "WFDBFolder", "read_annotations", "read_wfdb", "write_annotations"]
