"""Calibrated probabilities of many labels, their thresholds, and how usual a record is."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import chi2
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import load
from beatssl_sklearn.classifiers import LabelClassifier
from beatssl_sklearn.persistence import save

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(4000, 6)).astype(np.float32)
# True probabilities of two labels: a common one and a rare one.
TRUE = expit(np.column_stack([2 * Z[:, 0], 1.5 * Z[:, 1] - 2.5]))
Y = pd.DataFrame((RNG.random(TRUE.shape) < TRUE).astype(int), columns=["AF", "PVC"])


@pytest.fixture(scope="module")
def model():
    return LabelClassifier(C_grid=(0.01, 1.0), n_components=6).fit(Z[:3000], Y[:3000], groups=np.arange(3000) // 3)


def test_probabilities_are_the_true_ones(model):
    assert model.classes_.tolist() == ["AF", "PVC"]
    p = model.predict_proba(Z[3000:])
    assert np.abs(p - TRUE[3000:]).mean() < 0.02
    np.testing.assert_allclose(p, expit(model.decision_function(Z[3000:])), rtol=1e-6)


def test_labels_reach_their_thresholds(model):
    p = model.predict_proba(Z[3000:])
    assert np.array_equal(model.predict(Z[3000:]), p >= model.thresholds_)
    # The best F1 of a rare label asks for less than a half.
    assert 0.1 < model.thresholds_[1] < 0.45


def test_a_model_that_is_too_sure_is_calibrated():
    """With hardly any penalty and few records, logits are too large: the line that calibrates them is flat."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(120, 40))
    y = (X[:, :1] + 2 * rng.normal(size=(120, 1)) > 0).astype(int)
    own = LabelClassifier(C_grid=(1e3,)).fit(X, y)
    new = rng.normal(size=(2000, 40))
    label = new[:, 0] + 2 * rng.normal(size=2000) > 0
    p = own.predict_proba(new)[:, 0]
    sure = np.abs(p - 0.5) > 0.3
    assert sure.mean() < 0.1, "the label can hardly be told"
    assert abs(p.mean() - label.mean()) < 0.1


def test_usual_records_are_told_from_others(model):
    s = model.score_samples(Z[3000:])
    assert abs(s.mean() - 0.5) < 0.05 and abs((s < 0.1).mean() - 0.1) < 0.04
    # Six standard normal columns: squared distances follow chi-squared with six degrees of freedom.
    point = np.zeros((1, 6), np.float32)
    point[0, 0] = 3.0
    assert abs(model.score_samples(point)[0] - chi2(6).sf(9.0)) < 0.04
    assert model.score_samples(6 * point).tolist() == [0.0]


def test_records_that_are_mostly_unlike_the_training_are_told(model):
    odd = Z[3000:3010].copy()
    odd[:6] += 20
    with pytest.warns(UserWarning, match="6 of 10 records are unlike those of the training .score_samples below 0.05."):
        model.predict_proba(odd)
    model.predict(odd[2:])  # half of them: none
    model.predict(odd[:3])  # too few to say so


def test_distance_sees_what_lies_outside_the_components():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(500, 1)) * np.ones(8) + 0.01 * rng.normal(size=(500, 8))
    own = LabelClassifier(n_components=1, C_grid=(0.01,)).fit(X, (X[:, :1] > 0).astype(int))
    odd = np.zeros((1, 8))
    odd[0, :2] = 0.2, -0.2
    assert own.score_samples(odd)[0] == 0.0 and own.score_samples(np.zeros((1, 8)))[0] > 0.5


def test_saved_is_the_same(model, tmp_path):
    pipeline = make_pipeline(StandardScaler().fit(Z), model)
    save(pipeline, tmp_path / "model.bssl")
    again = load(tmp_path / "model.bssl")
    assert np.array_equal(again.predict_proba(Z[:9]), pipeline.predict_proba(Z[:9]))
    assert np.array_equal(again.score_samples(Z[:9]), pipeline.score_samples(Z[:9]))


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.zeros(30), r"y must be a table \(n_records, n_labels\) of 0 and 1, got shape \(30,\)"),
        (np.full((30, 2), 2), "y must be a table"),
        (pd.DataFrame({"A": [0, 1] * 15, "B": [1] + [0] * 29}), "1 of 30 records have the label B; at least 2"),
    ],
)
def test_tables_that_cannot_be_used(y, text):
    with pytest.raises(ValueError, match=text):
        LabelClassifier().fit(Z[:30], y)


@pytest.mark.parametrize("wrong", [{"C_grid": ()}, {"C_grid": (0,)}, {"n_folds": 1}, {"clip": 0}, {"n_components": 0}])
def test_parameters_out_of_range(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LabelClassifier(**wrong).fit(Z[:30], Y[:30])


def test_one_group_is_not_enough():
    with pytest.raises(ValueError, match="at least 2 groups"):
        LabelClassifier().fit(Z[:30], Y[:30], groups=np.zeros(30))


@pytest.mark.parametrize("change", [{"coef_": np.zeros((5, 2))}, {"thresholds_": np.zeros(3)}, {"distance_": None}])
def test_files_are_checked(model, change, tmp_path):
    kept = dict(vars(model))
    try:
        vars(model).update(change)
        with pytest.raises((TypeError, ValueError), match=next(iter(change))):
            save(model, tmp_path / "wrong.bssl")
    finally:
        vars(model).update(kept)
