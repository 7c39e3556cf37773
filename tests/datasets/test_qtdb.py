"""QT Database: marks, masks that claim only what is marked, and leads that are not of the twelve."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn.datasets import fetch_qtdb

LOCAL: dict[str, Any] = {"download_if_missing": False}
N_TIMES = 225_000

P, QRS, T = [(-50, "(", 0), (-40, "p", 0), (-30, ")", 0)], [(-10, "(", 1), (0, "N", 1), (15, ")", 1)], [(70, "t", 0)]
T_OFFSET = [(90, ")", 2)]
T_ONSET, U = [(50, "(", 2)], [(100, "(", 3), (110, "u", 0), (120, ")", 3)]
BEAT = [*P, *QRS, *T, *T_OFFSET]


def beats(*times: int, marks: Sequence[tuple[int, str, int]] = BEAT) -> list[tuple[int, str, int]]:
    return [(time + shift, symbol, number) for time in times for shift, symbol, number in marks]


def write_qtdb(
    folder: Path, records: dict[str, tuple[tuple[str, str], list[tuple[int, str, int]]]], n_times: int = 2500
) -> Path:
    """Write records in format 212, with marks that have numbers, as published."""
    import wfdb

    folder.mkdir(parents=True, exist_ok=True)
    signal = np.random.default_rng(0).integers(-500, 500, (n_times, 2))
    for name, (leads, marks) in records.items():
        wfdb.wrsamp(
            name, 250, ["mV"] * 2, list(leads), d_signal=signal, fmt=["212"] * 2, adc_gain=[200.0] * 2,
            baseline=[0] * 2, write_dir=str(folder),
        )  # fmt: skip
        header = (folder / f"{name}.hea").read_text()
        header = header.replace(f"{name} 2 250 ", f"{name} 2 250/360 ") + "# 66 F 1567 694 x1\n"
        (folder / f"{name}.hea").write_text(header)
        samples, symbols, numbers = (np.array(column) for column in zip(*marks, strict=True))
        # wfdb refuses extensions with a digit.
        wfdb.wrann(name, "tmp", samples, symbol=symbols.tolist(), num=numbers, write_dir=str(folder))
        (folder / f"{name}.tmp").rename(folder / f"{name}.q1c")
    (folder / "RECORDS").write_text("".join(f"{name}\n" for name in records))
    return folder


@pytest.fixture(scope="module")
def qtdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = {
        "sel100": (("MLII", "V5"), beats(1000, 1200, 1400)),
        "sele0203": (("CM5", "CC5"), beats(1000, 1200, marks=[*P, *QRS, *T_ONSET, *T, *T_OFFSET, *U])),
        "sel30": (("ECG1", "ECG2"), beats(1000, 1200)),
    }
    return write_qtdb(tmp_path_factory.mktemp("home") / "qtdb", records, N_TIMES)


def test_qtdb(qtdb: Path) -> None:
    data = fetch_qtdb(qtdb.parent, **LOCAL)
    assert data.record_id.tolist() == data.patient_id.tolist() == ["sel100", "sele0203", "sel30"]
    assert data.source.tolist() == ["arrhythmia", "European ST-T", "sudden death"]
    assert data.fs == 250.0 and data.target_names == ("background", "P", "QRS", "T") and "ODC-BY" in data.DESCR
    assert data.leads == [("II", "V5"), ("V5", "V6"), ("II", "V1")]
    assert data.published_leads == [("MLII", "V5"), ("CM5", "CC5"), ("ECG1", "ECG2")]
    for record, leads, mask in zip(data.data, data.leads, data.masks, strict=True):
        assert record.leads == leads and record.fs == 250.0
        assert record.signal.shape == (2, N_TIMES) and mask.shape == (N_TIMES,) and mask.dtype == np.int8
    np.testing.assert_array_equal(data.waves[0]["P"], [[950, 960, 970], [1150, 1160, 1170], [1350, 1360, 1370]])
    np.testing.assert_array_equal(data.waves[0]["T"][:2], [[np.nan, 1070, 1090], [np.nan, 1270, 1290]])
    np.testing.assert_array_equal(data.waves[1]["T"], [[1050, 1070, 1090], [1250, 1270, 1290]])
    assert data.rpeaks[1].tolist() == [1000, 1200] and data.rpeaks[1].dtype == np.int64
    assert fetch_qtdb(qtdb, records=["sel30"], **LOCAL).source.tolist() == ["sudden death"]


def runs(mask: np.ndarray) -> list[tuple[int, int, int]]:
    """Label, first and last sample of each stretch of one label; stretches that are ignored are left out."""
    edges = np.flatnonzero(np.diff(mask)) + 1
    bounds = zip([0, *edges.tolist()], [*edges.tolist(), len(mask)], strict=True)
    return [(int(mask[a]), a, b - 1) for a, b in bounds if mask[a] >= 0]


def mask_of(folder: Path, marks: list[tuple[int, str, int]]) -> list[tuple[int, int, int]]:
    return runs(fetch_qtdb(write_qtdb(folder, {"sel100": (("MLII", "V5"), marks)}), **LOCAL).masks[0])


def test_without_the_onset_of_t_the_mask_says_nothing_before_its_peak(qtdb: Path) -> None:
    masks = fetch_qtdb(qtdb, **LOCAL).masks
    beat = [(1, 950, 970), (0, 971, 989), (2, 990, 1015), (3, 1070, 1090), (0, 1091, 1149)]
    assert runs(masks[0])[:6] == [*beat, (1, 1150, 1170)]
    # With the onset, all is known from the first mark to the last but one; U is background.
    known = [(1, 950, 970), (0, 971, 989), (2, 990, 1015), (0, 1016, 1049), (3, 1050, 1090), (0, 1091, 1149)]
    assert runs(masks[1])[:7] == [*known, (1, 1150, 1170)]
    assert (masks[1][:950] == -1).all() and (masks[1][1291:] == -1).all()


def test_nothing_is_known_where_beats_or_waves_are_not_marked(tmp_path: Path) -> None:
    # Beats at 1600 and 1800 are not marked.
    found = mask_of(tmp_path, beats(1000, 1200, 1400, 2000))
    assert (0, 1291, 1349) in found and not any(1490 < start < 1950 for _, start, _ in found)
    assert (0, 1971, 1989) in found  # within the beat after the gap
    # A pause of 1.4 times the distance of the others is a pause.
    assert (0, 1291, 1429) in mask_of(tmp_path, beats(1000, 1200, 1480, 1680))
    # No P: the end of T to the QRS is unknown. No T: the end of the QRS to the next P.
    without_p = mask_of(tmp_path, [*beats(1000), *beats(1200, marks=[*QRS, *T, *T_OFFSET])])
    assert without_p[-3:] == [(3, 1070, 1090), (2, 1190, 1215), (3, 1270, 1290)]
    without_t = mask_of(tmp_path, [*beats(1000, marks=[*P, *QRS]), *beats(1200)])
    assert without_t[2:4] == [(2, 990, 1015), (1, 1150, 1170)]
    one = mask_of(tmp_path, beats(1000))
    assert one == [(1, 950, 970), (0, 971, 989), (2, 990, 1015), (3, 1070, 1090)]


def test_beats_of_any_type_and_waves_with_two_peaks(tmp_path: Path) -> None:
    marks = [*beats(1000, marks=[(-40, "(", 1), (0, "V", 0), (30, ")", 1), (70, "t", 0), (80, "t", 0), (90, ")", 2)])]
    data = fetch_qtdb(write_qtdb(tmp_path, {"sel100": (("MLII", "V5"), marks)}), **LOCAL)
    np.testing.assert_array_equal(data.waves[0]["QRS"], [[960, 1000, 1030]])
    np.testing.assert_array_equal(data.waves[0]["T"], [[np.nan, 1070, 1090]])
    assert data.waves[0]["P"].shape == (0, 3)


def test_the_user_names_leads(qtdb: Path, tmp_path: Path) -> None:
    data = fetch_qtdb(qtdb, leads={"cm5": "I", "ECG1": "-V2"}, **LOCAL)
    assert data.leads == [("II", "V5"), ("I", "V6"), ("V1", "V2")]
    assert data.published_leads[2] == ("ECG2", "ECG1")
    np.testing.assert_array_equal(data.data[2].signal[1], -fetch_qtdb(qtdb, **LOCAL).data[2].signal[0])
    with pytest.raises(ValueError, match="record 'sele0203': its leads CM5, CC5 would both be V5"):
        fetch_qtdb(qtdb, leads={"CC5": "V5"}, **LOCAL)
    with pytest.raises(ValueError, match="unknown lead 'V9'"):
        fetch_qtdb(qtdb, leads={"CC5": "V9"}, **LOCAL)
    with pytest.raises(TypeError, match="leads must be a dict"):
        fetch_qtdb(qtdb, leads=["II", "V1"], **LOCAL)  # type: ignore[arg-type]
    odd = write_qtdb(tmp_path, {"sel100": (("vx", "V5"), beats(1000))})
    with pytest.raises(ValueError, match=r"record 'sel100': unknown lead 'vx'.*leads=\{'vx': 'V5'\} names it"):
        fetch_qtdb(odd, **LOCAL)


def test_the_second_annotator(qtdb: Path) -> None:
    (qtdb / "sel100.q2c").write_bytes((qtdb / "sel30.q1c").read_bytes())
    second = fetch_qtdb(qtdb, annotator="q2c", **LOCAL)
    assert second.record_id.tolist() == ["sel100"] and second.rpeaks[0].tolist() == [1000, 1200]
    with pytest.raises(ValueError, match="records has 'sel30': the second annotator marked only"):
        fetch_qtdb(qtdb, records=["sel30"], annotator="q2c", **LOCAL)
    with pytest.raises(ValueError, match="annotator must be 'q1c' or 'q2c', got 'atr'"):
        fetch_qtdb(qtdb, annotator="atr", **LOCAL)  # type: ignore[arg-type]


def test_records_that_are_not_there(qtdb: Path) -> None:
    with pytest.raises(ValueError, match="records has the unknown record 'sel99'"):
        fetch_qtdb(qtdb, records=["sel99"], **LOCAL)
    with pytest.raises(ValueError, match="records names a record more than once"):
        fetch_qtdb(qtdb, records=["sel30", "sel30"], **LOCAL)
    with pytest.raises(ValueError, match="records is empty"):
        fetch_qtdb(qtdb, records=[], **LOCAL)
    with pytest.raises(FileNotFoundError, match="3 of 3 files of qtdb/1.0.0 .*sel102.hea"):
        fetch_qtdb(qtdb, records=["sel102"], **LOCAL)


def test_all_records_have_the_published_sources() -> None:
    from beatssl_sklearn.datasets._qtdb import SOURCES

    # Table 1 of the publisher's description.
    assert Counter(SOURCES.values()) == {
        "arrhythmia": 15, "ST change": 6, "supraventricular": 13, "long-term": 4, "European ST-T": 33, "normal": 10,
        "sudden death": 24,
    }  # fmt: skip


@pytest.fixture(scope="module")
def real_qtdb(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records as WFDB files, unpacked where they are stored otherwise."""
    if any((data_dir / "qtdb").glob("sel*.q1c")):
        return data_dir / "qtdb"
    unpack = data_dir / "qtdb" / "unpack.py"
    if not unpack.is_file():
        pytest.skip("no QT Database")
    folder = tmp_path_factory.mktemp("real") / "qtdb"
    subprocess.run([sys.executable, str(unpack), str(folder)], check=True, capture_output=True)
    return folder


def test_real_qtdb(real_qtdb: Path) -> None:
    import wfdb

    data = fetch_qtdb(real_qtdb, **LOCAL)
    for name, waves, mask in zip(data.record_id, data.waves, data.masks, strict=True):
        marks = wfdb.rdann(str(real_qtdb / name), "q1c")
        symbol, number = np.array(marks.symbol), np.array(marks.num)
        peaks = {"P": symbol == "p", "QRS": ~np.isin(symbol, list("()ptu")), "T": symbol == "t"}
        for code, (wave, peak) in enumerate(peaks.items()):
            # The loader goes by the order of the marks. Their numbers must say the same.
            places = (symbol == "(") & (number == code), peak, (symbol == ")") & (number == code)
            for boundary, place in enumerate(places):
                found = waves[wave][:, boundary]
                np.testing.assert_array_equal(found[~np.isnan(found)], marks.sample[place])
        assert set(np.unique(mask)) <= {-1, 0, 1, 2, 3} and (mask[waves["QRS"][:, 1].astype(int)] == 2).all()
        assert (mask >= 0).sum() > 10 * data.fs


def test_a_segmenter_reads_every_record(real_qtdb: Path) -> None:
    from beatssl_sklearn import ECGRecord, WaveSegmenter
    from beatssl_sklearn.evaluation import delineation_scores

    data = fetch_qtdb(real_qtdb, records=["sel16265", "sele0104", "sele0210"], **LOCAL)
    start = [int(waves["P"][0, 0]) for waves in data.waves]
    # Eight beats or so of each record.
    parts = [
        ECGRecord(record.signal[:, first : first + 2000], record.fs, record.leads)
        for record, first in zip(data.data, start, strict=True)
    ]
    true = [
        {wave: marks[marks[:, 1] < first + 1900] - first for wave, marks in waves.items()}
        for waves, first in zip(data.waves, start, strict=True)
    ]
    found = WaveSegmenter.load("waves").delineate(parts)
    assert found.groupby("record")["lead"].unique().map(set).tolist() == [set(leads) for leads in data.leads]
    scores = delineation_scores(true, found, data.fs, leads="nearest").set_index(["wave", "boundary"])
    assert (scores.sensitivity.dropna() > 0.9).all() and scores.n_true["QRS", "peak"] > 20
