"""MIT-BIH Supraventricular Arrhythmia Database: beats, leads without a place, and blocks of neighbours."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn.datasets import fetch_svdb
from beatssl_sklearn.datasets._aami import read_beats
from beatssl_sklearn.ecg import write_annotations

LOCAL: dict[str, Any] = {"download_if_missing": False}
MARKS = [(40, "N"), (80, "S"), (80, "N"), (90, "|"), (120, "V"), (120, "~"), (160, "a"), (200, "B"), (240, "Q")]
BEHIND = (300, "N")


@pytest.fixture
def svdb(tmp_path: Path, write_record: Callable[..., None]) -> Path:
    folder = tmp_path / "svdb"
    for number in (800, 804, 812, 820, 869):
        write_record(folder / str(number), ("ECG1", "ECG2"), 300, 128)
        write_annotations(folder / str(number), "atr", *zip(*MARKS, BEHIND, strict=True), 128)
    (folder / "RECORDS").write_text("800\n804\n812\n820\n869\n")
    return folder


def test_svdb(svdb: Path) -> None:
    data = fetch_svdb(svdb.parent, **LOCAL)
    assert data.record_id.tolist() == [800, 804, 812, 820, 869]
    assert data.block.tolist() == [800, 800, 810, 820, 860] and "patient_id" not in data
    # Of the two beats at sample 80 the first counts; | and ~ are no beats; BEHIND is not in the signal.
    assert data.rpeaks[0].tolist() == [40, 80, 120, 160, 200, 240] and data.rpeaks[0].dtype == np.int64
    assert "".join(data.beat_symbols[0]) == "NSVaBQ" and "".join(data.beat_labels[0]) == "NSVSNQ"
    assert data.target is data.beat_labels and data.target_names == ("N", "S", "V", "F", "Q") and data.fs == 128.0
    assert data.leads == [("II", "V1")] * 5 == [record.leads for record in data.data]
    np.testing.assert_allclose(data.data[0].signal[:, 0], [0.0, 0.001])
    assert fetch_svdb(svdb, records=["820"], **LOCAL).block.tolist() == [820]


def test_the_user_names_leads(svdb: Path) -> None:
    data = fetch_svdb(svdb, leads={"ecg2": "II", "ECG1": "V5"}, **LOCAL)
    assert data.leads[0] == ("II", "V5") == data.data[0].leads
    np.testing.assert_allclose(data.data[0].signal[:, 0], [0.001, 0.0])
    one = fetch_svdb(svdb, leads={"ECG2": "-II"}, **LOCAL)
    assert one.leads[0] == ("II",) == one.data[0].leads
    np.testing.assert_allclose(one.data[0].signal[:, 0], [-0.001])


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"records": [800, 813]}, ValueError, "unknown record 813"),
        ({"records": []}, ValueError, "empty"),
        ({"leads": ["II", "V1"]}, TypeError, "leads must be a dict"),
        ({"leads": {}}, ValueError, "leads is empty"),
        ({"leads": {"MLII": "II"}}, ValueError, "unknown signal 'MLII': expected ECG1 or ECG2"),
        ({"leads": {"ECG1": "X"}}, ValueError, "'X'"),
        ({"leads": {"ECG1": "II", "ECG2": "-II"}}, ValueError, "both signals the lead II"),
        ({"records": [870]}, FileNotFoundError, "3 of 3 files of svdb/1.0.0.*870.hea"),
    ],
)
def test_refusals(svdb: Path, parameters: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fetch_svdb(svdb, **parameters, **LOCAL)


def test_signals_of_other_names_are_no_record_of_this_set(svdb: Path, write_record: Callable[..., None]) -> None:
    write_record(svdb / "804", ("MLII", "V1"), 300, 128)
    with pytest.raises(ValueError, match="record '804' has the signals MLII, V1"):
        fetch_svdb(svdb, **LOCAL)


def test_without_a_list_all_78_records_are_expected(svdb: Path) -> None:
    (svdb / "RECORDS").unlink()
    with pytest.raises(FileNotFoundError, match="219 of 234 files"):
        fetch_svdb(svdb, **LOCAL)


def test_beats_of_all_real_records(data_dir: Path) -> None:
    folder = data_dir / "svdb"
    if not folder.is_dir():
        pytest.skip("no MIT-BIH Supraventricular Arrhythmia Database")
    beats = {path.stem: read_beats(path.with_suffix(""), 230400) for path in sorted(folder.glob("*.atr"))}
    counts = Counter(np.concatenate([own.labels for own in beats.values()]).tolist())
    # One N less than the files have: the last mark of record 860 lies behind its last sample.
    assert len(beats) == 53 and counts == {"N": 113676, "S": 8520, "V": 5946, "F": 5, "Q": 71}
    assert all((np.diff(own.rpeaks) > 0).all() and own.rpeaks[-1] < 230400 for own in beats.values())
    assert beats["860"].rpeaks[-1] == 230254 and (beats["865"].labels == "S").sum() == 1818


@pytest.mark.filterwarnings("ignore:.*no gain for ECG1, ECG2. 200 adu/mV assumed")
def test_real_records(data_dir: Path, tmp_path: Path) -> None:
    unpack = data_dir / "svdb" / "unpack.py"
    if not unpack.is_file():
        pytest.skip("no MIT-BIH Supraventricular Arrhythmia Database")
    command = [sys.executable, str(unpack), str(tmp_path), "--records", "800", "823"]
    subprocess.run(command, check=True, capture_output=True)
    data = fetch_svdb(tmp_path, **LOCAL)
    assert data.record_id.tolist() == [800, 823] and data.block.tolist() == [800, 820]
    for record, leads in zip(data.data, data.leads, strict=True):  # the header of 823 gives no gain
        assert record.leads == leads and record.fs == 128.0 and record.signal.shape == (2, 230400)
        assert 0.05 < record.signal.std() < 1
