"""Labels for training a classifier: encoded, weighed, held out, or refused."""

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.finetuning.labels import encode_labels, hold_out

N = 24
Y = np.arange(N) % 3
BOTH = np.stack([Y == 1, Y != 0], axis=1).astype(int)
PATIENT = np.arange(N) // 2


# Encoded


def test_three_classes_are_a_softmax():
    targets = encode_labels(np.array(["a", "b", "c"])[Y], N, None)
    assert targets.softmax and not targets.multi_label and targets.n_outputs == 3
    assert targets.classes.tolist() == ["a", "b", "c"] and targets.values.dtype == np.int64
    assert np.array_equal(targets.values, Y) and np.array_equal(targets.indicators(), Y[:, None] == np.arange(3))
    assert targets.weights.shape == (N,) and (targets.weights == 1).all()


@pytest.mark.parametrize("y", [Y == 1, np.where(Y == 1, "yes", "no"), np.where(Y == 1, 7.0, -1.0)])
def test_two_classes_are_one_output(y):
    targets = encode_labels(y, N, None)
    assert not targets.softmax and not targets.multi_label and targets.n_outputs == 1
    assert targets.classes.tolist() == sorted(set(y.tolist()))
    assert np.array_equal(targets.values, (Y == 1)[:, None]) and targets.values.dtype == np.float32
    assert np.array_equal(targets.indicators(), np.stack([Y != 1, Y == 1], axis=1))


@pytest.mark.parametrize("dtype", [np.int64, bool, np.float32])
def test_several_labels_are_an_output_each(dtype):
    targets = encode_labels(BOTH.astype(dtype), N, None)
    assert targets.multi_label and not targets.softmax and targets.n_outputs == 2
    assert targets.classes.tolist() == [0, 1]
    assert np.array_equal(targets.values, BOTH) and targets.values.dtype == np.float32
    assert np.array_equal(targets.indicators(), BOTH == 1) and targets.weights.shape == BOTH.shape


def test_one_column_holds_one_label_per_record():
    with pytest.warns(UserWarning, match="column-vector y"):
        targets = encode_labels(Y[:, None], N, None)
    assert targets.softmax and np.array_equal(targets.values, Y)


# Weights of classes


def test_balanced_classes_weigh_the_same():
    y = np.array([0] * 12 + [1] * 6 + [2] * 6)
    weights = encode_labels(y, N, "balanced").weights
    assert weights[y == 0].sum() == pytest.approx(8) and weights[y == 2].sum() == pytest.approx(8)
    several = encode_labels(np.stack([y == 0, y == 1], axis=1).astype(int), N, "balanced").weights
    assert several[y == 1, 1].sum() == pytest.approx(several[y != 1, 1].sum())


@pytest.mark.parametrize("y", [Y, Y == 1, BOTH])
def test_weights_are_1_on_average(y):
    key = True if y.dtype == bool else 1
    for class_weight in (None, "balanced", {key: 7.0}):
        weights = encode_labels(y, N, class_weight).weights
        assert weights.mean() == pytest.approx(1) and weights.dtype == np.float32
    heavy = encode_labels(y, N, {key: 7.0})
    column = heavy.weights if heavy.softmax else heavy.weights[:, -1]
    member = heavy.indicators()[:, 1]
    assert column[member].min() == pytest.approx(7 * column[~member].max())


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ("even", "class_weight must be None, 'balanced' or a dict, got 'even'"),
        ([1, 2, 3], "class_weight must be None, 'balanced' or a dict"),
        ({7: 1.0}, r"class_weight names \[7\], which are not among the classes \[0, 1, 2\]"),
        ({1: -1.0}, "class_weight must hold finite weights"),
        ({1: np.nan}, "class_weight must hold finite weights"),
        ({0: 0.0, 1: 0.0, 2: 0.0}, "class_weight gives every record the weight 0"),
    ],
)
def test_weights_that_cannot_be_used(class_weight, message):
    with pytest.raises(ValueError, match=message):
        encode_labels(Y, N, class_weight)


# Weights of records


@pytest.mark.parametrize("y", [Y, Y == 1, BOTH])
@pytest.mark.parametrize("class_weight", [None, "balanced", {1: 3.0}])
def test_weights_of_records_are_records_that_are_repeated(y, class_weight):
    counts = np.arange(N) % 4
    weighted = encode_labels(y, N, class_weight, counts)
    repeated = encode_labels(np.repeat(y, counts, axis=0), counts.sum(), class_weight)
    assert np.array_equal(weighted.counts, counts) and weighted.mean_count == counts[counts > 0].mean()
    # In numbers of records, the weights of a record are the sum over its copies.
    ours = weighted.weights * weighted.mean_count
    theirs = np.array([part.sum(axis=0) for part in np.split(repeated.weights, np.cumsum(counts)[:-1])])
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert weighted.weights[counts > 0].mean() == pytest.approx(1)


def test_records_of_weight_0_have_no_say_in_the_classes():
    counts = np.where(Y == 2, 0, 1)
    targets = encode_labels(np.array(["a", "b", "c"])[Y], N, None, counts)
    assert targets.classes.tolist() == ["a", "b"] and targets.n_outputs == 1
    assert np.array_equal(targets.values[counts > 0, 0], Y[counts > 0])
    with pytest.raises(ValueError, match="y holds one class only, 0"):
        encode_labels(Y, N, None, Y == 0)
    with pytest.raises(ValueError, match="column 0 is 0 in every record"):
        encode_labels(BOTH, N, None, Y != 1)


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (np.ones(N - 1), ValueError, r"sample_weight must hold one weight per record: shape \(23,\) for 24 records"),
        (np.where(np.arange(N) == 3, -1, 1), ValueError, "that of record 3 is -1.0"),
        (np.zeros(N), ValueError, "sample_weight is zero for every record"),
        (["heavy"] * N, TypeError, "sample_weight must hold numbers"),
    ],
)
def test_weights_of_records_that_cannot_be_used(weight, error, message):
    with pytest.raises(error, match=message):
        encode_labels(Y, N, None, weight)


# Held-out records


@pytest.mark.parametrize("y", [Y, Y == 1, BOTH])
def test_held_out_records_are_other_patients_of_all_classes(y):
    targets = encode_labels(y, N, None)
    for seed in range(5):
        train, valid = hold_out(np.arange(N), targets, PATIENT, 0.25, seed)
        assert sorted([*train, *valid]) == list(range(N)) and len(valid) == 6
        assert not set(PATIENT[train]) & set(PATIENT[valid])
        assert targets.indicators()[train].any(axis=0).all() and targets.indicators()[valid].any(axis=0).all()
        assert np.abs(targets.indicators()[valid].mean(axis=0) - targets.indicators().mean(axis=0)).max() < 0.2


def test_a_class_of_one_record_is_never_held_out():
    y = np.zeros(40, dtype=int)
    y[7], y[8:20] = 1, 2
    for seed in range(10):
        assert 7 in hold_out(np.arange(40), encode_labels(y, 40, None), None, 0.5, seed)[0]


def test_only_the_records_asked_for_are_split():
    usable = np.setdiff1d(np.arange(N), [3, 4, 11])
    train, valid = hold_out(usable, encode_labels(Y, N, None), PATIENT, 0.3, 0)
    assert np.array_equal(np.sort(np.concatenate([train, valid])), usable)


def test_a_class_that_only_validation_would_have_is_named():
    targets = encode_labels(Y, N, None)
    with pytest.raises(ValueError, match="validation_fraction=0.1 leaves.*being 0 with 8 of 24 records, of 1 pat"):
        hold_out(np.arange(N), targets, np.zeros(N, dtype=np.int64), 0.1, 0)


# Refused


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y"),
        (Y[:20], "y holds the labels of 20 records, X has 24"),
        (np.zeros(N), "y holds one class only"),
        (np.where(Y == 1, np.nan, Y), r"the label of record \d+.* is missing"),
        (np.linspace(0, 1, N), "Unknown label type: continuous"),
        (np.stack([Y, Y == 1], axis=1), "record 2, column 0 is"),
        (np.stack([Y == 1, Y == 9], axis=1).astype(int), "column 1 is 0 in every record"),
        (np.stack([Y < 9, Y == 1], axis=1).astype(int), "column 0 is 1 in every record"),
        (np.where(BOTH == 1, np.nan, 0), r"the label of record \d+.* is missing"),
        (np.array(["a", "b", None, "c"] * (N // 4), dtype=object), "the label of record 2 and 5 others is missing"),
        (pd.array([1, 2, None] * (N // 3), dtype="Int64"), "the label of record 2 and 7 others is missing"),
        (["a", float("nan"), "b"] * (N // 3), "the label of record 1 and 7 others is missing"),
        (np.array([["a", "b"]] * N), "Unknown label type"),
        (np.zeros((N, 2, 2)), r"y must have the shape"),
    ],
)
def test_labels_that_cannot_be_learned(y, message):
    with pytest.raises(ValueError, match=message):
        encode_labels(y, N, None)


def test_labels_of_unlike_types_are_told():
    with pytest.raises(TypeError, match="y must hold labels of one type, got int and str"):
        encode_labels(np.array([1, "a"] * (N // 2), dtype=object), N, None)
