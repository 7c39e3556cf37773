"""The study of delineation: what its programs count, and how they change records."""

import numpy as np
import pytest

from benchmarks.delineation.common import Annotated, Counts, few_records, folds_of, joined, scores, with_bootstrap
from benchmarks.delineation.error_parts import beat_times, parts, scatter_sd
from benchmarks.delineation.robustness import as_they_are, at_rate, members, with_leads

FS, N = 500.0, 1000


@pytest.fixture
def records():
    """Three records of two leads, each with a QRS at samples 100 to 140."""
    masks = np.zeros((3, 2, N), np.int8)
    masks[:, :, 100:141] = 2
    empty = np.empty((0, 3), np.int64)
    marks = {"P": empty, "QRS": np.array([[100, 120, 140]]), "T": np.array([[300, -1, 400]])}
    rng = np.random.default_rng(0)
    return Annotated(
        X=rng.normal(size=(3, 2, N)).astype(np.float32),
        masks=masks,
        waves=[{"I": marks, "II": marks} for _ in range(3)],
        record_id=np.arange(3),
        diagnoses={"Rhythms": [("Sinus rhythm",), ("Atrial fibrillation",), ()], "Other": [(), ("PVC, single",), ()]},
        fs=FS,
        leads=("I", "II"),
    )


def test_scores_are_those_of_the_counts():
    events = np.zeros((2, 3, 3, 5))
    events[0, 1, 0] = [10, 8, 8, 16, 64]  # QRS onsets: errors of 2 ms on average
    events[1, 1, 2] = [10, 12, 10, 0, 40]
    confusion = np.zeros((2, 4, 4), np.int64)
    confusion[0, 1, 1], confusion[1, 1, 0], confusion[1, 2, 2], confusion[1, 3, 3] = 30, 20, 5, 5
    found = scores(Counts(events, confusion))
    assert found["QRS_f1"] == pytest.approx(2 * 18 / 40)
    assert found["QRS_onset_mean"] == 2 and found["QRS_onset_sd"] == pytest.approx(2)
    assert found["QRS_offset_sd"] == pytest.approx(2)
    assert found["P_dice"] == pytest.approx(60 / 80)
    assert found["dice"] == pytest.approx((0.75 + 1 + 1) / 3)
    assert found["miou"] == pytest.approx((0.6 + 1 + 1) / 3)


def test_the_interval_holds_the_score_and_widens_with_the_spread():
    rng = np.random.default_rng(0)
    events = np.zeros((40, 3, 3, 5))
    events[..., 0] = events[..., 1] = 10
    events[..., 2] = rng.integers(5, 11, (40, 1, 1))
    row = with_bootstrap(Counts(events, np.ones((40, 4, 4), np.int64)), n_bootstrap=200)
    assert row["P_f1_low"] < row["P_f1"] < row["P_f1_high"]
    assert row["dice_low"] == row["dice_high"]


def test_folds_hold_each_record_once():
    folds = folds_of(150)
    assert sorted(np.concatenate(folds).tolist()) == list(range(150))
    assert {len(fold) for fold in folds} == {30}
    whole = joined([Counts(np.full((2, 1), k), np.full((2, 1), k)) for k in range(3)])
    assert whole.events.ravel().tolist() == [0, 0, 1, 1, 2, 2]


def test_fewer_leads(records):
    part = with_leads(("II",)).change(records, np.array([2, 0]))
    assert part.X.shape == (2, 1, N) and part.masks.shape == (2, 1, N)
    np.testing.assert_array_equal(part.X[0, 0], records.X[2, 1])
    assert list(part.waves[0]) == ["II"]


@pytest.mark.parametrize("fs", [100.0, 250.0, 1000.0])
def test_another_rate_moves_the_marks_with_the_signal(records, fs):
    part = at_rate(fs).change(records, np.array([0]))
    ratio = fs / FS
    assert part.X.shape[-1] == part.masks.shape[-1] == N * ratio
    onset, peak, offset = part.waves[0]["I"]["QRS"][0]
    assert (onset, peak, offset) == (100 * ratio, 120 * ratio, 140 * ratio)
    assert np.isnan(part.waves[0]["I"]["T"][0, 1])
    painted = np.flatnonzero(part.masks[0, 0] == 2)
    assert abs(painted[0] - onset) <= 1 and abs(painted[-1] - offset) <= 1


def test_members_have_the_finding(records):
    assert members(records, ("Atrial fibrillation",)).tolist() == [1]
    assert members(records, ("PVC", "Sinus rhythm")).tolist() == [0, 1]
    assert as_they_are(records, np.array([1])).waves == [records.waves[1]]


def test_few_records_are_a_sixteenth_of_a_training_set():
    drawn = [few_records(150, seed) for seed in range(5)]
    assert all(len(train) == 7 and len(test) == 30 and not np.isin(train, test).any() for train, test in drawn)
    assert len({tuple(test) for _, test in drawn}) == 5


def test_errors_split_into_what_a_lead_shares_and_the_rest():
    rng = np.random.default_rng(0)
    errors = rng.normal(scale=3, size=(400, 1)) + rng.normal(scale=4, size=(400, 20))
    counts = np.stack([np.full(400, 20), errors.sum(1), (errors**2).sum(1)], axis=1)
    whole, within, between = parts(np.vstack([counts, np.zeros(3)]))
    assert whole == pytest.approx(5, rel=0.05) and within == pytest.approx(4, rel=0.05)
    assert between == pytest.approx(3, rel=0.1)


def test_marks_scatter_about_their_own_beat():
    marks = {lead: {"QRS": [[90, 100 + d, 110], [590, 600 + d, 610]]} for lead, d in (("I", -2), ("II", 0), ("III", 3))}
    beats = beat_times(marks)
    assert beats.tolist() == [100, 600]
    # T waves 150 and 156 samples behind their QRS, and one of a beat without marks.
    strips = [(np.array([250.0, 756, 1250]), beats), (np.array([250.0, 750]), beats), (np.array([3.0]), np.empty(0))]
    assert scatter_sd(strips, "T", fs=500.0) == pytest.approx(np.sqrt((3**2 + 3**2) / 2) * 2)
