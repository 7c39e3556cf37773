"""ArcFace: a classifier of unit vectors whose true class must win by an angle."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def arcface_logits(cosines: Tensor, target: Tensor, scale: float, margin: float) -> Tensor:
    """Return the logits of unit vectors, lowered by an angle at their true class.

    The true class has ``scale * cos(theta + margin)``. Where theta + margin would pass pi, it has
    ``scale * (cos(theta) - margin * sin(margin))``, which goes on falling.

    Parameters
    ----------
    cosines : Tensor (n, n_classes)
        Of each vector with each class.
    target : int64 Tensor (n,)
        True classes.
    scale : float
        Length that the vectors would have.
    margin : float
        Angle [rad].

    Returns
    -------
    Tensor (n, n_classes)
        For a cross-entropy.

    References
    ----------
    Deng J et al. ArcFace. CVPR 2019, equation 3.
    """
    true = F.one_hot(target, cosines.shape[1]).bool()
    # The derivative of the sine is infinite at the ends.
    bounded = cosines.clamp(-1 + 1e-7, 1 - 1e-7)
    sine = torch.sqrt(1 - bounded.square())
    shifted = bounded * math.cos(margin) - sine * math.sin(margin)
    lowered = torch.where(bounded > math.cos(math.pi - margin), shifted, bounded - margin * math.sin(margin))
    return scale * torch.where(true, lowered, cosines)


def train_arcface(
    z: Tensor,
    target: Tensor,
    start: Tensor,
    *,
    scale: float,
    margin: float,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int,
) -> Tensor:
    """Improve a linear map, so that the vectors of a class lie together under it.

    Parameters
    ----------
    z : Tensor (n, d) float32
        Vectors.
    target : int64 Tensor (n,)
        Classes, from 0; each has a vector at least.
    start : Tensor (n_dims, d) float32
        Where the map begins. Each class begins at the mean of its vectors.
    scale, margin : float
        As for `arcface_logits`.
    epochs, batch_size : int
        Of the training, with Adam.
    lr : float
        Size of a step, relative to the weights; it falls to 0 like a cosine.
    seed : int
        Of the order of the vectors.

    Returns
    -------
    Tensor (n_dims, d)
        Multiply vectors with its transpose.
    """
    generator = torch.Generator().manual_seed(seed)
    # Only directions count, so that both may have the size 1 to which the steps are relative.
    project = _of_size_one(start)
    first = F.normalize(z @ project.T)
    centres = _of_size_one(torch.zeros(int(target.max()) + 1, len(start)).index_add_(0, target, first))
    project.requires_grad_(), centres.requires_grad_()
    optimizer = torch.optim.Adam([project, centres], lr=lr)
    n_steps = epochs * math.ceil(len(z) / batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, n_steps))
    for _ in range(epochs):
        for rows in torch.randperm(len(z), generator=generator).split(batch_size):
            cosines = F.normalize(z[rows] @ project.T) @ F.normalize(centres).T
            loss = F.cross_entropy(arcface_logits(cosines, target[rows], scale, margin), target[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return project.detach()


def _of_size_one(weights: Tensor) -> Tensor:
    """Return weights, of a root mean square of 1."""
    return weights / weights.square().mean().sqrt().clamp(min=1e-12)
