"""MATLAB files up to version 7; those of version 7.3 are HDF5."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._optional import import_optional
from ..ecg.wfdb.paths import refuse
from .arrays import (
    FS_NAMES,
    LEAD_NAMES,
    UNIT_NAMES,
    array_contents,
    number_of,
    pick_signal,
    text_of,
    texts_of,
)
from .contents import Contents, Options, Place

_SIZES = {
    **{"double": 8, "single": 4, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2},
    **{"int32": 4, "uint32": 4, "int64": 8, "uint64": 8},
}
# What the compression inside can make of a byte.
_LARGEST_GROWTH = 1100


def read_mat(place: Place, options: Options) -> Contents:
    """Read a MATLAB file: the array of signals, and rate, leads and unit if variables say them."""
    io = import_optional("scipy.io", "reading MATLAB files", "formats")
    try:
        listed = [(name, shape, kind) for name, shape, kind in io.whosmat(place.path)]
        arrays = {name: shape for name, shape, kind in listed if kind in _SIZES}
        signal = pick_signal(place, arrays, options.variable)
        small = {
            name: shape for name, shape, kind in listed
            if name.lower() in (*FS_NAMES, *LEAD_NAMES, *UNIT_NAMES) and kind in ("char", "cell", *_SIZES)
        }
        for name, shape in (small | {signal: arrays[signal]}).items():
            size = max((_SIZES[kind] for other, _, kind in listed if other == name and kind in _SIZES), default=1)
            if min(shape, default=1) < 0 or math.prod(shape) * size > _LARGEST_GROWTH * place.size:
                raise ValueError(f"variable {name!r} promises {math.prod(shape)} values")
        found: dict[str, Any] = io.loadmat(place.path, variable_names=[signal, *small])
        array = np.asarray(found[signal])
    # On a damaged file, the library fails in many ways: all of them mean that it cannot be read.
    except Exception as error:
        refuse(place.name, f"it cannot be read as a MATLAB file: {place.without_folder(error)}")
    said = {name.lower(): value for name, value in found.items() if name in small}
    return array_contents(
        place,
        array,
        options,
        fs=next((number_of(said[name]) for name in FS_NAMES if name in said), None),
        leads=next((texts_of(said[name]) for name in LEAD_NAMES if name in said), None),
        unit=next((text_of(said[name]) for name in UNIT_NAMES if name in said), None),
    )
