"""FineTunedClassifier: what it learns, what it starts from, and what it refuses."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline

from beatssl_sklearn import (
    BeatSSL,
    BeatSSLPretrainer,
    ECGRecord,
    FineTunedClassifier,
    FittedEncoder,
    FrontEnd,
    LeadMasking,
    NoViews,
    RhythmEmbedder,
    VCGViews,
    load,
    make_ecg,
    save,
)
from beatssl_sklearn.finetuning.net import HeadedEncoder

FS = 100
TINY = {
    "objective": BeatSSL(projection_dim=8),
    "fs": FS,
    "encoder_params": {"widths": (8, 16, 24), "n_dims": 12},
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
MASKS = make_ecg(24, fs=FS, duration=4, random_state=0).masks
CONV = "stem.conv.weight"
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


def own_parameters(classifier):
    """All parameters but those of the pretrainer."""
    return {name: value for name, value in classifier.get_params().items() if not name.startswith("pretrainer")}


# What it learns


@pytest.mark.parametrize("target", ["three", "two", "several"])
@pytest.mark.parametrize("pretrained", [True, False])
def test_it_learns(pre, target, pretrained):
    y = {"three": np.array(["a", "b", "c"])[Y], "two": Y == 1, "several": BOTH}[target]
    given = pre if pretrained else BeatSSLPretrainer(**TINY)
    clf = FineTunedClassifier(given, **(FAST | {"max_epochs": 20, "lr": 1e-2, "views": NoViews()})).fit(X, y)
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
    first, again, other = (scratch(max_epochs=0, random_state=s).fit(X, Y).encoder_.weights for s in (0, 0, 1))
    assert np.array_equal(first[CONV], again[CONV]) and not np.array_equal(first[CONV], other[CONV])
    # The weights are those with which the pretrainer itself would begin.
    assert np.array_equal(first[CONV], BeatSSLPretrainer(**TINY).fit(X).encoder_.weights[CONV])


def test_without_a_pretrainer_the_default_encoder_starts_from_scratch():
    clf = FineTunedClassifier(None, **(FAST | {"max_epochs": 0}), fs=FS).fit(X, Y)
    shipped = load("ptbxl").encoder_
    assert not clf.decision_function(X).any() and clf.encoder_.front_end == FrontEnd()
    assert {k: a.shape for k, a in clf.encoder_.weights.items()} == {k: a.shape for k, a in shipped.weights.items()}
    assert not np.array_equal(clf.encoder_.weights[CONV], shipped.weights[CONV])


def test_the_pretrainer_is_never_changed(pre):
    before = joblib.hash(pre)
    unfitted = BeatSSLPretrainer(**TINY)
    clf = FineTunedClassifier(pre, **FAST, fs=FS, leads=None).fit(X, Y)
    FineTunedClassifier(unfitted, **FAST).fit(X, Y)
    assert joblib.hash(pre) == before and not hasattr(unfitted, "encoder_")
    assert clf.pretrainer is pre and not np.array_equal(RhythmEmbedder(clf).transform(X), pre.transform(X))


def test_an_encoder_of_rate_0_stays(pre):
    clf = FineTunedClassifier(pre, **FAST, encoder_lr=0).fit(X, Y)
    for name, array in clf.encoder_.weights.items():
        assert np.array_equal(array, pre.encoder_.weights[name]), name
    probe = FineTunedClassifier(pre, **(FAST | {"max_epochs": 0})).fit(X, Y)
    assert not np.array_equal(clf.head_["linear.weight"], probe.head_["linear.weight"])


def test_statistics_of_batchnorm_stay_only_where_pretrained(pre):
    name = "stem.norm.running_mean"
    assert np.array_equal(FineTunedClassifier(pre, **FAST).fit(X, Y).encoder_.weights[name], pre.encoder_.weights[name])
    assert scratch().fit(X, Y).encoder_.weights[name].any()


def test_a_file_and_what_is_fitted_are_the_same(pre, tmp_path):
    save(pre, tmp_path / "model.bssl")
    expected = FineTunedClassifier(pre, **FAST).fit(X, Y).predict_proba(X)
    for given in (tmp_path / "model.bssl", str(tmp_path / "model.bssl"), pre.encoder_, RhythmEmbedder(pre)):
        found = clone(FineTunedClassifier(given, **FAST)).fit(X, Y)
        assert np.array_equal(found.predict_proba(X), expected)


def test_another_classifier_and_a_segmenter_serve_as_pretrainers(fitted, segmenter_of):
    found = FineTunedClassifier(fitted, **(FAST | {"encoder_lr": 0})).fit(X, Y == 1)
    assert all(np.array_equal(a, fitted.encoder_.weights[name]) for name, a in found.encoder_.weights.items())
    segmenter = segmenter_of(fitted, encoder_lr=1e-2).fit(X[:4], MASKS[:4])
    assert not np.array_equal(segmenter.encoder_.weights[CONV], fitted.encoder_.weights[CONV])
    last = FineTunedClassifier(segmenter, **(FAST | {"max_epochs": 0})).fit(X, Y)
    assert np.array_equal(last.encoder_.weights[CONV], segmenter.encoder_.weights[CONV])


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


def test_a_class_that_only_validation_would_have_is_named(pre):
    with pytest.raises(ValueError, match="validation_fraction=0.1 leaves.*being 0 with 8 of 24 records, of 1 pat"):
        FineTunedClassifier(pre, **FAST, early_stopping=True).fit(X, Y, groups=np.zeros(24))


# Class weights


@pytest.mark.parametrize("y", [Y, Y == 1, BOTH])
def test_a_heavy_class_is_predicted_more(pre, y):
    key = True if y.dtype == bool else 1
    plain, heavy = (
        FineTunedClassifier(pre, **FAST, class_weight=w).fit(X, y).predict_proba(X)[:, 1].mean()
        for w in (None, {key: 50.0})
    )
    assert heavy > plain + 0.03


# Weights of records


def test_to_the_frozen_probe_a_weight_counts_records(pre):
    weight = np.random.default_rng(0).integers(0, 4, 24)
    frozen = FineTunedClassifier(pre, **(FAST | {"max_epochs": 0}))
    ours = clone(frozen).fit(X, Y, groups=PATIENT, sample_weight=weight)
    theirs = clone(frozen).fit(*(np.repeat(a, weight, axis=0) for a in (X, Y)), groups=np.repeat(PATIENT, weight))
    expected = theirs.decision_function(X)
    np.testing.assert_allclose(ours.decision_function(X), expected, atol=1e-2 * np.abs(expected).max())
    plain = clone(frozen).fit(X, Y, groups=PATIENT).decision_function(X)
    assert np.abs(plain - expected).max() > 0.05 * np.abs(expected).max()


@pytest.mark.parametrize("changes", [{}, {"early_stopping": True, "validation_fraction": 0.3}])
def test_records_of_weight_0_are_absent(pre, changes):
    kept = np.arange(24) < 18
    other, y = X.copy(), np.where(kept, Y, 7)
    other[~kept] *= -3
    clf = FineTunedClassifier(pre, **(FAST | changes))
    ours = clone(clf).fit(other, y, groups=PATIENT, sample_weight=kept)
    theirs = clone(clf).fit(X[kept], Y[kept], groups=PATIENT[kept])
    assert ours.classes_.tolist() == [0, 1, 2]
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-4)
    losses = [[row["train_loss"] for row in fitted.history_] for fitted in (ours, theirs)]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_weights_in_training_are_relative():
    three, heavy = np.full(24, 3.0), np.where(Y == 1, 20.0, 1.0)
    plain, equal, uneven = (scratch().fit(X, Y, sample_weight=w).predict_proba(X) for w in (None, three, heavy))
    np.testing.assert_allclose(equal, plain, atol=1e-5)
    of_class = scratch(class_weight={1: 20.0}).fit(X, Y).predict_proba(X)
    np.testing.assert_allclose(uneven, of_class, atol=1e-5)
    assert np.abs(uneven - plain).max() > 0.01


def test_weights_are_routed(pre):
    weight = np.arange(24) % 3 + 1.0
    given = {"groups": PATIENT, "sample_weight": weight}
    with config_context(enable_metadata_routing=True):
        clf = FineTunedClassifier(pre, **(FAST | {"max_epochs": 0}))
        clf.set_fit_request(groups=True, sample_weight=True).set_score_request(sample_weight=True)
        scores = cross_validate(clf, X, Y, cv=GroupKFold(2), params=given, error_score="raise")["test_score"]
        search = GridSearchCV(clf, {"class_weight": [None, "balanced"]}, cv=GroupKFold(2), error_score="raise")
        search.fit(X, Y, **given)
    expected = []
    for train, test in GroupKFold(2).split(X, groups=PATIENT):
        own = FineTunedClassifier(pre, **(FAST | {"max_epochs": 0}))
        own.fit(X[train], Y[train], groups=PATIENT[train], sample_weight=weight[train])
        expected.append(own.score(X[test], Y[test], sample_weight=weight[test]))
    np.testing.assert_allclose(scores, expected)
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(np.mean(scores))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(23), r"sample_weight must hold one weight per record: shape \(23,\) for 24 records"),
        (np.where(np.arange(24) == 2, -1.0, 1), "sample_weight must hold finite weights .* record 2 is -1.0"),
        (np.zeros(24), "sample_weight is zero for every record"),
        (np.where(np.arange(24) == 2, 1.0, 0), "y holds one class only, 2"),
    ],
)
def test_weights_that_cannot_be_used(pre, weight, message):
    with pytest.raises(ValueError, match=message):
        FineTunedClassifier(pre, **FAST).fit(X, Y, sample_weight=weight)


# Missing labels and groups


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_label_or_group_is_told_with_its_record(pre, missing):
    labels = pd.Series(np.array(["a", "b", "c"])[Y], dtype=object)
    labels[[3, 5]] = missing
    clf = FineTunedClassifier(pre, **FAST)
    with pytest.raises(ValueError, match="y: the label of record 3 and 1 others is missing"):
        clf.fit(X, labels)
    with pytest.raises(ValueError, match="groups: the group of record 3 and 1 others is missing"):
        clf.fit(X, Y, groups=labels)
    with pytest.raises(ValueError, match="y: the label of record 3 and 1 others is missing"):
        FineTunedClassifier(pre, **(FAST | {"max_epochs": 0})).fit(X, Y).score(X, labels)


# All forms of X


def test_records_of_any_length(pre):
    records = [ECGRecord(x[:, : 250 + 10 * i], float(FS), tuple(make_ecg(1, fs=FS).leads)) for i, x in enumerate(X)]
    clf = FineTunedClassifier(pre, **FAST).fit(records, Y)
    assert clf.predict_proba(records).shape == (24, 3) and clf.n_features_in_ == 12
    with pytest.raises(ValueError, match="y holds the labels of 23 records, X has 24"):
        FineTunedClassifier(pre, **FAST).fit(records, Y[1:])


def test_training_sees_pieces_and_validation_whole_records(pre, monkeypatch):
    seen = {True: set(), False: set()}
    original = HeadedEncoder.forward

    def forward(self, signal, *args, **kwargs):
        seen[self.training].add(signal.shape[1])
        return original(self, signal, *args, **kwargs)

    monkeypatch.setattr(HeadedEncoder, "forward", forward)
    FineTunedClassifier(pre, **(FAST | {"early_stopping": True, "window": 3})).fit(X, Y)
    assert seen == {True: {3 * FS}, False: {X.shape[2]}}


def test_long_records_are_cut_into_windows(pre):
    long, y = labelled(n=8, duration=32, n_classes=2)
    clf = FineTunedClassifier(pre, **FAST).fit(long, y)
    assert clf.predict_proba(long).shape == (8, 2)
    Z = RhythmEmbedder(clf, device="cpu").transform(long).astype(np.float64)
    z = (Z - clf.head_["norm.running_mean"]) / np.sqrt(clf.head_["norm.running_var"] + 1e-5)
    logits = z @ clf.head_["linear.weight"].T + clf.head_["linear.bias"]
    np.testing.assert_allclose(clf.decision_function(long), logits[:, 0], atol=1e-4)
    other = FineTunedClassifier(pre, **(FAST | {"views": NoViews(), "random_state": 1})).fit(long, y)
    assert not np.array_equal(clf.predict_proba(long), other.predict_proba(long))


def test_other_leads_and_rates_than_the_pretrainers(pre):
    two = np.repeat(X[:, [1, 7]], 2, axis=2)
    clf = FineTunedClassifier(pre, **FAST, fs=2 * FS, leads=["II", "V2"]).fit(two, Y)
    assert clf.predict(two).shape == (24,)
    assert clf.encoder_.fs == 2 * FS and tuple(clf.encoder_.leads) == ("II", "V2") and clf.encoder_.n_leads == 2
    embedded = RhythmEmbedder(clf, device="cpu").transform(two)
    assert embedded.shape == (24, 120) and np.isfinite(embedded).all()
    before = RhythmEmbedder(pre, fs=2 * FS, leads=["II", "V2"], device="cpu").transform(two)
    assert not np.allclose(embedded, before)
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
    arrays = [*fitted.encoder_.weights.values(), *fitted.head_.values()]
    assert all(isinstance(a, np.ndarray) for a in arrays)
    assert b"torch" not in pickle.dumps(fitted) and len(pickle.dumps(fitted)) < 40 * sum(a.size for a in arrays)


def test_another_version_is_warned_of(fitted):
    state = copy.deepcopy(fitted).__getstate__() | {"_beatssl_version": "0.0.1"}
    with pytest.warns(UserWarning, match="FineTunedClassifier was pickled by version 0.0.1"):
        FineTunedClassifier().__setstate__(state)


def test_clone_keeps_the_encoder_and_forgets_the_fit(fitted, pre):
    copied = clone(fitted)
    assert copied.pretrainer.encoder_.weights is pre.encoder_.weights
    assert own_parameters(copied) == own_parameters(fitted)
    assert not hasattr(copied, "encoder_") and not hasattr(copied, "head_")
    with pytest.raises(NotFittedError):
        copied.predict(X)
    unfitted = clone(scratch())
    assert not hasattr(unfitted.pretrainer, "encoder_")


@pytest.mark.parametrize(
    "changes",
    [
        {"fs": 250, "leads": ["II"], "max_epochs": 7},
        {"objective__temperature": 0.7},
        {"objective__views__angle": 30.0},
    ],
)
@pytest.mark.parametrize("views_given", [False, True])
def test_what_is_set_on_a_clone_does_not_reach_the_pretrainer_given(changes, views_given):
    objective = BeatSSL(views=VCGViews() if views_given else None)
    given = BeatSSLPretrainer(**TINY).set_params(objective=objective).fit(X)
    before = joblib.hash(given)
    copied = clone(FineTunedClassifier(given, **FAST))
    with warnings.catch_warnings():
        # Parameters of a training that is over do nothing.
        warnings.filterwarnings("ignore", "pretrainer__.* is set, but the pretrainer is fitted", UserWarning)
        copied.set_params(**{f"pretrainer__{name}": value for name, value in changes.items()})
    found = copied.get_params()
    assert all(found[f"pretrainer__{name}"] == value for name, value in changes.items())
    assert joblib.hash(given) == before


def test_the_encoder_embeds_as_any_other(fitted, pre):
    encoder = fitted.encoder_
    assert isinstance(encoder, FittedEncoder) and encoder.weights.keys() == pre.encoder_.weights.keys()
    assert (encoder.fs, encoder.n_leads, encoder.front_end) == (FS, 12, pre.encoder_.front_end)
    embedded = RhythmEmbedder(fitted, device="cpu").transform(X)
    assert embedded.shape == (24, 120)
    assert np.array_equal(RhythmEmbedder(encoder, device="cpu").transform(X), embedded)
    # The head reads this embedding.
    z = (embedded - fitted.head_["norm.running_mean"]) / np.sqrt(fitted.head_["norm.running_var"] + 1e-5)
    logits = z @ fitted.head_["linear.weight"].T + fitted.head_["linear.bias"]
    np.testing.assert_allclose(fitted.decision_function(X), logits, atol=1e-4)


def test_nested_parameters(pre):
    clf = FineTunedClassifier(pre, **FAST)
    assert clf.views is None
    clf.set_params(views__angle=30.0, views__lead_drop=0.5)
    assert clf.views == VCGViews(angle=30.0, lead_drop=0.5)
    copied = clone(clf)
    assert copied.views == clf.views and copied.views is not clf.views
    copied.set_params(views__angle=0.0)
    assert clf.views.angle == 30.0 and copied.get_params()["views__angle"] == 0.0
    with pytest.raises(ValueError, match="Invalid parameter 'turn'"):
        clf.set_params(views__turn=1)
    masked = clone(clf).set_params(views=LeadMasking(), views__p=0.25)
    assert masked.views == LeadMasking(0.25)
    found = [clone(c).fit(X, Y).predict_proba(X) for c in (clf, copied, masked, FineTunedClassifier(pre, **FAST))]
    assert all(not np.array_equal(a, b) for i, a in enumerate(found) for b in found[:i])
    default = FineTunedClassifier(pre, **FAST, views=VCGViews()).fit(X, Y)
    assert np.array_equal(default.predict_proba(X), found[3])


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


# In a file


@pytest.mark.parametrize("kind", ["name", "path", "estimator", "encoder", "classifier", "none", "unfitted"])
def test_it_is_read_back_from_a_file(kind, pre, fitted, tmp_path):
    save(pre, tmp_path / "pre.bssl")
    given = {
        "name": "ptbxl-s",
        "path": str(tmp_path / "pre.bssl"),
        "estimator": pre,
        "encoder": pre.encoder_,
        "classifier": fitted,
        "none": None,
        "unfitted": BeatSSLPretrainer(**TINY),
    }[kind]
    changes = {"fs": FS, "views": LeadMasking(0.25), "leads": ("I", "V2"), "max_epochs": 1, "early_stopping": True}
    two = X[:, [0, 7]]
    clf = FineTunedClassifier(given, **(FAST | changes), validation_fraction=0.3).fit(two, Y)
    save(clf, tmp_path / "clf.bssl")
    (tmp_path / "pre.bssl").unlink()
    revived = load(tmp_path / "clf.bssl")
    assert np.array_equal(revived.predict_proba(two), clf.predict_proba(two))
    assert np.array_equal(revived.predict(two), clf.predict(two))
    assert own_parameters(revived) == own_parameters(clf) and revived.views == LeadMasking(0.25)
    for name in ("history_", "n_iter_", "best_epoch_", "device_", "n_features_in_", "multi_label_"):
        assert getattr(revived, name) == getattr(clf, name)
    assert np.array_equal(RhythmEmbedder(revived).transform(two), RhythmEmbedder(clf).transform(two))
    if kind in {"name", "none"}:
        assert revived.pretrainer == given
    elif kind == "unfitted":
        assert isinstance(revived.pretrainer, BeatSSLPretrainer) and not hasattr(revived.pretrainer, "encoder_")
    else:
        # The encoder that it began with: trained again, it sees nothing of these labels.
        begun = fitted if kind == "classifier" else pre
        assert isinstance(revived.pretrainer, FittedEncoder)
        assert np.array_equal(revived.pretrainer.weights[CONV], begun.encoder_.weights[CONV])
    assert clf.pretrainer is given


def test_what_is_read_back_begins_as_the_saved_one_did(fitted, pre, tmp_path):
    save(fitted, tmp_path / "clf.bssl")
    begun = clone(load(tmp_path / "clf.bssl")).set_params(max_epochs=0).fit(X, Y).encoder_
    assert np.array_equal(begun.weights[CONV], pre.encoder_.weights[CONV])
    assert not np.array_equal(begun.weights[CONV], fitted.encoder_.weights[CONV])


@pytest.mark.parametrize(
    ("y", "class_weight"),
    [
        (np.array(["a", "b", "c"])[Y], {"b": 3.0}),
        (np.array(["a", "b", "c"], dtype=object)[Y], None),
        (Y, {1: 3.0}),
        (Y == 1, {True: 3.0}),
        (Y * 2.0, "balanced"),
        (BOTH, {1: 3.0}),
    ],
)
def test_labels_of_all_kinds_are_read_back(y, class_weight, pre, tmp_path):
    clf = FineTunedClassifier(pre, **(FAST | {"max_epochs": 0}), class_weight=class_weight).fit(X, y)
    save(clf, tmp_path / "clf.bssl")
    revived = load(tmp_path / "clf.bssl")
    assert revived.classes_.tolist() == clf.classes_.tolist()
    assert np.array_equal(revived.predict_proba(X), clf.predict_proba(X))
    assert revived.predict(X).tolist() == clf.predict(X).tolist()
    assert revived.class_weight == class_weight
    # What is read back can be trained on.
    assert np.array_equal(clone(revived).fit(X, y).classes_, clf.classes_)


def test_what_no_file_can_hold_is_named(pre, tmp_path):
    def views(x, present, generator):
        return x, present

    clf = FineTunedClassifier(pre, **(FAST | {"max_epochs": 0}), views=views).fit(X, Y)
    with pytest.raises(TypeError, match="views=.*cannot be saved.*joblib"):
        save(clf, tmp_path / "clf.bssl")
    with pytest.raises(NotFittedError):
        save(FineTunedClassifier(pre), tmp_path / "clf.bssl")
    assert not (tmp_path / "clf.bssl").exists()


# What it refuses


@pytest.mark.parametrize(
    ("y", "message"), [(None, "requires y"), (Y[:20], "of 20 records, X has 24"), (np.zeros(24), "one class only")]
)
def test_labels_that_cannot_be_learned(pre, y, message):
    with pytest.raises(ValueError, match=message):
        FineTunedClassifier(pre, **FAST).fit(X, y)


@pytest.mark.parametrize(
    ("parameter", "value", "error"),
    [
        ("dropout", 1.0, ValueError),
        ("class_weight", "even", ValueError),
        ("class_weight", {7: 1.0}, ValueError),
        ("views", "3kg", TypeError),
        ("views__angle", -3, ValueError),
        ("pretrainer", LogisticRegression(), TypeError),
        ("pretrainer", BeatSSLPretrainer, TypeError),
        ("pretrainer", FineTunedClassifier(), TypeError),
        ("pretrainer", "no-such-model", OSError),
        ("random_state", "now", ValueError),
    ],
)
def test_parameters_are_checked_and_named(pre, parameter, value, error):
    """Those of a training are checked in `test_start.py`."""
    clf = FineTunedClassifier(pre, **FAST).set_params(**{parameter: value})
    name = parameter.rpartition("__")[2]
    with pytest.raises(error, match="no-such-model" if isinstance(value, str) and "model" in value else name):
        clf.fit(X, Y)
    assert not hasattr(clf, "head_")


def test_the_parameters_of_an_unfitted_pretrainer_are_checked():
    with pytest.raises(ValueError, match="encoder_params"):
        FineTunedClassifier(BeatSSLPretrainer(encoder_params={"depth": 3}), fs=FS, **FAST).fit(X, Y)


def test_divergence_is_an_error(pre):
    with pytest.raises(FloatingPointError, match="lr=1e\\+30"):
        FineTunedClassifier(pre, **(FAST | {"lr": 1e30, "max_epochs": 5})).fit(X, Y)


def test_an_interrupt_reaches_the_caller(pre):
    def interrupt(x, present, generator):
        raise KeyboardInterrupt

    clf = FineTunedClassifier(pre, **FAST, views=interrupt)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, Y)
    with pytest.raises(NotFittedError):
        clf.predict(X)
