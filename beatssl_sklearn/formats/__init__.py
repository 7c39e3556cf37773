"""ECG files of any format: one function for a file, one collection for a folder.

`table` lists the formats and recognizes them by their first bytes. Each format has a file here that reads it into
`Contents`; `assemble` makes an `ECGRecord` of them: leads by name, mV, one rate. `read` is the function, `folder` the
collection, `listing` finds its files. `kit` adapts the library that several formats are read with, and `xml_guard`
looks at XML before that library does.
"""

from __future__ import annotations

from .folder import ECGFolder
from .read import read_ecg

__all__ = ["ECGFolder", "read_ecg"]
