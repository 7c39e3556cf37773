"""Folders of small records, good and bad ones, and models that were trained from the command line or for it."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn import WaveSegmenter, make_ecg, save
from beatssl_sklearn.cli.main import main
from beatssl_sklearn.ecg.leads import LEADS

# Any rate, any leads, one record longer than a window.
RECORDS = {
    "a1": (500, LEADS, 10),
    "a2": (500, LEADS, 10),
    "holter": (128, ("II", "V1"), 40),
    "one_lead": (250, ("I",), 10),
    "sub/eight": (100, ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"), 8),
}
WriteRecord = Callable[[Path, np.ndarray, float, Sequence[str]], None]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`beatssl demo` sets this variable unless it is set, and other tests start processes."""
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))


@pytest.fixture(scope="session")
def write_record() -> WriteRecord:
    """Writes a record of format 16 with 1,000 adu/mV; NaN becomes the value that means missing."""

    def write(path: Path, signal: np.ndarray, fs: float, leads: Sequence[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        digital = np.where(np.isnan(signal), -32768, np.rint(1000 * np.nan_to_num(signal))).astype("<i2")
        digital.T.tofile(path.with_name(path.name + ".dat"))
        lines = [f"{path.name} {len(leads)} {fs} {signal.shape[1]}"]
        for lead, x in zip(leads, digital, strict=True):
            checksum = (int(x.astype(np.int64).sum()) + 32768) % 65536 - 32768
            lines.append(f"{path.name}.dat 16 1000(0)/mV 16 0 {x[0]} {checksum} 0 {lead}")
        path.with_name(path.name + ".hea").write_text("\n".join(lines) + "\n")

    return write


@pytest.fixture(scope="session")
def record_names() -> list[str]:
    """Names of the good records, in the order of the folder."""
    return list(RECORDS)


@pytest.fixture(scope="session")
def bad_names() -> tuple[str, ...]:
    """Names of the records in `mixed` that cannot be used."""
    return ("a0_short_file", "a3_header", "b_gap", "c_lead")


def write_good(folder: Path, write_record: WriteRecord) -> Path:
    for i, (name, (fs, leads, duration)) in enumerate(RECORDS.items()):
        ecg = make_ecg(1, rhythm="pvc", fs=fs, duration=duration, leads=leads, random_state=i)
        write_record(folder / name, ecg.data[0], fs, leads)
    return folder


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory, write_record: WriteRecord) -> Path:
    """Folder of good records."""
    return write_good(tmp_path_factory.mktemp("good"), write_record)


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory, write_record: WriteRecord) -> Path:
    """The same records among bad ones."""
    folder = write_good(tmp_path_factory.mktemp("mixed"), write_record)
    signal = make_ecg(1, random_state=9).data[0]
    write_record(folder / "a0_short_file", signal, 500, LEADS)
    data = (folder / "a0_short_file.dat").read_bytes()
    (folder / "a0_short_file.dat").write_bytes(data[: len(data) // 2])
    (folder / "a3_header.hea").write_text("this is no header\n")
    signal[3, 100:120] = np.nan
    write_record(folder / "b_gap", signal, 500, LEADS)
    write_record(folder / "c_lead", np.zeros((1, 5000), np.float32), 500, ["respiration"])
    return folder


@pytest.fixture(scope="session")
def model(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of an encoder that `beatssl pretrain` trained for one epoch."""
    path = tmp_path_factory.mktemp("model") / "model.bssl"
    arguments = ["--out", str(path), "--size", "s", "--epochs", "1", "--batch-size", "3", "--seed", "3", "--quiet"]
    assert main(["pretrain", str(good), *arguments]) == 0
    return path


@pytest.fixture(scope="session")
def wave_model(segmenter: WaveSegmenter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of the segmenter."""
    path = tmp_path_factory.mktemp("wave_model") / "waves.bssl"
    save(segmenter, path)
    return path


@pytest.fixture(scope="session")
def report_of() -> dict[str, str]:
    """Reports by record, of half of them one and of half of them another."""
    texts = ("Sinusrhythmus. Normales EKG.", "Vorhofflimmern.")
    return {f"r{i}": texts[i % 2] for i in range(12)}


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory, write_record: WriteRecord, report_of: dict[str, str]) -> Path:
    """Folder of records that have reports; one of two leads, one with missing samples and a bad one have none."""
    folder = tmp_path_factory.mktemp("told")
    ecg = make_ecg(len(report_of), rhythm=["sinus", "af"], fs=100, duration=5, random_state=0)
    fibrillates = iter(np.flatnonzero(ecg.rhythm == "af"))
    regular = iter(np.flatnonzero(ecg.rhythm == "sinus"))
    for name, report in report_of.items():
        write_record(folder / name, ecg.data[next(fibrillates if "flimmern" in report else regular)], 100, LEADS)
    write_record(folder / "two", ecg.data[0][[1, 6]], 100, ("II", "V1"))
    gap = ecg.data[0].copy()
    gap[1, 10:20] = np.nan
    write_record(folder / "gap", gap, 100, LEADS)
    (folder / "bad.hea").write_text("this is no header\n")
    return folder


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory, report_of: dict[str, str]) -> Path:
    """CSV file of the reports."""
    path = tmp_path_factory.mktemp("reports") / "reports.csv"
    path.write_text("record,report\n" + "".join(f"{name},{text}\n" for name, text in report_of.items()))
    return path


@pytest.fixture(scope="session")
def aligner(told: Path, reports: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of an aligner that `beatssl align` fitted for two epochs."""
    path = tmp_path_factory.mktemp("aligner") / "aligned.bssl"
    more = ["--reports", str(reports), "--start", "ptbxl-s", "--epochs", "2", "--quiet"]
    assert main(["align", str(told), "--out", str(path), *more]) == 0
    return path


@pytest.fixture(scope="session")
def embed() -> Callable[..., int]:
    """Runs `beatssl embed` quietly: ``embed(model, folder, out, *options)``."""

    def run(model: Path, folder: Path, out: Path, *more: str) -> int:
        return main(["embed", str(model), str(folder), "--out", str(out), "--quiet", *more])

    return run


@pytest.fixture(scope="session")
def read_embeddings() -> Callable[[Path], tuple[list[str], dict[str, list[str]], np.ndarray]]:
    """Reads a CSV table of embeddings; returns the header, the describing columns, and the embeddings."""

    def read(path: Path) -> tuple[list[str], dict[str, list[str]], np.ndarray]:
        with open(path, newline="", encoding="utf-8") as stream:
            header, *rows = csv.reader(stream)
        n = next(i for i, name in enumerate(header) if name in ("mean_0", "beat1_0", "token_0"))
        described = {name: [row[i] for row in rows] for i, name in enumerate(header[:n])}
        return header, described, np.array([row[n:] for row in rows], dtype=np.float32)

    return read


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that cannot be done; returns its one line on standard error."""

    def run(*arguments: Any) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        stdout, stderr = capsys.readouterr()
        assert stderr.startswith("beatssl: ") and stderr.count("\n") == 1 and stdout == ""
        return stderr

    return run


@pytest.fixture
def info(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, str]]:
    """Runs `beatssl info`; returns its lines by name."""

    def run(model: Any, *more: str) -> dict[str, str]:
        capsys.readouterr()
        assert main(["info", str(model), *more]) == 0
        lines = capsys.readouterr().out.splitlines()
        return {line[:24].strip(): line[24:] for line in lines}

    return run
