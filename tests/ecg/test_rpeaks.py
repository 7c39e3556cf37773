"""R peaks: real records, hostile inputs, and what a batch may not change."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.rpeaks import detect_rpeaks
from beatssl_sklearn.ecg.simulate import make_ecg
from beatssl_sklearn.ecg.wfdb import ECGRecord, WFDBFolder, read_annotations, read_wfdb
from beatssl_sklearn.evaluation.metrics import beat_detection_scores, match_beats

BEATS = set("NLRejAaJSVEF/fQ")


def _wave(t, centre, height, width):
    return height * np.exp(-0.5 * ((t - centre) / width) ** 2)


def _ecg(times, fs=500, duration=10.0, n_leads=12, *, p=0.15, t_wave=0.3, t_sd=0.045, noise=0.01, seed=0):
    """Records of P, QRS and T waves with R peaks at `times` [s], in `n_leads` of either polarity."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(duration * fs)) / fs
    beat = np.zeros_like(t)
    for r in times:
        beat += _wave(t, r - 0.16, p, 0.025) + _wave(t, r - 0.025, -0.12, 0.010) + _wave(t, r, 1.0, 0.011)
        beat += _wave(t, r + 0.030, -0.25, 0.010) + _wave(t, r + 0.3, t_wave, t_sd)
    gains = rng.uniform(0.4, 1.2, n_leads) * rng.choice([-1, 1], n_leads)
    return (gains[:, None] * beat + noise * rng.standard_normal((n_leads, len(t)))).astype(np.float32)


def _found(x, times, fs, detector="multilead", tolerance=0.025):
    (found,) = detect_rpeaks(x, fs, detector)
    return beat_detection_scores(np.asarray(times) * fs, found, fs, tolerance)


@pytest.fixture(scope="module")
def ludb(data_dir: Path):
    """Every fifth record of LUDB: signals, annotated R peaks (lead II), and the stretch that is annotated."""
    names = sorted((p.stem for p in (data_dir / "ludb" / "data").glob("*.hea")), key=int)[::5]
    signals, true, spans = [], [], []
    for name in names:
        path = data_dir / "ludb" / "data" / name
        signals.append(read_wfdb(path).signal)
        marks = read_annotations(path, "ii")
        true.append(marks.sample[np.array(marks.symbol) == "N"])
        spans.append((true[-1][0] - 100, true[-1][-1] + 100))
    return np.stack(signals), true, spans


def _ludb_scores(x, ludb, detector="multilead"):
    _, true, spans = ludb
    found = [r[(r >= a) & (r <= b)] for r, (a, b) in zip(detect_rpeaks(x, 500, detector), spans, strict=True)]
    return beat_detection_scores(true, found, 500)


def test_ludb(ludb):
    s = _ludb_scores(ludb[0], ludb)
    assert s.n_true > 200
    assert s.sensitivity >= 0.999 and s.ppv >= 0.999
    assert abs(s.mean_error_ms) < 10 and s.sd_error_ms < 15


def test_ludb_with_four_dead_leads(ludb):
    x, rng = ludb[0].copy(), np.random.default_rng(0)
    for record in x:
        record[rng.choice(12, 4, replace=False)] = 0
    s = _ludb_scores(x, ludb)
    assert s.sensitivity >= 0.995 and s.ppv >= 0.995


def test_ludb_at_100_hz(ludb):
    x = ludb[0].reshape(*ludb[0].shape[:2], -1, 5).mean(axis=3)
    _, true, spans = ludb
    found = [5 * r + 2 for r in detect_rpeaks(x, 100)]
    found = [r[(r >= a) & (r <= b)] for r, (a, b) in zip(found, spans, strict=True)]
    s = beat_detection_scores(true, found, 500)
    assert s.sensitivity >= 0.999 and s.ppv >= 0.999


def test_sleepecg_on_ludb(ludb):
    pytest.importorskip("sleepecg")
    s = _ludb_scores(ludb[0], ludb, "sleepecg")
    assert s.sensitivity >= 0.98 and s.ppv >= 0.98


@pytest.mark.parametrize(("name", "least"), [("101", 0.99), ("119", 0.99), ("203", 0.97), ("208", 0.97)])
def test_mit_bih_ten_minutes(data_dir: Path, name: str, least: float):
    record = read_wfdb(data_dir / "mitdb" / name, positional=True)
    marks = read_annotations(data_dir / "mitdb" / name, "atr")
    n_times = int(600 * record.fs)
    true = [s for s, symbol in zip(marks.sample, marks.symbol, strict=True) if symbol in BEATS and s < n_times]
    (found,) = detect_rpeaks(record.signal[:, :n_times], record.fs)
    s = beat_detection_scores(true, found, record.fs)
    assert s.n_true > 500
    assert s.sensitivity >= least and s.ppv >= least


@pytest.mark.parametrize("fs", [50, 100, 128, 257, 360, 500, 1000, 2000])
def test_sampling_rates_and_positions(fs):
    times = np.arange(0.5, 9.6, 0.85)
    s = _found(_ecg(times, fs), times, fs)
    assert s.n_matched == s.n_true == s.n_predicted
    assert abs(s.mean_error_ms) < 10


@pytest.mark.parametrize("n_leads", [1, 2, 12])
@pytest.mark.parametrize(
    "waves", [{"t_wave": 1.0}, {"p": 1.0}, {"t_wave": 1.0, "p": 0.8}, {"t_wave": 1.0, "t_sd": 0.035}]
)
def test_tall_p_and_t_waves_are_no_beats(n_leads, waves):
    times = np.arange(0.5, 9.6, 0.9)
    s = _found(_ecg(times, n_leads=n_leads, **waves), times, 500)
    assert s.n_matched == s.n_true == s.n_predicted


def test_a_small_beat_is_found_by_search_back():
    times = np.arange(0.5, 9.6, 0.8)
    x = _ecg(np.delete(times, 5)) + 0.35 * _ecg(times[5:6], noise=0)
    s = _found(x, times, 500)
    assert s.n_matched == s.n_true == s.n_predicted


@pytest.mark.parametrize("rr", [0.3, 1.0, 3.0])
def test_slow_and_fast(rr):
    times = np.arange(0.45, 9.7, rr)
    s = _found(_ecg(times, t_wave=0.1 if rr < 0.5 else 0.3, p=0.0 if rr < 0.5 else 0.15), times, 500)
    assert s.n_matched == s.n_true == s.n_predicted


@pytest.mark.parametrize("leads", [["II"], ["V1"], None])
@pytest.mark.parametrize("rate", [35, 120, 200, 240, 260, 300])
def test_rates_from_slow_to_fast(rate, leads):
    ecg = make_ecg(8, rate=rate, fs=250, leads=leads, random_state=1)
    s = beat_detection_scores(ecg.rpeaks, detect_rpeaks(ecg.data, 250), 250, 0.05)
    assert s.sensitivity >= 0.95 and s.ppv >= 0.99


@pytest.mark.parametrize("fs", [128, 500])
@pytest.mark.parametrize("width", [0.008, 0.02, 0.03])
@pytest.mark.parametrize("rate", [250, 280, 300])
def test_narrow_and_wide_complexes_of_fast_hearts(fs, width, rate):
    t = np.arange(10 * fs) / fs
    true = np.arange(0.3, 9.9, 60 / rate)
    x = _wave(t[:, None], true, 1.0, width).sum(axis=1) + 0.01 * np.random.default_rng(0).normal(size=len(t))
    assert abs(len(detect_rpeaks(x[None], fs)[0]) - len(true)) <= 1


def test_t_waves_midway_are_no_beats_of_a_fast_heart():
    times = np.arange(0.5, 9.6, 0.48)
    x, t = _ecg(times, p=0, t_wave=0, n_leads=1), np.arange(5000) / 500
    upright = np.sign(x[0, int(times[0] * 500)])
    x += upright * sum(_wave(t, r + 0.24, 0.7, 0.03) for r in times)
    s = _found(x, times, 500)
    assert s.n_predicted <= len(times) + 1 and s.sensitivity == 1


@pytest.mark.parametrize("duration", [5.0, 10.0])
def test_one_beat(duration):
    (found,) = detect_rpeaks(_ecg([duration / 2], duration=duration), 500)
    assert len(found) <= 1


@pytest.mark.parametrize("n_leads", [1, 2, 3, 8, 12])
@pytest.mark.parametrize("duration", [5, 10, 30])
def test_noise_is_empty(n_leads, duration):
    x = 0.01 * np.random.default_rng(3).standard_normal((10, n_leads, duration * 250))
    found = detect_rpeaks(x, 250)
    assert len(found) == 10 and all(r.dtype == np.int64 and r.shape == (0,) for r in found)


def test_flat_constant_and_hum_are_empty():
    hum = np.sin(2 * np.pi * 50 * np.arange(5000) / 500) + np.zeros((12, 1))
    for x in (np.zeros((12, 5000)), np.full((12, 5000), 1.7), np.full((12, 5000), np.nan), 0.3 * hum):
        assert [len(r) for r in detect_rpeaks(x, 500)] == [0]


@pytest.mark.parametrize("n_leads", [1, 2, 12])
@pytest.mark.parametrize("hertz", [0.5, 3, 5, 33, 50, 60])
def test_a_pure_tone_is_empty(n_leads, hertz):
    phase = np.linspace(0, 2, n_leads)[:, None]
    for fs in (250, 500):
        assert len(detect_rpeaks(np.sin(2 * np.pi * hertz * np.arange(10 * fs) / fs + phase), fs)[0]) == 0


@pytest.mark.parametrize("leads", [["II"], None])
@pytest.mark.parametrize("hertz", [50, 60, 49.8])
@pytest.mark.parametrize("fs", [128, 250, 500])
def test_beats_under_hum_as_large_as_r(leads, hertz, fs):
    ecg = make_ecg(5, fs=fs, leads=leads, random_state=2)
    hum = np.sin(2 * np.pi * hertz * np.arange(ecg.data.shape[2]) / fs + np.linspace(0, 3, ecg.data.shape[1])[:, None])
    x = ecg.data + np.abs(ecg.data).max(axis=2, keepdims=True) * hum.astype(np.float32)
    s = beat_detection_scores(ecg.rpeaks, detect_rpeaks(x, fs), fs, 0.05)
    assert s.f1 >= 0.98


def test_beats_of_real_records_under_hum(ludb):
    x = ludb[0]
    hum = np.sin(2 * np.pi * 50 * np.arange(x.shape[2]) / 500).astype(np.float32)
    for part in (x, x[:, 1:2]):
        assert _ludb_scores(part + np.ptp(part, axis=2, keepdims=True) * hum, ludb).f1 >= 0.99


@pytest.mark.parametrize("bipolar", [False, True])
@pytest.mark.parametrize(("fs", "new_fs"), [(250, 250), (500, 500), (1000, 1000), (1000, 500), (1000, 250)])
def test_the_qrs_is_marked_not_the_pacing_spike(fs, new_fs, bipolar):
    times = np.arange(0.6, 9.5, 0.85)
    t = np.arange(10 * fs) / fs
    rng = np.random.default_rng(0)
    for n_leads in (1, 12):
        gains = rng.uniform(0.6, 1.2, (n_leads, 1)) * rng.choice([-1, 1], (n_leads, 1))
        x = 0.01 * rng.standard_normal((n_leads, len(t)))
        x += gains * sum(_wave(t, r, 1.0, 0.02) - _wave(t, r + 0.32, 0.3, 0.05) for r in times)
        for first in np.rint((times - 0.06) * fs).astype(int):
            width = max(1, round(0.002 * fs))
            x[:, first : first + width] += 3 * gains
            if bipolar:
                x[:, first + width : first + 2 * width] -= 3 * gains
        x = x if new_fs == fs else resample_poly(x, new_fs, fs, axis=1)
        s = _found(x, times, new_fs)
        assert s.n_matched == s.n_true == s.n_predicted, n_leads


def test_most_simulated_paced_beats_are_marked_at_their_qrs():
    ecg = make_ecg(40, rhythm="paced", fs=500, random_state=0)
    assert beat_detection_scores(ecg.rpeaks, detect_rpeaks(ecg.data, 500), 500, 0.025).sensitivity > 0.93


def test_narrow_complexes_are_no_spikes():
    times = np.arange(0.5, 9.6, 0.45)
    t = np.arange(5000) / 500
    x = sum(_wave(t, r, 1.0, 0.0035) for r in times) + sum(_wave(t, r + 0.2, 0.15, 0.03) for r in times)
    s = _found(x[None] + 0.005 * np.random.default_rng(0).standard_normal((1, 5000)), times, 500, tolerance=0.01)
    assert s.n_matched == s.n_true == s.n_predicted


def test_a_pause_in_a_long_record_stays_empty():
    x = _ecg(np.concatenate([np.arange(0.5, 30, 0.8), np.arange(60.5, 89, 0.8)]), 250, 90.0)
    (found,) = detect_rpeaks(x, 250)
    assert not ((found > 31 * 250) & (found < 59 * 250)).any()
    assert (found < 30 * 250).sum() == 37 and (found > 60 * 250).sum() == 36


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e6])
def test_scale_and_polarity_do_not_matter(ludb, scale):
    x = ludb[0][:6]
    for a, b in zip(detect_rpeaks(x, 500), detect_rpeaks(-x * np.float32(scale), 500), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_offset_does_not_matter(ludb):
    x = ludb[0][:6]
    for a, b in zip(detect_rpeaks(x, 500), detect_rpeaks(x.astype(float) + 40, 500), strict=True):
        assert len(match_beats(a, b, 500, tolerance=0.01)[0]) == len(a) == len(b)


def test_a_record_does_not_depend_on_its_batch(ludb):
    x = ludb[0]
    whole = detect_rpeaks(x, 500)
    for i in range(0, len(x), 7):
        np.testing.assert_array_equal(detect_rpeaks(x[i], 500)[0], whole[i])
    spoilt = x.copy()
    spoilt[1::2] = np.nan
    for a, b in zip(whole[::2], detect_rpeaks(spoilt, 500)[::2], strict=True):
        np.testing.assert_array_equal(a, b)


def test_containers_agree_and_are_not_modified(ludb, tmp_path):
    x = ludb[0][:3]
    expected, before = detect_rpeaks(x, 500), x.copy()
    mapped = np.memmap(tmp_path / "x.dat", dtype=np.float32, mode="w+", shape=x.shape)
    mapped[:] = x
    channels_last = np.ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1)
    strided = np.repeat(x, 2, axis=2)[:, :, ::2]
    x.flags.writeable = False
    for other in (x.astype(np.float64), mapped, channels_last, strided, x.astype(">f4"), x.tolist(), x):
        for a, b in zip(expected, detect_rpeaks(other, 500), strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(x, before)


def test_two_dimensions_are_one_record():
    x = _ecg(np.arange(0.5, 9.6, 0.8))
    assert len(detect_rpeaks(x, 500)) == len(detect_rpeaks(x[None], 500)) == 1
    assert detect_rpeaks(x[None][:0], 500) == []


def test_missing_samples(ludb):
    x = ludb[0][:4].copy()
    expected = detect_rpeaks(x, 500)
    x[:, 4] = np.nan
    for a, b in zip(expected, detect_rpeaks(x, 500), strict=True):
        assert len(match_beats(a, b, 500, tolerance=0.05)[0]) == len(a) == len(b)
    x = ludb[0][:4].copy() + 3
    x[:, :, 2000:2100] = np.nan
    for a, b in zip(expected, detect_rpeaks(x, 500), strict=True):
        rest = a[(a < 1900) | (a > 2200)]
        assert len(match_beats(rest, b, 500, tolerance=0.05)[0]) == len(rest)
        assert len(b) <= len(a)


def _padded(ecg, fs, seconds, value, offset):
    """Some seconds of records with an offset from 1.6 s on, and one value before and after."""
    x = np.full((len(ecg.data), ecg.data.shape[1], int(10.3 * fs)), value, np.float32)
    start, n = int(1.6 * fs), int(seconds * fs)
    x[:, :, start : start + n] = ecg.data[:, :, :n] + offset
    return x, [r[r < n] + start for r in ecg.rpeaks]


@pytest.mark.parametrize("leads", [["II"], ["II", "V1"], None])
@pytest.mark.parametrize(("fs", "seconds"), [(100, 3), (400, 7), (500, 1.5)])
@pytest.mark.parametrize(("value", "offset"), [(0, 1), (0, -5), (2, 0), (np.nan, 3)])
def test_edges_of_padding_are_no_beats(leads, fs, seconds, value, offset):
    ecg = make_ecg(6, fs=fs, leads=leads, random_state=3)
    x, true = _padded(ecg, fs, seconds, value, offset)
    s = beat_detection_scores(true, detect_rpeaks(x, fs), fs, 0.1)
    assert s.n_predicted == s.n_matched >= 0.9 * s.n_true


@pytest.mark.parametrize(("value", "offset"), [(0, -5), (2, 1)])
def test_edges_of_padding_that_was_resampled_are_no_beats(value, offset):
    x, true = _padded(make_ecg(6, fs=400, random_state=3), 400, 7, value, offset)
    x = resample_poly(x - value, 5, 4, axis=2).astype(np.float32) + np.float32(value)
    found = [r * 0.8 for r in detect_rpeaks(x, 500)]
    s = beat_detection_scores(true, found, 400, 0.1)
    assert s.n_predicted == s.n_matched >= 0.95 * s.n_true


@pytest.mark.parametrize("leads", [["II"], None])
def test_gaps_within_a_record_and_an_electrode_that_is_off_are_no_beats(leads):
    ecg = make_ecg(6, fs=250, leads=leads, random_state=1)
    for length in (0.5, 2.0):
        x = ecg.data + np.float32(1.5)
        start, stop = int(4 * 250), int((4 + length) * 250)
        for value in (0, 5, np.nan):
            x[:, :, start:stop] = value
            true = [r[(r < start) | (r >= stop)] for r in ecg.rpeaks]
            s = beat_detection_scores(true, detect_rpeaks(x, 250), 250, 0.1)
            assert s.n_predicted == s.n_matched and s.sensitivity > 0.9


def test_one_of_two_leads_that_goes_to_its_rail_makes_no_beats():
    ecg = make_ecg(6, fs=250, leads=["II", "V5"], random_state=1)
    x = ecg.data.copy()
    x[:, 1, 1000:1500] = 5
    s = beat_detection_scores(ecg.rpeaks, detect_rpeaks(x, 250), 250, 0.1)
    # Half of the activity is missing for two seconds, and with it a beat or two.
    assert s.n_matched == s.n_predicted and s.sensitivity > 0.85


def test_a_long_gap_leaves_the_levels_of_the_rest_alone():
    noise = 0.01 * np.random.default_rng(0).standard_normal((10, 12, 2500))
    noise[:, :, 600:] = 0
    assert [len(r) for r in detect_rpeaks(noise, 250)] == [0] * 10


def test_a_long_record_with_padding_keeps_its_beats():
    times = np.arange(60.5, 119.5, 0.83)
    x = _ecg(times, 250, 180.0) + np.float32(1)
    x[:, : 60 * 250] = x[:, 120 * 250 :] = 0
    s = _found(x, times, 250)
    assert s.n_matched == s.n_true == s.n_predicted


def test_no_seams_in_long_records():
    rng = np.random.default_rng(1)
    times = 0.5 + np.cumsum(rng.uniform(0.55, 1.1, 700))
    duration = times[-1] + 0.7
    growth = np.linspace(1, 20, int(duration * 100))
    x = _ecg(times, 100, duration) * growth.astype(np.float32)
    s = _found(x, times, 100)
    assert s.n_matched == s.n_true == s.n_predicted


def test_chunks_of_very_long_records_leave_no_trace(monkeypatch):
    from beatssl_sklearn.ecg import rpeaks_activity, rpeaks_refine

    times = np.arange(0.5, 119.5, 0.83)
    x = _ecg(times, 250, 120.0)
    (whole,) = detect_rpeaks(x, 250)
    assert len(whole) == len(times)
    monkeypatch.setattr(rpeaks_activity, "_CHUNK", 500)
    monkeypatch.setattr(rpeaks_refine, "_ROWS", 20)
    np.testing.assert_array_equal(detect_rpeaks(x, 250)[0], whole)


@pytest.mark.parametrize("duration", [0.3, 0.5, 1.0])
def test_short_records(duration):
    found = detect_rpeaks(_ecg([duration / 2], duration=duration)[None].repeat(2, axis=0), 500)
    assert len(found) == 2 and all(((r >= 0) & (r < duration * 500)).all() for r in found)


def test_callable_gets_a_copy_and_its_result_is_tidied():
    x = np.zeros((2, 3, 500), np.float64)

    def detector(signal, fs):
        assert signal.shape == (3, 500) and signal.dtype == np.float32 and fs == 250
        signal[:] = 1
        return [300, 20.0, 300]

    found = detect_rpeaks(x, 250, detector)
    assert [r.tolist() for r in found] == [[20, 300]] * 2 and found[0].dtype == np.int64
    assert not x.any()
    assert detect_rpeaks(x, 250, lambda signal, fs: [])[0].shape == (0,)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([500], "indices 500 to 500 for record 0 of 500 samples"),
        ([-1, 4], "indices -1 to 4"),
        ([[1, 2]], "1-D array of sample indices: record 0"),
        ([1.5], "1-D array of sample indices"),
        ([np.nan], "1-D array of sample indices"),
        (["a"], "1-D array of sample indices"),
        ([[1], [2, 3]], "1-D array of sample indices"),
        (None, "1-D array of sample indices: record 0 gave None"),
        ([np.inf], "indices inf to inf for record 0"),
    ],
)
def test_a_bad_answer_of_a_callable_is_refused(answer, message):
    with pytest.raises(ValueError, match=message):
        detect_rpeaks(np.zeros((2, 3, 500)), 250, lambda signal, fs: answer)


def test_bad_arguments_are_named():
    x = np.zeros((2, 12, 500))
    with pytest.raises(ValueError, match="multilead.*sleepecg.*'pan'"):
        detect_rpeaks(x, 500, "pan")
    with pytest.raises(TypeError, match="detector must be a callable"):
        detect_rpeaks(x, 500, 3)
    for fs in (49, 2001, 0, -500, np.nan, np.inf):
        with pytest.raises(ValueError, match="fs must lie between 50 and 2000"):
            detect_rpeaks(x, fs)
    with pytest.raises(TypeError, match="fs"):
        detect_rpeaks(x, "500Hz")
    for wrong in (x[0, 0], x[None]):
        with pytest.raises(ValueError, match="X must have shape"):
            detect_rpeaks(wrong, 500)
    with pytest.raises(ValueError, match="at least one lead"):
        detect_rpeaks(x[:, :0], 500)
    with pytest.raises(ValueError, match="at least 0.3 s, got 149 samples"):
        detect_rpeaks(x[:, :, :149], 500)
    for dtype in (complex, bool, str):
        with pytest.raises(TypeError, match="real numbers"):
            detect_rpeaks(x.astype(dtype), 500)
    x[1, 7, 100] = np.inf
    with pytest.raises(ValueError, match="record 1, lead 7"):
        detect_rpeaks(x, 500)


def test_sleepecg_missing_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sleepecg", None)
    with pytest.raises(ImportError, match=r"beatssl-sklearn\[sleepecg\]"):
        detect_rpeaks(np.zeros((1, 12, 500)), 500, "sleepecg")


def test_sleepecg_has_the_same_guards():
    pytest.importorskip("sleepecg")
    x, true = _padded(make_ecg(3, fs=400, random_state=3), 400, 7, 0, 2)
    s = beat_detection_scores(true, detect_rpeaks(x, 400, "sleepecg"), 400, 0.1)
    assert s.n_matched == s.n_predicted
    with pytest.raises(ValueError, match="'sleepecg' cannot read record 0 of 500 samples"):
        detect_rpeaks(np.random.default_rng(0).standard_normal((1, 1, 500)), 50, "sleepecg")


@pytest.mark.parametrize("n_leads", [1, 3, 12])
def test_sleepecg_takes_a_lead_that_is_alive(n_leads):
    pytest.importorskip("sleepecg")
    times = np.arange(0.5, 9.6, 0.8)
    x = _ecg(times, n_leads=n_leads)
    if n_leads > 1:
        x[1] = 0
    assert _found(x, times, 500, "sleepecg", tolerance=0.1).sensitivity > 0.9
    assert len(detect_rpeaks(np.zeros((n_leads, 5000)), 500, "sleepecg")[0]) == 0


def test_records_with_rates_of_their_own_are_refused_in_words(tmp_path):
    record = ECGRecord(make_ecg(1, fs=100, random_state=0).data[0], 100.0, LEADS)
    with pytest.raises(TypeError, match="rates of their own"):
        detect_rpeaks(record, 100)
    (tmp_path / "RECORDS").write_text("a\n")
    (tmp_path / "a.hea").write_text("a 1 100 1000\na.dat 16 200/mV 16 0 0 0 0 II\n")
    with pytest.raises(TypeError, match="WFDBFolder, whose records have rates of their own"):
        detect_rpeaks(WFDBFolder(tmp_path), 100)


def _one_noisy_lead(seconds=60, fs=250, noise_until=60, seed=0):
    """A clean lead, and one with bursts as large as beats until some time; the R peaks."""
    rng = np.random.default_rng(seed)
    times = 0.5 + np.cumsum(rng.uniform(0.6, 1.0, int(seconds / 0.8) - 2))
    x = _ecg(times, fs, seconds, n_leads=2, seed=seed)
    t = np.arange(x.shape[1]) / fs
    for at in rng.uniform(0, noise_until, 4 * noise_until):
        near = slice(max(0, int((at - 0.3) * fs)), int((at + 0.3) * fs))
        x[1, near] += rng.choice([-1.5, 1.5]) * _wave(t[near], at, 1, rng.uniform(0.012, 0.05))
    return x, times


@pytest.mark.parametrize("fs", [128, 500])
@pytest.mark.parametrize(("seconds", "noise_until"), [(10, 10), (60, 60), (120, 40)])
def test_a_noisy_second_lead_does_no_harm(fs, seconds, noise_until):
    records = [_one_noisy_lead(seconds, fs, noise_until, seed) for seed in range(3)]
    true, x = [times * fs for _, times in records], np.stack([x for x, _ in records])
    alone, both = (beat_detection_scores(true, detect_rpeaks(part, fs), fs) for part in (x[:, :1], x))
    assert alone.f1 > 0.99
    assert both.f1 >= 0.98 and both.sd_error_ms <= 10


def test_good_leads_count_alike():
    times = np.arange(0.5, 59.5, 0.8)
    # The second lead stands out more, and lacks every sixth beat.
    less = np.delete(times, slice(4, None, 6))
    x = np.concatenate([_ecg(times, 250, 60.0, 1, noise=0.02), 2 * _ecg(less, 250, 60.0, 1)])
    s = _found(x, times, 250)
    assert s.n_matched == s.n_true == s.n_predicted


def test_weights_of_leads_leave_no_trace_of_chunks_pieces_and_other_records(monkeypatch):
    from beatssl_sklearn.ecg import rpeaks_activity, rpeaks_multilead, rpeaks_refine

    fs = 250
    noisy = np.stack([_one_noisy_lead(180, fs, 120, seed)[0] for seed in range(2)])
    clean = _ecg(np.arange(0.5, 179.5, 0.83), fs, 180.0, 2)
    whole = detect_rpeaks(np.stack([noisy[0], clean, noisy[1]]), fs)
    for own, x in zip(whole, (noisy[0], clean, noisy[1]), strict=True):
        np.testing.assert_array_equal(detect_rpeaks(x, fs)[0], own)
    # A stretch that begins at a step of the levels has the record's beats, but for its ends.
    start, stop = 6 * rpeaks_multilead.level_step(fs), 150 * fs
    (piece,) = detect_rpeaks(noisy[0][:, start:stop], fs)
    inner = [r[(r >= start + 20 * fs) & (r < stop - 20 * fs)] for r in (piece + start, whole[0])]
    np.testing.assert_array_equal(*inner)
    monkeypatch.setattr(rpeaks_activity, "_CHUNK", 500)
    monkeypatch.setattr(rpeaks_refine, "_ROWS", 20)
    np.testing.assert_array_equal(detect_rpeaks(noisy[0], fs)[0], whole[0])


def test_many_intervals_are_searched_like_few(monkeypatch):
    from beatssl_sklearn.ecg import rpeaks_beats

    rng = np.random.default_rng(0)
    rr = rng.integers(40, 60, 300)
    rr[[0, 1, 50, 120, 121, 296, 299]] *= 2
    record, position = np.repeat([0, 1], [300, 40]), np.concatenate([np.cumsum(rr), np.cumsum(rr[-40:])])
    many = rpeaks_beats._long_intervals(record, position)
    monkeypatch.setattr(rpeaks_beats, "_MANY", 1000)
    assert many == rpeaks_beats._long_intervals(record, position) and len(many) >= 5
