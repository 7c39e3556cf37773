"""Spans of tokens that a network must do without."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Shorter maps have spans of half their length.
_SHORT = 20


def span_masks(
    n_records: int, n_tokens: int, share: float, length: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw spans of masked tokens, equally many tokens in each record.

    Spans are drawn for each record, and the rounded mean of their numbers of tokens is what all records get: some show
    random tokens again, in others spans grow at their ends.

    Parameters
    ----------
    n_records, n_tokens : int
        Shape of the masks.
    share : float
        Sum of the lengths of the spans, relative to the record. Spans overlap, so that fewer tokens are masked: .49
        of 156 for a share of .65 and spans of 10, for any number of records.
    length : int
        Tokens of a span.
    rng : numpy.random.Generator
        Source of all draws.

    Returns
    -------
    ndarray of bool (n_records, n_tokens)
        True where a token is hidden; at least one in each record, and one of several tokens is seen.

    References
    ----------
    Baevski A et al. wav2vec 2.0. NeurIPS 2020, section 3.1. Its programs give all records the fewest tokens of the
    batch, so that a larger batch hides less.
    """
    if n_tokens < _SHORT:
        length = max(1, min(length, n_tokens // 2))
    length = min(length, n_tokens)
    masks = np.zeros((n_records, n_tokens), dtype=bool)
    for mask in masks:
        n_spans = max(1, int(share * n_tokens / length + rng.random()))
        n_starts = n_tokens - length + 1
        starts = rng.choice(n_starts, min(n_spans, n_starts), replace=False)
        mask[(starts[:, None] + np.arange(length)).ravel()] = True
    n_hidden = min(round(float(masks.sum(axis=1).mean())), max(1, n_tokens - 1))
    for mask in masks:
        _bring_to(mask, n_hidden, rng)
    return masks


def _bring_to(mask: NDArray[np.bool_], n_hidden: int, rng: np.random.Generator) -> None:
    """Show random tokens, or hide those beside spans, until a mask hides so many."""
    mask[rng.permutation(np.flatnonzero(mask))[n_hidden:]] = False
    while (missing := n_hidden - int(mask.sum())) > 0:
        beside = ~mask
        beside[1:-1] &= mask[:-2] | mask[2:]
        beside[0] &= mask[1]
        beside[-1] &= mask[-2]
        mask[rng.permutation(np.flatnonzero(beside))[:missing]] = True
