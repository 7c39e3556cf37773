"""Contrastive losses with soft targets, in float32 under any autocast."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["InfoNCE", "phase_contrast", "soft_infonce"]

#: Logit of what is left out. Finite, so that a row without any candidate gives a number and a zero gradient instead of
#: NaN.
BLOCKED = -1e30
_SMALLEST_NORM = 1e-6


class InfoNCE(NamedTuple):
    """A loss (scalar, with gradient) and its excess over the entropy of the targets, `kl` (scalar, no gradient, >= 0).

    With nearly uniform targets the loss sits near log(M - 1) whatever the embedding does; `kl` shows what is left to
    learn.
    """

    loss: Tensor
    kl: Tensor


def unit_rows(z: Tensor) -> Tensor:
    """Rows of length 1, float32 (float64 if z is)."""
    return F.normalize(z if z.dtype == torch.float64 else z.float(), dim=-1, eps=_SMALLEST_NORM)


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless the temperature is a positive finite number."""
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature!r}")


def nothing_to_compare(z: Tensor) -> InfoNCE:
    """Loss 0 that still reaches every parameter."""
    zero = z.float().sum() * 0
    return InfoNCE(zero, zero.detach())


def soft_infonce(z: Tensor, targets: Tensor, temperature: float, excluded: Tensor | None = None) -> InfoNCE:
    """Cross-entropy between targets and the softmax of cosine similarities.

    L = -(1/M) sum_ij W_ij log p_ij, with p_ij the softmax over j != i (and not excluded) of cos(z_i, z_j) /
    temperature. One-hot targets make it NT-Xent. Rows of zeros are no anchors: M counts the others.

    Parameters
    ----------
    z : Tensor of shape (m, d)
        Embeddings of all views, any scale.
    targets : Tensor of shape (m, m)
        Row-stochastic (or all-zero) rows, zero on the diagonal and on excluded pairs.
    temperature : float
        Divides the cosines.
    excluded : bool Tensor of shape (m, m) or broadcastable to it, optional
        Pairs that are left out of the denominators.

    Returns
    -------
    InfoNCE
        `loss` and `kl`; 0 where fewer than two views or no anchors are given.

    Raises
    ------
    ValueError
        If `temperature` is not positive and finite, or the shapes differ.

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
    """Mean over the rows that have a target; leading dimensions are flattened into rows."""
    n_anchors = (targets.sum(-1) > 0).sum().clamp(min=1)
    loss = -(targets * log_p).sum() / n_anchors
    entropy = -torch.xlogy(targets, targets).sum() / n_anchors
    return InfoNCE(loss, (loss.detach() - entropy).clamp(min=0))


def phase_contrast(tokens1: Tensor, tokens2: Tensor, temperature: float, k: float = 1.0) -> InfoNCE:
    """Contrast of the positions within each beat: the same position in the other view is the positive.

    Each beat is a batch of its own, of 2 * bins views. The targets fall off with the distance of the positions, w = 2 /
    (1 + exp(k |u - u'|)) with u counted in bins, self excluded, rows normalised. A large `k` gives one-hot targets.

    Parameters
    ----------
    tokens1, tokens2 : Tensors of shape (n_beats, bins, d)
        The same beats in the two views.
    temperature : float
        Divides the cosines.
    k : float
        Steepness [1 / bin], not negative.

    Returns
    -------
    InfoNCE
        `loss` and `kl`; 0 where there is no beat or only one bin.

    Raises
    ------
    ValueError
        If the shapes differ, `temperature` is not positive and finite, or `k` is negative.

    References
    ----------
    Lee S, Park T, Lee K. Soft contrastive learning for time series (SoftCLT). ICLR 2024, the temporal assignment. Its
    use within heartbeats is this package's own.
    """
    check_temperature(temperature)
    if not k >= 0:
        raise ValueError(f"k must not be negative, got {k!r}")
    if tokens1.ndim != 3 or tokens1.shape != tokens2.shape:
        raise ValueError(
            f"tokens1 and tokens2 must be (n_beats, bins, d), got {tuple(tokens1.shape)} and {tuple(tokens2.shape)}"
        )
    n_beats, bins, _ = tokens1.shape
    if n_beats == 0 or bins < 2:
        return nothing_to_compare(tokens1 + tokens2)
    with torch.autocast(device_type=tokens1.device.type, enabled=False):
        unit = unit_rows(torch.cat([tokens1, tokens2], 1))
        position = torch.arange(bins, device=unit.device, dtype=unit.dtype).repeat(2)
        itself = torch.eye(2 * bins, dtype=torch.bool, device=unit.device)
        closeness = (2 * torch.sigmoid(-k * (position[:, None] - position).abs())).masked_fill(itself, 0.0)
        targets = closeness / closeness.sum(1, keepdim=True)
        logits = (torch.bmm(unit, unit.mT) / temperature).masked_fill(itself, BLOCKED)
        return _cross_entropy(F.log_softmax(logits, dim=2), targets.expand_as(logits))
