"""HDF5, and MATLAB files of version 7.3, which are HDF5 inside."""

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

# Objects that are looked at, and groups inside groups.
_MOST_OBJECTS, _DEEPEST = 1000, 8
# What a compressing filter can make of a byte.
_LARGEST_GROWTH = 1100
_TIME_LABELS = ("time", "times", "t", "sample", "samples", "n_times", "n_samples")


def read_hdf5(place: Place, options: Options) -> Contents:
    """Read an HDF5 file: the data set of signals; attributes or data sets say rate, leads, unit and axes.

    Links to other files, and data that lie in other files, are not followed.
    """
    h5py = import_optional("h5py", "reading HDF5 files", "formats")
    try:
        with h5py.File(place.path, "r") as file:
            sets = _data_sets(h5py, file)
            shapes = {name: one.shape for name, one in sets.items() if one.shape and one.dtype.kind in "fiu"}
            name = pick_signal(place, shapes, options.variable)
            _check_stored(place, name, sets[name])
            array = np.asarray(sets[name][()])
            said = _said(place, name, sets, file)
            axis = _time_axis(sets[name])
    # On a damaged file, the library fails in many ways: all of them mean that it cannot be read.
    except Exception as error:
        refuse(place.name, f"it cannot be read as HDF5: {place.without_folder(error)}")
    return array_contents(
        place,
        array,
        options,
        fs=next((number_of(said[key]) for key in FS_NAMES if key in said), None),
        leads=next((texts_of(said[key]) for key in LEAD_NAMES if key in said), None),
        unit=next((text_of(said[key]) for key in UNIT_NAMES if key in said), None),
        time_axis=axis,
    )


def _data_sets(h5py: Any, file: Any) -> dict[str, Any]:
    """Return the data sets that lie in this file, by their paths."""
    found: dict[str, Any] = {}
    waiting = [("", file, 0)]
    n_objects = 0
    while waiting:
        path, group, depth = waiting.pop()
        for name in group:
            n_objects += 1
            if n_objects > _MOST_OBJECTS:
                raise ValueError(f"it has more than {_MOST_OBJECTS} objects; variable= does not help, copy the signals")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            one = group[name]
            if isinstance(one, h5py.Group) and depth < _DEEPEST:
                waiting.append((f"{path}{name}/", one, depth + 1))
            elif isinstance(one, h5py.Dataset):
                found[path + name] = one
    return found


def _check_stored(place: Place, name: str, one: Any) -> None:
    """Refuse data in other files, and shapes that promise more than is stored."""
    if one.is_virtual or one.external:
        raise ValueError(f"{name!r} lies in other files, which are not opened")
    stored = min(place.size, one.id.get_storage_size())
    if math.prod(one.shape) * one.dtype.itemsize > _LARGEST_GROWTH * stored:
        raise ValueError(f"{name!r} promises {math.prod(one.shape)} values and stores {stored} bytes")


def _said(place: Place, name: str, sets: dict[str, Any], file: Any) -> dict[str, Any]:
    """Return rate, leads and unit, from the data set's attributes, those of its groups, or data sets beside it."""
    wanted = (*FS_NAMES, *LEAD_NAMES, *UNIT_NAMES)
    group = sets[name].parent
    said: dict[str, Any] = {}
    for owner in (sets[name], group, file):
        for key in owner.attrs:
            if key.lower() in wanted:
                said.setdefault(key.lower(), owner.attrs[key])
    beside = name.rpartition("/")[0]
    for path, one in sets.items():
        folder, _, key = path.rpartition("/")
        if folder in (beside, "") and key.lower() in wanted and path != name:
            _check_stored(place, path, one)
            said.setdefault(key.lower(), one[()])
    return said


def _time_axis(one: Any) -> int | None:
    """Return the axis that a label calls time; None if none does."""
    labels = [one.dims[axis].label.lower() for axis in range(one.ndim)]
    named = [axis for axis, label in enumerate(labels) if label in _TIME_LABELS]
    return named[0] if len(named) == 1 and one.ndim == 2 else None
