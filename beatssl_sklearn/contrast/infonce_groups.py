"""InfoNCE between two views of a batch, in which items of one group (patient) are positives, in float32."""

from __future__ import annotations

import torch
from torch import Tensor

from .infonce import BLOCKED, check_temperature, unit_rows

REDUCTIONS = ("rowmean", "global")


def group_infonce(
    a: Tensor,
    b: Tensor,
    temperature: float,
    groups: Tensor | None = None,
    *,
    near: Tensor | None = None,
    reduction: str = "rowmean",
    intra_view_negatives: bool = False,
    mask_same_group: bool = False,
) -> Tensor:
    """Compute the symmetric cross-entropy between two views of the same items.

    S_ij = cos(a_i, b_j) / temperature. Item j is a positive of item i if both are of one group. Each row of S, and of
    its transpose, is compared with its positives, and both directions are averaged.

    Parameters
    ----------
    a, b : Tensor (n, d)
        Two views, row i of each from item i, at any scale.
    temperature : float
        Divisor of the cosines.
    groups : int64 Tensor (n,), optional
        Group of each item; None makes each item its own group.
    near : bool Tensor (n, n), optional
        Whether item i of a and item j of b, of one group, are positives. Those that are not near are left out: they are
        no negatives either. An item is always near to itself. None means that all of a group are near.
    reduction : {"rowmean", "global"}, default="rowmean"
        "rowmean": mean over the positives of a row, then over rows. "global": mean over all pairs of positives.
    intra_view_negatives : bool, default=False
        Whether each denominator also holds the other items of its own view (NT-Xent).
    mask_same_group : bool, default=False
        Leave other items of the group out of the denominators; the positive is then the other view alone.
        It makes `near` irrelevant.

    Returns
    -------
    Tensor
        Scalar with a gradient; 0 for fewer than two items, or where all items are of one group.

    Raises
    ------
    ValueError
        If shapes do not fit, the temperature is not positive, or the reduction is unknown.

    References
    ----------
    Oh J et al. CHIL 2022, arXiv 2203.06889 ("global"). Kiyasseh D et al. CLOCS. ICML 2021 (positives of a patient).
    Chen T et al. SimCLR. ICML 2020, equation 1 (negatives of the same view).
    """
    check_temperature(temperature)
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"a and b must be of one shape (n, d), got {tuple(a.shape)} and {tuple(b.shape)}")
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")
    n = len(a)
    if groups is not None and groups.shape != (n,):
        raise ValueError(f"groups must have shape ({n},), got {tuple(groups.shape)}")
    if near is not None and (near.shape != (n, n) or near.dtype != torch.bool):
        raise ValueError(f"near must be bool of shape ({n}, {n}), got {near.dtype} {tuple(near.shape)}")
    own = torch.eye(n, dtype=torch.bool, device=a.device)
    same = own if groups is None else groups[:, None] == groups
    if n < 2 or bool(same.all()):
        # The gradient, also 0, reaches every parameter.
        return (a.float().sum() + b.float().sum()) * 0
    positive = own if mask_same_group else same
    if near is not None:
        positive = own | (positive & near)
    blocked = same & ~positive
    with torch.autocast(device_type=a.device.type, enabled=False):
        a, b = unit_rows(a), unit_rows(b)
        across = (a @ b.T / temperature).masked_fill(blocked, BLOCKED)
        sides = []
        for view, logits, chosen in ((a, across, positive), (b, across.T, positive.T.contiguous())):
            every = logits
            if intra_view_negatives:
                # Others of a group are no negatives of each other.
                within = (view @ view.T / temperature).masked_fill(same, BLOCKED)
                every = torch.cat([logits, within], dim=1)
            cost = every.logsumexp(dim=1, keepdim=True) - logits
            sides.append(_mean_of(cost, chosen, reduction))
        return torch.stack(sides).mean()


def _mean_of(cost: Tensor, positive: Tensor, reduction: str) -> Tensor:
    chosen = torch.where(positive, cost, 0.0)
    if reduction == "global":
        return chosen.sum() / positive.sum()
    return (chosen.sum(dim=1) / positive.sum(dim=1)).mean()
