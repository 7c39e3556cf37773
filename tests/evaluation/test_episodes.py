"""Scores of rhythm episodes: by duration and one by one, gross and per record, and what is not judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from beatssl_sklearn.evaluation import episode_scores

# Two annotated episodes of 200 and 100 samples; predictions of 150 (100 right), 50 (all wrong) and 40 (all right).
TRUE = [(0, 100, "N"), (100, 300, "AFIB"), (300, 500, "N"), (500, 600, "AFIB"), (600, 700, "AFL"), (700, 1000, "N")]
FOUND = [(50, 200, "AFIB"), (400, 450, "AFIB"), (520, 560, "AFIB")]


def test_one_record_by_hand() -> None:
    scores = episode_scores(TRUE, FOUND, fs=10.0, n_times=1000)
    assert (scores.true_s, scores.predicted_s, scores.both_s, scores.judged_s) == (30.0, 24.0, 14.0, 100.0)
    assert scores.duration_sensitivity == pytest.approx(14 / 30) and scores.duration_ppv == pytest.approx(14 / 24)
    assert scores.duration_specificity == pytest.approx(60 / 70)  # 10 s of 70 s without AF are predicted
    assert (scores.n_true, scores.n_found, scores.n_predicted, scores.n_right) == (2, 2, 3, 2)
    assert scores.episode_sensitivity == 1.0 and scores.episode_ppv == pytest.approx(2 / 3)


def test_share_that_must_be_covered() -> None:
    # Half of the first annotated episode is covered and 40 % of the second; of the predictions 2/3, nothing and all.
    scores = [episode_scores(TRUE, FOUND, fs=10.0, n_times=1000, min_overlap=share) for share in (0.5, 0.51, 0.7)]
    assert [s.n_found for s in scores] == [1, 0, 0] and [s.n_right for s in scores] == [2, 2, 1]
    assert scores[0].episode_sensitivity == 0.5 and scores[2].duration_ppv == pytest.approx(14 / 24)


def test_one_prediction_over_two_episodes_finds_both() -> None:
    scores = episode_scores(TRUE, [(0, 1000, "AFIB")], fs=1.0, n_times=1000)
    assert (scores.n_found, scores.n_predicted, scores.n_right) == (2, 1, 1)
    assert scores.duration_sensitivity == 1.0 and scores.duration_ppv == 0.3 and scores.duration_specificity == 0.0


def test_ignored_rhythms_are_not_judged() -> None:
    # One prediction lies in the flutter wholly, one with 80 of its 120 samples.
    found = [(580, 620, "AFIB"), (640, 690, "AFIB"), (690, 720, "N")]
    counted = episode_scores(TRUE, found, fs=1.0, n_times=1000)
    assert (counted.predicted_s, counted.both_s, counted.n_predicted, counted.n_right) == (90, 20, 2, 1)
    ignored = episode_scores(TRUE, found, fs=1.0, n_times=1000, ignore="AFL", min_overlap=0.0)
    assert (ignored.predicted_s, ignored.both_s, ignored.judged_s) == (20, 20, 900)
    assert (ignored.n_predicted, ignored.n_right) == (1, 1) and ignored.duration_ppv == 1.0
    # What is left of the first prediction is right in full.
    assert episode_scores(TRUE, found, fs=1.0, n_times=1000, ignore=["AFL"], min_overlap=0.9).n_right == 1


def test_records_are_pooled_and_listed() -> None:
    true = [TRUE, [(0, 500, "N")], []]
    scores = episode_scores(true, [FOUND, [(0, 60, "AFIB")], []], fs=10.0, n_times=[1000, 500, 200])
    assert scores.true_s == 30.0 and scores.predicted_s == 30.0 and scores.judged_s == 170.0
    assert scores.duration_ppv == pytest.approx(14 / 30) and scores.episode_ppv == 0.5
    assert list(scores.records.columns) == list(scores._fields[:-1]) and len(scores.records) == 3
    np.testing.assert_allclose(scores.records["duration_ppv"], [14 / 24, 0.0, np.nan])
    np.testing.assert_allclose(scores.records["episode_sensitivity"], [1.0, np.nan, np.nan])
    np.testing.assert_allclose(scores.records["duration_specificity"], [60 / 70, 44 / 50, 1.0])


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"true": [[]]}, ValueError, "true has 1 records, predicted has 2 and n_times has 2"),
        ({"n_times": [900, 0]}, ValueError, "record 1: n_times must be a positive"),
        ({"predicted": [[], [(0, 901, "N")]]}, ValueError, "record 1: predicted reaches to sample 901"),
        ({"predicted": [[(0, 2, "N"), (1, 3, "N")], []]}, ValueError, "record 0: predicted overlap"),
        ({"true": [[(0, 1)], []]}, TypeError, r"record 0: true\[0\] must be"),
        ({"ignore": "AFIB"}, ValueError, "ignore has 'AFIB'"),
        ({"min_overlap": 1.5}, ValueError, "min_overlap must be a number from 0 to 1"),
        ({"fs": 0.0}, ValueError, "fs"),
    ],
)
def test_refusals(parameters: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Any] = {"true": [[], []], "predicted": [[], []], "fs": 1.0, "n_times": [900, 900]} | parameters
    with pytest.raises(error, match=message):
        episode_scores(given.pop("true"), given.pop("predicted"), **given)
