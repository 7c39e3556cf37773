"""The contrastive loss (InfoNCE) with soft targets, in float32 under any autocast."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["BLOCKED", "InfoNCE", "check_temperature", "nothing_to_compare", "soft_infonce", "unit_rows"]

BLOCKED = -1e30
"""Logit of excluded pairs. Finite, so that a row without candidates gives a number and a zero gradient, not NaN."""

_SMALLEST_NORM = 1e-6


class InfoNCE(NamedTuple):
    """A loss (scalar, with gradient), and `kl`, its excess over the entropy of the targets (scalar, no gradient, >= 0).

    With nearly uniform targets the loss stays near log(M - 1) for any embedding; `kl` shows what is left to learn.
    """

    loss: Tensor
    kl: Tensor


def unit_rows(z: Tensor) -> Tensor:
    """Scale rows to length 1, float32 (float64 if z is). Rows shorter than 1e-6 become 0, without a gradient."""
    z = z if z.dtype == torch.float64 else z.float()
    # A row of zeros has no direction. Divided by the smallest norm, its gradient would be a million times too large.
    short = torch.linalg.vector_norm(z.detach(), dim=-1, keepdim=True) < _SMALLEST_NORM
    return torch.where(short, 0.0, F.normalize(z, dim=-1, eps=_SMALLEST_NORM))


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless the temperature is a positive finite number."""
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature!r}")


def nothing_to_compare(z: Tensor) -> InfoNCE:
    """Return a loss of 0 whose gradient, also 0, reaches every parameter."""
    zero = z.float().sum() * 0
    return InfoNCE(zero, zero.detach())


def soft_infonce(z: Tensor, targets: Tensor, temperature: float, excluded: Tensor | None = None) -> InfoNCE:
    """Compute the cross-entropy between targets and the softmax of cosine similarities.

    L = -(1/M) sum_ij W_ij log p_ij, where p_ij is the softmax of cos(z_i, z_j) / temperature over all j != i that are
    not excluded. With one-hot targets it is NT-Xent. Rows of zeros are no anchors, and M counts the other rows.

    Parameters
    ----------
    z : Tensor of shape (m, d)
        Embeddings of all views, any scale.
    targets : Tensor of shape (m, m)
        Row-stochastic (or all-zero) rows, zero on the diagonal and on excluded pairs.
    temperature : float
        Divisor of the cosines.
    excluded : bool Tensor of shape (m, m) or broadcastable to it, optional
        Pairs to leave out of the denominators.

    Returns
    -------
    InfoNCE
        `loss` and `kl`; 0 for fewer than two views or without anchors.

    Raises
    ------
    ValueError
        If `temperature` is not positive and finite, or if shapes do not fit.

    References
    ----------
    Chen T et al. SimCLR. ICML 2020, equation 1 (NT-Xent). Rizqyawan et al. Beat-SSL. ISBI 2026, arXiv 2601.16147 (soft
    targets).
    """
    check_temperature(temperature)
    if z.ndim != 2 or targets.shape != (len(z), len(z)):
        raise ValueError(f"z must be (m, d) and targets (m, m), got {tuple(z.shape)} and {tuple(targets.shape)}")
    if len(z) < 2:
        return nothing_to_compare(z)
    with torch.autocast(device_type=z.device.type, enabled=False):
        unit = unit_rows(z)
        blocked = torch.eye(len(z), dtype=torch.bool, device=z.device)
        if excluded is not None:
            blocked = blocked | excluded
        log_p = F.log_softmax((unit @ unit.T / temperature).masked_fill(blocked, BLOCKED), dim=1)
        return _cross_entropy(log_p, targets.to(unit.dtype))


def _cross_entropy(log_p: Tensor, targets: Tensor) -> InfoNCE:
    """Average over the rows that have a target."""
    n_anchors = (targets.sum(-1) > 0).sum().clamp(min=1)
    loss = -(targets * log_p).sum() / n_anchors
    entropy = -torch.xlogy(targets, targets).sum() / n_anchors
    return InfoNCE(loss, (loss.detach() - entropy).clamp(min=0))
