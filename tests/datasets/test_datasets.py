"""Loaders of the public sets: layouts, labels, masks, errors, and downloads from a server on this machine."""

from __future__ import annotations

import csv
import hashlib
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn.datasets import DS1, DS2, fetch_ludb, fetch_mitdb, fetch_ptbxl, ludb_masks, ludb_waves
from beatssl_sklearn.ecg.leads import LEADS

LOCAL: dict[str, Any] = {"download_if_missing": False}


def write_record(path: Path, leads: Sequence[str], n_times: int, fs: int) -> None:
    """Write a format 16 record whose sample t of lead k is (k + t) / 1000 mV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    signal = (np.arange(len(leads))[:, None] + np.arange(n_times)).astype("<i2")
    signal.T.tofile(path.with_suffix(".dat"))
    lines = [f"{path.name} {len(leads)} {fs} {n_times}"]
    for lead, x in zip(leads, signal, strict=True):
        checksum = (int(x.astype(np.int64).sum()) + 32768) % 65536 - 32768
        lines.append(f"{path.name}.dat 16 1000(0)/mV 16 0 {x[0]} {checksum} 0 {lead}")
    path.with_suffix(".hea").write_text("\n".join(lines) + "\n")


def write_marks(path: Path, extension: str, samples: Sequence[int], symbols: Sequence[str], fs: int) -> None:
    import wfdb

    # wfdb writes no extension with a digit in it, as LUDB's v1 to v6
    wfdb.wrann(path.name, "tmp", np.array(samples), list(symbols), fs=fs, write_dir=str(path.parent))
    path.with_name(f"{path.name}.tmp").rename(path.with_name(f"{path.name}.{extension}"))


# ---- PTB-XL ----------------------------------------------------------------------------------------------------------

PUBLISHED_ROWS = [
    # ecg_id, patient, age, sex, fold, scp_codes
    (1, "15709.0", "56.0", "1", 3, "{'NORM': 100.0, 'LVOLT': 0.0, 'SR': 0.0}"),
    (2, "15709.0", "300.0", "0", 3, "{'IMI': 35.0, 'NST_': 100.0, 'ABQRS': 0.0}"),
    (3, "7.0", "", "0", 9, "{'AFLT': 100.0}"),
]
STATEMENTS = [
    # code, diagnostic, form, rhythm, diagnostic_class, diagnostic_subclass
    ("NORM", "1.0", "", "", "NORM", "NORM"),
    ("IMI", "1.0", "", "", "MI", "IMI"),
    ("NST_", "1.0", "1.0", "", "STTC", "NST_"),
    ("LVOLT", "", "1.0", "", "", ""),
    ("ABQRS", "", "1.0", "", "", ""),
    ("SR", "", "", "1.0", "", ""),
    ("AFLT", "", "", "1.0", "", ""),
]


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])


def write_ptbxl(folder: Path, rows: Sequence[tuple[Any, ...]] = PUBLISHED_ROWS) -> Path:
    """Write the table as published, with SCP codes only, and records of 20 samples."""
    folder.mkdir(parents=True, exist_ok=True)
    header = ["ecg_id", "patient_id", "age", "sex", "report", "scp_codes", "strat_fold", "filename_lr", "filename_hr"]
    table = []
    for number, patient, age, sex, fold, codes in rows:
        names = [f"records{fs}/00000/{number:05d}_{suffix}" for fs, suffix in ((100, "lr"), (500, "hr"))]
        table.append([number, patient, age, sex, "sinusrhythmus, überleitung", codes, fold, *names])
        for name, fs in zip(names, (100, 500), strict=True):
            write_record(folder / name, LEADS, fs // 5, fs)
    write_csv(folder / "ptbxl_database.csv", header, table)
    columns = ["", "diagnostic", "form", "rhythm", "diagnostic_class", "diagnostic_subclass"]
    write_csv(folder / "scp_statements.csv", columns, STATEMENTS)
    return folder


def test_ptbxl_as_published(tmp_path: Path) -> None:
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


def test_ptbxl_500(tmp_path: Path) -> None:
    data = fetch_ptbxl(write_ptbxl(tmp_path), sampling_rate=500, **LOCAL)
    assert data.fs == 500.0 and data.data[0].fs == 500.0 and data.data[0].signal.shape == (12, 100)


def test_ptbxl_with_label_columns_instead_of_statements(tmp_path: Path) -> None:
    write_ptbxl(tmp_path)
    (tmp_path / "scp_statements.csv").unlink()
    header = ["ecg_id", "patient_id", "strat_fold", "filename_lr", "superclass", "subclass", "rhythm", "form"]
    rows = [[i, 5, 1, f"records100/00000/{i:05d}_lr", *labels] for i, labels in ((1, ["STTC MI", "IMI", "", ""]),)]
    write_csv(tmp_path / "ptbxl_database.csv", header, rows)
    data = fetch_ptbxl(tmp_path, **LOCAL)
    np.testing.assert_array_equal(data.target, [[0, 1, 1, 0, 0]])
    assert data.subclass == [("IMI",)] and data.rhythm == [()]
    assert np.isnan(data.age).all() and data.report == [""] and data.sex.tolist() == [""]


def test_ptbxl_choices(tmp_path: Path) -> None:
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
def test_ptbxl_refuses_what_it_does_not_have(tmp_path: Path, parameters: dict[str, Any], message: str) -> None:
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
def test_scp_codes_are_data_and_nothing_else(tmp_path: Path, codes: str) -> None:
    write_ptbxl(tmp_path, [(41, "1", "", "", 1, codes)])
    with pytest.raises(ValueError, match="scp_codes of record 41"):
        fetch_ptbxl(tmp_path, **LOCAL)


def test_unknown_scp_codes_warn(tmp_path: Path) -> None:
    write_ptbxl(tmp_path, [(1, "1", "", "", 1, "{'NORM': 0.0, 'XYZ': 0.0}")])
    with pytest.warns(UserWarning, match="XYZ"):
        assert fetch_ptbxl(tmp_path, **LOCAL).labelled.all()


@pytest.mark.parametrize("name", ["../00001_lr", "/etc/passwd", "..\\00001_lr", "http://127.0.0.1/00001_lr"])
def test_table_cannot_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
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
def test_malformed_rows_are_named(tmp_path: Path, row: list[Any], message: str) -> None:
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


# ---- folders ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fetch", "expected"),
    [(fetch_ptbxl, "ptbxl_database.csv"), (fetch_ludb, "ludb.csv"), (fetch_mitdb, "100.hea")],
)
def test_missing_folder_tells_what_was_expected(tmp_path: Path, fetch: Any, expected: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"(?s)nowhere.*{expected}.*physionet.org"):
        fetch(tmp_path / "nowhere", **LOCAL)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="data_home"):
        fetch(tmp_path / "file", **LOCAL)


def test_data_home_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ptbxl(tmp_path / "ptbxl")
    monkeypatch.setenv("BEATSSL_DATA_HOME", str(tmp_path))
    assert len(fetch_ptbxl(**LOCAL).data) == 3
    monkeypatch.delenv("BEATSSL_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(FileNotFoundError, match="beatssl_sklearn"):
        fetch_ptbxl(**LOCAL)


@pytest.mark.parametrize("cut", ["absent", "empty", "half", "no header"])
def test_partial_copies_are_not_taken_for_whole(tmp_path: Path, cut: str) -> None:
    write_ptbxl(tmp_path)
    dat = tmp_path / "records100/00000/00002_lr.dat"
    if cut == "absent":
        dat.unlink()
    elif cut == "no header":
        dat.with_suffix(".hea").unlink()
    else:
        dat.write_bytes(dat.read_bytes()[: 0 if cut == "empty" else 240])
    with pytest.raises(FileNotFoundError, match="1 of 6 files.*missing or cut short.*00002_lr"):
        fetch_ptbxl(tmp_path, **LOCAL)
    assert len(fetch_ptbxl(tmp_path, subset=[1, 3], **LOCAL).data) == 2


def test_import_is_light() -> None:
    code = "import sys, beatssl_sklearn.datasets as d; print(sorted({'wfdb', 'requests'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


# ---- LUDB ------------------------------------------------------------------------------------------------------------

MARKS = [(20, "("), (25, "p"), (30, ")"), (40, "("), (50, "N"), (60, ")"), (70, "("), (80, "t"), (90, ")")]
LATE_ONSET = [(50, "N"), (52, "("), (60, ")"), (70, "("), (80, "t"), (90, ")")]
NO_ONSET = [(20, "("), (25, "p"), (30, ")"), (50, "N"), (60, ")")]
NO_OFFSET = [(20, "("), (25, "p"), (40, "("), (50, "N"), (60, ")")]


def write_ludb(folder: Path, records: Sequence[int] = (1, 8), **marks: list[tuple[int, str]]) -> Path:
    for number in records:
        write_record(folder / f"data/{number}", [lead.lower() for lead in LEADS], 120, 500)
        for lead in LEADS:
            samples, symbols = zip(*marks.get(lead, MARKS), strict=True)
            write_marks(folder / f"data/{number}", lead.lower(), samples, symbols, 500)
    (folder / "RECORDS").write_text("".join(f"data/{i}\n" for i in records))
    rows = [
        [1, "F\n", "51\n", "Sinus bradycardia", "Left ventricular overload\nLeft ventricular hypertrophy"],
        [8, "M\n", ">89\n", "Atrial fibrillation", ""],
    ]
    write_csv(folder / "ludb.csv", ["ID", "Sex", "Age", "Rhythms", "Hypertrophies"], rows)
    return folder


def test_ludb(tmp_path: Path) -> None:
    data = fetch_ludb(write_ludb(tmp_path / "ludb").parent, **LOCAL)
    assert data.record_id.tolist() == data.patient_id.tolist() == [1, 8]
    assert data.fs == 500.0 and data.leads == LEADS and data.target_names == ("background", "P", "QRS", "T")
    assert data.data.shape == (2,) and data.data[1].signal.shape == (12, 120)
    assert [peaks.tolist() for peaks in data.rpeaks] == [[50], [50]] and data.rpeaks[0].dtype == np.int64
    assert data.age.tolist() == [51.0, 90.0] and data.sex.tolist() == ["F", "M"]
    assert data.diagnoses == {
        "Rhythms": [("Sinus bradycardia",), ("Atrial fibrillation",)],
        "Hypertrophies": [("Left ventricular overload", "Left ventricular hypertrophy"), ()],
    }
    np.testing.assert_array_equal(data.waves[0]["V1"]["QRS"], [[40, 50, 60]])
    assert fetch_ludb(tmp_path, records=["8"], **LOCAL).age.tolist() == [90.0]


def test_ludb_masks(tmp_path: Path) -> None:
    write_ludb(tmp_path, V1=LATE_ONSET, V2=NO_ONSET, V3=NO_OFFSET, V4=[(50, "N")])
    masks = ludb_masks(tmp_path / "data/1")
    assert masks.shape == (12, 120) and masks.dtype == np.int8
    expected = np.full(120, -1)
    expected[20:91] = 0
    expected[20:31], expected[40:61], expected[70:91] = 1, 2, 3
    np.testing.assert_array_equal(masks[1], expected)

    waves = ludb_waves(tmp_path / "data/1")
    np.testing.assert_array_equal(waves["V1"]["QRS"], [[50, 50, 60]])
    assert masks[6, 49] == -1 and masks[6, 50] == 2
    np.testing.assert_array_equal(waves["V2"]["QRS"], [[-1, 50, 60]])
    assert masks[7, 30] == 1 and (masks[7, 31:50] == -1).all() and masks[7, 50] == 2
    np.testing.assert_array_equal(waves["V3"]["P"], [[20, 25, -1]])
    np.testing.assert_array_equal(waves["V3"]["QRS"], [[40, 50, 60]])
    assert (masks[8, 20:26] == 1).all() and (masks[8, 26:40] == -1).all() and masks[8, 40] == 2
    assert np.flatnonzero(masks[9] >= 0).tolist() == [50] and not len(waves["V4"]["T"])


def test_ludb_masks_are_an_array_that_is_read_late(tmp_path: Path) -> None:
    data = fetch_ludb(write_ludb(tmp_path), **LOCAL)
    masks = pickle.loads(pickle.dumps(data.masks))
    eager = fetch_ludb(tmp_path, lazy=False, **LOCAL)
    assert isinstance(eager.masks, np.ndarray) and isinstance(eager.data, np.ndarray)
    assert masks.shape == eager.masks.shape == eager.data.shape == (2, 12, 120)
    assert eager.data.dtype == np.float32 and eager.target is eager.masks
    np.testing.assert_array_equal(np.asarray(masks), eager.masks)
    for key in (1, -1, slice(0, 1), [1, 0], np.array([True, False]), (0, 3), (slice(None), 2, slice(5)), (..., 0), []):
        np.testing.assert_array_equal(masks[key], eager.masks[key])
    assert [mask.shape for mask in masks] == [(12, 120)] * 2
    with pytest.raises(IndexError):
        masks[2]
    later = data.waves[[1]]
    assert len(later) == 1 and later[0]["I"]["P"].tolist() == [[20, 25, 30]] and len(list(data.waves)) == 2


def test_ludb_errors(tmp_path: Path) -> None:
    write_ludb(tmp_path)
    with pytest.raises(ValueError, match="records has the unknown record 201"):
        fetch_ludb(tmp_path, records=[201], **LOCAL)
    with pytest.raises(FileNotFoundError, match="14 of 15 files.*data/2.hea"):
        fetch_ludb(tmp_path, records=[2], **LOCAL)
    (tmp_path / "data/8.v6").unlink()
    with pytest.raises(FileNotFoundError, match="1 of 29 files.*data/8.v6"):
        fetch_ludb(tmp_path, **LOCAL)
    (tmp_path / "RECORDS").write_text("../data/1\n")
    with pytest.raises(ValueError, match="not a path inside"):
        fetch_ludb(tmp_path, **LOCAL)
    (tmp_path / "RECORDS").write_text("data/one\n")
    with pytest.raises(ValueError, match="data/one"):
        fetch_ludb(tmp_path, **LOCAL)


def test_without_a_list_of_records_the_published_one_is_expected(tmp_path: Path) -> None:
    write_ludb(tmp_path / "ludb")
    (tmp_path / "ludb" / "RECORDS").unlink()
    with pytest.raises(FileNotFoundError, match="2772 of 2801 files.*data/2.hea"):
        fetch_ludb(tmp_path, **LOCAL)
    write_mitdb(tmp_path / "mitdb")
    (tmp_path / "mitdb" / "RECORDS").unlink()
    with pytest.raises(FileNotFoundError, match="138 of 144 files.*100.hea"):
        fetch_mitdb(tmp_path, **LOCAL)


# ---- MIT-BIH ---------------------------------------------------------------------------------------------------------


def write_mitdb(folder: Path, records: dict[int, tuple[str, str]] | None = None) -> Path:
    records = records or {114: ("V5", "MLII"), 202: ("MLII", "V1")}
    symbols = ["+", "N", "L", "A", "V", "F", "/", "Q", "~", "|", "!", "e"]
    for number, leads in records.items():
        write_record(folder / str(number), leads, 600, 360)
        write_marks(folder / str(number), "atr", 10 + 40 * np.arange(len(symbols)), symbols, 360)
    (folder / "RECORDS").write_text("".join(f"{number}\n" for number in records))
    return folder


def test_mitdb(tmp_path: Path) -> None:
    data = fetch_mitdb(write_mitdb(tmp_path), **LOCAL)
    assert data.record_id.tolist() == [114, 202] and data.patient_id.tolist() == [114, 201]
    assert data.leads == [("II", "V5"), ("II", "V1")] == [record.leads for record in data.data] and data.fs == 360.0
    np.testing.assert_allclose(data.data[0].signal[:, 0], [0.001, 0.0])  # V5 comes first in the file
    assert data.target_names == ("N", "S", "V", "F", "Q") and data.target is data.beat_labels
    assert "".join(data.beat_labels[0]) == "NNSVFQQN" and "".join(data.beat_symbols[0]) == "NLAVF/Qe"
    assert data.rpeaks[0].tolist() == [50, 90, 130, 170, 210, 250, 290, 450] and data.rpeaks[0].dtype == np.int64
    assert data.data.shape == (2,) and data.data[0].signal.shape == (2, 600)
    assert fetch_mitdb(tmp_path, records=[202], **LOCAL).record_id.tolist() == [202]


def test_mitdb_sets_of_de_chazal() -> None:
    assert len(DS1) == len(DS2) == 22 and not set(DS1) & set(DS2)
    assert not {102, 104, 107, 217} & {*DS1, *DS2}


@pytest.mark.parametrize(("records", "message"), [("DS3", "DS3"), ([100, 110], "110.*100, 101"), ([], "empty")])
def test_mitdb_refuses_unknown_records(tmp_path: Path, records: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fetch_mitdb(write_mitdb(tmp_path), records=records, **LOCAL)


def test_mitdb_records_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="63 of 66 files.*101.hea"):
        fetch_mitdb(write_mitdb(tmp_path), records="DS1", **LOCAL)


# ---- downloads -------------------------------------------------------------------------------------------------------


class Site:
    """A server in the layout of PhysioNet's, with faults."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: dict[str, str] = {}
        self.asked: list[str] = []
        site = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                site.asked.append(name)
                fault = site.faults.get(name)
                content = (root / self.path.lstrip("/")).read_bytes() if fault else b""
                if fault == "error":
                    self.send_error(503)
                elif fault:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content[::-1] if fault == "corrupt" else content[: len(content) // 2])
                    self.close_connection = True
                else:
                    super().do_GET()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def publish(self, project: str) -> Path:
        """Write the checksums of a project whose files are in place."""
        folder = self.root / project
        lines = [
            f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.relative_to(folder).as_posix()}\n"
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
        (folder / "SHA256SUMS.txt").write_text("".join(lines))
        return folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    from wfdb.io import download

    site = Site(tmp_path / "site")
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(download.config, "db_index_url", site.url)
    yield site
    site.server.shutdown()
    thread.join()
    site.server.server_close()


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_download_of_a_whole_set(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_ludb(site.root / "ludb/1.0.1", records=(1, 8, 9))
    source = site.publish("ludb/1.0.1")
    data = fetch_ludb(tmp_path / "home", records=[1, 8])
    assert data.record_id.tolist() == [1, 8] and data.age.tolist() == [51.0, 90.0]
    target = tmp_path / "home/ludb"
    assert files_in(target) == {
        "SHA256SUMS.txt", "ludb.csv",
        *(f"data/{i}.{e}" for i in (1, 8) for e in ("hea", "dat", *(lead.lower() for lead in LEADS))),
    }  # fmt: skip
    assert all((target / name).read_bytes() == (source / name).read_bytes() for name in files_in(target))
    site.asked.clear()
    fetch_ludb(tmp_path / "home", records=[8])
    assert site.asked == []
    assert capsys.readouterr() == ("", "")


def test_download_of_the_records_asked_for(site: Site, tmp_path: Path) -> None:
    write_ptbxl(site.root / "ptb-xl/1.0.3")
    site.publish("ptb-xl/1.0.3")
    data = fetch_ptbxl(tmp_path / "home", folds=9)
    assert data.data[0].signal.shape == (12, 20)
    tables = {"SHA256SUMS.txt", "ptbxl_database.csv", "scp_statements.csv"}
    records = {"records100/00000/00003_lr.hea", "records100/00000/00003_lr.dat"}
    assert files_in(tmp_path / "home/ptbxl") == tables | records
    assert len(fetch_ptbxl(tmp_path / "home").data) == 3


@pytest.mark.parametrize("fault", ["error", "corrupt", "cut"])
def test_interrupted_download_is_no_set_and_goes_on_later(site: Site, tmp_path: Path, fault: str) -> None:
    write_mitdb(site.root / "mitdb/1.0.0")
    site.publish("mitdb/1.0.0")
    site.faults["202.dat"] = fault
    with pytest.raises(OSError, match="download of mitdb/1.0.0 failed.*files are still missing"):
        fetch_mitdb(tmp_path / "home", records=[114, 202])
    there = files_in(tmp_path / "home")
    assert "mitdb/202.dat" not in there and not any(name.endswith(".part") for name in there)
    with pytest.raises(FileNotFoundError, match="202"):
        fetch_mitdb(tmp_path / "home", records=[114, 202], **LOCAL)
    site.faults.clear()
    site.asked.clear()
    assert fetch_mitdb(tmp_path / "home", records=[114, 202]).record_id.tolist() == [114, 202]
    assert "202.dat" in site.asked and "114.dat" not in site.asked


def test_download_mends_a_file_cut_short(site: Site, tmp_path: Path) -> None:
    write_mitdb(site.root / "mitdb/1.0.0")
    source = site.publish("mitdb/1.0.0")
    shutil.copytree(source, tmp_path / "home")
    (tmp_path / "home/114.dat").write_bytes((source / "114.dat").read_bytes()[:100])
    fetch_mitdb(tmp_path / "home")
    assert (tmp_path / "home/114.dat").read_bytes() == (source / "114.dat").read_bytes()
    assert site.asked == ["SHA256SUMS.txt", "114.dat"]


def test_download_of_an_unlisted_file_fails(site: Site, tmp_path: Path) -> None:
    write_mitdb(site.root / "mitdb/1.0.0")
    site.publish("mitdb/1.0.0")
    with pytest.raises(OSError, match="does not list 100.hea"):
        fetch_mitdb(tmp_path / "home", records=[100])


def test_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wfdb.io import download

    monkeypatch.setattr(download.config, "db_index_url", "http://127.0.0.1:9/")
    with pytest.raises(OSError, match=r"(?s)download of ptb-xl/1.0.3 failed.*publisher's layout") as caught:
        fetch_ptbxl(tmp_path)
    assert isinstance(caught.value.__cause__, OSError)
    assert files_in(tmp_path) == set()


# ---- real records ----------------------------------------------------------------------------------------------------


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


def test_real_ludb(data_dir: Path) -> None:
    if not (data_dir / "ludb").is_dir():
        pytest.skip("no LUDB")
    data = fetch_ludb(data_dir, **LOCAL)
    assert data.masks.shape == (len(data.data), 12, 5000)
    assert set(data.diagnoses["Rhythms"][0]) and set(data.sex) == {"F", "M"} and np.isfinite(data.age).all()
    assert all(len(peaks) >= 3 and (np.diff(peaks) > 0).all() for peaks in data.rpeaks)
    seven = data.record_id.tolist().index(7)  # onsets of V1 to V3 are missing or come after the peak
    for i in (0, seven, len(data.data) - 1):
        masks = data.masks[i]
        assert set(np.unique(masks)) == {-1, 0, 1, 2, 3}
        assert (masks[1, data.rpeaks[i]] == 2).all()
        assert (masks[:, :100] == -1).all() and (masks[:, -100:] == -1).all()
        for wave in data.waves[i]["V1"].values():
            assert (wave[:, 1] <= wave[:, 2]).all() and (wave[:, 0] <= wave[:, 1]).all()
    assert (data.waves[seven]["V1"]["QRS"][:, 0] == -1).sum() == 5


def test_real_mitdb(data_dir: Path) -> None:
    if not (data_dir / "mitdb").is_dir():
        pytest.skip("no MIT-BIH")
    data = fetch_mitdb(data_dir / "mitdb", records="DS1", **LOCAL)
    assert data.record_id.tolist() == list(DS1)
    assert data.leads[data.record_id.tolist().index(114)] == ("II", "V5")
    counts = {name: sum((labels == name).sum() for labels in data.beat_labels) for name in data.target_names}
    assert counts == {"N": 45866, "S": 944, "V": 3788, "F": 415, "Q": 8}
    record = data.data[0]
    assert record.fs == 360.0 and record.signal.shape == (2, 650000)
    assert np.median(np.abs(record.signal[0, data.rpeaks[0]])) > 0.5
