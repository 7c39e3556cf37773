"""Where results go: outputs that are inputs, places that cannot be written to, names of records in tables."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import WFDBFolder, make_ecg
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.files.cell_text import escape_text, unescape_text

Refusal = Callable[..., str]
WriteRecord = Callable[[Path, np.ndarray, float, Sequence[str]], None]


@pytest.fixture
def records(write_record: WriteRecord, tmp_path: Path) -> Path:
    ecg = make_ecg(3, fs=100, duration=4, leads=LEADS[:2], random_state=0)
    for i, signal in enumerate(ecg.data):
        write_record(tmp_path / "records" / f"p{i}", signal, 100, LEADS[:2])
    return tmp_path / "records"


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No record may be read."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        pytest.fail("a record was read")

    monkeypatch.setattr("beatssl_sklearn.ecg.wfdb.folder.load_record", refuse)
    monkeypatch.setattr("beatssl_sklearn.cli.folder.WFDBReader", refuse)


def state(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def commands(model: Path, wave_model: Path, records: Path) -> dict[str, list[Any]]:
    return {
        "pretrain": ["pretrain", records, "--epochs", 0, "--size", "s", "--quiet"],
        "embed": ["embed", model, records, "--quiet"],
        "delineate": ["delineate", wave_model, records, "--quiet"],
    }


@pytest.mark.usefixtures("unread")
class TestOutputsThatAreInputs:
    @pytest.mark.parametrize("link", ["itself", "symbolic", "hard"])
    def test_files_of_records(
        self, link: str, model: Path, wave_model: Path, records: Path, refusal: Refusal, tmp_path: Path
    ) -> None:
        run = commands(model, wave_model, records)
        for name in ("p0.dat", "p1.hea"):
            out = records / name
            if link != "itself":
                out = tmp_path / f"{name}.csv"
                os.symlink(records / name, out) if link == "symbolic" else os.link(records / name, out)
            before = state(tmp_path)
            text = refusal(*run["pretrain"], "--out", out)
            assert str(out) in text and "a file of the records" in text
            if link != "itself":
                assert "a file of the records" in refusal(*run["embed"], "--out", out)
            assert state(tmp_path) == before

    def test_tables_and_checkpoints_that_are_records(
        self, model: Path, wave_model: Path, records: Path, refusal: Refusal, tmp_path: Path
    ) -> None:
        run = commands(model, wave_model, records)
        (tmp_path / "out").mkdir()
        os.link(records / "p0.dat", tmp_path / "out" / "intervals.csv")
        os.link(records / "p0.dat", tmp_path / "out" / "training.checkpoint")
        before = state(tmp_path)
        assert "a file of the records" in refusal(*run["delineate"], "--out", tmp_path / "out")
        m, c = tmp_path / "m.bssl", tmp_path / "out"
        assert "--checkpoint-dir" in refusal(*run["pretrain"], "--out", m, "--checkpoint-dir", c)
        new = tmp_path / "new"
        new.mkdir()
        text = refusal(*run["pretrain"], "--out", new / "training.checkpoint", "--checkpoint-dir", new)
        assert "the checkpoint has this name" in text
        new.rmdir()
        assert "a file of the records" in refusal("demo", "--data", records, "--out", link_to(records, tmp_path))
        shutil.rmtree(tmp_path / "demo")
        assert state(tmp_path) == before

    def test_files_that_options_name(
        self, model: Path, wave_model: Path, records: Path, refusal: Refusal, tmp_path: Path
    ) -> None:
        run = commands(model, wave_model, records)
        table = tmp_path / "p.csv"
        table.write_text("record,group\n" + "".join(f"p{i},x\n" for i in range(3)))
        own = tmp_path / "own.py"
        own.write_text("")
        model_as_table = tmp_path / "model.csv"
        shutil.copy(model, model_as_table)
        before = state(tmp_path)
        assert f"this is {table}, which is read" in refusal(*run["pretrain"], "--groups", table, "--out", table)
        assert "which is read" in refusal(*run["pretrain"], "--import", own, "--out", own)
        assert "which is read" in refusal("embed", model_as_table, records, "--out", model_as_table)
        assert state(tmp_path) == before


def link_to(records: Path, tmp_path: Path) -> Path:
    (tmp_path / "demo").mkdir()
    os.symlink(records / "p0.dat", tmp_path / "demo" / "scores.json")
    return tmp_path / "demo"


def test_results_of_an_earlier_run_are_replaced(model: Path, wave_model: Path, records: Path) -> None:
    run = commands(model, wave_model, records)
    for _ in range(2):
        assert main([str(a) for a in (*run["embed"], "--out", records / "t.csv")]) == 0
        assert main([str(a) for a in (*run["pretrain"], "--out", records / "m.bssl")]) == 0
        assert main([str(a) for a in (*run["delineate"], "--out", records)]) == 0
    # A header can call its signals what it likes.
    header = records / "p0.hea"
    header.write_text(header.read_text().replace("p0.dat", "t.csv"))
    assert main([str(a) for a in (*run["embed"], "--out", records / "t.csv")]) == 2


def test_a_picture_does_not_follow_a_link(wave_model: Path, records: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    plots = tmp_path / "out" / "plots"
    plots.mkdir(parents=True)
    os.symlink(records / "p0.dat", plots / "p0.svg")
    before = state(records)
    more = ["--plot", "1", "--plot-format", "svg", "--quiet"]
    assert main(["delineate", str(wave_model), str(records), "--out", str(tmp_path / "out"), *more]) == 0
    assert state(records) == before and b"<svg" in (plots / "p0.svg").read_bytes()


@pytest.mark.usefixtures("unread")
def test_places_are_checked_before_records_are_read(
    model: Path, wave_model: Path, records: Path, refusal: Refusal, tmp_path: Path
) -> None:
    run = commands(model, wave_model, records)
    (tmp_path / "file").write_text("")
    long_name = "n" * 256
    for out, reason in (
        (tmp_path / "nowhere" / "x", "No such file"),
        (tmp_path / "file" / "x", "Not a directory"),
        (tmp_path / long_name, "File name too long"),
    ):
        for command, ending in (("pretrain", ".bssl"), ("embed", ".csv"), ("embed", ".npz")):
            path = out.with_name(out.name + ending)
            text = refusal(*run[command], "--out", path)
            assert f"--out {path}: cannot be written: {reason}" in text
    out = tmp_path / "m.bssl"
    text = refusal(*run["pretrain"], "--out", out, "--checkpoint-dir", tmp_path / "file" / "c")
    assert f"--checkpoint-dir {tmp_path / 'file' / 'c'}: {tmp_path / 'file'} is a file" in text
    assert "is a file" in refusal("demo", "--data", records, "--out", tmp_path / "file" / "d")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "records"]


@pytest.mark.usefixtures("unread")
def test_values_are_checked_before_records_are_read(
    model: Path, wave_model: Path, records: Path, refusal: Refusal, tmp_path: Path
) -> None:
    run = commands(model, wave_model, records)
    out = ["--out", tmp_path / "m.bssl"]
    assert "--seed must be" in refusal(*run["pretrain"], *out, "--seed", -1)
    assert "--seed must be" in refusal("demo", "--out", tmp_path / "d", "--data", records, "--seed", -1)
    assert "nowhere.csv" in refusal(*run["pretrain"], *out, "--groups", tmp_path / "nowhere.csv")
    broken = tmp_path / "broken.csv"
    broken.write_text("record,group\np0,a\np0,b\n")
    assert f"{broken}: record p0 has two different entries" in refusal(*run["pretrain"], *out, "--groups", broken)
    broken.unlink()
    assert "matches none" in refusal(*run["embed"], "--out", tmp_path / "t.csv", "--records", "q*")
    assert "--plot-length must be" in refusal(*run["delineate"], "--out", tmp_path / "o", "--plot-length", 0)
    nowhere = tmp_path / "no"
    assert f"{nowhere}: there is no such folder" in refusal("embed", nowhere, "--out", tmp_path / "t.csv")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["records"]


@pytest.mark.filterwarnings("ignore:.*another record name:UserWarning")
class TestNamesOfRecords:
    # An end of line, a byte that is no text, a formula, and an ordinary name.
    NAMES = (b"two\nlines", b"caf\xe9", b"=1+1", b"plain")

    @pytest.fixture
    def odd(self, records: Path, tmp_path: Path) -> Path:
        folder = tmp_path / "odd"
        folder.mkdir()
        for name in self.NAMES:
            for ending in (b".hea", b".dat"):
                shutil.copy(os.fsencode(records / "p0") + ending, os.fsencode(folder) + b"/" + name + ending)
            # The header gives the name of its signal file.
            shutil.copy(records / "p0.dat", folder / "p0.dat")
        return folder

    @pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX only")
    @pytest.mark.parametrize("ending", ["csv", "parquet", "npz"])
    def test_no_name_ends_the_rest(
        self, ending: str, model: Path, wave_model: Path, odd: Path, tmp_path: Path, capsys: Any
    ) -> None:
        if ending == "parquet":
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        expected = sorted(os.fsdecode(name) for name in self.NAMES)
        out = tmp_path / f"t.{ending}"
        assert main(["embed", str(model), str(odd), "--out", str(out), "--quiet"]) == 0
        if ending == "npz":
            with np.load(out) as arrays:
                written = arrays["record"].tolist()
        else:
            written = (pd.read_csv(out) if ending == "csv" else pd.read_parquet(out))["record"].tolist()
            more = ["--format", ending, "--intervals", "both", "--annotations", "--plot", "4", "--plot-format", "svg"]
            assert main(["delineate", str(wave_model), str(odd), "--out", str(tmp_path / "w"), "--quiet", *more]) == 0
            for name in ("waves", "intervals", "beat_intervals"):
                path = tmp_path / "w" / f"{name}.{ending}"
                table = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
                assert set(table["record"]) == set(written)
            assert len(os.listdir(tmp_path / "w" / "plots")) == 4
        assert sorted(unescape_text(text) for text in written) == expected
        assert sorted(written) == sorted(escape_text(name) for name in expected)
        assert "Traceback" not in capsys.readouterr().err

    @pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX only")
    @pytest.mark.parametrize("text_of", [escape_text, str])
    def test_a_file_can_name_them_as_they_are_and_as_tables_do(
        self, text_of: Callable[[str], str], odd: Path, tmp_path: Path
    ) -> None:
        table = tmp_path / "who.csv"
        # A byte that is no text can be in no CSV file.
        os.unlink(os.fsencode(odd) + b"/caf\xe9.hea")
        names = WFDBFolder(odd).names
        pd.DataFrame({"record": [text_of(name) for name in names], "group": "x"}).to_csv(table, index=False)
        more = ["--groups", str(table), "--epochs", "0", "--size", "s", "--quiet"]
        assert main(["pretrain", str(odd), "--out", str(tmp_path / "m.bssl"), *more]) == 0

    def test_ids(
        self, model: Path, wave_model: Path, good: Path, record_names: list[str], refusal: Refusal, tmp_path: Path
    ) -> None:
        expected = {
            "name": record_names,
            "stem": [name.rpartition("/")[2] for name in record_names],
            "path": [str(good / name) for name in record_names],
        }
        for kind, names in expected.items():
            for command, out, table in (
                (["embed", str(model)], tmp_path / "t.csv", tmp_path / "t.csv"),
                (["delineate", str(wave_model)], tmp_path / "w", tmp_path / "w" / "intervals.csv"),
            ):
                assert main([*command, str(good), "--out", str(out), "--id", kind, "--quiet"]) == 0
                assert pd.read_csv(table)["record"].tolist() == names
        twice = tmp_path / "twice"
        for folder in ("x", "y"):
            shutil.copytree(good / "sub", twice / folder)
        text = refusal("embed", model, twice, "--out", tmp_path / "t.csv", "--id", "stem")
        assert "--id stem: x/eight and y/eight would both be eight" in text

    def test_some_by_a_pattern(self, model: Path, good: Path, record_names: list[str], tmp_path: Path) -> None:
        out = tmp_path / "t.csv"
        for pattern in ("a*", "sub/*", "*o*"):
            assert main(["embed", str(model), str(good), "--out", str(out), "--records", pattern, "--quiet"]) == 0
            wanted = [name for name in record_names if Path(name).match(pattern)]
            assert pd.read_csv(out)["record"].tolist() == wanted
