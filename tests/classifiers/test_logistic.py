"""Logistic regression along principal axes, against scikit-learn's."""

import itertools

import numpy as np
import pytest
import scipy.special
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression

from beatssl_sklearn.classifiers.logistic import LogisticProblem, held_out_logits, principal_axes


def labelled(n, d=30, seed=0):
    """Correlated columns, scores of three outputs that depend on them, and weights."""
    rng = np.random.default_rng(seed)
    Z = (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / np.sqrt(d)).astype(np.float32)
    signal = Z @ rng.normal(size=(d, 3)) + rng.normal(size=(n, 3))
    return Z - Z.mean(axis=0), signal, rng.uniform(0.2, 1.8, size=(n, 3)).astype(np.float32)


def problem_of(Z, signal, softmax, weight=None, **settings):
    target = signal.argmax(axis=1)[:, None] == np.arange(3) if softmax else signal > 0.5
    axes = principal_axes(Z)
    return LogisticProblem(axes.scores, axes.variance, target.astype(np.float32), softmax, weight, **settings), axes


def probabilities(logits, softmax):
    return scipy.special.softmax(logits, axis=1) if softmax else scipy.special.expit(logits)


@pytest.mark.parametrize(("n", "d"), [(200, 12), (25, 60), (60, 60)])
def test_axes_are_a_rotation_in_which_columns_are_uncorrelated(n, d):
    Z, *_ = labelled(n, d)
    axes = principal_axes(Z)
    r = axes.scores.shape[1]
    # Centred rows span one dimension less.
    assert r == (d if n >= d else n - 1)
    np.testing.assert_allclose(axes.scores @ axes.basis.T, Z, atol=1e-4)
    np.testing.assert_allclose(axes.basis.T @ axes.basis, np.eye(r), atol=1e-4)
    np.testing.assert_allclose(axes.scores.T @ axes.scores / n, np.diag(axes.variance), atol=1e-3)
    assert (np.diff(axes.variance) <= 0).all()


def test_rows_of_zeros_have_axes():
    axes = principal_axes(np.zeros((5, 8), np.float32))
    assert len(axes.scores) == 5 and not axes.scores.any() and np.isfinite(axes.basis).all()


@pytest.mark.parametrize("n", [20, 300])
@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("C", [0.003, 1.0])
def test_the_minimum_is_scikit_learns(n, softmax, weighted, C):
    Z, signal, weight = labelled(n)
    weight = weight[:, :1] if softmax else weight
    problem, axes = problem_of(Z, signal, softmax, weight if weighted else None, max_iter=2000, tol=1e-6)
    fit = problem.fit(C)
    peer = LogisticRegression(C=C, max_iter=10000, tol=1e-8)
    weights = (weight if weighted else np.ones_like(weight)).T
    if softmax:
        columns = [(problem.target.argmax(axis=1), weights[0])]
    else:
        columns = list(zip(problem.target.T, weights, strict=True))
    expected = [peer.fit(Z.astype(float), y, w).predict_proba(Z)[:, 0 if softmax else 1 :] for y, w in columns]
    np.testing.assert_allclose(probabilities(fit.logits(axes.scores), softmax), np.hstack(expected), atol=5e-4)


@pytest.mark.parametrize("softmax", [True, False])
def test_the_derivative_is_that_of_the_weighted_loss(softmax):
    Z, signal, weight = labelled(10)
    problem, _ = problem_of(Z, signal, softmax, weight[:, :1] if softmax else weight)
    logits = np.random.default_rng(1).normal(size=(10, 3))

    def value(flat):
        return problem.loss(flat.reshape(10, 3))[0]

    assert check_grad(value, lambda flat: problem.loss(flat.reshape(10, 3))[1].ravel(), logits.ravel()) < 1e-5
    p = probabilities(logits, softmax)
    likelihood = np.where(problem.target > 0, p, 1 if softmax else 1 - p)
    assert value(logits) == pytest.approx(-(problem.sample_weight * np.log(likelihood)).sum(), rel=1e-5)


@pytest.mark.parametrize("softmax", [True, False])
def test_rows_without_weight_do_not_count(softmax):
    Z, signal, _ = labelled(120)
    kept = np.arange(120) % 3 > 0
    weight = kept[:, None].astype(np.float32)
    problem, axes = problem_of(Z, signal, softmax, weight)
    fits = [p.fit(0.1).logits(axes.scores) for p in (problem, problem.rows(kept))]
    np.testing.assert_allclose(fits[0], fits[1], atol=5e-3)


def test_an_output_without_positives_stays_improbable():
    Z, signal, _ = labelled(80)
    for softmax in (True, False):
        problem, axes = problem_of(Z, signal - [0, 0, 100], softmax)
        p = probabilities(problem.fit(1.0).logits(axes.scores), softmax)
        assert np.isfinite(p).all() and p[:, 2].max() < 1e-4 and p[:, :2].max() > 0.9


def test_a_warm_start_is_near():
    Z, signal, _ = labelled(300)
    problem, axes = problem_of(Z, signal, False)
    before, cold = problem.fit(0.03), problem.fit(0.1)
    warm = problem.fit(0.1, before)
    assert 0 < warm.n_iter < cold.n_iter
    np.testing.assert_allclose(warm.logits(axes.scores), cold.logits(axes.scores), atol=1e-2)


def test_iterations_are_limited():
    Z, signal, _ = labelled(300)
    assert problem_of(Z, signal, False, max_iter=3)[0].fit(1.0).n_iter == 3


def test_held_out_rows_are_predicted_from_the_others():
    Z, signal, weight = labelled(200)
    problem, axes = problem_of(Z, signal, False, weight)
    folds = [np.arange(200) % 4 == k for k in (0, 3)]
    walked = list(held_out_logits(problem, folds, (0.01, 0.1)))
    assert [C for C, _ in walked] == [0.01, 0.1]
    for C, logits in walked:
        for out, found in zip(folds, logits, strict=True):
            np.testing.assert_allclose(found, problem.rows(~out).fit(C).logits(axes.scores[out]), atol=2e-2)


def test_penalties_are_fitted_only_when_asked_for():
    Z, signal, _ = labelled(40)
    problem, _ = problem_of(Z, signal, False)
    taken = []
    grid = (taken.append(C) or C for C in itertools.count(1))
    next(held_out_logits(problem, [np.arange(40) < 8], grid))
    assert taken == [1]
