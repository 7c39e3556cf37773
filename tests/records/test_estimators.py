"""Stores as X: what estimators compute from them is what they compute from the same array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from beatssl_sklearn import BeatSSLPretrainer, RhythmEmbedder, ZarrRecords, make_ecg, pack_records

DATA = make_ecg(12, rhythm=["sinus", "af"], fs=100, duration=4, random_state=0)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> ZarrRecords:
    place: Path = tmp_path_factory.mktemp("store") / "a.zarr"
    return pack_records(DATA.data, place, fs=100, chunk=5)


@pytest.fixture(scope="module")
def array(records: ZarrRecords) -> np.ndarray:
    """The records, quantised in the same way."""
    return np.asarray(records)


@pytest.fixture(scope="module")
def pretrainer(array: np.ndarray) -> BeatSSLPretrainer:
    return new_pretrainer().fit(array)


def new_pretrainer() -> BeatSSLPretrainer:
    params = {"widths": (8, 16, 24), "n_dims": 12}
    return BeatSSLPretrainer(fs=100, encoder_params=params, max_epochs=2, batch_size=5, random_state=0, device="cpu")


def test_training_on_a_store_is_training_on_its_array(
    records: ZarrRecords, array: np.ndarray, pretrainer: BeatSSLPretrainer
) -> None:
    stored = new_pretrainer().fit(records)
    np.testing.assert_array_equal(stored.transform(array), pretrainer.transform(array))
    timed = {"seconds", "records_per_second"}
    pairs = zip(stored.history_, pretrainer.history_, strict=True)
    assert all({k: v for k, v in own.items() if k not in timed} == {k: v for k, v in other.items() if k not in timed}
               for own, other in pairs)


def test_embeddings_are_those_of_the_array(
    records: ZarrRecords, array: np.ndarray, pretrainer: BeatSSLPretrainer
) -> None:
    embedder = RhythmEmbedder(pretrainer, fs=100, batch_size=5)
    found = embedder.transform(records)
    np.testing.assert_array_equal(found, embedder.transform(array))
    np.testing.assert_allclose(found, embedder.transform(DATA.data), rtol=0, atol=1e-2 * np.abs(found).max())
    order = np.random.default_rng(0).permutation(len(array))
    np.testing.assert_array_equal(embedder.transform(records[order]), embedder.transform(array[order]))


def test_a_search_splits_a_store(records: ZarrRecords, array: np.ndarray, pretrainer: BeatSSLPretrainer) -> None:
    model = make_pipeline(RhythmEmbedder(pretrainer, fs=100, batch_size=5), LogisticRegression())
    search = GridSearchCV(model, {"logisticregression__C": [0.1, 1.0]}, cv=2)
    scores = [search.fit(X, DATA.rhythm).cv_results_["mean_test_score"] for X in (records, array)]
    np.testing.assert_array_equal(*scores)
