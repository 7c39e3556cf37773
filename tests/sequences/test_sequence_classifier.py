"""SequenceClassifier: any classifier's scores, and a chain over the classes."""

import pickle
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC, LinearSVR
from sklearn.utils.fixes import parse_version

from beatssl_sklearn import load, save
from beatssl_sklearn.evaluation import beat_scorer, cross_val_predict_beats
from beatssl_sklearn.sequences import BeatClassifier, BeatContext, SequenceClassifier

LENGTHS = (9, 0, 14, 1, 11, 7)
GROUPS = ["a", "a", "b", "b", "c", "c"]
FAST = LogisticRegression()


def sequences(classes="NSV", lengths=LENGTHS, seed=0):
    """Runs of each class; their features overlap."""
    rng = np.random.default_rng(seed)
    y = [np.array(list(classes))[(np.arange(n) // 4 + i) % len(classes)] for i, n in enumerate(lengths)]
    X = [rng.normal(size=(len(own), 3)) + 1.5 * (own[:, None] == np.array(["N", "S", "V"])) for own in y]
    return X, y


X, Y = sequences()


def flat(parts):
    return np.concatenate(list(parts))


@pytest.mark.parametrize("inner", [FAST, make_pipeline(StandardScaler(), GaussianNB()), LinearSVC(), SVC()])
@pytest.mark.parametrize("classes", ["NV", "NSV"])
def test_without_transitions_it_is_the_classifier_by_itself(inner, classes):
    X, y = sequences(classes)
    head = SequenceClassifier(inner, transitions=None).fit(X, y)
    alone = BeatClassifier(inner).fit(X, y)
    np.testing.assert_array_equal(flat(head.predict(X)), flat(alone.predict(X)))
    if hasattr(inner, "predict_proba"):
        np.testing.assert_allclose(flat(head.predict_proba(X)), flat(alone.predict_proba(X)), atol=1e-5)
    else:
        assert hasattr(head, "decision_function")
        probability = flat(head.predict_proba(X))
        np.testing.assert_allclose(probability.sum(axis=1), 1)
        np.testing.assert_array_equal(head.classes_[probability.argmax(axis=1)], flat(alone.predict(X)))
    assert not hasattr(SequenceClassifier(inner), "decision_function")


def test_no_estimator_is_a_logistic_regression_on_standardized_columns():
    given = SequenceClassifier(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))).fit(X, Y)
    np.testing.assert_array_equal(flat(SequenceClassifier().fit(X, Y).predict_proba(X)), flat(given.predict_proba(X)))


def test_counted_transitions_are_those_of_the_labels():
    head = SequenceClassifier(FAST).fit([np.zeros((3, 1)), np.ones((2, 1))], [["N", "N", "V"], ["V", None]])
    # Known pairs: NN and NV.
    share = np.array([2.001, 2.001]) / 4.002
    expected = np.array([(np.array([1.0, 1.0]) + share) / 3.0, share]) / share
    np.testing.assert_allclose(head.transitions_, np.log(expected), rtol=1e-9, atol=1e-12)
    assert head.start_.tolist() == head.bias_.tolist() == head.centre_.tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(head.mixing_, np.eye(2))


def test_neighbours_decide_where_a_step_does_not():
    X, y = [np.array([[0.0], [0.0], [1.0], [1.0], [1.0], [0.0]])] * 10, [list("NNAAAN")] * 10
    unsure = [np.array([[1.0], [0.45], [1.0]]), np.array([[0.45]])]
    alone, chained = (SequenceClassifier(FAST, t).fit(X, y).predict(unsure) for t in (None, "counted"))
    assert [p.tolist() for p in alone] == [["A", "N", "A"], ["N"]]
    assert [p.tolist() for p in chained] == [["A", "A", "A"], ["N"]]


@pytest.mark.parametrize("transitions", ["counted", "crf"])
def test_no_weight_is_as_no_transitions(transitions):
    head = SequenceClassifier(FAST, transitions, weight=0).fit(X, Y)
    scores = np.log(np.maximum(head.estimator_.predict_proba(flat(X)), 1e-6)) @ head.mixing_ + head.bias_
    np.testing.assert_array_equal(flat(head.predict(X)), head.classes_[scores.argmax(axis=1)])
    if transitions == "counted":
        without = SequenceClassifier(FAST, None).fit(X, Y)
        np.testing.assert_array_equal(flat(head.predict(X)), flat(without.predict(X)))
        np.testing.assert_allclose(flat(head.predict_proba(X)), flat(without.predict_proba(X)), atol=1e-12)


def test_centring_by_hand():
    head = SequenceClassifier(FAST, None, centre=True).fit(X, Y)
    logs = [np.log(head.estimator_.predict_proba(own)) for own in X if len(own)]
    usual = np.median([np.median(own, axis=0) for own in logs], axis=0)
    np.testing.assert_allclose(head.centre_, usual, rtol=1e-9)
    expected = [head.classes_[(own - np.median(own, axis=0) + usual).argmax(axis=1)] for own in logs]
    np.testing.assert_array_equal(flat(head.predict(X)), flat(expected))
    plain = SequenceClassifier(FAST, None).fit(X, Y)
    assert (flat(head.predict(X)) != flat(plain.predict(X))).any()


@pytest.mark.parametrize("transitions", ["counted", "crf"])
def test_class_weights_are_weights_of_steps(transitions):
    by_class = {"N": 1.0, "S": 3.0, "V": 0.5}
    weights = [np.array([by_class[c] for c in own]) for own in Y]
    given = SequenceClassifier(FAST, transitions).fit(X, Y, sample_weight=weights)
    named = SequenceClassifier(FAST, transitions, class_weight=by_class).fit(X, Y)
    np.testing.assert_allclose(flat(named.predict_proba(X)), flat(given.predict_proba(X)), rtol=1e-9)
    plain = SequenceClassifier(FAST, transitions).fit(X, Y)
    assert np.abs(flat(plain.predict_proba(X)) - flat(given.predict_proba(X))).max() > 1e-3
    # Balanced: what is rare weighs more, and both kinds of weights multiply.
    count = {c: (flat(Y) == c).sum() for c in "NSV"}
    share = [np.array([len(flat(Y)) / 3 / count[c] for c in own]) for own in Y]
    both = SequenceClassifier(FAST, class_weight="balanced").fit(X, Y, sample_weight=weights)
    product = [a * b for a, b in zip(share, weights, strict=True)]
    by_hand = SequenceClassifier(FAST).fit(X, Y, sample_weight=product)
    np.testing.assert_allclose(both.estimator_.coef_, by_hand.estimator_.coef_, rtol=1e-6)


def test_weights_tell_a_trained_chain_nothing_of_the_labels():
    """Rare classes that weigh more must not make it believe the classifier less."""
    (X, y), (new, new_y) = (sequences("NNNNNNSV", (24,) * 9, seed) for seed in (1, 2))
    plain, balanced = (SequenceClassifier(FAST, "crf", class_weight=w).fit(X, y) for w in (None, "balanced"))
    assert balanced.score(new, new_y) > plain.score(new, new_y) - 0.05
    np.testing.assert_allclose(np.diag(balanced.mixing_), np.diag(plain.mixing_), atol=0.4)


@pytest.mark.parametrize("transitions", ["counted", "crf"])
def test_steps_without_weight_are_as_without_a_label(transitions):
    weights, gaps = [np.ones(n) for n in LENGTHS], [np.array(own, dtype=object) for own in Y]
    for i, t in ((0, 4), (2, 7), (2, 8), (4, 0)):
        weights[i][t], gaps[i][t] = 0.0, None
    weighed = SequenceClassifier(FAST, transitions).fit(X, Y, sample_weight=weights)
    left_out = SequenceClassifier(FAST, transitions).fit(X, gaps)
    np.testing.assert_allclose(weighed.transitions_, left_out.transitions_, rtol=1e-3, atol=1e-3)


class Remembers(ClassifierMixin, BaseEstimator):
    """A classifier that writes down the first column of what it is fitted on and what it predicts."""

    seen: list = []  # noqa: RUF012

    def fit(self, X, y):
        self.classes_, self.n_features_in_, self.own_ = np.unique(y), X.shape[1], set(X[:, 0])
        return self

    def predict_proba(self, X):
        Remembers.seen.append((self.own_, set(X[:, 0])))
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize(("groups", "n_folds"), [(GROUPS, 3), (None, 3), (["a", "a", "a", "b", "b", "b"], 2)])
def test_groups_are_kept_apart_where_a_chain_is_trained(groups, n_folds):
    by_patient = np.unique(GROUPS if groups is None else groups, return_inverse=True)[1]
    # The first column names the patient, or the sequence.
    names = np.arange(6) if groups is None else by_patient
    marked = [np.full((n, 1), float(name)) for n, name in zip(LENGTHS, names, strict=True)]
    Remembers.seen.clear()
    SequenceClassifier(Remembers(), "crf", cv=3).fit(marked, Y, groups=groups)
    assert len(Remembers.seen) == n_folds
    assert all(not own & new for own, new in Remembers.seen)
    assert set().union(*(new for _, new in Remembers.seen)) == {names[i] for i, n in enumerate(LENGTHS) if n}


def test_a_class_that_folds_lack_is_unlikely_and_not_impossible():
    X, y = sequences("NV", (8, 8, 8))
    y[2][:3] = "S"
    head = SequenceClassifier(FAST, "crf").fit(X, y)
    assert head.classes_.tolist() == ["N", "S", "V"]
    assert np.isfinite(flat(head.predict_proba(X))).all() and np.isfinite(head.transitions_).all()
    with pytest.raises(ValueError, match=r"without sequence 1 .*the others have the labels \['N'\].*'counted'"):
        SequenceClassifier(FAST, "crf").fit(X[:2], [["N"] * 8, ["V"] * 8])


def test_sequences_of_no_step_keep_their_place():
    head = SequenceClassifier(FAST, centre=True).fit(X, Y)
    nothing = [np.zeros((0, 3)), np.zeros((0, 3))]
    assert [p.shape for p in head.predict(nothing)] == [(0,), (0,)]
    assert [p.shape for p in head.predict_proba(nothing)] == [(0, 3), (0, 3)]
    assert head.predict([]).shape == (0,)
    assert [len(p) for p in head.predict(X)] == list(LENGTHS)
    single = SequenceClassifier(FAST).fit(X, Y).predict_proba([X[3]])[0]
    np.testing.assert_allclose(single, FAST.fit(flat(X), flat(Y)).predict_proba(X[3]), atol=1e-9)


def test_a_sequence_does_not_depend_on_the_others():
    head = SequenceClassifier(FAST, "crf", centre=True).fit(X, Y, groups=GROUPS)
    alone = np.concatenate([head.predict_proba([own])[0] for own in X])
    np.testing.assert_allclose(alone, flat(head.predict_proba(X)), rtol=1e-9)


def test_steps_without_a_label_are_left_out():
    gaps = [np.array(own, dtype=object) for own in Y]
    gaps[0][2] = gaps[2][5] = None
    gaps[3][:] = np.nan
    kept = np.array([label == label and label is not None for label in flat(gaps)])
    head = SequenceClassifier(FAST, None).fit(X, gaps)
    alone = LogisticRegression().fit(flat(X)[kept], flat(Y)[kept])
    np.testing.assert_array_equal(head.estimator_.coef_, alone.coef_)
    assert [len(p) for p in head.predict(X)] == list(LENGTHS)
    expected = f1_score(flat(Y)[kept], alone.predict(flat(X))[kept], average="macro")
    assert head.score(X, gaps) == pytest.approx(expected)
    for transitions in ("counted", "crf"):
        assert np.isfinite(SequenceClassifier(FAST, transitions).fit(X, gaps).transitions_).all()


def test_score_is_the_macro_f1_of_scikit_learn():
    head = SequenceClassifier(FAST).fit(X, Y)
    found = flat(head.predict(X))
    assert head.score(X, Y) == pytest.approx(f1_score(flat(Y), found, average="macro")) != 1
    weights = np.random.default_rng(0).random(len(found))
    parts = np.split(weights, np.cumsum(LENGTHS)[:-1])
    assert head.score(X, Y, parts) == pytest.approx(f1_score(flat(Y), found, average="macro", sample_weight=weights))


# Missing values


@pytest.mark.parametrize("transitions", [None, "counted", "crf"])
def test_missing_values_are_told_with_record_and_step(transitions):
    bad = [own.copy() for own in X]
    bad[2][3, 1] = np.nan
    head = SequenceClassifier(transitions=transitions)
    with pytest.raises(ValueError, match="X: record 2, step 3 has nan in column 1"):
        head.fit(bad, Y)
    head.fit(X, Y)
    for method in (head.predict, head.predict_proba):
        with pytest.raises(ValueError, match="X: record 0, step 3 has nan in column 1"):
            method(bad[2:3])


@pytest.mark.parametrize(
    "inner", [HistGradientBoostingClassifier(max_iter=2), make_pipeline(SimpleImputer(), LogisticRegression())]
)
@pytest.mark.parametrize("cls", [BeatClassifier, SequenceClassifier])
def test_a_classifier_may_take_missing_values(inner, cls):
    bad = [own.copy() for own in X]
    bad[2][3, 1] = np.nan
    assert [len(p) for p in cls(inner).fit(bad, Y).predict(bad)] == list(LENGTHS)


@pytest.mark.parametrize(
    ("params", "given", "error", "message"),
    [
        ({"transitions": "hmm"}, {}, ValueError, "transitions must be 'counted', 'crf' or None, got 'hmm'"),
        ({"weight": -1}, {}, ValueError, "weight must be a number between 0 and 20, got -1"),
        ({"weight": np.inf}, {}, ValueError, "weight must be .* got inf"),
        ({"centre": "yes"}, {}, TypeError, "centre must be True or False"),
        ({"cv": 1}, {}, ValueError, "cv must be .* at least 2, got 1"),
        ({"class_weight": "even"}, {}, ValueError, "class_weight: .*balanced"),
        ({"class_weight": {"N": 1, "Q": 2}}, {}, ValueError, "class_weight: .*S"),
        ({"estimator": LinearSVR()}, {}, TypeError, "predict_proba or decision_function, LinearSVR has none"),
        ({"estimator": KNeighborsClassifier(1), "class_weight": "balanced"}, {}, TypeError, "weights were given, but"),
        ({}, {"groups": [1, 2]}, ValueError, r"groups must hold one label per record: shape \(2,\) for 6"),
        ({}, {"groups": [1, 2, None, 1, 1, 1]}, ValueError, "groups: the group of record 2 is missing"),
        ({"transitions": "crf"}, {"groups": [1] * 6}, ValueError, "needs sequences of at least two groups"),
        ({}, {"sample_weight": [1, 2]}, ValueError, "sample_weight holds the weights of 2 records, X has 6"),
        ({}, {"y": [*Y[:4], Y[4][:3], Y[5]]}, ValueError, "record 4 has 11 steps but labels of shape"),
        ({}, {"y": [np.full(n, None) for n in LENGTHS]}, ValueError, "none of the 42 steps has a label"),
    ],
)
def test_what_cannot_be_used_is_named(params, given, error, message):
    with pytest.raises(error, match=message):
        SequenceClassifier(**params).fit(X, given.pop("y", Y), **given)


def test_scores_of_pairs_of_classes_are_refused():
    X, y = sequences("NSVF", (16, 16))
    with pytest.raises(ValueError, match="decision_function gives 6 columns for 4 classes.*ovr"):
        SequenceClassifier(SVC(decision_function_shape="ovo")).fit(X, y).predict(X)


# As an estimator


def test_clones_pickles_and_files(tmp_path):
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    head = SequenceClassifier(inner, "crf", weight=0.5, centre=True, class_weight={"N": 1, "S": 2, "V": 3}, cv=2)
    with pytest.raises(NotFittedError):
        head.predict(X)
    head.fit(X, Y, groups=GROUPS)
    assert not hasattr(inner[-1], "coef_")
    copied = clone(head).set_params(estimator__logisticregression__C=0.1)
    assert copied.weight == 0.5 and copied.transitions == "crf" and not hasattr(copied, "estimator_")
    save(head, tmp_path / "m.bssl")
    joblib.dump(head, tmp_path / "m.joblib")
    again = [load(tmp_path / "m.bssl"), joblib.load(tmp_path / "m.joblib"), pickle.loads(pickle.dumps(head))]
    for other in again:
        assert str(other.get_params()) == str(head.get_params())
        np.testing.assert_array_equal(flat(other.predict_proba(X)), flat(head.predict_proba(X)))
        np.testing.assert_array_equal(flat(other.predict(X)), flat(head.predict(X)))
    save(SequenceClassifier().fit(X, Y), tmp_path / "n.bssl")
    assert load(tmp_path / "n.bssl").estimator is None


def test_search_over_head_and_transitions():
    grid = {"estimator": [GaussianNB(), FAST], "transitions": [None, "counted", "crf"], "weight": [0.5]}
    folds = GroupKFold(2)
    search = GridSearchCV(SequenceClassifier(), grid, scoring=beat_scorer("f1_macro"), cv=folds, error_score="raise")
    search.fit(X, Y, groups=["a", "a", "a", "b", "b", "b"])
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 6 and search.best_score_ == scores.max() > 0.4
    probability = cross_val_predict_beats(
        search.best_estimator_, X, Y, groups=GROUPS, cv=3, method="predict_proba"
    )
    assert [p.shape for p in probability] == [(n, 3) for n in LENGTHS]
    np.testing.assert_allclose(flat(probability).sum(axis=1), 1)


def test_context_and_head_in_a_pipeline_that_routes():
    rng = np.random.default_rng(0)
    beats = [np.concatenate([own, rng.normal(size=(len(own), 4))], axis=1) for own in X]
    weights = [np.full(n, 1.0 + i) for i, n in enumerate(LENGTHS)]
    context = BeatContext(timing=False, neighbours=0, n_components=1)
    plain = make_pipeline(context, SequenceClassifier(FAST, "crf"))
    name = "sequenceclassifier__"
    plain.fit(beats, Y, **{f"{name}sample_weight": weights, f"{name}groups": GROUPS})
    with config_context(enable_metadata_routing=True):
        inner = LogisticRegression().set_fit_request(sample_weight=True)
        head = SequenceClassifier(inner, "crf").set_fit_request(sample_weight=True, groups=True)
        routed = Pipeline([("context", context), ("head", head.set_score_request(sample_weight=True))])
        routed.fit(beats, Y, sample_weight=weights, groups=GROUPS)
        # Before 1.8, scikit-learn routes no weights to the score of a pipeline.
        given: dict[str, Any] = {"groups": GROUPS}
        if parse_version(sklearn.__version__) >= parse_version("1.8"):
            given["sample_weight"] = weights
        score = cross_val_score(routed, beats, Y, cv=GroupKFold(3), params=given, error_score="raise")
    np.testing.assert_array_equal(flat(routed.predict_proba(beats)), flat(plain.predict_proba(beats)))
    assert score.shape == (3,)
    with config_context(transform_output="pandas"):
        np.testing.assert_array_equal(flat(plain.predict_proba(beats)), flat(routed.predict_proba(beats)))


def test_steps_without_a_value_have_no_label():
    """A window without a signal stops no batch; the chain passes through it."""
    X = [np.array([[0.0], [1.0], [1.0], [0.0]])] * 8
    head = SequenceClassifier(LogisticRegression(C=100)).fit(X, [["N", "A", "A", "N"]] * 8)
    gap = np.array([[1.0], [np.nan], [1.0]])
    labels, plain = head.predict([gap, X[0]])
    assert labels.tolist() == ["A", None, "A"] and plain.tolist() == ["N", "A", "A", "N"]
    first, second = head.predict_proba([gap, X[0]])
    assert np.isnan(first[1]).all() and np.isfinite(first[[0, 2]]).all()
    np.testing.assert_allclose(second, head.predict_proba([X[0]])[0])


def test_a_record_of_one_step_may_have_its_label_by_itself():
    """As where one window is the whole record: one label per record, an array of text."""
    X = [np.array([[float(k % 2)]]) for k in range(12)]
    y = np.array(["N", "A"] * 6)
    head = SequenceClassifier(LogisticRegression(C=100)).fit(X, y)
    arrays = SequenceClassifier(LogisticRegression(C=100)).fit(X, [[label] for label in y])
    np.testing.assert_array_equal(flat(head.predict_proba(X)), flat(arrays.predict_proba(X)))
    assert np.concatenate(list(head.predict(X))).tolist() == y.tolist()
    assert head.score(X, y) == 1 and cross_val_score(head, X, y, cv=2, error_score="raise").tolist() == [1, 1]
    # Without a label, and without a value: left out, and missed. N: 6 of 6; A: 3 of 5, one missed, one called N.
    X[1], X[3] = np.full((1, 1), np.nan), np.zeros((1, 1))
    assert head.score(X, [*y[:11], None]) == pytest.approx((12 / 13 + 6 / 8) / 2)
    with pytest.raises(ValueError, match=r"record 0 has 2 steps but labels of shape \(\); each step needs one label$"):
        head.score([np.zeros((2, 1)), *X[1:]], y)
