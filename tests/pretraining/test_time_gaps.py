"""The largest gap between positives of a patient: pairs in batches, partners, fits, and what is refused."""

import numpy as np
import pytest
import torch
from sklearn import clone, config_context
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from tiny_objectives import GROUPS, X, losses, make, same_weights

from beatssl_sklearn import DualStream, LeadAgnostic, RhythmEmbedder, Sum
from beatssl_sklearn.pretraining.group_batches import by_group
from beatssl_sklearn.pretraining.time_gaps import split_by_gap

NAN = float("nan")
# The two records of every other patient are 10 days apart, those of the others 100.
TIMES = np.arange(32) % 2 * np.where(GROUPS % 2, 100.0, 10.0)
TOGETHER = [DualStream(projection_dim=8), LeadAgnostic(local_weight=0, cross_record=True)]


def test_only_near_records_come_together():
    groups, times = np.repeat(np.arange(100), 4), np.tile([0.0, 10.0, 100.0, NAN], 100)
    for seed in range(3):
        options = {"times": times, "max_gap_days": 30}
        batches = by_group(np.arange(400), groups, 4, np.random.default_rng(seed), **options)
        assert sorted(np.concatenate(batches)) == list(range(400))
        pairs = [(a % 4, b % 4) for batch in batches for a in batch for b in batch if a // 4 == b // 4 and a < b]
        # Others of a patient meet by chance.
        assert pairs.count((0, 1)) > 95 and len(pairs) < 130


def test_a_patients_records_are_paired_in_all_ways_that_are_near():
    groups, times = np.repeat([0, 1], 4), np.array([0, 20, 40, 60] * 2, dtype=float)
    found = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        for batch in by_group(np.arange(8), groups, 4, rng, times=times, max_gap_days=30):
            found |= {(a, b) for a in batch for b in batch if a < b < 4 and len(batch[batch < 4]) == 2}
    assert {(0, 1), (1, 2), (2, 3)} <= found


def test_groups_are_split_from_the_earliest_record_on():
    groups = np.array([5, 5, 5, 5, 5, 2, 2, 5])
    times = np.array([60.0, 0.0, 31.0, 30.0, NAN, 0.0, 5.0, NAN])
    # Of patient 5: days 0 and 30, then 31 and 60, then two records without a time.
    assert split_by_gap(groups, times, 30).tolist() == [2, 1, 2, 1, 3, 0, 0, 4]


@pytest.mark.parametrize("objective", TOGETHER)
def test_partners_and_pairs_of_a_step(objective):
    seen = []

    class Spy(type(objective)):
        def draw(self, batch):
            inputs, targets = super().draw(batch)
            seen.append((batch.rows, targets))
            return inputs, targets

    spy = Spy(**{**objective.get_params(deep=False), "max_gap_days": 30})
    make(spy, "dual_stream", max_epochs=1).fit(X, groups=GROUPS, times=TIMES)
    for rows, targets in seen:
        partner = getattr(targets, "partner", torch.arange(len(rows))).numpy()
        gap = np.abs(TIMES[rows][:, None] - TIMES[rows[partner]])
        assert np.array_equal(targets.near.numpy(), gap <= 30)
        assert np.diag(gap).max() <= 30 and (GROUPS[rows] == GROUPS[rows[partner]]).all()
        if isinstance(objective, LeadAgnostic):
            assert (partner != np.arange(len(rows))).any()


@pytest.mark.parametrize("objective", TOGETHER)
def test_a_gap_changes_a_fit_only_where_it_is_exceeded(objective):
    unfitted = make(objective, "dual_stream", max_epochs=1, batch_size=16)

    def fitted(gap, times=TIMES):
        return clone(unfitted).set_params(objective__max_gap_days=gap).fit(X, groups=GROUPS, times=times)

    without = fitted(None, times=None)
    assert same_weights(fitted(1000), without) and same_weights(fitted(None), without)
    some = fitted(30)
    assert not same_weights(some, without) and np.isfinite(losses(some)).all()
    # Dates, in a pipeline, and in a sum give the same.
    dates = np.datetime64("2020-03-01T08:30:10") + TIMES.astype(int) * np.timedelta64(1, "D")
    with config_context(enable_metadata_routing=True):
        embedder = RhythmEmbedder(clone(some)).set_fit_request(groups=True, times=True)
        routed = make_pipeline(embedder, GaussianNB()).fit(X, GROUPS % 2, groups=GROUPS, times=dates)
    assert same_weights(routed[0], some)
    summed = clone(some).set_params(objective=Sum([some.objective]))
    assert same_weights(summed.fit(X, groups=GROUPS, times=dates), some)


@pytest.mark.parametrize("objective", ["patients", "segments"])
def test_what_a_gap_needs(objective):
    pre = make(objective, "dual_stream", max_epochs=0).set_params(objective__max_gap_days=30)
    name = type(pre.objective).__name__
    with pytest.raises(ValueError, match=rf"{name} needs times: fit\(X, times=...\)"):
        pre.fit(X, groups=GROUPS)
    with pytest.raises(ValueError, match=rf"{name} needs groups"):
        pre.fit(X, times=TIMES)
    with pytest.raises(ValueError, match="time of record 3 is 'x'"):
        pre.fit(X, groups=GROUPS, times=["2020-01-01"] * 3 + ["x"] * 29)
    with pytest.warns(UserWarning, match=f"{name}: no two records of a patient are at most max_gap_days=30 apart"):
        pre.fit(X, groups=GROUPS, times=np.arange(32) * 31)
    with pytest.raises(ValueError, match=r"Sum needs times: fit\(X, times=...\)"):
        make(Sum([pre.objective]), "dual_stream").fit(X, groups=GROUPS)
