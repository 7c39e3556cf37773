"""Intervals of the scores of classified heartbeats: patients are drawn with replacement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .aami_rates import RATES, AAMIRates, Outcomes, mean_rates, rates_of

__all__ = ["MEANS", "Mean", "draw_intervals", "sum_by_patient"]

Mean = Literal["gross", "average", "patients"]
MEANS = ("gross", "average", "patients")

_REPLICATES_AT_ONCE = 256


def draw_intervals(
    outcomes: Outcomes,
    patients: NDArray[np.int64],
    classes: tuple[Any, ...],
    mean: Mean,
    *,
    n_bootstrap: int,
    level: float,
    seed: int,
) -> tuple[AAMIRates, AAMIRates]:
    """Return the lower and the upper ends of the intervals of rates.

    Parameters
    ----------
    outcomes : Outcomes
        Arrays (n_records, n_scored).
    patients : ndarray of int64 (n_records,)
        Number of each record's patient, from 0.
    classes : tuple of n_scored labels
        The scored classes.
    mean : {"gross", "average", "patients"}
        Which scores: of all beats pooled, or the mean over records or over patients.
    n_bootstrap : int
        Number of replicates.
    level : float
        Share of the replicates inside the interval (percentile method).
    seed : int
        Seed of the draws, which are those of `bootstrap_interval`.

    Returns
    -------
    low, high : AAMIRates
        NaN where a rate is undefined in most replicates.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """
    if mean not in MEANS:
        raise ValueError(f"mean must be one of {', '.join(MEANS)}, got {mean!r}")
    if not isinstance(n_bootstrap, (int, np.integer)) or n_bootstrap < 1 or not 0 < level < 1:
        raise ValueError(f"n_bootstrap must be >= 1 and level between 0 and 1, got {n_bootstrap!r} and {level!r}")
    rng = np.random.default_rng(seed)
    n_patients = int(patients.max()) + 1
    replicate = _replicate(outcomes, patients, classes, mean)
    drawn = []
    for start in range(0, n_bootstrap, _REPLICATES_AT_ONCE):
        size = min(_REPLICATES_AT_ONCE, n_bootstrap - start)
        drawn.append(replicate(rng.multinomial(n_patients, np.full(n_patients, 1 / n_patients), size=size)))
    ends = {name: _ends(np.concatenate([getattr(part, name) for part in drawn]), level) for name in RATES}
    macro = _ends(np.concatenate([part.macro_f1 for part in drawn])[:, None], level)
    low, high = (
        AAMIRates(classes, **{name: values[k] for name, values in ends.items()}, macro_f1=float(macro[k][0]))
        for k in (0, 1)
    )
    return low, high


def _replicate(
    outcomes: Outcomes, patients: NDArray[np.int64], classes: tuple[Any, ...], mean: Mean
) -> Callable[[NDArray[np.int64]], AAMIRates]:
    """Return a function from how often each patient was drawn (n, n_patients) to rates (n, n_scored)."""
    if mean == "average":
        of_record = rates_of(outcomes, classes)
        return lambda times: mean_rates(of_record, times[:, patients].astype(np.float64))
    own = sum_by_patient(outcomes, patients)
    if mean == "patients":
        of_patient = rates_of(own, classes)
        return lambda times: mean_rates(of_patient, times.astype(np.float64))
    return lambda times: rates_of(Outcomes(*(times @ part for part in own)), classes)


def sum_by_patient(outcomes: Outcomes, patients: NDArray[np.int64]) -> Outcomes:
    """Add up the records (n_records, n_scored) of each patient."""
    is_of = patients == np.arange(int(patients.max()) + 1)[:, None]
    return Outcomes(*(is_of.astype(np.int64) @ part for part in outcomes))


def _ends(values: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Return lower and upper ends (2, n) of replicates (n_bootstrap, n)."""
    out = np.full((2, values.shape[1]), np.nan)
    for k, column in enumerate(values.T):
        defined = column[np.isfinite(column)]
        # An interval of the few draws that have a value would not be that of the rate.
        if 2 * len(defined) >= len(column):
            out[:, k] = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return out
