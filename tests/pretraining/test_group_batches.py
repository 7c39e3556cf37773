"""Batches that hold records of a patient together."""

import numpy as np
import pytest

from beatssl_sklearn import LeadAgnostic
from beatssl_sklearn.pretraining.group_batches import by_group


def batches_of(groups, size, seed=0):
    rows = np.arange(100, 100 + len(groups))
    return by_group(rows, np.asarray(groups), size, np.random.default_rng(seed))


def test_every_record_comes_once():
    groups = np.random.default_rng(0).integers(0, 30, 101)
    batches = batches_of(groups, 16)
    assert len(batches) == 7 and max(map(len, batches)) <= 16
    assert sorted(np.concatenate(batches)) == list(range(100, 201))


def test_records_of_a_patient_come_together():
    groups = np.repeat(np.arange(200), 2)
    for size in (6, 20, 128):
        assert all(len(np.unique(groups[b - 100])) == len(b) / 2 for b in batches_of(groups, size))
    # Full batches of an odd size cannot hold pairs only.
    odd = batches_of(np.repeat(np.arange(50), 2), 5)
    assert [len(b) for b in odd] == [5] * 20
    assert sum(len(np.unique((b - 100) // 2)) == 3 for b in odd) == 20


def n_patients(batches, groups):
    return [len(np.unique(np.asarray(groups)[b - 100])) for b in batches]


@pytest.mark.parametrize("groups", [[0, 0, 1, 1, 2, 2, 3, 3], [0] * 20 + [1] * 20, [0] * 6 + [1, 1, 2, 2, 3, 3]])
@pytest.mark.parametrize("paired", [True, False])
def test_each_batch_has_two_patients(groups, paired):
    rows = np.arange(100, 100 + len(groups))
    for seed in range(20):
        found = by_group(rows, np.array(groups), 4, np.random.default_rng(seed), paired=paired)
        assert min(n_patients(found, groups)) > 1 and max(map(len, found)) <= 4
        assert sorted(np.concatenate(found)) == rows.tolist()


def test_a_patient_with_most_of_the_records_meets_others_again():
    groups = [0] * 40 + [1, 1, 2, 2]
    counts = np.zeros(44)
    for seed in range(50):
        found = batches_of(groups, 8, seed)
        assert len(found) == 6 and max(map(len, found)) <= 8 and min(n_patients(found, groups)) > 1
        assert all(len(np.unique(b)) == len(b) for b in found)
        np.add.at(counts, np.concatenate(found) - 100, 1)
    # Other records of the patient are left out in each epoch, and few.
    assert 35 < counts[:40].min() < 50 < counts[40:].min()


def test_random_batches_are_the_usual_ones_where_each_has_two_patients():
    rows, groups = np.arange(7, 107), np.repeat(np.arange(50), 2)
    found = by_group(rows, groups, 16, np.random.default_rng(3), paired=False)
    usual = np.array_split(np.random.default_rng(3).permutation(rows), 7)
    assert all(map(np.array_equal, found, usual))


@pytest.mark.parametrize(("objective", "size"), [(LeadAgnostic(), 2), (LeadAgnostic(cross_record=True), 4)])
def test_objectives_that_compare_patients_have_two_in_each_batch(objective, size):
    groups = np.repeat(np.arange(4), 4)
    for seed in range(20):
        found = objective.batches(np.arange(100, 116), groups, size, np.random.default_rng(seed))
        assert min(n_patients(found, groups)) > 1


def test_most_records_have_a_partner_whatever_the_sizes_of_the_groups():
    groups = np.random.default_rng(1).integers(0, 150, 400)
    several = np.bincount(groups)[groups] > 1
    parts = [groups[b - 100] for b in batches_of(groups, 32)]
    partnered = np.concatenate([np.bincount(part, minlength=150)[part] > 1 for part in parts])
    assert partnered.mean() > 0.75 * several.mean()


def test_draws_differ_by_epoch_and_without_groups_too():
    groups = np.repeat(np.arange(20), 3)
    assert any((a != b).any() for a, b in zip(batches_of(groups, 10, 0), batches_of(groups, 10, 1), strict=True))
    alone = by_group(np.arange(25), None, 10, np.random.default_rng(0))
    assert len(alone) == 3 and sorted(np.concatenate(alone)) == list(range(25))


@pytest.mark.parametrize("groups", [[0], [0, 0], [0, 1, 1]])
def test_few_records(groups):
    assert sorted(np.concatenate(batches_of(groups, 4))) == [100 + i for i in range(len(groups))]
    assert all(len(b) for b in batches_of(groups, 2))
