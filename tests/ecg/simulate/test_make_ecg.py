"""Simulated records: their truth, their shapes, and what they depend on."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils import check_random_state

from beatssl_sklearn.ecg.dower import DOWER_EIGHT
from beatssl_sklearn.ecg.leads import INDEPENDENT, LEADS
from beatssl_sklearn.ecg.rpeaks import detect_rpeaks
from beatssl_sklearn.ecg.simulate.make_ecg import SimulatedECG, make_ecg
from beatssl_sklearn.ecg.simulate.rhythms import MIXED, RHYTHMS

LEAD = {name: k for k, name in enumerate(LEADS)}


def qrs_beats(ecg: SimulatedECG, lead: str, i: int = 0) -> list[np.ndarray]:
    """The lead's samples within each listed QRS complex of record i, from the level before it."""
    x = ecg.data[i, LEAD[lead]]
    whole = ecg.waves[i][ecg.waves[i]["wave"] == "QRS"]
    return [x[w["onset"] : w["offset"] + 1] - x[max(w["onset"] - 5, 0)] for w in whole]


def median_extremes(ecg: SimulatedECG, lead: str) -> tuple[float, float]:
    """Median over records of the largest and the smallest value of a lead's QRS complexes [mV]."""
    both = [(b.max(), b.min()) for i in range(len(ecg.data)) for b in qrs_beats(ecg, lead, i)]
    return float(np.median([b[0] for b in both])), float(np.median([b[1] for b in both]))


def clean(rhythm: str, n: int = 30, **kwargs: object) -> SimulatedECG:
    return make_ecg(n, rhythm=rhythm, noise=0, random_state=3, **kwargs)


def test_shapes_and_types() -> None:
    ecg = make_ecg(5, rhythm="mixed", fs=250, duration=6, random_state=0)
    assert ecg.data.shape == (5, 12, 1500) and ecg.data.dtype == np.float32 and np.isfinite(ecg.data).all()
    assert ecg.masks.shape == (5, 1500) and ecg.masks.dtype == np.int8 and set(np.unique(ecg.masks)) <= {0, 1, 2, 3}
    assert ecg.leads == LEADS and ecg.fs == 250
    assert ecg.target_names == tuple(RHYTHMS)
    assert [ecg.target_names[k] for k in ecg.target] == ecg.rhythm.tolist()
    for peaks, types in zip(ecg.rpeaks, ecg.beat_types, strict=True):
        assert peaks.dtype == np.int64 and types.dtype == np.dtype("<U1") and peaks.shape == types.shape
        assert (np.diff(peaks) > 0.25 * 250).all() and peaks[0] >= 0 and peaks[-1] < 1500
    assert make_ecg(0, random_state=0).data.shape == (0, 12, 5000)


@pytest.mark.parametrize("rhythm", list(RHYTHMS))
def test_limb_leads_are_exact(rhythm: str) -> None:
    x = make_ecg(2, rhythm=rhythm, random_state=1).data
    one, two = x[:, 0], x[:, 1]
    np.testing.assert_array_equal(x[:, LEAD["III"]], two - one)
    np.testing.assert_array_equal(x[:, LEAD["aVL"]], one - two / 2)
    np.testing.assert_array_equal(x[:, LEAD["aVF"]], two - one / 2)
    np.testing.assert_allclose(x[:, LEAD["aVR"]], -(one + two) / 2, atol=1e-7)


def test_chest_leads_hold_more_than_a_dipole() -> None:
    x = clean("sinus", 20).data[:, INDEPENDENT]
    rest = x - DOWER_EIGHT @ np.linalg.pinv(DOWER_EIGHT) @ x
    share = (rest**2).sum(axis=(1, 2)) / (x**2).sum(axis=(1, 2))
    assert 0.001 < np.median(share) < 0.2


def test_same_seed_same_bits_and_records_depend_on_seed_and_index_alone() -> None:
    a, b = (make_ecg(n, rhythm="mixed", random_state=7, records_per_patient=2) for n in (9, 4))
    assert a.data[:4].tobytes() == b.data.tobytes() and a.masks[:4].tobytes() == b.masks.tobytes()
    assert a.report[:4] == b.report and a.rhythm[:4].tolist() == b.rhythm.tolist()
    for k in range(4):
        np.testing.assert_array_equal(a.rpeaks[k], b.rpeaks[k])
        np.testing.assert_array_equal(a.waves[k], b.waves[k])
    assert not np.array_equal(make_ecg(1, random_state=7).data, make_ecg(1, random_state=8).data)
    assert not np.array_equal(make_ecg(1).data, make_ecg(1).data)


def test_generator_gives_a_seed_and_moves_on() -> None:
    first, again = (make_ecg(1, random_state=np.random.default_rng(0)).data for _ in range(2))
    np.testing.assert_array_equal(first, again)
    rng = np.random.default_rng(0)
    assert not np.array_equal(make_ecg(1, random_state=rng).data, make_ecg(1, random_state=rng).data)


def test_global_random_state_is_left_alone() -> None:
    shared = check_random_state(None)  # numpy's own, which all that is not seeded draws from
    before = shared.get_state()[1].copy()
    make_ecg(2, rhythm="mixed")
    np.testing.assert_array_equal(before, shared.get_state()[1])


def test_beats_do_not_depend_on_rate_noise_or_leads() -> None:
    ref = make_ecg(8, rhythm="mixed", random_state=2)
    other = make_ecg(8, rhythm="mixed", random_state=2, fs=1000, noise=0.1, leads=["V1", "-aVR"])
    assert other.leads == ("V1", "-aVR") and other.report == ref.report
    for a, b in zip(ref.rpeaks, other.rpeaks, strict=True):
        assert np.abs(2 * a - b).max() <= 1
    same = make_ecg(8, rhythm="mixed", random_state=2, leads=["V1", "-aVR"])
    np.testing.assert_array_equal(same.data[:, 0], ref.data[:, LEAD["V1"]])
    np.testing.assert_array_equal(same.data[:, 1], -ref.data[:, LEAD["aVR"]])


@pytest.mark.parametrize("fs", [100.0, 360.0])
def test_other_rates_show_the_same_signal(fs: float) -> None:
    a, b = clean("lbbb", 2, fs=fs), clean("lbbb", 2, fs=1800)
    np.testing.assert_allclose(a.data, b.data[..., :: int(1800 / fs)], atol=0.15)


def test_noise_scales() -> None:
    signals = {noise: make_ecg(40, noise=noise, random_state=0).data for noise in (0, 0.02, 0.04)}
    small, large = ((signals[noise] - signals[0]).std(axis=-1) for noise in (0.02, 0.04))
    assert 0.015 < np.median(small) < 0.03
    np.testing.assert_allclose(large, 2 * small, rtol=1e-3)


def test_records_of_a_patient_share_beats_and_rhythm() -> None:
    ecg = make_ecg(32, rhythm="mixed", records_per_patient=4, noise=0, random_state=0)
    np.testing.assert_array_equal(ecg.patient_id, np.arange(32) // 4)
    assert all(len(set(ecg.rhythm[ecg.patient_id == p])) == 1 for p in range(8))
    assert sorted(ecg.rhythm[::4].tolist()) == sorted(MIXED)
    mean = np.stack([
        np.median([ecg.data[i][INDEPENDENT, r - 20 : r + 20] for r in ecg.rpeaks[i][1:-1]], axis=0)
        for i in range(32)
    ]).reshape(8, 4, -1)  # fmt: skip
    within = np.linalg.norm(mean - mean.mean(axis=1, keepdims=True), axis=2).mean()
    between = np.linalg.norm(mean.mean(axis=1) - mean.mean(axis=(0, 1)), axis=1).mean()
    assert between > 5 * within


def test_several_rhythms_are_balanced() -> None:
    ecg = make_ecg(30, rhythm=("af", "sinus", "paced"), duration=1, random_state=0)
    assert np.bincount(ecg.target, minlength=8)[[0, 1, 7]].tolist() == [10, 10, 10]
    assert ecg.rhythm[:9].tolist() != ecg.rhythm[:3].tolist() * 3


def test_masks_agree_with_waves_and_rpeaks() -> None:
    ecg = make_ecg(24, rhythm="mixed", random_state=5)
    code = {"P": 1, "QRS": 2, "T": 3}
    for mask, waves, peaks in zip(ecg.masks, ecg.waves, ecg.rpeaks, strict=True):
        assert (waves["onset"] < waves["peak"]).all() and (waves["peak"] < waves["offset"]).all()
        assert (waves["onset"][1:] > waves["offset"][:-1]).all()
        assert waves["onset"].min() >= 0 and waves["offset"].max() < mask.size
        for wave in waves:
            assert (mask[wave["onset"] : wave["offset"] + 1] == code[str(wave["wave"])]).all()
        assert (mask[peaks] == 2).all()
        qrs = waves[waves["wave"] == "QRS"]
        assert np.isin(qrs["peak"], peaks).all() and len(peaks) - 2 <= len(qrs) <= len(peaks)


@pytest.mark.parametrize(
    ("rhythm", "symbols"),
    [("sinus", "N"), ("af", "N"), ("pvc", "NV"), ("pac", "AN"), ("lbbb", "L"), ("rbbb", "R"), ("paced", "/")],
)
def test_beat_types(rhythm: str, symbols: str) -> None:
    for types in clean(rhythm, 20).beat_types:
        assert "".join(sorted(set(types.tolist()))) == symbols


def test_intervals_of_sinus_beats() -> None:
    ecg = clean("sinus", 60)
    waves = np.concatenate(ecg.waves)
    width = {k: np.median((waves["offset"] - waves["onset"])[waves["wave"] == k]) / ecg.fs for k in ("P", "QRS", "T")}
    assert 0.08 < width["P"] < 0.13 and 0.07 < width["QRS"] < 0.11 and 0.14 < width["T"] < 0.28
    for w in ecg.waves:
        p, qrs, t = (w[w["wave"] == k] for k in ("P", "QRS", "T"))
        pr = [(q - p["onset"][p["onset"] < q].max()) / ecg.fs for q in qrs["onset"][1:]]
        qt = [(t["offset"][t["onset"] > q].min() - q) / ecg.fs for q in qrs["onset"][:-1]]
        assert 0.11 < np.median(pr) < 0.22 and 0.26 < np.median(qt) < 0.52


def test_normal_beats_look_normal() -> None:
    ecg = clean("sinus", 60)
    high, low = np.array([median_extremes(ecg, name) for name in LEADS]).T
    for name in ("I", "II", "V4", "V5", "V6"):
        assert high[LEAD[name]] > 2 * -low[LEAD[name]], name
    assert -low[LEAD["aVR"]] > 2 * high[LEAD["aVR"]] and -low[LEAD["V1"]] > 2 * high[LEAD["V1"]] > 0.1
    ratio = high[6:12] / (high[6:12] - low[6:12])
    assert (np.diff(ratio[:5]) > 0).all(), "R waves must grow from V1 to V5"
    x, at = ecg.data, [w["peak"][w["wave"] == "T"] for w in ecg.waves]
    t = np.median([np.median(x[i][:, k], axis=1) - np.median(x[i], axis=1) for i, k in enumerate(at)], axis=0)
    assert (t[[LEAD[k] for k in ("I", "II", "V2", "V3", "V4", "V5", "V6")]] > 0.05).all() and t[LEAD["aVR"]] < -0.05


def test_right_bundle_branch_block() -> None:
    ecg = clean("rbbb")
    for i in range(len(ecg.data)):
        for v1, v6 in zip(qrs_beats(ecg, "V1", i), qrs_beats(ecg, "V6", i), strict=True):
            third = len(v1) // 3
            assert v1[third:].max() > 0.2 and v1[third:].argmax() + third > v1.argmin() > v1[:third].argmax()
            assert v6[-third:].min() < -0.1
    assert np.median([len(b) for i in range(30) for b in qrs_beats(ecg, "V1", i)]) / ecg.fs > 0.12


def test_left_bundle_branch_block() -> None:
    ecg = clean("lbbb")
    assert median_extremes(ecg, "V1")[1] < -0.8 and median_extremes(ecg, "V1")[0] < 0.1
    high, low = median_extremes(ecg, "V6")
    assert high > 0.5 and low > -0.15
    assert np.median([len(b) for i in range(30) for b in qrs_beats(ecg, "V1", i)]) / ecg.fs > 0.12


def test_fibrillation_is_irregular_and_has_no_p() -> None:
    af, sinus = clean("af"), clean("sinus")
    spread = [[np.std(np.diff(p)) / np.mean(np.diff(p)) for p in ecg.rpeaks] for ecg in (af, sinus)]
    assert np.median(spread[0]) > 0.12 and np.median(spread[1]) < 0.05
    assert not any((w["wave"] == "P").any() for w in af.waves) and not (af.masks == 1).any()


def test_ventricular_beats_are_early_wide_and_followed_by_a_full_pause() -> None:
    ecg = clean("pvc")
    for peaks, types, waves in zip(ecg.rpeaks, ecg.beat_types, ecg.waves, strict=True):
        normal = np.diff(peaks)[(types[1:] == "N") & (types[:-1] == "N")]
        rr = np.median(normal) if normal.size else None
        width = {p: o - n for w, n, p, o in waves.tolist() if w == "QRS"}
        for k in np.flatnonzero(types == "V")[1:-1]:
            before, after = peaks[k] - peaks[k - 1], peaks[k + 1] - peaks[k]
            assert before < 0.85 * after and width[peaks[k]] > 0.12 * ecg.fs
            if rr:
                assert abs(before + after - 2 * rr) < 0.15 * rr


def test_atrial_beats_are_early_and_narrow() -> None:
    ecg = clean("pac")
    for peaks, types in zip(ecg.rpeaks, ecg.beat_types, strict=True):
        rr = np.diff(peaks)
        for k in np.flatnonzero(types == "A"):
            assert k == 0 or rr[k - 1] < 0.85 * np.median(rr)
    widths = [len(b) for i in range(30) for b in qrs_beats(ecg, "II", i)]
    assert np.median(widths) / ecg.fs < 0.11 and max(widths) / ecg.fs < 0.13


def test_st_elevation_has_a_territory_and_a_reciprocal() -> None:
    ecg = clean("st_elevation", 40)
    seen = set()
    for x, waves, report in zip(ecg.data, ecg.waves, ecg.report, strict=True):
        j = waves["offset"][waves["wave"] == "QRS"][1:-1] + int(0.04 * ecg.fs)
        before = waves["onset"][waves["wave"] == "QRS"][1:-1] - 6
        st = np.median(x[:, j] - x[:, before], axis=1)
        territory = next(t for t in ("anterior", "inferior", "lateral") if t in report)
        up = {"anterior": ["V2", "V3"], "inferior": ["II", "III", "aVF"], "lateral": ["I", "aVL", "V5"]}[territory]
        assert (st[[LEAD[k] for k in up]] > 0.05).all(), (territory, st)
        if territory != "anterior":
            assert st[LEAD["aVL" if territory == "inferior" else "III"]] < -0.03
        seen.add(territory)
    assert len(seen) == 3


@pytest.mark.parametrize("fs", [100.0, 500.0])
def test_paced_beats_have_a_spike_before_the_qrs(fs: float) -> None:
    ecg = clean("paced", 10, fs=fs)
    for x, waves in zip(ecg.data, ecg.waves, strict=True):
        steep = np.abs(np.diff(x[LEAD["II"]], 2))
        for onset in waves["onset"][waves["wave"] == "QRS"][1:]:
            near = steep[onset - int(0.04 * fs) - 2 : onset + 1]
            assert near.max() > 5 * np.median(steep)


def test_reports() -> None:
    reports = [clean(rhythm, 1).report[0] for rhythm in RHYTHMS]
    parts = [
        "sinus",
        "atrial fibrillation",
        "ventricular",
        "supraventricular",
        "left bundle",
        "right bundle",
        "ST elev",
        "pac",
        "intraventricular conduction delay",
        "first degree atrioventricular block",
        "second degree atrioventricular block",
        "third degree atrioventricular block",
        "atrial flutter with",
        "atrial pacing",
        "sinus tachycardia",
    ]
    for report, part in zip(reports, parts, strict=True):
        assert part in report and report.endswith(".") and "/min." in report
    ecg = clean("sinus", 20)
    for peaks, report in zip(ecg.rpeaks, ecg.report, strict=True):
        rate = 60 * ecg.fs / np.mean(np.diff(peaks))
        stated = int(report.split("/min")[0].split()[-1])
        assert abs(stated - rate) < 1.5
        assert ("bradycardia" in report) == (stated < 60) or abs(stated - 60) < 2


@pytest.mark.parametrize("rhythm", list(RHYTHMS))
def test_detector_finds_the_beats(rhythm: str) -> None:
    ecg = make_ecg(30, rhythm=rhythm, random_state=11)
    hits = np.zeros(4)
    inside = slice(int(0.2 * ecg.fs), ecg.data.shape[-1] - int(0.2 * ecg.fs))
    for truth, found in zip(ecg.rpeaks, detect_rpeaks(ecg.data, ecg.fs), strict=True):
        for k, (a, b) in enumerate(((truth, found), (found, truth))):
            a = a[(a >= inside.start) & (a < inside.stop)]
            close = np.abs(a[:, None] - b[None]).min(axis=1) <= 0.15 * ecg.fs
            hits[2 * k : 2 * k + 2] += close.sum(), close.size
    assert hits[0] / hits[1] >= 0.99 and hits[2] / hits[3] >= 0.99


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"rhythm": "sinsu"}, "'sinus', 'af'.*'sinsu'"),
        ({"rhythm": ["af", "mixed"]}, "mixed"),
        ({"p_waves": "all"}, "p_waves must be 'usual' or 'any', got 'all'"),
        ({"rhythm": []}, "rhythm"),
        ({"n_records": -1}, "n_records.*-1"),
        ({"n_records": 2.5}, "n_records.*2.5"),
        ({"fs": 0}, "fs.*0"),
        ({"fs": float("nan")}, "fs.*nan"),
        ({"duration": -1.0}, "duration.*-1"),
        ({"duration": 0.0}, "duration.*0"),
        ({"duration": float("inf")}, "duration.*inf"),
        ({"noise": -0.1}, "noise.*-0.1"),
        ({"records_per_patient": 0}, "records_per_patient.*0"),
        ({"random_state": -3}, "random_state.*-3"),
        ({"random_state": "0"}, "random_state.*'0'"),
        ({"leads": ["I", "V9"]}, "V9"),
    ],
)
def test_bad_parameters_are_named(kwargs: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_ecg(**{"n_records": 1, **kwargs})


@pytest.mark.parametrize("rhythm", list(RHYTHMS))
@pytest.mark.parametrize(("fs", "duration"), [(50.0, 0.1), (257.0, 1.7), (1000.0, 31.0)])
def test_odd_rates_and_lengths(rhythm: str, fs: float, duration: float) -> None:
    ecg = make_ecg(3, rhythm=rhythm, fs=fs, duration=duration, random_state=0)
    assert ecg.data.shape[-1] == round(fs * duration) and np.isfinite(ecg.data).all()
    if duration > 30:
        longest = {"av_block_2": 2.6, "av_block_3": 2.4}.get(rhythm, 1.6)
        assert all(p[0] < longest * fs and p[-1] > (duration - longest - 0.6) * fs for p in ecg.rpeaks)


@pytest.mark.parametrize("rate", [20, 40, 120, 220, 250, 320])
def test_a_chosen_rate_is_kept(rate: float) -> None:
    ecg = make_ecg(4, rate=rate, duration=20, random_state=0)
    for peaks, waves, report in zip(ecg.rpeaks, ecg.waves, ecg.report, strict=True):
        assert 60 * 500 / np.diff(peaks).mean() == pytest.approx(rate, rel=0.04)
        assert ("supraventricular tachycardia" in report) == (rate > 180)
        assert ("P" in waves["wave"]) == (rate < 180)
    assert (ecg.masks == 2).any() and np.isfinite(ecg.data).all()


def test_without_a_rate_records_stay_what_they_were_and_a_bad_rate_is_named() -> None:
    np.testing.assert_array_equal(make_ecg(2, random_state=0).data, make_ecg(2, random_state=0, rate=None).data)
    with pytest.raises(ValueError, match="rate must be a finite number of at least 20, got 10"):
        make_ecg(1, rate=10)
    with pytest.raises(ValueError, match="rate must be at most 320, got 400"):
        make_ecg(1, rate=400)
    with pytest.raises(ValueError, match="rate needs rhythm='sinus', got rate=200 with 'af'"):
        make_ecg(1, rate=200, rhythm="af")
