"""Maximum-likelihood training of a chain over the scores of a classifier: a linear-chain conditional random field.

The network behind a step is the classifier; here its log scores get a matrix and a bias, and the classes get scores for
following each other. All are trained together, so that the chain does not count twice what the classifier knows.
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .chain import Chain

__all__ = ["TrainedChain", "fit_crf"]

# Score of a class that a label excludes, and of leaving a class in a step that only fills a block.
_NEVER = -1e4


class TrainedChain(NamedTuple):
    """A chain, and how the log scores of a classifier enter it: ``scores @ mixing + bias``.

    Attributes
    ----------
    chain : Chain
    mixing : ndarray (n_classes, n_classes)
    bias : ndarray (n_classes,)
    """

    chain: Chain
    mixing: NDArray[np.float64]
    bias: NDArray[np.float64]


def fit_crf(
    scores: NDArray[np.float64],
    codes: NDArray[np.int64],
    starts: NDArray[np.bool_],
    first: Chain,
    *,
    penalty: float = 1e-4,
    max_iter: int = 50,
) -> TrainedChain:
    """Fit a chain to labelled sequences by L-BFGS.

    Parameters
    ----------
    scores : ndarray (n_steps, n_classes)
        Log scores of a classifier that has not seen these steps, all sequences one after the other.
    codes : ndarray of int64 (n_steps,)
        Class of each step; -1 where it is not known: all classes are possible there.
    starts : ndarray of bool (n_steps,)
        First steps of the sequences.
    first : Chain
        Where the chain starts from.
    penalty : float, default=1e-4
        Times the squared distance from where training starts, beside the mean log-likelihood of a step.
    max_iter : int, default=50
        Most iterations.

    Returns
    -------
    TrainedChain
        The chain, and how scores enter it.

    References
    ----------
    J. Lafferty, A. McCallum, F. Pereira, Conditional random fields, ICML 2001.
    """
    x, begins = torch.from_numpy(scores), torch.from_numpy(starts)
    k = scores.shape[1]
    mask = torch.zeros(scores.shape, dtype=torch.float64)
    mask[torch.from_numpy(codes >= 0)] = _NEVER
    known = np.flatnonzero(codes >= 0)
    mask[known, codes[known]] = 0.0
    origin = [torch.eye(k, dtype=torch.float64), torch.zeros(k, dtype=torch.float64)]
    origin += [torch.from_numpy(part.copy()) for part in first]
    parameters = [part.clone().requires_grad_() for part in origin]
    optimizer = torch.optim.LBFGS(parameters, max_iter=max_iter, tolerance_change=1e-7, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        mixing, bias, start, transitions = parameters
        emitted = x @ mixing + bias
        likelihood = _log_partition(emitted + mask, start, transitions, begins)
        likelihood = likelihood - _log_partition(emitted, start, transitions, begins)
        moved = sum(((part - at) ** 2).sum() for part, at in zip(parameters, origin, strict=True))
        loss: Tensor = -likelihood / len(known) + penalty * moved
        loss.backward()
        return loss

    optimizer.step(closure)
    mixing, bias, start, transitions = (part.detach().numpy() for part in parameters)
    return TrainedChain(Chain(start, transitions), mixing, bias)


def _log_partition(emitted: Tensor, start: Tensor, transitions: Tensor, begins: Tensor) -> Tensor:
    """Return the logarithm of the sum over all paths, of all sequences together.

    Blocks of steps advance together, as in `Chain`: each is a product of matrices, scaled to stay finite.
    """
    n, k = emitted.shape
    size = ceil(sqrt(n))
    missing = ceil(n / size) * size - n
    into = torch.where(begins[:, None, None], start[None, None, :], transitions[None])
    idle = torch.where(torch.eye(k, dtype=torch.bool), 0.0, _NEVER).to(emitted).expand(missing, k, k)
    blocks = torch.cat([into + emitted[:, None, :], idle]).reshape(-1, size, k, k)
    top = blocks.detach().amax(dim=(-2, -1), keepdim=True)
    total, factors = top.sum(), torch.exp(blocks - top)
    product = factors[:, 0]
    for t in range(1, size):
        product, logs = _unit(product @ factors[:, t])
        total = total + logs
    row = torch.ones(k, dtype=emitted.dtype) / k
    for block in product:
        row, logs = _unit((row @ block)[None, None])
        row, total = row[0, 0], total + logs
    return total + torch.log(row.sum())


def _unit(x: Tensor) -> tuple[Tensor, Tensor]:
    """Scale matrices by their largest element, and return the sum of the logarithms of these."""
    top = x.amax(dim=(-2, -1), keepdim=True).clamp_min(1e-300)
    return x / top, torch.log(top).sum()
