"""The largest gap in time between records of a patient that are positives of each other."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .._optional import find_stack_level
from ..inputs.times import are_near

if TYPE_CHECKING:
    from .batches import Batch
    from .objective import FitContext


def check_gaps(objective: str, fit: FitContext, max_gap_days: float | None) -> None:
    """Warn if no two records of a patient are as near in time as a gap asks for: the unit may be a wrong one.

    Parameters
    ----------
    objective : str
        Its name, for the message.
    fit : FitContext
        What is known of the fit. Only records with a sample count.
    max_gap_days : float or None
        Largest gap [days].
    """
    if max_gap_days is None or fit.groups is None:
        return
    usable = np.arange(fit.n_records) if fit.usable is None else fit.usable
    patient, days = fit.groups[usable], fit.arguments["times"][usable]
    order = np.lexsort((days, patient))
    same = patient[order][1:] == patient[order][:-1]
    if same.any() and not (same & are_near(days[order][1:], days[order][:-1], max_gap_days)).any():
        warnings.warn(
            f"{objective}: no two records of a patient are at most max_gap_days={max_gap_days!r} apart; numbers in "
            f"times are days",
            UserWarning,
            stacklevel=find_stack_level(),
        )


def near_in_time(batch: Batch, max_gap_days: float | None) -> NDArray[np.bool_] | None:
    """Return which records of a batch are near enough in time to be positives, if they are of one patient.

    Parameters
    ----------
    batch : Batch
    max_gap_days : float or None
        Largest gap [days].

    Returns
    -------
    ndarray of bool (n, n) or None
        None where all are, because there is no largest gap.
    """
    times = batch.times
    return None if max_gap_days is None or times is None else are_near(times[:, None], times, max_gap_days)


def split_by_gap(
    groups: NDArray[np.int64], times: NDArray[np.float64], max_gap_days: float
) -> NDArray[np.int64]:
    """Split each patient's records into groups of which all are near each other, from the earliest on.

    Parameters
    ----------
    groups : ndarray of int64 (n,)
        Patients.
    times : ndarray of float64 (n,)
        When records were taken [days]. A record without a time is alone.
    max_gap_days : float
        Largest gap [days].

    Returns
    -------
    ndarray of int64 (n,)
        Numbers of the groups.
    """
    split = np.empty_like(groups)
    number, first = -1, None
    for row in np.lexsort((times, groups)):
        if first is None or groups[row] != groups[first] or not are_near(times[row], times[first], max_gap_days):
            number, first = number + 1, row
        split[row] = number
    return split
