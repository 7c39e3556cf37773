"""Groups of records (patients): codes, hold-outs, nested subsets, folds.

scikit-learn's splitters do not replace these. `StratifiedGroupKFold` takes one label per record; `GroupShuffleSplit`
draws other groups from the same seed, and published splits would change.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .labels import as_ids, as_labels, check_labels

# Random hold-outs, of which `hold_out_balanced_groups` takes the one with the most even class shares.
_CANDIDATES = 64


def group_codes(groups: ArrayLike | None, n_records: int, name: str = "groups") -> NDArray[np.int64]:
    """Encode groups as integers from 0; without groups, each record is its own group.

    Parameters
    ----------
    groups : array-like of shape (n_records,) or None
        Label of each record's group.
    n_records : int
        Number of records.
    name : str, default="groups"
        Name of the parameter, for messages.

    Returns
    -------
    ndarray of int64, shape (n_records,)
        Equal for records of one group.

    Raises
    ------
    ValueError, TypeError
        If there is not one group per record, a group is missing (None, NaN, NaT or pandas' NA; the message names the
        record), or groups are of unlike types, such as 1 and "1".
    """
    if groups is None:
        return np.arange(n_records)
    labels = as_ids(groups, n_records, name)
    check_labels(labels, name, "group")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def hold_out_groups(groups: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Hold out whole groups at random.

    Parameters
    ----------
    groups : ndarray of shape (n,)
        Group of each record.
    fraction : float
        Share of the groups to hold out; at least one group is.
    seed : int

    Returns
    -------
    ndarray of bool of shape (n,)
        Which records are held out; all of them if there is one group.
    """
    names = np.random.default_rng([seed, 1]).permutation(np.unique(groups))
    return np.isin(groups, names[: max(1, round(fraction * len(names)))])


def hold_out_balanced_groups(
    table: NDArray[np.bool_], groups: NDArray[np.int64], fraction: float, seed: int
) -> NDArray[np.bool_] | None:
    """Hold out whole groups such that both sides have similar shares of each class.

    Parameters
    ----------
    table : ndarray of bool of shape (n, n_classes)
        Which record belongs to which class.
    groups : ndarray of shape (n,)
        Group of each record.
    fraction : float
        Share of the records to hold out, and of the records of each class.
    seed : int

    Returns
    -------
    ndarray of bool of shape (n,) or None
        Which records are held out. None if every draw leaves fewer than two records, or none of some class.
    """
    code = np.unique(groups, return_inverse=True)[1]
    n_groups = int(code.max()) + 1
    # Records of each group, all of them and those of each class.
    counts = np.zeros((n_groups, table.shape[1] + 1))
    np.add.at(counts, code, np.hstack([np.ones((len(table), 1)), table]))
    total = counts.sum(axis=0)
    rng = np.random.default_rng([seed, 1])
    best, chosen = np.inf, None
    for _ in range(_CANDIDATES if n_groups > 1 else 0):
        order = rng.permutation(n_groups)
        size = np.cumsum(counts[order, 0])
        n_held = min(n_groups - 1, int(np.searchsorted(size, fraction * len(table))) + 1)
        held = counts[order[:n_held]].sum(axis=0)
        if (total - held)[1:].min() < 1 or total[0] - held[0] < 2:
            continue
        # Squared deviations from the wanted counts, as in Pearson's chi square.
        off = float((((held - fraction * total) ** 2) / np.maximum(fraction * total, 1)).sum())
        if off < best:
            best, chosen = off, order[:n_held]
    return None if chosen is None else np.isin(code, chosen)


def group_folds(groups: NDArray[np.int64], n_folds: int, seed: int) -> NDArray[np.bool_]:
    """Split records into folds of whole groups at random, whatever their labels.

    Parameters
    ----------
    groups : ndarray of shape (n,)
        Group of each record.
    n_folds : int
        Number of folds; not more than there are groups.
    seed : int

    Returns
    -------
    ndarray of bool of shape (n_folds, n)
        Which records each fold holds out; no fold if there is one group.
    """
    code = np.unique(groups, return_inverse=True)[1]
    n_groups = int(code.max()) + 1
    n_folds = min(n_folds, n_groups) if n_groups > 1 else 0
    fold = np.random.default_rng([seed, 2]).permutation(n_groups)[code] * n_folds // n_groups
    return np.asarray(fold == np.arange(n_folds)[:, None])


def nested_subsets(
    y: ArrayLike,
    groups: ArrayLike | None,
    fractions: Sequence[float],
    seed: int = 0,
    *,
    min_positives: int = 3,
) -> NDArray[np.bool_]:
    """Draw subsets of records that grow by whole groups; each subset holds every smaller one.

    Each group belongs to the rarest label among its records. Every fraction takes the same share of the records of each
    label, so that rare labels are neither lost nor multiplied.

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
        Least number of groups with each class in the smallest subset, if there are as many; it grows for that.

    Returns
    -------
    ndarray of bool of shape (n_fractions, n)
        A mask for each fraction, in the order given.

    Raises
    ------
    ValueError
        If a fraction is out of range, shapes disagree, or a label or a group is missing; the message names its record.
    """
    wanted = np.asarray(fractions, dtype=np.float64)
    if wanted.ndim != 1 or not len(wanted) or not ((wanted > 0) & (wanted <= 1)).all():
        raise ValueError(f"fractions must hold numbers above 0 and up to 1, got {fractions!r}")
    table = _indicator(y)
    code = group_codes(groups, len(table))
    place = _spread_groups(table, code, seed)
    of_group = _labels_of_groups(table, code)
    # The first groups of each class move to place 0, where every subset takes them.
    for k in np.argsort(of_group.sum(axis=0), kind="stable"):
        members = np.flatnonzero(of_group[:, k])
        place[members[np.argsort(place[members], kind="stable")[:min_positives]]] = 0.0
    masks: NDArray[np.bool_] = place[code] <= wanted[:, None]
    return masks


def held_out_folds(y: ArrayLike, groups: ArrayLike | None, n_folds: int, seed: int = 0) -> NDArray[np.bool_]:
    """Split records into folds of whole groups, each with its share of every label.

    Parameters
    ----------
    y, groups : as for :func:`nested_subsets`
    n_folds : int
        At most as many as there are groups.
    seed : int, default=0

    Returns
    -------
    ndarray of bool of shape (n_folds, n)
        Which records each fold holds out.
    """
    table = _indicator(y)
    code = group_codes(groups, len(table))
    # Groups in order of stratum, and at random within one; folds take turns, so each gets its share of a stratum.
    rank = np.argsort(np.argsort(_stratum(table, code) + _spread_groups(table, code, seed), kind="stable"))
    folds: NDArray[np.bool_] = (rank % n_folds)[code] == np.arange(n_folds)[:, None]
    return folds


def _spread_groups(table: NDArray[np.bool_], code: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Place each group in (0, 1) at random such that the records of every stratum are spread evenly over it."""
    stratum = _stratum(table, code)
    size = np.bincount(code).astype(np.float64)
    place = np.empty(len(size))
    shuffled = np.random.default_rng(seed).permutation(len(size))
    for s in np.unique(stratum):
        members = shuffled[stratum[shuffled] == s]
        # The middle of the group's records in the queue of its stratum.
        place[members] = (np.cumsum(size[members]) - 0.5 * size[members]) / size[members].sum()
    return place


def _stratum(table: NDArray[np.bool_], code: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rarest label of each group, or the number of labels for a group without any."""
    of_group = _labels_of_groups(table, code)
    rarest_first = np.argsort(of_group.sum(axis=0), kind="stable")
    first = of_group[:, rarest_first].argmax(axis=1)
    return np.where(of_group.any(axis=1), rarest_first[first], table.shape[1])


def _labels_of_groups(table: NDArray[np.bool_], code: NDArray[np.int64]) -> NDArray[np.bool_]:
    of_group: NDArray[np.bool_] = np.zeros((int(code.max()) + 1, table.shape[1]), dtype=bool)
    np.logical_or.at(of_group, code, table)
    return of_group


def _indicator(y: ArrayLike) -> NDArray[np.bool_]:
    """Return labels as a table of bool: classes become columns, a table stays."""
    target = as_labels(y)
    if target.ndim not in (1, 2) or not len(target):
        raise ValueError(f"y must have shape (n,) or (n, n_classes), got {target.shape}")
    check_labels(target, "y")
    if target.ndim == 2:
        return target.astype(bool)
    return target[:, None] == np.unique(target)
