"""Batches that hold records of a patient together."""

import numpy as np
import pytest

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
    together = [len(np.unique(groups[b - 100])) <= len(b) // 2 + 1 for b in batches_of(groups, 20)]
    # A batch of an odd size splits a pair at each end at most.
    assert all(together)


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
    assert sorted(np.concatenate(batches_of(groups, 2))) == [100 + i for i in range(len(groups))]
