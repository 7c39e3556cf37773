"""Measures of records: medians, absent waves and leads, long records, and LUDB's own marks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import fetch_ludb, make_ecg
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg.waves import WAVE_MEASURES, consensus, measures, record_intervals, wave_measures
from beatssl_sklearn.ecg.waves.table import empty_table, table_of_marks
from beatssl_sklearn.ecg.waves.usual_measures import USUAL_MEASURES

ECG = make_ecg(3, rhythm=["sinus", "af", "pvc"], noise=0, random_state=0)
SINUS, AF = (ECG.rhythm.tolist().index(rhythm) for rhythm in ("sinus", "af"))


def marks(ecg=ECG, leads=LEADS) -> pd.DataFrame:
    """The simulator's marks, which hold for all leads."""
    names = ("P", "QRS", "T")
    return table_of_marks(
        [dict.fromkeys(leads, {k: [list(w)[1:] for w in own if w["wave"] == k] for k in names}) for own in ecg.waves],
        ecg.fs,
    )


def named(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(values, columns=list(WAVE_MEASURES))


def test_columns_have_one_name_each() -> None:
    assert len(set(WAVE_MEASURES)) == len(WAVE_MEASURES) == len(USUAL_MEASURES) == 262
    assert np.isfinite(USUAL_MEASURES).all()


def test_amplitudes_are_those_of_the_signal() -> None:
    """Without noise, R in II of sinus rhythm is the sample at its top above the level before QRS."""
    table = marks()
    found = named(wave_measures(ECG.data, ECG.fs, table))
    qrs = table[(table["record"] == SINUS) & (table["lead"] == "II") & (table["wave"] == "QRS")]
    x, heights = ECG.data[SINUS, 1], []
    for onset, offset in qrs[["onset", "offset"]].to_numpy(int):
        heights.append(x[onset : offset + 1].max() - x[onset - 15 : onset - 2].mean())
    assert found.loc[SINUS, "r_amplitude_II"] == pytest.approx(np.median(heights), abs=0.01)
    expected = record_intervals(consensus(table, ECG.fs, n_leads=12), ECG.fs, 3)
    np.testing.assert_allclose(found["rr"], expected["RR"], rtol=1e-5)
    np.testing.assert_allclose(found["qtc"], expected["QTcF"], rtol=1e-5)


def test_absent_waves_and_leads() -> None:
    found = named(wave_measures(ECG.data, ECG.fs, marks()))
    assert found.loc[SINUS, "p_absent"] == 0 and found.loc[AF, "p_absent"] == 1
    assert np.isnan(found.loc[AF, ["pr", "p_amplitude_II", "p_axis"]].to_numpy()).all()
    assert (found.loc[AF, [f"p_absent_{lead}" for lead in LEADS]] == 1).all()
    two = named(wave_measures(-ECG.data[:, [6, 1]], ECG.fs, marks(leads=("-V1", "-II")), ["-V1", "-II"]))
    gone = [lead for lead in LEADS if lead not in ("II", "V1")]
    assert (two[[f"lead_absent_{lead}" for lead in gone]] == 1).all(axis=None) and not two["lead_absent_V1"].any()
    assert two[[f"st_j_{lead}" for lead in gone]].isna().all(axis=None) and two["sokolow_lyon"].isna().all()
    np.testing.assert_allclose(two["r_amplitude_II"], found["r_amplitude_II"], atol=1e-6)


def test_records_without_beats_have_rows() -> None:
    x = np.zeros((2, 12, 1000), np.float32)
    x[1] = np.nan
    found = named(wave_measures(x, 100.0, empty_table()))
    assert found["n_beats"].tolist() == [0, 0] and found["rr"].isna().all()
    assert (found[["p_absent", "q_absent_I", "t_absent_V6", "lead_absent_I"]] == 1).all(axis=None)


def test_missing_samples_cost_their_beats_alone() -> None:
    x = ECG.data.copy()
    x[0, 1, 1000:1400] = np.nan
    found, whole = (named(wave_measures(signal, ECG.fs, marks())) for signal in (x, ECG.data))
    assert found.loc[0, "r_amplitude_II"] == pytest.approx(whole.loc[0, "r_amplitude_II"], rel=0.02)
    assert found.drop(index=0).equals(whole.drop(index=0))
    x[0, 1, :3000] = np.nan
    assert np.isnan(named(wave_measures(x, ECG.fs, marks())).loc[0, "r_amplitude_II"])


def test_long_records_are_measured_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    ecg = make_ecg(1, duration=60, fs=360, noise=0, random_state=1)
    whole = wave_measures(ecg.data, ecg.fs, marks(ecg))
    monkeypatch.setattr(measures, "_PIECE_S", 20.0)
    # Three beats stand at the ends of a piece, where the baseline goes on level.
    np.testing.assert_allclose(wave_measures(ecg.data, ecg.fs, marks(ecg)), whole, rtol=1e-3, atol=2e-3)


def test_what_cannot_be_measured_is_named() -> None:
    with pytest.raises(ValueError, match=r"signal must have shape \(n_records, 12, n_times\), got \(12, 5000\)"):
        wave_measures(ECG.data[0], ECG.fs, marks())
    with pytest.raises(ValueError, match="table has the records 0 to 2, signal has 1"):
        wave_measures(ECG.data[:1], ECG.fs, marks())


def test_ludb_by_its_own_marks(data_dir: Path) -> None:
    """Medians over leads of what R, T and P differ by from the samples that cardiologists marked: below .01 mV."""
    ludb = fetch_ludb(data_dir / "ludb", download_if_missing=False)
    rows = np.arange(0, 150, 15)
    signal = np.stack([ludb.data[int(i)].signal for i in rows]).astype(np.float32)
    waves = [ludb.waves[int(i)] for i in rows]
    found = named(wave_measures(signal, 500.0, table_of_marks(waves, 500.0)))
    errors: dict[str, list[float]] = {"p": [], "r": [], "t": []}
    for i, of_record in enumerate(waves):
        for lead, own in of_record.items():
            x, name = signal[i, LEADS.index(lead)], lead
            qrs = np.array([mark for mark in own["QRS"] if min(mark) >= 20])
            level = np.array([x[onset - 15 : onset - 2].mean() for onset in qrs[:, 0]])
            tops = [x[a : b + 1].max() for a, b in qrs[:, [0, 2]]]
            tall = np.fmax(found.loc[i, f"r_amplitude_{name}"], found.loc[i, f"r2_amplitude_{name}"])
            errors["r"].append(abs(tall - np.median(tops - level)))
            for wave, after in (("t", False), ("p", True)):
                peaks = np.array([mark[1] for mark in own.get(wave.upper(), []) if mark[1] > 0])
                beat = np.searchsorted(qrs[:, 0], peaks) - (0 if after else 1)
                inside = (beat >= 0) & (beat < len(qrs))
                if inside.any():
                    expected = np.median(x[peaks[inside]] - level[beat[inside]])
                    errors[wave].append(abs(found.loc[i, f"{wave}_amplitude_{name}"] - expected))
    assert {wave: round(float(np.nanmedian(own)), 2) for wave, own in errors.items()} == {"p": 0.0, "r": 0.0, "t": 0.0}
