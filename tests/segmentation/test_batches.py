"""Training windows of `WaveSegmenter`: labels that stay with their samples, whatever is done to the signal."""

from math import ceil

import numpy as np
import pytest
import torch

from beatssl_sklearn.segmentation.augment import WaveAugment
from beatssl_sklearn.segmentation.batches import IGNORED, AnnotatedRecord, WaveBatches

FS = 100.0
PLAIN = {"stretch": 1, "gain": 1, "noise": 0, "low_rate": 0, "lead_subset": 0, "background": 0}
SIZE = 1 + np.arange(12, dtype=np.float32)


def labels(n_times=1000, seed=0):
    """Labels that last for 7 to 20 samples."""
    rng = np.random.default_rng(seed)
    return np.repeat(rng.integers(0, 4, n_times), rng.integers(7, 21, n_times))[:n_times].astype(np.int8)


def record(n_times=1000, seed=0, size=SIZE):
    """A record whose signal is its mask, larger from lead to lead."""
    mask = np.repeat(labels(n_times, seed)[:, None], 12, axis=1)
    return AnnotatedRecord(mask * size, mask)


RECORDS = [record(seed=seed) for seed in range(5)]


def batches(records=RECORDS, index=None, augment="default", **changes):
    params = {"batch_size": 2, "fs": FS, "fs_encoder": FS, "window": 2.56, "n_leads": 3, "seed": 0} | changes
    index = np.arange(len(records)) if index is None else np.asarray(index)
    if augment == "default":
        augment = WaveAugment()
    elif isinstance(augment, dict):
        augment = WaveAugment(**(PLAIN | augment))
    return WaveBatches(records, index, device=torch.device("cpu"), augment=augment, **params)


def collect(given, epoch=0):
    """Leads, signals and labels of one epoch, over all batches with as many leads."""
    given.epoch = epoch
    found = [(inputs["leads"].numpy(), inputs["signal"].numpy(), target.numpy()) for inputs, target in given]
    return [np.concatenate(part) for part in zip(*found, strict=True)]


def which_lead(leads, target):
    """The lead that each row is, by its size."""
    known = target > 0
    with np.errstate(invalid="ignore"):
        ratio = (leads * known).sum(-1) / (target * known).sum(-1)
    return np.round(ratio).astype(int) - 1


def near_a_change(target, reach=1):
    change = np.zeros(target.shape, bool)
    for shift in range(-reach, reach + 1):
        change |= np.roll(target, shift, axis=-1) != target
    change[..., :reach], change[..., -reach:] = True, True
    return change


# Windows


@pytest.mark.parametrize("augment", [None, {}, "default"])
def test_types_and_shapes(augment):
    for inputs, target in batches(augment=augment, fs_encoder=50.0, batch_size=3):
        n, n_leads, n_times = inputs["leads"].shape
        assert n in (2, 3) and n_times == 256 and n_leads <= (12 if augment is None else 3)
        assert target.shape == (n, n_leads, n_times) and inputs["signal"].shape == (n, 128, 12)
        assert inputs["leads"].dtype == inputs["signal"].dtype == torch.float32 and target.dtype == torch.int8
        assert inputs["leads"].is_contiguous() and inputs["signal"].is_contiguous() and target.is_contiguous()


@pytest.mark.parametrize("augment", [None, {}])
def test_signal_and_mask_are_cut_out_at_one_place(augment):
    leads, signal, target = collect(batches(augment=augment))
    lead = which_lead(leads, target)
    np.testing.assert_allclose(leads, target * SIZE[lead][:, :, None], rtol=1e-6)
    # Labels are those of the lead beside them, and the encoder sees the same stretch.
    np.testing.assert_allclose(signal[..., 3], 4 * target[:, 0], rtol=1e-6)
    assert (target != IGNORED).all()


@pytest.mark.parametrize("stretch", [1.3, 3.0])
def test_signal_and_mask_are_stretched_together(stretch):
    leads, signal, target = collect(batches([record(6000)], augment={"stretch": stretch}, n_leads=12))
    lead = which_lead(leads, target)
    values = leads / SIZE[lead][:, :, None]
    known = target != IGNORED
    inside = known & ~near_a_change(target, reach=ceil(stretch / 2))
    assert known.all() and inside.mean() > 0.4
    assert np.abs(values - target)[inside].max() < 1e-5
    # Between samples the nearest label holds, so that a boundary is half a sample off at most.
    assert np.abs(values - target)[known].max() <= 1.51
    assert np.abs(signal[..., 0] - values[:, 0])[known[:, 0]].max() < 1e-5


def test_stretch_changes_durations_within_its_range():
    pulse = np.tile(np.repeat([0, 2], [60, 20]), 80).astype(np.int8)
    mask = np.repeat(pulse[:, None], 12, axis=1)
    given = [AnnotatedRecord(mask * SIZE, mask)]
    lengths = []
    for epoch in range(8):
        for row in collect(batches(given, augment={"stretch": 2}), epoch)[2][:, 0]:
            edges = np.flatnonzero(np.diff(row))
            runs, label = np.diff(edges), row[edges[:-1] + 1]
            lengths += runs[label == 2].tolist()
    assert 10 <= min(lengths) + 1 < 15 and 28 < max(lengths) <= 41


@pytest.mark.parametrize("augment", [None, {}, {"stretch": 1.5}, "default"])
def test_samples_beyond_a_record_are_ignored(augment):
    # The last label is one that shows.
    mask = np.full((120, 12), 2, np.int8)
    mask[:60] = 1
    leads, signal, target = collect(batches([AnnotatedRecord(mask * SIZE, mask)], augment=augment, n_leads=12))
    shown = (target != IGNORED)[0, 0]
    n_known = int(shown.sum())
    assert 120 / 1.5 - 1 <= n_known <= 120 * 1.5 + 1 and shown[:n_known].all()
    assert (target[..., n_known:] == IGNORED).all() and (target[..., :n_known] > 0).all()
    if augment != "default":
        assert not leads[..., n_known:].any() and not signal[:, n_known:].any()


def test_a_record_of_few_samples():
    leads, _, target = collect(batches([record(31)], augment=None, n_leads=12))
    assert leads.shape == (1, 12, 256) and (target[..., 31:] == IGNORED).all() and (target[..., :31] >= 0).all()


def test_windows_lie_all_over_the_record():
    ramp = np.repeat(np.arange(6000, dtype=np.float32)[:, None], 12, axis=1)
    given = [AnnotatedRecord(ramp, np.zeros((6000, 12), np.int8))]
    starts = np.concatenate([collect(batches(given, augment={}), epoch)[0][:, 0, 0] for epoch in range(20)])
    assert starts.min() >= 0 and starts.max() <= 6000 - 256
    assert np.histogram(starts, 4, (0, 5744))[0].min() > 10


def test_windows_lie_where_the_annotations_are():
    """Annotators mark a few beats of a record: its other samples would teach nothing."""
    mask = np.full((6000, 12), IGNORED, np.int8)
    mask[3000:3600, 4] = 1
    ramp = np.repeat(np.arange(6000, dtype=np.float32)[:, None], 12, axis=1)
    for epoch in range(5):
        leads, _, target = collect(batches([AnnotatedRecord(ramp, mask)], augment={}), epoch)
        assert leads[:, 0, 0].min() >= 2900 and leads[:, 0, -1].max() < 3700
        assert (target == 1).any(axis=(1, 2)).all()


def test_a_window_for_every_ten_seconds():
    records = [record(n) for n in (30, 1000, 1400, 3000, 6100)]
    given = batches(records, batch_size=3, augment={})
    assert np.array_equal(np.bincount(given.index), [1, 1, 1, 3, 6])
    sizes = [len(target) for _, target in given]
    assert len(given) == len(sizes) == 4 and sum(sizes) == 12 and set(sizes) == {3}
    assert [len(t) for _, t in batches(records, batch_size=5, augment={})] == [4, 4, 4]
    assert [len(t) for _, t in batches(records, batch_size=100, augment={})] == [12]


def test_only_the_records_asked_for():
    coded = [AnnotatedRecord(np.full((300, 12), i, np.float32), np.zeros((300, 12), np.int8)) for i in range(5)]
    leads, signal, _ = collect(batches(coded, index=[4, 1, 2], augment=None))
    assert sorted(leads[:, 0, 0].tolist()) == [1, 2, 4] == sorted(signal[:, 0, 0].tolist())
    orders = {tuple(collect(batches(coded, augment={}), epoch)[0][:, 0, 0].tolist()) for epoch in range(6)}
    assert len(orders) > 3


def test_the_encoder_sees_the_same_time_at_its_rate():
    click = np.zeros((1000, 12), np.float32)
    click[400:420] = 1
    mask = np.zeros((1000, 12), np.int8)
    mask[400:420] = 2
    for fs_encoder in (50.0, 250.0):
        for epoch in range(4):
            leads, signal, target = collect(
                batches([AnnotatedRecord(click, mask)], augment={"stretch": 1.5}, fs_encoder=fs_encoder), epoch
            )
            assert signal.shape == (1, round(2.56 * fs_encoder), 12)
            if (target == 2).any():
                middle = np.flatnonzero(target[0, 0] == 2).mean() / FS
                weight = np.maximum(signal[0, :, 0] - 0.1, 0)
                assert abs((weight * np.arange(len(weight))).sum() / weight.sum() / fs_encoder - middle) < 0.02


# Draws


@pytest.mark.parametrize("augment", [None, "default"])
def test_seed_and_epoch_say_everything(augment):
    def epoch(given, number=0):
        given.epoch = number
        return [(inputs["leads"], inputs["signal"], target) for inputs, target in given]

    def same(a, b):
        pairs = [(x, y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True)]
        return all(x.shape == y.shape and torch.equal(x, y) for x, y in pairs)

    given = batches(augment=augment)
    first = epoch(given)
    assert same(epoch(given), first) and same(epoch(batches(augment=augment)), first)
    assert same(epoch(given, 3), epoch(batches(augment=augment), 3))
    assert same(epoch(given, 3), first) == (augment is None)
    assert not same(epoch(batches(augment=augment, seed=1)), first)


def test_records_are_not_changed():
    records = [record(seed=seed) for seed in range(2)]
    for array in [array for r in records for array in r]:
        array.setflags(write=False)
    collect(batches(records, augment={"noise": 1, "low_rate": 1, "gain": 2, "stretch": 2, "lead_subset": 1}))
    assert np.array_equal(records[1].signal, record(seed=1).signal)


# What varies


def one_window(seed=0, fs=FS, **augment):
    """One window, the same place and stretch for one seed, of leads that are alike."""
    given = [record(1500, size=np.ones(12, np.float32))]
    _, signal, target = collect(batches(given, augment=augment, n_leads=12, seed=seed, fs=fs, fs_encoder=fs))
    return signal[0], target[0]


@pytest.mark.parametrize(
    ("fs", "augment"),
    [(FS, {"noise": 1}), (FS, {"noise": 1, "noise_mv": 2}), (500.0, {"low_rate": 1}), (FS, {"gain": 2})],
)
def test_noise_rates_and_gains_leave_the_labels(fs, augment):
    for seed in range(5):
        signal, target = one_window(seed, fs)
        varied, again = one_window(seed, fs, **augment)
        assert np.array_equal(target, again)
        assert np.abs(varied - signal).max() > 1e-3


def test_noise_has_the_size_asked_for():
    rms = []
    for seed in range(30):
        noise = one_window(seed, noise=1, noise_mv=0.4)[0] - one_window(seed)[0]
        rms.append(float(np.sqrt((noise[:, 6:] ** 2).mean())))
        np.testing.assert_allclose(noise[:, 0] + noise[:, 2], noise[:, 1], atol=1e-4)
    # In units of .2 mV, log-uniform from a twentieth on; the simulated noise has a root mean square of about one.
    assert 0.04 < min(rms) < 0.3 and 0.8 < max(rms) < 4


def test_a_window_of_noise_alone_has_no_waves():
    rms = []
    for seed in range(30):
        noise, target = one_window(seed, background=1)
        assert not target.any()
        np.testing.assert_allclose(noise[:, 0] + noise[:, 2], noise[:, 1], atol=1e-3)
        rms.append(float(np.sqrt((noise[:, 6:] ** 2).mean())) * 0.2)
    assert 0.005 < min(rms) < 0.1 < max(rms) < 3


def test_leads_that_are_absent_stay_so_in_a_window_of_noise():
    size = np.ones(12, np.float32)
    size[3:] = 0
    given = [record(1500, size=size)]
    _, signal, target = collect(batches(given, augment={"background": 1}, n_leads=12, window=2.56))
    assert signal[..., :3].any() and not signal[..., 3:].any()
    assert ((target != IGNORED).any(-1).sum(1) == 3).all() and not (target > 0).any()


def test_a_lower_rate_blunts_without_a_shift():
    for seed in range(6):
        mask = np.repeat(labels(3000)[:, None], 12, axis=1)
        given = [AnnotatedRecord(mask.astype(np.float32), mask)]
        sharp, blunt = (
            collect(batches(given, augment={"low_rate": p}, fs=500.0, fs_encoder=500.0, seed=seed))[1][0, :, 0]
            for p in (0, 1)
        )
        assert sharp.shape == blunt.shape and 0.9 < np.corrcoef(sharp, blunt)[0, 1] < 1 - 1e-6
        lags = [np.corrcoef(sharp[20:-20], np.roll(blunt, lag)[20:-20])[0, 1] for lag in range(-4, 5)]
        assert np.argmax(lags) == 4


def test_gains_of_leads_differ_less_than_those_of_records():
    gains = np.array([
        (one_window(seed, gain=4)[0] / np.maximum(one_window(seed)[0], 1e-9))[one_window(seed)[0][:, 0] > 0].mean(0)
        for seed in range(12)
    ])  # fmt: skip
    assert gains.min() >= 1 / 8 - 1e-3 and gains.max() <= 8 + 1e-3
    assert np.log(gains).mean(axis=1).std() > np.log(gains / gains.mean(axis=1, keepdims=True)).std() > 0.1


def test_absent_leads_stay_absent():
    mask = np.full((1000, 12), IGNORED, np.int8)
    mask[:, [1, 7]] = labels()[:, None]
    signal = np.where(mask == IGNORED, 0, mask * SIZE).astype(np.float32)
    augment = {"noise": 1, "low_rate": 1, "gain": 2}
    for epoch in range(4):
        leads, shown, target = collect(batches([AnnotatedRecord(signal, mask)], augment=augment), epoch)
        assert leads.shape[1] == 2 and (target != IGNORED).any(-1).all()
        assert np.array_equal(shown.any(axis=(0, 1)), np.isin(np.arange(12), [1, 7]))


def test_annotated_leads_come_first():
    records = []
    for annotated in (range(12), [2, 5, 9], [4]):
        mask = np.full((1000, 12), IGNORED, np.int8)
        mask[:, list(annotated)] = 1
        records.append(AnnotatedRecord(np.ones((1000, 12), np.float32) * SIZE, mask))
    for epoch in range(4):
        leads, _, target = collect(batches(records, augment={}, batch_size=3, n_leads=4), epoch)
        assert leads.shape[1] == 4
        assert sorted((target == 1).all(-1).sum(1).tolist()) == [1, 3, 4]
        for row, truth in zip(leads[:, :, 0], target[:, :, 0], strict=True):
            assert len(set(row.tolist())) == 4
            if (truth == 1).sum() == 3:
                assert set(row[truth == 1].tolist()) == {3, 6, 10}


def test_a_batch_without_a_label():
    nothing = AnnotatedRecord(np.zeros((1000, 12), np.float32), np.full((1000, 12), IGNORED, np.int8))
    for augment in (None, "default"):
        leads, _, target = collect(batches([nothing], augment=augment))
        assert leads.shape[1] == 1 and (target == IGNORED).all() and not leads.any()


def test_the_encoder_is_shown_a_subset_that_holds_the_labelled_leads():
    n_shown = []
    for epoch in range(25):
        given = batches(RECORDS, augment={"lead_subset": 1}, batch_size=1)
        given.epoch = epoch
        for inputs, target in given:
            shown = inputs["signal"].numpy().any(axis=1)
            lead = which_lead(inputs["leads"].numpy(), target.numpy())
            assert shown[0, lead[0]].all()
            n_shown.append(int(shown.sum()))
    assert min(n_shown) <= 2 and max(n_shown) >= 11 and len(set(n_shown)) > 8
    for inputs, _ in batches(RECORDS, augment={}):
        assert inputs["signal"].numpy().any(axis=1).all()


def test_other_leads_are_labelled_each_time():
    seen = [set(), set()]
    for epoch in range(20):
        leads, _, target = collect(batches(RECORDS[:1], augment={}), epoch)
        for k in range(2):
            seen[k].add(int(which_lead(leads, target)[0, k]))
    assert min(map(len, seen)) > 6


# Scores


def test_the_score_is_the_mean_dice_of_the_waves():
    given = batches(augment=None, n_leads=12)
    truth = [target for _, target in given]

    def logits(found):
        return [torch.nn.functional.one_hot(t.long().clamp_min(0), 4).float() for t in found]

    given.epoch = 3
    assert given.score(logits(truth)) == {"valid_dice": 1.0}
    # T is taken for background.
    without_t = [torch.where(t == 3, 0, t) for t in truth]
    assert given.score(logits(without_t))["valid_dice"] == pytest.approx(2 / 3)
    nothing = [torch.zeros_like(t) for t in truth]
    assert given.score(logits(nothing)) == {"valid_dice": 0.0}


def test_ignored_samples_do_not_score():
    mask = np.full((1000, 12), IGNORED, np.int8)
    mask[100:200, 2] = 2
    mask[200:300, 2] = 1
    given = batches([AnnotatedRecord(np.ones((1000, 12), np.float32), mask)], augment=None, n_leads=12, window=10.24)
    found = [torch.full((*target.shape, 4), 0.0) for _, target in given]
    for logits, (_, target) in zip(found, given, strict=True):
        logits[..., 3] = 1
        logits[target == 2] = torch.tensor([0.0, 0.0, 2.0, 0.0])
    # QRS is found, P is taken for T. The T found in samples without a label is no error.
    assert given.score(found)["valid_dice"] == pytest.approx(1 / 3)
