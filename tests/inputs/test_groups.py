"""Groups of records: codes, hold-outs, nested subsets and folds that keep patients together."""

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import PatientIdentifier
from beatssl_sklearn.evaluation import aami_scores
from beatssl_sklearn.evaluation.probing import label_fraction_curve
from beatssl_sklearn.inputs.groups import (
    group_codes,
    group_folds,
    held_out_folds,
    hold_out_balanced_groups,
    hold_out_groups,
    nested_subsets,
)

# Patients of 16 records and a class of each, for draws that must never change.
PATIENT = np.array([5, 5, 2, 9, 9, 9, 7, 1, 1, 3, 3, 8, 8, 4, 4, 4])
TABLE = np.array([0, 1, 2, 0, 0, 1, 2, 2, 1, 0, 0, 1, 1, 2, 0, 1])[:, None] == np.arange(3)


def patients_and_labels(seed=0):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(1500), rng.integers(1, 4, size=1500))
    return rng.random((len(groups), 4)) < [0.5, 0.25, 0.1, 0.004], groups


def assert_whole(groups, mask):
    assert not np.isin(groups[mask], groups[~mask]).any()


# Codes


def test_codes_number_the_groups():
    assert group_codes(["b", "a", "b", "c"], 4).tolist() == [1, 0, 1, 2]
    assert group_codes(None, 3).tolist() == [0, 1, 2]
    assert group_codes([4, 2], 2).tolist() == [1, 0]
    assert group_codes(np.array([7, -2]), 2).dtype == np.int64


@pytest.mark.parametrize("groups", [[1, 2], [[1], [2], [3]], 4])
def test_each_record_needs_a_group(groups):
    with pytest.raises(ValueError, match="groups must hold one label per record: shape .* for 3 records"):
        group_codes(groups, 3)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("others", ["ab", (7, 8)])
def test_a_missing_group_is_told_with_its_record(missing, others):
    groups = [others[0], others[1], missing, missing]
    calls = {
        "group_codes": lambda: group_codes(groups, 4),
        "held_out_folds": lambda: held_out_folds([0, 1, 0, 1], groups, 2),
        "nested_subsets": lambda: nested_subsets([0, 1, 0, 1], groups, [0.5]),
    }
    for call in calls.values():
        with pytest.raises(ValueError, match="groups: the group of record 2 and 1 others is missing"):
            call()


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_label_is_told_with_its_record(missing):
    y = np.array([0, missing, 1, 0], dtype=object)
    for call in (held_out_folds, nested_subsets):
        with pytest.raises(ValueError, match="y: the label of record 1 is missing"):
            call(y, None, 2 if call is held_out_folds else [0.5])


def test_groups_of_unlike_types_are_told():
    with pytest.raises(TypeError, match="groups must hold groups of one type, got int and str"):
        group_codes(np.array([1, "a"], dtype=object), 2)


# Hold-outs


def test_whole_groups_are_held_out():
    _, groups = patients_and_labels()
    for fraction in (0.1, 0.5):
        held_out = hold_out_groups(groups, fraction, 3)
        assert_whole(groups, held_out)
        assert len(np.unique(groups[held_out])) == round(fraction * 1500)
    assert (hold_out_groups(groups, 0.1, 4) != hold_out_groups(groups, 0.1, 3)).any()


def test_at_least_one_group_is_held_out():
    assert hold_out_groups(np.array([4, 4, 6, 8]), 0.01, 0).sum() in (1, 2)
    assert hold_out_groups(np.zeros(3, dtype=int), 0.01, 0).all()


def test_balanced_hold_outs_have_the_shares_of_all_records():
    y, groups = patients_and_labels()
    held_out = hold_out_balanced_groups(y, groups, 0.2, 0)
    assert_whole(groups, held_out)
    assert abs(held_out.mean() - 0.2) < 0.01
    positive = y[held_out].sum(axis=0)
    np.testing.assert_allclose(positive, 0.2 * y.sum(axis=0), atol=0.02 * len(y) * 0.2)
    plain = [y[hold_out_groups(groups, 0.2, s)].sum(axis=0) for s in range(20)]
    off = np.square([p - 0.2 * y.sum(axis=0) for p in [positive, *plain]]) / (0.2 * y.sum(axis=0))
    assert off[0].sum() < 0.5 * off[1:].sum(axis=1).mean()


def test_balanced_hold_outs_leave_each_class_to_train_on():
    one = np.zeros((40, 3), dtype=bool)
    one[np.arange(40), np.where(np.arange(40) == 7, 1, np.where(np.arange(40) < 20, 2, 0))] = True
    for seed in range(10):
        assert not hold_out_balanced_groups(one, np.arange(40), 0.5, seed)[7]


@pytest.mark.parametrize(
    ("table", "groups"),
    [
        (TABLE, np.zeros(16, dtype=int)),
        # Each of two patients has a class that the other lacks.
        (np.eye(2, dtype=bool)[(PATIENT > 4) * 1], (PATIENT > 4) * 1),
        (np.ones((2, 1), dtype=bool), np.arange(2)),
    ],
)
def test_some_records_cannot_be_held_out(table, groups):
    assert hold_out_balanced_groups(table, groups, 0.3, 0) is None


@pytest.mark.parametrize(
    ("seed", "plain", "balanced"),
    [(0, [2, 13, 14, 15], [3, 4, 5, 7, 8]), (1, [2, 11, 12], [0, 1, 13, 14, 15])],
)
def test_draws_never_change(seed, plain, balanced):
    """Published models were trained on them, and checkpoints resume with them."""
    assert np.flatnonzero(hold_out_groups(PATIENT, 0.3, seed)).tolist() == plain
    assert np.flatnonzero(hold_out_balanced_groups(TABLE, PATIENT, 0.3, seed)).tolist() == balanced


# Folds


@pytest.mark.parametrize(
    ("seed", "folds"),
    [
        (0, [[6, 13, 14, 15], [2, 3, 4, 5], [11, 12], [7, 8, 9, 10], [0, 1]]),
        (1, [[0, 1, 2], [3, 4, 5, 11, 12], [6], [7, 8, 13, 14, 15], [9, 10]]),
    ],
)
def test_random_folds_tile_the_groups_and_never_change(seed, folds):
    assert [np.flatnonzero(f).tolist() for f in group_folds(PATIENT, 5, seed)] == folds


@pytest.mark.parametrize(("n_groups", "n_folds"), [(1, 0), (2, 2), (3, 3), (4, 3)])
def test_there_are_no_more_folds_than_groups(n_groups, n_folds):
    folds = group_folds(np.arange(8) % n_groups, 3, 0)
    assert folds.shape == (n_folds, 8) and folds.sum() == 8 * (n_folds > 0)
    assert all(fold.any() for fold in folds)


def test_folds_tile_the_records_and_balance_rare_labels():
    y, groups = patients_and_labels()
    folds = held_out_folds(y, groups, 5)
    assert (folds.sum(axis=0) == 1).all()
    for fold in folds:
        assert_whole(groups, fold)
    positive = np.array([y[fold].sum(axis=0) for fold in folds])
    assert positive[:, 3].min() >= 1 and np.ptp(positive[:, 2]) < 0.35 * positive[:, 2].mean()


# Subsets


def test_subsets_are_nested_and_keep_patients_together():
    y, groups = patients_and_labels()
    masks = nested_subsets(y, groups, [0.1, 0.01, 1.0, 0.3], seed=1)
    order = masks[[1, 0, 3, 2]]
    for small, large in zip(order, order[1:], strict=False):
        assert not (small & ~large).any()
    assert order[-1].all()
    for mask in masks:
        assert_whole(groups, mask)
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


@pytest.mark.parametrize("fractions", [[0.0], [1.1], [], 0.5])
def test_fractions_are_checked(fractions):
    with pytest.raises(ValueError, match="fractions must hold"):
        nested_subsets([0, 1], None, fractions)


def test_labels_are_a_vector_or_a_table():
    with pytest.raises(ValueError, match="y must have shape"):
        held_out_folds(np.zeros((2, 2, 2)), None, 2)


@pytest.mark.parametrize("groups", [[1, "1"], ("a", 2.0), [b"a", "a"], np.array([1, "1"], dtype=object)])
def test_groups_of_several_types_are_not_merged(groups):
    with pytest.raises(TypeError, match="groups must hold groups of one type, got .* and .*"):
        group_codes(groups, 2)
    with pytest.raises(TypeError, match="groups must hold groups of one type"):
        label_fraction_curve(PatientIdentifier(), X=np.ones((2, 1, 500)), y=["a", "b"], groups=groups)
    with pytest.raises(TypeError, match="patients must hold groups of one type"):
        aami_scores([["N"], ["N"]], [["N"], ["N"]], patients=groups)
