"""LinearProbe against scikit-learn's logistic regression, and how it chooses its strength."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from sklearn import __version__, config_context
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.fixes import parse_version

from beatssl_sklearn.evaluation.probing import LinearProbe, macro_auroc, macro_f1

WEIGHTED_PIPELINES = parse_version(__version__) >= parse_version("1.8")


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
        if name == "check_sample_weight_equivalence_on_dense_data":
            continue  # It wants seven digits, and the probe computes in float32: see below.
        yield pytest.param(estimator, check, id=name + "-".join(k for k in check.keywords if k != "estimator_orig"))


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_scikit_learns_checks(estimator, check):
    check(estimator)


# Weights


def weighted(kind="classes", n=120, seed=0):
    """Records with weights 0 to 3, and the same records repeated; copies share a group, and groups hold three."""
    Z, signal = labelled(n, d=12, seed=seed)
    y = {"binary": signal[:, 0] > 0, "classes": signal.argmax(axis=1), "table": signal > 0.5}[kind]
    weight = np.random.default_rng(seed).integers(0, 4, n)
    groups = np.arange(n) // 3
    return (Z, y, groups, weight), tuple(np.repeat(a, weight, axis=0) for a in (Z, y, groups))


@pytest.mark.parametrize("kind", ["binary", "classes", "table"])
@pytest.mark.parametrize("C", [0.01, None])
def test_a_weight_counts_records(kind, C):
    (Z, y, groups, weight), (Z2, y2, groups2) = weighted(kind, n=60)
    ours = LinearProbe(C).fit(Z, y, groups=groups, sample_weight=weight)
    theirs = LinearProbe(C).fit(Z2, y2, groups=groups2)
    assert ours.C_ == theirs.C_ and ours.losses_.keys() == theirs.losses_.keys()
    for found, expected in ((ours.losses_, theirs.losses_), (ours.scores_, theirs.scores_)):
        np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-3)
    np.testing.assert_allclose(ours.predict_proba(Z), theirs.predict_proba(Z), atol=2e-4)
    plain = LinearProbe(C).fit(Z, y, groups=groups)
    assert np.abs(ours.predict_proba(Z) - plain.predict_proba(Z)).max() > 0.02


def test_weight_0_is_absence():
    Z, signal = labelled(90)
    y, groups = signal.argmax(axis=1), np.arange(90) // 2
    y[-5:] = 7  # a class of records that do not count
    Z[-5:] *= 100
    kept = np.arange(90) < 80
    ours = LinearProbe().fit(Z, y, groups=groups, sample_weight=kept)
    theirs = LinearProbe().fit(Z[kept], y[kept], groups=groups[kept], sample_weight=np.ones(80))
    np.testing.assert_array_equal(ours.predict_proba(Z), theirs.predict_proba(Z))
    assert ours.classes_.tolist() == [0, 1, 2]
    plain = LinearProbe().fit(Z[kept], y[kept], groups=groups[kept])
    np.testing.assert_allclose(ours.predict_proba(Z[kept]), plain.predict_proba(Z[kept]), atol=1e-3)


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (np.ones(39), ValueError, r"sample_weight must hold one weight per record: shape \(39,\) for 40 records"),
        (np.where(np.arange(40) == 3, -1, 1), ValueError, "that of record 3 is -1.0"),
        (np.where(np.arange(40) == 5, np.nan, 1), ValueError, "that of record 5 is nan"),
        (np.zeros(40), ValueError, "sample_weight is zero for every record"),
        (["heavy"] * 40, TypeError, "sample_weight must hold numbers"),
    ],
)
def test_weights_that_cannot_be_used(weight, error, message):
    Z, signal = labelled(40)
    with pytest.raises(error, match=message):
        LinearProbe().fit(Z, signal > 0, sample_weight=weight)


def test_weights_and_groups_are_routed():
    (Z, y, groups, weight), _ = weighted()
    params = {"sample_weight": weight, "groups": groups}
    with config_context(enable_metadata_routing=True):
        probe = LinearProbe(0.01).set_fit_request(groups=True, sample_weight=True).set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        # The score of a pipeline gets no weights in scikit-learn 1.7.
        pipe = make_pipeline(scaler, probe) if WEIGHTED_PIPELINES else probe
        found = cross_val_score(pipe, Z, y, params=params, cv=GroupKFold(3), error_score="raise")
        search = GridSearchCV(probe, {"C": [1e-4, 1e-2]}, cv=GroupKFold(3), error_score="raise").fit(Z, y, **params)
        with pytest.raises(UnsetMetadataPassedError):
            cross_val_score(LinearProbe(0.01), Z, y, params=params, cv=GroupKFold(3), error_score="raise")
    expected = []
    for train, test in GroupKFold(3).split(Z, groups=groups):
        scaling = StandardScaler().fit(Z[train]) if WEIGHTED_PIPELINES else FunctionTransformer().fit(Z[train])
        own = LinearProbe(0.01).fit(
            scaling.transform(Z[train]), y[train], **{name: values[train] for name, values in params.items()}
        )
        expected.append(own.score(scaling.transform(Z[test]), y[test], sample_weight=weight[test]))
    np.testing.assert_allclose(found, expected)
    direct = LinearProbe(search.best_params_["C"]).fit(Z, y, **params)
    np.testing.assert_array_equal(search.predict_proba(Z), direct.predict_proba(Z))


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_label_or_group_is_told_with_its_record(missing):
    Z, signal = labelled(40)
    y = signal.argmax(axis=1).astype(object)
    y[[3, 8]] = missing
    with pytest.raises(ValueError, match="y: the label of record 3 and 1 others is missing"):
        LinearProbe().fit(Z, y)
    table = (signal > 0).astype(object)
    table[4, 1] = missing
    with pytest.raises(ValueError, match="y: the label of record 4 is missing"):
        LinearProbe().fit(Z, table)
    with pytest.raises(ValueError, match="groups: the group of record 3 and 1 others is missing"):
        LinearProbe().fit(Z, signal > 0, groups=y)
    fitted = LinearProbe(0.1).fit(Z, signal.argmax(axis=1))
    with pytest.raises(ValueError, match="y: the label of record 3 and 1 others is missing"):
        fitted.score(Z, y)


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
