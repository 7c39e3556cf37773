"""Batches in which each record has somebody to be told from, and its patient's other records where that is wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..inputs.times import are_near
from .objective import n_batches

if TYPE_CHECKING:
    from .objective import FitContext

# Two pairs of records.
_ROOM = 4

# One record, or two of a patient that stay together.
Unit = NDArray[np.int64]


def check_patients(objective: str, fit: FitContext, *, paired: bool, remedy: str) -> None:
    """Refuse a fit in which a patient has nobody to be told from, in training or in validation.

    Parameters
    ----------
    objective : str
        Its name, for the message.
    fit : FitContext
        What is known of the fit. Only records with a sample count.
    paired : bool
        Whether records of one patient come together (`by_group`).
    remedy : str
        What to do about a single patient.

    Raises
    ------
    ValueError
        If there is one patient only, `validation_fraction` leaves one patient only on a side, or a batch has no room
        for pairs of two patients.
    """
    usable = np.arange(fit.n_records) if fit.usable is None else fit.usable
    patient = np.arange(fit.n_records) if fit.groups is None else fit.groups
    n_patients = len(np.unique(patient[usable]))
    if n_patients < 2:
        blank = fit.n_records - len(usable)
        where = f" ({blank} of {fit.n_records} records of X hold no sample)" if blank else ""
        raise ValueError(
            f"{objective}: groups holds one patient only{where}, whom it has nobody to tell from; {remedy}"
        )
    if fit.held_out is not None:
        sides = {"train on": np.setdiff1d(usable, fit.held_out), "validate": fit.held_out}
        for side, rows in sides.items():
            if len(np.unique(patient[rows])) < 2:
                raise ValueError(
                    f"{objective}: validation_fraction leaves one patient only of {n_patients} to {side}, whom it has "
                    f"nobody to tell from; take another validation_fraction, or none, or {remedy}"
                )
    if paired and n_patients < len(usable) and fit.batch_size < _ROOM:
        raise ValueError(
            f"{objective} puts pairs of records of a patient into a batch, which needs two patients: batch_size must "
            f"be at least {_ROOM}, got {fit.batch_size!r}"
        )


def by_group(
    rows: NDArray[np.int64],
    groups: NDArray[np.int64] | None,
    batch_size: int,
    rng: np.random.Generator,
    *,
    paired: bool = True,
    times: NDArray[np.float64] | None = None,
    max_gap_days: float | None = None,
) -> list[NDArray[np.int64]]:
    """Draw the batches of an epoch such that each has two patients, and two records of a patient come together.

    Each patient's records are paired at random. Pairs, and records without a partner, are laid one after the other
    into batches, those of a patient evenly over the epoch. A batch of one patient swaps records with another batch. If
    none has any to spare, records of another patient come into it once more, and its own give place where it is full.
    But for that, every record comes once.

    Parameters
    ----------
    rows : ndarray of int64 (n,)
        Records to train on.
    groups : ndarray of int64 (n,) or None
        Their patients; None makes each record its own patient.
    batch_size : int
        Records per step, at most.
    rng : numpy.random.Generator
        Source of all draws.
    paired : bool, default=True
        Whether records of a patient come together; otherwise, batches are random.
    times : ndarray of float64 (n,), optional
        When records were taken [days].
    max_gap_days : float, optional
        Records of a patient that are further apart are no pair. None pairs all.

    Returns
    -------
    list of ceil(n / batch_size) ndarray of int64
        Their sizes differ by a few records. A pair is split only where a batch would become too large or have one
        patient.
    """
    n = n_batches(rows, batch_size)
    if groups is None or not paired:
        parts = [list(part[:, None]) for part in np.array_split(rng.permutation(len(rows)), n)]
    else:
        gap = None if times is None or max_gap_days is None else (times, max_gap_days)
        parts = _laid(_pairs(groups, rng, gap), n, batch_size)
    if groups is not None and batch_size > 1 and len(np.unique(groups)) > 1:
        _mix(parts, groups, batch_size, rng)
    return [rows[np.concatenate(part)] for part in parts]


def _pairs(
    groups: NDArray[np.int64], rng: np.random.Generator, gap: tuple[NDArray[np.float64], float] | None = None
) -> list[Unit]:
    """Return pairs of records and those without a partner in random order, each patient's evenly over the list."""
    order = rng.permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    _, first, patient = np.unique(groups[order], return_index=True, return_inverse=True)
    if gap is None:
        # A pair begins with every second record of a patient.
        begins = np.flatnonzero((np.arange(len(order)) - first[patient]) % 2 == 0)
        pairs = np.split(order, begins[1:])
        patient = patient[begins]
    else:
        pairs = [pair for rows in np.split(order, first[1:]) for pair in _near_pairs(rows, *gap)]
        patient = np.searchsorted(groups[order[first]], groups[[pair[0] for pair in pairs]])
    place = np.arange(len(pairs)) - np.searchsorted(patient, patient)
    # Each pair has its own part of the epoch, which begins anywhere.
    when = (place + rng.random(len(pairs))) / np.bincount(patient)[patient]
    when = (when + rng.random(len(first))[patient]) % 1
    return [pairs[i] for i in np.argsort(when, kind="stable")]


def _near_pairs(rows: Unit, times: NDArray[np.float64], max_gap: float) -> Iterator[Unit]:
    """Yield pairs of a patient's records, which are in random order, and those to which none is near any more."""
    while len(rows) > 1:
        one, rows = rows[0], rows[1:]
        near = np.flatnonzero(are_near(times[rows], times[one], max_gap))
        yield np.array([one, *rows[near[:1]]])
        rows = np.delete(rows, near[:1])
    if len(rows):
        yield rows


def _laid(units: list[Unit], n: int, batch_size: int) -> list[list[Unit]]:
    """Lay units into n batches, one after the other."""
    waiting = deque(units)
    left = sum(map(len, units))
    parts = []
    for still in range(n, 0, -1):
        part: list[Unit] = []
        size, held = -(-left // still), 0
        while waiting and held + len(waiting[0]) <= size:
            part.append(waiting.popleft())
            held += len(part[-1])
        # A pair is next, and the others have no room for the record that is missing.
        if held < size and held < max(1, left - (still - 1) * batch_size):
            if size < batch_size:
                part.append(waiting.popleft())
            else:
                _complete(part, waiting)
        parts.append(part)
        left -= sum(map(len, part))
    return parts


def _complete(part: list[Unit], waiting: deque[Unit]) -> None:
    """Bring one record more into a batch: a later one without a partner, a pair in place of one, or half a pair."""
    later = next((i for i, unit in enumerate(waiting) if len(unit) == 1), None)
    own = next((i for i, unit in enumerate(part) if len(unit) == 1), None)
    if later is not None:
        part.append(waiting[later])
        del waiting[later]
        return
    pair = waiting.popleft()
    if own is not None:
        waiting.appendleft(part.pop(own))
        part.append(pair)
    else:
        part.append(pair[:1])
        waiting.appendleft(pair[1:])


def _mix(parts: list[list[Unit]], groups: NDArray[np.int64], batch_size: int, rng: np.random.Generator) -> None:
    """Bring a record or a pair of another patient into each batch of one patient."""
    everybody = [unit for part in parts for unit in part]
    # For patients with batches of their own: batches to swap with.
    hosts: dict[int, deque[list[Unit]]] = {}
    unswapped = []
    for i, part in enumerate(parts):
        patient = int(groups[part[0][0]])
        if _others(part, groups, patient):
            continue
        # Something of the patient must stay.
        part[:] = [np.atleast_1d(row) for row in part[0]] if len(part) == 1 else sorted(part, key=len)
        if patient not in hosts:
            hosts[patient] = deque(other for other in parts if len(_others(other, groups, patient)) > 1)
        if len(part) < 2 or not _swap(part, hosts[patient], groups, patient):
            unswapped.append((i, patient))
    guests = {patient: _others(everybody, groups, patient) for patient in {patient for _, patient in unswapped}}
    # Last, because a guest that is swapped could meet itself.
    for i, patient in unswapped:
        if _others(parts[i], groups, patient):
            # A later batch has swapped with it.
            continue
        guest = guests[patient][rng.integers(len(guests[patient]))][: batch_size - 1]
        records = np.concatenate(parts[i])[: batch_size - len(guest)]
        parts[i] = [*records[:, None], guest]


def _swap(units: list[Unit], hosts: deque[list[Unit]], groups: NDArray[np.int64], patient: int) -> bool:
    """Swap the last unit of a batch of one patient with that of another, in a batch that has two of others.

    Batches that have no two of others any more leave `hosts`.
    """
    for _ in range(len(hosts)):
        batch = hosts.popleft()
        others = _others(batch, groups, patient)
        if len(others) < 2:
            continue
        hosts.append(batch)
        fitting = [unit for unit in others if len(unit) <= len(units[-1])]
        if not fitting:
            continue
        # A pair for a pair, if there is one.
        wanted = max(fitting, key=len)
        given = units.pop()
        if len(given) > len(wanted):
            units.append(given[1:])
        at = next(k for k, unit in enumerate(batch) if unit is wanted)
        batch[at] = given[: len(wanted)]
        units.append(wanted)
        return True
    return False


def _others(units: Iterable[Unit], groups: NDArray[np.int64], patient: int) -> list[Unit]:
    """Return the units that are not the patient's."""
    return [unit for unit in units if groups[unit[0]] != patient]
