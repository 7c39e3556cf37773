"""The median beat, its waves, and the common grid of beats."""

import numpy as np
import pytest

from beatssl_sklearn.ecg.features.median_beat import (
    beat_correlation,
    beat_waves,
    centred_beats,
    median_beat,
    resampling_matrix,
    window_mean,
)


def test_the_median_ignores_an_odd_beat():
    fs, r = 100.0, np.arange(100, 1000, 100)
    x = np.zeros((2, 1100), dtype=np.float32)
    x[0, r], x[1, r] = 1.0, -2.0
    x[:, r[3] - 20 : r[3] + 40] = 50.0
    template = median_beat(x, r, fs)
    assert template.shape == (2, 70) and template.dtype == np.float32
    np.testing.assert_allclose(np.ptp(template, axis=1), [1.0, 2.0], atol=1e-6)
    assert template[0].argmax() == template[1].argmin() == 25
    correlation = beat_correlation(centred_beats(x, r, fs), template)
    assert correlation.argmin() == 3 and (np.delete(correlation, 3) > 0.999).all()


def test_a_lead_without_a_whole_beat_is_missing():
    x = np.ones((2, 300), dtype=np.float32)
    x[1, 110] = np.nan
    template = median_beat(x, np.array([100]), 100.0)
    assert np.isfinite(template[0]).all() and np.isnan(template[1]).all()
    assert np.isnan(median_beat(x, np.array([5]), 100.0)).all()
    assert np.isnan(beat_correlation(np.zeros((1, 2, 70), np.float32), template)).all()


def test_a_lead_that_most_beats_lack_is_missing():
    fs, r = 100.0, np.arange(100, 1100, 100)
    x = np.random.default_rng(0).normal(size=(2, 1200)).astype(np.float32)
    for n_missing, known in ((5, True), (6, False), (9, False)):
        x[1, r[:n_missing]] = np.nan
        template = median_beat(x, r, fs)
        assert np.isfinite(template[0]).all() and (np.isfinite(template[1]) == known).all()
    # Of the beats that have the lead, the others change nothing.
    x[1, r[5:]] = 0.0
    np.testing.assert_array_equal(median_beat(x, r, fs)[1], median_beat(x, r[5:], fs)[1])


def test_long_record_uses_beats_from_all_of_it():
    fs, n = 100.0, 60_000
    r = np.arange(100, n - 100, 100)
    x = np.zeros((1, n), dtype=np.float32)
    x[0, r[: len(r) // 2]] = 1.0
    x[0, r[len(r) // 2 :]] = 3.0
    # Half of the beats are 1 and half are 3 mV high: beats of one half alone give 1 or 3.
    assert 1.5 < median_beat(x, r, fs)[0, 25] < 2.5


def test_resampling_matrix_keeps_constants_and_is_the_identity_at_its_rate():
    np.testing.assert_allclose(resampling_matrix(100.0), np.eye(70), atol=1e-6)
    for fs in (50.0, 128.0, 257.0, 360.0, 500.0, 1000.0):
        matrix = resampling_matrix(fs)
        np.testing.assert_allclose(matrix.sum(axis=0), 1, atol=1e-5)
        ramp = np.arange(-round(0.25 * fs), round(0.45 * fs)) / fs
        np.testing.assert_allclose((ramp @ matrix)[2:-3], (np.arange(-25, 45) / 100)[2:-3], atol=2e-3)


def test_nothing_is_found_in_a_flat_beat():
    waves = beat_waves(np.zeros((2, 8, 175), dtype=np.float32), 250.0, np.array([0.8, np.nan]), 62)
    assert all(np.isnan(times).all() for times in waves)


def test_window_mean_counts_parts_of_samples():
    t = np.arange(10, dtype=np.float32) / 10
    x = np.arange(10, dtype=np.float32)[None]
    ends = [(0.2, 0.4), (0.25, 0.35), (0.3, 0.35)]
    means = [window_mean(x, t, np.float32([a]), np.float32([b]))[0] for a, b in ends]
    np.testing.assert_allclose(means, [3.0, 3.0, 3.0], atol=1e-5)
    assert window_mean(x, t, np.float32([5]), np.float32([6]))[0] == 0


@pytest.mark.parametrize("fs", [250.0, 500.0])
def test_waves_of_a_known_beat(fs):
    t = np.arange(-round(0.35 * fs), round(0.45 * fs)) / fs
    beat = np.exp(-0.5 * (t / 0.012) ** 2) + 0.3 * np.exp(-0.5 * ((t - 0.28) / 0.04) ** 2)
    beat += 0.12 * np.exp(-0.5 * ((t + 0.16) / 0.02) ** 2)
    beats = (np.linspace(0.5, 1.5, 8)[:, None] * beat)[None].astype(np.float32)
    waves = beat_waves(beats, fs, np.array([0.8]), round(0.35 * fs))
    assert waves.p_peak[0] == pytest.approx(-0.16, abs=0.01) and waves.t_peak[0] == pytest.approx(0.28, abs=0.01)
    assert -0.06 < waves.qrs_onset[0] < -0.02 and 0.02 < waves.qrs_offset[0] < 0.06
    assert waves.p_onset[0] == pytest.approx(-0.2, abs=0.015) and waves.t_end[0] == pytest.approx(0.36, abs=0.02)
