"""Chains against brute force over all paths, and against loops."""

from itertools import product

import numpy as np
import pytest

from beatssl_sklearn.sequences.chain import Chain, counted_chain


def random_chain(rng, k):
    return Chain(rng.normal(size=k), rng.normal(size=(k, k)))


def starts_of(lengths):
    starts = np.zeros(sum(lengths), dtype=bool)
    starts[np.cumsum([0, *lengths[:-1]])] = True
    return starts


def score_of(chain, scores, path):
    steps = sum(chain.transitions[a, b] for a, b in zip(path, path[1:], strict=False))
    return chain.start[path[0]] + steps + sum(row[c] for row, c in zip(scores, path, strict=True))


def brute_force(chain, scores):
    """Return the best path of one sequence, and the probability of each class at each step."""
    n, k = scores.shape
    paths = np.array(list(product(range(k), repeat=n)))
    sums = np.array([score_of(chain, scores, path) for path in paths])
    shares = np.exp(sums - sums.max())
    joint = np.array([[shares[paths[:, t] == c].sum() for c in range(k)] for t in range(n)])
    return paths[sums.argmax()], joint / shares.sum()


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("lengths", [(1,), (6,), (1, 1, 1), (3, 1, 6, 2), (5, 5, 1, 4, 6, 3)])
def test_every_path_is_weighed(k, lengths):
    rng = np.random.default_rng([k, *lengths])
    chain, scores = random_chain(rng, k), rng.normal(size=(sum(lengths), k))
    found, probability = (m(scores, starts_of(lengths)) for m in (chain.best_path, chain.probabilities))
    parts = np.split(scores, np.cumsum(lengths)[:-1])
    best, shares = zip(*(brute_force(chain, part) for part in parts), strict=True)
    np.testing.assert_array_equal(found, np.concatenate(best))
    np.testing.assert_allclose(probability, np.concatenate(shares), rtol=1e-9, atol=1e-12)


def viterbi(chain, scores, starts):
    best, came = chain.start + scores[0], []
    for row, start in zip(scores[1:], starts[1:], strict=True):
        ways = best[:, None] + (chain.start[None, :] if start else chain.transitions)
        came.append(ways.argmax(axis=0))
        best = ways.max(axis=0) + row
    path = [best.argmax()]
    for back in came[::-1]:
        path.append(back[path[-1]])
    return np.array(path[::-1])


@pytest.mark.parametrize("n", [997, 1024])
def test_long_sequences_are_those_of_a_loop(n):
    rng = np.random.default_rng(n)
    chain, scores = Chain(rng.normal(size=3), 2 * rng.normal(size=(3, 3))), rng.normal(size=(n, 3))
    for starts in (np.arange(n) == 0, np.isin(np.arange(n), [0, 1, 300, 301, 990])):
        np.testing.assert_array_equal(chain.best_path(scores, starts), viterbi(chain, scores, starts))


def test_of_equal_paths_one_with_the_lowest_last_class_is_taken():
    """Whole numbers: sums are exact, and many paths tie."""
    rng = np.random.default_rng(0)
    for n in range(1, 7):
        chain = Chain(np.zeros(3), rng.integers(0, 2, (3, 3)).astype(float))
        scores = rng.integers(0, 2, (n, 3)).astype(float)
        found = chain.best_path(scores, np.arange(n) == 0)
        sums = {path: score_of(chain, scores, path) for path in product(range(3), repeat=n)}
        best = [path for path, s in sums.items() if s == max(sums.values())]
        assert tuple(found) in best and found[-1] == min(path[-1] for path in best)
    flat = Chain(np.zeros(3), np.zeros((3, 3)))
    assert flat.best_path(np.zeros((50, 3)), np.arange(50) == 0).tolist() == [0] * 50


def test_no_step_has_no_class():
    chain, nothing = random_chain(np.random.default_rng(0), 3), np.zeros((0, 3))
    assert chain.best_path(nothing, np.zeros(0, bool)).shape == (0,)
    assert chain.probabilities(nothing, np.zeros(0, bool)).shape == (0, 3)


def test_scores_may_be_far_apart():
    """A long run of one class after a run of the other, and transitions that are strong: sums underflow."""
    n = 12_000
    chain = Chain(np.zeros(2), np.array([[0.0, -230.0], [-230.0, 0.0]]))
    second = (np.arange(n) > 3000) & (np.arange(n) < 9000)
    scores = np.where(second[:, None] == np.array([False, True]), 0.0, -13.8)
    # Ten steps of the other class are given up: two changes cost more.
    scores[100:110] = scores[100:110, ::-1]
    found = chain.probabilities(scores, np.arange(n) == 0)
    np.testing.assert_allclose(found[:, 1], second, atol=1e-5)
    np.testing.assert_array_equal(chain.best_path(scores, np.arange(n) == 0), second)


def test_many_classes():
    """More than a small integer holds."""
    scores = np.random.default_rng(0).normal(size=(9, 140))
    flat = Chain(np.zeros(140), np.zeros((140, 140)))
    np.testing.assert_array_equal(flat.best_path(scores, np.arange(9) == 0), scores.argmax(axis=1))


def test_counted_transitions_by_hand():
    # Two sequences, 0 0 1 ? 1 and 1 0: the pairs 00, 01 and 10 are known, none over the gap or the border.
    codes, starts = np.array([0, 0, 1, -1, 1, 1, 0]), starts_of((5, 2))
    chain = counted_chain(codes, starts, 2)
    share = np.array([3.001, 3.001]) / 6.002
    counts = np.array([[1.0, 1.0], [1.0, 0.0]]) + share
    expected = np.log(counts / counts.sum(axis=1, keepdims=True) / share)
    np.testing.assert_allclose(chain.transitions, expected, rtol=1e-12)
    assert chain.start.tolist() == [0.0, 0.0]


def test_a_class_that_nobody_has_is_neither_likely_nor_impossible():
    chain = counted_chain(np.array([0, 0, 0]), np.array([True, False, False]), 2)
    assert np.isfinite(chain.transitions).all()
    np.testing.assert_allclose(chain.transitions[1], 0, atol=1e-12)
