"""The command `beatssl demo`, on few records: what it writes and reports, also on folders of any kind."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn import load, make_ecg, write_annotations
from beatssl_sklearn.cli import demo_records, demo_steps
from beatssl_sklearn.cli.demo_records import records_of_folder, simulated_records
from beatssl_sklearn.cli.demo_scores import cross_validated_f1
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.ecg.leads import LEADS

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

PICTURES = {"ecg_beats.png", "embedding_map.png", "history.png", "first_waves.png", "first_map.png"}
WriteRecord = Callable[[Path, np.ndarray, float, Sequence[str]], None]
FILES = {"model.bssl", "pipeline.joblib", "scores.json", "first_records.csv", *PICTURES}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_steps, "EPOCHS", (1, 1))


def write_long_records(write_record: WriteRecord, folder: Path, n: int = 4, duration: float = 62.0) -> None:
    """Write two-lead records with beat annotations, as MIT-BIH has them."""
    ecg = make_ecg(n, rhythm="pvc", fs=128, duration=duration, leads=("II", "V1"), random_state=2)
    for i in range(n):
        write_record(folder / str(200 + i), ecg.data[i], 128, ("MLII", "V1"))
        symbols = ["+", *ecg.beat_types[i].tolist()]
        write_annotations(folder / str(200 + i), "atr", [0, *ecg.rpeaks[i].tolist()], symbols, fs=128)


def test_on_simulated_ecgs(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_records, "N_SIMULATED", 96)
    assert main(["demo", "--out", str(tmp_path / "out"), "--seed", "1"]) == 0
    stdout, stderr = capsys.readouterr()
    assert {file.name for file in (tmp_path / "out").iterdir()} == FILES
    assert all((tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG") for name in PICTURES)
    # Bars are for terminals.
    assert stderr == ""
    for text in (*(f"[{k}/6]" for k in range(1, 7)), "records by rhythm: 8 classes, n = 96", "beats by type: "):
        assert text in stdout
    assert "same, bit for bit" in stdout and str(tmp_path / "out") in stdout and "Done in" in stdout
    assert "No labels" not in stdout

    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["records"] == 96 and scores["epochs"] == 1
    for level in ("records", "beats"):
        assert set(scores["macro_f1"][level]) == {"pretrained", "shipped", "not_trained"}
        assert all(0.3 < np.mean(f1) <= 1 for f1 in scores["macro_f1"][level].values())
        assert scores["macro_f1"][level]["pretrained"] != scores["macro_f1"][level]["not_trained"]

    first = pd.read_csv(tmp_path / "out" / "first_records.csv")
    ecgs = simulated_records(1, 96)
    assert first["rhythm"].tolist() == ecgs.classes[:12].tolist()
    # Beats whose window leaves the record have no label.
    assert (first[["N", "S", "V", "F"]].sum(axis=1) <= [len(own) for own in ecgs.rpeaks or []][:12]).all()
    assert first["heart_rate"].between(30, 200).all()
    assert len(load(tmp_path / "out" / "model.bssl").transform(ecgs.records)) == 96
    predicted = joblib.load(tmp_path / "out" / "pipeline.joblib").predict(ecgs.records)
    assert np.mean(predicted == ecgs.classes) > 0.5


def test_on_a_folder_without_labels(
    quick: None, write_record: WriteRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ecg = make_ecg(12, rhythm=["sinus", "pvc"], fs=100, random_state=0)
    for i, signal in enumerate(ecg.data):
        write_record(tmp_path / "ecgs" / f"r{i}", signal, 100, LEADS)
    write_record(tmp_path / "ecgs" / "cut", ecg.data[0], 100, LEADS)
    (tmp_path / "ecgs" / "cut.dat").write_bytes(b"\0" * 10)
    write_record(tmp_path / "ecgs" / "flat", 0 * ecg.data[0], 100, LEADS)
    write_record(tmp_path / "ecgs" / "short", ecg.data[0, :, :150], 100, LEADS)
    assert main(["demo", "--out", str(tmp_path / "out"), "--data", str(tmp_path / "ecgs")]) == 0
    stdout = capsys.readouterr().out
    assert {file.name for file in (tmp_path / "out").iterdir()} == FILES
    assert "12 records of 12 patients" in stdout
    for text in ("skipped cut: ", "skipped flat: ", "skipped short: it lasts 1.5 s"):
        assert stdout.count(text) == 1
    assert "No labels of records found: thirds of the heart rate" in stdout
    assert "No labels of beats found: types by rules" in stdout
    assert "records by heart rate: 3 classes, n = 12" in stdout


def test_on_long_records_with_annotations(
    quick: None, write_record: WriteRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_long_records(write_record, tmp_path / "ecgs")
    assert main(["demo", "--out", str(tmp_path / "out"), "--data", str(tmp_path / "ecgs")]) == 0
    stdout = capsys.readouterr().out
    assert "4 records of 3 patients" in stdout and "as 24 excerpts of 10 s" in stdout  # 201 and 202 are one person
    assert "No labels of beats" not in stdout and "beats by type: 2 classes" in stdout


def test_excerpts_keep_labels_aligned(write_record: WriteRecord, tmp_path: Path) -> None:
    write_long_records(write_record, tmp_path, n=2)
    ecg = make_ecg(2, rhythm="pvc", fs=128, duration=62.0, leads=("II", "V1"), random_state=2)
    found = records_of_folder(tmp_path, 0, lambda text: None)
    assert len(found.records) == 12 and found.rpeaks is not None and found.beat_labels is not None
    for name, record, peaks, labels in zip(found.names, found.records, found.rpeaks, found.beat_labels, strict=True):
        number, start = name.split(" from ")
        i, first = int(number) - 200, round(float(start.removesuffix(" s")) * 128)
        written, read = np.rint(1000 * ecg.data[i]), np.rint(1000 * record.signal)
        near = range(max(0, first - 64), first + 65)
        (a,) = [a for a in near if np.array_equal(written[:, a : a + 1280], read)]
        inside = (ecg.rpeaks[i] >= a) & (ecg.rpeaks[i] < a + 1280)
        assert peaks.tolist() == (ecg.rpeaks[i][inside] - a).tolist()
        assert labels.tolist() == ecg.beat_types[i][inside].tolist()
        assert record.signal.shape == (2, 1280)


def test_too_few_records(write_record: WriteRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i, signal in enumerate(make_ecg(7, fs=100, random_state=0).data):
        write_record(tmp_path / "ecgs" / f"r{i}", signal, 100, LEADS)
    assert main(["demo", "--out", str(tmp_path / "out"), "--data", str(tmp_path / "ecgs")]) == 2
    assert "7 records can be used; the demonstration needs 8" in capsys.readouterr().err
    assert main(["demo", "--out", str(tmp_path / "out"), "--data", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_only_some_of_many_records(
    write_record: WriteRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i, signal in enumerate(make_ecg(14, fs=100, random_state=0).data):
        write_record(tmp_path / f"r{i}", signal, 100, LEADS)
    monkeypatch.setattr(demo_records, "MAX_RECORDS", 9)
    said: list[str] = []
    first, again, other = (records_of_folder(tmp_path, seed, said.append).names for seed in (0, 0, 1))
    assert len(first) == 9 and first == again != other
    assert "9 of 14 records, drawn at random, are used" in said[0]


def write_ptbxl(write_record: WriteRecord, folder: Path, n: int = 10) -> None:
    ecg = make_ecg(n, rhythm=["sinus", "lbbb"], fs=100, records_per_patient=2, random_state=0)
    header = ["ecg_id", "patient_id", "age", "sex", "report", "strat_fold", "filename_lr", "superclass"]
    with open(folder / "ptbxl_database.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        for i in range(n + 3):  # the last three were never downloaded
            name = f"records100/00000/{i + 1:05d}_lr"
            label = "NORM" if i >= n or ecg.rhythm[i] == "sinus" else "CD HYP"
            writer.writerow([i + 1, i // 2 + 1, 50, 0, "", i % 10 + 1, name, label])
            if i < n:
                write_record(folder / name, ecg.data[i], 100, LEADS)


def test_labels_of_ptbxl_also_from_a_part_of_it(write_record: WriteRecord, tmp_path: Path) -> None:
    write_ptbxl(write_record, tmp_path)
    (tmp_path / "records100/00000/00004_lr.dat").write_bytes(b"\0" * 10)
    said: list[str] = []
    found = records_of_folder(tmp_path, 0, said.append)
    assert len(found.records) == 9 and found.class_name == "first diagnostic superclass"
    assert set(found.classes.tolist()) == {"NORM", "CD"}
    assert len(set(found.patients.tolist())) == 5
    assert any("skipped 00004_lr" in line for line in said)


def test_a_table_that_cannot_be_used(write_record: WriteRecord, tmp_path: Path) -> None:
    write_ptbxl(write_record, tmp_path)
    (tmp_path / "ptbxl_database.csv").write_text("nothing\n1\n")
    said: list[str] = []
    found = records_of_folder(tmp_path, 0, said.append)
    assert len(found.records) == 10 and len(found.classes) == 0
    assert any("without the labels of ptbxl_database.csv" in line for line in said)


def test_labels_of_ludb(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_records, "MAX_RECORDS", 20)
    found = records_of_folder(data_dir / "ludb", 0, lambda text: None)
    assert len(found.records) == 20 and found.class_name == "rhythm"
    assert "Sinus rhythm" in found.classes.tolist() and found.rpeaks is None


def test_without_matplotlib(quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr(demo_records, "N_SIMULATED", 16)
    said: list[str] = []
    demo_steps.run_demo(tmp_path, None, 0, said.append)
    assert any("beatssl-sklearn[plot]" in line for line in said)
    assert {file.name for file in tmp_path.iterdir()} == FILES - PICTURES


class TestScores:
    patients = np.repeat(np.arange(20), 2).astype(str)
    labels = [np.array([name]) for name in np.where(np.arange(40) // 2 % 2 == 0, "a", "b")]

    def test_classes_that_can_be_separated(self) -> None:
        rng = np.random.default_rng(0)
        Z = [rng.normal(1.0 if own[0] == "a" else -1.0, 0.01, (1, 2)) for own in self.labels]
        scores = cross_validated_f1(Z, self.labels, self.patients, 0)
        assert scores.f1 == [1.0] * 5 and scores.n == 40
        assert [own[0] for own in scores.predicted] == [own[0] for own in self.labels]
        assert str(scores) == "1.000 +- 0.000"

    def test_patients_are_never_on_both_sides(self) -> None:
        """A sign of each patient gives away the class of records of known patients only."""
        rng = np.random.default_rng(1)
        label = {patient: name for patient, name in zip(self.patients, rng.permutation(["a", "b"] * 20), strict=True)}
        labels = [np.array([label[p]]) for p in self.patients]
        Z = [np.eye(20)[[int(p)]] for p in self.patients]
        assert np.mean(cross_validated_f1(Z, labels, self.patients, 0).f1) < 0.7

    def test_rare_and_unknown_classes_are_left_out(self) -> None:
        labels = [*self.labels[:-2], np.array(["rare"]), np.array([""])]
        rng = np.random.default_rng(0)
        Z = [rng.normal(size=(1, 3)) for _ in labels]
        scores = cross_validated_f1(Z, labels, self.patients, 0)
        assert scores.classes == ["a", "b"] and scores.n == 38

    def test_nothing_to_score(self) -> None:
        labels = [np.array(["a"])] * 40
        scores = cross_validated_f1([np.zeros((1, 2))] * 40, labels, self.patients, 0)
        assert scores.classes == [] and scores.f1 == []
