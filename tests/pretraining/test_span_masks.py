"""Spans of hidden tokens."""

import numpy as np
import pytest

from beatssl_sklearn.pretraining.span_masks import span_masks


@pytest.mark.parametrize("n_records", [1, 16, 256])
def test_about_half_of_the_tokens_are_hidden_in_batches_of_any_size(n_records):
    batches = [span_masks(n_records, 156, 0.65, 10, np.random.default_rng(i)) for i in range(max(4, 400 // n_records))]
    assert np.mean([masks.mean() for masks in batches]) == pytest.approx(0.49, abs=0.02)
    assert all(len(set(masks.sum(axis=1))) == 1 for masks in batches)


def test_spans_grow_and_lose_tokens_to_the_mean():
    masks = span_masks(256, 156, 0.65, 10, np.random.default_rng(0))
    edges = [np.flatnonzero(np.diff(np.r_[0, mask.astype(int), 0])) for mask in masks]
    shortest = np.array([(edge[1::2] - edge[::2]).min() for edge in edges])
    # Records that had fewer tokens than the mean have whole spans, without single tokens.
    assert 0.3 < (shortest >= 10).mean() < 0.7


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
