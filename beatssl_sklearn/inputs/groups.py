"""Groups of records (patients): their numbers, nested subsets, folds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def group_codes(groups: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """Groups as integers from 0; one group per row where there are none.

    Raises
    ------
    ValueError
        If there is not one group per row.
    """
    if groups is None:
        return np.arange(n)
    labels = np.asarray(groups)
    if labels.shape != (n,):
        raise ValueError(f"groups must hold one label per row: shape {labels.shape} for {n} rows")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def nested_subsets(
    y: ArrayLike,
    groups: ArrayLike | None,
    fractions: Sequence[float],
    seed: int = 0,
    *,
    min_positives: int = 3,
) -> NDArray[np.bool_]:
    """Subsets of records that grow by whole groups, each larger one holding every smaller one.

    Each group belongs to the rarest label among its records, and every fraction takes the same share of the records of
    each label; so rare labels are neither lost nor multiplied.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, n_classes)
        A class per record, or a table of 0 and 1.
    groups : array-like of shape (n,) or None
        Patient of each record; None makes each record its own group.
    fractions : sequence of float
        Shares of the records, above 0 and up to 1, in any order.
    seed : int, default=0
        Which groups come first within a label.
    min_positives : int, default=3
        Groups with each class that the smallest subset holds at least, where there are as many; it grows for that.

    Returns
    -------
    ndarray of bool of shape (n_fractions, n)
        A mask for each fraction, in the order given.

    Raises
    ------
    ValueError
        If a fraction is out of range or shapes disagree.
    """
    wanted = np.asarray(fractions, dtype=np.float64)
    if wanted.ndim != 1 or not len(wanted) or not ((wanted > 0) & (wanted <= 1)).all():
        raise ValueError(f"fractions must hold numbers above 0 and up to 1, got {fractions!r}")
    table = _indicator(y)
    code = group_codes(groups, len(table))
    place = spread_groups(table, code, seed)
    of_group = _labels_of_groups(table, code)
    for k in np.argsort(of_group.sum(axis=0), kind="stable"):
        members = np.flatnonzero(of_group[:, k])
        place[members[np.argsort(place[members], kind="stable")[:min_positives]]] = 0.0
    masks: NDArray[np.bool_] = place[code] <= wanted[:, None]
    return masks


def held_out_folds(y: ArrayLike, groups: ArrayLike | None, n_folds: int, seed: int = 0) -> NDArray[np.bool_]:
    """Folds of whole groups, each with its share of every label: which records each fold holds out.

    Parameters
    ----------
    y, groups : as for :func:`nested_subsets`
    n_folds : int
        At most as many as there are groups.
    seed : int, default=0

    Returns
    -------
    ndarray of bool of shape (n_folds, n)
    """
    table = _indicator(y)
    code = group_codes(groups, len(table))
    rank = np.argsort(np.argsort(_stratum(table, code) + spread_groups(table, code, seed), kind="stable"))
    folds: NDArray[np.bool_] = (rank % n_folds)[code] == np.arange(n_folds)[:, None]
    return folds


def spread_groups(table: NDArray[np.bool_], code: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Place each group in (0, 1) at random such that the records of every stratum are spread evenly over it."""
    stratum = _stratum(table, code)
    size = np.bincount(code).astype(np.float64)
    place = np.empty(len(size))
    shuffled = np.random.default_rng(seed).permutation(len(size))
    for s in np.unique(stratum):
        members = shuffled[stratum[shuffled] == s]
        place[members] = (np.cumsum(size[members]) - 0.5 * size[members]) / size[members].sum()
    return place


def _stratum(table: NDArray[np.bool_], code: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rarest label of each group, or the number of labels where it has none."""
    of_group = _labels_of_groups(table, code)
    rarest_first = np.argsort(of_group.sum(axis=0), kind="stable")
    first = of_group[:, rarest_first].argmax(axis=1)
    return np.where(of_group.any(axis=1), rarest_first[first], table.shape[1])


def _labels_of_groups(table: NDArray[np.bool_], code: NDArray[np.int64]) -> NDArray[np.bool_]:
    of_group: NDArray[np.bool_] = np.zeros((int(code.max()) + 1, table.shape[1]), dtype=bool)
    np.logical_or.at(of_group, code, table)
    return of_group


def _indicator(y: ArrayLike) -> NDArray[np.bool_]:
    """Labels as a table of bool: classes become columns, a table stays."""
    target = np.asarray(y)
    if target.ndim == 2:
        return target.astype(bool)
    if target.ndim != 1 or not len(target):
        raise ValueError(f"y must have shape (n,) or (n, n_classes), got {target.shape}")
    return target[:, None] == np.unique(target)



def encode_groups(groups: Any, n_records: int) -> NDArray[np.int64] | None:
    """Return group labels as integers.

    Raises
    ------
    ValueError
        If there is not one group per record.
    """
    if groups is None:
        return None
    labels = np.asarray(groups)
    if labels.shape != (n_records,):
        raise ValueError(f"groups must hold one label per record: shape {labels.shape} for {n_records} records")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)
