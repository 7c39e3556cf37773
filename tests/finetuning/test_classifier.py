"""FineTunedClassifier: what it learns, what it starts from, and what it refuses."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline

from beatssl_sklearn import BeatSSLPretrainer, ECGRecord, RhythmEmbedder, make_ecg, save
from beatssl_sklearn.finetuning.classifier import FineTunedClassifier
from beatssl_sklearn.finetuning.labels import encode_labels, hold_out
from beatssl_sklearn.finetuning.net import ClassifierModule, LabelLoss, macro_auroc
from beatssl_sklearn.finetuning.probe import fit_probe, standardisation
from beatssl_sklearn.finetuning.start import recipe_of

FS = 100
TINY = {
    "fs": FS,
    "encoder_params": {"widths": (8, 16, 24), "n_dims": 12},
    "projection_dim": 8,
    "max_epochs": 0,
    "batch_size": 8,
    "random_state": 0,
    "device": "cpu",
}
FAST = {"max_epochs": 2, "batch_size": 8, "random_state": 0, "device": "cpu"}


def labelled(n=24, duration=4, n_classes=3):
    """Records whose class is which leads are turned over; the classes take turns."""
    X = make_ecg(n, fs=FS, duration=duration, random_state=0).data.astype(np.float32)
    y = np.arange(n) % n_classes
    X[y == 1, 6:] *= -1
    X[y == 2, :6] *= -1
    X.setflags(write=False)
    return X, y


X, Y = labelled()
BOTH = np.stack([Y == 1, Y != 0], axis=1).astype(int)
PATIENT = np.arange(24) // 2


@pytest.fixture(scope="module")
def pre():
    return BeatSSLPretrainer(**TINY).fit(X)


@pytest.fixture(scope="module")
def fitted(pre):
    return FineTunedClassifier(pre, **FAST).fit(X, Y)


def scratch(**changes):
    return FineTunedClassifier(BeatSSLPretrainer(**TINY), **(FAST | changes))


# What it learns


@pytest.mark.parametrize("target", ["three", "two", "several"])
@pytest.mark.parametrize("pretrained", [True, False])
def test_it_learns(pre, target, pretrained):
    y = {"three": np.array(["a", "b", "c"])[Y], "two": Y == 1, "several": BOTH}[target]
    given = pre if pretrained else BeatSSLPretrainer(**TINY)
    clf = FineTunedClassifier(given, **(FAST | {"max_epochs": 20, "lr": 1e-2, "augment": "none"})).fit(X, y)
    losses = [row["train_loss"] for row in clf.history_]
    assert len(losses) == clf.n_iter_ == clf.best_epoch_ == 20 and losses[-1] < losses[0]
    assert clf.score(X, y) > 0.9
    probability, decision, predicted = clf.predict_proba(X), clf.decision_function(X), clf.predict(X)
    assert probability.shape == (24, 2 if target != "three" else 3)
    if target == "several":
        assert predicted.dtype.kind == "i" and np.array_equal(predicted, probability > 0.5)
        assert clf.multi_label_ and clf.classes_.tolist() == [0, 1] and decision.shape == (24, 2)
    else:
        np.testing.assert_allclose(probability.sum(axis=1), 1)
        assert np.array_equal(predicted, clf.classes_[probability.argmax(axis=1)])
        assert not clf.multi_label_ and decision.shape == ((24, 3) if target == "three" else (24,))
        assert predicted.dtype == y.dtype


def test_views_and_dropout_are_drawn_anew_and_repeat_with_the_seed(pre):
    state = torch.random.get_rng_state()
    first, again, other = (
        FineTunedClassifier(pre, **(FAST | {"dropout": 0.2, "random_state": seed})).fit(X, Y) for seed in (0, 0, 1)
    )
    plain = FineTunedClassifier(pre, **FAST).fit(X, Y)
    assert np.array_equal(first.predict_proba(X), again.predict_proba(X))
    for different in (other, plain):
        assert not np.array_equal(first.predict_proba(X), different.predict_proba(X))
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_record_is_predicted_alone_as_among_others(fitted):
    together = fitted.decision_function(X)
    alone = np.concatenate([fitted.decision_function(x[None]) for x in X[:5]])
    np.testing.assert_allclose(alone, together[:5], atol=1e-5)


def test_bf16_stays_close(pre):
    exact, rough = (FineTunedClassifier(pre, **FAST, precision=p).fit(X, Y).predict_proba(X) for p in ("fp32", "bf16"))
    assert 0 < np.abs(exact - rough).max() < 0.1


# What it starts from


def test_without_epochs_it_is_the_frozen_probe(pre):
    clf = FineTunedClassifier(pre, **(FAST | {"max_epochs": 0})).fit(X, Y)
    assert clf.history_ == [] and clf.best_epoch_ == clf.n_iter_ == 0
    Z = RhythmEmbedder(pre, device="cpu").transform(X).astype(np.float64)
    z = (Z - clf.head_["norm.running_mean"]) / np.sqrt(clf.head_["norm.running_var"] + 1e-5)
    logits = z @ clf.head_["linear.weight"].T + clf.head_["linear.bias"]
    np.testing.assert_allclose(clf.decision_function(X), logits, atol=1e-4)
    # The penalty is one of the grid: for that one, scikit-learn finds the same minimum.
    losses = [
        log_loss(Y, LogisticRegression(C=c, max_iter=2000).fit(z, Y).predict_proba(z))
        for c in (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)
    ]
    assert np.abs(np.array(losses) - log_loss(Y, clf.predict_proba(X))).min() < 2e-3


def test_from_scratch_nothing_is_known_at_the_start():
    clf = scratch(max_epochs=0).fit(X, Y)
    assert not clf.decision_function(X).any()
    encoders = [scratch(max_epochs=0, random_state=s).fit(X, Y).pretrainer_.weights_ for s in (0, 0, 1)]
    name = "encoder.stem.conv.weight"
    assert np.array_equal(encoders[0][name], encoders[1][name])
    assert not np.array_equal(encoders[0][name], encoders[2][name])


def test_the_pretrainer_is_never_changed(pre):
    before = joblib.hash(pre)
    unfitted = BeatSSLPretrainer(**TINY)
    clf = FineTunedClassifier(pre, **FAST, fs=FS, leads=None).fit(X, Y)
    FineTunedClassifier(unfitted, **FAST).fit(X, Y)
    assert joblib.hash(pre) == before and not hasattr(unfitted, "weights_")
    assert not np.array_equal(clf.pretrainer_.transform(X), pre.transform(X))


def test_an_encoder_of_rate_0_stays(pre):
    clf = FineTunedClassifier(pre, **FAST, encoder_lr=0).fit(X, Y)
    for name, array in clf.pretrainer_.weights_.items():
        assert np.array_equal(array, pre.weights_[name]), name
    probe = FineTunedClassifier(pre, **(FAST | {"max_epochs": 0})).fit(X, Y)
    assert not np.array_equal(clf.head_["linear.weight"], probe.head_["linear.weight"])


def test_statistics_of_batchnorm_stay_only_where_pretrained(pre):
    name = "encoder.stem.norm.running_mean"
    assert np.array_equal(FineTunedClassifier(pre, **FAST).fit(X, Y).weights_[name], pre.weights_[name])
    assert scratch().fit(X, Y).weights_[name].any()


def test_a_file_serves_as_pretrainer(pre, tmp_path):
    save(pre, tmp_path / "model.bssl")
    clf = FineTunedClassifier(tmp_path / "model.bssl", **FAST)
    expected = FineTunedClassifier(pre, **FAST).fit(X, Y).predict_proba(X)
    assert np.array_equal(clone(clf).fit(X, Y).predict_proba(X), expected)


def test_the_penalty_follows_the_evidence():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    noise = rng.normal(size=(200, 30)).astype(np.float32)
    told = noise + 3 * y[:, None] * (np.arange(30) == 0)
    index = np.arange(200)
    targets = encode_labels(y, 200, None)
    fits = [fit_probe(z, standardisation(z), targets, index, None, 0) for z in (noise, told.astype(np.float32))]
    size = [np.abs(weight).max() for weight, _ in fits]
    assert size[0] < 0.02 and size[1] > 0.5


def test_a_constant_dimension_of_the_embedding_does_not_decide():
    z = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    z[:, 1] = 7
    standard = standardisation(z)
    weight, _ = fit_probe(z, standard, encode_labels(np.arange(40) % 2, 40, None), np.arange(40), None, 0)
    assert abs(weight[0, 1]) < 1e-6 and np.abs(standard.apply(z + 1)[:, 1]).max() < 1e-5
    np.testing.assert_allclose(standard.apply(z)[:, [0, 2]].std(axis=0), 1, atol=1e-4)


def test_without_a_probe_the_embedding_is_standardised_all_the_same(pre):
    clf = FineTunedClassifier(pre, **(FAST | {"max_epochs": 0, "head_init": "zero"})).fit(X, Y)
    assert not clf.decision_function(X).any()
    probe = FineTunedClassifier(pre, **(FAST | {"max_epochs": 0})).fit(X, Y)
    for name in ("norm.running_mean", "norm.running_var"):
        assert np.array_equal(clf.head_[name], probe.head_[name])


# Early stopping


def test_the_best_epoch_is_restored(pre):
    stopping = {"early_stopping": True, "validation_fraction": 0.3}
    noise = np.random.default_rng(0).permutation(Y)
    start = FineTunedClassifier(pre, **(FAST | stopping | {"max_epochs": 0})).fit(X, noise)
    ruined = FineTunedClassifier(pre, **(FAST | stopping | {"max_epochs": 30, "lr": 0.3, "patience": 3})).fit(X, noise)
    assert ruined.best_epoch_ == 0 and ruined.n_iter_ == 3
    assert np.array_equal(ruined.predict_proba(X), start.predict_proba(X))
    good = FineTunedClassifier(pre, **(FAST | stopping | {"max_epochs": 6, "lr": 3e-3})).fit(X, Y, groups=PATIENT)
    losses = [row["valid_loss"] for row in good.history_]
    assert 1 <= good.best_epoch_ == np.argmin(losses) + 1
    assert all(0 <= row["valid_auroc"] <= 1 for row in good.history_)


def test_few_records_are_all_trained_on(fitted):
    assert "valid_loss" not in fitted.history_[0]


@pytest.mark.parametrize("y", [Y, Y == 1, BOTH])
def test_held_out_records_are_other_patients_of_all_classes(y):
    targets = encode_labels(y, 24, None)
    for seed in range(5):
        train, valid = hold_out(np.arange(24), targets, PATIENT, 0.25, seed)
        assert sorted([*train, *valid]) == list(range(24)) and len(valid) == 6
        assert not set(PATIENT[train]) & set(PATIENT[valid])
        assert targets.indicators()[train].any(axis=0).all() and targets.indicators()[valid].any(axis=0).all()
        assert np.abs(targets.indicators()[valid].mean(axis=0) - targets.indicators().mean(axis=0)).max() < 0.2


def test_a_class_of_one_record_is_never_held_out():
    y = np.zeros(40, dtype=int)
    y[7], y[8:20] = 1, 2
    for seed in range(10):
        assert 7 in hold_out(np.arange(40), encode_labels(y, 40, None), None, 0.5, seed)[0]


def test_a_class_that_only_validation_would_have_is_named(pre):
    with pytest.raises(ValueError, match="validation_fraction=0.1 leaves.*being 0 with 8 of 24 records, of 1 pat"):
        FineTunedClassifier(pre, **FAST, early_stopping=True).fit(X, Y, groups=np.zeros(24))


def test_the_mean_area_leaves_constant_classes_out():
    members = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]], dtype=bool)
    logits = np.array([[2.0, 0, 0], [0, 1, 0], [1, 1, 0], [3, 0, 0]])
    assert macro_auroc(members, logits, softmax=True) == 1
    assert macro_auroc(members[:, :2], np.array([[-1.0], [1], [-1], [-1]]), softmax=False) == 0.75
    assert np.isnan(macro_auroc(members[:1], logits[:1], softmax=True))


def test_labels_that_are_several_are_ranked_one_by_one():
    members = np.array([[1, 1], [1, 0], [0, 0]], dtype=bool)
    # Among the probabilities of a softmax, the first record's would be the least of class 0.
    logits = np.array([[2.0, 9], [1, -5], [-1, -1]])
    assert macro_auroc(members, logits, softmax=False) == 1
    assert macro_auroc(members, logits, softmax=True) < 1


# Class weights


def test_balanced_classes_weigh_the_same():
    y = np.array([0] * 12 + [1] * 6 + [2] * 6)
    weights = encode_labels(y, 24, "balanced").weights
    assert weights[y == 0].sum() == pytest.approx(8) and weights[y == 2].sum() == pytest.approx(8)
    several = encode_labels(np.stack([y == 0, y == 1], axis=1).astype(int), 24, "balanced").weights
    assert several[y == 1, 1].sum() == pytest.approx(several[y != 1, 1].sum())


@pytest.mark.parametrize("y", [Y, Y == 1, BOTH])
def test_a_heavy_class_is_predicted_more(pre, y):
    key = True if y.dtype == bool else 1
    plain, heavy = (
        FineTunedClassifier(pre, **FAST, class_weight=w).fit(X, y).predict_proba(X)[:, 1].mean()
        for w in (None, {key: 50.0})
    )
    assert heavy > plain + 0.03


def test_the_loss_is_the_weighted_cross_entropy():
    logits = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, 0.0]])
    labels, weights = torch.tensor([2, 0]), torch.tensor([0.5, 1.5])
    expected = -(weights * logits.log_softmax(1)[[0, 1], [2, 0]]).mean()
    assert LabelLoss(True)(logits, (labels, weights)) == pytest.approx(float(expected))


# All forms of X


def test_records_of_any_length(pre):
    records = [ECGRecord(x[:, : 250 + 10 * i], float(FS), tuple(make_ecg(1, fs=FS).leads)) for i, x in enumerate(X)]
    clf = FineTunedClassifier(pre, **FAST).fit(records, Y)
    assert clf.predict_proba(records).shape == (24, 3) and clf.n_features_in_ == 12
    with pytest.raises(ValueError, match="y holds the labels of 23 records, X has 24"):
        FineTunedClassifier(pre, **FAST).fit(records, Y[1:])


def test_training_sees_pieces_and_validation_whole_records(pre, monkeypatch):
    seen = {True: set(), False: set()}
    original = ClassifierModule.forward

    def forward(self, signal, *args, **kwargs):
        seen[self.training].add(signal.shape[1])
        return original(self, signal, *args, **kwargs)

    monkeypatch.setattr(ClassifierModule, "forward", forward)
    FineTunedClassifier(pre, **(FAST | {"early_stopping": True, "window": 3})).fit(X, Y)
    assert seen == {True: {3 * FS}, False: {X.shape[2]}}


def test_long_records_are_cut_into_windows(pre):
    long, y = labelled(n=8, duration=32, n_classes=2)
    clf = FineTunedClassifier(pre, **FAST).fit(long, y)
    assert clf.predict_proba(long).shape == (8, 2)
    Z = clf.pretrainer_.transform(long).astype(np.float64)
    z = (Z - clf.head_["norm.running_mean"]) / np.sqrt(clf.head_["norm.running_var"] + 1e-5)
    logits = z @ clf.head_["linear.weight"].T + clf.head_["linear.bias"]
    np.testing.assert_allclose(clf.decision_function(long), logits[:, 0], atol=1e-4)
    other = FineTunedClassifier(pre, **(FAST | {"augment": "none", "random_state": 1})).fit(long, y)
    assert not np.array_equal(clf.predict_proba(long), other.predict_proba(long))


def test_other_leads_and_rates_than_the_pretrainers(pre):
    two = np.repeat(X[:, [1, 7]], 2, axis=2)
    clf = FineTunedClassifier(pre, **FAST, fs=2 * FS, leads=["II", "V2"]).fit(two, Y)
    assert clf.predict(two).shape == (24,)
    np.testing.assert_allclose(clf.pretrainer_.transform(two), RhythmEmbedder(clf.pretrainer_).transform(two))
    with pytest.raises(ValueError, match="leads"):
        clf.predict(X)


def test_memmaps_and_tables(pre, tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    expected = FineTunedClassifier(pre, **FAST).fit(X, Y).predict_proba(X)
    assert np.array_equal(FineTunedClassifier(pre, **FAST).fit(mapped, Y).predict_proba(mapped), expected)
    table = scratch().fit(X[:, 1], Y)
    assert table.n_features_in_ == 400 and table.predict(X[:, 1]).shape == (24,)


def test_lost_records_have_no_class(pre):
    gaps = X.copy()
    gaps[3], gaps[5, :, :50] = np.nan, np.nan
    with pytest.raises(ValueError, match="NaN: record 3"):
        FineTunedClassifier(pre, **FAST).fit(gaps, Y)
    clf = FineTunedClassifier(pre, **FAST, allow_nan=True).fit(gaps, Y)
    probability = clf.predict_proba(gaps)
    assert np.flatnonzero(np.isnan(probability).any(axis=1)).tolist() == [3]
    with pytest.raises(ValueError, match="record 3 is NaN throughout"):
        clf.predict(gaps)


@pytest.mark.parametrize("pretrained", [True, False])
def test_flat_records_are_reported(pre, pretrained):
    flat = X.copy()
    flat[4] = 0
    clf = FineTunedClassifier(pre, **FAST) if pretrained else scratch()
    with pytest.warns(UserWarning, match="record 4: no lead varies") as caught:
        clf.fit(flat, Y)
    assert {w.filename for w in caught} == {__file__}
    with pytest.warns(UserWarning, match="record 4: no lead varies") as caught:
        clf.predict(flat)
    assert {w.filename for w in caught} == {__file__}


# As a scikit-learn classifier


def test_copies_predict_the_same(fitted, tmp_path):
    expected = fitted.predict_proba(X)
    joblib.dump(fitted, tmp_path / "clf.joblib")
    revived = joblib.load(tmp_path / "clf.joblib")
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted), revived):
        assert np.array_equal(other.predict_proba(X), expected)
        assert joblib.hash(other) == joblib.hash(fitted)
    assert all(isinstance(a, np.ndarray) for a in fitted.weights_.values())
    assert b"torch" not in pickle.dumps(fitted) and len(pickle.dumps(fitted)) < 40 * sum(
        a.size for a in fitted.weights_.values()
    )


def test_clone_keeps_the_encoder_and_forgets_the_fit(fitted, pre):
    copied = clone(fitted)
    assert copied.pretrainer is pre
    with pytest.raises(NotFittedError):
        copied.predict(X)
    with pytest.raises(NotFittedError):
        assert copied.weights_
    unfitted = clone(scratch())
    assert not hasattr(unfitted.pretrainer, "weights_")


def test_search_and_cross_validation(pre):
    clf = FineTunedClassifier(pre, **(FAST | {"max_epochs": 1}))
    search = GridSearchCV(clf, {"lr": [1e-3, 1e-2]}, cv=2, scoring="neg_log_loss").fit(X, Y)
    assert search.best_estimator_.predict(X).shape == (24,)
    probability = cross_val_predict(clf, X, Y, cv=2, method="predict_proba")
    assert probability.shape == (24, 3)
    assert make_pipeline(clf).fit(X, BOTH).predict_proba(X).shape == (24, 2)


def test_groups_are_routed(pre):
    with config_context(enable_metadata_routing=True):
        clf = FineTunedClassifier(pre, **(FAST | {"max_epochs": 1}), early_stopping=True, validation_fraction=0.3)
        clf.set_fit_request(groups=True).set_score_request()
        cross_validate(clf, X, Y, cv=GroupKFold(2), params={"groups": PATIENT}, error_score="raise")
        with pytest.raises(ValueError, match="groups must hold one label per record"):
            clf.fit(X, Y, groups=PATIENT[1:])


def test_it_is_silent(pre, capsys):
    FineTunedClassifier(pre, **FAST).fit(X, Y).predict(X)
    assert capsys.readouterr() == ("", "")
    FineTunedClassifier(pre, **FAST, verbose=1).fit(X, Y)
    assert "fine-tune" in capsys.readouterr().err


# What it refuses


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y"),
        (Y[:20], "y holds the labels of 20 records, X has 24"),
        (np.zeros(24), "y holds one class only"),
        (np.where(Y == 1, np.nan, Y), "y contains NaN"),
        (np.linspace(0, 1, 24), "Unknown label type: continuous"),
        (np.stack([Y, Y == 1], axis=1), "record 2, column 0 is"),
        (np.stack([Y == 1, Y == 9], axis=1).astype(int), "column 1 is 0 in every record"),
        (np.stack([Y < 9, Y == 1], axis=1).astype(int), "column 0 is 1 in every record"),
        (np.where(BOTH == 1, np.nan, 0), "y contains NaN"),
        (np.array([["a", "b"]] * 24), "Unknown label type"),
        (np.zeros((24, 2, 2)), r"y must have the shape"),
    ],
)
def test_labels_that_cannot_be_learned(pre, y, message):
    with pytest.raises(ValueError, match=message):
        FineTunedClassifier(pre, **FAST).fit(X, y)


@pytest.mark.parametrize(
    ("parameter", "value", "error"),
    [
        ("max_epochs", -1, ValueError),
        ("max_epochs", 1.5, TypeError),
        ("batch_size", 1, ValueError),
        ("lr", -1.0, ValueError),
        ("encoder_lr", "slow", TypeError),
        ("weight_decay", None, TypeError),
        ("dropout", 1.0, ValueError),
        ("patience", 0, ValueError),
        ("validation_fraction", 1.0, ValueError),
        ("head_init", "best", ValueError),
        ("window", 0.5, ValueError),
        ("early_stopping", "yes", ValueError),
        ("class_weight", "even", ValueError),
        ("class_weight", {7: 1.0}, ValueError),
        ("class_weight", {1: -1.0}, ValueError),
        ("augment", "2kg", ValueError),
        ("augment_params", {"turn": 3}, ValueError),
        ("precision", "int8", ValueError),
        ("device", "abacus", ValueError),
        ("pretrainer", LogisticRegression(), TypeError),
        ("pretrainer", "no-such-model", OSError),
        ("random_state", "now", ValueError),
    ],
)
def test_parameters_are_checked_and_named(pre, parameter, value, error):
    clf = FineTunedClassifier(pre, **FAST).set_params(**{parameter: value})
    with pytest.raises(error, match="no-such-model" if value == "no-such-model" else parameter):
        clf.fit(X, Y)


@pytest.mark.parametrize(
    ("params", "n_train", "scratch", "recipe"),
    [
        ({}, 4999, False, (True, 1e-4, 1e-4, np.inf)),
        ({}, 5000, False, (False, 1e-2, 2e-3, 5)),
        ({}, 50, True, (False, 1e-2, 1e-2, np.inf)),
        ({"head_init": "probe"}, 5000, False, (True, 1e-4, 1e-4, np.inf)),
        ({"head_init": "zero", "lr": 5e-3}, 50, False, (False, 5e-3, 1e-3, 5)),
        ({"lr": 1e-4, "encoder_lr": 3e-4}, 5000, False, (False, 1e-4, 3e-4, 5)),
        ({"encoder_lr": 0}, 5000, False, (True, 1e-4, 0, np.inf)),
        ({"window": 3, "head_init": "probe"}, 50, False, (True, 1e-4, 1e-4, 3)),
        ({"max_epochs": 0}, 5000, False, (True, 1e-4, 1e-4, np.inf)),
    ],
)
def test_what_is_left_open_depends_on_the_records(params, n_train, scratch, recipe):
    assert tuple(recipe_of(FineTunedClassifier(**params), n_train, scratch)) == pytest.approx(recipe)


def test_the_parameters_of_an_unfitted_pretrainer_are_checked():
    with pytest.raises(ValueError, match="encoder_params"):
        FineTunedClassifier(BeatSSLPretrainer(encoder_params={"depth": 3}), fs=FS, **FAST).fit(X, Y)


def test_divergence_is_an_error(pre):
    with pytest.raises(FloatingPointError, match="lr=1e\\+30"):
        FineTunedClassifier(pre, **(FAST | {"lr": 1e30, "max_epochs": 5})).fit(X, Y)


def test_an_interrupt_reaches_the_caller(pre):
    def interrupt(x, present, generator):
        raise KeyboardInterrupt

    clf = FineTunedClassifier(pre, **FAST, augment=interrupt)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, Y)
    with pytest.raises(NotFittedError):
        clf.predict(X)
