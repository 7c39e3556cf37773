"""WFDB files: records and annotations.

`paths` checks and reads files, `header` parses headers, `formats` decodes bytes, `samples` reads signals in mV,
`segments` joins segments. `record` reads whole records, `reader` ranges of them, `folder` many of them. `annotations`
reads and writes annotation files.
"""

from __future__ import annotations

from .annotations import Annotations, read_annotations, write_annotations
from .folder import WFDBFolder
from .record import ECGRecord, read_wfdb

__all__ = ["Annotations", "ECGRecord", "WFDBFolder", "read_annotations", "read_wfdb", "write_annotations"]
