"""BeatClassifier: beats of all records as one table, and back."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
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

    class Remembers(LogisticRegression):
        def fit(self, X, y, word=None):
            self.word_ = word
            return super().fit(X, y)

    assert BeatClassifier(Remembers()).fit(X, y, word="given").estimator_.word_ == "given"


# Beats without a label


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_beats_without_a_label_are_left_out(beats, missing):
    X, y = beats
    with_gaps = [np.array(own, dtype=object) for own in y]
    with_gaps[0][1] = with_gaps[2][4] = missing
    with_gaps[3][:] = missing  # a whole record
    kept = [np.array([label is not missing for label in own], dtype=bool) for own in with_gaps]
    clean_X, clean_y = (ragged(*(a[k] for a, k in zip(arrays, kept, strict=True))) for arrays in (X, y))
    classifier = BeatClassifier(LogisticRegression()).fit(X, with_gaps)
    clean = BeatClassifier(LogisticRegression()).fit(clean_X, clean_y)
    np.testing.assert_array_equal(classifier.estimator_.coef_, clean.estimator_.coef_)
    assert classifier.classes_.tolist() == ["N", "V"] and classifier.classes_.dtype == clean.classes_.dtype
    assert [len(own) for own in classifier.predict(X)] == list(LENGTHS)
    wrong, clean_wrong = (
        [[{"N": "V", "V": "N"}.get(v, v) for v in labels[0]], *labels[1:]] for labels in (with_gaps, list(clean_y))
    )
    assert 0 < classifier.score(X, wrong) == clean.score(clean_X, clean_wrong) < 1


def test_numbers_with_gaps_stay_numbers(beats):
    X, y = beats
    numbers = [np.where(own == "N", 0.0, 1.0) for own in y]
    numbers[0][0] = np.nan
    assert BeatClassifier(LogisticRegression()).fit(X, numbers).classes_.tolist() == [0.0, 1.0]
    # A record of which no label is known says nothing of what labels are.
    texts = [*y[:3], np.array([np.nan]), y[4]]
    assert BeatClassifier(LogisticRegression()).fit(X, texts).classes_.tolist() == ["N", "V"]


def test_no_label_at_all_is_told(beats):
    X, y = beats
    classifier = BeatClassifier(LogisticRegression()).fit(X, y)
    for call in (classifier.fit, classifier.score):
        with pytest.raises(ValueError, match="y: none of the 13 beats has a label"):
            call(X, [np.full(n, None) for n in LENGTHS])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: [np.array(["N", 1, "V"], dtype=object), *y[1:]], "record 0 has labels of the types int, str"),
        (lambda y: [*y[:3], np.array([1]), y[4]], "labels of some records are text, and those of others numbers"),
    ],
)
def test_labels_of_unlike_types_are_told(beats, change, message):
    X, y = beats
    with pytest.raises(TypeError, match=message):
        BeatClassifier(LogisticRegression()).fit(X, change(list(y)))


# Weights


@pytest.mark.parametrize("inner", [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())])
def test_weights_are_those_of_beats_or_of_records(beats, inner):
    X, y = beats
    flat, labels = np.concatenate(list(X)), np.concatenate(list(y))
    name = "sample_weight" if isinstance(inner, LogisticRegression) else "logisticregression__sample_weight"
    of_records = [1.0, 5.0, 0.5, 2.0, 1.0]
    of_beats = [np.full(n, w) for n, w in zip(LENGTHS, of_records, strict=True)]
    alone = clone(inner).fit(flat, labels, **{name: np.concatenate(of_beats)})
    for given in (of_records, np.array(of_records), of_beats, ragged(*of_beats), [1.0, [], *of_beats[2:]]):
        found = BeatClassifier(inner).fit(X, y, sample_weight=given)
        np.testing.assert_array_equal(found.predict_proba(X)[2], alone.predict_proba(X[2]))
    plain = BeatClassifier(inner).fit(X, y).predict_proba(X)[2]
    assert np.abs(plain - alone.predict_proba(X[2])).max() > 1e-3


def test_weights_of_beats_without_a_label_are_left_out(beats):
    X, y = beats
    weights = [np.arange(1.0, n + 1) for n in LENGTHS]
    gaps = [np.array(own, dtype=object) for own in y]
    gaps[2][1] = None
    clean = [np.delete(a[2], 1, axis=0) for a in (X, y, weights)]
    rows = [0, 1, 3, 4]
    parts = [[*(a[i] for i in rows), own] for a, own in zip((X, y, weights), clean, strict=True)]
    ours = BeatClassifier(LogisticRegression()).fit(X, gaps, sample_weight=weights)
    theirs = BeatClassifier(LogisticRegression()).fit(*parts)
    np.testing.assert_allclose(ours.estimator_.coef_, theirs.estimator_.coef_, rtol=1e-4)


def test_score_takes_weights(beats):
    X, y = beats
    classifier = BeatClassifier(LogisticRegression()).fit(X, y)
    wrong = ragged(*y)
    wrong[2] = np.where(y[2] == "N", "V", "N")
    assert classifier.score(X, wrong, sample_weight=[1, 1, 0, 1, 1]) == 1.0
    assert classifier.score(X, wrong, sample_weight=[1, 1, 2, 1, 1]) == pytest.approx(8 / 18)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (np.ones(13), ValueError, "sample_weight holds the weights of 13 records, X has 5"),
        (2.0, ValueError, "sample_weight must hold weights per record, got 2.0"),
        ([1, 1, [1, 1], 1, 1], ValueError, r"sample_weight of record 2 must hold one .* per beat: shape \(2,\) for 5"),
        ([1, 1, 1, -1, 1], ValueError, "sample_weight of record 3 .* that of beat 0 is -1.0"),
        ([1, 1, [1, 1, np.nan, 1, 1], 1, 1], ValueError, "sample_weight of record 2 .* beat 2 is nan"),
        ([1, 1, "many", 1, 1], TypeError, "sample_weight of record 2 must hold numbers"),
    ],
)
def test_weights_that_cannot_be_used(beats, weights, error, message):
    X, y = beats
    with pytest.raises(error, match=message):
        BeatClassifier(LogisticRegression()).fit(X, y, sample_weight=weights)


def test_a_classifier_that_takes_no_weights_is_named(beats):
    X, y = beats
    for inner in (KNeighborsClassifier(1), make_pipeline(StandardScaler(), KNeighborsClassifier(1))):
        with pytest.raises(TypeError, match="fit of KNeighborsClassifier takes no sample_weight"):
            BeatClassifier(inner).fit(X, y, sample_weight=np.ones(5))


def test_weights_are_routed(beats):
    X, y = beats
    weights = [np.where(own == "N", 1.0, 1e-9) for own in y]
    with config_context(enable_metadata_routing=True):
        classifier = BeatClassifier(LogisticRegression().set_fit_request(sample_weight=True))
        asked = classifier.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scores = cross_val_score(asked, X, y, params={"sample_weight": weights}, cv=KFold(2), error_score="raise")
    # With weights on N alone, everything is called N, and only N counts.
    assert scores.tolist() == [pytest.approx(1), pytest.approx(1)]


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


def test_an_empty_text_is_a_class_and_is_told():
    X = [np.array([[0.0], [1.0], [2.0]])] * 2
    with pytest.warns(UserWarning, match="y: 2 beats have the empty text '' as their label, which is") as caught:
        head = BeatClassifier(LogisticRegression()).fit(X, [["N", "V", ""], np.array(["N", "", None], object)])
    assert head.classes_.tolist() == ["", "N", "V"] and caught[0].filename == __file__
