"""Batches: every record once an epoch, drawn from the seed, with views and beats where they belong."""

import numpy as np
import pytest
import torch
from measured_records import EQUAL, FS, STRIDE, WINDOW, batches_of, build

from beatssl_sklearn import BeatSSL, ECGRecord
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.preprocess import preprocess
from beatssl_sklearn.inputs.source import RecordSource


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
        np.asarray(tensor)
        for views, context in batches
        for tensor in (*views.values(), *context)
        if tensor is not None
    ]


def test_draws_are_keyed_by_seed_and_epoch(unequal):
    def epoch(number, seed=0):
        found = batches_of(unequal, views=noisy, seed=seed)
        found.epoch = number
        return as_arrays(found)

    first = epoch(0)
    epoch(1)
    for a, b in zip(first, epoch(0), strict=True):
        np.testing.assert_array_equal(a, b)
    for other in (epoch(1), epoch(0, seed=1)):
        assert not np.array_equal(first[0], other[0])


def test_two_views_of_each_record(equal):
    views, _ = next(iter(batches_of(equal, views=noisy, batch_size=9)))
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
        np.testing.assert_array_equal(context.features, equal.known.records.values[context.group.numpy()])


# Marks in place of beats are no ECGs.
@pytest.mark.filterwarnings("ignore:(.|\\n)*is fs the sampling rate:UserWarning")
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


def test_progress_runs_from_0_to_1(equal):
    seen = []

    class Noted(BeatSSL):
        def draw(self, batch):
            seen.append(batch.progress)
            return super().draw(batch)

    found = batches_of(equal, n_epochs=2)
    found.objective = Noted()
    for epoch in range(2):
        found.epoch = epoch
        list(found)
    np.testing.assert_allclose(seen, np.arange(6) / 6)


def test_another_number_of_batches_is_refused(equal):
    class Fewer(BeatSSL):
        def batches(self, rows, groups, batch_size, rng):
            return super().batches(rows, groups, batch_size, rng)[1:]

    found = batches_of(equal)
    found.objective = Fewer()
    with pytest.raises(ValueError, match="Fewer.batches must return 3 arrays, got 2"):
        next(iter(found))


def test_windows_are_cut_from_the_records_on_a_gpu_as_they_are_read(equal):
    """The cache of a GPU, on the CPU: half precision, and windows on whole samples of the network."""
    read, cached = batches_of(equal), batches_of(equal)
    signal, there = read.read(np.arange(9), np.zeros(9), equal.window)
    cached._cache = signal.half(), there
    rows = np.array([3, 0, 8, 3])
    latest = equal.window - 1.5
    start = np.array([0.0, 0.37, latest, 9.0 * latest])
    expected, present = read.read(rows, np.minimum(start, latest), 1.5)
    found, there = cached.read(rows, start, 1.5)
    assert found.shape == expected.shape and torch.equal(there, present)
    scale = float(expected.abs().max())
    # A sample of the window that is read may lie half a sample of the network away.
    assert float((found - expected)[[0, 2, 3]].abs().max()) < 0.02 * scale
    torch.testing.assert_close(found.mean(dim=1), torch.zeros(4, 12), rtol=0, atol=1e-4 * scale)
    whole, _ = cached.read(rows, np.zeros(4), equal.window)
    torch.testing.assert_close(whole, read.read(rows, np.zeros(4), equal.window)[0], rtol=0, atol=1e-3 * scale)
