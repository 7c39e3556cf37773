"""WFDB records and annotations: the names that users need, in one place.

Work is divided by what it touches: `paths`, `header` text, `formats` and `samples`, `record` whole records,
`reader` parts of them, `folder` collections of them, `annotations` annotation files.
"""

from __future__ import annotations

from .annotations import Annotations, read_annotations, write_annotations
from .folder import WFDBFolder
from .record import ECGRecord, read_wfdb

__all__ = ["Annotations", "ECGRecord", "WFDBFolder", "read_annotations", "read_wfdb", "write_annotations"]
