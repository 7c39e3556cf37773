"""Linear chains over the classes of sequences: the best path (Viterbi), and the probability of each class.

All sequences lie one after the other, and `starts` marks the first step of each. A start has its own transition, which
is the same from every class, so that nothing passes from one sequence to the next. The steps are cut into blocks, and
all blocks advance together: a day of heartbeats takes some hundred steps of numpy instead of a hundred thousand.
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Chain", "counted_chain"]


class Chain(NamedTuple):
    """Log scores of the classes of a sequence's first step (n_classes,), and of steps from row to column.

    Attributes
    ----------
    start : ndarray (n_classes,)
        Score of each class at the first step.
    transitions : ndarray (n_classes, n_classes)
        Score of class j after class i, at [i, j].
    """

    start: NDArray[np.float64]
    transitions: NDArray[np.float64]

    def best_path(self, scores: NDArray[np.float64], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the classes with the largest sum of scores, step by step (Viterbi 1967).

        Parameters
        ----------
        scores : ndarray (n_steps, n_classes)
            Log scores of the classes at each step, all sequences one after the other.
        starts : ndarray of bool (n_steps,)
            First steps of the sequences; the first one is a start.

        Returns
        -------
        ndarray (n_steps,) of int64
            Of paths with equal sums, the one of lower classes at its end.
        """
        if not len(scores):
            return np.zeros(0, dtype=np.int64)
        blocks = self._blocks(scores, starts)
        # Best way through each block, from each class before it to each class at each step.
        best = np.empty_like(blocks)
        came = np.zeros(blocks.shape, dtype=np.min_scalar_type(scores.shape[1]))
        best[:, 0] = blocks[:, 0]
        for t in range(1, blocks.shape[1]):
            ways = best[:, t - 1, :, :, None] + blocks[:, t, None]
            came[:, t] = ways.argmax(axis=2)
            best[:, t] = np.take_along_axis(ways, came[:, t, :, None].astype(np.int64), axis=2)[:, :, 0]
        return _followed(best[:, -1], came).ravel()[: len(scores)]

    def probabilities(self, scores: NDArray[np.float64], starts: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the probability of each class at each step, given its whole sequence (forward-backward).

        Parameters
        ----------
        scores, starts : as for `best_path`

        Returns
        -------
        ndarray (n_steps, n_classes)
            Rows sum to 1.

        References
        ----------
        L. R. Rabiner, A tutorial on hidden Markov models, Proc. IEEE 77(2), 1989, section III.
        """
        if not len(scores):
            return np.zeros_like(scores)
        blocks = _scaled(self._blocks(scores, starts))
        forward, backward = np.empty_like(blocks), np.empty_like(blocks)
        forward[:, 0] = blocks[:, 0]
        # Only ratios within a block matter, so that each step may be scaled.
        backward[:, -1] = np.eye(blocks.shape[-1])
        for t in range(1, blocks.shape[1]):
            forward[:, t] = _unit(forward[:, t - 1] @ blocks[:, t])
            backward[:, -1 - t] = _unit(blocks[:, -t] @ backward[:, -t])
        before, after = _borders(forward[:, -1])
        alpha = np.einsum("bi,btij->btj", before, forward)
        beta = np.einsum("btij,bj->bti", backward, after)
        joint = (alpha * beta).reshape(-1, blocks.shape[-1])[: len(scores)]
        found: NDArray[np.float64] = joint / joint.sum(axis=1, keepdims=True)
        return found

    def _blocks(self, scores: NDArray[np.float64], starts: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the score of each class after each class, as blocks (n_blocks, n_steps, n_classes, n_classes).

        The last block is filled with steps that keep the class.
        """
        n, k = scores.shape
        into = np.where(starts[:, None, None], self.start[None, None, :], self.transitions[None])
        steps = into + (scores - scores.max(axis=1, keepdims=True))[:, None, :]
        size = ceil(sqrt(n))
        missing = ceil(n / size) * size - n
        idle = np.where(np.eye(k, dtype=bool), 0.0, -1e6)
        filled = np.concatenate([steps, np.broadcast_to(idle, (missing, k, k))])
        return filled.reshape(-1, size, k, k)


def _followed(ends: NDArray[np.float64], came: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the best path (n_blocks, n_steps), from the best ways through blocks and where these came from."""
    n_blocks, n_steps, k = came.shape[:3]
    # Over the borders of blocks, one after the other. Every class before the first step is the same one.
    total, origin = ends[0].max(axis=0), np.zeros((n_blocks, k), dtype=np.int64)
    for b in range(1, n_blocks):
        ways = total[:, None] + ends[b]
        origin[b] = ways.argmax(axis=0)
        total = ways.max(axis=0)
        total -= total.max()
    last, first = np.empty(n_blocks, dtype=np.int64), np.zeros(n_blocks, dtype=np.int64)
    last[-1] = total.argmax()
    for b in range(n_blocks - 1, 0, -1):
        first[b] = last[b - 1] = origin[b, last[b]]
    path = np.empty((n_blocks, n_steps), dtype=np.int64)
    path[:, -1] = last
    every = np.arange(n_blocks)
    for t in range(n_steps - 1, 0, -1):
        path[:, t - 1] = came[every, t, first, path[:, t]]
    return path


def _borders(through: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weights of the classes before each block, and after it, from the ways through blocks."""
    n_blocks, k, _ = through.shape
    before, after = np.ones((n_blocks, k)), np.ones((n_blocks, k))
    for b in range(1, n_blocks):
        before[b] = _unit(before[b - 1] @ through[b - 1])
        after[-1 - b] = _unit(through[-b] @ after[-b])
    return before, after


def _scaled(log_scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores whose largest one, of each step, is 1."""
    return np.exp(log_scores - log_scores.max(axis=(-2, -1), keepdims=True))


def _unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale what one step leaves: matrices by their largest element, vectors by theirs."""
    axes = tuple(range(x.ndim))[-2:] if x.ndim > 1 else (0,)
    scaled: NDArray[np.float64] = x / np.maximum(x.max(axis=axes, keepdims=True), 1e-300)
    return scaled


def counted_chain(codes: NDArray[np.int64], starts: NDArray[np.bool_], n_classes: int, smoothing: float = 1.0) -> Chain:
    """Count which class follows which, and return how much more often than by chance it does, as logarithms.

    Parameters
    ----------
    codes : ndarray of int64 (n_steps,)
        Class of each step, all sequences one after the other; -1 where it is not known. A pair counts if both of its
        steps are known.
    starts : ndarray of bool (n_steps,)
        First steps of the sequences.
    n_classes : int
        Number of classes.
    smoothing : float, default=1.0
        Pairs that are added to each row, spread by the classes' shares.

    Returns
    -------
    Chain
        ``log P(j | i) - log P(j)``. Beside ``log P(j | x)`` of a classifier, the chain is a hidden Markov model with
        scaled likelihoods (Bourlard and Morgan 1994, chapter 7).
    """
    known = codes >= 0
    share = np.bincount(codes[known], minlength=n_classes) + 1e-3
    share = share / share.sum()
    pair = np.flatnonzero(known[1:] & known[:-1] & ~starts[1:])
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (codes[pair], codes[pair + 1]), 1.0)
    follows = counts + smoothing * share
    follows = follows / follows.sum(axis=1, keepdims=True)
    return Chain(np.zeros(n_classes), np.log(follows) - np.log(share))
