"""FittedEncoder: made once, never changed, the same after any copy."""

import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from beatssl_sklearn import BeatSSL, BeatSSLPretrainer, FittedEncoder, FrontEnd, RhythmEmbedder, make_ecg, save
from beatssl_sklearn.embedding.fitted_encoder import fitted_encoder, is_fitted
from beatssl_sklearn.embedding.starting_encoder import starting_encoder

TINY = {"encoder_params": {"widths": (8, 16, 24), "n_dims": 12}, "random_state": 0, "batch_size": 4, "device": "cpu"}
X = make_ecg(6, rhythm="mixed", fs=100, duration=4, random_state=0).data


@pytest.fixture(scope="module")
def pre():
    return BeatSSLPretrainer(BeatSSL(projection_dim=8), fs=100, max_epochs=1, **TINY).fit(X)


def test_networks_are_made_once(pre):
    encoder = pre.encoder_
    assert encoder.model("cpu") is encoder.model("cpu", "fp32") is pre.encoder_.model("cpu", "auto")
    assert encoder.model("cpu", "bf16") is not encoder.model("cpu", "fp32")
    other = encoder.described(fs=250.0)
    assert other.fs == 250 and other.model("cpu") is encoder.model("cpu"), "the network is the same for any X"
    assert encoder.described(fs=encoder.fs) is encoder
    assert encoder.fitted_with(encoder.weights).model("cpu") is not encoder.model("cpu")


def test_copies_and_hashes(pre):
    encoder = pre.encoder_
    assert copy.copy(encoder) is copy.deepcopy(encoder) is encoder
    before = joblib.hash(encoder)
    encoder.model("cpu")
    again = pickle.loads(pickle.dumps(encoder))
    assert joblib.hash(encoder) == before == joblib.hash(again)
    assert len(pickle.dumps(encoder)) < 1.1 * sum(a.nbytes for a in encoder.weights.values()) + 8000
    np.testing.assert_array_equal(RhythmEmbedder(again).transform(X), pre.transform(X))
    with pytest.raises(FrozenInstanceError):
        encoder.fs = 3
    assert len(repr(encoder)) < 400


def test_untrained(pre):
    encoder = pre.encoder_
    made = FittedEncoder.untrained("beatnet", TINY["encoder_params"], FrontEnd(), 0, fs=100)
    fresh = encoder.with_random_weights(0)
    zero = clone(pre).set_params(max_epochs=0).fit(X).encoder_
    for name, array in zero.weights.items():
        np.testing.assert_array_equal(made.weights[name], array)
        np.testing.assert_array_equal(fresh.weights[name], array)
    assert (fresh.fs, fresh.n_leads) == (encoder.fs, encoder.n_leads)
    other = encoder.with_random_weights(1)
    assert not np.array_equal(other.weights["stem.conv.weight"], made.weights["stem.conv.weight"])


def test_what_has_an_encoder(pre, tmp_path):
    save(pre, tmp_path / "m.bssl")
    assert fitted_encoder(pre) is fitted_encoder(pre.encoder_) is fitted_encoder(RhythmEmbedder(pre)) is pre.encoder_
    assert fitted_encoder(tmp_path / "m.bssl").front_end == pre.encoder_.front_end
    for fitted in (pre, pre.encoder_, "ptbxl", tmp_path, RhythmEmbedder(pre)):
        assert is_fitted(fitted)
    for other in (clone(pre), None, 3, BeatSSLPretrainer, LogisticRegression(), RhythmEmbedder(clone(pre))):
        assert not is_fitted(other)
    with pytest.raises(NotFittedError):
        fitted_encoder(clone(pre))
    for other in (None, 3, BeatSSLPretrainer, LogisticRegression()):
        with pytest.raises(TypeError, match="pretrainer must"):
            fitted_encoder(other)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fs_model", 125.0),
        ("amplitude", "relative"),
        ("rpeak_detector", "sleepecg"),
        ("beat_window", (0.2, 0.4)),
        ("beat_phases", 5),
        ("encoder", "resnet1d"),
        ("encoder_params", {"size": "m"}),
    ],
)
def test_what_describes_a_network_cannot_be_changed_under_it(pre, name, value):
    """Neither before nor after a copy, by none of the ways to embed."""
    changed = copy.deepcopy(pre).set_params(**{name: value})
    for again in (changed, pickle.loads(pickle.dumps(changed))):
        for embed in (again.transform, again.embed, RhythmEmbedder(again).transform, again.partial_fit):
            with pytest.raises(ValueError, match=f"{name}=.* was set after fit, which had .*fit again"):
                embed(X)
    assert changed.set_params(**{name: getattr(pre, name)}).transform(X).shape == (6, 120)


def test_what_describes_signals_applies_at_once(pre):
    slow = make_ecg(2, fs=50, duration=8, random_state=0).data
    changed = copy.deepcopy(pre).set_params(fs=50)
    np.testing.assert_array_equal(changed.transform(slow), RhythmEmbedder(pre, fs=50).transform(slow))
    np.testing.assert_array_equal(RhythmEmbedder(changed).transform(slow), changed.transform(slow))
    tolerant = copy.deepcopy(pre).set_params(allow_nan=True)
    gap = np.array(X)
    gap[0, 3] = np.nan
    assert np.isfinite(RhythmEmbedder(tolerant).transform(gap)).all()


def test_where_a_training_on_labels_starts(pre):
    assert starting_encoder(pre, 0) == (pre.encoder_, False)
    untrained, scratch = starting_encoder(clone(pre), 3)
    assert scratch and replace(untrained, weights={}).encoder_params == TINY["encoder_params"]
    default, scratch = starting_encoder(None, 0)
    assert scratch and default.encoder == "beatnet" and default.front_end == FrontEnd()
    for other in (3, LogisticRegression(), BeatSSLPretrainer):
        with pytest.raises(TypeError, match="pretrainer must be a pretrainer"):
            starting_encoder(other, 0)
