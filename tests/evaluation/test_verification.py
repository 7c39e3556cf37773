"""Verification: rates of pairs, against values made by hand."""

import numpy as np
import pytest

from beatssl_sklearn import PatientIdentifier
from beatssl_sklearn.evaluation import equal_error_rate, metrics, true_accepts_at

# Thresholds from .9 down: true accepts 1/4, 2/4, 2/4, 3/4, 3/4, 4/4, 4/4, 4/4; false accepts 0, 0, 1/4, 1/4, 2/4 ...
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
SAME = np.array([1, 1, 0, 1, 0, 1, 0, 0], dtype=bool)


def test_errors_cross_at_a_threshold():
    assert equal_error_rate(SCORES, SAME) == pytest.approx(0.25)


def test_errors_cross_between_thresholds():
    # One false pair scores above both true ones: rates go from (0, 0) to (1/2, 0), and cross half-way to (1/2, 1).
    assert equal_error_rate([0.9, 0.5, 0.5, 0.1], [0, 1, 1, 0]) == pytest.approx(0.5)
    # Rates go from (0, 0) to (1/3, 1) in one step of tied scores: they cross at x = 1 - 3 x.
    assert equal_error_rate([0.9, 0.9, 0.1, 0.1], [1, 0, 0, 0]) == pytest.approx(0.25)


def test_pairs_that_are_told_apart_and_pairs_in_the_wrong_order():
    assert equal_error_rate([3.0, 2.0, 1.0], [1, 1, 0]) == 0
    assert equal_error_rate([1.0, 2.0, 3.0], [1, 1, 0]) == 1
    assert equal_error_rate([1.0, 1.0, 1.0, 1.0], [1, 0, 1, 0]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("false_accepts", "expected"), [(0.0, 0.5), (1e-3, 0.5), (0.249, 0.5), (0.25, 0.75), (0.5, 1), (1, 1)]
)
def test_true_accepts(false_accepts, expected):
    assert true_accepts_at(SCORES, SAME, false_accepts) == expected


def test_a_threshold_on_a_straight_line_counts():
    scores, same = [3, 3, 2, 2, 1, 1], [1, 0, 1, 0, 1, 0]
    assert true_accepts_at(scores, same, 0.4) == pytest.approx(1 / 3)
    assert true_accepts_at(scores, same, 0.7) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("scores", "same", "message"),
    [
        ([1.0, 2.0], [1], "one length, got 2 and 1"),
        ([1.0, np.nan], [1, 0], "number 1 is nan"),
        ([1.0, 2.0], [1, 1], "2 of 2 are of one"),
        ([1.0, 2.0, 3.0], [0, 1, np.nan], "same must hold True and False, or 1 and 0; number 2 is nan"),
        ([1.0, 2.0, 3.0], [0, 1, 7], "number 2 is 7"),
        ([1.0, 2.0, 3.0], ["0", "", "x"], "number 0 is '0'"),
        ([1.0, 2.0, 3.0], [False, True, None], "number 2 is None"),
        ([], [], "0 of 0 are of one"),
    ],
)
def test_what_cannot_be_scored(scores, same, message):
    for metric in (metrics.equal_error_rate, metrics.true_accepts_at):
        with pytest.raises(ValueError, match=message):
            metric(scores, same)


def test_a_share_of_false_accepts_lies_between_0_and_1():
    with pytest.raises(ValueError, match=r"false_accepts must be a share from 0 to 1, got 1.5"):
        true_accepts_at(SCORES, SAME, 1.5)


# In the order of the columns, the patients have the ranks 1, 2 and 3: of equal scores, the first column comes first.
RANKED = [[0.9, 0.1, 0.2], [0.3, 0.2, 0.1], [0.5, 0.7, 0.5]]


@pytest.mark.parametrize(("k", "expected"), [(1, 1 / 3), (2, 2 / 3), (3, 1), (99, 1)])
def test_patients_among_the_best(k, expected):
    assert metrics.identification_accuracy(RANKED, [7, 3, 5], [7, 3, 5], k) == pytest.approx(expected)


def test_patients_among_the_best_are_those_that_are_ranked():
    rng = np.random.default_rng(0)
    Z, patients = rng.normal(size=(40, 3)), rng.permutation(20).repeat(2)
    found = PatientIdentifier("cosine").fit(Z[::2], patients[::2])
    for k in (1, 5):
        expected = np.mean((found.rank(Z[1::2], k) == patients[1::2, None]).any(axis=1))
        assert metrics.identification_accuracy(found.decision_function(Z[1::2]), patients[1::2], found.classes_, k) == (
            pytest.approx(expected)
        )


@pytest.mark.parametrize(
    ("score", "truth", "classes", "k", "message"),
    [
        (RANKED, [7, 3, 5], [7, 3, 5], 0, "k must be a positive integer, got 0"),
        (RANKED, [7, 3], [7, 3, 5], 1, r"shapes \(3, 3\) for truth \(2,\)"),
        (RANKED, [7, 3, 5], [7, 3, 7], 1, "classes must be different"),
        (RANKED, [7, 3, "5"], [7, 3, 5], 1, "patient '7' of record 0 is not among the classes"),
        ([[1.0, 0.0], [np.nan, 0.0]], [7, 3], [7, 3], 1, "that of record 1 is not"),
    ],
)
def test_what_cannot_be_ranked(score, truth, classes, k, message):
    with pytest.raises(ValueError, match=message):
        metrics.identification_accuracy(score, truth, classes, k)
