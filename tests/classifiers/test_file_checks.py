"""Classifiers of scikit-learn in files."""

import copy

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import BeatClassifier, load, save
from beatssl_sklearn.files.tensor_file import read_tensor_file, write_tensor_file


def beats(classes):
    rng = np.random.default_rng(0)
    labels = [np.array(classes)[rng.integers(len(classes), size=20)] for _ in range(2)]
    return [rng.normal(size=(20, 4)) + (own[:, None] == classes[0]) for own in labels], labels


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("hidden", [3, (4,), (5, 3), ()])
@pytest.mark.parametrize("classes", [["N", "V"], ["N", "S", "V", "F"], [0, 1, 7]])
def test_a_perceptron_answers_as_before(classes, hidden, tmp_path):
    X, y = beats(classes)
    network = MLPClassifier(hidden, activation="tanh", max_iter=15, random_state=0)
    head = BeatClassifier(make_pipeline(StandardScaler(), network)).fit(X, y)
    save(head, tmp_path / "m.bssl")
    again = load(tmp_path / "m.bssl")
    for method in ("predict", "predict_proba"):
        for found, expected in zip(getattr(again, method)(X), getattr(head, method)(X), strict=True):
            np.testing.assert_array_equal(found, expected)
    assert again.classes_.tolist() == sorted(classes) and again.classes_.dtype == head.classes_.dtype


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n_outputs_", 3, "n_outputs_, n_layers_, out_activation_ do not fit 2 classes"),
        ("out_activation_", "softmax", "out_activation_ do not fit"),
        ("out_activation_", "x", "out_activation_ do not fit"),
        ("n_layers_", 10**6, "n_layers_"),
        ("classes_", {"text": ["N", "S", "V"]}, "do not fit 3 classes"),
        ("classes_", {"text": ["N", "N"]}, "classes_ must be an array of different labels"),
        ("coefs_", [], "coefs_ must be a list of 2 arrays"),
        ("coefs_", {"tuple": []}, "coefs_ must be a list of 2 arrays"),
        ("coefs_", [1, 2], "coefs_ must be of the type ndarray"),
        ("n_features_in_", 5, r"coefs_ must be an array of shape \(5, 3\)"),
        ("n_features_in_", None, "n_features_in_"),
    ],
)
def test_forged_perceptrons_are_refused(name, value, message, tmp_path):
    save(BeatClassifier(MLPClassifier(3, max_iter=2, random_state=0)).fit(*beats(["N", "V"])), tmp_path / "m.bssl")
    arrays, config = read_tensor_file(tmp_path / "m.bssl")
    config = copy.deepcopy(config)
    config["fitted"]["estimator_"]["fitted"][name] = value
    write_tensor_file(tmp_path / "m.bssl", arrays, config)
    with pytest.raises(ValueError, match=f"m.bssl: .*{message}"):
        load(tmp_path / "m.bssl")
