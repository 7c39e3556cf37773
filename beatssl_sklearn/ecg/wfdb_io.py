"""WFDB records and annotations: the names that users need, in one place.

Work is divided by what it touches: `wfdb_files` paths, `wfdb_header` text, `wfdb_formats` and `wfdb_digital` samples,
`wfdb_read` records, `wfdb_folder` collections of them, `wfdb_annotations` annotation files.
"""

from __future__ import annotations

from beatssl_sklearn.ecg.wfdb_annotations import Annotations, read_annotations, write_annotations
from beatssl_sklearn.ecg.wfdb_folder import WFDBFolder
from beatssl_sklearn.ecg.wfdb_read import ECGRecord, read_wfdb

__all__ = ["Annotations", "ECGRecord", "WFDBFolder", "read_annotations", "read_wfdb", "write_annotations"]
