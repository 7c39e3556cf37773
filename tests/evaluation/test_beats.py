"""Scores of beats, and cross-validation over records with one array of labels each."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_score, recall_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import BeatClassifier, BeatEmbedder, ECGRecord, SequenceClassifier, fetch_mitdb, match_labels
from beatssl_sklearn.ecg.beats import as_objects
from beatssl_sklearn.evaluation import beat_score, beat_scorer, cross_val_predict_beats


@pytest.fixture(scope="module")
def beats():
    """Beats of ten records of five patients: three classes that overlap, some beats without a label."""
    rng = np.random.default_rng(0)
    y = [rng.choice(["N", "S", "V"], n, p=[0.6, 0.2, 0.2]).astype(object) for n in rng.integers(8, 20, 10)]
    X = [rng.normal(size=(len(own), 3)) + 2 * np.stack([own == c for c in "NSV"], axis=1) for own in y]
    for own in y:
        own[rng.random(len(own)) < 0.2] = None
    return X, y, np.repeat(np.arange(5), 2)


def flat(y, predicted):
    labels, found = np.concatenate(y), np.concatenate(list(predicted))
    known = np.array([label is not None for label in labels])
    return labels[known].astype(str), found[known].astype(str)


METRICS = {
    "accuracy": lambda a, b: (a == b).mean(),
    "balanced_accuracy": balanced_accuracy_score,
    "f1_macro": lambda a, b: f1_score(a, b, average="macro"),
    "f1_weighted": lambda a, b: f1_score(a, b, average="weighted"),
    "precision_micro": lambda a, b: precision_score(a, b, average="micro"),
    "f1_S": lambda a, b: f1_score(a == "S", b == "S"),
    "recall_V": lambda a, b: recall_score(a == "V", b == "V"),
}


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_those_of_all_labelled_beats(beats, metric):
    X, y, _ = beats
    classifier = BeatClassifier(GaussianNB()).fit(X, y)
    expected = METRICS[metric](*flat(y, classifier.predict(X)))
    assert 0 < expected < 1
    assert beat_score(y, classifier.predict(X), metric=metric) == pytest.approx(expected)
    assert beat_scorer(metric)(classifier, X, y) == pytest.approx(expected)
    assert pickle.loads(pickle.dumps(beat_scorer(metric)))(classifier, X, y) == pytest.approx(expected)


def test_accuracy_is_that_of_the_classifier(beats):
    X, y, _ = beats
    classifier = BeatClassifier(GaussianNB()).fit(X, y)
    weights = [np.arange(len(own)) for own in y]
    assert beat_scorer()(classifier, X, y) == pytest.approx(classifier.score(X, y))
    weighted = classifier.score(X, y, sample_weight=weights)
    assert beat_scorer()(classifier, X, y, sample_weight=weights) == pytest.approx(weighted)
    assert weighted != pytest.approx(classifier.score(X, y))


def test_classes_that_are_numbers_have_names():
    y, predicted = [[0.0, 1.0, np.nan], [1, 1]], [[0, 0, 1], [1, 1]]
    assert beat_score(y, predicted, metric="recall_1") == pytest.approx(2 / 3)
    assert beat_score(y, predicted, metric=lambda a, b, sample_weight: float(len(a))) == 4
    with pytest.warns(UndefinedMetricWarning):
        assert beat_score(y, predicted, metric="f1_V") == 0


@pytest.mark.parametrize("metric", ["f1", "roc_auc", "f1_", 3, None])
def test_unknown_metrics_are_told(metric):
    with pytest.raises(ValueError, match="metric must be accuracy, .* got"):
        beat_scorer(metric)


def test_records_must_go_together():
    with pytest.raises(ValueError, match="record 1 has 2 beats but labels"):
        beat_score([["N"], ["N"]], [["N"], ["N", "V"]])
    with pytest.raises(ValueError, match="y: none of the 2 beats has a label"):
        beat_score([[None, None]], [["N", "V"]])


def test_cross_validation_by_patient_equals_a_loop(beats):
    X, y, patient = beats
    classifier = BeatClassifier(make_pipeline(StandardScaler(), LogisticRegression()))
    found = cross_val_score(classifier, X, y, groups=patient, cv=GroupKFold(5), scoring=beat_scorer("f1_macro"))
    expected = []
    for train, test in GroupKFold(5).split(X, groups=patient):
        fitted = BeatClassifier(classifier.estimator).fit([X[i] for i in train], [y[i] for i in train])
        expected.append(METRICS["f1_macro"](*flat([y[i] for i in test], fitted.predict([X[i] for i in test]))))
    np.testing.assert_allclose(found, expected)


def test_a_search_finds_what_a_class_needs(beats):
    X, y, patient = beats
    grid = {"estimator__priors": [[0.98, 0.01, 0.01], [0.1, 0.8, 0.1]]}
    for metric, best in (("recall_S", 1), ("recall_N", 0)):
        search = GridSearchCV(BeatClassifier(GaussianNB()), grid, scoring=beat_scorer(metric), cv=GroupKFold(3))
        assert search.fit(X, y, groups=patient).best_index_ == best


def test_weights_reach_fit_and_score(beats):
    X, y, _ = beats
    weights = [np.where(own == "S", 1.0, 1e-6) for own in y]
    with config_context(enable_metadata_routing=True):
        inner = BeatClassifier(GaussianNB()).set_fit_request(sample_weight=True)
        scorer = beat_scorer("accuracy").set_score_request(sample_weight=True)
        params = {"sample_weight": weights}
        scores = cross_val_score(inner, X, y, params=params, scoring=scorer, cv=KFold(2), error_score="raise")
    assert scores.min() > 0.99


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_predictions_out_of_fold_equal_a_loop(beats, method):
    X, y, patient = beats
    weights = [np.linspace(1, 2, len(own)) for own in y]
    params = {"sample_weight": weights}
    classifier = BeatClassifier(GaussianNB())
    found = cross_val_predict_beats(classifier, X, y, groups=patient, cv=3, method=method, params=params)
    assert found.dtype == object and [len(own) for own in found] == [len(own) for own in y]
    for train, test in GroupKFold(3).split(X, groups=patient):
        parts = ([a[i] for i in train] for a in (X, y, weights))
        fitted = BeatClassifier(GaussianNB()).fit(*parts)
        for i in test:
            np.testing.assert_array_equal(found[i], getattr(fitted, method)([X[i]])[0])
    assert beat_score(y, cross_val_predict_beats(classifier, X, y, groups=patient, cv=3), metric="f1_S") > 0.3


def test_a_class_that_no_training_record_has_is_improbable():
    X = [np.array([[0.0], [1.0]])] * 3 + [np.array([[0.0], [5.0]])]
    y = [["N", "V"]] * 3 + [["N", "S"]]
    p = cross_val_predict_beats(BeatClassifier(GaussianNB(var_smoothing=0.1)), X, y, cv=4, method="predict_proba")
    # Columns N, S, V: record 3 alone has S, and is predicted from the others.
    assert [own.shape for own in p] == [(2, 3)] * 4 and (p[3][:, 1] == 0).all()
    np.testing.assert_allclose([own.sum(axis=1) for own in p], 1)


def test_folds_are_of_records(beats):
    X, y, patient = beats
    classifier = BeatClassifier(GaussianNB())
    plain = cross_val_predict_beats(classifier, X, y)
    of_splits = cross_val_predict_beats(classifier, X, y, cv=list(KFold(5).split(X)))
    for a, b in zip(plain, of_splits, strict=True):
        np.testing.assert_array_equal(a, b)
    whole = cross_val_predict_beats(classifier, np.array(X, dtype=object), y, groups=patient)
    assert len(whole) == 10
    calls = {
        "method must be one of predict, predict_proba, got 'transform'": {"method": "transform"},
        "groups: the group of record 2 is missing": {"groups": [1, 2, None, *range(7)]},
        "record 0 is in no test fold": {"cv": [(np.arange(5), np.arange(5, 10))]},
        "record 5 is in several test folds": {"cv": [(np.arange(5), np.arange(5, 10))] * 2},
    }
    for message, options in calls.items():
        with pytest.raises(ValueError, match=message):
            cross_val_predict_beats(classifier, X, y, **options)
    with pytest.raises(ValueError, match="labels of 9 records, X has 10"):
        cross_val_predict_beats(classifier, X, y[:9])


def test_predictions_out_of_fold_take_what_embedders_and_heads_take(beats):
    """Ragged objects, lists of lists, and one label of a record of one window give what arrays give."""
    X, y, patient = beats
    head = SequenceClassifier(GaussianNB())
    expected = cross_val_predict_beats(head, X, y, groups=patient, cv=3)
    as_lists = [x.tolist() for x in X], [labels.tolist() for labels in y]
    for own, labels in (as_lists, (as_objects(X), as_objects(y)), (tuple(X), tuple(map(tuple, y)))):
        for a, b in zip(cross_val_predict_beats(head, own, labels, groups=patient, cv=3), expected, strict=True):
            np.testing.assert_array_equal(a, b)
    windows = [np.full((1, 2), float(i % 2)) for i in range(6)]
    for labels in (list("NANANA"), np.array(list("NANANA")), [["N"], "A", ["N"], "A", "N", "A"]):
        found = cross_val_predict_beats(head, windows, labels, cv=3)
        assert [own.tolist() for own in found] == [[label] for label in "NANANA"]
    numbers = cross_val_predict_beats(head, windows, [0, 1] * 3, cv=3, method="predict_proba")
    assert [own.shape for own in numbers] == [(1, 2)] * 6
    with pytest.raises(ValueError, match="record 0 has 2 steps but labels of shape"):
        cross_val_predict_beats(head, [np.zeros((2, 1))] * 4, list("NANA"), cv=2)


def test_real_beats_from_detection_to_score(data_dir):
    """MIT-BIH: waves of ventricular flutter are detected and are no annotated beats, and windows are cut off."""
    if not (data_dir / "mitdb" / "208.atr").is_file():
        pytest.skip("no MIT-BIH")
    mit = fetch_mitdb(data_dir, records=[207, 208, 119, 106], download_if_missing=False)
    embedder = BeatEmbedder("ptbxl-s", device="cpu")
    starts = [ECGRecord(record.signal[:, : 360 * 120], record.fs, record.leads) for record in mit.data]
    rpeaks, beats = embedder.rpeaks(starts), embedder.transform(starts)
    y = match_labels(rpeaks, mit.rpeaks, mit.beat_labels, fs=mit.fs)
    assert [len(own) for own in y] == [len(own) for own in beats]
    unknown = [sum(label is None for label in own) for own in y]
    assert 20 < unknown[0] < 60 and max(unknown[1:]) < 5
    assert any(len(own) != (a < 360 * 120).sum() for own, a in zip(y, mit.rpeaks, strict=True))
    classifier = BeatClassifier(make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)))
    classifier.fit(beats[:3], y[:3])
    assert classifier.score(beats[3:], y[3:]) > 0.8
    assert beat_scorer("f1_V")(classifier, beats[3:], y[3:]) > 0.5


def test_labels_that_are_none_are_told_with_their_record():
    X = [np.zeros((2, 1))] * 3
    with pytest.raises(TypeError, match="y must hold the labels of the beats of each record, got NoneType"):
        cross_val_predict_beats(BeatClassifier(LogisticRegression()), X, None)
    with pytest.raises(TypeError, match="record 1 has None"):
        cross_val_predict_beats(BeatClassifier(LogisticRegression()), X, [["N", "V"], None, ["N", "V"]])
