"""Beat detection scores against counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.evaluation import delineation, metrics, segmentation
from beatssl_sklearn.evaluation.metrics import beat_detection_scores, match_beats

FS = 100.0


def test_hand_counted_case():
    # 1000 is missed, 450 is extra, 205 and 690 are 50 ms late and 100 ms early.
    s = beat_detection_scores([100, 200, 300, 700, 1000], [100, 205, 300, 450, 690], FS)
    assert (s.n_true, s.n_predicted, s.n_matched) == (5, 5, 4)
    assert s.sensitivity == s.ppv == s.f1 == pytest.approx(0.8)
    assert s.mean_error_ms == pytest.approx((0 + 50 + 0 - 100) / 4)
    assert s.sd_error_ms == pytest.approx(np.std([0, 50, 0, -100]))


def test_rates_differ_where_the_counts_do():
    s = beat_detection_scores([100, 200, 300, 400], [100, 200, 650], FS)
    assert (s.sensitivity, s.ppv) == (pytest.approx(2 / 4), pytest.approx(2 / 3))
    assert s.f1 == pytest.approx(4 / 7)


def test_each_beat_matches_once_and_the_nearest_wins():
    i, j = match_beats([100], [95, 99, 108], FS)
    assert i.tolist() == [0] and j.tolist() == [1]
    i, j = match_beats([95, 99, 108], [100], FS)
    assert i.tolist() == [1] and j.tolist() == [0]
    i, j = match_beats([100, 112], [106, 111], FS)
    assert list(zip(i, j, strict=True)) == [(0, 0), (1, 1)]


def test_tolerance_is_inclusive():
    assert beat_detection_scores([100], [115], FS).n_matched == 1
    assert beat_detection_scores([100], [116], FS).n_matched == 0
    assert beat_detection_scores([100], [116], FS, tolerance=0.16).n_matched == 1
    # .150 s at 360 Hz is 54 samples.
    assert beat_detection_scores([1000], [1054], 360).n_matched == 1
    assert beat_detection_scores([1000], [1055], 360).n_matched == 0


def test_order_does_not_matter():
    i, j = match_beats([300, 100, 200], [201, 302, 99], FS)
    assert sorted(zip(i.tolist(), j.tolist(), strict=True)) == [(0, 1), (1, 2), (2, 0)]


def test_records_are_pooled_and_never_mixed():
    true = [np.array([100, 200]), np.array([500]), np.array([], dtype=int)]
    predicted = [np.array([100]), np.array([100, 500]), np.array([40])]
    s = beat_detection_scores(true, predicted, FS)
    assert (s.n_true, s.n_predicted, s.n_matched) == (3, 4, 2)


def test_plain_lists_are_one_record_and_nested_lists_are_many():
    assert beat_detection_scores([100, 200], [100, 200], FS).n_matched == 2
    assert beat_detection_scores([[100], [200]], [[100], []], FS).n_matched == 1


@pytest.mark.parametrize(
    ("true", "predicted", "expected"),
    [([], [], (np.nan, np.nan, np.nan)), ([5], [], (0.0, np.nan, 0.0)), ([], [5], (np.nan, 0.0, 0.0))],
)
def test_rates_without_a_denominator_are_nan(true, predicted, expected):
    s = beat_detection_scores(true, predicted, FS)
    np.testing.assert_array_equal((s.sensitivity, s.ppv, s.f1), expected)
    assert np.isnan(s.mean_error_ms) and np.isnan(s.sd_error_ms)


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="2 records but predicted has 1"):
        beat_detection_scores([[1], [2]], [[1]], FS)
    with pytest.raises(ValueError, match="fs must be a positive"):
        match_beats([1], [1], 0)
    with pytest.raises(ValueError, match="tolerance must be"):
        match_beats([1], [1], FS, tolerance=-0.1)
    with pytest.raises(ValueError, match="true must be finite"):
        match_beats([np.nan], [1], FS)
    with pytest.raises(ValueError, match="predicted must be one-dimensional"):
        match_beats([1], [[1, 2]], FS)


def test_the_scores_of_waves_and_labels_are_here_too():
    assert metrics.delineation_scores is delineation.delineation_scores
    assert metrics.segmentation_scores is segmentation.segmentation_scores
