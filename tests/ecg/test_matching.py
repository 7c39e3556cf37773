"""Labels of annotated beats for detected ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.ecg.matching import match_beats, match_labels

FS = 100.0


def test_each_beat_has_the_label_of_its_nearest_partner():
    # 98 and 104 are both near the beat at 100: one to one, the nearest has it.
    found = match_labels([98, 104, 205, 330], [100, 200, 300], ["N", "V", "S"], fs=FS)
    assert found.tolist() == ["N", None, "V", None]
    rng = np.random.default_rng(0)
    annotated, detected = np.sort(rng.choice(5000, 60, False)), np.sort(rng.choice(5000, 70, False))
    of_annotated, of_detected = match_beats(annotated, detected, FS)
    labels = match_labels(detected, annotated, np.arange(60.0), fs=FS)
    np.testing.assert_array_equal(np.flatnonzero(~np.isnan(labels)), np.sort(of_detected))
    np.testing.assert_array_equal(labels[of_detected], of_annotated)


def test_tolerance_is_inclusive_and_in_seconds_or_samples():
    for options in ({"fs": FS, "tolerance": 0.15}, {"fs": 1, "tolerance": 15}):
        found = match_labels([85, 116], [100, 101], ["N", "V"], **options)
        assert found.tolist() == ["N", "V"]
        assert match_labels([84, 117], [100, 101], ["N", "V"], **options).tolist() == [None, None]


def test_what_has_no_partner_is_missing_or_filled():
    peaks, annotated = [100, 300], [100]
    assert match_labels(peaks, annotated, ["N"], fs=FS).dtype == object
    numbers = match_labels(peaks, annotated, [2.0], fs=FS)
    assert numbers.dtype == np.float64 and numbers[0] == 2 and np.isnan(numbers[1])
    # Whole numbers stay whole.
    assert match_labels(peaks, annotated, [2], fs=FS).tolist() == [2, None]
    filled = match_labels(peaks, annotated, np.array(["N"]), fs=FS, fill="other")
    assert filled.tolist() == ["N", "other"] and filled.dtype.kind == "U"
    assert match_labels(peaks, annotated, [2], fs=FS, fill=-1).tolist() == [2, -1]
    mixed = match_labels(peaks, annotated, ["N"], fs=FS, fill=np.nan)
    assert mixed[0] == "N" and np.isnan(mixed[1])
    # Labels that experts left open stay open.
    assert match_labels([1, 200], [1, 200], ["N", None], fs=FS).tolist() == ["N", None]
    assert match_labels([], annotated, ["N"], fs=FS).tolist() == [] == match_labels([], [], [], fs=FS).tolist()


def test_records_are_matched_each_on_its_own():
    rpeaks = [np.array([100, 200]), np.array([], dtype=int), np.array([50])]
    annotated = [[101], [400, 500], [300]]
    labels = [["N"], ["N", "V"], ["V"]]
    found = match_labels(rpeaks, annotated, labels, fs=FS)
    assert found.dtype == object and [own.tolist() for own in found] == [["N", None], [], [None]]
    of_series = match_labels(pd.Series(rpeaks), pd.Series(annotated), pd.Series(labels), fs=FS)
    assert [own.tolist() for own in of_series] == [["N", None], [], [None]]
    # Records of as many beats each are one array.
    equal = match_labels(np.array([[100], [50]]), np.array([[100], [90]]), np.array([["N"], ["V"]]), fs=FS)
    assert [own.tolist() for own in equal] == [["N"], [None]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1], [1, 2], ["N"]), r"annotated holds 2 beats, but labels have the shape \(1,\)"),
        (([[1], [2]], [[1], [2, 3]], [["N"], ["N"]]), "record 1: annotated holds 2 beats"),
        (([[1], [2]], [[1]], [["N"]]), "annotated holds 1 records, rpeaks has 2"),
        (([[1], [2]], [1, 2], ["N", "N"]), "annotated holds one record, the others hold a list"),
        (([[1], [2]], [[1], [np.nan]], [["N"], ["N"]]), "record 1: annotated must be finite, got nan"),
    ],
)
def test_what_does_not_go_together_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        match_labels(*arguments, fs=FS)


@pytest.mark.parametrize(("options", "message"), [({"fs": 0}, "fs"), ({"fs": FS, "tolerance": -1}, "tolerance .* -1")])
def test_parameters_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        match_labels([1], [1], ["N"], **options)
