"""One-dimensional RoIAlign: means over windows of a feature map, without rounding of the borders.

One weighted ``embedding_bag`` on the flattened map computes all windows of a batch at once, forward and backward.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Narrower windows [tokens] are widened, because the mean over nothing is not defined.
_MIN_WIDTH = 1e-4


def sample_to_token(s: Tensor, stride: float) -> Tensor:
    """Return the token coordinate of sample `s`: ``u = (s + .5) / stride - .5``, float64."""
    return (s.to(torch.float64) + 0.5) / stride - 0.5


def roi_align_1d(e: Tensor, record: Tensor, start: Tensor, end: Tensor, bins: int = 1) -> Tensor:
    """Compute the exact mean of the linearly interpolated map in each bin of each window.

    Parameters
    ----------
    e : Tensor of shape (n, n_tokens, d)
        Feature map, any floating dtype.
    record : int64 Tensor of shape (n_rois,)
        Row of `e` of each window.
    start, end : Tensor of shape (n_rois,)
        Borders in token coordinates, see `sample_to_token`. Beyond its ends the map continues with its first or last
        token.
    bins : int
        Number of equal parts of a window.

    Returns
    -------
    Tensor of shape (n_rois, bins, d)
        float32, also under autocast; with a bfloat16 map each sum is rounded to bfloat16 once. Differentiable with
        respect to `e`.

    Raises
    ------
    ValueError
        If shapes do not fit or `bins` is not positive. For CPU tensors, also if a window ends before it starts or
        belongs to no record.

    Notes
    -----
    On CUDA the host does not wait if `record`, `start` and `end` are CPU tensors: only indices and weights are copied.

    References
    ----------
    He et al., "Mask R-CNN", ICCV 2017, section 3 (RoIAlign).
    """
    if e.ndim != 3:
        raise ValueError(f"e must have shape (n, n_tokens, d), got {tuple(e.shape)}")
    if not record.shape == start.shape == end.shape == (record.numel(),):
        shapes = tuple(record.shape), tuple(start.shape), tuple(end.shape)
        raise ValueError(f"record, start and end must have one shape (n_rois,), got {shapes}")
    if bins < 1:
        raise ValueError(f"bins must be positive, got {bins!r}")
    n, n_tokens, d = e.shape
    n_rois = record.numel()
    if n_rois == 0:
        return e[:0, :1].float().expand(0, bins, d)
    if start.device.type == end.device.type == "cpu" and bool((start > end).any()):
        raise ValueError("start must not be greater than end")
    if record.device.type == "cpu" and not 0 <= int(record.min()) <= int(record.max()) < n:
        raise ValueError(f"record must be in [0, {n}), got {int(record.min())} to {int(record.max())}")
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=start.device)
    borders = torch.lerp(start.double()[:, None], end.double()[:, None], edges)
    left, right = borders[:, :-1], borders[:, 1:]
    token, weight, total = _integral_taps(left, right)
    index = token.clamp_(0, n_tokens - 1).add_(n_tokens * record.to(token.device)[:, None, None]).flatten(0, 1)
    # A bfloat16 map is read as it is, with sums in float32. Weights of whole tokens are 1, exact in bfloat16, because
    # the division by their total comes last.
    dtype = torch.bfloat16 if e.dtype == torch.bfloat16 else torch.float32
    with torch.autocast(e.device.type, enabled=False):
        summed: Tensor = _WeightedSum.apply(
            e.reshape(n * n_tokens, d).to(dtype),
            index.to(e.device, non_blocking=True),
            weight.flatten(0, 1).to(e.device, dtype, non_blocking=True),
        )
        return summed.float().view(n_rois, bins, d) / total.float().to(e.device, non_blocking=True)


def beat_embeddings(e: Tensor, record: Tensor, start: Tensor, end: Tensor, phases: int) -> Tensor:
    """Compute the mean token in each of `phases` equal parts of each beat, side by side: ``(n_beats, phases * d)``.

    The parameters are the same as in `roi_align_1d`.
    """
    return roi_align_1d(e, record, start, end, bins=phases).flatten(1)


def mean_beats(beats: Tensor, record: Tensor, e: Tensor) -> Tensor:
    """Average the embeddings of each record's beats; a record without beats has its mean token in every phase.

    Parameters
    ----------
    beats : Tensor of shape (n_beats, phases * d)
        From `beat_embeddings`.
    record : int64 Tensor of shape (n_beats,)
        Row of `e` of each beat.
    e : Tensor of shape (n, n_tokens, d)
        Feature map.

    Returns
    -------
    Tensor of shape (n, phases * d)
        float32.
    """
    record = record.to(e.device)
    n_beats = torch.bincount(record, minlength=len(e))[:, None]
    total = beats.new_zeros((len(e), beats.shape[1])).index_add(0, record, beats)
    beatless = e.mean(1, dtype=torch.float32).repeat(1, beats.shape[1] // e.shape[2])
    return torch.where(n_beats > 0, total / n_beats.clamp_min(1), beatless)


class _WeightedSum(torch.autograd.Function):
    """Weighted sums of rows by ``embedding_bag``; the backward is one, too, which makes it fast and deterministic."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(index, weight)
        ctx.n_rows = len(rows)
        return F.embedding_bag(index, rows, mode="sum", per_sample_weights=weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        index, weight = ctx.saved_tensors
        # Sorted by row, the gradient of a row is again one weighted sum.
        row, order = index.flatten().sort(stable=True)
        offsets = torch.searchsorted(row, torch.arange(ctx.n_rows, device=row.device))
        bag = order.div(index.shape[1], rounding_mode="floor")
        weight = weight.flatten()[order]
        return F.embedding_bag(bag, grad.contiguous(), offsets, mode="sum", per_sample_weights=weight), None, None


def _integral_taps(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return tokens, their weights ``(n_rois, bins, n_taps)`` in the integral over [left, right], and its length."""
    middle, half = (left + right) / 2, ((right - left) / 2).clamp_min(_MIN_WIDTH / 2)
    left, right = middle - half, middle + half
    first = left.floor()
    n_taps = int((right.ceil() - first).max()) + 1
    token = first[..., None] + torch.arange(n_taps, device=left.device)
    weight = _hat_integral(right[..., None] - token) - _hat_integral(left[..., None] - token)
    return token.long(), weight, 2 * half[..., None]


def _hat_integral(v: Tensor) -> Tensor:
    """Integrate the hat function max(0, 1 - abs(t)) from -1 to v."""
    v = v.clamp(-1, 1)
    return 0.5 + v - 0.5 * v * v.abs()
