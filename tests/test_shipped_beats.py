"""The head that ships as "beats": unchanged, small, and right on beats of every kind."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from beatssl_sklearn import ECGRecord, fetch_mitdb, load, make_ecg
from beatssl_sklearn.ecg import match_labels
from beatssl_sklearn.evaluation import beat_score
from beatssl_sklearn.persistence import model_file

STORED = Path(__file__).parent / "shipped_beats.npz"


@pytest.fixture(scope="module")
def model():
    return load("beats")


def minute(data_dir, number):
    whole = fetch_mitdb(data_dir / "mitdb", records=[number], download_if_missing=False)
    record, stop = whole.data[0], 60 * 360
    kept = whole.rpeaks[0] < stop
    one = ECGRecord(record.signal[:, :stop], record.fs, record.leads)
    return one, whole.rpeaks[0][kept], whole.beat_labels[0][kept]


def test_it_is_a_pipeline_with_the_shipped_encoder(model):
    assert isinstance(model, Pipeline) and list(model.classes_) == ["F", "N", "S", "V"]
    assert model[0].encoder_.weights is load("ptbxl").encoder_.weights or all(
        np.array_equal(a, b)
        for a, b in zip(model[0].encoder_.weights.values(), load("ptbxl").encoder_.weights.values(), strict=True)
    )
    assert (Path(model_file.__file__).parents[1] / "weights" / "beats.bssl").stat().st_size < 150_000


def test_labels_and_probabilities_are_the_stored_ones(model, data_dir):
    record, _, _ = minute(data_dir, 208)
    stored = np.load(STORED)
    np.testing.assert_allclose(model.predict_proba([record])[0], stored["probability"], atol=2e-3)
    assert (model.predict([record])[0] == stored["label"]).mean() > 0.98


@pytest.mark.parametrize(("number", "label", "least"), [(208, "V", 0.9), (119, "V", 0.95), (220, "N", 0.95)])
def test_beats_of_its_training_patients(model, data_dir, number, label, least):
    """A floor, not a score: these records were seen in training."""
    record, rpeaks, labels = minute(data_dir, number)
    found = match_labels(model[0].rpeaks([record]), [rpeaks], [labels], fs=record.fs)
    assert beat_score(found, model.predict([record]), metric=f"f1_{label}") > least


def test_simulated_extrasystoles_are_ventricular(model):
    """Wide early beats of a simulator that training has not seen."""
    ecg = make_ecg(4, rhythm="pvc", fs=250, duration=30, random_state=0)
    model = load("beats")
    model[0].set_params(fs=250)
    labels = np.concatenate(list(model.predict(ecg.data)))
    assert 0 < (labels == "V").mean() < 0.5


def test_flat_and_short_records(model):
    X = np.zeros((1, 12, 2500), np.float32)
    with pytest.warns(UserWarning):
        assert len(model.predict(X)[0]) == 0
