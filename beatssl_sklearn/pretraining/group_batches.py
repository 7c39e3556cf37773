"""Batches that hold records of a patient together, so that each record has a positive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .objective import n_batches

if TYPE_CHECKING:
    from .objective import FitContext

# Two pairs of records.
_ROOM = 4


def check_patients(objective: str, fit: FitContext, *, paired: bool, remedy: str) -> None:
    """Refuse a fit whose batches have nobody to tell a patient from.

    Parameters
    ----------
    objective : str
        Its name, for the message.
    fit : FitContext
        What is known of the fit.
    paired : bool
        Whether records of one patient come together (`by_group`).
    remedy : str
        What to do about a single patient.

    Raises
    ------
    ValueError
        If there is one patient only, or a batch may hold one patient only.
    """
    patients = fit.n_records if fit.groups is None else len(np.unique(fit.groups))
    if patients < 2:
        raise ValueError(f"{objective}: groups holds one patient only, whom it has nobody to tell from; {remedy}")
    if paired and patients < fit.n_records and fit.batch_size < _ROOM:
        raise ValueError(
            f"{objective} puts pairs of records of a patient into a batch, which needs two patients: batch_size must "
            f"be at least {_ROOM}, got {fit.batch_size!r}"
        )


def by_group(
    rows: NDArray[np.int64], groups: NDArray[np.int64] | None, batch_size: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Draw the batches of an epoch such that two records of a patient come into one batch.

    Each patient's records are paired at random; pairs, and records without a partner, are shuffled and laid one after
    the other into batches. Every record comes once.

    Parameters
    ----------
    rows : ndarray of int64 (n,)
        Records to train on.
    groups : ndarray of int64 (n,) or None
        Their patients; None makes each record its own patient.
    batch_size : int
        Records per step.
    rng : numpy.random.Generator
        Source of all draws.

    Returns
    -------
    list of ceil(n / batch_size) ndarray of int64
        Their sizes differ by a few records; a pair is split only where a batch would become too small.
    """
    n = n_batches(rows, batch_size)
    order = rng.permutation(len(rows))
    if groups is None:
        return np.array_split(rows[order], n)
    order = order[np.argsort(groups[order], kind="stable")]
    group = groups[order]
    first = np.flatnonzero(np.diff(group, prepend=group[:1] - 1))
    place = np.arange(len(group)) - np.repeat(first, np.diff(np.append(first, len(group))))
    # A pair begins with every second record of a patient.
    begins = np.flatnonzero(place % 2 == 0)
    pairs = np.split(order, begins[1:])
    shuffled = np.concatenate([pairs[i] for i in rng.permutation(len(pairs))])
    return np.array_split(rows[shuffled], n)
