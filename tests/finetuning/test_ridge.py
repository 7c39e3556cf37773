"""The probe that a regressor starts from, against scikit-learn's ridge regression."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from beatssl_sklearn.finetuning.probe import standardisation
from beatssl_sklearn.finetuning.ridge import fit_ridge_probe
from beatssl_sklearn.finetuning.values import encode_values

ALPHAS = np.logspace(5, -1, 13)


def valued(n, d, noise=0.5):
    rng = np.random.default_rng(0)
    Z = (rng.normal(size=(n, d)) * np.logspace(-1, 1, d) + 3).astype(np.float32)
    z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    return Z, z @ rng.normal(size=(d, 2)) / np.sqrt(d) + noise * rng.normal(size=(n, 2))


@pytest.mark.parametrize(("n", "d"), [(50, 80), (200, 20)])
def test_it_is_scikit_learns_at_some_penalty(n, d):
    """With weights, and a value missing in one target."""
    Z, y = valued(n, d)
    y[7, 1] = np.nan
    counts = np.random.default_rng(1).integers(0, 3, n)
    targets = encode_values(y, n, counts)
    index = np.flatnonzero(counts)
    standard = standardisation(Z[index], counts[index].astype(float))
    weight, bias = fit_ridge_probe(Z, standard, targets, index, None, 0)
    z = standard.apply(Z).astype(float)
    assert weight.shape == (2, d) and weight.dtype == bias.dtype == np.float32
    for column in range(2):
        used = index[~np.isnan(y[index, column])]
        fits = [
            Ridge(alpha=alpha).fit(z[used], targets.values[used, column], sample_weight=counts[used])
            for alpha in ALPHAS
        ]
        off = [np.abs(z @ (fit.coef_ - weight[column]) + fit.intercept_ - bias[column]).max() for fit in fits]
        assert min(off) < 2e-4 and np.sort(off)[1] > 2e-3


def test_the_penalty_follows_the_evidence():
    Z, y = valued(200, 20, noise=0.1)
    index, noise = np.arange(200), np.random.default_rng(5).normal(size=200)
    targets = encode_values(np.stack([y[:, 0], noise], axis=1), 200)
    weight, _ = fit_ridge_probe(Z, standardisation(Z), targets, index, None, 0)
    assert np.linalg.norm(weight[0]) > 0.8 and np.linalg.norm(weight[1]) < 0.1


def test_the_penalty_is_chosen_over_patients():
    """If values belong to patients only, a split with one patient on both sides looks good."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(40), 5)
    Z = (rng.normal(size=(40, 100))[patient] + 0.1 * rng.normal(size=(200, 100))).astype(np.float32)
    targets = encode_values(rng.normal(size=40)[patient], 200)
    leaky, honest = (
        fit_ridge_probe(Z, standardisation(Z), targets, np.arange(200), g, 0)[0] for g in (None, patient)
    )
    assert np.linalg.norm(leaky) > 5 * np.linalg.norm(honest)
