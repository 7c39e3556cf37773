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

    Parameters
    ----------
    n_records, n_tokens : int
        Shape of the masks.
    share : float
        Sum of the lengths of the spans, relative to the record. Spans overlap, so that fewer tokens are masked: .49
        of 156 for a share of .65 and spans of 10.
    length : int
        Tokens of a span.
    rng : numpy.random.Generator
        Source of all draws.

    Returns
    -------
    ndarray of bool (n_records, n_tokens)
        True where a token is hidden; at least one in each record.

    References
    ----------
    Baevski A et al. wav2vec 2.0. NeurIPS 2020, section 3.1.
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
    fewest = int(masks.sum(axis=1).min())
    for mask in masks:
        shown = rng.permutation(np.flatnonzero(mask))[fewest:]
        mask[shown] = False
    return masks
