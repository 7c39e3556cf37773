"""FineTunedRegressor: what it learns, what it starts from, and what it refuses; the rest is as for the classifier."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate

from beatssl_sklearn import (
    BeatSSL,
    BeatSSLPretrainer,
    FineTunedRegressor,
    NoViews,
    RhythmEmbedder,
    load,
    make_ecg,
    save,
)
from beatssl_sklearn.finetuning.probe import standardisation
from beatssl_sklearn.finetuning.ridge import fit_ridge_probe
from beatssl_sklearn.finetuning.values import encode_values

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
ECG = make_ecg(24, fs=FS, duration=4, random_state=0)
X = ECG.data.astype(np.float32)
RATE = np.array([60.0 * FS / np.diff(rpeaks).mean() for rpeaks in ECG.rpeaks])
# Heart rate [1/min], and the QRS height of V2 [mV].
BOTH = np.stack([RATE, np.ptp(X[:, 7], axis=1)], axis=1)
PATIENT = np.arange(24) // 2


@pytest.fixture(scope="module")
def pre():
    return BeatSSLPretrainer(**TINY).fit(X)


@pytest.fixture(scope="module")
def fitted(pre):
    return FineTunedRegressor(pre, **FAST).fit(X, BOTH)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "absolute_error"])
def test_it_learns_the_heart_rate_from_scratch(loss):
    reg = FineTunedRegressor(BeatSSLPretrainer(**TINY), **(FAST | {"max_epochs": 15, "views": NoViews()}), loss=loss)
    reg.fit(X, RATE)
    losses = [row["train_loss"] for row in reg.history_]
    assert losses[-1] < 0.5 * losses[0] and reg.predict(X).shape == (24,)
    assert reg.score(X, RATE) > 0.5
    # In the unit of y: an error in standard deviations would be 1 or more.
    assert np.abs(reg.predict(X) - RATE).mean() < 0.6 * RATE.std()


def test_without_epochs_it_is_the_frozen_probe(pre):
    reg = FineTunedRegressor(pre, **(FAST | {"max_epochs": 0})).fit(X, BOTH, groups=PATIENT)
    assert reg.history_ == [] and reg.best_epoch_ == reg.n_iter_ == 0
    Z = RhythmEmbedder(pre, device="cpu").transform(X)
    standard = standardisation(Z)
    weight, bias = fit_ridge_probe(Z, standard, encode_values(BOTH, 24), np.arange(24), PATIENT, 0)
    expected = (standard.apply(Z) @ weight.T + bias) * BOTH.std(axis=0) + BOTH.mean(axis=0)
    np.testing.assert_allclose(reg.predict(X), expected, rtol=1e-4)
    with_mean = FineTunedRegressor(pre, **(FAST | {"max_epochs": 0}), head_init="zero").fit(X, BOTH)
    np.testing.assert_allclose(with_mean.predict(X), np.broadcast_to(BOTH.mean(axis=0), (24, 2)))


def test_targets_keep_their_units_and_do_not_disturb_each_other(pre, fitted):
    """A target in other units is learnt alike."""
    scaled = FineTunedRegressor(pre, **FAST).fit(X, BOTH * [1e-3, 1e6] + [0, 7])
    np.testing.assert_allclose(scaled.predict(X), fitted.predict(X) * [1e-3, 1e6] + [0, 7], rtol=1e-3)


def test_missing_values_are_left_out_of_the_loss(pre):
    y = BOTH.copy()
    y[:6, 0], y[20] = np.nan, np.nan
    clf = FineTunedRegressor(pre, **FAST)
    found = clone(clf).fit(X, y, groups=PATIENT)
    # A record without any value is as if it were absent.
    kept = np.arange(24) != 20
    absent = clone(clf).fit(X[kept], y[kept], groups=PATIENT[kept])
    np.testing.assert_allclose(found.predict(X), absent.predict(X), rtol=1e-3)
    assert found.target_mean_[0] == pytest.approx(np.nanmean(y[:, 0])) and np.isfinite(found.predict(X)).all()
    assert found.score(X, y) == pytest.approx(found.score(X[kept], y[kept]))


def test_records_of_weight_0_are_absent_and_weights_are_routed(pre):
    weight = np.where(np.arange(24) < 18, 1.0, 0.0)
    y = np.where(weight > 0, RATE, 1e4)
    ours = FineTunedRegressor(pre, **FAST).fit(X, y, sample_weight=weight, groups=PATIENT)
    theirs = FineTunedRegressor(pre, **FAST).fit(X[:18], RATE[:18], groups=PATIENT[:18])
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-3)
    with config_context(enable_metadata_routing=True):
        reg = FineTunedRegressor(pre, **(FAST | {"max_epochs": 0}))
        reg.set_fit_request(groups=True, sample_weight=True).set_score_request(sample_weight=True)
        given = {"groups": PATIENT, "sample_weight": weight + 1}
        scores = cross_validate(reg, X, RATE, cv=GroupKFold(2), params=given, error_score="raise")["test_score"]
    assert len(scores) == 2


def test_the_best_epoch_is_kept(pre):
    stopping = {"early_stopping": True, "validation_fraction": 0.3}
    good = FineTunedRegressor(pre, **(FAST | stopping | {"max_epochs": 5, "lr": 3e-3})).fit(X, BOTH, groups=PATIENT)
    losses = [row["valid_loss"] for row in good.history_]
    assert good.best_epoch_ in (0, np.argmin(losses) + 1)
    assert all(np.isfinite(row["valid_r2"]) and row["valid_r2"] <= 1 for row in good.history_)


def test_a_search_over_losses(pre):
    search = GridSearchCV(FineTunedRegressor(pre, **FAST), {"loss": ["huber", "squared_error"]}, cv=2)
    assert search.fit(X, RATE).best_estimator_.predict(X).shape == (24,)
    assert not np.array_equal(*(search.cv_results_[f"split{k}_test_score"] for k in (0, 1)))


@pytest.mark.parametrize("y", [RATE, RATE[:, None], BOTH])
def test_it_is_read_back_from_a_file(pre, y, tmp_path):
    reg = FineTunedRegressor(pre, **FAST, loss="huber").fit(X, y)
    save(reg, tmp_path / "reg.bssl")
    again = load(tmp_path / "reg.bssl")
    assert again.predict(X).shape == y.shape and np.array_equal(again.predict(X), reg.predict(X))
    assert again.loss == "huber" and again.history_ == reg.history_
    assert np.array_equal(RhythmEmbedder(again).transform(X), RhythmEmbedder(reg).transform(X))


@pytest.mark.parametrize("wrong", [np.zeros(2), np.ones(3), np.array([1.0, np.nan]), np.array(["a", "b"])])
def test_a_file_with_other_scales_is_refused(fitted, wrong, tmp_path):
    broken = clone(fitted)
    broken.__dict__.update(vars(fitted))
    broken.target_scale_ = wrong
    with pytest.raises(ValueError, match="target_scale_"):
        save(broken, tmp_path / "reg.bssl")


def test_lost_records_have_no_value(pre):
    gaps = X.copy()
    gaps[3] = np.nan
    reg = FineTunedRegressor(pre, **FAST, allow_nan=True).fit(gaps, RATE)
    assert np.flatnonzero(np.isnan(reg.predict(gaps))).tolist() == [3]
    with pytest.raises(ValueError, match="record 3 is NaN throughout"):
        reg.score(gaps, RATE)
    assert np.isfinite(reg.score(gaps, np.where(np.arange(24) == 3, np.nan, RATE)))


@pytest.mark.parametrize(
    ("changes", "y", "message"),
    [({"loss": "cubed"}, RATE, "loss must be one of"), ({}, RATE[:3], "of 3 records"), ({"lr": -1}, RATE, "lr")],
)
def test_what_cannot_be_used_is_named(pre, changes, y, message):
    with pytest.raises(ValueError, match=message):
        FineTunedRegressor(pre, **(FAST | changes)).fit(X, y)


def test_a_last_step_that_no_loss_has_seen_is_looked_at(pre):
    """One step, of which the loss is that of the weights before it: they are finite, and what they make is not."""
    with pytest.raises(FloatingPointError, match="the model's outputs are not finite with lr=10000.0; lower lr"):
        FineTunedRegressor(pre, **(FAST | {"lr": 1e4, "max_epochs": 1, "batch_size": 24})).fit(X, RATE)


def test_shapes_of_a_score_must_fit(fitted):
    with pytest.raises(ValueError, match=r"shape of the predictions \(24, 2\), got \(24,\)"):
        fitted.score(X, RATE)


@pytest.mark.slow
def test_the_age_of_real_patients_is_learnt(data_dir):
    path = data_dir / "ptbxl" / "unpack.py"
    if not path.exists():
        pytest.skip("no PTB-XL in the folder of real ECGs")
    spec = importlib.util.spec_from_file_location("unpack", path)
    unpack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unpack)
    ids, signal = unpack.load_fold(1)
    table = pd.read_csv(path.parent / "labels.csv").set_index("ecg_id").loc[ids]
    # 300 stands for an age over 89 or unknown.
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(table.age < 90))[:300]
    records, age = signal[chosen] / np.float32(1000), table.age.to_numpy()[chosen]
    patient = table.patient_id.to_numpy()[chosen]
    test = np.isin(patient, np.unique(patient)[: len(np.unique(patient)) // 3])
    reg = FineTunedRegressor("ptbxl", fs=FS, max_epochs=2, check="ignore", random_state=0, device="cpu")
    reg.fit(records[~test], age[~test], groups=patient[~test])
    error = np.abs(reg.predict(records[test]) - age[test]).mean()
    assert error < 0.85 * np.abs(np.median(age[~test]) - age[test]).mean()
