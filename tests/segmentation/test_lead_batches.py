"""Training windows without an encoder: leads singly, in pairs and in groups, of records that have as many."""

import numpy as np
import pytest
import torch

from beatssl_sklearn.segmentation.augment import WaveAugment
from beatssl_sklearn.segmentation.batches import IGNORED, AnnotatedRecord
from beatssl_sklearn.segmentation.lead_batches import LeadBatches

FS = 100.0


def record(n_leads, n_times=1000, seed=0):
    """A record whose signal is its mask, times 1 + the number of its lead, and its first `n_leads` leads annotated."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.integers(1, 4, n_times // 10), 10).astype(np.int8)
    mask = np.repeat(labels[:, None], 12, axis=1)
    mask[:, n_leads:] = IGNORED
    return AnnotatedRecord((mask * (mask > 0) * (1 + np.arange(12))).astype(np.float32), mask)


PLAIN = WaveAugment(stretch=1, gain=1, noise=0, low_rate=0, lead_subset=0, background=0)


def batches(records, augment=PLAIN, **changes):
    params = {"batch_size": 6, "fs": FS, "fs_encoder": FS, "window": 2.56, "n_leads": 6, "seed": 0} | changes
    index = np.arange(len(records))
    return LeadBatches(records, index, device=torch.device("cpu"), augment=augment, **params)


def test_steps_have_one_lead_two_some_or_all_and_as_many_windows_as_fit():
    found = {}
    given = batches([record(12, seed=s) for s in range(60)], batch_size=3)
    for given.epoch in range(5):
        for inputs, target in given:
            n, n_leads, n_times = target.shape
            assert inputs["leads"].shape == target.shape and n_times == 256 and set(inputs) == {"leads"}
            assert n == max(2, 18 // n_leads)
            found[n_leads] = found.get(n_leads, 0) + 1
    total = sum(found.values())
    assert total == 100 and {1, 2, 12} < set(found)
    assert 0.4 < (found[1] + found[2]) / total < 0.7


def test_labels_stay_with_their_leads():
    for inputs, target in batches([record(12, seed=s) for s in range(6)]):
        leads, target = inputs["leads"].numpy(), target.numpy()
        ratio = leads / target
        assert np.allclose(ratio, ratio[..., :1]) and len(np.unique(np.round(ratio[0, :, 0]))) == target.shape[1]


def test_records_of_two_leads_are_not_asked_for_more():
    records = [record(12, seed=1)] + [record(2, seed=s) for s in range(2, 9)]
    given, few = batches(records), 0
    for given.epoch in range(10):
        for inputs, target in given:
            assert (target != IGNORED).all() and (inputs["leads"] != 0).all()
            few += target.shape[1] <= 2
    assert few


def test_only_records_of_two_leads():
    assert all(target.shape[1] <= 2 for _, target in batches([record(2, seed=s) for s in range(4)]))


def test_weights_decide_how_often_records_are_drawn():
    records = [record(12, seed=1), AnnotatedRecord(-record(12, seed=2).signal, record(12, seed=2).mask)]
    given, negative, total = batches(records, weight=np.array([1.0, 9.0])), 0, 0
    for given.epoch in range(20):
        for inputs, _ in given:
            negative += int((inputs["leads"].amax((1, 2)) <= 0).sum())
            total += len(inputs["leads"])
    assert negative / total == pytest.approx(0.9, abs=0.06)


def test_held_out_records_come_one_by_one_with_all_their_leads():
    given = batches([record(12), record(2), record(3)], augment=None)
    assert [tuple(target.shape[:2]) for _, target in given] == [(1, 12), (1, 2), (1, 3)] and len(given) == 3
    again = [target for _, target in given]
    assert all(torch.equal(a, b) for a, (_, b) in zip(again, given, strict=True))
