"""Chains that are trained by maximum likelihood."""

from itertools import product

import numpy as np
import pytest
import torch

from beatssl_sklearn.sequences.chain import Chain, counted_chain
from beatssl_sklearn.sequences.crf import _log_partition, fit_crf

LIKELY = np.array([[0.95, 0.05, 0.0], [0.0, 0.7, 0.3], [0.5, 0.0, 0.5]])


def starts_every(n, length):
    return np.arange(n) % length == 0


def path_score(chain, scores, path, starts):
    steps = [chain.start[c] if first else chain.transitions[p, c] for p, c, first in zip((0, *path), path, starts)]  # noqa: B905
    return sum(steps) + sum(row[c] for row, c in zip(scores, path, strict=True))


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_the_partition_is_the_sum_over_all_paths(n):
    rng = np.random.default_rng(n)
    chain, scores = Chain(rng.normal(size=3), rng.normal(size=(3, 3))), rng.normal(size=(n, 3))
    starts = np.isin(np.arange(n), [0, n // 2])
    sums = [path_score(chain, scores, path, starts) for path in product(range(3), repeat=n)]
    found = _log_partition(*(torch.from_numpy(x) for x in (scores, chain.start, chain.transitions, starts)))
    assert float(found) == pytest.approx(np.logaddexp.reduce(sums), rel=1e-12)


def simulated(rng, n, sharpness):
    """Return classes of a chain, and log scores that are true ones times a factor: a classifier that is too sure."""
    codes = np.zeros(n, dtype=np.int64)
    for t in range(1, n):
        codes[t] = rng.choice(3, p=LIKELY[codes[t - 1]])
    seen = codes[:, None] == np.arange(3)
    evidence = sharpness * (seen + rng.normal(size=(n, 3)))
    return codes, evidence - np.logaddexp.reduce(evidence, axis=1, keepdims=True)


def test_training_makes_up_for_a_classifier_that_is_too_sure():
    rng = np.random.default_rng(0)
    (codes, scores), (new, new_scores) = (simulated(rng, 900, 4.0) for _ in range(2))
    starts = starts_every(900, 100)
    counted = counted_chain(codes, starts, 3)
    trained = fit_crf(scores, codes, starts, counted, max_iter=25)
    by_training = trained.chain.best_path(new_scores @ trained.mixing + trained.bias, starts)
    by_counting = counted.best_path(new_scores, starts)
    assert (by_training == new).mean() > (by_counting == new).mean() + 0.03
    # What never follows has the lowest score of its row, less what columns share with each other.
    learnt = trained.chain.transitions
    assert learnt[0].argmin() == 2 and learnt[1].argmin() == 0 and learnt[2].argmin() == 1
    assert np.diag(trained.mixing).mean() < 0.6


def test_unknown_labels_may_be_any_class():
    rng = np.random.default_rng(1)
    codes, scores = simulated(rng, 600, 4.0)
    starts = starts_every(600, 100)
    first = Chain(np.zeros(3), np.zeros((3, 3)))
    gaps = np.where(rng.random(600) < 0.3, -1, codes)
    every, some = (fit_crf(scores, c, starts, first, max_iter=15) for c in (codes, gaps))
    np.testing.assert_allclose(np.diag(some.mixing), np.diag(every.mixing), atol=0.12)
    assert all(np.isfinite(part).all() for part in (*some.chain, some.mixing, some.bias))


def test_training_is_the_same_again():
    codes, scores = simulated(np.random.default_rng(3), 200, 1.0)
    starts, first = starts_every(200, 50), Chain(np.zeros(3), np.zeros((3, 3)))
    a, b = (fit_crf(scores, codes, starts, first, max_iter=3) for _ in range(2))
    np.testing.assert_array_equal(a.chain.transitions, b.chain.transitions)
    np.testing.assert_array_equal(first.transitions, np.zeros((3, 3)))
