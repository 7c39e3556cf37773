"""WaveCalibration: from the confidence of the network to the probability that a wave is right."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.special import expit, logit

from beatssl_sklearn.components import file_check, is_registered
from beatssl_sklearn.persistence import describe
from beatssl_sklearn.persistence.restoring import restore
from beatssl_sklearn.segmentation import WaveCalibration

SLOPE, INTERCEPT = np.array([3.0, 1.0, 0.5]), np.array([-2.0, 0.0, 1.0])
KNOWN = WaveCalibration(SLOPE, INTERCEPT)


def test_values_by_hand() -> None:
    # Logits of .5 and .75 are 0 and log 3: expit(3 log 3 - 2) = 27 / (27 + e^2).
    expected = [1 / (1 + np.e**2), 27 / (27 + np.e**2), 0.75, np.e / (1 + np.e), np.nan]
    found = KNOWN([0.5, 0.75, 0.75, 0.5, np.nan], ["P", "P", "QRS", "T", "T"])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(found[:4], KNOWN([0.5, 0.75, 0.75, 0.5], [1, 1, 2, 3]))
    assert np.isfinite(KNOWN([0.0, 1.0], ["P", "P"])).all() and KNOWN([], []).shape == (0,)


def test_fit_finds_the_map_that_made_the_data() -> None:
    rng = np.random.default_rng(0)
    confidence, wave = rng.uniform(0.2, 0.98, 60_000), rng.integers(1, 4, 60_000)
    chance = expit(SLOPE[wave - 1] * logit(confidence) + INTERCEPT[wave - 1])
    right = (rng.random(60_000) < chance).astype(float)
    right[:100], confidence[100:200] = np.nan, np.nan
    found = WaveCalibration.fit(confidence, right, wave)
    np.testing.assert_allclose(found.slope, SLOPE, rtol=0.05)
    np.testing.assert_allclose(found.intercept, INTERCEPT, atol=0.1)


def test_a_map_never_falls_and_stays_finite() -> None:
    confidence = np.tile([0.6, 0.7, 0.8, 0.9], 3)
    wave = np.repeat(["P", "QRS", "T"], 4)
    # P: all right, so that the share is 5/6 by Platt's targets. QRS: the less sure ones are right. T: told apart.
    right = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1])
    found = WaveCalibration.fit(confidence, right, wave)
    assert found.slope[0] == found.slope[1] == 0 < found.slope[2] < 100
    np.testing.assert_allclose(found([0.6, 0.9], ["P", "P"]), 5 / 6, rtol=1e-6)
    np.testing.assert_allclose(found([0.6, 0.9], ["QRS", "QRS"]), 0.5, rtol=1e-6)
    same = WaveCalibration.fit([0.8] * 3, [1, 0, 1], ["P", "QRS", "T"])
    np.testing.assert_allclose(same([0.1, 0.1], ["P", "QRS"]), [2 / 3, 1 / 3], rtol=1e-6)


def test_scores_that_hardly_differ_set_no_slope() -> None:
    right = [0, 1, 0, 1]
    near = WaveCalibration.fit(np.tile([0.8, 0.8 + 1e-9] * 2, 3), right * 3, np.repeat([1, 2, 3], 4))
    assert near.slope.tolist() == [0, 0, 0]
    # Told apart by a logit of .22: no steeper than 30, and the middle is at one half.
    apart = WaveCalibration.fit(np.tile([0.8, 0.8328] * 300, 3), (right * 150) * 3, np.repeat([1, 2, 3], 600))
    np.testing.assert_allclose(apart.slope, 30)
    assert (apart([0.8] * 3, [1, 2, 3]) < 0.1).all() and (apart([0.8328] * 3, [1, 2, 3]) > 0.9).all()


def test_a_former_calibration_holds_where_nothing_speaks_against_it() -> None:
    rng = np.random.default_rng(0)
    clean, wave = rng.uniform(0.9, 0.999, 900), np.repeat([1, 2, 3], 300)
    found = WaveCalibration.fit(clean, np.ones(900), wave, prior=KNOWN)
    assert (found.slope >= SLOPE).all() and (found.slope < SLOPE + 2).all() and (found.intercept >= INTERCEPT).all()
    noise, sure = found([0.5] * 3, [1, 2, 3]), found([0.99] * 3, [1, 2, 3])
    assert (noise < sure).all() and noise[0] < 0.4
    # Many mistakes outweigh it.
    confidence, wave = rng.uniform(0.2, 0.98, 60_000), rng.integers(1, 4, 60_000)
    right = (rng.random(60_000) < confidence).astype(float)
    learnt = WaveCalibration.fit(confidence, right, wave, prior=KNOWN)
    np.testing.assert_allclose(learnt.slope, 1, atol=0.06)
    np.testing.assert_allclose(learnt.intercept, 0, atol=0.06)


def test_one_wave_moves_a_former_calibration_by_hand() -> None:
    # One right wave of confidence .5, logit 0: only the intercept b moves, and 1 - expit(b) = b - b0 at the best one.
    found = WaveCalibration.fit([0.5] * 3, [1] * 3, [1, 2, 3], prior=WaveCalibration(np.ones(3), np.zeros(3)))
    np.testing.assert_allclose(found.slope, 1)
    np.testing.assert_allclose(found.intercept, 1 - expit(found.intercept), rtol=1e-6)
    with pytest.raises(TypeError, match="prior must be a WaveCalibration or None, got int"):
        WaveCalibration.fit([0.5] * 3, [1] * 3, [1, 2, 3], prior=1)  # type: ignore[arg-type]


def test_what_is_no_calibration() -> None:
    assert WaveCalibration([1, 2, 3], [0, 0, 0]).slope.dtype == np.float64
    for slope, intercept, message in (
        ([1, 1], [0, 0, 0], "slope"),
        ([1, 1, -1], [0, 0, 0], "slope must be 0 or larger"),
        ([1, 1, 1], [0, np.inf, 0], "intercept"),
    ):
        with pytest.raises(ValueError, match=message):
            WaveCalibration(slope, intercept)
    with pytest.raises(TypeError, match="slope must be three numbers"):
        WaveCalibration("abc", [0, 0, 0])


def test_thresholds_of_the_network() -> None:
    raw = KNOWN.raw_thresholds((0.5, 0.75, 0.0))
    assert raw == pytest.approx((expit(2 / 3), 0.75, 0.0))
    np.testing.assert_allclose(KNOWN(raw[:2], ["P", "QRS"]), [0.5, 0.75], rtol=1e-6)
    flat = WaveCalibration(np.zeros(3), np.array([0.0, 1.0, -1.0]))
    assert flat.raw_thresholds(0.5) == (0.0, 0.0, 1.1)
    assert KNOWN.raw_thresholds(1) == (1.0, 1.0, 1.0)
    for wrong in (1.5, (0.5, 0.5), np.nan):
        with pytest.raises(ValueError, match="min_confidence must be from 0 to 1"):
            KNOWN.raw_thresholds(wrong)


def test_it_survives_files_and_pickles() -> None:
    arrays: dict[str, np.ndarray] = {}
    again = restore(describe(KNOWN, arrays, "calibration"), arrays)
    assert is_registered(WaveCalibration) and len(arrays) == 2
    for other in (again, pickle.loads(pickle.dumps(KNOWN))):
        np.testing.assert_array_equal(other.slope, SLOPE)
        np.testing.assert_array_equal(other.intercept, INTERCEPT)


@pytest.mark.parametrize(
    ("slope", "intercept", "message"),
    [
        (-np.ones(3), np.ones(3), "slope must be 0 or larger"),
        (np.ones(2), np.ones(3), r"slope must be an array of shape \(3\)"),
        (np.ones(3), np.array([0, 0, np.nan]), "intercept holds values that are not finite"),
        (np.ones(3), np.full(3, 1e6), "intercept must be from -1000 to 1000"),
    ],
)
def test_what_a_file_may_not_set(slope: np.ndarray, intercept: np.ndarray, message: str) -> None:
    check = file_check(WaveCalibration)
    with pytest.raises(ValueError, match=message):
        check(WaveCalibration(slope, intercept))


def test_bad_waves_are_named() -> None:
    for confidence, wave, message in (
        ([1.5], ["P"], "confidence must be from 0 to 1, got 1.5"),
        ([0.5], ["U"], "unknown wave 'U'"),
        ([0.5], [0], "unknown wave 0"),
        ([0.5], [1, 2], "one entry per wave"),
    ):
        with pytest.raises(ValueError, match=message):
            KNOWN(confidence, wave)
    with pytest.raises(ValueError, match="right judges no QRS"):
        WaveCalibration.fit([0.5, 0.6], [1, np.nan], ["P", "QRS"])
    with pytest.raises(ValueError, match="right must hold 1, 0 or NaN for each of the 1 waves"):
        WaveCalibration.fit([0.5], [0.5], ["P"])
