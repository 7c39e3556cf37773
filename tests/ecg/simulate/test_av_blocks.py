"""Atrioventricular blocks, and rhythms with unusual atria: counts of waves, intervals and ratios."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn.ecg.simulate.make_ecg import SimulatedECG, make_ecg


def clean(rhythm: str, n: int = 30, duration: float = 20.0) -> SimulatedECG:
    return make_ecg(n, rhythm=rhythm, noise=0, duration=duration, random_state=9)


def onsets(waves: np.ndarray, name: str) -> np.ndarray:
    return waves["onset"][waves["wave"] == name]


def pr_intervals(ecg: SimulatedECG, i: int) -> np.ndarray:
    """Time from the last P wave to each complex [s]; NaN without one within half a second."""
    p, qrs = onsets(ecg.waves[i], "P"), onsets(ecg.waves[i], "QRS")
    gaps = np.array([(q - p[p < q].max()) / ecg.fs if (p < q).any() else np.nan for q in qrs])
    return np.where(gaps < 0.5, gaps, np.nan)


def test_first_degree() -> None:
    ecg = clean("av_block_1")
    for i, waves in enumerate(ecg.waves):
        pr = pr_intervals(ecg, i)[1:]
        assert 0.2 < np.nanmedian(pr) < 0.43 and np.isnan(pr).mean() < 0.05
        assert abs(len(onsets(waves, "P")) - len(onsets(waves, "QRS"))) <= 2
    assert np.ptp([np.nanmedian(pr_intervals(ecg, i)) for i in range(30)]) > 0.1


def test_second_degree() -> None:
    ecg = clean("av_block_2", 60)
    ratios: dict[str, list[float]] = {"Wenckebach": [], "Mobitz II": [], "2:1": [], "3:1": []}
    for i, waves in enumerate(ecg.waves):
        kind = next(kind for kind in ratios if f"({kind})" in ecg.report[i])
        p, qrs = onsets(waves, "P"), onsets(waves, "QRS")
        ratios[kind].append(len(p) / len(qrs))
        pp = np.diff(p)
        assert (np.abs(pp - np.median(pp)) < 0.15 * np.median(pp)).mean() > 0.6, "atria are regular"
        if kind == "Wenckebach":
            # The interval after a pause is the shortest, and the one before it the longest.
            rr, pr = np.diff(qrs), pr_intervals(ecg, i)
            pauses = np.flatnonzero(rr > 1.25 * np.median(rr))
            pauses = pauses[(pauses > 0) & (pauses < len(pr) - 1)]
            assert pauses.size and np.nanmean(pr[pauses] - pr[pauses + 1]) > 0.03
        elif kind != "2:1":
            assert np.nanstd(pr_intervals(ecg, i)) < 0.02
    assert all(len(found) >= 2 for found in ratios.values())
    assert 1.15 < np.median(ratios["Wenckebach"]) < 1.5 and 1.15 < np.median(ratios["Mobitz II"]) < 1.5
    assert np.median(ratios["2:1"]) == pytest.approx(2, abs=0.15)
    assert np.median(ratios["3:1"]) == pytest.approx(3, abs=0.3)


def test_third_degree() -> None:
    ecg = clean("av_block_3")
    wide = []
    for i, waves in enumerate(ecg.waves):
        qrs = waves[waves["wave"] == "QRS"]
        width, rr = np.median(qrs["offset"] - qrs["onset"]) / ecg.fs, np.diff(ecg.rpeaks[i]) / ecg.fs
        wide.append(width > 0.12)
        assert set(ecg.beat_types[i]) == {"E" if wide[-1] else "j"}
        assert 25 < 60 / rr.mean() < 58 and rr.std() < 0.03 * rr.mean()
        # Independent: P waves lie at every distance from the complexes.
        phase = [(p - ecg.rpeaks[i][ecg.rpeaks[i] <= p].max()) / ecg.fs for p in onsets(waves, "P")
                 if (ecg.rpeaks[i] <= p).any()]  # fmt: skip
        assert len(phase) >= len(rr) * 0.6 and np.ptp(phase) > 0.3 * rr.mean()
    assert 0.2 < np.mean(wide) < 0.8


def test_flutter_has_waves_of_240_to_340_a_minute_and_no_p_wave() -> None:
    ecg = clean("flutter", 20)
    for i, (x, waves, report) in enumerate(zip(ecg.data, ecg.waves, ecg.report, strict=True)):
        assert not (waves["wave"] == "P").any() and not (ecg.masks[i] == 1).any()
        spectrum = np.abs(np.fft.rfft(x[1] - x[1].mean()))
        hertz = np.fft.rfftfreq(x.shape[1], 1 / ecg.fs)
        rr = np.diff(ecg.rpeaks[i]) / ecg.fs
        if "variable" in report:
            assert rr.std() > 0.1 * rr.mean()
            continue
        ratio = int(report.split(":1")[0][-1])
        rate = ratio / rr.mean()
        assert 4.0 <= rate <= 5.7 and rr.std() < 0.05 * rr.mean()
        near = np.abs(hertz - rate) < 0.15
        assert spectrum[near].max() > 3 * np.median(spectrum[(hertz > rate - 0.5) & (hertz < rate + 0.5)])


def test_atrial_pacing_has_a_spike_before_every_p_wave() -> None:
    ecg = clean("paced_atrial", 20)
    wide = []
    for x, waves in zip(ecg.data, ecg.waves, strict=True):
        steep = np.abs(np.diff(x[1], 2))
        p, qrs = onsets(waves, "P"), onsets(waves, "QRS")
        assert abs(len(p) - len(qrs)) <= 1
        assert all(steep[k - 20 : k + 2].max() > 5 * np.median(steep) for k in p[1:])
        wide.append(np.median((waves["offset"] - waves["onset"])[waves["wave"] == "QRS"]) > 60)
    assert 0.1 < np.mean(wide) < 0.8


def test_p_on_t_is_a_fast_rhythm_whose_t_waves_end_at_p_waves() -> None:
    ecg = clean("p_on_t")
    joined, ratio = [], []
    for waves, peaks in zip(ecg.waves, ecg.rpeaks, strict=True):
        assert 125 < 60 * ecg.fs / np.diff(peaks).mean() < 182
        names = waves["wave"]
        ratio.append((names == "P").sum() / (names == "QRS").sum())
        touching = (waves["onset"][1:] == waves["offset"][:-1] + 1) & (names[1:] == "P") & (names[:-1] == "T")
        joined.append(touching.sum() / max((names == "P").sum(), 1))
    assert np.mean(ratio) > 0.8 and np.mean(joined) > 0.4


@pytest.mark.parametrize("rhythm", ["av_block_1", "av_block_2", "av_block_3", "flutter", "paced_atrial", "p_on_t"])
@pytest.mark.parametrize("p_waves", ["usual", "any"])
def test_masks_agree_with_waves(rhythm: str, p_waves: str) -> None:
    ecg = make_ecg(8, rhythm=rhythm, p_waves=p_waves, random_state=5)
    code = {"P": 1, "QRS": 2, "T": 3}
    for mask, waves, peaks in zip(ecg.masks, ecg.waves, ecg.rpeaks, strict=True):
        assert (waves["onset"] < waves["peak"]).all() and (waves["peak"] < waves["offset"]).all()
        assert (waves["onset"][1:] > waves["offset"][:-1]).all()
        for wave in waves:
            assert (mask[wave["onset"] : wave["offset"] + 1] == code[str(wave["wave"])]).all()
        assert (mask[peaks] == 2).all()
