"""What a fit measures once on every record, and which beats lie in a window."""

import numpy as np
import pandas as pd
import pytest
from measured_records import BRIEF, EQUAL, FS, LONG, WINDOW, build, equal_records

from beatssl_sklearn import BeatSSL, ECGRecord
from beatssl_sklearn.ecg.beats import keep_inside
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.inputs.source import ArraySource, RecordSource

# What is measured


def test_measures_of_equal_records(equal):
    assert equal.whole_records and equal.window == 4.0 and equal.front_end.n_times(equal.window) == 400
    np.testing.assert_array_equal(equal.duration, np.full(9, 4.0))
    np.testing.assert_array_equal(equal.usable, np.arange(9))
    kept = [keep_inside(r, 400, FS, WINDOW) for r in EQUAL.rpeaks]
    np.testing.assert_array_equal(equal.beat_offset, np.cumsum([0, *map(len, kept)]))
    np.testing.assert_allclose(equal.beat_time, np.concatenate(kept) / FS)
    known, n_beats = equal.known, equal.beat_offset[-1]
    assert len(known.beat_type) == len(known.beat_cluster) == len(known.beats.values) == n_beats
    assert known.beats.values.shape[1] == 0, "beat features are measured where soft beat targets need them"
    values, present, weights, bandwidth = known.records
    assert values.shape == present.shape == (9, len(weights)) and np.isfinite(values).all()
    assert weights.sum() == pytest.approx(1, abs=1e-5) and (bandwidth > 0).all() and bandwidth.shape == (9,)


def test_soft_beat_targets_need_beat_features():
    soft = equal_records(objective=BeatSSL(beat_targets="soft", beat_feature_weight=0))
    values, present, weights, bandwidth = soft.known.beats
    assert values.shape == present.shape == (soft.beat_offset[-1], len(weights)) and len(weights) > 0
    assert np.isfinite(values).all() and (bandwidth > 0).all()


def test_windows_of_unequal_records(unequal):
    assert not unequal.whole_records and unequal.window == 10.0
    np.testing.assert_allclose(unequal.duration, [24, 17, 24, 3, 17, 3, 24])
    brief = build(ArraySource(BRIEF.data, FS, LEADS, False))
    assert brief.window == 3.0 and brief.whole_records
    edge = build(ArraySource(LONG.data[:, :, :1500], FS, LEADS, False))
    assert edge.window == 15.0 and edge.whole_records, "up to 15 s a record is one window"
    beyond = build(ArraySource(LONG.data[:, :, :1501], FS, LEADS, False))
    assert beyond.window == 10.0 and not beyond.whole_records


def test_records_without_a_sample_are_not_trained_on():
    x = np.array(EQUAL.data)
    x[[2, 5]] = np.nan
    data = build(ArraySource(x, FS, LEADS, True))
    np.testing.assert_array_equal(data.usable, np.delete(np.arange(9), [2, 5]))


def test_measures_do_not_depend_on_threads_or_blocks(equal):
    threads = equal_records(n_jobs=2)
    assert threads.digest() == equal.digest()
    records = RecordSource([ECGRecord(x, FS, LEADS) for x in EQUAL.data], False)
    again = build(records, EQUAL.rpeaks)
    np.testing.assert_allclose(again.known.records.values, equal.known.records.values, atol=1e-4)


def test_arguments_in_columns_belong_to_records_by_position(equal):
    """Whatever the index of the column."""
    index = np.arange(9)[::-1]
    groups = np.arange(9) // 2
    found = build(equal.source, pd.Series(EQUAL.rpeaks, index=index), groups=pd.Series(groups, index=index))
    assert found.digest() == build(equal.source, EQUAL.rpeaks, groups=groups).digest()
    found = build(equal.source, pd.Series(EQUAL.rpeaks, index=index + 5))
    np.testing.assert_array_equal(found.beat_time, equal.beat_time)


def test_digest_tells_data_apart(equal):
    assert equal_records().digest() == equal.digest()
    grouped = equal_records(groups=np.arange(9) // 2)
    other_peaks = build(equal.source, [r[1:] for r in EQUAL.rpeaks])
    turned = build(ArraySource(EQUAL.data[::-1], FS, LEADS, False), EQUAL.rpeaks[::-1])
    last = np.array(EQUAL.data)
    last[-1, -1, -1] += 1e-3
    one_sample = build(ArraySource(last, FS, LEADS, False), EQUAL.rpeaks)
    digests = [equal.digest(), grouped.digest(), other_peaks.digest(), turned.digest(), one_sample.digest()]
    assert len(set(digests)) == 5


class Counted(BeatSSL):
    """Counts the blocks that it measures."""

    seen: list[int] = []

    def measure(self, block, rpeaks, front_end):
        self.seen.append(len(block.rows))
        return super().measure(block, rpeaks, front_end)


def test_measurements_are_remembered(equal, tmp_path):
    """By the samples, whatever else the objective is set to."""
    Counted.seen.clear()
    measured = [
        equal_records(objective=Counted(beat_feature_weight=0, temperature=t, perplexity=5), memory=str(tmp_path))
        for t in (0.1, 0.5)
    ]
    assert Counted.seen == [9]
    for records in measured:
        np.testing.assert_array_equal(records.known.records.values, equal.known.records.values)
        assert records.digest() == equal.digest()
    equal_records(objective=Counted(beat_feature_weight=1), memory=str(tmp_path))
    build(ArraySource(EQUAL.data[::-1], FS, LEADS, False), objective=Counted(), memory=str(tmp_path))
    assert Counted.seen == [9, 9, 9], "other measurements and other records are measured"


# Windows and their beats


def test_starts_leave_room_for_the_window(unequal):
    rng = np.random.default_rng(0)
    every = np.arange(7)
    starts = np.stack([unequal.draw_start(every, rng, unequal.window) for _ in range(400)])
    slack = np.maximum(unequal.duration - unequal.window, 0)
    assert (starts >= 0).all() and (starts <= slack).all()
    np.testing.assert_allclose(starts.mean(axis=0), slack / 2, atol=0.1 * slack.max())
    assert (starts[:, slack == 0] == 0).all()


def literal_beats(data, index, start, window):
    """Loop over records and beats, as one would write it down."""
    beats, rows, times = [], [], []
    for row, (record, begin) in enumerate(zip(index, start, strict=True)):
        length = min(data.window, data.duration[record])
        for beat in range(data.beat_offset[record], data.beat_offset[record + 1]):
            time = data.beat_time[beat] - begin
            if time >= window[0] and time + window[1] <= length:
                beats.append(beat)
                rows.append(row)
                times.append(time)
    return beats, rows, times


@pytest.mark.parametrize("seed", range(8))
def test_beats_inside_the_windows(unequal, seed):
    rng = np.random.default_rng(seed)
    index = rng.permutation(7)[: rng.integers(1, 8)]
    start = unequal.draw_start(index, rng, unequal.window)
    found = unequal.beats_of(index, start, unequal.window)
    for a, b in zip(found, literal_beats(unequal, index, start, WINDOW), strict=True):
        np.testing.assert_allclose(a, b)
    assert len(found[0]) > 0 and found[0].dtype == found[1].dtype == np.int64


def test_records_without_beats_have_none_in_their_windows(equal):
    peaks = [r if i % 2 else r[:0] for i, r in enumerate(EQUAL.rpeaks)]
    data = build(equal.source, peaks)
    beats, rows, _ = data.beats_of(np.array([0, 1, 2, 3]), np.zeros(4), data.window)
    assert set(rows.tolist()) == {1, 3} and len(beats) == len(rows)
    nothing = build(equal.source, [r[:0] for r in EQUAL.rpeaks])
    assert [len(a) for a in nothing.beats_of(np.arange(9), np.zeros(9), nothing.window)] == [0, 0, 0]
    assert len(nothing.beat_time) == 0
