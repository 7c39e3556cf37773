"""Targets of the rhythm contrast: each row says which other views of the batch belong to an anchor.

Views are stacked as ``[first view of all records; second view of all records]``, so that record i has rows i and i + N.
Every target matrix is float32, (2N, 2N) and row-stochastic, with a zero diagonal.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["RhythmTargets", "hard_targets", "normalize_rows", "paper_targets", "rhythm_targets", "soft_targets"]

_KINDS = ("hard", "soft", "paper")
_SAME_GROUP = ("mask", "positive")


class RhythmTargets(NamedTuple):
    """Arguments of `soft_infonce`: `weights` (2N, 2N), and `excluded`, (2N, 2N) bool or None.

    Excluded pairs are neither positives nor negatives.
    """

    weights: Tensor
    excluded: Tensor | None


def _square(similarity: Tensor) -> Tensor:
    if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1]:
        raise ValueError(f"similarity must be (n_records, n_records), got {tuple(similarity.shape)}")
    return similarity.float()


def normalize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Scale rows to sum 1, and return which rows (n, 1) had a sum above 0; the other rows become 0."""
    total = x.sum(1, keepdim=True)
    some = total > torch.finfo(x.dtype).tiny
    return x * (some / torch.where(some, total, torch.ones_like(total))), some


def hard_targets(n: int, device: torch.device | str | None = None) -> Tensor:
    """Make one-hot targets: the other view of the same record, as in NT-Xent.

    Parameters
    ----------
    n : int
        Number of records.
    device : torch.device, optional
        Device of the result.

    Returns
    -------
    Tensor of shape (2 n, 2 n)
    """
    return torch.eye(2 * n, dtype=torch.float32, device=device).roll(n, 0)


def _same_patient(groups: Tensor) -> Tensor:
    """Mark the pairs of different records of one patient."""
    return (groups[:, None] == groups).fill_diagonal_(False)


def soft_targets(similarity: Tensor, soft_fraction: float, hard: Tensor | None = None) -> Tensor:
    """Make soft targets (1 - a) H + a W.

    H is one-hot. W holds row-normalised similarities to the other records, spread over their two views. A row without
    any similar record stays one-hot. If a = 0, or if all similarities off the diagonal are 0, the result equals
    `hard_targets` exactly.

    Parameters
    ----------
    similarity : Tensor of shape (n_records, n_records)
        Not negative; rows are anchors; can be asymmetric; the diagonal is ignored.
    soft_fraction : float
        a, between 0 and 1.
    hard : Tensor of shape (2 n_records, 2 n_records), optional
        Replaces the one-hot part H.

    Returns
    -------
    Tensor of shape (2 n_records, 2 n_records)

    Raises
    ------
    ValueError
        If `soft_fraction` is not between 0 and 1, or `similarity` is not square.
    """
    if not 0 <= soft_fraction <= 1:
        raise ValueError(f"soft_fraction must lie between 0 and 1, got {soft_fraction!r}")
    weights, some = normalize_rows(_square(similarity).clone().fill_diagonal_(0.0))
    hard = hard_targets(len(similarity), similarity.device) if hard is None else hard
    fraction = soft_fraction * some.float().repeat(2, 1)
    return (1 - fraction) * hard + fraction * (weights / 2).repeat(2, 2)


def paper_targets(similarity: Tensor, exponent: float = 1.0) -> Tensor:
    """Make the published target matrix, row-normalised.

    It is similarity ** exponent, tiled 2 x 2, with 0 for an anchor itself and 1 for its other view. The publication
    shows it before any normalisation; to divide rows by their sum is this package's reading.

    Parameters
    ----------
    similarity : Tensor of shape (n_records, n_records)
        Between 0 and 1; the diagonal is ignored.
    exponent : float
        1 and 50 in the publication; infinity gives the hard targets if no two records have similarity 1.

    Returns
    -------
    Tensor of shape (2 n_records, 2 n_records)

    Raises
    ------
    ValueError
        If `exponent` is not positive, or `similarity` is not square.

    References
    ----------
    Rizqyawan et al. Beat-SSL. ISBI 2026, arXiv 2601.16147, figure of the soft targets.
    """
    if not exponent > 0:
        raise ValueError(f"exponent must be positive, got {exponent!r}")
    tiled = _square(similarity).pow(exponent).fill_diagonal_(1.0).repeat(2, 2).fill_diagonal_(0.0)
    return normalize_rows(tiled)[0]


def rhythm_targets(
    kind: str,
    similarity: Tensor | None = None,
    soft_fraction: float = 0.5,
    groups: Tensor | None = None,
    same_group: str = "mask",
    *,
    n_records: int | None = None,
    device: torch.device | str | None = None,
) -> RhythmTargets:
    """Make the targets of a batch by name.

    Parameters
    ----------
    kind : {"hard", "soft", "paper"}
        `hard_targets`, `soft_targets` or `paper_targets`.
    similarity : Tensor of shape (n_records, n_records), optional
        Between 0 and 1, after the exponent; "hard" uses only its size.
    soft_fraction : float
        Share of the similarity in "soft".
    groups : integer Tensor of shape (n_records,), optional
        Patient of each record. Records of one patient are never negatives of each other.
    same_group : {"mask", "positive"}
        "mask": other records of the patient are left out of targets and denominators. "positive": the one-hot part is
        spread evenly over the other view and both views of the patient's other records ("paper": their similarity is
        1).
    n_records, device
        Size and device, for "hard" without `similarity` and `groups`.

    Returns
    -------
    RhythmTargets
        `weights`, and `excluded` (None if nothing is masked), for `soft_infonce`.

    Raises
    ------
    ValueError
        If `kind` or `same_group` is unknown, or if no argument gives the size of the batch.
    """
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {_KINDS}, got {kind!r}")
    if same_group not in _SAME_GROUP:
        raise ValueError(f"same_group must be one of {_SAME_GROUP}, got {same_group!r}")
    if similarity is None:
        if kind != "hard":
            raise ValueError(f"kind={kind!r} needs a similarity")
        similarity = _no_similarity(groups, n_records, device)
    similarity = _square(similarity)
    hard, excluded = hard_targets(len(similarity), similarity.device), None
    if groups is not None:
        if groups.shape != (len(similarity),):
            raise ValueError(f"groups must be ({len(similarity)},), got {tuple(groups.shape)}")
        same = _same_patient(groups)
        if same_group == "mask":
            excluded = same.repeat(2, 2)
            similarity = similarity.masked_fill(same, 0.0)
        else:
            hard = normalize_rows(hard + same.repeat(2, 2))[0]
            if kind == "paper":
                similarity = similarity.masked_fill(same, 1.0)
    if kind == "soft":
        return RhythmTargets(soft_targets(similarity, soft_fraction, hard), excluded)
    return RhythmTargets(hard if kind == "hard" else paper_targets(similarity), excluded)


def _no_similarity(groups: Tensor | None, n_records: int | None, device: torch.device | str | None) -> Tensor:
    if groups is not None:
        return torch.zeros(len(groups), len(groups), dtype=torch.float32, device=groups.device)
    if n_records is None:
        raise ValueError("n_records is needed if neither similarity nor groups give the size of the batch")
    return torch.zeros(n_records, n_records, dtype=torch.float32, device=device)
