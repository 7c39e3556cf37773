"""beat_morphology: waves that are known, and what the columns do not depend on."""

import sys

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from beatssl_sklearn import fetch_mitdb, make_ecg
from beatssl_sklearn.ecg import MORPHOLOGY_NAMES, beat_morphology, keep_inside
from beatssl_sklearn.ecg.beat_morphology import stretches_morphology

FS = 500
N_BEATS, ODD = 21, 10
NAMES = list(MORPHOLOGY_NAMES)


def signal_of(odd=(), p_of_odd=1.0, t_of_odd=1.0, fs=FS):
    """Return one lead and its R peaks: beats of P, QRS and T as bells; `odd` changes size and width of one QRS."""
    size, width = odd or (1.0, 1.0)
    rpeaks = np.round((1 + np.arange(N_BEATS) * 0.8) * fs).astype(int)
    t = np.arange(round((N_BEATS + 1) * 0.8 * fs + fs)) / fs
    lead = np.zeros_like(t)
    for i, peak in enumerate(rpeaks / fs):
        a, w, p, wave = (size, width, p_of_odd, t_of_odd) if i == ODD else (1.0, 1.0, 1.0, 1.0)
        for height, at, deviation in ((a, 0, 0.012 * w), (0.15 * p, -0.16, 0.02), (0.3 * wave, 0.28, 0.05)):
            lead += height * np.exp(-0.5 * ((t - peak - at) / deviation) ** 2)
    return lead[None], rpeaks


def columns(signal, rpeaks, fs=FS):
    return dict(zip(NAMES, beat_morphology(signal, rpeaks, fs).T, strict=True))


def test_usual_beats_are_usual():
    found = columns(*signal_of())
    for name in ("qrs_likeness", "t_likeness", "p_likeness"):
        assert found[name] == pytest.approx(1, abs=0.06), name
    # What a small P wave could be of noise is taken off.
    assert found["p_share"] == pytest.approx(1, abs=0.15) and found["qrs_one_sided"].min() > 0.5
    for name in ("qrs_shift", "qrs_width90", "qrs_slope", "qrs_size", "qrs_area", "p_lag", "p_size"):
        assert found[name][1:-1] == pytest.approx(0, abs=0.05), name


def test_a_wide_beat_by_its_width():
    found = columns(*signal_of(odd=(1.0, 2.5)))
    for kind in ("width50", "width_rms", "width_level"):
        others = np.delete(found[f"qrs_{kind}"], ODD)
        assert found[f"qrs_{kind}"][ODD] > 0.3 > np.abs(others).max() * 2, kind
        assert found[f"qrs_{kind}_spread"][ODD] > 4
    # The squared slope of a bell of deviation s has one of s * sqrt(3 / 2).
    assert np.exp(found["qrs_width_rms_log"][0]) - 0.01 == pytest.approx(0.012 * np.sqrt(1.5), abs=0.004)
    assert found["qrs_slope"][ODD] < -0.5 and found["qrs_likeness"][ODD] < 0.95 < found["qrs_likeness"][ODD - 1]
    assert found["qrs_change_before"][ODD] > -3 > found["qrs_change_before"][ODD - 1]
    assert found["qrs_change_after"][ODD] == pytest.approx(found["qrs_change_before"][ODD + 1], rel=1e-5)


def test_a_beat_of_the_other_direction_and_of_another_size():
    turned = columns(*signal_of(odd=(-1.0, 1.0)))
    assert turned["qrs_likeness"][ODD] < -0.9 and turned["qrs_size"][ODD] == pytest.approx(0, abs=0.05)
    assert turned["t_discordance"][ODD] < -0.3 < 0.3 < turned["t_discordance"][ODD - 1]
    small = columns(*signal_of(odd=(0.5, 1.0)))
    assert small["qrs_size"][ODD] == pytest.approx(np.log(0.5), abs=0.08)
    assert small["qrs_likeness"][ODD] > 0.97 and small["qrs_rarity"][ODD] > 1


def test_a_beat_without_a_p_wave_and_one_with_a_turned_t_wave():
    without = columns(*signal_of(p_of_odd=0.0))
    assert abs(without["p_share"][ODD]) < 0.3 and without["p_size"][ODD] < -0.5 and without["p_rarity"][ODD] > 1
    assert without["qrs_likeness"][ODD] > 0.99
    turned = columns(*signal_of(t_of_odd=-1.0))
    assert turned["t_likeness"][ODD] < -0.5 and turned["p_likeness"][ODD] > 0.8


def test_it_reads_from_the_middle_of_the_qrs_and_not_from_the_r_peak():
    signal, rpeaks = signal_of(odd=(1.0, 2.5))
    late = rpeaks + np.where(np.arange(N_BEATS) == ODD, round(0.03 * FS), round(0.01 * FS))
    found, moved = columns(signal, rpeaks), columns(signal, late)
    assert moved["qrs_shift"][ODD] == pytest.approx(-0.02, abs=0.004)
    for name in ("qrs_width_rms", "qrs_likeness", "p_likeness", "t_likeness", "qrs_size"):
        np.testing.assert_allclose(moved[name], found[name], atol=0.06, err_msg=name)


def test_units_order_and_dead_leads_do_not_matter():
    ecg = make_ecg(1, rhythm="pvc", fs=250, duration=30, noise=0.02, random_state=0)
    signal, rpeaks = ecg.data[0, [0, 1, 7]].astype(float), ecg.rpeaks[0]
    found = beat_morphology(signal, rpeaks, 250)
    assert found.shape == (len(rpeaks), len(NAMES)) and found.dtype == np.float32 and np.isfinite(found).all()
    for other in (
        1000 * signal,
        signal * [[1], [3], [0.5]],
        signal[::-1],
        np.vstack([signal, np.zeros_like(signal[:1])]),
    ):
        np.testing.assert_allclose(beat_morphology(other, rpeaks, 250), found, atol=2e-3)


def test_the_rate_hardly_matters():
    fast, slow = (columns(*signal_of(odd=(1.0, 2.5), fs=fs), fs) for fs in (500, 125))
    for name in ("qrs_width_rms_log", "qrs_likeness", "p_likeness", "qrs_size", "t_likeness"):
        np.testing.assert_allclose(slow[name], fast[name], atol=0.15, err_msg=name)


def test_long_records_are_read_a_stretch_at_a_time(monkeypatch):
    ecg = make_ecg(1, rhythm="pvc", fs=250, duration=60, leads=["II", "V1"], random_state=1)
    signal, rpeaks = ecg.data[0], ecg.rpeaks[0]
    parts = [slice(0, 30), slice(30, len(rpeaks))]
    # The function has its module's name.
    monkeypatch.setattr(sys.modules[beat_morphology.__module__], "pieces", lambda n: parts)
    read = []

    def reader(start, stop):
        read.append((start, stop))
        return signal[:, start:stop]

    found = stretches_morphology(reader, signal.shape[1], rpeaks, 250)
    np.testing.assert_array_equal(found, beat_morphology(signal, rpeaks, 250))
    assert len(read) == 2 and read[0][0] == 0 and read[0][1] < signal.shape[1] == read[1][1]


def test_too_few_beats_flat_leads_and_missing_samples():
    signal, rpeaks = signal_of()
    for n in range(4):
        assert beat_morphology(signal, rpeaks[:n], FS).shape == (n, len(NAMES))
        assert not beat_morphology(signal, rpeaks[:n], FS).any()
    assert not beat_morphology(np.zeros_like(signal), rpeaks, FS).any()
    assert not beat_morphology(np.full_like(signal, np.nan), rpeaks, FS).any()
    gap = signal.copy()
    gap[:, 1000:2000] = np.nan
    assert np.isfinite(beat_morphology(gap, rpeaks, FS)).all()
    # R peaks at the very ends, of a record that is hardly longer.
    assert np.isfinite(beat_morphology(signal[:, :2000], [0, 500, 1000, 1999], FS)).all()
    assert np.isfinite(beat_morphology(signal[:, 490:496], [0, 1, 2, 5], FS)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signal": np.zeros(100)}, r"signal must be \(n_leads, n_times\), got \(100,\)"),
        ({"rpeaks": [10, 10, 50, 60]}, "rpeaks must increase"),
        ({"rpeaks": [10, 20, 50, 600]}, "rpeaks must lie within the 100 samples"),
        ({"rpeaks": [10, 20, np.nan, 60]}, "rpeaks"),
        ({"fs": 0}, "fs"),
        # The filter's band would be empty.
        ({"fs": 1.1}, "fs must lie between 50 and 2000 Hz, got 1.1"),
        ({"fs": 1e300}, r"fs must lie between 50 and 2000 Hz, got 1e\+300"),
        ({"fs": True}, "fs must be a sampling rate in Hz, got True"),
        ({"fs": "250"}, "fs must be a sampling rate in Hz, got '250'"),
        ({"signal": np.zeros((0, 100))}, r"got \(0, 100\); at least one lead"),
        ({"signal": np.full((1, 100), "a")}, "signal must hold real numbers, got <U1"),
        ({"signal": np.full((1, 100), 1j)}, "signal must hold real numbers, got complex128"),
        ({"signal": np.full((1, 100), 1e300)}, r"signal holds 1e\+300, more than float32 can hold"),
    ],
)
def test_what_cannot_be_described_is_told(change, message):
    given = {"signal": np.zeros((1, 100)), "rpeaks": [10, 30, 50, 70], "fs": FS} | change
    with pytest.raises((TypeError, ValueError), match=message):
        beat_morphology(**given)


def test_ventricular_beats_of_real_records(data_dir):
    """Of record 208, 992 ventricular beats are wider, and less like the typical beat, than the normal ones."""
    if not (data_dir / "mitdb" / "208.atr").is_file():
        pytest.skip("no MIT-BIH")
    mit = fetch_mitdb(data_dir, records=[208], download_if_missing=False)
    record, labels = mit.data[0], mit.beat_labels[0]
    inside = keep_inside(mit.rpeaks[0], record.signal.shape[1], record.fs, (0.25, 0.45))
    labels = labels[np.isin(mit.rpeaks[0], inside)]
    found = columns(record.signal, inside, record.fs)
    v, n = labels == "V", labels == "N"
    for name, median, auc in (("qrs_width_rms", 0.3, 0.9), ("qrs_distance", 1.0, 0.95), ("qrs_unlikeness", 1.0, 0.9)):
        assert np.median(found[name][v]) - np.median(found[name][n]) > median, name
        assert roc_auc_score(v[v | n], found[name][v | n]) > auc, name


@pytest.mark.parametrize("lost", [0.0, np.nan])
def test_beats_without_a_signal_are_zero_and_harm_no_others(lost):
    ecg = make_ecg(1, rhythm="pvc", fs=250, duration=60, random_state=0)
    signal, rpeaks = ecg.data[0].copy(), ecg.rpeaks[0]
    middle = signal.shape[1] // 2
    signal[:, :middle] = lost
    found = beat_morphology(signal, rpeaks, 250)
    assert np.isfinite(found).all() and np.abs(found).max() < 10
    assert not found[rpeaks < middle - 1500].any()
    # The rest is as of a record that has nothing else, but for the first beats: the lost signal ends in a step.
    later = rpeaks > middle + 500
    alone = beat_morphology(signal[:, middle:], rpeaks[rpeaks > middle] - middle, 250)
    likeness = NAMES.index("qrs_likeness")
    np.testing.assert_allclose(found[later, likeness], alone[-later.sum() :, likeness], atol=0.05)
