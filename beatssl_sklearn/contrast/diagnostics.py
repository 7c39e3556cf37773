"""Diagnostics of embeddings that a contrastive loss does not show: collapse, and spread over the sphere."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .infonce import unit_rows

__all__ = ["alignment", "effective_rank", "uniformity"]


@torch.no_grad()
def effective_rank(z: Tensor) -> Tensor:
    """Compute RankMe: the exponential of the entropy of the singular values, between 1 and min(m, d).

    It uses the eigenvalues of the smaller Gram matrix in float64 (float32 on devices without it), because squares in
    float32 would hide small singular values.

    Parameters
    ----------
    z : Tensor of shape (m, d)
        Embeddings, not centred.

    Returns
    -------
    Tensor
        Scalar; 0 if `z` is empty or all zeros.

    References
    ----------
    Garrido Q et al. RankMe. ICML 2023, equation 1.
    """
    with torch.autocast(device_type=z.device.type, enabled=False):
        z = z.float() if z.device.type == "mps" else z.double()
        if z.numel() == 0:
            return z.new_zeros(())
        gram = z @ z.T if z.shape[0] < z.shape[1] else z.T @ z
        eigenvalues = torch.linalg.eigvalsh(gram)
        # Eigenvalues below this floor are rounding errors of the largest one.
        floor = eigenvalues[-1] * len(gram) * torch.finfo(z.dtype).eps
        singular = torch.where(eigenvalues > floor, eigenvalues, torch.zeros_like(eigenvalues)).sqrt()
        total = singular.sum()
        share = singular / torch.where(total > 0, total, torch.ones_like(total))
        return torch.where(total > 0, torch.special.entr(share).sum().exp(), torch.zeros_like(total))


@torch.no_grad()
def alignment(z1: Tensor, z2: Tensor) -> Tensor:
    """Compute the mean squared distance between two views on the unit sphere, between 0 and 4.

    Parameters
    ----------
    z1, z2 : Tensors of shape (n, d)
        The two views of the same items.

    Returns
    -------
    Tensor
        Scalar, float32 (float64 if the embeddings are).

    References
    ----------
    Wang T, Isola P. ICML 2020, section 4.1.1, alpha = 2.
    """
    return (unit_rows(z1) - unit_rows(z2)).square().sum(-1).mean()


@torch.no_grad()
def uniformity(z: Tensor, t: float = 2.0, chunk: int = 1024) -> Tensor:
    """Compute the log of the mean Gaussian potential of pairs: 0 after a collapse, about -2 t for an even spread.

    Parameters
    ----------
    z : Tensor of shape (m, d)
        Embeddings, m at least 2.
    t : float
        Sharpness of the potential.
    chunk : int
        Rows per step; memory grows with ``chunk * m``.

    Returns
    -------
    Tensor
        Scalar, float32 (float64 if the embeddings are); 0 without a pair.

    References
    ----------
    Wang T, Isola P. ICML 2020, section 4.1.2, t = 2.
    """
    with torch.autocast(device_type=z.device.type, enabled=False):
        unit = unit_rows(z)
        m = len(unit)
        if m < 2:
            return unit.new_zeros(())
        parts = []
        for start in range(0, m, chunk):
            exponent = (2 * t) * (unit[start : start + chunk] @ unit.T - 1)
            exponent.diagonal(start).fill_(-math.inf)
            parts.append(exponent.logsumexp((0, 1)))
        return torch.stack(parts).logsumexp(0) - math.log(m * (m - 1))
