"""Quantities of rhythm and beats that are known by hand."""

import numpy as np
import pytest

from beatssl_sklearn.ecg.features.median_beat import BeatWaves
from beatssl_sklearn.ecg.features.quantities import (
    EARLY_RR,
    LEAD_QUANTITIES,
    beat_rms,
    frontal_axis,
    rhythm_measures,
    rr_around,
    wave_amplitudes,
)


def test_rr_around_each_beat():
    before, after, median = rr_around(np.array([0.0, 1.0, 1.5, 2.5]))
    assert median == 1.0
    np.testing.assert_allclose(before, [np.nan, 0, np.log(0.5), 0])
    np.testing.assert_allclose(after, [0, np.log(0.5), 0, np.nan])
    before, after, median = rr_around(np.array([3.0]))
    assert np.isnan([*before, *after, median]).all() and rr_around(np.array([]))[0].shape == (0,)


def test_rhythm_by_hand():
    seconds = np.array([0.0, 1.0, 2.0, 2.0 + EARLY_RR - 0.01, 4.0, 5.0])
    rr = np.diff(seconds)
    inside = np.array([False, True, True, True, True, False])
    correlation = np.array([0.99, 0.79, 0.99, np.nan], np.float32)
    found = rhythm_measures(seconds, correlation, inside)
    expected = [0, np.log(rr.std() + 0.005), np.log(np.sqrt(np.mean(np.diff(rr) ** 2)) + 0.005), 60.0, 2 / 6]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.isnan(rhythm_measures(seconds[:1], correlation[:0], inside[:1])).all()
    assert np.isnan(rhythm_measures(seconds[:2], correlation[:0], np.zeros(2, bool))[1:3]).all()


def test_amplitudes_of_steps():
    fs, n_before = 1000.0, 300
    t = (np.arange(800) - n_before) / fs
    beat = np.full(800, 0.5, np.float32)
    for start, stop, height in ((-0.17, -0.11, 0.1), (-0.04, 0.0, 1.0), (0.0, 0.04, -0.4), (0.1, 0.4, 0.3)):
        beat[(t >= start) & (t < stop)] += height
    columns = ([-0.04], [0.0399], [-0.17], [-0.14], [0.25], [0.4])
    waves = BeatWaves(*(np.array(column, np.float32) for column in columns))
    beats = np.stack([beat, 2 * beat, np.full(800, np.nan)])[None].astype(np.float32)
    found = dict(zip(LEAD_QUANTITIES, wave_amplitudes(beats, waves, fs, n_before)[:, 0], strict=True))
    expected = {"r_amplitude": 1.0, "s_amplitude": -0.4, "qrs_area": 0.024, "st_level": 0.3, "t_amplitude": 0.3}
    for name, value in (expected | {"p_amplitude": 0.1}).items():
        assert found[name][0] == pytest.approx(value, abs=2e-3), name
        assert found[name][1] == pytest.approx(2 * value, abs=4e-3) and np.isnan(found[name][2])


@pytest.mark.parametrize("degrees", [-150, -90, 0, 60, 120, 180])
def test_axis_of_limb_leads(degrees):
    angle = np.deg2rad(degrees)
    leads = np.array([[np.cos(angle), np.cos(angle - np.pi / 3)]], np.float32)
    np.testing.assert_allclose(frontal_axis(leads, 1e-3), [[np.sin(angle), np.cos(angle)]], atol=1e-6)
    assert np.isnan(frontal_axis(leads * np.float32(1e-4), 1e-3)).all()


def test_rms_over_the_leads_that_are_present():
    beats = np.stack([np.full((2, 5), 3.0), np.stack([np.full(5, 4.0), np.full(5, np.nan)]), np.zeros((2, 5))])
    np.testing.assert_allclose(beat_rms(beats.astype(np.float32)), [3, 4, np.nan])
