"""What a reader finds in a file: signals with units and rates, and what it says of the patient and the device."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ..ecg.wfdb.selection import Wanted


class Options(NamedTuple):
    """What a user asked for; see `read_ecg`."""

    wanted: Wanted
    fs: float | None = None
    unit: str | None = None
    variable: str | None = None
    keep_identity: bool = False


class Place(NamedTuple):
    """A file that was found to be a regular file, of some size, and no hole.

    Attributes
    ----------
    path : str
        Where it is, after links are resolved.
    name : str
        What messages call the record: they never show the folders above it.
    size : int
        Its length [bytes].
    """

    path: str
    name: str
    size: int

    def without_folder(self, message: object) -> str:
        """Return what a library says of the file, in short: folder names can identify patients."""
        text = str(message) or type(message).__name__
        return text.replace(self.path, os.path.basename(self.name))[:300]


class Channel(NamedTuple):
    """One signal of a file.

    Attributes
    ----------
    name : str
        What the file calls it.
    unit : str
        Unit of its values; empty if the file does not state one.
    fs : float
        Sampling rate [Hz].
    load : callable
        Returns the values (n_times,), float64. NaN is a missing sample.
    start : int
        Samples of the record before the first value.
    """

    name: str
    unit: str
    fs: float
    load: Callable[[], NDArray[Any]]
    start: int = 0


@dataclass
class Contents:
    """A file as its reader understands it.

    Attributes
    ----------
    channels : list of Channel
        All signals, of an ECG or not.
    info : dict
        What `ECGRecord.info` says of the file.
    identity : dict
        What names the patient or other people, or could: free text, names, the date of birth.
    notes : list of str
        What is odd about the file and bearable.
    """

    channels: list[Channel]
    info: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def known(**values: Any) -> dict[str, Any]:
    """Return the values that a file states: neither None, nor empty, nor a mark of nothing."""
    return {key: value for key, value in values.items() if value not in (None, "", (), {}, "X", "?", "UNK", "---")}
