"""`reliable` of embedders: unreliable records are named, made NaN or refused, and nobody else's row changes."""

import pickle
import warnings

import joblib
import numpy as np
import pandas
import pytest
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from beatssl_sklearn import (
    BeatEmbedder,
    BeatSSLPretrainer,
    ECGRecord,
    RhythmEmbedder,
    SampleEmbedder,
    WindowEmbedder,
    load,
    make_ecg,
    save,
)
from beatssl_sklearn.ecg import LEADS

FS, BAD = 100, 2
EMBEDDERS = [RhythmEmbedder, BeatEmbedder, SampleEmbedder, WindowEmbedder]
NAMED = f"record {BAD}: quality 0.0. is below 0.5: flat"


def records():
    """Six records, one of which lacks the electrodes of V1 to V3."""
    x = make_ecg(6, fs=FS, random_state=0).data
    x[BAD, 6:9] = 0
    x.setflags(write=False)
    return x


X = records()


@pytest.fixture(scope="module")
def pre():
    tiny = {"encoder_params": {"widths": (8, 16, 24), "n_dims": 12}, "max_epochs": 0, "random_state": 0}
    return BeatSSLPretrainer(fs=FS, device="cpu", **tiny).fit(X)


def per_record(found):
    return [np.atleast_2d(own) for own in found]


@pytest.mark.parametrize("cls", EMBEDDERS)
def test_each_choice(cls, pre):
    kept = per_record(cls(pre).transform(X))
    assert all(np.isfinite(own).all() for own in kept)
    words = NAMED if cls is not WindowEmbedder else f"record {BAD}: 1 of 1 windows, first that at 0 s: quality"
    with pytest.warns(UserWarning, match=words) as told:
        warned = per_record(cls(pre, reliable="warn", batch_size=4).transform(X))
    assert len(told) == 1 and told[0].filename == __file__
    with pytest.warns(UserWarning, match=words) as told:
        dropped = per_record(cls(pre, reliable="drop").transform(X))
    assert str(told[0].message).endswith("(rows are NaN: reliable='drop')")
    with pytest.raises(ValueError, match=words):
        cls(pre, reliable="raise").transform(X)
    for i, own in enumerate(kept):
        assert np.allclose(warned[i], own, atol=1e-5) and dropped[i].shape == own.shape
        assert np.isnan(dropped[i]).all() if i == BAD else np.array_equal(dropped[i], own)


@pytest.mark.parametrize("cls", EMBEDDERS)
def test_good_records_are_not_spoken_of(cls, pre):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for choice in ("warn", "drop", "raise"):
            assert len(cls(pre, reliable=choice).transform(X[:BAD])) == BAD


def test_records_keep_their_names(pre):
    given = [ECGRecord(x, FS, LEADS) for x in X]
    column = pandas.Series(given, index=list("abcdef"))
    with pytest.warns(UserWarning, match="record 'c': quality"):
        RhythmEmbedder(pre, reliable="warn").transform(column)


def test_beats_of_a_dropped_record_stay_where_they_are(pre):
    peaks = [np.array([200, 400, 600])] * 6
    embedder = BeatEmbedder(pre, timing=True, reliable="drop", check="ignore")
    with pytest.warns(UserWarning, match=NAMED):
        found = embedder.transform(X, rpeaks=peaks)
    assert [len(own) for own in found] == [3] * 6
    # Neither the embedding nor the timing looks usable.
    assert [bool(np.isnan(own).all()) for own in found] == [i == BAD for i in range(6)]


def test_windows_of_a_long_record_are_judged_one_by_one(pre):
    x = make_ecg(2, fs=FS, duration=40, random_state=1).data
    x[1, :, 1000:2000] = 0
    embedder = WindowEmbedder(pre, step=10, timing=True, check="ignore")
    plain = embedder.transform(x)
    with pytest.warns(UserWarning, match=r"record 1: 1 of 4 windows, first that at 10 s: quality 0\.00 .*flat \(all"):
        found = clone(embedder).set_params(reliable="drop", batch_size=3).transform(x)
    assert np.isnan(found[1]).all(axis=1).tolist() == [False, True, False, False]
    assert np.allclose(found[0], plain[0], atol=1e-5)
    assert np.allclose(found[1][[0, 2, 3]], plain[1][[0, 2, 3]], atol=1e-5)


def test_files_copies_and_caches_hold_the_choice(pre, tmp_path):
    embedder = RhythmEmbedder(pre, reliable="drop")
    save(embedder, tmp_path / "m.bssl")
    plain = RhythmEmbedder(pre, memory=joblib.Memory(tmp_path / "cache", verbose=0))
    assert np.isfinite(plain.transform(X)).all()
    copies = [load(tmp_path / "m.bssl"), clone(embedder), pickle.loads(pickle.dumps(embedder))]
    for other in (*copies, clone(plain).set_params(reliable="drop")):
        assert other.reliable == "drop"
        with pytest.warns(UserWarning, match=NAMED):
            assert np.isnan(other.transform(X)).all(axis=1).tolist() == [i == BAD for i in range(6)]


def test_the_choice_can_be_searched(pre):
    pipe = make_pipeline(RhythmEmbedder(pre), SimpleImputer(), LogisticRegression(max_iter=500))
    search = GridSearchCV(pipe, {"rhythmembedder__reliable": ["keep", "drop"]}, cv=2, refit=False)
    with pytest.warns(UserWarning, match="rows are NaN"):
        search.fit(X, [0, 1, 0, 1, 0, 1])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("cls", EMBEDDERS)
def test_other_words_are_refused(cls, pre):
    embedder = cls(pre, reliable="yes")
    for call in (embedder.fit, embedder.transform):
        with pytest.raises(ValueError, match="reliable must be one of keep, warn, drop, raise, got 'yes'"):
            call(X)
