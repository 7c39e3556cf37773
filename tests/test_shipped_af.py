"""The head that ships as "af": small, for any rate, and right on simulated rhythms that training has not seen."""

from pathlib import Path

import numpy as np
import pytest

from beatssl_sklearn import load, make_ecg
from beatssl_sklearn.persistence import model_file


@pytest.fixture(scope="module")
def model():
    return load("af")


def labels(model, rhythm, fs=300, sign=1.0):
    ecg = make_ecg(8, rhythm=rhythm, fs=fs, duration=30, noise=0.02, random_state=0)
    model[0].set_params(fs=fs, leads=("I",))
    return [own[0] for own in model.predict(sign * ecg.data[:, :1])]


def test_file_and_classes(model):
    assert list(model.classes_) == ["A", "N", "O", "~"]
    assert (Path(model_file.__file__).parents[1] / "weights" / "af.bssl").stat().st_size < 100_000


@pytest.mark.parametrize("fs", [128, 300, 500])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_fibrillation_is_told_from_sinus_rhythm(model, fs, sign):
    """At any rate, and whichever hand holds the electrode."""
    assert labels(model, "af", fs, sign).count("A") >= 6
    assert "A" not in labels(model, "sinus", fs, sign)


def test_a_record_without_a_signal_has_no_label(model):
    X = make_ecg(2, fs=300, duration=30, random_state=0).data[:, :1].copy()
    X[0] = np.nan
    model[0].set_params(fs=300, leads=("I",), allow_nan=True, check="ignore")
    first, second = model.predict(X)
    assert first[0] is None and second[0] in model.classes_
    model[0].set_params(allow_nan=None, check="warn")
