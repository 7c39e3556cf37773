"""Small copies of the sets in the publishers' layouts, for tests to write into a folder."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatssl_sklearn.ecg.leads import LEADS


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
    """Write an annotation file through wfdb."""
    import wfdb

    # wfdb refuses extensions with a digit, such as v1 to v6 of LUDB.
    wfdb.wrann(path.name, "tmp", np.array(samples), list(symbols), fs=fs, write_dir=str(path.parent))
    path.with_name(f"{path.name}.tmp").rename(path.with_name(f"{path.name}.{extension}"))


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table."""
    with open(path, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])


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


MARKS = [(20, "("), (25, "p"), (30, ")"), (40, "("), (50, "N"), (60, ")"), (70, "("), (80, "t"), (90, ")")]


def write_ludb(folder: Path, records: Sequence[int] = (1, 8), **marks: list[tuple[int, str]]) -> Path:
    """Write records of 120 samples, with `MARKS` in all leads but those for which other marks are given."""
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


def write_mitdb(folder: Path, records: dict[int, tuple[str, str]] | None = None) -> Path:
    """Write records of 600 samples with twelve marks each, by their numbers and leads."""
    records = records or {114: ("V5", "MLII"), 202: ("MLII", "V1")}
    symbols = ["+", "N", "L", "A", "V", "F", "/", "Q", "~", "|", "!", "e"]
    for number, leads in records.items():
        write_record(folder / str(number), leads, 600, 360)
        write_marks(folder / str(number), "atr", 10 + 40 * np.arange(len(symbols)), symbols, 360)
    (folder / "RECORDS").write_text("".join(f"{number}\n" for number in records))
    return folder


@pytest.fixture(name="write_record", scope="session")
def _write_record() -> Callable[..., Any]:
    return write_record


@pytest.fixture(name="write_marks", scope="session")
def _write_marks() -> Callable[..., Any]:
    return write_marks


@pytest.fixture(name="write_csv", scope="session")
def _write_csv() -> Callable[..., Any]:
    return write_csv


@pytest.fixture(name="write_ptbxl", scope="session")
def _write_ptbxl() -> Callable[..., Any]:
    return write_ptbxl


@pytest.fixture(name="write_ludb", scope="session")
def _write_ludb() -> Callable[..., Any]:
    return write_ludb


@pytest.fixture(name="write_mitdb", scope="session")
def _write_mitdb() -> Callable[..., Any]:
    return write_mitdb
