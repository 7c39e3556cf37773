"""Noise and fibrillatory waves of the simulator."""

import numpy as np
import pytest

from beatssl_sklearn.ecg.simulate.noise import electrode_noise, fibrillation

V1 = 2  # of I, II, V1 to V6


def spectrum(x, fs):
    return np.fft.rfftfreq(x.shape[1], 1 / fs), np.square(np.abs(np.fft.rfft(x, axis=1)))


@pytest.mark.parametrize("fs", [100.0, 500.0])
def test_noise_has_about_unit_rms(fs):
    noise = np.stack([electrode_noise(np.random.default_rng(seed), fs, int(10 * fs)) for seed in range(30)])
    assert noise.shape == (30, 8, int(10 * fs)) and noise.dtype == np.float32
    assert 0.7 < np.sqrt(np.mean(noise**2)) < 1.4


def test_noise_of_one_generator_is_one_noise():
    one, two, other = (electrode_noise(np.random.default_rng(seed), 250.0, 500) for seed in (1, 1, 2))
    assert np.array_equal(one, two) and not np.array_equal(one, other)


def height_of_line(seed, fs, line):
    """Power at a frequency [Hz], relative to its neighbourhood."""
    hertz, power = spectrum(electrode_noise(np.random.default_rng(seed), fs, int(20 * fs)), fs)
    near = np.abs(hertz - line) < 2
    return power[:, np.abs(hertz - line).argmin()].sum() / np.median(power[:, near].sum(axis=0))


def test_mains_are_one_line():
    lines = np.array([[height_of_line(seed, 500.0, line) for line in (50.0, 60.0)] for seed in range(12)]) > 30
    assert lines.any(axis=0).all() and (lines.sum(axis=1) <= 1).all() and lines.sum() >= 8


def test_mains_above_half_the_rate_do_not_fold_back():
    assert max(height_of_line(seed, 100.0, 40.0) for seed in range(12)) < 30


def test_fibrillation_is_a_wave_of_5_to_8_hz_that_is_largest_in_v1():
    for seed in range(5):
        waves = fibrillation(np.random.default_rng(seed), 250.0, 5000)
        assert waves.shape == (8, 5000)
        rms = np.sqrt(np.mean(waves**2, axis=1))
        assert rms.argmax() == V1 and 0.4 < rms[V1] < 1.2
        hertz, power = spectrum(waves, 250.0)
        assert 4.5 < hertz[power[V1].argmax()] < 8.5
