"""P waves of every size and place: what is listed, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.ecg.simulate.annotate import annotate_waves
from beatssl_sklearn.ecg.simulate.beats import QRS_NARROW, P, Patient, make_p_pattern, make_pattern
from beatssl_sklearn.ecg.simulate.course import Course
from beatssl_sklearn.ecg.simulate.make_ecg import SimulatedECG, make_ecg
from beatssl_sklearn.ecg.simulate.render import render
from beatssl_sklearn.ecg.simulate.rhythms import MIXED, RHYTHMS

# Of the first record at 100 Hz without noise: first two R peaks, listed P waves, mean absolute value [uV].
BEFORE = {
    "sinus": ([11, 109], 10, 63.48), "af": ([28, 93], 0, 71.46), "pvc": ([53, 152], 8, 71.95),
    "pac": ([53, 152], 11, 63.54), "lbbb": ([12, 111], 10, 109.60), "rbbb": ([11, 109], 10, 68.61),
    "st_elevation": ([99, 218], 8, 98.69), "paced": ([62, 148], 12, 133.22),
}  # fmt: skip


def any_p(rhythm: str, n: int, **kwargs: object) -> SimulatedECG:
    return make_ecg(n, rhythm=rhythm, p_waves="any", noise=0, random_state=4, **kwargs)


def p_values(ecg: SimulatedECG) -> np.ndarray:
    """Median over a record's P waves of lead II within the wave, from the level at its onset: 20 values a record."""
    shapes = []
    for x, waves in zip(ecg.data, ecg.waves, strict=True):
        p = waves[waves["wave"] == "P"]
        shapes.append(np.median([np.interp(np.linspace(w["onset"], w["offset"], 20), np.arange(x.shape[1]), x[1])
                                 - x[1, w["onset"]] for w in p], axis=0))  # fmt: skip
    return np.array(shapes)


@pytest.mark.parametrize("rhythm", MIXED)
def test_the_usual_records_stay_what_they_were(rhythm: str) -> None:
    ecg = make_ecg(1, rhythm=rhythm, fs=100, noise=0, random_state=6)
    peaks, n_p, size = BEFORE[rhythm]
    assert ecg.rpeaks[0][:2].tolist() == peaks and (ecg.waves[0]["wave"] == "P").sum() == n_p
    assert 1000 * np.abs(ecg.data).mean() == pytest.approx(size, abs=0.01)


def test_mixed_is_a_fixed_list() -> None:
    assert set(make_ecg(16, rhythm="mixed", duration=1, random_state=0).rhythm) == set(MIXED) < set(RHYTHMS)


@pytest.mark.parametrize("rhythm", ["sinus", "rbbb", "lbbb", "pvc", "st_elevation"])
def test_any_p_waves_leave_the_beats(rhythm: str) -> None:
    usual, other = make_ecg(6, rhythm=rhythm, noise=0, random_state=4), any_p(rhythm, 6)
    assert usual.report == other.report
    for a, b in zip(usual.rpeaks, other.rpeaks, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(usual.data, other.data)


def test_any_p_waves_are_low_tall_wide_inverted_and_biphasic() -> None:
    ecg = any_p("sinus", 150)
    shapes = p_values(ecg)
    high, low = shapes.max(axis=1), shapes.min(axis=1)
    size = np.maximum(high, -low)
    width = [np.median((w["offset"] - w["onset"])[w["wave"] == "P"]) / ecg.fs for w in ecg.waves]
    assert (size < 0.05).mean() > 0.15 and (size > 0.2).mean() > 0.05
    assert min(width) < 0.08 and max(width) > 0.14
    assert ((low < -0.03) & (high < 0.01)).mean() > 0.05, "inverted"
    assert ((low < -0.02) & (high > 0.02)).mean() > 0.03, "biphasic"
    usual = p_values(make_ecg(150, noise=0, random_state=4))
    assert size.std() > 1.5 * usual.max(axis=1).std() and usual.min() > -0.02


def test_every_beat_of_any_shape_has_its_p_wave_before_it() -> None:
    for rhythm in ("sinus", "lbbb", "rbbb", "ivcd", "paced_atrial"):
        ecg = any_p(rhythm, 12)
        for waves in ecg.waves:
            names = waves["wave"].tolist()
            before = [names[k - 1] == "P" for k in range(1, len(names)) if names[k] == "QRS"]
            assert np.mean(before) > 0.99


def test_ventricular_beats_have_a_p_wave_after_them_or_hide_one() -> None:
    after = []
    ecg = any_p("pvc", 60)
    for waves, types, peaks in zip(ecg.waves, ecg.beat_types, ecg.rpeaks, strict=True):
        p = waves["peak"][waves["wave"] == "P"]
        for k in np.flatnonzero(types[:-1] == "V"):
            gap = (p[p > peaks[k]].min() - peaks[k]) / 500
            after.append(gap < 0.3)
    assert 0.1 < np.mean(after) < 0.7
    usual = make_ecg(60, rhythm="pvc", noise=0, random_state=4)
    for waves, types, peaks in zip(usual.waves, usual.beat_types, usual.rpeaks, strict=True):
        p = waves["peak"][waves["wave"] == "P"]
        assert all((p[p > peaks[k]].min() - peaks[k]) / 500 > 0.3 for k in np.flatnonzero(types[:-1] == "V"))


def test_some_atrial_beats_are_not_conducted() -> None:
    ecg = any_p("pac", 30)
    blocked = [waves for waves, types in zip(ecg.waves, ecg.beat_types, strict=True) if "A" not in types]
    assert 4 <= len(blocked) <= 16
    pairs = ["P P" in " ".join(w["wave"][w["wave"] != "T"].tolist()) for w in blocked]
    assert np.mean(pairs) > 0.6


def one_beat(p_at: float, gain_p: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return waves and mask of two narrow beats at 1 s and 2 s at 1000 Hz, with one P wave that begins at `p_at`."""
    patient = Patient.draw(np.random.default_rng(0))
    patient = Patient(**{**vars(patient), "gain_p": gain_p})
    beat, p = make_pattern(patient, QRS_NARROW, p=None), make_p_pattern(patient)
    course = Course([beat], ("N",), np.array([1.0, 2.0]), np.zeros(2, np.int64), 0.0, ("",),
                    ((p, np.array([p_at])),), overlaps=True)  # fmt: skip
    stretch, mask = np.ones(2), np.zeros(3000, np.int8)
    signal, p_waves = render(course, stretch, np.random.default_rng(0), 1000, 3000)
    assert p.bounds[P][0] == pytest.approx(0, abs=0.02) and p_waves.any()
    return annotate_waves(course, stretch, signal, p_waves, 1000, mask), mask


def named(waves: np.ndarray, name: str) -> np.ndarray:
    return waves[waves["wave"] == name]


def test_a_p_wave_on_a_t_wave_ends_it_and_one_in_a_complex_is_not_listed() -> None:
    free, _ = one_beat(1.6)
    t = named(free, "T")[0]
    p = named(free, "P")[0]
    assert t["offset"] < p["onset"] and p["onset"] == pytest.approx(1600, abs=15)
    on_t, mask = one_beat((t["offset"] - 35) / 1000, gain_p=1.5)
    p, cut = named(on_t, "P")[0], named(on_t, "T")[0]
    assert cut["onset"] == t["onset"] and t["peak"] == cut["peak"] < cut["offset"] == p["onset"] - 1
    assert (mask[p["onset"] : p["offset"] + 1] == P).all()
    for at in (0.94, 0.98, 1.0):
        waves, mask = one_beat(at)
        assert not named(waves, "P").size and not (mask == P).any()


def test_a_p_wave_that_makes_no_notch_is_not_listed() -> None:
    t = named(one_beat(1.6)[0], "T")[0]
    at = (t["peak"] + 5) / 1000
    assert not named(one_beat(at, gain_p=0.15)[0], "P").size
    assert named(one_beat(at, gain_p=3.0)[0], "P").size


def test_a_p_wave_before_the_peak_of_the_t_wave_lets_it_begin_later() -> None:
    t = named(one_beat(1.6)[0], "T")[0]
    waves, _ = one_beat((t["peak"] - 140) / 1000, gain_p=2.0)
    p, late = named(waves, "P")[0], named(waves, "T")[0]
    assert p["offset"] + 1 == late["onset"] > t["onset"] and late["peak"] == t["peak"]
