"""beat_timing: columns by hand for rhythms that are known."""

import numpy as np
import pytest

from beatssl_sklearn.ecg import TIMING_NAMES, beat_timing

FS = 250


def timing(seconds, fs=FS):
    """Return the columns by name, of beats at these intervals [s]."""
    rpeaks = np.round(np.cumsum([1.0, *seconds]) * fs).astype(int)
    return dict(zip(TIMING_NAMES, beat_timing(rpeaks, fs).T, strict=True))


def test_a_premature_beat_by_hand():
    found = timing([1.0] * 40 + [0.7, 1.3] + [1.0] * 40)
    early, late = np.log(0.7), np.log(1.3)
    for kind in ("causal8", "causal30", "centred11", "centred61", "level50", "minutes50", "held"):
        assert found[f"prev_{kind}"][41] == pytest.approx(early, abs=1e-6)
        assert found[f"next_{kind}" if kind != "minutes50" else "prev_minutes50"][40] == pytest.approx(
            early if kind != "minutes50" else 0, abs=1e-6
        )
        assert found[f"prev_{kind}"][42] == pytest.approx(late, abs=0.03 if kind == "held" else 1e-6)
    assert found["compensation"][41] == pytest.approx(0, abs=1e-6)
    assert found["prev_next"][41] == pytest.approx(early - late, rel=1e-5)
    assert found["before_prev"][42] == pytest.approx(early, rel=1e-5) == found["after_next"][39]
    # The robust spread of a regular rhythm has a floor of 0.01, and the ratio a bound of 8.
    assert found["spread"][41] == pytest.approx(np.log(0.01)) and found["prev_spread"][41] == -8.0
    assert found["log_prev"][42] == pytest.approx(late, rel=1e-5) and found["rate"][41] == pytest.approx(0, abs=1e-6)
    assert found["jumps"][41] == pytest.approx(3 / 31, rel=1e-5)
    # Ten intervals on either side of the change to the early beat: four changes around, of these three sizes.
    changes = (-early + (late - early) + late) / 11
    assert found["irregularity"][41] == pytest.approx(np.log(changes + 0.005), rel=1e-5)


def test_ends_have_no_interval():
    found = timing([0.8] * 10)
    assert all(found[name][0] == 0 for name in TIMING_NAMES if name.startswith("prev_"))
    assert all(found[name][-1] == 0 for name in TIMING_NAMES if name.startswith("next_"))
    assert found["log_prev"][0] == found["log_prev"][1] and found["log_next"][-1] == found["log_next"][-2]
    assert found["gap2"][0] == found["gap2"][1]


def test_each_beat_of_a_run_stays_premature():
    found = timing([1.0] * 40 + [0.5] * 60 + [1.0] * 40)
    run = slice(42, 100)
    assert found["prev_held"][run].max() < -0.6 < -0.05 < found["prev_causal8"][60:95].min()
    assert found["prev_held_after"][run].max() < -0.6
    # It gives way by 10 min; the fast one, by 1 min, has gone half of the way after 30 s.
    assert -0.55 < found["prev_held_fast"][99] < -0.25
    assert found["prev_held_least"][run] == pytest.approx(
        np.minimum(found["prev_held"], found["prev_held_after"])[run]
    )
    # A rhythm that becomes slowly faster is followed, and is not premature.
    slow = timing(np.linspace(1.0, 0.5, 140))
    assert np.abs(slow["prev_held"]).max() < 0.12


def test_bigeminy_is_no_irregular_rhythm():
    rng = np.random.default_rng(0)
    bigeminy = timing(np.tile([0.6, 1.0], 60))
    irregular = timing(rng.uniform(0.4, 1.2, 120))
    for name in ("gap2", "gap5"):
        assert np.median(bigeminy[name]) == pytest.approx(np.log(0.004), abs=0.01)
        assert np.median(irregular[name]) > np.log(0.03)
    assert bigeminy["jumps"][60] == 1.0 and irregular["jumps"][60] > 0.6


def test_times_decide_and_not_samples():
    rng = np.random.default_rng(1)
    rpeaks = np.cumsum(rng.integers(20, 40, 200))
    low = beat_timing(rpeaks, 40)
    np.testing.assert_allclose(beat_timing(rpeaks * 25, 1000), low, atol=1e-5)
    np.testing.assert_allclose(beat_timing(rpeaks + 10_000, 40), low, atol=1e-5)


def test_ratios_do_not_depend_on_the_rate():
    rng = np.random.default_rng(2)
    rr = rng.uniform(0.5, 0.9, 100)
    rate = {"rate", "log_prev", "log_next"}
    # What is held gives way by seconds.
    timed = {name for name in TIMING_NAMES if "held" in name}
    slow, fast = (timing(k * rr, fs=1e6) for k in (1.0, 1.25))
    for name in set(TIMING_NAMES) - rate - timed:
        np.testing.assert_allclose(fast[name], slow[name], atol=1e-4, err_msg=name)
    for name in rate:
        np.testing.assert_allclose((fast[name] - slow[name])[1:-1], np.log(1.25), atol=1e-4)


def test_missed_beats_are_bounded():
    found = beat_timing(np.array([0, 250, 500, 750, 250_000, 250_250, 250_500, 250_510, 250_760]), FS)
    assert np.isfinite(found).all() and np.abs(found).max() <= 8
    # Gaps count as 3 s, and false beats as .2 s.
    expected = np.log([3.0, 1.0, 1.0, 0.2, 1.0])
    np.testing.assert_allclose(found[4:, TIMING_NAMES.index("log_prev")], expected, atol=1e-6)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_fewer_than_four_beats_have_no_timing(n):
    found = beat_timing(np.arange(n) * 250, FS)
    assert found.shape == (n, 42) and found.dtype == np.float32 and not found.any()


def test_few_beats_have_numbers():
    for n in (4, 5, 12):
        found = beat_timing(np.arange(n) * 250, FS)
        assert found.shape == (n, len(TIMING_NAMES)) and np.isfinite(found).all()


@pytest.mark.parametrize(
    ("rpeaks", "fs", "message"),
    [
        ([0, 250, 200, 600], FS, "rpeaks must increase"),
        ([0, 250, 250, 600], FS, "rpeaks must increase"),
        ([0.0, np.nan, 500.0], FS, "rpeaks"),
        ([[0, 250], [500, 750]], FS, "rpeaks"),
        ([0, 250, 500, 750], 0, "fs"),
        ([0, 250, 500, 750], np.nan, "fs"),
    ],
)
def test_positions_that_are_none(rpeaks, fs, message):
    with pytest.raises((ValueError, TypeError), match=message):
        beat_timing(rpeaks, fs)
