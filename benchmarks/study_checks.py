"""How often real ECGs are said to look odd, and how often signals that are wrong are.

Command
-------
``OMP_NUM_THREADS=1 python -m benchmarks.study_checks [--data FOLDER] [--out FOLDER] [--date DATE]``  (minutes)

What it measures
----------------
Every record of each set goes through `RecordCheck`, as in every method with the parameter `check`. "As recorded" is the
share of the records of a real set that are flagged, by kind: false alarms, but for records that really are clipped,
or have no heartbeat. MIT-BIH is cut into pieces of 10 s. "Made wrong" is the share of records that are flagged for any
reason after a change: values multiplied, leads in a random order, the chest leads in the limb leads' place, leads of
twelve different patients, one lead twelve times, noise or a hum in place of the signal, clipping. "Called by another
rate" is the share of groups of n records, drawn at random, of which at least half are flagged or of which a note is
given; beside it, the share of such groups under their own rate.

What it cannot show
-------------------
False alarms elsewhere: the limits were set on these sets (PTB-XL: fold 9). Changes that leave the laws of the limb
leads as they are cannot be seen, such as the arms' electrodes swapped at the patient, or an order of V1-V6 of its own.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import ECGRecord, WFDBFolder, read_wfdb
from beatssl_sklearn.ecg import LEADS
from beatssl_sklearn.inputs import FrontEnd, RecordCheck, RecordSource

Signals = NDArray[np.float32]
KINDS = ("limb", "identical", "large", "small", "clipped", "silent", "rate", "flat")
GROUPS = (1, 2, 8, 31)
N_GROUPS = 100
PIECE_S = 10.0


def find(records: list[ECGRecord]) -> tuple[dict[str, NDArray[np.int64]], list[str]]:
    """Return kinds of odd records, and notes on all of them."""
    source = RecordSource(records, allow_nan=True)
    check = RecordCheck(source, "warn")
    for block in source.read(np.arange(len(records)), 64):
        check.look(block, FrontEnd().find_rpeaks(block))
    return check.found()


def share_told(records: list[ECGRecord]) -> float:
    """Return the share of records that are odd in any way; all of them if there is a note."""
    kinds, notes = find(records)
    return 1.0 if notes else len(set().union(*(rows.tolist() for rows in kinds.values()))) / len(records)


# ---- real sets -------------------------------------------------------------------------------------------------------


def unpacker(data: Path, name: str) -> Any:
    """Import the program that comes with a packed set."""
    spec = importlib.util.spec_from_file_location(f"unpack_{name}", data / name / "unpack.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(data / name / "unpack.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ptbxl(data: Path, folds: range) -> list[ECGRecord]:
    """PTB-XL at 100 Hz."""
    module = unpacker(data, "ptbxl")
    # Stored in microvolt.
    return [ECGRecord((x / 1000).astype(np.float32), 100.0, LEADS) for k in folds for x in module.load_fold(k)[1]]


def folder(path: Path) -> list[ECGRecord]:
    """All records of a folder."""
    return list(WFDBFolder(path))


def unpacked(data: Path, name: str, **options: Any) -> list[ECGRecord]:
    """All records of a packed set, which a program writes as WFDB."""
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([sys.executable, data / name / "unpack.py", out], check=True, capture_output=True)
        return [read_wfdb(header, **options) for header in sorted(Path(out).rglob("*.hea"))]


def pieces(records: list[ECGRecord]) -> Iterator[ECGRecord]:
    """Cut records into pieces of 10 s."""
    for record in records:
        n = round(PIECE_S * record.fs)
        for start in range(0, record.signal.shape[1] - n + 1, n):
            yield ECGRecord(record.signal[:, start : start + n], record.fs, record.leads)


def real_sets(data: Path) -> Iterator[tuple[str, list[ECGRecord]]]:
    """Every set, as recorded."""
    yield "PTB-XL, folds 1-8, 100 Hz", ptbxl(data, range(1, 9))
    yield "PTB-XL, fold 9, 100 Hz", ptbxl(data, range(9, 10))
    yield "PTB-XL, 500 Hz", folder(data / "ptbxl500")
    yield "LUDB", folder(data / "ludb")
    yield "Brugada-HUCA", unpacked(data, "brugada")
    yield "MIT-BIH DS1, pieces", list(pieces(folder(data / "mitdb")))
    yield "CinC 2017", unpacked(data, "cinc2017", positional=True, leads=["I"])


# ---- made wrong ------------------------------------------------------------------------------------------------------


def noise(shape: tuple[int, ...], exponent: float, rng: np.random.Generator) -> Signals:
    """Noise of .2 mV whose power falls with frequency to an exponent."""
    spectrum = np.fft.rfft(rng.normal(size=shape))
    spectrum *= np.maximum(np.arange(spectrum.shape[-1]), 3.0) ** (-exponent / 2)
    x = np.fft.irfft(spectrum, shape[-1])
    return np.asarray(0.2 * x / x.std(), dtype=np.float32)


def changes(fs: float, rng: np.random.Generator) -> dict[str, Callable[[Signals], Signals]]:
    """Everything that is made wrong of signals (n_records, 12, n_times)."""

    def strangers(x: Signals) -> Signals:
        return np.stack([np.roll(x[:, lead], 7 * lead, axis=0) for lead in range(12)], axis=1)

    def hum(x: Signals) -> Signals:
        wave = 0.5 * np.sin(2 * np.pi * 50 * np.arange(x.shape[-1]) / fs + rng.uniform(0, 6, (*x.shape[:2], 1)))
        return np.asarray(wave, dtype=np.float32)

    def clip(x: Signals) -> Signals:
        limit = np.abs(x).max(axis=-1, keepdims=True) / 2
        return np.clip(x, -limit, limit)

    scaled = {f"x {k}": lambda x, k=k: np.asarray(k * x, dtype=np.float32) for k in (5, 10, 25, 250, 1000, 0.001)}
    return scaled | {
        "random order of leads": lambda x: np.stack([r[rng.permutation(12)] for r in x]),
        "V1-V6 in the limb leads' place": lambda x: x[:, [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5]],
        "I and II swapped": lambda x: x[:, [1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]],
        "leads of twelve patients": strangers,
        "one lead of another patient": lambda x: np.concatenate([np.roll(x[:, :1], 1, axis=0), x[:, 1:]], axis=1),
        "one lead twelve times": lambda x: np.repeat(x[:, :1], 12, axis=1),
        "white noise": lambda x: noise(x.shape, 0, rng),
        "pink noise": lambda x: noise(x.shape, 1, rng),
        "hum of 50 Hz": hum,
        "clipped at half of each lead": clip,
        "clipped at .5 mV": lambda x: np.clip(x, -0.5, 0.5),
    }


def groups_told(records: list[ECGRecord], ratio: float, n: int, rng: np.random.Generator) -> float:
    """Share of groups of n records whose rate is told to be odd, if `ratio` times it is called their rate."""
    called = [ECGRecord(r.signal, ratio * r.fs, r.leads) for r in records]
    told = 0
    for _ in range(N_GROUPS):
        kinds, notes = find([called[i] for i in rng.choice(len(called), n, replace=False)])
        rows = set(kinds.get("rate", [])) | set(kinds.get("silent", []))
        told += any("fs" in note for note in notes) or 2 * len(rows) >= n
    return told / N_GROUPS


# ---- results ---------------------------------------------------------------------------------------------------------


def study(data: Path) -> tuple[list[list[Any]], list[list[Any]], list[list[Any]]]:
    """Return the rows of three tables: as recorded, made wrong, called by another rate."""
    rng = np.random.default_rng(0)
    real: list[list[Any]] = []
    wrong: dict[str, list[Any]] = {}
    rates: list[list[Any]] = []
    for name, records in real_sets(data):
        kinds, notes = find(records)
        real.append([name, len(records), *(len(kinds.get(k, [])) / len(records) for k in KINDS), len(notes)])
        if name.startswith("MIT-BIH"):
            per = round(1800 / PIECE_S)
            patients = [find(records[i : i + per])[1] for i in range(0, len(records), per)]
            real[-1][0] += f"; {sum(map(bool, patients))} of {len(patients)} patients alone have a note"
        if name in ("PTB-XL, fold 9, 100 Hz", "PTB-XL, 500 Hz", "LUDB"):
            x, fs = np.stack([r.signal for r in records]), records[0].fs
            for what, change in changes(fs, rng).items():
                changed = [ECGRecord(s, fs, LEADS) for s in change(x)]
                wrong.setdefault(what, [what]).append(share_told(changed))
        if name in ("PTB-XL, 500 Hz", "LUDB"):
            for called in (500, 250, 360, 1000):
                shares = [groups_told(records, called / 500, n, rng) for n in GROUPS]
                rates.append([name, called, *shares])
    return real, list(wrong.values()), rates


def as_table(header: list[str], rows: list[list[Any]]) -> list[str]:
    """Lines of a table; shares in percent."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for row in rows:
        cells = [f"{100 * v:.3g}" if isinstance(v, float) else str(v) for v in row]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def write(out: Path, tables: tuple[list[list[Any]], list[list[Any]], list[list[Any]]], date: str) -> None:
    """Write `checks.csv` and `checks.md`."""
    real, wrong, rates = tables
    headers = (
        ["set", "records", *KINDS, "notes"],
        ["change", "PTB-XL fold 9", "PTB-XL 500 Hz", "LUDB"],
        ["set", "called [Hz]", *(f"{n} records" for n in GROUPS)],
    )
    with open(out / "checks.csv", "w", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        for header, rows in zip(headers, tables, strict=True):
            writer.writerows([header, *rows])
    lines = [
        "# Records that look odd",
        "",
        f"`OMP_NUM_THREADS=1 python -m benchmarks.study_checks`, {date}. Shares in percent; what is measured stands",
        "in that file's docstring. The limits were set on these sets: on others there may be more false alarms.",
        "",
        "## As recorded: flagged records, by kind",
        "",
        *as_table(headers[0], real),
        "",
        "## Made wrong: flagged records, for any reason",
        "",
        "100 where a note is given on all of them.",
        "",
        *as_table(headers[1], wrong),
        "",
        "## Called by another rate: groups of records that are told",
        "",
        "All are 500 Hz, so that the first rows are false alarms.",
        "",
        *as_table(headers[2], rates),
    ]
    (out / "checks.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Run the study and write its results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = os.environ.get("BEATSSL_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--date", default="2026-11-26")
    args = parser.parse_args()
    write(args.out, study(args.data), args.date)
    sys.stdout.write((args.out / "checks.md").read_text())


if __name__ == "__main__":
    main()
