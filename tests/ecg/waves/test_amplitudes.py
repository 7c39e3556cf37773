"""Amplitudes of beats drawn by hand: every expected value is read off the knots."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.ecg.waves.amplitudes import FS_MEASURED, LEAD_VALUES, Beats, lead_values

# Knots of a beat: time from the R peak [ms], amplitude [mV]. QRS lasts from -40 to 50 ms.
BEAT = [
    (-200, 0), (-160, 0.12), (-140, 0.12), (-100, 0), (-40, 0), (-30, -0.1), (0, 1), (20, -0.3), (40, 0.15),
    (200, 0.15), (250, 0.4), (275, 0.4), (340, 0),
]  # fmt: skip
SECOND_R = [(-40, 0), (-20, 0.2), (0, -0.6), (30, 0.8), (50, 0), (60, 0)]
QS = [(-40, 0), (0, -0.9), (40, 0), (60, 0)]
R_PEAKS = np.array([500.0, 1000.0, 1500.0])  # samples, 2 ms each


def measured(*leads: list[tuple[float, float]], slope: float = 0.0, gap: int | None = None) -> dict[str, np.ndarray]:
    """Values of the beat in the middle, one per lead."""
    ms = np.arange(2000) * (1000 / FS_MEASURED)
    signal = np.full((1, len(leads), len(ms)), 0.5) + slope * ms / 1000
    for lead, knots in enumerate(leads):
        at, value = np.array(knots, float).T
        for r in R_PEAKS * 2:
            signal[0, lead] += np.interp(ms - r, at, value, left=0, right=0)
    n = len(R_PEAKS)

    def marks(first: float, last: float) -> np.ndarray:
        return np.broadcast_to((R_PEAKS[:, None] + [first / 2, last / 2])[:, None], (n, len(leads), 2)).copy()

    onset, offset = R_PEAKS - 20, R_PEAKS + 25
    beats = Beats(np.zeros(n, np.int64), onset, offset, marks(-200, -100), marks(-40, 50), marks(200, 340))
    known = None
    if gap is not None:
        known = np.ones(signal.shape, bool)
        known[0, gap, 995:1000] = False
    values = lead_values(signal.astype(np.float32), known, beats)
    return dict(zip(LEAD_VALUES, values[1].T, strict=True))


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_a_beat_by_hand(slope: float) -> None:
    """A baseline that drifts by .1 mV a second does not count."""
    found = measured(BEAT, slope=slope)
    expected = {
        "p_amplitude": 0.12, "q_amplitude": -0.1, "r_amplitude": 1, "s_amplitude": -0.3, "r2_amplitude": 0,
        "t_amplitude": 0.4, "st_j": 0.15, "st_j40": 0.15, "st_j80": 0.15,
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, abs=2e-3), name
    # The line from -.1 at -30 ms to 1 at 0 ms is 0 at -27.3 ms.
    assert found["q_duration"][0] == pytest.approx(40 - 30 + 30 / 11, abs=0.05)
    # Trapezoids: -.5, 13.5, 7, -1.5 and 1.5; the last sample counts whole, not half.
    assert found["qrs_area"][0] == pytest.approx(20 + 0.15, abs=0.05)


def test_a_second_r_and_a_complex_without_r() -> None:
    found = measured(SECOND_R, QS, [(t, -a) for t, a in QS])
    np.testing.assert_allclose(found["r_amplitude"], [0.2, 0, 0.9], atol=1e-3)
    np.testing.assert_allclose(found["s_amplitude"], [-0.6, 0, 0], atol=1e-3)
    np.testing.assert_allclose(found["r2_amplitude"], [0.8, 0, 0], atol=1e-3)
    np.testing.assert_allclose(found["q_amplitude"], [0, -0.9, 0], atol=1e-3)
    # A QS lasts as long as QRS.
    np.testing.assert_allclose(found["q_duration"], [0, 90, 0], atol=1e-3)


def test_a_level_is_no_wave() -> None:
    """ST that begins high is no second R, and ST that begins low is no S."""
    high = [(-40, 0), (-20, -0.2), (0, 0.8), (20, -0.1), (40, 0.3), (200, 0.3), (300, 0)]
    low = [(-40, 0), (0, 0.8), (30, -0.2), (200, -0.2), (300, 0)]
    found = measured(high, low)
    np.testing.assert_allclose(found["r2_amplitude"], [0, 0], atol=1e-6)
    np.testing.assert_allclose(found["s_amplitude"], [-0.1, 0], atol=1e-3)
    np.testing.assert_allclose(found["st_j"], [0.3, -0.2], atol=1e-3)


def test_a_bump_before_a_tall_r_is_no_r() -> None:
    bump = [(-40, 0), (-34, 0.05), (-28, -0.3), (0, 4), (30, 0), (60, 0)]
    assert measured(bump)["q_amplitude"][0] == pytest.approx(-0.3, abs=1e-3)
    assert measured(bump)["r_amplitude"][0] == pytest.approx(4, abs=1e-3)


def test_missing_samples_take_the_beat_out_of_their_lead_only() -> None:
    found = measured(BEAT, BEAT, gap=0)
    for name in LEAD_VALUES:
        assert np.isnan(found[name][0]) and np.isfinite(found[name][1]), name
