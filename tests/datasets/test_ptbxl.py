"""PTB-XL: labels as published or as columns, choices of records, and tables that are malformed or hostile."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn.datasets import fetch_ptbxl
from beatssl_sklearn.ecg.leads import LEADS

Writer = Callable[..., Path]
LOCAL: dict[str, Any] = {"download_if_missing": False}


def test_ptbxl_as_published(write_ptbxl: Writer, tmp_path: Path) -> None:
    data = fetch_ptbxl(write_ptbxl(tmp_path / "anywhere"), **LOCAL)
    assert data.target_names == ("NORM", "MI", "STTC", "CD", "HYP")
    assert data.target.dtype == np.int8
    np.testing.assert_array_equal(data.target, [[1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(data.labelled, [True, True, False])
    assert data.subclass == [("NORM",), ("IMI", "NST"), ()]
    assert data.rhythm == [("SR",), (), ("AFLT",)]
    assert data.form == [("LVOLT",), ("ABQRS", "NST"), ()]
    np.testing.assert_array_equal(data.record_id, [1, 2, 3])
    np.testing.assert_array_equal(data.patient_id, [15709, 15709, 7])
    np.testing.assert_array_equal(data.fold, [3, 3, 9])
    np.testing.assert_array_equal(data.age, np.float32([56, 90, np.nan]))
    assert data.sex.tolist() == ["F", "M", "M"]
    assert data.report[0] == "sinusrhythmus, überleitung"
    assert data.leads == LEADS and data.fs == 100.0 and "CC BY 4.0" in data.DESCR
    assert data.data.shape == (3,) and data.data[2].signal.shape == (12, 20)
    np.testing.assert_allclose(data.data[0].signal[1, 3], 0.004, rtol=1e-6)


def test_ptbxl_500(write_ptbxl: Writer, tmp_path: Path) -> None:
    data = fetch_ptbxl(write_ptbxl(tmp_path), sampling_rate=500, **LOCAL)
    assert data.fs == 500.0 and data.data[0].fs == 500.0 and data.data[0].signal.shape == (12, 100)


def test_ptbxl_with_label_columns_instead_of_statements(write_csv: Writer, write_ptbxl: Writer, tmp_path: Path) -> None:
    write_ptbxl(tmp_path)
    (tmp_path / "scp_statements.csv").unlink()
    header = ["ecg_id", "patient_id", "strat_fold", "filename_lr", "superclass", "subclass", "rhythm", "form"]
    rows = [[i, 5, 1, f"records100/00000/{i:05d}_lr", *labels] for i, labels in ((1, ["STTC MI", "IMI", "", ""]),)]
    write_csv(tmp_path / "ptbxl_database.csv", header, rows)
    data = fetch_ptbxl(tmp_path, **LOCAL)
    np.testing.assert_array_equal(data.target, [[0, 1, 1, 0, 0]])
    assert data.subclass == [("IMI",)] and data.rhythm == [()]
    assert np.isnan(data.age).all() and data.report == [""] and data.sex.tolist() == [""]


def test_ptbxl_choices(write_ptbxl: Writer, tmp_path: Path) -> None:
    write_ptbxl(tmp_path)
    assert fetch_ptbxl(tmp_path, folds=3, **LOCAL).record_id.tolist() == [1, 2]
    assert fetch_ptbxl(tmp_path, folds=[3, 9], subset="labelled", **LOCAL).record_id.tolist() == [1, 2]
    chosen = fetch_ptbxl(tmp_path, subset=[3, 1], **LOCAL)
    assert chosen.record_id.tolist() == [3, 1] and chosen.labelled.tolist() == [False, True]
    assert chosen.data.shape == (2,)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sampling_rate": 250}, "sampling_rate.*250"),
        ({"folds": 11}, "folds.*11.*3, 9"),
        ({"folds": [3, 10]}, "folds.*10.*3, 9"),
        ({"folds": "9"}, "folds.*'9'"),
        ({"folds": []}, "folds is empty"),
        ({"subset": "all"}, "subset.*'all'"),
        ({"subset": [1, 99]}, "subset.*99.*1, 2, 3"),
        ({"subset": [1, 1]}, "more than once"),
        ({"subset": []}, "subset is empty"),
        ({"folds": 9, "subset": "labelled"}, "no record is left"),
    ],
)
def test_ptbxl_refuses_what_it_does_not_have(
    write_ptbxl: Writer, tmp_path: Path, parameters: dict[str, Any], message: str
) -> None:
    write_ptbxl(tmp_path)
    with pytest.raises(ValueError, match=message):
        fetch_ptbxl(tmp_path, **parameters, **LOCAL)


@pytest.mark.parametrize(
    "codes",
    [
        "__import__('os').getcwd()",
        "['NORM']",
        "{1: 2}",
        "{'NORM': 'yes'}",
        "{'NORM': 100.0",
        "(" * 4000,
        "{'NORM': 100.0" + " " * 5000 + "}",
    ],
    ids=["call", "list", "number", "text", "open", "deep", "long"],
)
def test_scp_codes_are_data_and_nothing_else(write_ptbxl: Writer, tmp_path: Path, codes: str) -> None:
    write_ptbxl(tmp_path, [(41, "1", "", "", 1, codes)])
    with pytest.raises(ValueError, match="scp_codes of record 41"):
        fetch_ptbxl(tmp_path, **LOCAL)


def test_unknown_scp_codes_warn(write_ptbxl: Writer, tmp_path: Path) -> None:
    write_ptbxl(tmp_path, [(1, "1", "", "", 1, "{'NORM': 0.0, 'XYZ': 0.0}")])
    with pytest.warns(UserWarning, match="XYZ") as caught:
        assert fetch_ptbxl(tmp_path, **LOCAL).labelled.all()
    assert caught[0].filename == __file__


@pytest.mark.parametrize("name", ["../00001_lr", "/etc/passwd", "..\\00001_lr", "http://127.0.0.1/00001_lr"])
def test_table_cannot_lead_out_of_the_folder(write_csv: Writer, tmp_path: Path, name: str) -> None:
    header = ["ecg_id", "patient_id", "strat_fold", "filename_lr", "superclass"]
    write_csv(tmp_path / "ptbxl_database.csv", header, [[1, 1, 1, name, "NORM"]])
    with pytest.raises(ValueError, match="not a path inside"):
        fetch_ptbxl(tmp_path, **LOCAL)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["x", 1, 1, "records100/a", "NORM"], "ecg_id"),
        ([1, 1.5, 1, "records100/a", "NORM"], "patient_id.*1.5"),
        ([1, "", 1, "records100/a", "NORM"], "patient_id"),
        ([1, 1, 1, "00000/00001_lr", "NORM FOO"], "FOO"),
    ],
)
def test_malformed_rows_are_named(
    write_record: Writer, write_csv: Writer, tmp_path: Path, row: list[Any], message: str
) -> None:
    write_record(tmp_path / "00000" / "00001_lr", LEADS, 20, 100)
    header = ["ecg_id", "patient_id", "strat_fold", "filename_lr", "superclass"]
    write_csv(tmp_path / "ptbxl_database.csv", header, [row])
    with pytest.raises(ValueError, match=message):
        fetch_ptbxl(tmp_path, **LOCAL)


def test_malformed_tables_are_named(tmp_path: Path) -> None:
    table = tmp_path / "ptbxl_database.csv"
    for content, message in ((b"ecg_id\n1\n", "lacks the columns"), (b"\xff\xfe\x00", "not a CSV file in UTF-8")):
        table.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            fetch_ptbxl(tmp_path, **LOCAL)
    table.write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="ptbxl_database.csv"):
        fetch_ptbxl(tmp_path, **LOCAL)


def test_real_ptbxl(data_dir: Path, tmp_path: Path) -> None:
    unpack = data_dir / "ptbxl" / "unpack.py"
    if not unpack.is_file():
        pytest.skip("no PTB-XL")
    command = [sys.executable, str(unpack), str(tmp_path / "ptbxl"), "--folds", "3", "--limit", "20"]
    subprocess.run(command, check=True, capture_output=True)
    for path in sorted((data_dir / "ptbxl500").glob("*_hr.*")):
        (tmp_path / "ptbxl/records500/00000").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "ptbxl/records500/00000")
    data = fetch_ptbxl(tmp_path, folds=3, **LOCAL)
    assert len(data.data) == 20 and set(data.fold) == {3} and set(np.unique(data.target)) == {0, 1}
    record = data.data[0]
    assert record.signal.shape == (12, 1000) and record.fs == 100.0 and tuple(record.leads) == LEADS
    assert 0.01 < record.signal.std() < 2
    available = {int(path.name[:5]) for path in (data_dir / "ptbxl500").glob("*_hr.dat")}
    with_500 = sorted(available & set(data.record_id.tolist()))
    fine = fetch_ptbxl(tmp_path, sampling_rate=500, subset=with_500, **LOCAL).data[0].signal
    coarse = fetch_ptbxl(tmp_path, subset=with_500, **LOCAL).data[0].signal
    assert fine.shape == (12, 5000)
    assert np.corrcoef(fine[1, ::5], coarse[1])[0, 1] > 0.9
