"""What a fit measures once, the windows that it draws, and the batches that it makes of them."""

import dataclasses

import numpy as np
import pytest
import torch

from beatssl_sklearn import ECGRecord, make_ecg
from beatssl_sklearn.ecg.beats import keep_inside
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.preprocess import preprocess
from beatssl_sklearn.inputs.source import ArraySource, RecordSource
from beatssl_sklearn.inputs.windows import cut_windows
from beatssl_sklearn.pretraining import batches as batches_module
from beatssl_sklearn.pretraining.batches import PretrainingBatches
from beatssl_sklearn.pretraining.measured import build_training_set

FS, WINDOW, STRIDE = 100.0, (0.25, 0.45), 2.0
EQUAL = make_ecg(9, rhythm="mixed", fs=FS, duration=4, random_state=0)
LONG = make_ecg(3, fs=FS, duration=24, random_state=1)
FAST = make_ecg(2, fs=250.0, duration=17, random_state=2)
BRIEF = make_ecg(2, fs=FS, duration=3, random_state=3)


def build(source, rpeaks=None, **params):
    defaults = {
        "fs_model": FS,
        "detector": "multilead",
        "beat_window": WINDOW,
        "measure_beats": False,
        "amplitude": "absolute",
        "perplexity": 5,
        "batch_size": 4,
        "rpeaks": rpeaks,
        "groups": None,
        "seed": 0,
        "n_jobs": None,
        "progress": False,
    }
    return build_training_set(source, **(defaults | params))


def equal_records(**params):
    return build(ArraySource(EQUAL.data, FS, LEADS, False), EQUAL.rpeaks, **params)


def unequal_records(**params):
    records, rpeaks = [], []
    for ecg in (LONG, FAST, BRIEF):
        records += [ECGRecord(x, ecg.fs, LEADS) for x in ecg.data]
        rpeaks += ecg.rpeaks
    # A source in which rates and lengths alternate.
    order = [0, 3, 1, 5, 4, 6, 2]
    source = RecordSource([records[i] for i in order], False)
    return build(source, [rpeaks[i] for i in order], **params)


@pytest.fixture(scope="module")
def equal():
    return equal_records()


@pytest.fixture(scope="module")
def unequal():
    return unequal_records()


def identity(x, present, generator):
    return x, present


def batches_of(data, index=None, **params):
    defaults = {
        "batch_size": 4,
        "augment": identity,
        "stride": STRIDE,
        "beat_window": WINDOW,
        "device": torch.device("cpu"),
        "seed": 0,
    }
    every = np.arange(data.source.n_records)
    numbered = dataclasses.replace(data, groups=every)  # tells which records a batch holds
    return PretrainingBatches(numbered, every if index is None else index, **(defaults | params))


# What is measured


def test_measures_of_equal_records(equal):
    assert equal.whole_records and (equal.window, equal.n_times) == (4.0, 400)
    np.testing.assert_array_equal(equal.duration, np.full(9, 4.0))
    np.testing.assert_array_equal(equal.usable, np.arange(9))
    kept = [keep_inside(r, 400, FS, WINDOW) for r in EQUAL.rpeaks]
    np.testing.assert_array_equal(equal.beat_offset, np.cumsum([0, *map(len, kept)]))
    np.testing.assert_allclose(equal.beat_time, np.concatenate(kept) / FS)
    n_beats = equal.beat_offset[-1]
    assert len(equal.beat_type) == len(equal.beat_cluster) == len(equal.beats.values) == n_beats
    assert equal.beats.values.shape[1] == 0, "beat features are measured where soft beat targets need them"
    values, present, weights, bandwidth = equal.records
    assert values.shape == present.shape == (9, len(weights)) and np.isfinite(values).all()
    assert weights.sum() == pytest.approx(1, abs=1e-5) and (bandwidth > 0).all() and bandwidth.shape == (9,)


def test_soft_beat_targets_need_beat_features():
    soft = equal_records(measure_beats=True)
    values, present, weights, bandwidth = soft.beats
    assert values.shape == present.shape == (soft.beat_offset[-1], len(weights)) and len(weights) > 0
    assert np.isfinite(values).all() and (bandwidth > 0).all()


def test_windows_of_unequal_records(unequal):
    assert not unequal.whole_records and (unequal.window, unequal.n_times) == (10.0, 1000)
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
    np.testing.assert_allclose(build(records, EQUAL.rpeaks).records.values, equal.records.values, atol=1e-4)


def test_digest_tells_data_apart(equal):
    assert equal_records().digest() == equal.digest()
    grouped = equal_records(groups=np.arange(9) // 2)
    other_peaks = build(equal.source, [r[1:] for r in EQUAL.rpeaks])
    turned = build(ArraySource(EQUAL.data[::-1], FS, LEADS, False), EQUAL.rpeaks[::-1])
    digests = [equal.digest(), grouped.digest(), other_peaks.digest(), turned.digest()]
    assert len(set(digests)) == 4


# Windows and their beats


def test_starts_leave_room_for_the_window(unequal):
    rng = np.random.default_rng(0)
    every = np.arange(7)
    starts = np.stack([unequal.draw_start(every, rng) for _ in range(400)])
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
    start = unequal.draw_start(index, rng)
    found = unequal.beats_of(index, start, WINDOW)
    for a, b in zip(found, literal_beats(unequal, index, start, WINDOW), strict=True):
        np.testing.assert_allclose(a, b)
    assert len(found[0]) > 0 and found[0].dtype == found[1].dtype == np.int64


def test_records_without_beats_have_none_in_their_windows(equal):
    peaks = [r if i % 2 else r[:0] for i, r in enumerate(EQUAL.rpeaks)]
    data = build(equal.source, peaks)
    beats, rows, _ = data.beats_of(np.array([0, 1, 2, 3]), np.zeros(4), WINDOW)
    assert set(rows.tolist()) == {1, 3} and len(beats) == len(rows)
    nothing = build(equal.source, [r[:0] for r in EQUAL.rpeaks])
    assert [len(a) for a in nothing.beats_of(np.arange(9), np.zeros(9), WINDOW)] == [0, 0, 0]
    assert len(nothing.beat_time) == 0


@pytest.mark.parametrize(("fs", "window"), [(100.0, 10.0), (250.0, 10.0), (257.0, 3.3)])
def test_windows_are_cut_where_they_begin(fs, window):
    signal = np.arange(2 * 3 * 6000, dtype=np.float32).reshape(2, 3, 6000)
    n = round(window * fs)
    last = (6000 - n) / fs
    for start in ([0.0, 1.0], [0.504, last], [last, last + 1]):
        cut = cut_windows(signal, fs, np.array(start), window)
        assert cut.shape == (2, 3, n)
        for x, piece, begin in zip(signal, cut, start, strict=True):
            first = min(round(begin * fs), 6000 - n)
            np.testing.assert_array_equal(piece, x[:, first : first + n])
    assert cut_windows(signal[:, :, : n - 1], fs, np.zeros(2), window).shape == (2, 3, n - 1)


# Batches


@pytest.mark.parametrize("batch_size", [2, 4, 5, 9, 100])
def test_an_epoch_holds_every_record_once(equal, batch_size):
    found = batches_of(equal, batch_size=batch_size)
    for epoch in range(3):
        found.epoch = epoch
        parts = [context.group.tolist() for _, context in found]
        assert len(parts) == len(found) == int(np.ceil(9 / batch_size))
        assert sorted(sum(parts, [])) == list(range(9))
        sizes = [len(p) for p in parts]
        assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1


def test_only_the_records_of_the_index(equal):
    index = np.array([7, 1, 4])
    parts = [context.group.tolist() for _, context in batches_of(equal, index, batch_size=2)]
    assert sorted(sum(parts, [])) == [1, 4, 7]


def noisy(x, present, generator):
    return x + torch.randn(x.shape, generator=generator), present


def as_arrays(batches):
    return [
        np.asarray(tensor) for views, context in batches for tensor in (*views.values(), *context) if tensor is not None
    ]


def test_draws_are_keyed_by_seed_and_epoch(unequal):
    def epoch(number, seed=0):
        found = batches_of(unequal, augment=noisy, seed=seed)
        found.epoch = number
        return as_arrays(found)

    first = epoch(0)
    epoch(1)
    for a, b in zip(first, epoch(0), strict=True):
        np.testing.assert_array_equal(a, b)
    for other in (epoch(1), epoch(0, seed=1)):
        assert not np.array_equal(first[0], other[0])


def test_two_views_of_each_record(equal):
    views, _ = next(iter(batches_of(equal, augment=noisy, batch_size=9)))
    a, b = views["signal"].chunk(2)
    assert a.shape == (9, 400, 12) and not torch.equal(a, b)
    assert abs(torch.corrcoef(torch.stack([(a - b).flatten(), a.flatten()]))[0, 1]) < 0.8
    record = views["roi_record"]
    n_beats = len(record) // 2
    assert torch.equal(record[n_beats:], record[:n_beats] + 9)
    for name in ("roi_start", "roi_end"):
        assert torch.equal(views[name][:n_beats], views[name][n_beats:])


def test_signals_are_those_that_transform_sees(equal):
    for views, context in batches_of(equal):
        ready = preprocess(EQUAL.data[context.group.numpy()], FS, FS, LEADS)
        np.testing.assert_allclose(views["signal"][: len(context.group)], ready.signal, atol=1e-5)
        np.testing.assert_array_equal(context.features, equal.records.values[context.group.numpy()])


@pytest.mark.parametrize("kind", ["equal", "unequal"])
def test_regions_lie_on_their_beats(kind, request):
    """A mark on every given R peak must be found where the region says that the peak is."""
    data = request.getfixturevalue(kind)
    marked, rpeaks = [], []
    for i in range(data.source.n_records):
        (block,) = data.source.read(np.array([i]), 1)
        signal = np.zeros((12, block.signal.shape[2]), dtype=np.float32)
        peaks = np.round(data.beat_time[data.beat_offset[i] : data.beat_offset[i + 1]] * block.fs).astype(int)
        signal[:, peaks] = np.linspace(1, 2, 12)[:, None]
        marked.append(ECGRecord(signal, block.fs, LEADS))
        rpeaks.append(peaks)
    marks = build(RecordSource(marked, False), rpeaks)
    seen = 0
    for views, _ in batches_of(marks):
        signal = views["signal"]
        centre = (views["roi_start"] + 0.5) * STRIDE - 0.5 + WINDOW[0] * FS
        width = (views["roi_end"] - views["roi_start"]) * STRIDE / FS
        np.testing.assert_allclose(width, sum(WINDOW), atol=1e-9)
        for row, sample in zip(views["roi_record"].tolist(), centre.tolist(), strict=True):
            around = signal[row, max(0, round(sample) - 20) : round(sample) + 21, 0]
            assert abs(int(around.argmax()) - min(20, round(sample))) <= 1
            seen += 1
    assert seen > 50


def test_brief_records_are_repeated_and_not_padded(unequal):
    for views, context in batches_of(unequal, batch_size=7):
        row = context.group.tolist().index(3)
        signal = views["signal"][row]
        assert signal.shape == (1000, 12)
        torch.testing.assert_close(signal[300:600], signal[:300])
        torch.testing.assert_close(signal[900:], signal[:100])
        ends = (views["roi_end"][views["roi_record"] == row] + 0.5) * STRIDE
        assert len(ends) and ends.max() <= 301, "the repetition has no beats of its own"


def test_contexts_belong_to_the_beats(equal):
    for views, context in batches_of(equal):
        n = len(context.group)
        n_beats = len(context.beat_record)
        assert torch.equal(views["roi_record"][:n_beats], context.beat_record)
        for row, record in enumerate(context.group.tolist()):
            first, last = equal.beat_offset[record], equal.beat_offset[record + 1]
            own = context.beat_record == row
            np.testing.assert_array_equal(context.beat_type[own], equal.beat_type[first:last])
            np.testing.assert_array_equal(context.beat_cluster[own], equal.beat_cluster[first:last])
        assert int(context.beat_record.max()) < n


def test_the_number_of_beats_is_capped(equal, monkeypatch):
    monkeypatch.setattr(batches_module, "MAX_BEATS", 7)
    kept = []
    for epoch in range(3):
        found = batches_of(equal, batch_size=9)
        found.epoch = epoch
        ((views, context),) = found
        assert len(views["roi_record"]) == 14 and len(context.beat_record) == len(context.beat_type) == 7
        assert (np.diff(context.beat_record) >= 0).all()
        pairs = set(zip(views["roi_record"][:7].tolist(), views["roi_start"][:7].tolist(), strict=True))
        assert len(pairs) == 7, "drawn without replacement"
        kept.append(pairs)
    assert kept[0] != kept[1] != kept[2]


def test_batches_without_beats(equal):
    nothing = build(equal.source, [r[:0] for r in EQUAL.rpeaks])
    for views, context in batches_of(nothing):
        assert len(views["roi_record"]) == len(views["roi_start"]) == len(context.beat_record) == 0
