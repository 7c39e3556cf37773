"""Batches for fine-tuning: views of records and their beats for training, records as they are for validation."""

import numpy as np
import pytest
import torch

from beatssl_sklearn import ECGRecord, FrontEnd, NoViews, make_ecg
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.finetuning.batches import LabelledBatches, LabelledRecords, read_labelled
from beatssl_sklearn.finetuning.labels import encode_labels, macro_auroc
from beatssl_sklearn.inputs.source import ArraySource, RecordSource

FS, STRIDE = 100.0, 4.0
N = 11
Y = np.arange(N) % 3
X = make_ecg(N, fs=FS, duration=4, random_state=0).data.astype(np.float32)
X.setflags(write=False)
FRONT_END = FrontEnd()


def records_of(signal=X, y=Y, front_end=FRONT_END, class_weight=None, allow_nan=False):
    source = ArraySource(signal, FS, LEADS, allow_nan)
    return read_labelled(source, front_end, encode_labels(y, len(y), class_weight))


def batches(records, index=None, **changes):
    params = {"batch_size": 4, "views": NoViews(), "dropout": 0.0, "n_dims": 6, "stride": STRIDE, "seed": 0} | changes
    index = records.usable if index is None else np.asarray(index)
    return LabelledBatches(records, index, device=torch.device("cpu"), **params)


def epoch(given, number=0):
    given.epoch = number
    return list(given)


def prepared(signal=X, front_end=FRONT_END):
    (block,) = ArraySource(signal, FS, LEADS, False).read(np.arange(len(signal)), len(signal))
    return front_end(block).signal


# Records


def test_records_are_read_once_with_their_beats():
    records = records_of()
    assert records.window == 4 and (records.duration == 4).all() and records.usable.tolist() == list(range(N))
    (block,) = records.source.read(np.arange(N), N)
    expected = [r / FS for r in FRONT_END.find_rpeaks(block)]
    assert all(np.array_equal(a, b) for a, b in zip(records.beat_time, expected, strict=True))


def test_lost_records_are_not_usable():
    gaps = X.copy()
    gaps[3], gaps[5, :, :50] = np.nan, np.nan
    assert records_of(gaps, allow_nan=True).usable.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]
    gaps[1:] = np.nan
    with pytest.raises(ValueError, match="n_samples = 11: 1 records hold a sample, at least 2 are needed"):
        records_of(gaps, allow_nan=True)


def test_regions_are_the_beats_that_lie_inside_the_window():
    front_end = FrontEnd(beat_window=(0.2, 0.3))
    records = records_of(front_end=front_end)
    records.window = 2.5
    index, start = np.array([4, 7]), np.array([0.5, 1.25])
    found = records.regions(index, start, STRIDE)
    for row, (i, first) in enumerate(zip(index, start, strict=True)):
        beats = records.beat_time[i] - first
        beats = beats[(beats >= 0.2) & (beats + 0.3 <= 2.5)]
        own = found["roi_record"].numpy() == row
        assert own.sum() == len(beats) > 0
        # The token coordinate of a sample s is (s + .5) / stride - .5.
        for name, shift in (("roi_start", -0.2), ("roi_end", 0.3)):
            expected = ((beats + shift) * FS + 0.5) / STRIDE - 0.5
            np.testing.assert_allclose(found[name].numpy()[own], expected, atol=1e-6)


def test_records_of_any_length_share_a_window():
    records = [ECGRecord(np.tile(X[i], 4)[:, :n], FS, LEADS) for i, n in enumerate((250, 400, 1600, 1200))]
    found = read_labelled(RecordSource(records, False), FRONT_END, encode_labels(Y[:4], 4, None))
    assert found.window == 10 and found.duration.tolist() == [2.5, 4, 16, 12]
    for inputs, _ in batches(found, batch_size=2):
        assert inputs["signal"].shape == (2, 1000, 12)
    # A shorter record is repeated, and its beats are those of one run.
    signal, _ = found.read(np.array([0]), np.zeros(1))
    assert torch.equal(signal[0, :250], signal[0, 250:500])
    regions = found.regions(np.array([0]), np.zeros(1), STRIDE)
    assert len(regions["roi_start"]) == len(found.beat_time[0]) and regions["roi_end"].max() < 250 / STRIDE


# Batches


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [(11, 4, [4, 4, 3]), (11, 11, [11]), (11, 100, [11]), (9, 8, [5, 4]), (3, 2, [3]), (5, 2, [3, 2]), (2, 2, [2])],
)
def test_no_record_is_lost_and_none_is_alone(n, batch_size, sizes):
    given = batches(records_of(), range(n), batch_size=batch_size)
    found = [len(inputs["signal"]) for inputs, _ in epoch(given)]
    assert found == sizes and len(given) == len(sizes)


def test_training_shuffles_and_validation_does_not():
    records = records_of()
    labels = [torch.cat([y for _, (y, _) in epoch(batches(records), k)]).tolist() for k in range(4)]
    assert all(sorted(row) == sorted(Y.tolist()) for row in labels) and len(set(map(tuple, labels))) > 2
    given = batches(records, [5, 2, 7, 1], views=None)
    assert torch.cat([y for _, (y, _) in epoch(given, 3)]).tolist() == Y[[5, 2, 7, 1]].tolist()
    signal = torch.cat([inputs["signal"] for inputs, _ in epoch(given)])
    np.testing.assert_array_equal(signal.numpy(), prepared()[[5, 2, 7, 1]])


def test_labels_and_weights_are_those_of_their_records():
    coded = np.repeat(np.arange(1, N + 1, dtype=np.float32)[:, None, None], 12, axis=1) * X[:1, :1]
    with pytest.warns(UserWarning, match="all leads are the same signal"):
        records = records_of(coded, np.stack([Y == 1, Y != 0], axis=1).astype(int), class_weight={0: 5.0})
    scale = prepared(coded).std(axis=(1, 2))
    for inputs, (labels, weights) in epoch(batches(records), 2):
        which = np.abs(inputs["signal"].numpy().std(axis=(1, 2))[:, None] - scale).argmin(axis=1)
        assert np.array_equal(labels, records.targets.values[which])
        assert np.array_equal(weights, records.targets.weights[which])


def test_seed_and_epoch_decide_everything():
    def views(x, present, generator):
        return x + torch.rand(len(x), 1, 1, generator=generator), present

    def same(a, b):
        return all(
            torch.equal(p[name], q[name]) for (p, _), (q, _) in zip(a, b, strict=True) for name in ("signal", "keep")
        )

    records = records_of()
    state = torch.get_rng_state()
    first = epoch(batches(records, views=views, dropout=0.3), 1)
    given = batches(records, views=views, dropout=0.3)
    epoch(given)
    assert same(first, epoch(given, 1)) and not same(first, epoch(given, 2))
    assert not same(first, epoch(batches(records, views=views, dropout=0.3, seed=1), 1))
    assert torch.equal(torch.get_rng_state(), state)


def test_views_see_the_signal_and_the_leads_present():
    seen = []

    def views(x, present, generator):
        seen.append((x.clone(), present))
        return -x, present

    source = ArraySource(X[:, [1, 7]], FS, ("II", "V2"), False)
    records = read_labelled(source, FRONT_END, encode_labels(Y, N, None))
    found = epoch(batches(records, views=views))
    for (x, present), (inputs, _) in zip(seen, found, strict=True):
        assert torch.equal(inputs["signal"], -x) and present.dtype == torch.bool
        assert torch.equal(present, x.any(dim=1)) and present[:, [1, 7]].all() and present.sum() == 2 * len(x)


def test_dropout_keeps_its_share_and_the_mean():
    records = records_of()
    drawn = (epoch(batches(records, dropout=0.4, n_dims=50), k) for k in range(20))
    kept = torch.cat([inputs["keep"] for found in drawn for inputs, _ in found])
    assert kept.shape == (20 * N, 50) and kept.unique().tolist() == pytest.approx([0.0, 1 / 0.6])
    assert (kept > 0).float().mean().item() == pytest.approx(0.6, abs=0.02)
    for given in (batches(records), batches(records, views=None, dropout=0.4)):
        assert all("keep" not in inputs for inputs, _ in given)


def test_pieces_of_long_records_begin_anywhere_and_their_beats_with_them():
    long = make_ecg(4, fs=FS, duration=13, random_state=1).data.astype(np.float32)
    records = records_of(long, Y[:4])
    assert records.window == 13
    records.window, pieces = 5.0, []

    def read(index, start):
        pieces.append((index, start))
        return LabelledRecords.read(records, index, start)

    records.read = read
    found = [inputs for k in range(30) for inputs, _ in epoch(batches(records), k)]
    starts = np.concatenate([start for _, start in pieces])
    assert starts.min() >= 0 and starts.max() <= 8 and np.histogram(starts, 4, (0, 8))[0].min() > 15
    for inputs, (index, start) in zip(found, pieces, strict=True):
        first = np.round(start * FS).astype(int)
        cut = np.stack([long[i, :, a : a + 500] for i, a in zip(index, first, strict=True)])
        np.testing.assert_array_equal(inputs["signal"].numpy(), prepared(cut))
        expected = records.regions(index, start, STRIDE)
        assert all(torch.equal(inputs[name], region) for name, region in expected.items())


# Scores


def test_the_mean_area_leaves_constant_classes_out():
    members = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]], dtype=bool)
    logits = np.array([[2.0, 0, 0], [0, 1, 0], [1, 1, 0], [3, 0, 0]])
    assert macro_auroc(members, logits, softmax=True) == 1
    assert macro_auroc(members[:, :2], np.array([[-1.0], [1], [-1], [-1]]), softmax=False) == 0.75
    assert np.isnan(macro_auroc(members[:1], logits[:1], softmax=True))


def test_labels_that_are_several_are_ranked_one_by_one():
    members = np.array([[1, 1], [1, 0], [0, 0]], dtype=bool)
    # Among the probabilities of a softmax, the first record's would be the least of class 0.
    logits = np.array([[2.0, 9], [1, -5], [-1, -1]])
    assert macro_auroc(members, logits, softmax=False) == 1
    assert macro_auroc(members, logits, softmax=True) < 1


@pytest.mark.parametrize("y", [Y, Y == 1, np.stack([Y == 1, Y != 0], axis=1).astype(int)])
def test_the_score_is_the_mean_area_of_held_out_records(y):
    records = records_of(y=y)
    index = np.array([9, 0, 4, 2, 7, 8])
    given = batches(records, index, views=None)
    logits = np.random.default_rng(0).normal(size=(6, records.targets.n_outputs)).astype(np.float32)
    expected = macro_auroc(records.targets.indicators()[index], logits, records.targets.softmax)
    found = given.score([torch.from_numpy(logits[:4]), torch.from_numpy(logits[4:])])
    assert found == {"valid_auroc": expected} and 0 <= expected <= 1
