"""Similarity of records or beats, from standardized features with missing values."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

__all__ = ["calibrate_bandwidth", "cosine_similarity", "rbf_similarity", "squared_distances"]

_BISECTIONS = 18
# Bandwidths are sought between exp(-7) and exp(7) times an anchor's root mean squared distance.
_LOG_RANGE = 7.0
# Perplexity 1 would need a bandwidth of 0.
_MIN_PERPLEXITY = 1.01


def _as_float(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _pair(
    features: Tensor, present: Tensor, reference: Tensor | None, reference_present: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return features, with 0 for missing values, and masks as floats, of both sides."""
    if (reference is None) != (reference_present is None):
        raise ValueError("reference and reference_present must be given together")
    features = _as_float(features)
    mask = present.to(features.dtype)
    # Not a product, because missing values can be NaN.
    x = features.masked_fill(~present, 0.0)
    if reference is None or reference_present is None:
        return x, mask, x, mask
    y = _as_float(reference).to(x.dtype).masked_fill(~reference_present, 0.0)
    return x, mask, y, reference_present.to(x.dtype)


def squared_distances(
    features: Tensor,
    present: Tensor,
    weights: Tensor,
    reference: Tensor | None = None,
    reference_present: Tensor | None = None,
) -> Tensor:
    """Compute weighted mean squared differences over the features that both sides have.

    d2_ij = sum_k m_ik m_jk w_k (x_ik - x_jk)^2 / sum_k m_ik m_jk w_k, infinite if no feature is common. Two matrix
    products do it.

    Parameters
    ----------
    features : Tensor of shape (n, k)
        Standardized features. Values where `present` is False are ignored and can be NaN.
    present : bool Tensor of shape (n, k)
        Which values are known.
    weights : Tensor of shape (k,)
        Weights of the features, not negative.
    reference, reference_present : Tensors of shape (m, k), optional
        Features and mask of the other side; by default the same records.

    Returns
    -------
    Tensor of shape (n, m)
        float32 (float64 if `features` is).

    Raises
    ------
    ValueError
        If only one of `reference` and `reference_present` is given.
    """
    with torch.autocast(device_type=features.device.type, enabled=False):
        x, mask, y, other = _pair(features, present, reference, reference_present)
        w = weights.to(x.dtype)
        left = torch.cat([w * x * x, w * mask, -2 * w * x], 1)
        right = torch.cat([other, y * y, y], 1)
        overlap = (w * mask) @ other.T
        # Rounding can make the square of a small difference negative.
        distance = (left @ right.T).clamp_(min=0)
        return (distance / overlap).masked_fill_(overlap <= 0, math.inf)


def cosine_similarity(
    features: Tensor,
    present: Tensor,
    weights: Tensor,
    exponent: float = 1.0,
    reference: Tensor | None = None,
    reference_present: Tensor | None = None,
) -> Tensor:
    """Compute weighted cosines over the features that both sides have, at least 0, to the power `exponent`.

    Parameters
    ----------
    features, present, weights, reference, reference_present
        As in `squared_distances`.
    exponent : float
        Sharpens the similarity; infinity keeps identical directions only. Beat-SSL uses 1 and 50.

    Returns
    -------
    Tensor of shape (n, m)
        Between 0 and 1; 0 if no feature is common or one side is all zeros.

    Raises
    ------
    ValueError
        If `exponent` is not positive, or only one of `reference` and `reference_present` is given.

    References
    ----------
    Rizqyawan et al. Beat-SSL. ISBI 2026, arXiv 2601.16147: cosine similarity and exponent. Its feature set is not
    published. Norms over common features only are this package's own.
    """
    if not exponent > 0:
        raise ValueError(f"exponent must be positive, got {exponent!r}")
    with torch.autocast(device_type=features.device.type, enabled=False):
        x, mask, y, other = _pair(features, present, reference, reference_present)
        w = weights.to(x.dtype)
        norms = ((w * x * x) @ other.T) * ((w * mask) @ (y * y).T)
        # A product of norms below the smallest normal number means no common feature, or zeros on one side.
        cosine = ((w * x) @ y.T) * norms.clamp(min=torch.finfo(x.dtype).tiny).rsqrt()
        return cosine.clamp_(0.0, 1.0).pow_(exponent)


def rbf_similarity(d2: Tensor, bandwidth: Tensor) -> Tensor:
    """Compute exp(-d^2 / 2 s^2) with one bandwidth per anchor (row).

    Parameters
    ----------
    d2 : Tensor of shape (n, m)
        Squared distances; infinite ones give 0.
    bandwidth : Tensor of shape (n,)
        s of each anchor, in the unit of the features. If s is infinite (an anchor without known features) the row is
        all 1.

    Returns
    -------
    Tensor of shape (n, m)
    """
    precision = (0.5 / bandwidth.to(d2.dtype).square())[:, None]
    return (d2 * -precision).masked_fill_(precision <= 0, 0.0).exp_()


def _reference_rows(
    n: int, reference: Tensor | None, n_reference: int, generator: Generator | None, device: torch.device
) -> Tensor:
    if reference is not None:
        return reference.to(device=device, dtype=torch.int64)
    if n <= n_reference:
        return torch.arange(n, device=device)
    if generator is None:
        return torch.linspace(0, n - 1, n_reference, dtype=torch.float64, device=device).long()
    return torch.randperm(n, generator=generator, device=device)[:n_reference]


def calibrate_bandwidth(
    features: Tensor,
    present: Tensor,
    weights: Tensor,
    perplexity: float,
    batch_size: int,
    reference: Tensor | None = None,
    n_reference: int = 2048,
    generator: Generator | None = None,
    chunk: int = 128,
) -> Tensor:
    """Find the bandwidth with which a random batch holds about `perplexity` effective neighbours of each anchor.

    Over the m other records of a random reference subset, bisection of log s brings the perplexity of exp(-d^2 / 2 s^2)
    to perplexity * m / (batch_size - 1), clipped to between 1.01 and m. It runs once per fit. So the target of a pair
    does not depend on the other records of its batch, nor, in expectation, on the batch size.

    Parameters
    ----------
    features : Tensor of shape (n, k)
        Standardized features.
    present : bool Tensor of shape (n, k)
        Which values are known.
    weights : Tensor of shape (k,)
        Weights of the features.
    perplexity : float
        Effective number of neighbours in a batch, 5-15 as in t-SNE.
    batch_size : int
        Records in a batch, at least 2.
    reference : int64 Tensor of shape (m,), optional
        Reference rows of `features`; None draws them.
    n_reference : int
        Number of rows to draw.
    generator : torch.Generator, optional
        Source of randomness, on the device of `features`; None takes evenly spaced rows.
    chunk : int
        Anchors per step; memory grows with ``chunk * n_reference``.

    Returns
    -------
    Tensor of shape (n,)
        s of each anchor. It is infinite (all others are alike) if no feature of the anchor is known, if there is no
        other record, or if the wanted perplexity is as large as the number of others.

    Raises
    ------
    ValueError
        If `perplexity`, `batch_size`, `n_reference` or `chunk` is out of range.

    References
    ----------
    van der Maaten L, Hinton G. J Mach Learn Res 2008;9:2579-2605, section 2 (perplexity). Its use for contrastive
    targets is this package's own.
    """
    if not perplexity > 0:
        raise ValueError(f"perplexity must be positive, got {perplexity!r}")
    for name, value, low in (("batch_size", batch_size, 2), ("n_reference", n_reference, 1), ("chunk", chunk, 1)):
        if value < low:
            raise ValueError(f"{name} must be at least {low}, got {value!r}")
    n, device = len(features), features.device
    rows = _reference_rows(n, reference, n_reference, generator, device)
    ids = torch.arange(n, device=device)
    found = []
    for start in range(0, n, chunk):
        part = slice(start, start + chunk)
        d2 = squared_distances(features[part], present[part], weights, features[rows], present[rows])
        d2.masked_fill_(ids[part, None] == rows, math.inf)
        found.append(_solve_bandwidth(d2, perplexity / (batch_size - 1)))
    return torch.cat(found) if found else features.new_zeros(0)


def _solve_bandwidth(d2: Tensor, share: float) -> Tensor:
    """Find the bandwidth (n,) at which each row of d2 (n, m) has the perplexity share * (number of finite values)."""
    finite = d2.isfinite()
    count = finite.sum(1).to(d2.dtype)
    target = torch.minimum((share * count).clamp(min=_MIN_PERPLEXITY), count)
    d2 = d2.masked_fill(~finite, 0.0)
    mean = d2.sum(1) / count.clamp(min=1)
    # Relative to the nearest neighbour, so that no row underflows; the shift cancels in the perplexity.
    d2 = d2 - d2.masked_fill(~finite, math.inf).amin(1, keepdim=True).nan_to_num_(posinf=0.0)
    # Missing pairs lie far enough for exp(-x) = 0 at any bandwidth, and near enough for 0 * x = 0.
    unit = torch.where(mean > 0, mean, torch.ones_like(mean))
    d2 = (d2 / unit[:, None]).masked_fill_(~finite, 1e9)
    low, high = torch.full_like(mean, -_LOG_RANGE), torch.full_like(mean, _LOG_RANGE)
    wanted = target.clamp(min=1).log()
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        scaled = d2 * (0.5 * torch.exp(-2 * middle))[:, None]
        kernel = torch.exp(-scaled)
        total = kernel.sum(1)
        entropy = total.log() + scaled.mul_(kernel).sum(1) / total
        too_wide = entropy > wanted
        high, low = torch.where(too_wide, middle, high), torch.where(too_wide, low, middle)
    everything = target >= count
    return torch.where(everything, torch.full_like(mean, math.inf), torch.exp((low + high) / 2) * unit.sqrt())
