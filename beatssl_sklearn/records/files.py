"""What collections in files of others share: which files, how their records are called, and signals as they lie."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ecg.preprocess import check_fs
from ..inputs.checks import name_leads
from ..inputs.labels import missing_labels

Ids = str | Sequence[Any] | Mapping[Any, Any] | None
"""Identifiers of records: the name of a column, one per record, or (of patients) by identifier of the record."""


def files_of(path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return the files that a path, a pattern such as ``"part*.h5"``, or a list names.

    Raises
    ------
    FileNotFoundError
        If there are none.
    """
    if not isinstance(path, (str, os.PathLike)):
        files = [os.fspath(one) for one in path]
    elif glob.has_magic(os.fspath(path)) and not os.path.exists(path):
        files = sorted(glob.glob(os.fspath(path)))
    else:
        files = [os.fspath(path)]
    lost = [os.path.basename(one) for one in files if not os.path.isfile(one)]
    if lost or not files:
        raise FileNotFoundError(f"there is no file {lost[0]!r}" if lost else f"path={path!r} names no file")
    return files


def stamp_of(files: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return size and time of change of files, by which a cache notices that one is another now."""
    found = [os.stat(one) for one in files]
    return tuple((status.st_size, status.st_mtime_ns) for status in found)


def texts(values: Any) -> list[str]:
    """Return identifiers as text; "" stands for one that is missing (None, NaN)."""
    # An array of text would make a text of NaN.
    given = np.array(list(values), dtype=object)
    found = [value.decode() if isinstance(value, bytes) else str(value) for value in given.tolist()]
    return np.where(missing_labels(given), "", np.array(found, dtype=object)).tolist()


def patients_of(patient_ids: Ids, names: Sequence[str]) -> list[str] | None:
    """Return who each record is of, from what the user gave beside the files.

    Raises
    ------
    ValueError
        If there is not one for each record.
    """
    if patient_ids is None or isinstance(patient_ids, str):
        return None
    if isinstance(patient_ids, Mapping):
        known = dict(zip(map(str, patient_ids), texts(patient_ids.values()), strict=True))
        return [known.get(name, "") for name in names]
    if len(patient_ids) != len(names):
        raise ValueError(f"patient_ids must have one entry per record: {len(patient_ids)} for {len(names)} records")
    return texts(patient_ids)


class Layout:
    """How signals lie in files: rate, leads, unit, and zeros around them.

    Parameters
    ----------
    fs : float
        Sampling rate [Hz].
    leads : sequence of str or None
        Names of the leads.
    n_leads : int
        Leads of the files.
    scale : float or sequence of n_leads float
        Millivolts of the value 1.
    trim : bool
        Whether zeros at the beginning and at the end, in all leads, are left out.
    """

    def __init__(
        self, fs: float, leads: Sequence[str] | None, n_leads: int, scale: float | Sequence[float], trim: bool
    ) -> None:
        self.fs, self.leads, self._trim = check_fs(fs), name_leads(leads, n_leads), trim
        # numpy would read the text "0.5" as a number.
        given = np.asarray(scale, dtype=object)
        numbers = all(isinstance(one, Real) and not isinstance(one, (bool, np.bool_)) for one in given.flat)
        if not numbers or given.shape not in ((), (n_leads,)) or not np.isfinite(given.astype(np.float32)).all():
            raise ValueError(f"scale must be a number, or one for each of {n_leads} leads, got {scale!r:.80}")
        factor = given.astype(np.float32)
        self._factor = factor if factor.ndim == 0 else factor[:, None]

    def signal(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return the signal [mV] of values (n_leads, n_times)."""
        if self._trim:
            # A record of zeros alone stays: it has no beginning.
            known = np.flatnonzero((values != 0).any(axis=0))
            values = values[:, known[0] : known[-1] + 1] if len(known) else values
        return np.asarray(values * self._factor, dtype=np.float32)
