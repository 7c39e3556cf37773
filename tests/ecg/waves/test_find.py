"""Waves from probabilities: which waves are plausible, their borders and peaks."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatssl_sklearn.datasets import fetch_ludb
from beatssl_sklearn.ecg.waves import find as module
from beatssl_sklearn.ecg.waves.find import WAVES, Waves, find_waves, paint

FS = 500.0
P, QRS, T = 1, 2, 3
ANYTHING = {"max_gap": 0.0, "min_duration": (0, 0, 0), "min_confidence": 0.0, "refractory": 0.0, "p_blanking": 0.0}


def _mask(*runs, n_times=1000):
    """One strip with runs of (label, first sample, last sample)."""
    mask = np.zeros((1, n_times), np.int8)
    for label, first, last in runs:
        mask[0, first : last + 1] = label
    return mask


def _one_hot(mask):
    return np.eye(4, dtype=np.float32)[np.maximum(mask, 0)]


def _find(mask, signal=None, proba=None, **params):
    proba = _one_hot(mask) if proba is None else proba
    return find_waves(proba, np.zeros(mask.shape, np.float32) if signal is None else signal, FS, **params)


def _runs(waves):
    return [(int(w), int(a), int(b)) for w, a, b in zip(waves.wave, waves.onset, waves.offset, strict=True)]


def _random(seed, n_strips=3, n_times=600, smoothing=8, sharpness=4.0):
    """Smooth random probabilities with waves of all lengths, and a signal."""
    rng = np.random.default_rng(seed)
    steps = rng.standard_normal((n_strips, n_times + smoothing, 4)).cumsum(axis=1)
    logits = sharpness * (steps[:, smoothing:] - steps[:, :-smoothing]) / np.sqrt(smoothing)
    proba = np.exp(logits - logits.max(axis=2, keepdims=True))
    proba /= proba.sum(axis=2, keepdims=True)
    return proba.astype(np.float32), rng.standard_normal((n_strips, n_times)).astype(np.float32).cumsum(axis=1)


@pytest.fixture(scope="module")
def ludb(data_dir):
    names = (data_dir / "ludb" / "RECORDS").read_text().split()[:60:12]
    return fetch_ludb(data_dir, records=[name.rpartition("/")[2] for name in names], download_if_missing=False)


def test_marks_of_ludb_come_back(ludb):
    n_marks, peak_errors = 0, {wave: [] for wave in WAVES}
    for record, masks, waves in zip(ludb.data, ludb.masks, ludb.waves, strict=True):
        found = find_waves(_one_hot(masks), record.signal, ludb.fs, qrs_peak="r")
        np.testing.assert_array_equal(paint(found, *masks.shape), np.maximum(masks, 0))
        for strip, lead in enumerate(ludb.leads):
            for label, wave in enumerate(WAVES, 1):
                rows = (found.strip == strip) & (found.wave == label)
                borders = np.stack([found.onset[rows], found.offset[rows]], axis=1)
                marks = waves[lead][wave]
                marks = marks[(marks >= 0).all(axis=1)]
                where = np.searchsorted(borders[:, 0], marks[:, 0])
                np.testing.assert_array_equal(borders[where], marks[:, [0, 2]])
                peak_errors[wave].append(found.peak[rows][where] - marks[:, 1])
                n_marks += len(marks)
    assert n_marks > 1000
    for wave in WAVES:
        assert np.mean(np.abs(np.concatenate(peak_errors[wave])) <= 0.02 * ludb.fs) > 0.9, wave


def test_columns_and_their_types():
    waves = _find(_mask((P, 100, 139), (QRS, 160, 209), (T, 260, 339)))
    dtypes = [np.int64, np.int8, np.float64, np.float64, np.float64, np.float32]
    assert [column.dtype for column in waves] == dtypes
    np.testing.assert_array_equal(waves.wave, [P, QRS, T])
    np.testing.assert_array_equal(waves.onset, [100, 160, 260])
    np.testing.assert_array_equal(waves.offset, [139, 209, 339])
    np.testing.assert_array_equal(waves.confidence, 1)
    assert WAVES == ("P", "QRS", "T")


@pytest.mark.parametrize("shape", [(0, 100), (3, 0), (0, 0), (2, 100)])
def test_no_waves(shape):
    proba = np.zeros((*shape, 4), np.float32)
    proba[..., 0] = 1
    waves = find_waves(proba, np.zeros(shape), FS)
    dtypes = [np.int64, np.int8, np.float64, np.float64, np.float64, np.float32]
    assert [(column.shape, column.dtype) for column in waves] == [((0,), d) for d in dtypes]
    labels = paint(waves, *shape)
    assert labels.shape == shape and labels.dtype == np.int8 and not labels.any()


def test_waves_end_with_their_strip():
    mask = np.concatenate([_mask((QRS, 960, 999)), _mask((QRS, 0, 49), (T, 50, 149)), _mask((T, 0, 999))])
    waves = _find(mask)
    np.testing.assert_array_equal(waves.strip, [0, 1, 1, 2])
    assert _runs(waves) == [(QRS, 960, 999), (QRS, 0, 49), (T, 50, 149), (T, 0, 999)]
    np.testing.assert_array_equal(paint(waves, 3, 1000), mask)


def test_chunks_of_strips_change_nothing(monkeypatch):
    proba, signal = _random(0, n_strips=7)
    whole = find_waves(proba, signal, FS)
    monkeypatch.setattr(module, "_CHUNK_SAMPLES", 1300)
    for a, b in zip(whole, find_waves(proba, signal, FS), strict=True):
        np.testing.assert_array_equal(a, b)
    assert whole.strip.max() == 6
    with pytest.raises(ValueError, match="strips 4 to 5"):
        proba[5, 0, 0] = np.inf
        find_waves(proba, signal, FS)


def test_layout_and_precision_of_the_input_change_nothing():
    proba, signal = _random(1)
    want = find_waves(proba, signal, FS)
    planes = np.ascontiguousarray(proba.transpose(0, 2, 1)).transpose(0, 2, 1)
    for p, x in [(planes, signal), (proba.astype(np.float64), signal[:, ::-1].copy()[:, ::-1].astype(np.float64))]:
        for a, b in zip(want, find_waves(p, x, FS), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("fraction", [-0.45, -0.2, 0.0, 0.3, 0.49])
def test_soft_borders_are_found_between_samples(fraction):
    t = np.arange(1000)
    inside = 1 / (1 + np.exp(-(t - (300 - 0.5 + fraction)) / 1.5)) * 1 / (1 + np.exp((t - (360.5 - fraction)) / 1.5))
    for label in (P, QRS, T):
        proba = np.zeros((1, 1000, 4))
        proba[0, :, 0], proba[0, :, label] = 1 - inside, inside
        waves = find_waves(proba, np.zeros((1, 1000)), FS)
        assert abs(waves.onset[0] - (300 + fraction)) < 0.05
        assert abs(waves.offset[0] - (360 - fraction)) < 0.05


@pytest.mark.parametrize("window", [0.01, 0.08, 0.5])
def test_mean_borders(window):
    # Where probabilities are 0 and 1, at the ends of the strip and beside other waves, too, nothing changes.
    mask = _mask((T, 0, 80), (P, 130, 170), (QRS, 171, 210), (T, 300, 380), (P, 390, 410), (QRS, 960, 999))
    waves = _find(np.concatenate([mask, mask]), border_window=window)
    assert _runs(waves) == _runs(_find(mask)) * 2
    np.testing.assert_array_equal(paint(waves, 2, 1000)[1], mask[0])
    # A border that is at one of two places with probabilities .7 and .3: the mean, not the more probable one.
    proba = _one_hot(_mask((QRS, 300, 360)))
    proba[0, 296:300] = 0.7, 0, 0.3, 0
    proba[0, 361:365] = 0.7, 0, 0.3, 0
    waves = _find(_mask(), proba=proba, border_window=window)
    np.testing.assert_allclose([waves.onset[0], waves.offset[0]], [300 - 4 * 0.3, 360 + 4 * 0.3], atol=1e-6)
    # What is left of a P between two others is not given to both.
    waves = _find(_mask((P, 100, 140), (P, 151, 164), (P, 175, 215)), border_window=window)
    assert waves.wave.size == 2 and waves.offset[0] + 1 <= waves.onset[1]


def test_border_lies_where_the_largest_other_class_is_as_probable():
    proba = _one_hot(_mask((P, 100, 149), (QRS, 150, 199)))
    proba[0, 149] = 0.1, 0.6, 0.3, 0.0
    proba[0, 150] = 0.1, 0.2, 0.7, 0.0
    waves = _find(_mask(), proba=proba)
    # The difference goes from .3 to -.5: equal at 149.375.
    np.testing.assert_allclose([waves.offset[0], waves.onset[1]], [148.875, 149.875], atol=1e-6)


def test_equal_probabilities_make_a_border_halfway():
    proba = _one_hot(_mask((QRS, 100, 149)))
    proba[0, 99:101] = 0.5, 0, 0.5, 0
    # Sample 100 is background, too: the first of the equal classes.
    np.testing.assert_array_equal(_find(_mask(), proba=proba).onset, [100.5])
    proba[0, 100] = 0, 0, 0.5, 0.5
    np.testing.assert_array_equal(_find(_mask(), proba=proba).onset, [100])


def test_confidence_is_the_mean_probability_of_the_class():
    proba = _one_hot(_mask((QRS, 100, 149)))
    proba[0, 100:125] = 0.3, 0, 0.6, 0.1
    proba[0, 120:122] = 0.8, 0, 0.2, 0  # a gap that is closed counts
    assert _find(_mask(), proba=proba).confidence == pytest.approx((25 + 23 * 0.6 + 2 * 0.2) / 50)
    assert _find(_mask(), proba=proba, min_confidence=0.78).wave.size == 1
    assert _find(_mask(), proba=proba, min_confidence=0.80).wave.size == 0
    # Of P, QRS and T.
    assert _find(_mask(), proba=proba, min_confidence=(0.9, 0.78, 0.9)).wave.size == 1
    assert _find(_mask(), proba=proba, min_confidence=(0, 0.80, 0)).wave.size == 0
    # Sums other than 1 are tolerated, and so are waves of a low probability that is the largest.
    proba = 0.4 * _one_hot(_mask((QRS, 100, 149)))
    assert _find(_mask(), proba=proba).wave.size == 0
    assert _find(_mask(), proba=proba, min_confidence=0).confidence == pytest.approx(0.4)
    assert _find(_mask(), proba=3 * proba).confidence == 1


@pytest.mark.parametrize(("wave", "between"), [(w, b) for w in (P, QRS, T) for b in (0, P, QRS, T) if b != w])
def test_short_gaps_are_closed(wave, between):
    for gap, n_waves in [(9, 1), (10, 2)]:
        mask = _mask((wave, 300, 359), (between, 360, 359 + gap), (wave, 360 + gap, 400))
        waves = _find(mask, refractory=0, min_duration=(0.03,) * 3)
        assert _runs(waves)[0] == (wave, 300, 400 if n_waves == 1 else 359)
        expected = 1 if wave == T else n_waves  # there is one T per beat
        assert (waves.wave == wave).sum() == expected


def test_several_gaps_are_closed_at_once():
    mask = _mask((T, 300, 310), (P, 313, 315), (T, 316, 330), (QRS, 331, 333), (T, 338, 339), (T, 344, 360))
    assert _runs(_find(mask)) == [(T, 300, 360)]


def test_gaps_that_hold_a_wave_stay_open():
    mask = _mask((P, 300, 330), (QRS, 331, 350), (P, 351, 380))
    assert _runs(_find(mask, max_gap=0.1)) == [(P, 300, 330), (QRS, 331, 350), (P, 351, 380)]
    # Too short to be a complex, it is a hole in a P.
    assert _runs(_find(mask, max_gap=0.1, min_duration=(0.03, 0.05, 0.05))) == [(P, 300, 380)]
    # A complex in pieces is joined first, and what lies in its holes belongs to nothing else.
    mask = _mask((QRS, 100, 130), (T, 131, 138), (QRS, 139, 145), (T, 146, 200))
    assert _runs(_find(mask)) == [(QRS, 100, 145), (T, 146, 200)]


def test_gaps_between_strips_stay_open():
    mask = np.concatenate([_mask((P, 980, 999)), _mask((P, 0, 19))])
    assert _runs(_find(mask)) == [(P, 980, 999), (P, 0, 19)]


@pytest.mark.parametrize(("wave", "samples"), [(P, 15), (QRS, 15), (T, 25)])
def test_short_runs_are_dropped(wave, samples):
    assert _runs(_find(_mask((wave, 300, 299 + samples)))) == [(wave, 300, 299 + samples)]
    assert _runs(_find(_mask((wave, 300, 298 + samples)))) == []
    shorter = np.repeat(0.02, 3)
    assert _runs(_find(_mask((wave, 300, 309)), min_duration=shorter)) == [(wave, 300, 309)]
    assert _find(_mask((wave, 300, 302)), min_duration=(0, 0, 0)).peak == 301
    assert not _find(_mask((wave, 300, 301)), min_duration=(0, 0, 0)).wave.size


def test_times_are_exact_at_any_rate():
    mask = _mask((QRS, 10, 16))
    signal = np.zeros((1, 1000))
    assert find_waves(_one_hot(mask), signal, 100.0, min_duration=(0.07, 0.07, 0.07)).wave.size == 1
    assert find_waves(_one_hot(mask), signal, 100.0, min_duration=(0.08, 0.08, 0.08)).wave.size == 0
    mask = _mask((P, 10, 29), (P, 37, 60))
    assert find_waves(_one_hot(mask), signal, 100.0, max_gap=0.07).wave.size == 2
    assert find_waves(_one_hot(mask), signal, 100.0, max_gap=0.08).wave.size == 1


def test_one_t_per_beat():
    mask = _mask((T, 10, 40), (T, 60, 100), (QRS, 200, 240), (T, 300, 380), (T, 400, 440), (QRS, 600, 640))
    mask = np.concatenate([mask, mask])
    proba = _one_hot(mask)
    # The sum of probability decides, not the length alone.
    proba[1, 300:381] = 0.49, 0, 0, 0.5
    proba[1, 60:101] = 0.4, 0, 0, 0.6
    waves = _find(mask, proba=proba)
    assert _runs(waves)[:4] == [(T, 60, 100), (QRS, 200, 240), (T, 300, 380), (QRS, 600, 640)]
    assert _runs(waves)[4:] == [(T, 10, 40), (QRS, 200, 240), (T, 400, 440), (QRS, 600, 640)]


def test_several_p_per_beat_stay():
    mask = _mask((QRS, 100, 140), (T, 180, 260), (P, 300, 340), (P, 500, 540), (P, 700, 740), (QRS, 800, 840))
    np.testing.assert_array_equal(paint(_find(mask), 1, 1000), mask)


def test_p_behind_a_complex_is_dropped_before_a_t_only():
    qrs, t = (QRS, 100, 149), (T, 230, 300)
    for first, last, kept in [(150, 170, False), (179, 200, False), (180, 200, True)]:
        assert (P in _find(_mask(qrs, (P, first, last), t)).wave) == kept
    assert P in _find(_mask(qrs, (P, 160, 190))).wave
    assert P in _find(_mask(qrs, (P, 160, 190), (QRS, 200, 240), (T, 300, 380))).wave
    assert P in _find(_mask(qrs, (P, 160, 190), t), p_blanking=0).wave
    # The complex of another strip is none.
    assert P in _find(np.concatenate([_mask((QRS, 960, 999)), _mask((P, 5, 30), (T, 100, 200))])).wave


def test_t_and_p_that_touch_keep_their_order():
    mask = _mask((QRS, 100, 140), (T, 200, 280), (P, 281, 320), (QRS, 350, 390))
    np.testing.assert_array_equal(paint(_find(mask), 1, 1000), mask)


def test_complexes_within_the_refractory_time_are_one():
    mask = _mask((QRS, 100, 140), (QRS, 160, 210), (QRS, 400, 440), (QRS, 460, 490))
    assert _runs(_find(mask)) == [(QRS, 160, 210), (QRS, 400, 440)]
    assert _find(mask, refractory=0).wave.size == 4
    # Peaks count, not borders.
    mask = _mask((QRS, 100, 140), (QRS, 160, 210))
    for peaks, n_waves in [((105, 205), 2), ((130, 204), 1), ((130, 205), 2)]:
        signal = np.zeros((1, 1000), np.float32)
        signal[0, peaks] = 1
        assert _find(mask, signal).wave.size == n_waves


def test_a_complex_that_loses_takes_no_other_with_it():
    # The second loses to the first, and so the third, weaker than the second, stays.
    mask = _mask((QRS, 100, 160), (QRS, 180, 235), (QRS, 250, 300))
    mask = np.concatenate([mask, np.zeros_like(mask), mask])
    waves = _find(mask, refractory=0.2)
    assert _runs(waves) == [(QRS, 100, 160), (QRS, 250, 300)] * 2
    np.testing.assert_array_equal(waves.strip, [0, 0, 2, 2])


@pytest.mark.parametrize("wave", [P, QRS, T])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("centre", [330.0, 345.3, 362.75])
def test_peak_is_the_vertex_of_the_deflection(wave, sign, centre):
    t = np.arange(1000.0)
    bump = sign * np.exp(-0.5 * ((t - centre) / (4 if wave == QRS else 8)) ** 2)
    # A drift that would move the extremum.
    signal = (bump + 0.02 * t)[None].astype(np.float32)
    assert abs(_find(_mask((wave, 300, 390)), signal).peak[0] - centre) < 0.1


def test_peak_of_a_complex_by_convention():
    t = np.arange(1000.0)
    r, s = (np.exp(-0.5 * ((t - c) / 3) ** 2) for c in (320, 345))
    mask = _mask((QRS, 300, 370))
    assert abs(_find(mask, (0.3 * r - s)[None]).peak[0] - 345) < 0.1
    assert abs(_find(mask, (0.3 * r - s)[None], qrs_peak="r").peak[0] - 320) < 0.1
    assert abs(_find(mask, -s[None], qrs_peak="r").peak[0] - 345) < 0.1
    t_mask = _mask((T, 300, 370))
    assert _find(t_mask, (0.3 * r - s)[None]).peak == _find(t_mask, (0.3 * r - s)[None], qrs_peak="r").peak


def test_a_spike_moves_the_peak_of_a_complex_only():
    signal = np.exp(-0.5 * ((np.arange(1000.0) - 345) / 8) ** 2)[None]
    signal[0, 325] = 1.2
    peaks = [_find(_mask((wave, 300, 390)), signal).peak[0] for wave in (P, QRS, T)]
    np.testing.assert_allclose(peaks, [345, 325, 345], atol=3)


@pytest.mark.parametrize("value", [0.0, 0.3, np.nan, np.inf, 1e300])
def test_peak_without_a_signal_is_the_middle(value):
    waves = _find(_mask((P, 100, 139), (QRS, 160, 209), (T, 260, 340)), np.full((1, 1000), value))
    np.testing.assert_array_equal(waves.peak, [119.5, 184.5, 300])


def test_missing_samples_harm_no_other_wave():
    proba, signal = _random(2)
    want = find_waves(proba, signal, FS)
    signal = np.concatenate([signal, np.full_like(signal[:1], np.nan)])
    found = find_waves(np.concatenate([proba, proba[:1]]), signal, FS)
    np.testing.assert_array_equal(found.peak[found.strip < 3], want.peak)
    assert np.isfinite(found.peak).all()


def test_huge_signals_do_not_warn():
    signal = np.full((1, 1000), 3e38, np.float32)
    signal[0, ::2] *= -1
    waves = _find(_mask((P, 100, 139), (QRS, 160, 209), (T, 260, 340)), signal)
    assert ((waves.onset < waves.peak) & (waves.peak < waves.offset)).all()


def _slow_strip(proba, max_gap, shortest, min_confidence, refractory, p_blanking):
    """The steps of `find_waves` for one strip, one run at a time: list of (wave, first, last), peaks in the middle."""
    label = proba.argmax(axis=1)

    def runs():
        at = [0, *(np.flatnonzero(np.diff(label)) + 1), len(label)]
        return [(int(label[a]), int(a), int(b) - 1) for a, b in itertools.pairwise(at)]

    def of(*waves):
        return [run for run in runs() if run[0] in waves]

    def drop(run):
        label[run[1] : run[2] + 1] = 0

    def mass(run):
        return float(proba[run[1] : run[2] + 1, run[0]].sum(dtype=np.float64))

    def long(run):
        return run[2] - run[1] + 1 >= max(shortest[run[0] - 1], 3)

    def close(wave):
        found = runs()
        for left, right in itertools.pairwise(of(wave)):
            others = [r for r in found if left[1] < r[1] < right[1] and r[0] not in (0, wave) and long(r)]
            if right[1] - left[2] - 1 < max_gap and not others:
                label[left[1] : right[2] + 1] = wave

    def sift(*waves):
        for run in of(*waves):
            if not long(run) or mass(run) < min_confidence * (run[2] - run[1] + 1):
                drop(run)

    def beats():
        rest, beat = runs(), [[]]
        for run in rest:
            if run[0] == QRS:
                beat.append([])
            beat[-1].append(run)
        return beat

    close(QRS)
    sift(QRS)
    kept = []
    for run in sorted(of(QRS), key=mass, reverse=True):
        if any(abs(sum(run[1:]) - sum(other[1:])) / 2 < refractory for other in kept):
            drop(run)
        else:
            kept.append(run)
    close(T)
    close(P)
    sift(P, T)
    for beat in beats():
        for run in sorted((r for r in beat if r[0] == T), key=mass, reverse=True)[1:]:
            drop(run)
    for beat in beats():
        for i, run in enumerate(beat):
            if run[0] == P and beat[0][0] == QRS and run[1] - beat[0][2] - 1 < p_blanking:
                if any(later[0] == T for later in beat[i:]):
                    drop(run)
    return of(P, QRS, T)


@pytest.mark.parametrize("seed", range(12))
def test_as_found_run_by_run(seed):
    proba, _ = _random(seed, n_strips=5, n_times=1500, smoothing=(4, 10, 25)[seed % 3])
    params = {"max_gap": 9, "min_confidence": 0.5, "refractory": (20, 75)[seed % 2], "p_blanking": 40}
    durations = (4, 5, 8)
    seconds = {name: value / FS for name, value in params.items() if name != "min_confidence"}
    waves = find_waves(proba, np.zeros(proba.shape[:2]), FS, min_duration=np.array(durations) / FS, **seconds)
    slow = [_slow_strip(p, shortest=durations, **params) for p in proba]
    assert sum(map(len, slow)) > 50
    for strip, want in enumerate(slow):
        labels = np.zeros(proba.shape[1], np.int8)
        for wave, first, last in want:
            labels[first : last + 1] = wave
        rows = waves.strip == strip
        np.testing.assert_array_equal(waves.wave[rows], [run[0] for run in want])
        borders = np.array([run[1:] for run in want], float)
        assert np.abs(waves.onset[rows] - borders[:, 0]).max() <= 0.5
        assert np.abs(waves.offset[rows] - borders[:, 1]).max() <= 0.5
        np.testing.assert_array_equal(paint(waves, *proba.shape[:2])[strip], labels)


@settings(max_examples=60, deadline=None, database=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    smoothing=st.integers(1, 40),
    sharpness=st.floats(0.1, 30),
    max_gap=st.floats(0, 0.2),
    durations=st.tuples(*[st.floats(0, 0.1)] * 3),
    refractory=st.floats(0, 0.3),
    qrs_peak=st.sampled_from(["largest", "r"]),
    border_window=st.sampled_from([0, 0.01, 0.08]),
)
def test_waves_are_ordered_and_apart(
    seed, smoothing, sharpness, max_gap, durations, refractory, qrs_peak, border_window
):
    proba, signal = _random(seed, smoothing=smoothing, sharpness=sharpness)
    rules = {"max_gap": max_gap, "min_duration": durations, "refractory": refractory, "qrs_peak": qrs_peak}
    waves = find_waves(proba, signal, FS, min_confidence=0, border_window=border_window, **rules)
    assert ((waves.onset < waves.peak) & (waves.peak < waves.offset)).all()
    assert (waves.onset >= 0).all() and (waves.offset <= proba.shape[1] - 1).all()
    assert ((waves.confidence >= 0) & (waves.confidence <= 1)).all()
    assert (np.diff(waves.strip) >= 0).all()
    for strip in range(len(proba)):
        rows = waves.strip == strip
        assert (waves.onset[rows][1:] >= waves.offset[rows][:-1]).all()
        beats = "".join(".PQT"[wave] for wave in waves.wave[rows]).split("Q")
        assert all(beat.count("T") <= 1 for beat in beats)
        # Mean borders of uncertain waves may cut off the peak, which then moves.
        if not border_window:
            assert (np.diff(waves.peak[rows & (waves.wave == QRS)]) >= refractory * FS - 1e-3).all()
            shortest = np.array([0, *durations])[waves.wave[rows]] * FS
            assert (waves.offset[rows] - waves.onset[rows] + 2 >= shortest).all()


def test_every_run_is_a_wave_without_rules():
    proba, signal = _random(5, n_strips=4)
    waves = find_waves(proba, signal, FS, **ANYTHING)
    want = []
    for strip, label in enumerate(proba.argmax(axis=2)):
        at = 0
        for wave, run in itertools.groupby(label):
            n = len(list(run))
            if wave in (P, QRS) and n >= 3:
                want.append((strip, wave, at, at + n - 1))
            at += n
    rows = waves.wave != T
    assert len(want) == rows.sum() > 50
    strip, wave, first, last = np.transpose(want)
    np.testing.assert_array_equal(waves.strip[rows], strip)
    np.testing.assert_array_equal(waves.wave[rows], wave)
    assert np.abs(waves.onset[rows] - first).max() <= 0.5 and np.abs(waves.offset[rows] - last).max() <= 0.5


def test_paint_rounds_inwards_and_clips():
    def at(strip, wave, onset, offset):
        middle = (onset + offset) / 2
        return strip, wave, onset, middle, offset, 1

    rows = [at(0, T, -3.0, 1.4), at(0, P, 3.5, 5.5), at(0, QRS, 6.5, 8.6), at(1, T, 7.51, 12.0), at(1, P, 20.0, 30.0)]
    strip, wave, *rest = np.transpose(rows)
    labels = paint(Waves(strip.astype(np.int64), wave.astype(np.int8), *rest), 2, 10)
    np.testing.assert_array_equal(labels, [[3, 3, 0, 0, 1, 1, 0, 2, 2, 2], [0, 0, 0, 0, 0, 0, 0, 0, 3, 3]])
    with pytest.raises(ValueError, match="n_strips is 1"):
        paint(Waves(strip.astype(np.int64), wave.astype(np.int8), *rest), 1, 10)


@pytest.mark.parametrize(
    ("proba", "signal", "match"),
    [
        ((2, 100, 3), (2, 100), r"proba .*\(2, 100, 3\)"),
        ((100, 4), (100,), r"proba .*\(100, 4\)"),
        ((2, 100, 4), (2, 99), r"signal .*\(2, 100\).*\(2, 99\)"),
        ((2, 100, 4), (200,), r"signal .*\(200,\)"),
    ],
)
def test_wrong_shapes(proba, signal, match):
    with pytest.raises(ValueError, match=match):
        find_waves(np.zeros(proba), np.zeros(signal), FS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_probabilities_must_be_finite(value):
    proba = _one_hot(_mask((QRS, 100, 149))).astype(np.float64)
    proba[0, 500, 3] = value
    with pytest.raises(ValueError, match="proba must be finite"):
        find_waves(proba, np.zeros((1, 1000)), FS)


@pytest.mark.parametrize(
    "params",
    [
        *(
            {name: value}
            for name in ("max_gap", "refractory", "p_blanking", "border_window")
            for value in (-0.1, np.nan, np.inf)
        ),
        *({"min_confidence": value} for value in (-0.1, np.nan, (0.5, 0.5), (0.5, 0.5, -1))),
        {"min_duration": (0.03, 0.03)},
        {"min_duration": (0.03, 0.03, -0.01)},
        {"qrs_peak": "s"},
    ],
)
def test_wrong_parameters(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        find_waves(np.zeros((1, 10, 4)), np.zeros((1, 10)), FS, **params)


@pytest.mark.parametrize("fs", [0, -1.0, np.nan, np.inf])
def test_rate_must_be_positive(fs):
    with pytest.raises(ValueError, match="fs"):
        find_waves(np.zeros((1, 10, 4)), np.zeros((1, 10)), fs)


def test_mean_borders_are_those_of_the_probabilities():
    """A border that is equally likely at several samples lies in their middle; a certain border stays."""
    proba = np.zeros((2, 200, 4), np.float32)
    proba[0, 40:91, 1] = 1
    proba[1, 40:91, 1] = 1
    proba[1, 30:40, 1] = np.arange(1, 11) / 11 * 0.9  # the onset is early with some probability
    proba[1, 91:101, 1] = 0.3
    proba[:, :, 0] = 1 - proba[:, :, 1:].sum(axis=2)
    found = find_waves(proba, np.zeros((2, 200), np.float32), 500, border_window=0.08)
    assert found.onset[0] == 40 and found.offset[0] == 90
    np.testing.assert_allclose(found.onset[1], 40 - proba[1, 30:40, 1].sum(), atol=1e-4)
    np.testing.assert_allclose(found.offset[1], 90 + 3, atol=1e-4)


def test_mean_borders_stay_between_the_neighbours():
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(20, 600, 4)).cumsum(axis=1)
    proba = np.exp(raw - raw.max(axis=2, keepdims=True))
    proba /= proba.sum(axis=2, keepdims=True)
    found = find_waves(proba, rng.normal(size=(20, 600)), 500, border_window=0.08)
    assert len(found.strip) > 50
    assert (found.onset < found.peak).all() and (found.peak < found.offset).all()
    same = found.strip[1:] == found.strip[:-1]
    assert (found.onset[1:] >= found.offset[:-1])[same].all()
    assert (found.onset >= 0).all() and (found.offset <= 599).all()


def test_strips_without_a_complex_have_no_waves_where_one_is_needed():
    proba = np.zeros((2, 400, 4), np.float32)
    proba[:, 20:70, 1] = 1
    proba[1, 90:140, 2] = 1
    proba[:, 200:300, 3] = 1
    proba[:, :, 0] = 1 - proba[:, :, 1:].sum(axis=2)
    signal = np.zeros((2, 400), np.float32)
    assert find_waves(proba, signal, 500).strip.tolist() == [0, 0, 1, 1, 1]
    assert find_waves(proba, signal, 500, need_qrs=True).strip.tolist() == [1, 1, 1]


# Uncertain P waves


def with_p(confidences, fs=250.0):
    """One strip: a beat a second, each with a P of this probability."""
    label, height = np.zeros(len(confidences) * 250, int), np.ones(len(confidences) * 250)
    for k, p in enumerate(confidences):
        label[250 * k + 60 : 250 * k + 80], height[250 * k + 60 : 250 * k + 80] = 1, p
        label[250 * k + 100 : 250 * k + 125] = 2
    proba = np.eye(4)[label] * height[:, None]
    proba[:, 0] += 1 - proba.sum(axis=1)
    return proba[None].astype(np.float32), np.zeros((1, len(label)), np.float32)


@pytest.mark.parametrize(
    ("confidences", "n_kept"),
    [([0.7] * 8, 0), ([0.9, 0.7, 0.7, 0.7], 4), ([0.9] + 4 * [0.7], 1), ([0.9, 0.95, 0.9], 3)],
)
def test_uncertain_p_waves_are_kept_beside_sure_ones_only(confidences, n_kept):
    proba, signal = with_p(confidences)
    assert (find_waves(proba, signal, 250.0).wave == 1).sum() == len(confidences)
    found = find_waves(proba, signal, 250.0, sure_p=(0.85, 0.25))
    assert (found.wave == 1).sum() == n_kept and (found.wave == 2).sum() == len(confidences)


def test_sure_p_of_one_strip_does_not_help_another():
    (a, x), (b, _) = with_p([0.9] * 4), with_p([0.7] * 4)
    found = find_waves(np.concatenate([a, b]), np.concatenate([x, x]), 250.0, sure_p=(0.85, 0.25))
    assert (found.strip[found.wave == 1] == 0).all()


@pytest.mark.parametrize("sure_p", [0.8, (0.8,), (1.2, 0.1), (0.8, -0.1)])
def test_sure_p_is_a_confidence_and_a_share(sure_p):
    with pytest.raises(ValueError, match="sure_p must be a confidence and a share from 0 to 1, or None"):
        find_waves(*with_p([0.9]), 250.0, sure_p=sure_p)


def with_rhythm(p, qrs, fs=250.0, seconds=12):
    """One strip with P and QRS that begin at these times [s]."""
    label = np.zeros(round(seconds * fs), int)
    for wave, times, length in ((1, p, 0.08), (2, qrs, 0.1)):
        for t in times:
            label[round(t * fs) : round((t + length) * fs)] = wave
    return np.eye(4, dtype=np.float32)[label][None], np.zeros((1, len(label)), np.float32)


BEATS = np.arange(1, 11)
CHANCE = np.array([0.9, 2.66, 3.71, 5.88, 6.75, 8.69])


@pytest.mark.parametrize(
    ("p", "qrs", "kept"),
    [
        # Three of ten complexes have a P at the usual distance; two of ten.
        (BEATS[:3] - 0.2, BEATS, True),
        (BEATS[:2] - 0.2, BEATS, False),
        ([0.8, 1.83, 3.1, 4.2], BEATS, False),
        # Here and there, as in fibrillation; but where there are hardly any complexes, or at regular intervals.
        (CHANCE, BEATS, False),
        (CHANCE, BEATS[::2], True),
        (0.35 + 1.45 * np.arange(6), BEATS, True),
        (0.35 + 1.45 * np.arange(4), BEATS, False),
        (CHANCE, [], True),
        ([0.8], [1.0], True),
        ([], BEATS, True),
    ],
)
def test_p_waves_of_no_rhythm_are_dropped(p, qrs, kept):
    proba, signal = with_rhythm(p, qrs)
    found = find_waves(proba, signal, 250.0, steady_p=0.25)
    assert (found.wave == 1).sum() == (len(p) if kept else 0) and (found.wave == 2).sum() == len(qrs)
    assert (find_waves(proba, signal, 250.0, steady_p=0.0).wave == 1).sum() == len(p)
    # Strips do not know of each other.
    steady, flat = with_rhythm(BEATS - 0.2, BEATS)
    three = np.concatenate([proba, steady, proba]), np.concatenate([signal, flat, signal])
    many = find_waves(*three, 250.0, steady_p=0.25)
    counts = np.bincount(many.strip[many.wave == 1], minlength=3)
    assert counts.tolist() == [len(p) * kept, 10, len(p) * kept]


@pytest.mark.parametrize("steady_p", [-0.1, 1.1, np.nan])
def test_steady_p_is_a_share(steady_p):
    with pytest.raises(ValueError, match="steady_p must be"):
        find_waves(*with_p([0.9]), 250.0, steady_p=steady_p)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steady_p", "a"),
        ("max_gap", None),
        ("refractory", "a"),
        ("min_confidence", "a"),
        ("min_duration", None),
        ("sure_p", ("a", "b")),
    ],
)
def test_what_is_no_number_is_named(name, value):
    with pytest.raises(TypeError, match=f"{name} must be"):
        find_waves(np.zeros((1, 9, 4)), np.zeros((1, 9)), FS, **{name: value})
