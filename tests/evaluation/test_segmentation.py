"""Scores of labels per sample against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.evaluation.segmentation import confusion, segmentation_scores


def test_labels_counted_by_hand():
    true = [np.array([[0, 0, 1, 1, 2, 2, 3, 3, -1, -1], [0, 0, 0, 0, 2, 2, 0, 0, 0, -1]])]
    predicted = [np.array([[0, 1, 1, 1, 2, 2, 3, 0, 3, -1], [0, 0, 0, 0, 2, 0, 3, 0, 0, 2]])]
    scores = segmentation_scores(true, predicted).set_index("label")
    assert scores.index.tolist() == ["background", "P", "QRS", "T"]
    assert scores.n_true.tolist() == [2 + 7, 2, 4, 2] and scores.n_strips.tolist() == [2, 1, 2, 2]
    # both / either, samples of the two leads pooled
    np.testing.assert_allclose(scores.iou, [(1 + 6) / (3 + 8), 2 / 3, 3 / 4, 1 / 3])
    np.testing.assert_allclose(scores.f1, [14 / (9 + 9), 4 / 5, 6 / 7, 2 / 4])
    # lead by lead: the T that is only predicted in the second lead is a strip of Dice 0; P is in one lead only
    np.testing.assert_allclose(scores.dice, [(2 / 4 + 12 / 14) / 2, 4 / 5, (1 + 2 / 3) / 2, (2 / 3 + 0) / 2])
    assert confusion(true, predicted).tolist() == [[[7, 1, 0, 1], [0, 2, 0, 0], [1, 0, 3, 0], [1, 0, 0, 1]]]


def test_f1_is_dice_and_iou_follows_from_it():
    rng = np.random.default_rng(0)
    true = rng.integers(-1, 4, (5, 3, 200), dtype=np.int8)
    predicted = np.where(rng.random(true.shape) < 0.7, np.maximum(true, 0), rng.integers(0, 4, true.shape))
    scores, counted = segmentation_scores(true, predicted), true >= 0
    for k, row in enumerate(scores.itertuples()):
        t, p = true[counted] == k, predicted[counted] == k
        assert row.f1 == pytest.approx(2 * (t & p).sum() / (t.sum() + p.sum()))
        assert row.iou == pytest.approx((t & p).sum() / (t | p).sum()) == pytest.approx(row.f1 / (2 - row.f1))
        assert row.n_true == t.sum()
        strips = [
            2 * (a & b & c).sum() / ((a & c).sum() + (b & c).sum())
            for a, b, c in zip(
                (true == k).reshape(15, -1), (predicted == k).reshape(15, -1), counted.reshape(15, -1), strict=True
            )
        ]
        assert row.dice == pytest.approx(np.mean(strips))
    matrices = confusion(true, predicted)
    assert matrices.shape == (5, 4, 4) and matrices.dtype == np.int64 and matrices.sum() == counted.sum()
    assert matrices[3, 1, 2] == ((true[3] == 1) & (predicted[3] == 2)).sum()


def test_records_of_unequal_length_and_any_integers():
    true = [np.array([[0, 1, 2]]), np.array([[3], [1]])]
    scores = segmentation_scores([t.astype(np.int8) for t in true], [t.astype(np.uint64) for t in true])
    assert scores[["dice", "iou", "f1"]].eq(1).all(axis=None)
    assert scores.n_true.tolist() == [1, 2, 1, 1] and scores.n_strips.tolist() == [1, 2, 1, 1]
    assert segmentation_scores([[[0, 1, 1]]], [[[0, 0, 1]]], n_classes=2).label.tolist() == ["0", "1"]
    assert segmentation_scores([[[9, 1, 1]]], [[[9, 1, 1]]], ignore=9).n_true.tolist() == [0, 2, 0, 0]


def test_classes_that_never_occur_are_nan():
    scores = segmentation_scores([np.zeros((2, 5), int)], [np.zeros((2, 5), int)])
    assert scores[["dice", "iou", "f1"]].iloc[0].tolist() == [1, 1, 1]
    assert scores[["dice", "iou", "f1"]].iloc[1:].isna().all(axis=None)
    nothing = segmentation_scores([], [])
    assert nothing[["dice", "iou", "f1"]].isna().all(axis=None) and confusion([], []).shape == (0, 4, 4)
    ignored = segmentation_scores([np.full((1, 3), -1)], [np.zeros((1, 3), int)])
    assert ignored.n_strips.eq(0).all()


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ([[[0, 1]]], [[[0, 1, 1]]], r"record 0: true has the shape \(1, 2\) but predicted has \(1, 3\)"),
        ([[[0, 1]]], [], r"true has 1 records but predicted has 0"),
        ([[[0]], [[0], [0]]], [[[0]], [[0], [4]]], r"predicted, record 1, lead 1: unknown label 4, expected 0 to 3"),
        ([[[0]], [[-2]]], [[[0]], [[0]]], r"true, record 1, lead 0: unknown label -2"),
        ([[[0, 1]]], [[[0, -1]]], r"predicted, record 0, lead 0: unknown label -1"),
        ([[[-1, 1]]], [[[7, 1]]], r"predicted, record 0, lead 0: unknown label 7"),
        ([[0, 1]], [[0, 1]], r"true, record 0, must have the shape \(n_leads, n_times\), got \(2,\)"),
        ([[[0.0, 1.0]]], [[[0, 1]]], r"true, record 0, must hold integers, got float64"),
    ],
)
@pytest.mark.parametrize("function", [segmentation_scores, confusion])
def test_wrong_labels_are_named(function, true, predicted, message):
    with pytest.raises(ValueError, match=message):
        function(true, predicted)


def test_n_classes_is_checked():
    with pytest.raises(ValueError, match="n_classes must be at least 1, got 0"):
        segmentation_scores([[[0]]], [[[0]]], n_classes=0)
