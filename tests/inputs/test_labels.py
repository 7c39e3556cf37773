"""Missing labels, and weights that cannot be used."""

import warnings

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.inputs.labels import as_labels, check_labels, checked_weights, missing_labels

MISSING = {
    "None": ["a", None, "b"],
    "NaN beside text": ["a", float("nan"), "b"],
    "NaN": [1.0, np.nan, 2.0],
    "NaN among objects": np.array([1, np.nan, 2], dtype=object),
    "NA": [1, pd.NA, 2],
    "NA of a series": pd.Series([1, None, 2], dtype="Int64"),
    "text of a series": pd.Series(["a", None, "b"]),
    "category": pd.Series(["a", None, "b"], dtype="category"),
    "time": np.array(["2020-01-01", "NaT", "2020-01-02"], dtype="datetime64[s]"),
    "masked": np.ma.array([1, 2, 3], mask=[False, True, False]),
}


@pytest.mark.parametrize("kind", MISSING)
def test_a_missing_label_is_seen_and_told(kind):
    labels = as_labels(MISSING[kind])
    assert missing_labels(labels).tolist() == [False, True, False]
    with pytest.raises(ValueError, match="y: the label of record 1 is missing"):
        check_labels(labels, "y")


@pytest.mark.parametrize("labels", [["a", "nan", "None"], [1, 2, 3], np.array([1, 2.5], dtype=object), [True]])
def test_what_is_there_is_not_missing(labels):
    assert not missing_labels(as_labels(labels)).any()
    check_labels(as_labels(labels), "y")


def test_the_first_record_is_named_and_the_others_are_counted():
    table = np.array([[0, 1], [np.nan, 1], [0, np.nan], [np.nan, np.nan]])
    with pytest.raises(ValueError, match="groups: the group of record 1 and 2 others is missing"):
        check_labels(table, "groups", "group")


def test_labels_that_cannot_be_compared_are_told():
    with pytest.raises(TypeError, match="y must hold labels of one type, got int and str"):
        check_labels(as_labels(np.array([1, "a", 2], dtype=object)), "y")
    with pytest.raises(ValueError, match="classes must be an array of labels: .* inhomogeneous"):
        as_labels([[1, 2], [3]], "classes")


@pytest.mark.parametrize(
    "kind", [list, np.array, lambda y: np.array(y, object), lambda y: pd.Series(y, dtype="category")]
)
def test_an_empty_text_is_a_label_and_is_told(kind):
    said = (
        "y: 2 records have the empty text '' as their label, which is a class like any other; leave these records out"
    )
    with pytest.warns(UserWarning, match=said) as caught:
        check_labels(as_labels(kind(["a", "", "b", ""])), "y")
    assert len(caught) == 1


def test_an_empty_text_is_told_of_groups_and_tables_and_of_nothing_else():
    with pytest.warns(UserWarning, match="groups: 1 record has the empty text '' as its group, which is a group like"):
        check_labels(as_labels([["a", "b"], ["", ""]]), "groups", "group")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for labels in ([" ", "a"], [0, 1], [], [b"", b"a"], [0.0, 1.5], np.array([0, 1], object)):
            check_labels(as_labels(labels), "y")


def test_weights_are_numbers_of_records():
    assert checked_weights(None, 3) is None
    for given in ([1, 0, 2], np.array([1, 0, 2], np.uint8), pd.Series([1, 0, 2], dtype="Int64"), [1, 0, np.float32(2)]):
        found = checked_weights(given, 3)
        assert found.dtype == np.float64 and found.tolist() == [1, 0, 2]
    assert checked_weights([True, False], 2).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([1, 2], ValueError, r"sample_weight must hold one weight per record: shape \(2,\) for 3 records"),
        (2.0, ValueError, r"shape \(\) for 3 records"),
        (np.ones((3, 1)), ValueError, r"shape \(3, 1\)"),
        ([1, -0.5, 1], ValueError, "finite weights of at least 0; that of record 1 is -0.5"),
        ([1, 1, np.inf], ValueError, "that of record 2 is inf"),
        ([1, np.nan, 1], ValueError, "that of record 1 is nan"),
        ([1, None, 1], ValueError, "sample_weight: the weight of record 1 is missing"),
        (["1", "2", "3"], TypeError, "sample_weight must hold numbers, got <U1"),
        ([1, object(), 3], TypeError, "sample_weight must hold numbers"),
        ([1j, 1, 1], TypeError, "sample_weight must hold numbers, got complex128"),
    ],
)
def test_weights_that_cannot_be_used(given, error, message):
    with pytest.raises(error, match=message):
        checked_weights(given, 3)
