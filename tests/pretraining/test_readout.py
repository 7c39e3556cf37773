"""Readouts: what they add to an embedding, what they leave alone, and files that hold them."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from beatssl_sklearn import (
    BeatEmbedder,
    BeatSSL,
    BeatSSLPretrainer,
    FineTunedClassifier,
    RhythmEmbedder,
    WindowEmbedder,
    fit_readout,
    load,
    make_ecg,
    save,
)
from beatssl_sklearn.embedding.readout import Readout
from beatssl_sklearn.pretraining.readout import learn_readout

ECG = make_ecg(6, rhythm="mixed", fs=100, duration=4, random_state=0)
X = ECG.data
TARGETS = np.random.default_rng(0).normal(size=(6, 3))


@pytest.fixture(scope="module")
def plain():
    run = {"max_epochs": 0, "random_state": 0, "device": "cpu"}
    return BeatSSLPretrainer(BeatSSL.shipped(), fs=100, encoder_params={"widths": (4, 4, 4), "n_dims": 4}, **run).fit(X)


@pytest.fixture(scope="module")
def taught(plain):
    return fit_readout(plain, X, TARGETS, n_hidden=5, max_epochs=2)


def test_the_hidden_layer_by_hand():
    weight = np.array([[1.0], [2.0]], np.float32)
    readout = Readout(np.array([-1.0, 0.0]), np.array([1.0, 10.0]), weight, np.array([0.5]))
    # 9 is clipped to 1: 1 * 1 + 3 * 2 + .5 = 7.5, where gelu is the identity; 0 and gelu(0) = 0 for the second.
    found = readout(np.array([[9.0, 3.0], [-0.5, 0.0], [np.nan, 0.0]], np.float32))
    np.testing.assert_allclose(found[:2, 0], [7.5, 0], atol=1e-6)
    assert found.dtype == np.float32 and np.isnan(found[2, 0])


def test_what_is_folded_into_an_embedding_comes_forward():
    """A product of two columns is nothing to a linear model, and something to one on the hidden layer."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3000, 4)).astype(np.float32)
    product = z[:, 0] * z[:, 1]
    targets = np.column_stack([product, np.where(z[:, 2] > 0, z[:, 2], np.nan)])
    readout = learn_readout(z[:2000], targets[:2000], n_hidden=64, max_epochs=20)
    scores = []
    for features in (z, np.hstack([z, readout(z)])):
        model = Ridge(1.0).fit(features[:2000], product[:2000])
        scores.append(r2_score(product[2000:], model.predict(features[2000:])))
    assert scores[0] < 0.05 and scores[1] > 0.6


def test_columns_come_last_and_the_others_stay(plain, taught):
    assert np.array_equal(taught.transform(X)[:, :-5], plain.transform(X))
    assert taught.get_feature_names_out()[-5:].tolist() == [f"readout_{k}" for k in range(5)]
    assert RhythmEmbedder(taught, parts="readout").transform(X).shape == (6, 5)
    assert plain.encoder_.readout is None


def test_a_record_does_not_depend_on_its_neighbours(taught):
    whole = taught.transform(X)
    alone = np.concatenate([taught.transform(X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(alone[:, -5:], whole[:, -5:], atol=1e-5 * np.abs(whole[:, -5:]).max())


def test_beats_and_windows_have_none(plain, taught):
    for embedder in (BeatEmbedder, WindowEmbedder):
        for own, other in zip(embedder(taught).transform(X), embedder(plain).transform(X), strict=True):
            assert np.array_equal(own, other)
    assert WindowEmbedder(taught).get_feature_names_out()[-1] == "beat7_3"


def test_training_on_from_it_leaves_it_behind(taught):
    run = {"max_epochs": 1, "batch_size": 6, "random_state": 0, "device": "cpu"}
    model = FineTunedClassifier(taught, **run).fit(X, ["a", "b"] * 3)
    assert model.encoder_.readout is None and model.predict(X).shape == (6,)
    assert taught.encoder_.with_random_weights(0).readout is None


@pytest.mark.parametrize("half", [False, True])
def test_files(half, taught, tmp_path):
    save(taught, tmp_path / "m.bssl", half=half)
    found, wanted = load(tmp_path / "m.bssl").transform(X), taught.transform(X)
    np.testing.assert_allclose(found, wanted, atol=(4e-3 if half else 0) * np.abs(wanted).max())


def test_what_cannot_be_taught(plain):
    with pytest.raises(ValueError, match="a row per record: 5 for 6 records"):
        fit_readout(plain, X, TARGETS[:5])
    with pytest.raises(ValueError, match="no column that more than one record"):
        fit_readout(plain, X, np.full((6, 2), np.nan))
    with pytest.raises(ValueError, match="no column that varies"):
        fit_readout(plain, X, np.ones((6, 2)))
    with pytest.raises(ValueError, match="n_hidden"):
        fit_readout(plain, X, TARGETS, n_hidden=0)
    with pytest.raises(TypeError, match="RhythmEmbedder"):
        fit_readout(RhythmEmbedder(plain), X, TARGETS)
