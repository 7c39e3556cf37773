"""LinearProbe against scikit-learn's logistic regression, and how it chooses its strength."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from beatssl_sklearn.evaluation.probing import LinearProbe, macro_auroc, macro_f1


def labelled(n=400, d=20, k=3, seed=0):
    """Correlated columns on unlike scales, and labels that depend on them."""
    rng = np.random.default_rng(seed)
    Z = (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) * np.logspace(-2, 2, d) + 5).astype(np.float32)
    signal = (Z - Z.mean(0)) / Z.std(0) @ rng.normal(size=(d, k))
    return Z, signal + rng.normal(size=(n, k)) * 2


@pytest.mark.parametrize("n", [30, 400])
@pytest.mark.parametrize("kind", ["binary", "classes", "table"])
@pytest.mark.parametrize("C", [0.003, 1.0])
def test_probabilities_are_those_of_logistic_regression(n, kind, C):
    Z, signal = labelled(n, d=60)
    y = {"binary": np.where(signal[:, 0] > 0, "sick", "well"), "classes": signal.argmax(1) + 4, "table": signal > 1}[
        kind
    ]
    peer = LogisticRegression(C=C, max_iter=5000, tol=1e-8)
    peer = make_pipeline(StandardScaler(), OneVsRestClassifier(peer) if kind == "table" else peer).fit(Z, y)
    probe = LinearProbe(C=C).fit(Z, y)
    np.testing.assert_allclose(probe.predict_proba(Z), peer.predict_proba(Z), atol=1e-3)
    np.testing.assert_array_equal(probe.classes_, np.arange(3) if kind == "table" else peer.classes_)
    if kind != "table":
        assert (probe.predict(Z) == peer.predict(Z)).mean() > 0.95


def checks():
    for estimator, check in estimator_checks_generator(LinearProbe(), legacy=True):
        name = check.func.__name__ if isinstance(check, functools.partial) else check.__name__
        yield pytest.param(estimator, check, id=name + "-".join(k for k in check.keywords if k != "estimator_orig"))


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_strength_is_chosen_over_patients():
    """If labels belong to patients only, a split with one patient on both sides looks good."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 5)
    Z = (rng.normal(size=(60, 200))[groups] + 0.1 * rng.normal(size=(300, 200))).astype(np.float32)
    y = (rng.random((60, 1)) < 0.5)[groups] & np.ones((1, 2), bool)
    leaky, honest = LinearProbe().fit(Z, y), LinearProbe().fit(Z, y, groups=groups)
    assert max(leaky.scores_.values()) > 0.95
    assert max(honest.scores_.values()) < 0.75


def test_strength_follows_the_data():
    Z, signal = labelled(600, d=40)
    probe = LinearProbe().fit(Z, signal > 0)
    chosen = probe.C_
    assert probe.losses_[chosen] == min(probe.losses_.values()) and probe.losses_.keys() == probe.scores_.keys()
    noise = LinearProbe().fit(Z, np.random.default_rng(0).permutation(signal > 2)).C_
    assert chosen > 0.003 and chosen in LinearProbe().C_grid
    assert noise < chosen
    assert LinearProbe(C_grid=(0.5, 0.01)).fit(Z, signal > 0).C_ in (0.01, 0.5)


def test_prediction_uses_thresholds_of_held_out_records():
    Z, signal = labelled(900)
    y = signal > np.quantile(signal, [0.6, 0.9, 0.95], axis=0).diagonal()
    probe = LinearProbe().fit(Z[:600], y[:600])
    p = probe.predict_proba(Z[600:])
    np.testing.assert_array_equal(probe.predict(Z[600:]), p >= probe.thresholds_)
    assert macro_f1(y[600:], p, probe.thresholds_) > macro_f1(y[600:], p, [0.5] * 3)
    assert (np.abs(probe.thresholds_ - 0.5) > 0.02).any()


def test_outliers_and_constants_do_no_harm():
    Z, signal = labelled()
    y = np.c_[signal[:, :2] > 0, np.zeros(len(Z), bool)]
    clean = LinearProbe(C=0.1).fit(Z, y)
    assert clean.predict_proba(Z)[:, 2].max() < 1e-3 and clean.predict(Z)[:, 2].sum() == 0
    Z = np.c_[Z, np.full(len(Z), 7e4, np.float32)]
    base = LinearProbe(C=0.1).fit(Z, y).predict_proba(Z)
    np.testing.assert_allclose(base, clean.predict_proba(Z[:, :-1]), atol=1e-4)
    Z[0, 0] = 1e6
    p = LinearProbe(C=0.1).fit(Z, y).predict_proba(Z)
    assert np.isfinite(p).all() and macro_auroc(y, p) > macro_auroc(y, base) - 0.03


def test_probe_errors():
    Z, signal = labelled(40)
    with pytest.raises(ValueError, match="C must hold positive numbers, got -1"):
        LinearProbe(C=-1).fit(Z, signal > 0)
    with pytest.raises(ValueError, match="y must be a table of 0 and 1"):
        LinearProbe().fit(Z, 2 * (signal > 0))
    with pytest.raises(ValueError, match="1 group"):
        LinearProbe().fit(Z, signal > 0, groups=np.zeros(40))
    with pytest.raises(ValueError, match="groups must hold one label per record"):
        LinearProbe().fit(Z, signal > 0, groups=np.zeros(39))
    with pytest.raises(NotFittedError):
        LinearProbe().predict(Z)
