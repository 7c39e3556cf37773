"""BeatClassifier: beats of all records as one table, and back."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from beatssl_sklearn import BeatClassifier, BeatEmbedder, BeatSSLPretrainer, make_ecg
from beatssl_sklearn.ecg.beats import keep_inside


def ragged(*arrays):
    out = np.empty(len(arrays), dtype=object)
    for i, array in enumerate(arrays):
        out[i] = array
    return out


LENGTHS = (3, 0, 5, 1, 4)


@pytest.fixture
def beats():
    """Two kinds of beats that lie far apart, one record without any."""
    rng = np.random.default_rng(0)
    labels = [rng.choice(["N", "V"], n) for n in LENGTHS]
    return ragged(*(rng.normal(size=(len(y), 4)) + 5 * (y == "V")[:, None] for y in labels)), ragged(*labels)


def test_beats_are_classified_as_one_table(beats):
    X, y = beats
    classifier = BeatClassifier(LogisticRegression()).fit(X, y)
    flat, labels = np.concatenate(list(X)), np.concatenate(list(y))
    alone = LogisticRegression().fit(flat, labels)
    np.testing.assert_array_equal(classifier.classes_, alone.classes_)
    for method, width in (("predict", ()), ("predict_proba", (2,)), ("decision_function", ())):
        found = getattr(classifier, method)(X)
        assert found.dtype == object and [f.shape for f in found] == [(n, *width) for n in LENGTHS]
        np.testing.assert_array_equal(np.concatenate(list(found)), getattr(alone, method)(flat))


def test_score_is_the_share_of_beats(beats):
    X, y = beats
    classifier = BeatClassifier(LogisticRegression()).fit(X, y)
    assert classifier.score(X, y) == 1.0
    wrong = ragged(*y)
    wrong[2] = np.where(y[2] == "N", "V", "N")
    assert classifier.score(X, wrong) == pytest.approx(8 / 13)


def test_lists_serve_as_well(beats):
    X, y = beats
    from_lists = BeatClassifier(LogisticRegression()).fit(
        [x.tolist() if len(x) else np.zeros((0, 4)) for x in X], list(y)
    )
    for a, b in zip(
        from_lists.predict(list(X)), BeatClassifier(LogisticRegression()).fit(X, y).predict(X), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_records_without_beats_keep_their_place(beats):
    X, y = beats
    classifier = BeatClassifier(make_pipeline(StandardScaler(), LogisticRegression())).fit(X, y)
    nothing = ragged(np.zeros((0, 4)), np.zeros((0, 4)))
    assert [f.shape for f in classifier.predict(nothing)] == [(0,), (0,)]
    assert classifier.predict(nothing)[0].dtype == y[0].dtype
    assert [f.shape for f in classifier.predict_proba(nothing)] == [(0, 2), (0, 2)]
    assert classifier.predict(ragged()).shape == (0,)
    with pytest.raises(ValueError, match="none of the 2 records has a beat"):
        BeatClassifier(LogisticRegression()).fit(nothing, ragged([], []))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, ragged(*y[:3], y[3][:0], y[4])), "record 3 has 1 beats but labels of shape"),
        (lambda X, y: (X, ragged(y[0][:, None], *y[1:])), "record 0 has 3 beats"),
        (lambda X, y: (X, y[:3]), "labels of 3 records, X has 5"),
        (lambda X, y: (X, None), "requires y to be passed, but the target y is None"),
        (lambda X, y: (ragged(*X[:2], X[2][:, :3], *X[3:]), y), r"record 2 has shape \(5, 3\); \(n_beats, 4\)"),
        (lambda X, y: (ragged(X[0][0], *X[1:]), y), r"record 0 has shape \(4,\)"),
        (lambda X, y: (X[0], y[0]), "record 0 has shape"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "score"])
def test_what_does_not_go_together_is_named(beats, change, message, method):
    X, y = beats
    classifier = BeatClassifier(LogisticRegression()).fit(X, y)
    with pytest.raises(ValueError, match=message):
        getattr(classifier, method)(*change(X, y))


def test_methods_are_those_of_the_estimator(beats):
    X, y = beats
    assert not hasattr(BeatClassifier(LinearSVC()), "predict_proba")
    assert hasattr(BeatClassifier(LinearSVC()), "decision_function")
    assert not hasattr(BeatClassifier(KNeighborsClassifier(1)).fit(X, y), "decision_function")
    with pytest.raises(AttributeError):
        BeatClassifier(LinearSVC()).fit(X, y).predict_proba(X)


def test_fit_parameters_are_passed_on(beats):
    X, y = beats
    labels = np.concatenate(list(y))
    only_normal = BeatClassifier(LogisticRegression()).fit(X, y, sample_weight=np.where(labels == "N", 1.0, 1e-9))
    assert set(np.concatenate(list(only_normal.predict(X)))) == {"N"}


def test_the_estimator_that_was_passed_stays_unfitted(beats):
    X, y = beats
    inner = LogisticRegression(C=3.0)
    classifier = BeatClassifier(inner)
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(classifier, method)(X)
    classifier.fit(X, y)
    assert not hasattr(inner, "coef_") and classifier.estimator_.C == 3.0
    copied = clone(classifier).set_params(estimator__C=0.5)
    assert not hasattr(copied, "estimator_") and inner.C == 3.0
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict(X)[2], classifier.predict(X)[2])


def test_search_in_a_pipeline_of_beats():
    ecg = make_ecg(6, rhythm="pvc", fs=100, duration=6, noise=0.01, random_state=1)
    pre = BeatSSLPretrainer(
        fs=100, encoder_params={"widths": (8, 16, 24), "n_dims": 12}, max_epochs=0, random_state=0, device="cpu"
    ).fit(ecg.data)
    embedder = BeatEmbedder(pre)
    X = embedder.transform(ecg.data, rpeaks=ecg.rpeaks)
    y = ragged(
        *(
            types[np.isin(peaks, keep_inside(peaks, 600, 100))]
            for peaks, types in zip(ecg.rpeaks, ecg.beat_types, strict=True)
        )
    )
    classifier = BeatClassifier(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)))
    grid = {"estimator__logisticregression__C": [1e-3, 1.0]}
    search = GridSearchCV(classifier, grid, cv=3, error_score="raise").fit(X, y)
    assert search.cv_results_["mean_test_score"].shape == (2,)
    assert search.best_score_ > 0.8
    assert set(np.concatenate(list(search.predict(X)))) == {"N", "V"}
    found = embedder.rpeaks(ecg.data)
    pipe = make_pipeline(embedder, classifier).fit(
        ecg.data, ragged(*(np.full(len(r), "N") for r in found[:-1]), np.array(["V"] * len(found[-1])))
    )
    assert [len(p) for p in pipe.predict(ecg.data)] == [len(r) for r in found]
