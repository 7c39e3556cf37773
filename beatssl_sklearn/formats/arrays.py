"""Arrays in files: which axis is which, what the leads are called, how fast they were sampled."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ecg.leads import LEADS
from ..ecg.wfdb.paths import refuse
from .contents import Channel, Contents, Options, Place

SIGNAL_NAMES = ("signal", "signals", "ecg", "val", "data", "x", "p_signal")
"""What the variable of the signals is called, the likeliest first; case does not matter."""

FS_NAMES = ("fs", "sampling_rate", "sampling_frequency", "samplerate", "sample_rate", "sfreq", "freq", "frequency")
"""What a sampling rate is called."""

LEAD_NAMES = ("leads", "lead_names", "sig_name", "channels", "labels", "ch_names", "channel_names")
"""What a list of lead names is called."""

UNIT_NAMES = ("unit", "units")
"""What a unit is called."""


def pick_signal(place: Place, shapes: Mapping[str, Sequence[int]], variable: str | None) -> str:
    """Return which variable of a file holds the signals.

    Parameters
    ----------
    place : Place
        The file.
    shapes : mapping of str to sequence of int
        Shape of each numeric variable.
    variable : str, optional
        What the user said.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is no such variable, or if it is unclear which one is meant.
    """
    listed = ", ".join(f"{name!r} {tuple(shape)}" for name, shape in list(shapes.items())[:12]) or "none"
    if variable is not None:
        if variable not in shapes:
            refuse(place.name, f"there is no array called {variable!r:.60}; it has {listed}")
        return variable
    last = {name: name.rpartition("/")[2].lower() for name in shapes}
    for wanted in SIGNAL_NAMES:
        named = [name for name in shapes if last[name] == wanted]
        if len(named) == 1:
            return named[0]
    large = [name for name, shape in shapes.items() if math.prod(shape) > max(shape, default=0) > 1]
    large = large or [name for name, shape in shapes.items() if math.prod(shape) > len(LEADS)]
    if len(large) == 1:
        return large[0]
    refuse(place.name, f"it is unclear which array holds the signals; variable=NAME says it, of {listed}")


def array_contents(
    place: Place,
    array: NDArray[Any],
    options: Options,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    time_axis: int | None = None,
    format_info: Mapping[str, Any] | None = None,
) -> Contents:
    """Return an array as signals.

    Parameters
    ----------
    place : Place
        The file.
    array : ndarray of shape (n_leads, n_times) or (n_times, n_leads), or (n_times,)
        The signals.
    options : Options
        What the user says: it holds where the file is silent.
    fs : float, optional
        Sampling rate that the file states [Hz].
    leads : sequence of str, optional
        Names of the leads that the file states.
    unit : str, optional
        Unit that the file states.
    time_axis : int, optional
        Axis of time, if the file names it.
    format_info : mapping, optional
        What `info` says of the file.

    Returns
    -------
    Contents

    Raises
    ------
    ValueError
        If the array is none of numbers, if its axes are unclear, or if nobody states the rate or the leads.
    """
    if array.dtype.kind not in "fiu":
        refuse(place.name, f"it holds an array of {array.dtype}, not of real numbers")
    array = array.squeeze() if array.ndim > 2 else array
    if array.ndim > 2:
        refuse(place.name, f"its array has the shape {array.shape}: one record is (n_leads, n_times); an array of many "
               "records needs no reader: pass it as X")
    array = np.atleast_2d(array)
    names = tuple(leads) if leads else options.wanted.leads
    axis = _time_axis(place, array.shape, names, time_axis)
    rows = array if axis == 1 else array.T
    if names is None and len(rows) == len(LEADS):
        names = LEADS
    if names is None or len(names) != len(rows):
        said = "no lead names" if names is None else f"{len(names)} lead names"
        refuse(place.name, f"it has {len(rows)} leads and {said}: leads=[...] names all of them, in their order")
    rate = fs if fs is not None else options.fs
    if rate is None:
        refuse(place.name, "it does not state its sampling rate; fs=... says it [Hz]")
    channels = [
        Channel(name, unit or options.unit or "mV", rate, _loader(row)) for name, row in zip(names, rows, strict=True)
    ]
    return Contents(channels, dict(format_info or {}))


def _loader(row: NDArray[Any]) -> Callable[[], NDArray[np.float64]]:
    return lambda: row.astype(np.float64)


def _time_axis(place: Place, shape: tuple[int, ...], names: Sequence[str] | None, stated: int | None) -> int:
    """Return which axis is time: what the file says, or the one that cannot be the leads."""
    if stated is not None:
        return stated
    n_leads = len(names) if names is not None else len(LEADS)
    fitting = [axis for axis in (0, 1) if shape[axis] == n_leads]
    if len(fitting) == 1:
        return 1 - fitting[0]
    if fitting:
        refuse(place.name, f"its array has the shape {shape}: it is unclear which axis is time")
    # Without names, a short axis is the leads: nobody has as few samples.
    if names is None and min(shape) < n_leads < max(shape):
        return int(np.argmax(shape))
    refuse(place.name, f"its array has the shape {shape}, and no axis of {n_leads} leads: leads=[...] names all leads")


def text_of(value: Any) -> str | None:
    """Return a text that a file holds as bytes, characters or an array of one; None for anything else.

    Parameters
    ----------
    value : object

    Returns
    -------
    str or None
    """
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return str(value).strip() if isinstance(value, (str, np.str_)) else None


def texts_of(value: Any) -> list[str] | None:
    """Return a list of texts that a file holds; None for anything else.

    Parameters
    ----------
    value : object

    Returns
    -------
    list of str or None
    """
    one = text_of(value)
    if one is not None:
        return [part.strip() for part in one.split(",")]
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "OSU" or not value.size:
        return None
    texts = [text_of(part) for part in value.ravel()]
    return None if None in texts else [text for text in texts if text is not None]


def number_of(value: Any) -> float | None:
    """Return a number that a file holds alone or as an array of one; None for anything else.

    Parameters
    ----------
    value : object

    Returns
    -------
    float or None
    """
    array = np.asarray(value)
    return float(array.ravel()[0]) if array.size == 1 and array.dtype.kind in "fiu" else None
