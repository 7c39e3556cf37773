"""One-dimensional RoIAlign: means over windows of a feature map, without rounding.

One weighted ``embedding_bag`` on the flattened map does all windows of a batch at once, forward and backward.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# A window narrower than this [tokens] is widened: the mean of nothing is not defined.
_MIN_WIDTH = 1e-4


def sample_to_token(s: Tensor, stride: float) -> Tensor:
    """Token coordinate of sample `s`: ``u = (s + .5) / stride - .5``, float64."""
    return (s.to(torch.float64) + 0.5) / stride - 0.5


def roi_align_1d(
    e: Tensor, record: Tensor, start: Tensor, end: Tensor, bins: int = 1, sampling: int | None = None
) -> Tensor:
    """Mean of the linearly interpolated map in each bin of each window.

    Parameters
    ----------
    e : Tensor of shape (n, n_tokens, d)
        Feature map, any floating dtype.
    record : int64 Tensor of shape (n_rois,)
        Row of `e` of each window.
    start, end : Tensor of shape (n_rois,)
        Borders in token coordinates, see `sample_to_token`. Beyond the map its first or last token continues.
    bins : int
        Equal parts that a window is cut into.
    sampling : int, optional
        Points per bin, spread evenly. ``None`` is the limit of infinitely many: the exact mean of the interpolated
        map, and the faster one since every token is read once.

    Returns
    -------
    Tensor of shape (n_rois, bins, d)
        float32, also under autocast; from a bfloat16 map, each sum is rounded to bfloat16 once. Differentiable with
        respect to `e`.

    Raises
    ------
    ValueError
        If shapes do not fit, `bins` or `sampling` is not positive, or, seen on the CPU only, a window ends before it
        starts or lies in no record.

    Notes
    -----
    On CUDA there is no synchronisation with the host if `record`, `start` and `end` are CPU tensors (only indices and
    weights travel), or if `sampling` is given.

    References
    ----------
    He et al., "Mask R-CNN", ICCV 2017, section 3 (RoIAlign).
    """
    if e.ndim != 3:
        raise ValueError(f"e must have shape (n, n_tokens, d), got {tuple(e.shape)}")
    if not record.shape == start.shape == end.shape == (record.numel(),):
        shapes = tuple(record.shape), tuple(start.shape), tuple(end.shape)
        raise ValueError(f"record, start and end must have one shape (n_rois,), got {shapes}")
    if bins < 1 or (sampling is not None and sampling < 1):
        raise ValueError(f"bins and sampling must be positive, got {bins!r} and {sampling!r}")
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
    token, weight, total = _integral_taps(left, right) if sampling is None else _sampled_taps(left, right, sampling)
    index = token.clamp_(0, n_tokens - 1).add_(n_tokens * record.to(token.device)[:, None, None]).flatten(0, 1)
    # A bfloat16 map is read as it is (sums are float32); weights of whole tokens are 1, and divided only afterwards.
    dtype = torch.bfloat16 if e.dtype == torch.bfloat16 else torch.float32
    with torch.autocast(e.device.type, enabled=False):
        summed: Tensor = _WeightedSum.apply(
            e.reshape(n * n_tokens, d).to(dtype),
            index.to(e.device, non_blocking=True),
            weight.flatten(0, 1).to(e.device, dtype, non_blocking=True),
        )
        return summed.float().view(n_rois, bins, d) / total.float().to(e.device, non_blocking=True)


def beat_embeddings(e: Tensor, record: Tensor, start: Tensor, end: Tensor, phases: int) -> Tensor:
    """Mean token in each of `phases` equal parts of the beats' windows, side by side: ``(n_beats, phases * d)``.

    Parameters are those of `roi_align_1d`.
    """
    return roi_align_1d(e, record, start, end, bins=phases).flatten(1)


def mean_beats(beats: Tensor, record: Tensor, e: Tensor) -> Tensor:
    """Mean embedding of each record's beats; the mean token, in every phase, for a record without a beat.

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
    """Weighted sums of rows: ``embedding_bag``, with a backward that is one as well, and so fast and deterministic."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(index, weight)
        ctx.n_rows = len(rows)
        return F.embedding_bag(index, rows, mode="sum", per_sample_weights=weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        index, weight = ctx.saved_tensors
        row, order = index.flatten().sort(stable=True)
        offsets = torch.searchsorted(row, torch.arange(ctx.n_rows, device=row.device))
        bag = order.div(index.shape[1], rounding_mode="floor")
        weight = weight.flatten()[order]
        return F.embedding_bag(bag, grad.contiguous(), offsets, mode="sum", per_sample_weights=weight), None, None


def _integral_taps(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, their weights ``(n_rois, bins, n_taps)`` in the integral over [left, right], and its length."""
    middle, half = (left + right) / 2, ((right - left) / 2).clamp_min(_MIN_WIDTH / 2)
    left, right = middle - half, middle + half
    first = left.floor()
    n_taps = int((right.ceil() - first).max()) + 1
    token = first[..., None] + torch.arange(n_taps, device=left.device)
    weight = _hat_integral(right[..., None] - token) - _hat_integral(left[..., None] - token)
    return token.long(), weight, 2 * half[..., None]


def _hat_integral(v: Tensor) -> Tensor:
    """Integral of the hat function max(0, 1 - abs(t)) from -1 to v."""
    v = v.clamp(-1, 1)
    return 0.5 + v - 0.5 * v * v.abs()


def _sampled_taps(left: Tensor, right: Tensor, sampling: int) -> tuple[Tensor, Tensor, Tensor]:
    """The same for the sum over `sampling` points in the centres of equal parts; two taps each."""
    centre = (torch.arange(sampling, dtype=torch.float64, device=left.device) + 0.5) / sampling
    u = torch.lerp(left[..., None], right[..., None], centre)
    first = u.floor()
    fraction = u - first
    token = torch.cat([first, first + 1], dim=-1).long()
    return token, torch.cat([1 - fraction, fraction], dim=-1), torch.full_like(left, sampling)[..., None]
