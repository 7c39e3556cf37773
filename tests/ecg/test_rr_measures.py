"""Measures of rhythm from R peaks."""

import numpy as np
import pytest

from beatssl_sklearn.ecg import RR_MEASURES, rr_measures

FS = 100.0


def beats(*intervals):
    """R peaks at 100 Hz with these intervals [10 ms]."""
    return np.cumsum([50, *intervals])


def row(*intervals):
    return dict(zip(RR_MEASURES, rr_measures([beats(*intervals)], FS)[0], strict=True))


def test_two_intervals_in_turn():
    m = row(*[70, 130] * 9)
    assert m["median_rr"] == 1.0 and m["log_rate"] == pytest.approx(0, abs=1e-12)
    assert m["rr_sd"] == pytest.approx(0.3) and m["rr_mad"] == pytest.approx(0.3 * 1.4826)
    assert (m["rr_low"], m["rr_high"]) == pytest.approx((-0.3, 0.3))
    assert m["rmssd"] == pytest.approx(0.6) and m["second_change"] == pytest.approx(1.2)
    assert m["lorenz_short_long"] == m["lorenz_long_short"] == 0.5
    assert m["turning_points"] == m["changes_20"] == m["pnn50"] == 1
    assert [round(m[f"autocorrelation_{lag}"], 9) for lag in (1, 2, 3)] == [-1, 1, -1]
    # Of the pairs of 18 intervals, those at even distances agree: 16 + 14 + ... + 2 of 153.
    assert m["match_5"] == pytest.approx(72 / 153)


def test_a_regular_rhythm_has_no_spread():
    m = row(*[80] * 12)
    assert m.pop("median_rr") == 0.8 and m.pop("log_rate") == pytest.approx(np.log(1 / 0.8))
    assert {name for name, value in m.items() if value == pytest.approx(1)} == {
        *("rr_bin4", "lorenz_origin", "match_5", "match_10")
    }
    assert sum(map(abs, m.values())) == pytest.approx(4, abs=1e-3)


def test_a_premature_beat_and_its_pause():
    m = row(100, 100, 60, 140, 100, 100)
    assert m["premature"] == 1 / 5 and m["compensated"] == 1
    assert (m["rr_bin1"], m["rr_bin4"], m["rr_bin6"], m["rr_bin7"]) == pytest.approx((1 / 6, 4 / 6, 1 / 6, 0))
    # Changes 0, -.4, .8, -.4, 0: points (0, -.4), (-.4, .8), (.8, -.4), (-.4, 0).
    assert m["lorenz_short_long"] == m["lorenz_long_short"] == 1 / 4
    assert m["rmssd"] == pytest.approx(np.sqrt((0.16 + 0.64 + 0.16) / 5))
    assert row(100, 100, 60, 110, 100, 100)["compensated"] == 0


def test_slow_and_fast_rates():
    assert (row(*[150] * 4)["slow"], row(*[150] * 4)["fast"]) == pytest.approx((np.log(60 / 40), 0))
    assert (row(*[40] * 4)["slow"], row(*[40] * 4)["fast"]) == pytest.approx((0, np.log(150 / 100)))


def test_the_halves_differ_when_the_rate_changes():
    assert row(*[80] * 5, *[120] * 5)["rr_drift"] == pytest.approx(0.4)


def entropy_pair_by_pair(x, r):
    """Sample entropy of templates of one interval, smoothed as documented, in plain loops."""
    pairs = [(i, j) for i in range(len(x)) for j in range(i + 1, len(x)) if j - i <= 30]
    close = {(i, j): abs(x[i] - x[j]) <= r for i, j in pairs}
    chance = (sum(close.values()) + 0.5) / (len(pairs) + 1)
    going_on = [(close[p], close[p[0] + 1, p[1] + 1]) for p in pairs if (p[0] + 1, p[1] + 1) in close]
    n_both, n_next = sum(a and b for a, b in going_on), sum(a for a, _ in going_on)
    return sum(close.values()) / len(pairs), -np.log((n_both + 3 * chance) / (n_next + 3))


@pytest.mark.parametrize("n", [3, 12, 50])
def test_entropy_and_matches_pair_by_pair(n):
    intervals = np.random.default_rng(n).integers(60, 140, n)
    x, m = intervals / np.median(intervals), row(*intervals)
    for r in (5, 10):
        # No pair lies on the tolerance itself, where rounding decides.
        assert (m[f"match_{r}"], m[f"entropy_{r}"]) == pytest.approx(entropy_pair_by_pair(x, r / 100 + 1e-12))


def test_fibrillation_has_more_entropy_than_bigeminy():
    fibrillation = np.random.default_rng(0).lognormal(4.4, 0.2, 40).astype(int)
    assert row(*fibrillation)["entropy_10"] > 5 * row(*[70, 130] * 20)["entropy_10"]


def test_few_beats():
    none, one, two = rr_measures([np.zeros(0, int), beats(), beats(75)], FS)
    assert not none.any() and not one.any()
    named = dict(zip(RR_MEASURES, two, strict=True))
    assert {name for name, value in named.items() if value} == {"median_rr", "log_rate", "rr_bin4"}
    assert named["median_rr"] == 0.75 and named["rr_bin4"] == 1
    assert rr_measures([], FS).shape == (0, len(RR_MEASURES))
    # Three beats have one change, four have a change of changes: nothing divides by zero.
    assert np.isfinite(rr_measures([beats(75, 80), beats(75, 80, 60), beats(75, 75, 75)], FS)).all()


def test_rows_do_not_depend_on_each_other_nor_on_rate_and_start():
    rng = np.random.default_rng(1)
    stretches = [beats(*rng.integers(40, 150, n)) for n in (30, 0, 1, 2, 17)] + [beats()]
    together = rr_measures(stretches, FS)
    for stretch, expected in zip(stretches, together, strict=True):
        np.testing.assert_allclose(rr_measures([stretch], FS)[0], expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(rr_measures([stretch * 5 + 7], 5 * FS)[0], expected, rtol=1e-9, atol=1e-12)


def test_measures_do_not_grow_with_the_number_of_beats():
    # Where there is no order, a long stretch tells the same as short ones. What few beats cannot show is left out.
    rng = np.random.default_rng(2)
    short = rr_measures([beats(*rng.integers(60, 120, 12)) for _ in range(1000)], FS).mean(axis=0)
    long = rr_measures([beats(*rng.integers(60, 120, 60)) for _ in range(200)], FS).mean(axis=0)
    hard = [n.startswith(("compensated", "autocorrelation", "entropy")) for n in RR_MEASURES]
    assert np.abs(short - long)[~np.array(hard)].max() < 0.08
    assert np.abs(short - long).max() < 0.3


@pytest.mark.parametrize(
    ("rpeaks", "error", "words"),
    [
        (beats(80, 80), TypeError, "list of arrays"),
        ([beats(80), beats(80, 0, 80)], ValueError, "stretch 1 must increase"),
        ([beats(80), np.array([0.5, 1.5])], TypeError, "stretch 1"),
        ([np.zeros((2, 2), int)], ValueError, "stretch 0"),
    ],
    ids=["one array", "doubled", "floats", "table"],
)
def test_bad_rpeaks(rpeaks, error, words):
    with pytest.raises(error, match=words):
        rr_measures(rpeaks, FS)


def test_a_wrong_rate_is_named():
    with pytest.raises(ValueError, match="fs"):
        rr_measures([beats(80)], 0)
