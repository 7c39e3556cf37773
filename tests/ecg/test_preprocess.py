"""Resampling, baseline and scale."""

import numpy as np
import pytest
from closeness import assert_close_to_rounding
from scipy.signal import resample_poly

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.preprocess import check_fs, preprocess, resample, resampling_ratio


@pytest.fixture
def noise():
    return np.random.default_rng(0).standard_normal((3, 12, 1000)).astype(np.float32)


@pytest.mark.parametrize(("fs", "fs_model"), [(500, 250), (500, 100), (1000, 100), (250, 50)])
def test_halving_and_more_equal_scipy(noise, fs, fs_model):
    up, down = resampling_ratio(fs, fs_model)
    expected = resample_poly(noise.astype(np.float64), up, down, axis=-1)
    inside = slice(30, -30)
    assert_close_to_rounding(resample(noise, fs, fs_model)[..., inside], expected[..., inside], 2e-6)


@pytest.mark.parametrize("fs", [50, 100, 128, 250, 257, 360, 360.5, 500, 1000, 2000])
@pytest.mark.parametrize("fs_model", [100, 250])
def test_a_sine_keeps_its_phase_and_height_at_any_rate(fs, fs_model):
    seconds = np.arange(round(10 * fs)) / fs
    out = resample(np.sin(2 * np.pi * 3 * seconds)[None], fs, fs_model)[0]
    expected = np.sin(2 * np.pi * 3 * np.arange(len(out)) / fs_model)
    inside = slice(fs_model // 2, -fs_model // 2)
    up, down = resampling_ratio(fs, fs_model)
    assert len(out) == -(-len(seconds) * up // down)
    np.testing.assert_allclose(out[inside], expected[inside], atol=5e-3)


def test_a_constant_stays_constant_up_to_the_ends():
    np.testing.assert_allclose(resample(np.full((2, 777), 1.7), 360, 100), 1.7, rtol=1e-6)


def test_what_would_alias_is_filtered_out():
    seconds = np.arange(5000) / 500
    hum = resample(np.sin(2 * np.pi * 60 * seconds)[None], 500, 100)[0, 50:-50]
    assert np.abs(hum).max() < 0.02


def test_amplitude_ratios_between_leads_survive(noise):
    signal = noise * np.linspace(0.1, 3, 12, dtype=np.float32)[:, None] + 5
    ready = preprocess(signal, 100, 100, amplitude="relative")
    before, after = signal.std(axis=2), ready.signal.std(axis=1)
    np.testing.assert_allclose(after / after[:, :1], before / before[:, :1], rtol=1e-4)
    np.testing.assert_allclose(np.sqrt((ready.signal**2).mean(axis=(1, 2))), 1, rtol=1e-5)
    np.testing.assert_allclose(ready.signal.mean(axis=1), 0, atol=1e-5)


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 1e6, 1e25])
def test_the_unit_of_the_signal_does_not_matter_to_relative_amplitudes(noise, factor):
    expected = preprocess(noise, 100, 100, amplitude="relative").signal
    found = preprocess(noise * np.float32(factor), 100, 100, amplitude="relative").signal
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("rms", [0.03, 0.2, 1.9])
def test_absolute_amplitudes_are_in_units_of_a_fifth_millivolt(noise, rms):
    signal = noise - noise.mean(axis=2, keepdims=True)
    signal *= np.float32(rms) / np.sqrt((signal**2).mean(axis=(1, 2), keepdims=True))
    ready = preprocess(signal, 100, 100)
    assert_close_to_rounding(ready.signal, signal.transpose(0, 2, 1) / 0.2, 1e-5)
    np.testing.assert_allclose(ready.scale, rms, rtol=1e-4)


@pytest.mark.parametrize(("factor", "bound"), [(1e-9, 0.1), (1e-4, 0.1), (1e6, 10.0), (1e25, 10.0)])
def test_absurd_amplitudes_are_brought_to_the_bounds(noise, factor, bound):
    ready = preprocess(noise * np.float32(factor), 100, 100)
    np.testing.assert_allclose(np.sqrt((ready.signal**2).mean(axis=(1, 2))), bound, rtol=1e-4)


@pytest.mark.parametrize("value", [0.0, 1.7, -1e4])
def test_a_flat_lead_stays_flat_and_counts_as_absent(noise, value):
    noise[1, 4] = value
    ready = preprocess(noise, 500, 100)
    assert not ready.present[1, 4] and ready.present.sum() == 35
    assert (ready.signal[1, :, 4] == 0).all()


def test_a_flat_record_is_zero_and_its_scale_too():
    ready = preprocess(np.full((1, 12, 500), 1.7, dtype=np.float32), 500, 100)
    assert (ready.signal == 0).all() and ready.scale[0] == 0 and not ready.present.any()


def test_missing_samples_are_baseline(noise):
    noise[0, 3, 100:200] = np.nan
    noise[2, 5] = np.nan
    ready = preprocess(noise, 100, 100)
    np.testing.assert_allclose(ready.signal[0, 100:200, 3], 0, atol=1e-6)
    assert not ready.present[2, 5] and np.isfinite(ready.signal).all()


def test_leads_are_placed_by_name_and_limb_leads_derived(noise):
    ready = preprocess(noise[:, :2], 100, 100, ("ii", "I"))
    there = ready.present[0]
    assert [LEADS[i] for i in np.flatnonzero(there)] == ["I", "II", "III", "aVR", "aVL", "aVF"]
    one, two, three = (ready.signal[0, :, LEADS.index(lead)] for lead in ("I", "II", "III"))
    assert_close_to_rounding(three, two - one)


def test_a_record_does_not_depend_on_its_neighbours(noise):
    together = preprocess(noise, 360, 100).signal
    alone = np.concatenate([preprocess(noise[i : i + 1], 360, 100).signal for i in range(3)])
    assert_close_to_rounding(together, alone)


def test_the_input_is_not_changed(noise):
    copy = noise.copy()
    preprocess(noise, 100, 100)
    np.testing.assert_array_equal(noise, copy)


@pytest.mark.parametrize(("fs", "error"), [(0, ValueError), (-1, ValueError), (np.nan, ValueError), (1e9, ValueError),
                                           ("500", TypeError), (None, TypeError), (True, TypeError)])
def test_impossible_rates_are_named(fs, error):
    with pytest.raises(error, match="fs_model"):
        check_fs(fs, "fs_model")
