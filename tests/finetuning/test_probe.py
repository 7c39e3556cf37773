"""The probe that fine-tuning starts from, against scikit-learn's logistic regression."""

import numpy as np
import pytest
import torch
from closeness import assert_close_to_rounding
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from beatssl_sklearn.finetuning.labels import encode_labels
from beatssl_sklearn.finetuning.probe import NORM_EPS, fit_probe, standardisation

C_GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)


def labelled(n, d, seed=0):
    rng = np.random.default_rng(seed)
    Z = (rng.normal(size=(n, d)) * np.logspace(-1, 1, d) + 3).astype(np.float32)
    return Z, (Z - Z.mean(axis=0)) / Z.std(axis=0) @ rng.normal(size=(d, 3)) / np.sqrt(d) + rng.normal(size=(n, 3))


@pytest.mark.parametrize("kind", ["two", "three", "several"])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize(("n", "d"), [(50, 80), (300, 20)])
def test_it_is_scikit_learns_at_some_penalty(kind, class_weight, n, d):
    Z, signal = labelled(n, d)
    y = {"two": signal[:, 0] > 0.5, "three": (signal + [0, 0.5, 1]).argmax(axis=1), "several": signal > 0.5}[kind]
    targets = encode_labels(y.astype(int), n, class_weight)
    # Records that it is not fitted on do not count.
    index = np.arange(5, n)
    standard = standardisation(Z[index])
    weight, bias = fit_probe(Z, standard, targets, index, None, 0)
    z = standard.apply(Z[index])
    logits = z @ weight.T + bias
    found = softmax(logits, axis=1)[:, 1:] if kind == "three" else expit(logits)
    columns = y.reshape(n, -1)[index].T.astype(int)
    weights = targets.weights.reshape(n, -1)[index].T
    off = []
    for C in C_GRID:
        peer = LogisticRegression(C=C, max_iter=5000, tol=1e-7)
        p = [peer.fit(z, c, w).predict_proba(z)[:, 1:] for c, w in zip(columns, weights, strict=True)]
        off.append(np.abs(found - np.hstack(p)).max())
    assert min(off) < 2e-3 and np.sort(off)[1] > 5e-3
    assert weight.dtype == bias.dtype == np.float32 and weight.shape == (len(bias), d)


def test_the_penalty_follows_the_evidence():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    noise = rng.normal(size=(200, 30)).astype(np.float32)
    marked = noise + 3 * y[:, None] * (np.arange(30) == 0)
    index = np.arange(200)
    targets = encode_labels(y, 200, None)
    fits = [fit_probe(z, standardisation(z), targets, index, None, 0) for z in (noise, marked.astype(np.float32))]
    size = [np.abs(weight).max() for weight, _ in fits]
    assert size[0] < 0.02 and size[1] > 0.5


def test_the_penalty_is_chosen_over_patients():
    """If labels belong to patients only, a split with one patient on both sides looks good."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(40), 5)
    Z = (rng.normal(size=(40, 100))[patient] + 0.1 * rng.normal(size=(200, 100))).astype(np.float32)
    targets = encode_labels(rng.permutation(np.arange(40) % 2)[patient], 200, None)
    leaky, honest = (fit_probe(Z, standardisation(Z), targets, np.arange(200), g, 0)[0] for g in (None, patient))
    assert np.linalg.norm(leaky) > 5 * np.linalg.norm(honest)


@pytest.mark.parametrize("kind", ["two", "three", "several"])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_a_weight_counts_records(kind, class_weight):
    """A record of weight 2 is the record twice, where the copies share a group, and so a fold."""
    Z, signal = labelled(90, 12)
    y = {"two": signal[:, 0] > 0.5, "three": signal.argmax(axis=1), "several": signal > 0.5}[kind].astype(int)
    counts, groups = np.random.default_rng(1).integers(0, 4, 90), np.arange(90) // 3
    targets = encode_labels(y, 90, class_weight, counts)
    index = np.flatnonzero(counts)
    found = fit_probe(Z, standardisation(Z[index], counts[index]), targets, index, groups, 0)
    Z2, y2, groups2 = (np.repeat(a, counts, axis=0) for a in (Z, y, groups))
    repeated = encode_labels(y2, len(y2), class_weight)
    standard = standardisation(Z2)
    expected = fit_probe(Z2, standard, repeated, np.arange(len(y2)), groups2, 0)
    np.testing.assert_allclose(standardisation(Z[index], counts[index]).mean, standard.mean, rtol=1e-5)
    np.testing.assert_allclose(standardisation(Z[index], counts[index]).variance, standard.variance, rtol=1e-5)
    size = np.abs(expected[0]).max()
    np.testing.assert_allclose(found[0], expected[0], atol=5e-3 * size)
    np.testing.assert_allclose(found[1], expected[1], atol=5e-3 * max(size, np.abs(expected[1]).max()))
    plain = fit_probe(Z, standardisation(Z), encode_labels(y, 90, class_weight), np.arange(90), groups, 0)
    assert np.abs(plain[0] - expected[0]).max() > 0.05 * size


def test_one_patient_has_the_strongest_penalty():
    Z, signal = labelled(60, 5)
    targets = encode_labels(signal[:, 0] > 0, 60, None)
    weight, _ = fit_probe(Z, standardisation(Z), targets, np.arange(60), np.zeros(60, dtype=np.int64), 0)
    assert 0 < np.abs(weight).max() < 60 * C_GRID[0]


def test_a_constant_dimension_of_the_embedding_does_not_decide():
    z = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    z[:, 1] = 7
    standard = standardisation(z)
    weight, _ = fit_probe(z, standard, encode_labels(np.arange(40) % 2, 40, None), np.arange(40), None, 0)
    assert abs(weight[0, 1]) < 1e-6 and np.abs(standard.apply(z + 1)[:, 1]).max() < 1e-5
    np.testing.assert_allclose(standard.apply(z)[:, [0, 2]].std(axis=0), 1, atol=1e-4)


def test_embeddings_are_standardised_as_in_the_network():
    Z, _ = labelled(50, 8)
    standard = standardisation(Z)
    norm = torch.nn.BatchNorm1d(8, eps=NORM_EPS, affine=False).eval()
    norm.running_mean, norm.running_var = torch.from_numpy(standard.mean), torch.from_numpy(standard.variance)
    assert_close_to_rounding(standard.apply(Z), norm(torch.from_numpy(Z)), 1e-5)
