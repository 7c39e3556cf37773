"""Spans of hidden tokens."""

import numpy as np
import pytest

from beatssl_sklearn.pretraining.span_masks import span_masks


def test_about_half_of_the_tokens_are_hidden():
    masks = span_masks(400, 156, 0.65, 10, np.random.default_rng(0))
    # Fewer than .49 of each, since all records have as many as the one with the fewest.
    one_by_one = [span_masks(1, 156, 0.65, 10, np.random.default_rng(i)).mean() for i in range(400)]
    assert np.mean(one_by_one) == pytest.approx(0.49, abs=0.02)
    assert len(set(masks.sum(axis=1))) == 1
    assert 0.2 < masks.mean() < 0.45


def test_hidden_tokens_lie_in_spans():
    mask = span_masks(1, 156, 0.65, 10, np.random.default_rng(1))[0]
    edges = np.flatnonzero(np.diff(np.r_[0, mask.astype(int), 0]))
    assert (edges[1::2] - edges[::2]).min() >= 10


@pytest.mark.parametrize("n_tokens", [1, 2, 5, 19, 20])
def test_short_records_keep_something_to_see(n_tokens):
    masks = span_masks(50, n_tokens, 0.65, 10, np.random.default_rng(2))
    assert masks.any(axis=1).all()
    assert n_tokens == 1 or not masks.all(axis=1).any()


def test_the_same_draws_from_the_same_source():
    a, b, c = (span_masks(3, 100, 0.5, 8, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert (a == b).all() and (a != c).any()
