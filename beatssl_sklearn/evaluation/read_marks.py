"""Marks of annotated or predicted waves, read from tables or dicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..ecg.leads import LEADS, canonical_lead
from ..ecg.waves.find import WAVES
from ..ecg.waves.table import CONSENSUS, check_table

__all__ = ["BOUNDARIES", "MARKED_LEADS", "Marks", "read_marks"]

BOUNDARIES = ("onset", "peak", "offset")
MARKED_LEADS = (*LEADS, CONSENSUS)
"""Leads that waves can be of; the last one stands for all leads."""


class Marks(NamedTuple):
    """Waves of all records, one per row. `times` (n, 3) [samples] is NaN where a mark is missing."""

    record: NDArray[np.int64]
    lead: NDArray[np.int64]
    wave: NDArray[np.int64]
    times: NDArray[np.float64]


def read_marks(waves: Any, name: str, *, has_leads: bool = True) -> tuple[Marks, int | None]:
    """Read the marks of waves.

    Parameters
    ----------
    waves : DataFrame, or sequence of n_records dict
        As for :func:`~beatssl_sklearn.evaluation.delineation.delineation_scores`.
    name : str
        Name of the parameter in messages.
    has_leads : bool, default=True
        False for one set of marks per record, which counts as that of the consensus.

    Returns
    -------
    marks : Marks
    n_records : int or None
        Number of records if they come as a sequence.

    Raises
    ------
    ValueError, TypeError
        As for :func:`~beatssl_sklearn.evaluation.delineation.delineation_scores`.
    """
    import pandas as pd

    if isinstance(waves, pd.DataFrame):
        return _from_table(waves if has_leads else _without_leads(waves, name), name), None
    if isinstance(waves, (Mapping, str, bytes)) or not hasattr(waves, "__len__"):
        kind = type(waves).__name__
        raise TypeError(f"{name} must be a table of waves or a sequence with one dict per record, got {kind}")
    rows: list[tuple[int, str, str, NDArray[np.float64]]] = []
    for number, leads in enumerate(waves):
        if not has_leads:
            leads = _without_lead(leads, name, number)
        if not isinstance(leads, Mapping) or not all(isinstance(kinds, Mapping) for kinds in leads.values()):
            hint = '; one set for all leads is dict.fromkeys(leads, marks), or leads="nearest" takes it as true'
            hint = hint if _is_one_set(leads) else ""
            raise TypeError(f"{name}, record {number}, must be a dict of lead to dict of wave to array{hint}")
        for lead, kinds in leads.items():
            for wave, marks in kinds.items():
                rows.append((number, lead, wave, _as_times(marks, f"{name}, record {number}, lead {lead}, {wave}")))
    sizes = np.array([len(times) for *_, times in rows], np.int64)
    record, lead, wave = (np.repeat(np.array([row[k] for row in rows], object), sizes) for k in range(3))
    times = np.concatenate([np.zeros((0, 3)), *(times for *_, times in rows)])
    return _coded(record.astype(np.int64), lead, wave, times, name), len(waves)


def _is_one_set(kinds: Any) -> bool:
    """Whether these are the waves of a record, without leads."""
    return isinstance(kinds, Mapping) and bool(kinds) and set(kinds) <= set(WAVES)


def _without_lead(kinds: Any, name: str, number: int) -> Any:
    """Return the waves of a record, one set for all leads, as those of the consensus."""
    if not isinstance(kinds, Mapping) or any(isinstance(marks, Mapping) for marks in kinds.values()):
        raise TypeError(f'{name}, record {number}, must be a dict of wave to array: leads="nearest" takes one set of'
                        " marks for all leads")
    return {CONSENSUS: kinds}


def _without_leads(table: Any, name: str) -> Any:
    """Return a table of one set of marks per record as that of the consensus."""
    if "lead" in table.columns and "record" in table.columns and (table.groupby("record")["lead"].nunique() > 1).any():
        raise ValueError(f'{name} has marks of several leads of a record: leads="nearest" takes one set of marks for'
                         " all leads")
    return table.assign(lead=CONSENSUS)


def _from_table(table: Any, name: str) -> Marks:
    check_table(table, name)
    try:
        times = table[list(BOUNDARIES)].to_numpy(np.float64, na_value=np.nan)
        number = table["record"].to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must have numbers in the columns record, {', '.join(BOUNDARIES)}") from error
    if not (np.isfinite(number) & (number == np.round(number))).all():
        raise ValueError(f"{name} must have whole numbers in the column record")
    lead, wave = (np.asarray(table[column], object) for column in ("lead", "wave"))
    return _coded(number.astype(np.int64), lead, wave, _as_times(times, name), name)


def _as_times(marks: ArrayLike, where: str) -> NDArray[np.float64]:
    """Marks (n_waves, 3) [samples] with NaN for missing ones."""
    try:
        times = np.array(marks, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: marks must be an array of shape (n_waves, 3) [samples]") from error
    if not times.size:
        return np.zeros((0, 3))
    if times.ndim != 2 or times.shape[1] != 3:
        raise ValueError(f"{where}: marks must have the shape (n_waves, 3), got {times.shape}")
    if np.isinf(times).any():
        raise ValueError(f"{where}: marks must be finite, or NaN or -1 where they are missing")
    times[times <= -1] = np.nan
    return times


def _coded(
    record: NDArray[np.int64], lead: NDArray[Any], wave: NDArray[Any], times: NDArray[np.float64], name: str
) -> Marks:
    """Encode the names of leads and waves as positions in `MARKED_LEADS` and `WAVES`."""
    leads, of_lead = np.unique(lead.astype(str), return_inverse=True)
    waves, of_wave = np.unique(wave.astype(str), return_inverse=True)
    for k, found in enumerate(waves):
        if found not in WAVES:
            first = record[of_wave == k][0]
            raise ValueError(f"{name}, record {first}: unknown wave {found[:60]!r}, expected one of {', '.join(WAVES)}")
    code = np.zeros(len(leads), np.int64)
    for k, found in enumerate(leads):
        try:
            code[k] = MARKED_LEADS.index(found if found == CONSENSUS else canonical_lead(str(found))[0])
        except ValueError as error:
            raise ValueError(f"{name}, record {record[of_lead == k][0]}: {error}") from error
    if len(np.unique(code)) < len(code):
        named = np.unique(np.stack([record, code[of_lead], of_lead]), axis=1)
        twice = np.flatnonzero((named[:2, 1:] == named[:2, :-1]).all(axis=0))
        if len(twice):
            number, position = named[:2, twice[0]]
            raise ValueError(f"{name}, record {number}: lead {MARKED_LEADS[position]} occurs under two names")
    return Marks(record, code[of_lead], np.array([WAVES.index(w) for w in waves], np.int64)[of_wave], times)
