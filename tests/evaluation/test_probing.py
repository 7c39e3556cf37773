"""Probes against scikit-learn's, fast scores against slow ones, and curves over the number of labels."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from beatssl_sklearn import BeatSSLPretrainer, ECGRecord, RhythmEmbedder, make_ecg
from beatssl_sklearn.evaluation import probing
from beatssl_sklearn.evaluation.probing import (
    LinearProbe,
    best_thresholds,
    bootstrap_interval,
    label_fraction_curve,
    linear_probe,
    macro_auroc,
    macro_f1,
    nested_subsets,
)
from beatssl_sklearn.inputs.groups import held_out_folds


def labelled(n=400, d=20, k=3, seed=0):
    """Correlated columns on unlike scales, and labels that depend on them."""
    rng = np.random.default_rng(seed)
    Z = (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) * np.logspace(-2, 2, d) + 5).astype(np.float32)
    signal = (Z - Z.mean(0)) / Z.std(0) @ rng.normal(size=(d, k))
    return Z, signal + rng.normal(size=(n, k)) * 2


# Scores


def test_auroc_is_scikit_learns_also_with_ties():
    rng = np.random.default_rng(0)
    y = rng.random((200, 4)) < [0.5, 0.1, 0.3, 0.02]
    score = np.round(rng.normal(size=(200, 4)) + y, 0)
    assert macro_auroc(y, score) == pytest.approx(roc_auc_score(y, score, average="macro"), abs=1e-12)
    assert macro_auroc(y[:, 0], score[:, 0]) == pytest.approx(roc_auc_score(y[:, 0], score[:, 0]), abs=1e-12)
    classes = rng.integers(3, size=200)
    one_vs_rest = roc_auc_score(np.eye(3)[classes], score[:, :3], average="macro")
    assert macro_auroc(classes, score[:, :3]) == pytest.approx(one_vs_rest, abs=1e-12)


def test_auroc_leaves_out_classes_without_both_values():
    y, score = (
        np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1]]),
        np.array([[0.9, 0.1, 0.2], [0.1, 0.2, 0.3], [0.4, 0.4, 0.5]]),
    )
    assert macro_auroc(y, score) == 1.0
    assert np.isnan(macro_auroc(y[:, 1:], score[:, 1:]))


def test_fast_replicates_are_the_slow_ones():
    rng = np.random.default_rng(1)
    y = rng.random((120, 3)) < [0.5, 0.2, 0.03]
    score = np.round(rng.normal(size=(120, 3)) + y, 1)
    patient = rng.integers(40, size=120)
    fast = bootstrap_interval("macro_auroc", y, score, patient, n_bootstrap=150, seed=3)

    def slow(target, s):
        both = target.any(0) & ~target.all(0)
        return roc_auc_score(target[:, both], s[:, both], average="macro")

    np.testing.assert_allclose(bootstrap_interval(slow, y, score, patient, n_bootstrap=150, seed=3), fast, atol=1e-12)
    assert fast[0] < macro_auroc(y, score) < fast[1]
    assert fast != bootstrap_interval("macro_auroc", y, score, patient, n_bootstrap=150, seed=4)


def test_patients_are_drawn_and_not_records():
    rng = np.random.default_rng(2)
    y = rng.random(60) < 0.5
    score = rng.normal(size=60) + y
    once = bootstrap_interval("macro_auroc", y, score)
    tripled = [np.repeat(a, 3) for a in (y, score, np.arange(60))]
    np.testing.assert_allclose(bootstrap_interval("macro_auroc", *tripled), once, atol=1e-12)
    records = bootstrap_interval("macro_auroc", *tripled[:2])
    assert records[1] - records[0] < 0.75 * (once[1] - once[0])


def test_interval_of_the_mean_of_several_models():
    rng = np.random.default_rng(3)
    y = rng.random((150, 2)) < 0.4
    scores = [rng.normal(size=(150, 2)) + y for _ in range(5)]
    one = bootstrap_interval("macro_auroc", y, scores[0])
    assert bootstrap_interval("macro_auroc", y, [scores[0]] * 3) == pytest.approx(one)
    low, high = bootstrap_interval("macro_auroc", y, scores)
    assert low < np.mean([macro_auroc(y, s) for s in scores]) < high
    assert high - low < one[1] - one[0]


def test_thresholds_maximise_f1():
    rng = np.random.default_rng(4)
    y = rng.random((80, 3)) < [0.5, 0.1, 0.0]
    score = np.round(rng.normal(size=(80, 3)) + y, 1)
    threshold = best_thresholds(y, score)
    for k in range(2):
        best = max(f1_score(y[:, k], score[:, k] >= t) for t in np.unique(score[:, k]))
        assert f1_score(y[:, k], score[:, k] >= threshold[k]) == pytest.approx(best)
    assert threshold[2] == np.inf
    expected = np.mean([f1_score(y[:, k], score[:, k] >= threshold[k]) for k in range(2)])
    assert macro_f1(y, score, threshold) == pytest.approx(expected)


def test_scores_refuse_what_they_cannot_use():
    with pytest.raises(ValueError, match="score must be finite"):
        macro_auroc([0, 1], [0.1, np.nan])
    with pytest.raises(ValueError, match="y must hold 0 and 1"):
        macro_auroc([0, 2], [0.1, 0.2])
    with pytest.raises(ValueError, match="one row per record"):
        macro_auroc([0, 1, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match="groups must hold one label per row"):
        bootstrap_interval("macro_auroc", [0, 1], [0.1, 0.2], [1, 2, 3])
    with pytest.raises(ValueError, match="statistic must be"):
        bootstrap_interval("accuracy", [0, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match="fractions must hold"):
        nested_subsets([0, 1], None, [0.0])


# Subsets and folds


def patients_and_labels(seed=0):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(1500), rng.integers(1, 4, size=1500))
    return rng.random((len(groups), 4)) < [0.5, 0.25, 0.1, 0.004], groups


def test_subsets_are_nested_and_keep_patients_together():
    y, groups = patients_and_labels()
    masks = nested_subsets(y, groups, [0.1, 0.01, 1.0, 0.3], seed=1)
    order = masks[[1, 0, 3, 2]]
    for small, large in zip(order, order[1:], strict=False):
        assert not (small & ~large).any()
    assert order[-1].all()
    for mask in masks:
        assert not np.isin(groups[mask], groups[~mask]).any()
    np.testing.assert_array_equal(nested_subsets(y, groups, [0.1], seed=1)[0], masks[0])
    assert (nested_subsets(y, groups, [0.1], seed=2)[0] != masks[0]).any()


def test_subsets_hold_each_labels_share():
    y, groups = patients_and_labels()
    small, tenth = nested_subsets(y, groups, [0.01, 0.1])
    assert abs(tenth.mean() - 0.1) < 0.005
    np.testing.assert_allclose(y[tenth].mean(0)[:3], y.mean(0)[:3], atol=0.05)
    assert min(len(np.unique(groups[small & y[:, k]])) for k in range(4)) >= 3
    assert 0.01 <= small.mean() < 0.02
    classes = y.argmax(axis=1)
    counts = [np.bincount(classes[nested_subsets(classes, None, [0.2], s, min_positives=0)[0]]) for s in range(3)]
    np.testing.assert_allclose(counts, np.tile(0.2 * np.bincount(classes), (3, 1)), atol=1.01)


def test_folds_tile_the_records_and_balance_rare_labels():
    y, groups = patients_and_labels()
    folds = held_out_folds(y, groups, 5)
    assert (folds.sum(axis=0) == 1).all()
    for fold in folds:
        assert not np.isin(groups[fold], groups[~fold]).any()
    positive = np.array([y[fold].sum(axis=0) for fold in folds])
    assert positive[:, 3].min() >= 1 and np.ptp(positive[:, 2]) < 0.35 * positive[:, 2].mean()


# The probe


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
    """Where only a patient's own records tell, records of one patient on both sides of a split would look good."""
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
    assert chosen > 0.003 and chosen in probing.LinearProbe().C_grid
    assert noise < chosen
    assert LinearProbe(C_grid=(0.5, 0.01)).fit(Z, signal > 0).C_ in (0.01, 0.5)


def test_prediction_uses_thresholds_of_held_out_records():
    Z, signal = labelled(900)
    y = signal > np.quantile(signal, [0.6, 0.9, 0.95], axis=0).diagonal()
    probe = linear_probe().fit(Z[:600], y[:600])
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
    with pytest.raises(ValueError, match="groups must hold one label per row"):
        LinearProbe().fit(Z, signal > 0, groups=np.zeros(39))
    with pytest.raises(NotFittedError):
        LinearProbe().predict(Z)


# Curves over the number of labels


@pytest.fixture(scope="module")
def ecg():
    return make_ecg(60, rhythm="mixed", fs=100, duration=4, random_state=0)


@pytest.fixture(scope="module")
def pretrainer(ecg):
    settings = {"encoder_params": {"widths": (8, 16, 24), "n_dims": 12}, "projection_dim": 8, "device": "cpu"}
    return BeatSSLPretrainer(fs=100, max_epochs=1, batch_size=20, random_state=0, **settings).fit(ecg.data)


@pytest.fixture(scope="module")
def table(ecg):
    names = np.unique(ecg.target)[:3]
    return (np.asarray(ecg.target)[:, None] == names).astype(int)


FROZEN = ("frozen", "random_init_frozen")


def test_random_initialisation_is_that_of_an_untrained_fit(ecg, pretrainer):
    untrained = clone(pretrainer).set_params(max_epochs=0, random_state=5).fit(ecg.data[:4])
    random = probing.random_init(pretrainer, 5)
    np.testing.assert_array_equal(random.transform(ecg.data[:6]), untrained.transform(ecg.data[:6]))
    assert np.abs(pretrainer.transform(ecg.data[:6]) - random.transform(ecg.data[:6])).max() > 1e-3


def test_frozen_curve(ecg, pretrainer, table):
    groups = np.arange(60) // 2
    curve = label_fraction_curve(pretrainer, ecg.data, table, groups, (0.3, 1.0), FROZEN, seeds=2, random_state=4)
    cells = [(r["mode"], r["fraction"], r["seed"]) for r in curve.rows]
    assert cells == [(m, f, s) for m in FROZEN for f, seeds in ((0.3, (4, 5)), (1.0, (4,))) for s in seeds]
    assert curve.rows[0]["n_records"] < curve.rows[2]["n_records"] == 60 - len(curve.y_test)
    assert all(s.shape == curve.y_test.shape == (len(curve.groups_test), 3) for s in curve.scores)
    # The row of all labels, by hand.
    test = np.isin(groups, curve.groups_test)
    Z = RhythmEmbedder(pretrainer).transform(ecg.data)
    p = LinearProbe().fit(Z[~test], table[~test], groups=groups[~test]).predict_proba(Z[test])
    np.testing.assert_allclose(curve.scores[2], p, atol=1e-4)
    assert curve.rows[2]["auroc"] == pytest.approx(macro_auroc(table[test], p), abs=1e-3)
    summary = curve.summary(n_bootstrap=50)
    assert [r["n_seeds"] for r in summary] == [2, 1, 2, 1]
    assert summary[0]["auroc"] == pytest.approx(np.mean([r["auroc"] for r in curve.rows[:2]]))
    assert all(r["auroc_low"] <= r["auroc"] <= r["auroc_high"] for r in summary)


def test_curve_of_classes_with_its_own_test_records(ecg, pretrainer):
    records = [ECGRecord(x, 100.0, tuple(ecg.leads)) for x in ecg.data[40:]]
    y = np.asarray(ecg.target)
    keep = np.isin(y[40:], y[:40])
    records = [r for r, k in zip(records, keep, strict=True) if k]
    given = {"X_test": records, "y_test": y[40:][keep], "seeds": (2, 1)}
    curve = label_fraction_curve(
        RhythmEmbedder(pretrainer), ecg.data[:40], y[:40], None, (0.2, 1.0), ["frozen"], **given
    )
    n_classes = len(np.unique(y[:40]))
    assert [s.shape for s in curve.scores] == [(len(records), n_classes)] * 3
    np.testing.assert_allclose(np.sum(curve.scores, axis=2), 1, atol=1e-5)


def test_fine_tuned_curve(ecg, pretrainer, table):
    pytest.importorskip("beatssl_sklearn.finetuning")
    modes = ("finetune", "random_init_finetune")
    curve = label_fraction_curve(
        pretrainer, ecg.data, table, None, (1.0,), modes, seeds=1, finetune_params={"max_epochs": 1, "batch_size": 20}
    )
    assert [r["mode"] for r in curve.rows] == list(modes)
    assert np.isfinite(curve.scores).all() and np.abs(curve.scores[0] - curve.scores[1]).max() > 1e-4


def test_curve_goes_on_where_it_was_interrupted(ecg, pretrainer, table, tmp_path, monkeypatch):
    done = []
    fit_and_score = probing._Models.fit_and_score

    def counted(self, *cell):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(cell)
        return fit_and_score(self, *cell)

    run = functools.partial(label_fraction_curve, pretrainer, ecg.data, fractions=(0.3,), modes=("frozen",), seeds=3)
    monkeypatch.setattr(probing._Models, "fit_and_score", counted)
    with pytest.raises(KeyboardInterrupt):
        run(table, cache=tmp_path)
    monkeypatch.setattr(probing._Models, "fit_and_score", fit_and_score)
    resumed = run(table, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    np.testing.assert_array_equal(resumed.scores, run(table).scores)
    run(table[:, ::-1], cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 6


def test_curve_errors(ecg, pretrainer, table):
    with pytest.raises(ValueError, match="modes must be among"):
        label_fraction_curve(pretrainer, ecg.data, table, modes=["linear"])
    with pytest.raises(ValueError, match="y has 59 rows"):
        label_fraction_curve(pretrainer, ecg.data, table[:59])
    with pytest.raises(NotFittedError):
        label_fraction_curve(clone(pretrainer), ecg.data, table)
    with pytest.raises(TypeError, match="estimator must be"):
        label_fraction_curve(LinearProbe(), ecg.data, table)
    same = {"X_test": ecg.data, "y_test": table, "groups_test": np.arange(60)}
    with pytest.raises(ValueError, match="must not share a group"):
        label_fraction_curve(pretrainer, ecg.data, table, np.arange(60), **same)
    with pytest.raises(ValueError, match="must be given together"):
        label_fraction_curve(pretrainer, ecg.data, table, X_test=ecg.data)


def test_plot_of_a_curve(ecg, pretrainer, table):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    curve = label_fraction_curve(pretrainer, ecg.data, table, None, (0.3, 1.0), FROZEN, seeds=1)
    (ax,) = curve.plot().axes
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["frozen", "random init frozen"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["30 %", "100 %"]
    drawn = [line.get_ydata().tolist() for line in ax.lines]
    assert drawn == [[curve.rows[i]["auroc"] for i in pair] for pair in ((0, 1), (2, 3))]
    assert curve.plot(ax) is ax.get_figure()
    with pytest.raises(ValueError, match="summary must be"):
        probing.LabelFractionCurve([], [], table, None).plot()
