"""The local loss: a hidden token is to be told from other hidden tokens of its record."""

from __future__ import annotations

import torch
from torch import Tensor

from .infonce import check_temperature, unit_rows


def token_contrast(context: Tensor, targets: Tensor, temperature: float, negatives: Tensor | None = None) -> Tensor:
    """Compute the cross-entropy of finding each token among the tokens of its record.

    L = mean over tokens t of [log sum_q exp(cos(c_t, q) / temperature) - cos(c_t, y_t) / temperature], where q is y_t
    and its negatives.

    Parameters
    ----------
    context : Tensor (n, m, d)
        What the network says of each of m hidden tokens of n records.
    targets : Tensor (n, m, d)
        What they are.
    temperature : float
        Divisor of the cosines.
    negatives : bool Tensor (n, m, m), optional
        Which targets (last axis) are negatives of each token; all others by default.

    Returns
    -------
    Tensor
        Scalar, float32; 0 with a gradient for fewer than two tokens. A negative that equals the target counts as none.

    Raises
    ------
    ValueError
        If shapes do not fit or the temperature is not positive.

    References
    ----------
    Baevski A et al. wav2vec 2.0. NeurIPS 2020, equation 3.
    """
    check_temperature(temperature)
    if context.ndim != 3 or context.shape != targets.shape:
        raise ValueError(
            f"context and targets must be of one shape (n, m, d), got {tuple(context.shape)} and {tuple(targets.shape)}"
        )
    m = context.shape[1]
    if m < 2 or not len(context):
        return (context.float().sum() + targets.float().sum()) * 0
    with torch.autocast(context.device.type, enabled=False):
        context, targets = unit_rows(context), unit_rows(targets)
        logits = context @ targets.transpose(1, 2) / temperature
        own = torch.eye(m, dtype=torch.bool, device=logits.device)
        with torch.no_grad():
            left_out = _equal_rows(targets)
            if negatives is not None:
                left_out = left_out | ~negatives
        every = logits.masked_fill(left_out & ~own, -torch.inf)
        return (every.logsumexp(2) - logits.diagonal(dim1=1, dim2=2)).mean()


def _equal_rows(targets: Tensor) -> Tensor:
    """Return which unit rows are equal to rounding (n, m, m)."""
    return targets @ targets.transpose(1, 2) > 1 - 1e-6
