"""qrs_middles: the same place wherever the beat was marked."""

import numpy as np
import pytest

from beatssl_sklearn import fetch_mitdb, make_ecg
from beatssl_sklearn.ecg import keep_inside, qrs_middles

CENTRES = np.array([1.0, 1.8, 2.6, 3.4])


def bells(fs, deviation=0.015):
    """Return one lead (1, n_times) of bells; the squared slopes of each lie around its centre."""
    t = np.arange(round(4.5 * fs)) / fs
    return np.exp(-0.5 * ((t - CENTRES[:, None]) / deviation) ** 2).sum(axis=0)[None]


@pytest.mark.parametrize("fs", [100, 128, 250, 360, 1000])
@pytest.mark.parametrize("deviation", [0.015, 0.03])
def test_the_middle_of_a_bell_from_marks_beside_it(fs, deviation):
    for aside in (-0.04, -0.02, 0.0, 0.02, 0.04):
        marks = np.round((CENTRES + aside) * fs).astype(int)
        # An average over an even number of samples lies half a sample late.
        assert qrs_middles(bells(fs, deviation), marks, fs) / fs == pytest.approx(CENTRES, abs=0.002 + 0.6 / fs)


def test_units_signs_and_more_leads_do_not_matter():
    signal = bells(250)
    marks = np.round(CENTRES * 250).astype(int) + 4
    found = qrs_middles(signal, marks, 250)
    for other in (-signal, 1e3 * signal, 1e-4 * signal, signal + 3, np.concatenate([signal, 0 * signal, -2 * signal])):
        np.testing.assert_allclose(qrs_middles(other, marks, 250), found, atol=0.05)


def test_without_a_signal_it_is_the_mark():
    marks = np.array([300, 500, 700])
    for signal in (np.zeros((2, 1000)), np.full((2, 1000), np.nan), np.full((1, 1000), 5.0)):
        np.testing.assert_array_equal(qrs_middles(signal, marks, 250), marks)
    assert qrs_middles(np.zeros((2, 1000)), [], 250).shape == (0,)


def test_half_a_second_is_all_that_it_depends_on():
    ecg = make_ecg(1, rhythm="pvc", fs=250, duration=20, random_state=0)
    whole, peaks = ecg.data[0], ecg.rpeaks[0]
    at = int(peaks[10])
    part = whole[:, at - 100 : at + 100]
    assert qrs_middles(part, [100], 250)[0] + at - 100 == pytest.approx(qrs_middles(whole, peaks, 250)[10], abs=1e-3)


def test_real_annotations_and_detections_agree(data_dir):
    """Marks moved by up to 14 ms have the same middles."""
    read = fetch_mitdb(data_dir / "mitdb", records=[208], download_if_missing=False)
    signal, fs = read.data[0].signal[:, :108000], 360
    marks = keep_inside(read.rpeaks[0], signal.shape[1], fs)
    moved = marks + np.random.default_rng(0).integers(-5, 6, len(marks))
    away = np.abs(qrs_middles(signal, marks, fs) - qrs_middles(signal, moved, fs)) / fs
    assert np.quantile(away, 0.95) < 0.002


@pytest.mark.parametrize(
    ("signal", "rpeaks", "fs", "message"),
    [
        (np.zeros(500), [100], 250, r"signal must be \(n_leads, n_times\), got \(500,\)"),
        (np.zeros((1, 500)), [100, 500], 250, "rpeaks must lie within the 500 samples"),
        (np.zeros((1, 500)), [-1], 250, "rpeaks must lie within the 500 samples"),
        (np.zeros((1, 500)), [np.nan], 250, "rpeaks"),
        (np.zeros((1, 500)), [100], 0, "fs"),
    ],
)
def test_what_it_refuses(signal, rpeaks, fs, message):
    with pytest.raises(ValueError, match=message):
        qrs_middles(signal, rpeaks, fs)
