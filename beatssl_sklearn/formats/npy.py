"""NumPy's own files."""

from __future__ import annotations

import numpy as np

from ..ecg.wfdb.paths import refuse
from .arrays import array_contents
from .contents import Contents, Options, Place


def read_npy(place: Place, options: Options) -> Contents:
    """Read a .npy file; the user says rate and leads, and nothing in it is executed."""
    try:
        # A memory map refuses headers that promise more than the file has, and takes no pickled objects.
        array = np.load(place.path, mmap_mode="r", allow_pickle=False)
    # On a damaged header, Python's own parser fails in many ways: all of them mean that it cannot be read.
    except Exception as error:
        refuse(place.name, f"it cannot be read as an array: {place.without_folder(error)}")
    return array_contents(place, array, options)
