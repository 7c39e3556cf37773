"""The head that ships as "af-episodes": small, and it finds a simulated episode where it is."""

from pathlib import Path

import numpy as np
import pytest

from beatssl_sklearn import ECGRecord, load, make_ecg
from beatssl_sklearn.ecg import merge_episodes
from beatssl_sklearn.evaluation import episode_scores
from beatssl_sklearn.persistence import model_file

FS = 250


@pytest.fixture(scope="module")
def model():
    return load("af-episodes")


def strip(rhythm, seconds, seed):
    return make_ecg(1, rhythm=rhythm, fs=FS, duration=seconds, leads=["II"], noise=0.03, random_state=seed).data[0]


def test_file_and_classes(model):
    assert list(model.classes_) == ["AFIB", "N"]
    assert (Path(model_file.__file__).parents[1] / "weights" / "af-episodes.bssl").stat().st_size < 100_000


def test_an_episode_is_found_where_it_is(model):
    """Sinus rhythm with premature beats, then fibrillation, then sinus rhythm; borders may be off by some seconds."""
    signal = np.concatenate([strip("pac", 90, 1), strip("af", 120, 2), strip("sinus", 90, 3)], axis=1)
    records = [ECGRecord(signal, FS, ("II",)), ECGRecord(strip("sinus", 60, 4), FS, ("II",))]
    labels, spans = model.predict(records), model[0].windows(records)
    found = [merge_episodes(own, where) for own, where in zip(labels, spans, strict=True)]
    truth = [[(90 * FS, 210 * FS, "AFIB")], []]
    scores = episode_scores(truth, found, fs=FS, n_times=[record.signal.shape[1] for record in records])
    assert scores.n_true == scores.n_found == 1
    assert scores.duration_sensitivity > 0.9 and scores.duration_ppv > 0.8
    assert not any(episode.label == "AFIB" for episode in found[1])


def test_a_record_of_less_than_five_seconds_has_no_label(model):
    X = [ECGRecord(strip("af", 30, 5)[:, : 4 * FS], FS, ("II",))]
    with pytest.warns(UserWarning, match="record 0: shorter than 5 s"):
        assert model.predict(X)[0].tolist() == [None]
