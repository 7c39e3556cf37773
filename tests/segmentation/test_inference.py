"""What WaveSegmenter reads: any leads, rate, length and container; and records that it refuses, by number and lead."""

import copy
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from scipy.special import expit

from beatssl_sklearn import BeatSSL, BeatSSLPretrainer, ECGRecord, FrontEnd, WaveAugment, make_ecg
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.waves.find import find_waves
from beatssl_sklearn.ecg.waves.table import CONSENSUS, empty_table
from beatssl_sklearn.segmentation.inference import SegmentationModel, _at_rate

PLAIN = WaveAugment(stretch=1, gain=1, noise=0, low_rate=0, lead_subset=0)
# What a network that has hardly learnt finds: complexes may be missing.
WEAK = {"need_qrs": False, "min_confidence": 0.5}
TINY = {
    "objective": BeatSSL(projection_dim=8),
    "fs": 250,
    "encoder_params": {"widths": (8, 8, 8), "n_dims": 8},
    "max_epochs": 0,
    "batch_size": 8,
    "random_state": 0,
    "device": "cpu",
}
LESSON = make_ecg(6, fs=250, noise=0.005, random_state=0)
ECG = make_ecg(3, fs=250, noise=0.005, random_state=50)
X, Y = ECG.data, ECG.masks
for array in (X, Y):
    array.setflags(write=False)
THREE = ("I", "II", "V1")


@pytest.fixture(scope="module")
def pre():
    return BeatSSLPretrainer(**TINY).fit(X)


@pytest.fixture(scope="module")
def learned(segmenter_of):
    """A network that finds most waves of simulated records."""
    params = {"fs_model": 250, "widths": (32, 32, 32, 32), "max_epochs": 10, "batch_size": 1, "lr": 3e-2}
    params |= {"wave_params": WEAK, "window": 5.12, "leads_per_window": 6, "augment": PLAIN}
    return segmenter_of(BeatSSLPretrainer(**TINY), **params).fit(LESSON.data, LESSON.masks)


def other(segmenter, **changes):
    """The same network with other parameters."""
    return copy.copy(segmenter).set_params(**changes)


def close(a, b, atol=1e-4):
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, atol=atol, rtol=0)


# One record, whatever stands beside it


def test_a_record_does_not_depend_on_the_others(learned):
    records = np.concatenate([X[:, :, k * 300 : k * 300 + 250] for k in range(7)])
    assert len(records) > 16
    together, table = learned.predict_proba(records), learned.delineate(records)
    for i in (0, 5, 15, 16, 20):
        close(learned.predict_proba(records[i : i + 1])[0], together[i])
        alone, among = learned.delineate(records[i : i + 1]), table[table.record == i]
        assert len(alone) == len(among) and np.allclose(alone.onset, among.onset, atol=0.05)
    backwards = learned.predict_proba(records[::-1])
    close(backwards[::-1], together)


@pytest.mark.parametrize("at_once", [1, 2])
def test_results_do_not_depend_on_what_is_run_at_once(learned, at_once, monkeypatch):
    expected = learned.predict_proba(X)
    monkeypatch.setattr("beatssl_sklearn.segmentation.inference._LEAD_SECONDS", at_once * 12 * 10.25)
    close(learned.predict_proba(X), expected)


def test_records_of_unequal_length_rate_and_leads(learned):
    slow = make_ecg(3, fs=125, noise=0.005, random_state=50).data
    records = [
        ECGRecord(X[0], 250.0, LEADS),
        ECGRecord(slow[1, [1, 6]], 125.0, ("MLII", "V1")),
        ECGRecord(X[2, :, :1300], 250.0, LEADS),
        ECGRecord(X[2], 250.0, LEADS),
    ]
    proba, labels = learned.predict_proba(records), learned.predict(records)
    assert proba.dtype == labels.dtype == object and proba.shape == labels.shape == (4,)
    shapes = [(12, 2500), (2, 1250), (12, 1300), (12, 2500)]
    assert [p.shape for p in proba] == [(*s, 4) for s in shapes] and [p.shape for p in labels] == shapes
    assert all(p.dtype == np.float32 for p in proba) and all(p.dtype == np.int8 for p in labels)
    close(proba[0], learned.predict_proba(X[:1])[0])
    close(proba[3], learned.predict_proba(X[2:])[0])
    table = learned.delineate(records, consensus=True)
    assert table.record.unique().tolist() == [0, 1, 2, 3]
    assert set(table[table.record == 1].lead) <= {"MLII", "V1", CONSENSUS}
    two = table[table.record == 1]
    np.testing.assert_allclose(two.onset / 125, two.onset_s)
    masks = [Y[0], make_ecg(3, fs=125, random_state=50).masks[1], Y[2, :1300], Y[2]]
    assert 0.6 < learned.score(records, masks) <= 1


def test_records_of_one_shape_are_one_array(learned):
    records = [ECGRecord(x, 250.0, LEADS) for x in X]
    assert learned.predict(records).shape == X.shape and learned.predict(records).dtype == np.int8
    assert np.array_equal(learned.predict_proba(records), learned.predict_proba(X))


def test_training_on_records_of_all_kinds(pre, segmenter_of):
    records = [
        ECGRecord(X[0], 250.0, LEADS),
        ECGRecord(X[1, [1, 6], :1500], 250.0, ("II", "V1")),
        ECGRecord(X[2, 3:4, ::2], 125.0, ("-aVR",)),
    ]
    masks = [Y[0], np.stack([Y[1, :1500]] * 2), Y[2, ::2]]
    found = segmenter_of(pre).fit(records, masks)
    assert found.n_features_in_ == 12
    assert [p.shape for p in found.predict(records)] == [(12, 2500), (2, 1500), (1, 1250)]
    assert 0 <= found.score(records, masks) <= 1
    with pytest.raises(ValueError, match="record 1: mask of shape .2500,. for 2 leads of 1500 samples"):
        segmenter_of(pre).fit(records, [Y[0], Y[1], Y[2, ::2]])


# Containers and types


@pytest.mark.parametrize("kind", ["float64", ">f4", "fortran", "strided", "memmap", "list", "float16"])
def test_arrays_of_all_kinds(learned, kind, tmp_path):
    given = X[:2]
    expected = learned.predict_proba(given)
    if kind == "fortran":
        given = np.asfortranarray(given)
    elif kind == "strided":
        given = np.repeat(np.repeat(given, 2, axis=2), 2, axis=0)[::2, :, ::2]
        assert not given.flags.c_contiguous
    elif kind == "memmap":
        np.save(tmp_path / "x.npy", given)
        given = np.load(tmp_path / "x.npy", mmap_mode="r")
    elif kind == "list":
        given = given.tolist()
    else:
        given = given.astype(kind)
    if kind == "float16":
        assert (learned.predict(given) == expected.argmax(-1)).mean() > 0.98
    else:
        close(learned.predict_proba(given), expected)


def test_training_reads_arrays_of_all_kinds(pre, tmp_path, segmenter_of):
    expected = segmenter_of(pre).fit(X, Y)
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", np.stack([Y] * 12, axis=1))
    mapped = [np.load(tmp_path / name, mmap_mode="r") for name in ("x.npy", "y.npy")]
    for given, masks in (mapped, (X.astype(np.float64), Y.astype(float)), (np.asfortranarray(X), Y.tolist())):
        found = segmenter_of(pre).fit(given, masks)
        for a, b in ((found.unet_, expected.unet_), (found.encoder_, expected.encoder_)):
            assert all(np.array_equal(array, b.weights[name]) for name, array in a.weights.items())


def test_whole_numbers_raise_a_warning(learned):
    with pytest.warns(UserWarning, match="ADC counts"):
        learned.predict((100 * X[:1]).astype(np.int16))


def test_tables_are_records_of_one_lead(pre, segmenter_of):
    table, masks = X[:, 1, :1000], Y[:, :1000]
    found = segmenter_of(pre, leads=["II"]).fit(table, masks)
    assert found.predict(table).shape == (3, 1, 1000) and found.n_features_in_ == 1000
    assert found.predict(pd.DataFrame(table).to_numpy()).shape == (3, 1, 1000)
    cube = segmenter_of(pre, leads=["II"]).fit(table[:, None], masks)
    assert np.array_equal(cube.predict_proba(table[:, None]), found.predict_proba(table))


def test_tables_after_training_on_more_leads(learned):
    found = other(learned, leads=["V2"])
    expected = found.predict_proba(X[:, 7:8])
    assert np.array_equal(found.predict_proba(X[:, 7]), expected)
    assert np.array_equal(found.predict_proba(pd.DataFrame(X[:, 7])), expected)
    with pytest.raises(ValueError, match=r"X has 1 leads but leads=\['V2', 'V3'\] names 2"):
        other(learned, leads=["V2", "V3"]).predict(X[:, 7])


# Leads


@pytest.mark.parametrize("names", [("II",), ("V2", "aVF"), ("I", "II", "V5"), ("V6", "I", "aVR", "V1", "III")])
def test_any_leads_by_name(learned, names):
    index = [LEADS.index(name) for name in names]
    found = other(learned, leads=names)
    assert found.predict(X[:, index]).shape == (3, len(names), 2500)
    assert found.score(X[:, index], Y) > 0.55
    table = found.delineate(X[:, index])
    assert table[table.record == 0].lead.unique().tolist() == [n for n in names if (table.lead == n).any()]


@pytest.mark.parametrize("names", [LEADS, ("I", "V2", "aVF"), ("III", "V4")])
def test_permuted_leads_give_permuted_results(learned, names):
    index = np.array([LEADS.index(name) for name in names])
    order = np.random.default_rng(0).permutation(len(names))
    first = other(learned, leads=names).predict_proba(X[:, index])
    second = other(learned, leads=[names[i] for i in order]).predict_proba(X[:, index[order]])
    close(second, first[:, order], atol=2e-4)


def test_aliases_and_inverted_leads(learned):
    expected = other(learned, leads=["II", "aVR", "V2"]).predict_proba(X[:, [1, 3, 7]])
    alike = X[:, [1, 3, 7]] * np.array([1, -1, 1], np.float32)[:, None]
    found = other(learned, leads=["MLII", "-aVR", "Lead v2"])
    close(found.predict_proba(alike), expected, atol=1e-6)
    assert set(found.delineate(alike).lead) == {"MLII", "-aVR", "Lead v2"}
    assert np.abs(other(learned, leads=["II", "aVR", "V2"]).predict_proba(alike) - expected).max() > 0.1


def test_lead_names_that_do_not_fit(learned):
    for names, message in ((["II", "X9"], "unknown lead names 'X9'"), (["II", "MLII"], "duplicate lead names")):
        with pytest.raises(ValueError, match=message):
            other(learned, leads=names).predict(X[:, :2])
    with pytest.raises(ValueError, match=r"X has 3 leads but leads=\['II', 'V1'\] names 2"):
        other(learned, leads=["II", "V1"]).predict(X[:, :3])
    with pytest.raises(ValueError, match="X has 3 leads, but WaveSegmenter was fitted on 12"):
        learned.predict(X[:, :3])


# Rates and lengths


@pytest.mark.parametrize("fs", [100, 360, 500, 1000])
def test_other_rates_than_the_networks(learned, fs):
    """The same hearts, sampled at another rate: boundaries are at the same time, masks at the rate of X."""
    ecg = make_ecg(2, fs=fs, noise=0.005, random_state=50)
    found = other(learned, fs=fs)
    assert found.predict(ecg.data).shape == ecg.data.shape
    assert found.score(ecg.data, ecg.masks) > learned.score(X[:2], Y[:2]) - 0.1
    tables = learned.delineate(X[:2]), found.delineate(ecg.data)
    np.testing.assert_allclose(tables[1].offset / fs, tables[1].offset_s)
    qrs = (table[(table.lead == "II") & (table.wave == "QRS")] for table in tables)
    times = [(table.record * 100 + table.peak_s).to_numpy() for table in qrs]
    distance = np.abs(times[0][:, None] - times[1]).min(axis=1)
    assert (distance < 0.03).mean() > 0.85 and np.median(distance) < 0.006


@pytest.mark.parametrize("seconds", [0.3, 0.5, 1, 10, 15, 15.1, 61])
def test_records_of_any_length(learned, seconds):
    n_times = round(seconds * 250)
    record = np.concatenate([X] * 7, axis=2)[:1, :, :n_times]
    proba = learned.predict_proba(record)
    assert proba.shape == (1, 12, n_times, 4) and np.isfinite(proba).all()
    np.testing.assert_allclose(proba.sum(-1), 1, atol=1e-5)
    table = learned.delineate(record, consensus=True)
    assert table.onset.min() > -1 and table.offset.max() < n_times if len(table) else seconds < 2


def test_training_on_short_and_on_long_records(pre, segmenter_of):
    short = segmenter_of(pre).fit(X[:, :, 400:525], Y[:, 400:525])
    assert short.predict(X[:, :, 400:525]).shape == (3, 12, 125)
    long = make_ecg(1, fs=250, duration=61, random_state=0)
    found = segmenter_of(pre, batch_size=6).fit(long.data, long.masks)
    assert found.n_iter_ == 1 and found.predict(long.data).shape == long.data.shape


def test_long_records_are_read_in_windows(learned):
    long = make_ecg(1, fs=250, duration=61, noise=0.005, random_state=50).data
    proba = learned.predict_proba(long)
    # The second window: 10 s to 20 s with 2 s of context on either side.
    window = learned.predict_proba(long[:, :, 2000:5500])
    close(proba[:, :, 2500:5000], window[:, :, 500:3000], atol=1e-5)
    pieces = np.concatenate([learned.predict(long[:, :, k : k + 2500]) for k in range(0, 12500, 2500)], axis=2)
    inner = np.abs((np.arange(12500) + 1250) % 2500 - 1250) > 250
    assert (proba[:, :, :12500].argmax(-1) == pieces)[:, :, inner].mean() > 0.95
    assert learned.score(long, make_ecg(1, fs=250, duration=61, random_state=50).masks) > 0.6


@pytest.mark.parametrize("amplitude", ["absolute", "relative"])
def test_signals_are_prepared_as_the_pretrainer_prepares_them(amplitude, segmenter_of):
    given = BeatSSLPretrainer(**TINY, amplitude=amplitude)
    found = segmenter_of(given, lr=1e-2, max_epochs=2).fit(X, Y)
    assert found.encoder_.front_end.amplitude == amplitude
    off = np.abs(found.predict_proba(3 * X) - found.predict_proba(X)).max()
    assert off < 1e-3 if amplitude == "relative" else off > 0.02


# Where waves are put: a network that knows its answer


class Labeller:
    """Labels P where the first lead is high, QRS where the second, T where the third is."""

    n_classes, fs_encoder = 4, 100.0

    def __init__(self, fs):
        self.fs = fs

    def __call__(self, strips, record, votes=None):
        n, n_leads, n_times = strips.shape
        assert n_leads == 3 and record.shape[2] == 12
        high = 4 * (strips - strips.median(dim=2, keepdim=True).values - 2.5)
        logits = torch.cat([torch.zeros(n, 1, n_times), high], dim=1).movedim(1, -1)
        return logits[:, None].expand(-1, n_leads, -1, -1)


def labelling(learned, fs, fs_model=250.0):
    found = other(learned, fs=fs, leads=THREE)
    model = SegmentationModel(
        Labeller(fs_model), FrontEnd(fs_model=fs_model), FrontEnd(), torch.device("cpu"), torch.float32
    )
    found._ready = lambda: model
    return found


def beats(fs, duration, start, rr=0.83, seed=0):
    """Pulses of 1 mV in three leads, and their borders [s]: P, QRS and T of every beat."""
    t = np.arange(round(duration * fs)) / fs
    middle = np.arange(start, duration + rr, rr)
    borders = [middle[:, None] + np.array(b) for b in ((-0.22, -0.1), (-0.05, 0.05), (0.18, 0.36))]
    signal = [(expit((t - b[:, :1]) / 0.008) * expit((b[:, 1:] - t) / 0.008)).sum(axis=0) for b in borders]
    noise = np.random.default_rng(seed).normal(0, 1e-3, (3, len(t)))
    return (np.stack(signal) + noise).astype(np.float32), borders


def check_marks(table, borders, duration, tolerance):
    """Each wave that lies inside is there once in every lead, and nothing else is."""
    for lead in THREE:
        for wave, truth in zip(("P", "QRS", "T"), borders, strict=True):
            rows = table[(table.lead == lead) & (table.wave == wave)]
            inside = (truth[:, 0] > 0.03) & (truth[:, 1] < duration - 0.03)
            partly = (truth[:, 1] > 0) & (truth[:, 0] < duration)
            nearest = np.abs(rows.onset_s.to_numpy()[:, None] - truth[:, 0]).argmin(axis=1)
            assert len(set(nearest)) == len(nearest), f"{wave} doubled"
            assert set(np.flatnonzero(inside)) <= set(nearest) <= set(np.flatnonzero(partly)), f"{wave} lost"
            rows, truth = rows[inside[nearest]], truth[nearest[inside[nearest]]]
            np.testing.assert_allclose(rows.onset_s, truth[:, 0], atol=tolerance)
            np.testing.assert_allclose(rows.offset_s, truth[:, 1], atol=tolerance)
            assert ((rows.peak_s > truth[:, 0]) & (rows.peak_s < truth[:, 1])).all()


@pytest.mark.parametrize("fs_model", [250.0, 500.0])
@pytest.mark.parametrize("fs", [100, 128, 250, 360, 500, 1000, 2000])
def test_boundaries_scale_with_the_rate(learned, fs, fs_model):
    signal, borders = beats(fs, 6, 0.4)
    found = labelling(learned, fs, fs_model)
    # Borders are those of the first and the last sample inside.
    check_marks(found.delineate(signal[None]), borders, 6, 0.5 / fs_model + 0.002)
    labels = found.predict(signal[None])[0]
    t = np.arange(6 * fs) / fs
    for k, truth in enumerate(borders, start=1):
        expected = ((t >= truth[:, :1]) & (t <= truth[:, 1:])).any(axis=0)
        near = (np.abs(t - truth.reshape(-1, 1)) < 0.005 + 1 / fs).any(axis=0)
        for row in labels:
            assert np.array_equal((row == k)[~near], expected[~near])


@pytest.mark.parametrize("fs", [100, 128, 250])
def test_marks_end_with_the_record(learned, fs):
    """At 500 Hz, the network has samples behind the last one of X."""
    signal, borders = beats(fs, 4, 0.4, rr=0.9)
    # The last T goes on behind the end.
    stop = round((borders[2][2, 0] + 0.1) * fs)
    table = labelling(learned, fs, 500.0).delineate(signal[None, :, :stop])
    last = table[table.wave == "T"].groupby("lead").last()
    assert (table.offset <= stop - 1).all() and (table.onset >= 0).all() and len(last) == 3
    np.testing.assert_allclose(last.offset, stop - 1, atol=0.2)
    assert (table.onset < table.peak).all() and (table.peak < table.offset).all()


def test_probabilities_are_interpolated():
    ramp = np.repeat(np.arange(10, dtype=np.float32)[:, None], 4, axis=1)[None, None]
    position = np.array([0, 0.25, 3, 4.5, 8.99, 9, 9.4])
    np.testing.assert_allclose(_at_rate(ramp, position)[0, 0, :, 2], np.minimum(position, 9), rtol=1e-6)
    assert np.array_equal(_at_rate(ramp, np.arange(0, 10, 2.0)), ramp[:, :, ::2])


@pytest.mark.parametrize(("fs", "n_records"), [(250, 6), (360, 3)])
def test_no_wave_is_doubled_or_lost_between_windows(learned, fs, n_records):
    starts = np.linspace(0.4, 1.2, n_records)
    signals, borders = zip(*(beats(fs, 61, s, seed=i) for i, s in enumerate(starts)), strict=True)
    table = labelling(learned, fs).delineate(np.stack(signals))
    for i, truth in enumerate(borders):
        check_marks(table[table.record == i], truth, 61, 0.004)


@pytest.mark.parametrize("samples", [2, 7])
def test_windows_that_disagree_lose_no_wave(learned, samples, monkeypatch):
    """Every other window sees all waves some samples later, and surer."""
    calls = []

    def late(proba, signal, fs, **params):
        calls.append(fs)
        odd = len(calls) % 2
        waves = find_waves(proba, signal, fs, **params)
        confidence = waves.confidence - np.float32(0.1 * odd)
        shift = samples * odd
        return waves._replace(
            onset=waves.onset - shift, peak=waves.peak - shift, offset=waves.offset - shift, confidence=confidence
        )

    late.__kwdefaults__ = find_waves.__kwdefaults__  # which parameters there are
    monkeypatch.setattr("beatssl_sklearn.segmentation.inference.find_waves", late)
    signals, borders = zip(*(beats(100, 41, s) for s in np.arange(0.4, 1.2, 0.04)), strict=True)
    table = labelling(learned, 100).delineate(np.stack(signals))
    assert len(calls) > 3
    for lead in THREE:
        for i, truth in enumerate(borders):
            rows = table[(table.record == i) & (table.lead == lead)]
            assert (rows.onset.to_numpy()[1:] >= rows.offset.to_numpy()[:-1]).all()
            for k, wave in enumerate(("P", "QRS", "T")):
                inside = truth[k][(truth[k][:, 0] > 0.1) & (truth[k][:, 1] < 40.9)]
                onset = rows[rows.wave == wave].onset_s.to_numpy()
                near = np.abs(onset[:, None] - inside[:, 0]) < 0.05
                assert (near.sum(axis=0) == 1).all(), (i, wave, near.sum(axis=0))


# Records without waves


def test_flat_records_have_no_waves(learned):
    flat = np.full((2, 12, 2500), 0.7, np.float32)
    flat[1] = 0
    with pytest.warns(UserWarning, match="^records 0, 1: no lead varies"):
        proba = learned.predict_proba(flat)
    assert np.array_equal(proba, np.broadcast_to(np.float32([1, 0, 0, 0]), proba.shape))
    for consensus in (False, True):
        table = other(learned, check="ignore").delineate(flat, consensus=consensus)
        assert len(table) == 0 and (table.dtypes == empty_table().dtypes).all()
        assert list(table.columns) == list(empty_table().columns)


def test_lost_records_have_no_waves(learned):
    lost = X.copy()
    lost[1] = np.nan
    found = other(learned, allow_nan=True)
    labels, table = found.predict(lost), found.delineate(lost)
    assert not labels[1].any() and sorted(table.record.unique()) == [0, 2]
    close(found.predict_proba(lost)[[0, 2]], learned.predict_proba(X)[[0, 2]])
    assert len(found.delineate(lost[1:2])) == 0
    with pytest.raises(ValueError, match="record 1, lead I has 2500 such samples.*allow_nan=True"):
        learned.predict(lost)


def test_a_flat_lead_among_live_ones_has_no_waves(learned):
    dead = X.copy()
    dead[0, 1], dead[2, 10] = 0.3, 0
    labels, table = learned.predict(dead), learned.delineate(dead)
    assert not labels[0, 1].any() and not labels[2, 10].any()
    assert labels[0, [0, 2, 3, 10]].any(axis=1).all() and labels[1].any(axis=1).all()
    pairs = set(zip(table.record, table.lead, strict=True))
    assert (0, "II") not in pairs and (2, "V5") not in pairs and (0, "V5") in pairs and (2, "II") in pairs
    gone = dead.copy()
    gone[0, 1] = np.nan
    assert not other(learned, allow_nan=True).predict(gone)[0, 1].any()


@pytest.mark.parametrize("fs", [100, 250, 1000])
def test_a_lead_shows_nothing_where_it_has_no_signal(learned, fs):
    """The labeller labels all leads alike; in one of them, the signal is lost over some beats."""
    signal, _ = beats(fs, 8, 0.4)
    whole = labelling(learned, fs, 500.0).delineate(signal[None])
    first, stop = 3 * fs, 6 * fs
    # A gap that the labeller sees as the lead's baseline.
    lost = signal.copy()
    lost[2, first:stop] = np.nan
    found = other(labelling(learned, fs, 500.0), allow_nan=True)
    found._ready = labelling(learned, fs, 500.0)._ready
    table, proba = found.delineate(lost[None]), found.predict_proba(lost[None])
    rows, before = table[table.lead == THREE[2]], whole[whole.lead == THREE[2]]
    assert np.array_equal(proba[0, 2, first:stop], np.broadcast_to(np.float32([1, 0, 0, 0]), (stop - first, 4)))
    assert not ((rows.offset > first) & (rows.onset < stop - 1)).any()
    outside = (before.offset < first - 0.02 * fs) | (before.onset > stop + 0.02 * fs)
    for wave in ("P", "QRS"):
        assert (rows.wave == wave).sum() >= (before[outside].wave == wave).sum() > 3
        # Other leads show these waves there.
        others = table[(table.lead == THREE[0]) & (table.wave == wave)]
        assert ((others.onset > first) & (others.offset < stop)).sum() >= 3


def test_a_gap_hides_what_lies_in_it_only(learned):
    gap = X.copy()
    gap[:, :, 1000:1500] = np.nan
    found = other(learned, allow_nan=True).predict(gap)
    assert (found == learned.predict(X))[:, :, np.r_[:800, 1700:2500]].mean() > 0.95
    assert found[:, :, 1100:1400].mean() < 0.2


def test_training_passes_over_what_is_missing(pre, segmenter_of):
    gaps = X.copy()
    gaps[0], gaps[1, 3], gaps[2, :, :400] = np.nan, np.nan, np.nan
    found = segmenter_of(pre, allow_nan=True).fit(gaps, Y)
    assert np.isfinite(found.predict_proba(X)).all()
    with pytest.raises(ValueError, match="record 0, lead I has 2500"):
        segmenter_of(pre).fit(gaps, Y)
    with pytest.raises(ValueError, match="no sample is labelled background, P, QRS, T"):
        segmenter_of(pre, allow_nan=True).fit(np.full_like(X, np.nan), Y)


# What is refused


def bad(value, record=1, lead=4, time=7):
    changed = X.copy()
    changed[record, lead, time] = value
    return changed


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (bad(np.nan), ValueError, "NaN: record 1, lead aVL has 1 such samples"),
        (bad(np.inf), ValueError, "infinity: record 1, lead aVL has 1 such samples"),
        (bad(-np.inf, record=2, lead=11), ValueError, "infinity: record 2, lead V6"),
        (X.astype(np.float64) * 1e300, ValueError, "infinity: record 0, lead I"),
        (X[:0], ValueError, r"0 sample\(s\)"),
        ([], ValueError, "X holds no record|shape"),
        (X[:, :, :50], ValueError, "50 samples at 250 Hz; at least 0.3 s"),
        (X[:, :0], ValueError, "0 features|shape .n_records, n_leads, n_times., got .3, 0"),
        (X[0], ValueError, "no lead axis, but 12 leads are expected"),
        (X[0, 0], ValueError, "shape|1D array"),
        (X[None], ValueError, "shape|features"),
        (X.transpose(0, 2, 1), ValueError, "axes seem swapped"),
        (np.concatenate([X, X], axis=1), ValueError, "24 leads"),
        (X > 0, TypeError, "True and False"),
        (X + 1j, ValueError, "Complex data"),
        (np.full(X.shape, "1 mV"), ValueError, "float|dtype"),
        (None, TypeError, "got NoneType"),
        ("ecg.csv", TypeError, "got str"),
        (scipy.sparse.csr_matrix(X[0]), TypeError, "sparse"),
        ([x[:, : 500 + i] for i, x in enumerate(X)], ValueError, "unequal shapes"),
    ],
)
def test_signals_that_cannot_be_used(learned, given, error, message, segmenter_of):
    with pytest.raises(error, match=message):
        learned.predict(given)
    with pytest.raises(error):
        segmenter_of(learned.pretrainer, fs=250, leads=LEADS).fit(given, Y)


@pytest.mark.parametrize(
    ("record", "error", "message"),
    [
        (SimpleNamespace(fs=250.0), TypeError, "record 1 is a SimpleNamespace, not an ECGRecord"),
        (ECGRecord(X[0, :3], 250.0, LEADS), ValueError, r"record 1: a signal of shape \(3, 2500\) .* 12 leads"),
        (ECGRecord(X[0, 0], 250.0, ("I",)), ValueError, r"record 1: its signal must .* the shape \(2500,\)"),
        (ECGRecord(X[0], 5.0, LEADS), ValueError, "fs of record 1"),
        (ECGRecord(X[0, :, :9], 250.0, LEADS), ValueError, "record 1 has 9 samples"),
        (ECGRecord(bad(np.nan)[1], 250.0, LEADS), ValueError, "record 1, lead aVL"),
        (ECGRecord(X[0, :2], 250.0, ("I", "I")), ValueError, "duplicate lead names"),
        (ECGRecord(X[0, :2], 250.0, ("I", "EDA")), ValueError, "unknown lead names 'EDA'"),
    ],
)
def test_records_that_cannot_be_used(learned, record, error, message, segmenter_of):
    given = [ECGRecord(X[0], 250.0, LEADS), record]
    for use in (learned.predict, learned.delineate, lambda X: segmenter_of(learned.pretrainer).fit(X, Y[:2])):
        with pytest.raises(error, match=message):
            use(given)


@pytest.mark.parametrize(
    ("masks", "error", "message"),
    [
        (Y[:2], ValueError, "masks holds 2 records, X has 3"),
        (Y[:, ::2], ValueError, "record 0: mask of shape .1250,. for 12 leads of 2500 samples; masks must have"),
        (np.where(Y == 3, 5, Y), ValueError, "record 0, lead I: label 5"),
        (np.full(Y.shape, 0.5), TypeError, "record 0: masks must hold integer labels"),
        (np.where(np.arange(3)[:, None] == 2, np.nan, Y), TypeError, "record 2: masks must hold integer labels"),
        (np.where(np.arange(3)[:, None] == 2, -1, Y), ValueError, "record 2 has no annotation"),
        (np.where(Y == 1, 0, Y), ValueError, "no sample is labelled P"),
        (None, TypeError, "one mask per record, got NoneType"),
    ],
)
def test_masks_that_cannot_be_used(pre, masks, error, message, segmenter_of):
    segmenter = segmenter_of(pre)
    with pytest.raises(error, match=message):
        segmenter.fit(X, masks)
    assert not hasattr(segmenter, "unet_")
