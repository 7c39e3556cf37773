"""Scores of labels against counts by hand, fast replicates against slow ones, and intervals over patients."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from beatssl_sklearn.evaluation.scores import best_thresholds, bootstrap_interval, macro_auroc, macro_f1


def won_pairs(y, score):
    """Share of the pairs of a positive and a negative in which the positive has the higher score."""
    positive, negative = score[y], score[~y]
    above, equal = positive[:, None] > negative, positive[:, None] == negative
    return (above.sum() + 0.5 * equal.sum()) / above.size


class TestMacroAUROC:
    def test_it_is_the_share_of_won_pairs(self):
        rng = np.random.default_rng(0)
        y = rng.random((200, 4)) < [0.5, 0.1, 0.3, 0.02]
        score = np.round(rng.normal(size=(200, 4)) + y, 0)
        expected = [won_pairs(y[:, k], score[:, k]) for k in range(4)]
        assert macro_auroc(y, score) == pytest.approx(np.mean(expected), abs=1e-12)
        assert macro_auroc(y[:, 1].astype(int), score[:, 1]) == pytest.approx(expected[1], abs=1e-12)
        assert macro_auroc(y[:, :1], score[:, :1]) == pytest.approx(expected[0], abs=1e-12)

    def test_numbers_of_classes(self):
        rng = np.random.default_rng(1)
        classes, score = rng.integers(3, size=100), rng.normal(size=(100, 3))
        assert macro_auroc(classes, score) == macro_auroc(np.eye(3)[classes], score)

    def test_classes_without_both_values_are_left_out(self):
        y = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1]])
        score = np.array([[0.9, 0.1, 0.2], [0.1, 0.2, 0.3], [0.4, 0.4, 0.5]])
        assert macro_auroc(y, score) == 1.0
        assert np.isnan(macro_auroc(y[:, 1:], score[:, 1:])) and np.isnan(macro_auroc([1], [0.3]))


class TestMacroF1:
    def test_counted_by_hand(self):
        y = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]])
        score = np.array([[0.9, 0.1, 0.9], [0.4, 0.3, 0.1], [0.6, 0.2, 0.1], [0.1, 0.4, 0.1]])
        # One of 2 found and one wrong; none found at all; the class without a positive does not count.
        assert macro_f1(y, score, [0.5, 0.5, 0.5]) == pytest.approx((2 * 1 / (2 + 2) + 0) / 2)
        # A score at the threshold is positive.
        assert macro_f1(y[:, 0], score[:, 0], [0.4]) == pytest.approx(2 * 2 / (2 + 3))
        assert macro_f1([1, 1], [0.2, 0.3], [0.1]) == 1.0

    def test_numbers_of_classes(self):
        score = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]])
        assert macro_f1([0, 1, 1], score, [0.5] * 3) == pytest.approx((2 / 3 + 2 / 3) / 2)

    def test_no_positive_at_all(self):
        assert np.isnan(macro_f1([0, 0], [0.1, 0.9], [0.5]))


class TestBootstrap:
    def test_fast_replicates_are_the_slow_ones(self):
        rng = np.random.default_rng(1)
        y = rng.random((120, 3)) < [0.5, 0.2, 0.03]
        score = np.round(rng.normal(size=(120, 3)) + y, 1)
        patient = rng.integers(40, size=120)
        fast = bootstrap_interval("macro_auroc", y, score, patient, n_bootstrap=150, seed=3)

        def slow(target, s):
            both = target.any(0) & ~target.all(0)
            return roc_auc_score(target[:, both], s[:, both], average="macro")

        for function in (slow, macro_auroc):
            found = bootstrap_interval(function, y, score, patient, n_bootstrap=150, seed=3)
            np.testing.assert_allclose(found, fast, atol=1e-12)
        assert fast[0] < macro_auroc(y, score) < fast[1]
        assert fast != bootstrap_interval("macro_auroc", y, score, patient, n_bootstrap=150, seed=4)

    def test_replicates_without_the_statistic_are_left_out(self):
        y = np.array([1] + [0] * 5)
        low, high = bootstrap_interval("macro_auroc", y, np.arange(6.0), n_bootstrap=200)
        assert low == high == 0.0
        assert np.isnan(bootstrap_interval("macro_auroc", [0, 0], [0.1, 0.2], n_bootstrap=20)).all()

    def test_patients_are_drawn_and_not_records(self):
        rng = np.random.default_rng(2)
        y = rng.random(60) < 0.5
        score = rng.normal(size=60) + y
        once = bootstrap_interval("macro_auroc", y, score)
        tripled = [np.repeat(a, 3) for a in (y, score, np.arange(60))]
        np.testing.assert_allclose(bootstrap_interval("macro_auroc", *tripled), once, atol=1e-12)
        records = bootstrap_interval("macro_auroc", *tripled[:2])
        assert records[1] - records[0] < 0.75 * (once[1] - once[0])

    def test_interval_of_the_mean_of_several_models(self):
        rng = np.random.default_rng(3)
        y = rng.random((150, 2)) < 0.4
        scores = [rng.normal(size=(150, 2)) + y for _ in range(5)]
        one = bootstrap_interval("macro_auroc", y, scores[0])
        assert bootstrap_interval("macro_auroc", y, [scores[0]] * 3) == pytest.approx(one)
        low, high = bootstrap_interval("macro_auroc", y, scores)
        assert low < np.mean([macro_auroc(y, s) for s in scores]) < high
        assert high - low < one[1] - one[0]

    def test_level(self):
        rng = np.random.default_rng(5)
        y = rng.random(80) < 0.5
        score = rng.normal(size=80) + y
        narrow, wide = (bootstrap_interval("macro_auroc", y, score, level=level) for level in (0.5, 0.99))
        assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_a_weight_counts_rows():
    rng = np.random.default_rng(7)
    y = rng.random((60, 3)) < 0.4
    score = np.round(rng.normal(size=(60, 3)) + y, 1)
    weight = rng.integers(0, 4, 60)
    repeated = np.repeat(y, weight, axis=0), np.repeat(score, weight, axis=0)
    assert macro_auroc(y, score, sample_weight=weight) == pytest.approx(macro_auroc(*repeated), abs=1e-12)
    assert macro_auroc(y, score, sample_weight=weight) != pytest.approx(macro_auroc(y, score), abs=1e-3)
    f1 = [
        [f1_score(y[:, k], score[:, k] >= t, sample_weight=weight) for t in np.unique(score[:, k])] for k in range(3)
    ]
    found = best_thresholds(y, score, sample_weight=weight)
    at_found = [f1_score(y[:, k], score[:, k] >= t, sample_weight=weight) for k, t in enumerate(found)]
    np.testing.assert_allclose(at_found, [max(own) for own in f1])
    # A class that only rows of weight 0 have is no class.
    only = np.array([[1, 0], [0, 1], [0, 1], [1, 1]])
    assert np.isnan(macro_auroc(only, rng.normal(size=(4, 2)), sample_weight=[0, 1, 1, 0]))


@pytest.mark.parametrize("missing", [None, np.nan])
def test_a_missing_label_is_told_with_its_record(missing):
    y = np.array([0, 1, missing, missing], dtype=object)
    calls = [macro_auroc, best_thresholds, lambda y, s: macro_f1(y, s, [0.5])]
    calls.append(lambda y, s: bootstrap_interval("macro_auroc", y, s))
    for call in calls:
        with pytest.raises(ValueError, match="y: the label of record 2 and 1 others is missing"):
            call(y, [0.1, 0.2, 0.3, 0.4])
    with pytest.raises(ValueError, match="groups: the group of record 2 and 1 others is missing"):
        bootstrap_interval("macro_auroc", [0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], y)


def test_an_interval_of_few_draws_is_no_interval():
    """A statistic that nearly every draw of patients leaves undefined."""

    def rare(y, score):
        return float(score[0]) if y[:2].sum() == 2 else float("nan")

    y = np.r_[1, np.zeros(9, int)]
    assert np.isnan(bootstrap_interval(rare, y, np.arange(10.0), n_bootstrap=200)).all()


def test_thresholds_maximise_f1():
    rng = np.random.default_rng(4)
    y = rng.random((80, 3)) < [0.5, 0.1, 0.0]
    score = np.round(rng.normal(size=(80, 3)) + y, 1)
    threshold = best_thresholds(y, score)
    for k in range(2):
        best = max(f1_score(y[:, k], score[:, k] >= t) for t in np.unique(score[:, k]))
        assert f1_score(y[:, k], score[:, k] >= threshold[k]) == pytest.approx(best)
    assert threshold[2] == np.inf


def test_a_threshold_lies_between_two_neighbours_of_a_float():
    low = 0.5
    high = np.nextafter(low, 1)
    assert best_thresholds([0, 1], [low, high]).tolist() == [high]
    assert best_thresholds([0, 1], [0.2, 0.6]).tolist() == pytest.approx([0.4])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: macro_auroc([0, 1], [0.1, np.nan]), "score must be finite"),
        (lambda: macro_auroc([0, 2], [0.1, 0.2]), "y must hold 0 and 1"),
        (lambda: macro_auroc([0, 3], np.zeros((2, 3))), "y must hold class numbers from 0 to 2"),
        (lambda: macro_auroc([0, 1, 1], [0.1, 0.2]), "one row per record"),
        (lambda: macro_f1(np.zeros((2, 2)), np.zeros((2, 3)), [0.5] * 3), "the same classes"),
        (lambda: bootstrap_interval("macro_auroc", [0, 1], [0.1, 0.2], [1, 2, 3]), "groups must hold one label"),
        (lambda: bootstrap_interval("accuracy", [0, 1], [0.1, 0.2]), "statistic must be"),
        (lambda: bootstrap_interval("macro_auroc", [0, 1], [0.1, 0.2], n_bootstrap=0), "n_bootstrap must be >= 1"),
        (lambda: bootstrap_interval("macro_auroc", [0, 1], [0.1, 0.2], level=1), "level between 0 and 1"),
    ],
)
def test_errors_name_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
