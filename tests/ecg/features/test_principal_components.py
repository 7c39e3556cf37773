"""Principal components of beats."""

import numpy as np
import pytest

from beatssl_sklearn.ecg.features.principal_components import component_scores, fit_components


def random_beats(n=200, seed=1):
    """Beats (n, 4, 6) with five directions of decreasing variance."""
    rng = np.random.default_rng(seed)
    beats = rng.normal(size=(n, 5)) * [5, 3, 2, 0.5, 0.1] @ rng.normal(size=(5, 24))
    return beats.reshape(n, 4, 6).astype(np.float32)


def test_components_are_those_of_the_covariance():
    beats = random_beats()
    fitted = fit_components(beats, 8, chunk_size=33)
    flat = beats.reshape(200, -1)
    _, singular, vectors = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(np.sum(fitted.basis[:5] * vectors[:5], axis=1)), 1, atol=1e-3)
    assert (fitted.basis[5:] == 0).all(), "directions without variance must not carry noise"
    scores = component_scores(beats, fitted, chunk_size=50)
    np.testing.assert_allclose(scores[:, :5].std(axis=0), singular[:5] / np.sqrt(200), rtol=1e-3)
    np.testing.assert_allclose(scores[:, :5] @ fitted.basis[:5] + fitted.mean, flat, atol=1e-2)


def test_missing_beats_have_missing_scores_and_do_not_move_the_rest():
    beats = random_beats()
    gap = np.concatenate([beats, np.full_like(beats[:1], np.nan)])
    a, b = fit_components(beats, 3), fit_components(gap, 3)
    np.testing.assert_allclose(a.mean, b.mean, atol=1e-6)
    scores = component_scores(gap, b)
    assert np.isnan(scores[-1]).all()
    np.testing.assert_allclose(scores[:-1], component_scores(beats, a), atol=1e-2)


def test_a_missing_value_counts_as_the_mean():
    beats = random_beats()
    fitted = fit_components(beats, 3)
    some, filled = beats[:1].copy(), beats[:1].copy()
    some[0, 1, 2], filled[0, 1, 2] = np.nan, fitted.mean.reshape(4, 6)[1, 2]
    np.testing.assert_allclose(component_scores(some, fitted), component_scores(filled, fitted), atol=1e-5)


def test_wrong_shapes_are_named():
    beats = np.zeros((3, 2, 4), dtype=np.float32)
    with pytest.raises(ValueError, match="n_components"):
        fit_components(beats, 9)
    with pytest.raises(ValueError, match="n_beats, n_leads, n_samples"):
        fit_components(beats[0], 2)
    with pytest.raises(ValueError, match="expected 8"):
        component_scores(np.zeros((3, 2, 5), dtype=np.float32), fit_components(beats, 2))
