"""InfoNCE for thousands of beats: gradient in closed form, in chunks of rows, with memory linear in their number."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .infonce import BLOCKED, InfoNCE, check_temperature, nothing_to_compare, unit_rows

__all__ = ["TargetRows", "chunked_infonce"]


class TargetRows(Protocol):
    """Makes rows of a target matrix (m, m) on demand, so that the whole matrix never exists."""

    def __call__(self, rows: slice) -> tuple[Tensor, Tensor | None]:
        """Return targets and exclusions of some anchors.

        Parameters
        ----------
        rows : slice
            ``slice(start, stop)`` of anchors.

        Returns
        -------
        targets : Tensor of shape (stop - start, m)
            Rows with sum 1, or 0 if the anchor does not count; 0 on the diagonal and on excluded pairs. The caller may
            overwrite them.
        excluded : bool Tensor broadcastable to (stop - start, m), or None
            Pairs to leave out of the denominators; an anchor itself is always left out.
        """
        ...


def chunked_infonce(z: Tensor, rows: TargetRows, temperature: float, chunk: int = 512) -> InfoNCE:
    """Compute `soft_infonce` without a matrix of all pairs.

    Each chunk of rows gives logits, loss and gradient in one pass, in closed form: dL/ds_ij = (p_ij sum_j W_ij - W_ij)
    / M. Only the gradient with respect to the embeddings is kept. There is no second derivative.

    Parameters
    ----------
    z : Tensor of shape (m, d)
        Embeddings of all views of all beats, any scale.
    rows : callable
        Targets by rows, see `TargetRows`; for example `HardBeatTargets` or `SoftBeatTargets`.
    temperature : float
        Divisor of the cosines.
    chunk : int
        Rows per step; memory grows with ``chunk * m``.

    Returns
    -------
    InfoNCE
        `loss` and `kl`, means over the anchors that have a target; 0 if no anchor has one.

    Raises
    ------
    ValueError
        If `z` is not 2-D, if `temperature` is not positive and finite, or if `chunk` is not positive.
    """
    check_temperature(temperature)
    if z.ndim != 2:
        raise ValueError(f"z must be (m, d), got {tuple(z.shape)}")
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1, got {chunk!r}")
    if len(z) < 2:
        return nothing_to_compare(z)
    with torch.autocast(device_type=z.device.type, enabled=False):
        return InfoNCE(*_ChunkedInfoNCE.apply(unit_rows(z), rows, temperature, chunk))


class _ChunkedInfoNCE(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, unit: Tensor, rows: TargetRows, temperature: float, chunk: int) -> tuple[Tensor, Tensor]:
        gradient = torch.zeros_like(unit) if ctx.needs_input_grad[0] else None
        sums = unit.new_zeros(3)
        for start in range(0, len(unit), chunk):
            sums += _one_chunk(unit, rows, temperature, slice(start, min(start + chunk, len(unit))), gradient)
        loss, entropy, n_anchors = sums.unbind()
        n_anchors = n_anchors.clamp(min=1)
        loss = loss / n_anchors
        kl = (loss - entropy / n_anchors).clamp(min=0)
        if gradient is not None:
            ctx.save_for_backward(gradient.div_(n_anchors * temperature))
        ctx.mark_non_differentiable(kl)
        return loss, kl

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_outputs[0], None, None, None


def _one_chunk(unit: Tensor, rows: TargetRows, temperature: float, part: slice, gradient: Tensor | None) -> Tensor:
    """Sum cross-entropy, target entropy and number of anchors over some rows; add to `gradient` in place."""
    anchors = unit[part]
    targets, excluded = rows(part)
    targets = targets.to(unit.dtype)
    logits = (anchors / temperature) @ unit.T
    if excluded is not None:
        logits.masked_fill_(excluded, BLOCKED)
    logits.diagonal(part.start).fill_(BLOCKED)
    attracted = torch.dot(targets.flatten(), logits.flatten())
    # Relative to the largest logit, so that no exponential overflows.
    top = logits.amax(1, keepdim=True)
    p = logits.sub_(top).exp_()
    total = p.sum(1, keepdim=True)
    mass = targets.sum(1, keepdim=True)
    loss = (mass * (top + total.log())).sum() - attracted
    entropy = torch.special.entr(targets).sum()
    if gradient is not None:
        difference = p.mul_(mass / total).sub_(targets)
        gradient[part].addmm_(difference, unit)
        gradient.addmm_(difference.T, anchors)
    return torch.stack([loss, entropy, (mass > 0).sum().to(loss.dtype)])
