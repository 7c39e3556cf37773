"""Curves over the number of labels: what they fit, score and keep."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from beatssl_sklearn import BeatSSL, BeatSSLPretrainer, ECGRecord, RhythmEmbedder, make_ecg
from beatssl_sklearn.evaluation import probing
from beatssl_sklearn.evaluation.probing import (
    LinearProbe,
    label_fraction_curve,
    macro_auroc,
)


@pytest.fixture(scope="module")
def ecg():
    return make_ecg(60, rhythm="mixed", fs=100, duration=4, random_state=0)


@pytest.fixture(scope="module")
def pretrainer(ecg):
    settings = {"encoder_params": {"widths": (8, 16, 24), "n_dims": 12}, "device": "cpu"}
    return BeatSSLPretrainer(
        BeatSSL(projection_dim=8), fs=100, max_epochs=1, batch_size=20, random_state=0, **settings
    ).fit(ecg.data)


@pytest.fixture(scope="module")
def table(ecg):
    names = np.unique(ecg.target)[:3]
    return (np.asarray(ecg.target)[:, None] == names).astype(int)


FROZEN = ("frozen", "random_init_frozen")


def test_random_initialisation_is_that_of_an_untrained_fit(ecg, pretrainer):
    untrained = clone(pretrainer).set_params(max_epochs=0, random_state=5).fit(ecg.data[:4])
    random = RhythmEmbedder(pretrainer.encoder_.with_random_weights(5))
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
    with pytest.raises(TypeError, match="pretrainer must"):
        label_fraction_curve(LinearProbe(), ecg.data, table)
    same = {"X_test": ecg.data, "y_test": table, "groups_test": np.arange(60)}
    with pytest.raises(ValueError, match="must not share a group"):
        label_fraction_curve(pretrainer, ecg.data, table, np.arange(60), **same)
    with pytest.raises(ValueError, match="must be given together"):
        label_fraction_curve(pretrainer, ecg.data, table, X_test=ecg.data)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_a_missing_label_or_group_is_told_with_its_record(ecg, pretrainer, missing):
    y = np.where(np.asarray(ecg.target) > 2, "a", "b").astype(object)
    gaps, groups = y.copy(), np.arange(60).astype(object)
    gaps[[4, 9]], groups[7] = missing, missing
    test = {"X_test": ecg.data[:9], "y_test": y[:9], "groups_test": [f"other {i}" for i in range(9)]}
    cases = {
        "y: the label of record 4 and 1 others is missing": ((gaps,), {}),
        "groups: the group of record 7 is missing": ((y, groups), {}),
        "y_test: the label of record 4 is missing": ((y,), test | {"y_test": gaps[:9]}),
        "groups_test: the group of record 7 is missing": ((y,), test | {"groups_test": groups[:9]}),
    }
    for message, (labels, options) in cases.items():
        with pytest.raises(ValueError, match=message):
            label_fraction_curve(pretrainer, ecg.data, *labels, modes=["frozen"], **options)


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
