"""Label-free beat types against the reference labels of MIT-BIH DS1.

    python -m benchmarks.study_beat_types [--data FOLDER] [--out FOLDER]

Measures how often `beat_types` gives the AAMI class of the reference annotation, on whole records of 30 minutes and on
the same records cut into pieces of 10 s (what pretraining sees), at the reference R peaks. It cannot show how the
classes do on other people: the thresholds were chosen on these same 22 records. It tests neither the detector, nor
of twelve leads, and the few records with many S or V beats decide most of it.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import ECGRecord, read_annotations, read_wfdb
from beatssl_sklearn.ecg.features import TYPE_NAMES, beat_types

DATE = "2026-11-21"
COMMAND = "python -m benchmarks.study_beat_types"
AAMI = {
    symbol: name
    for name, symbols in {"N": "NLRej", "S": "AaJS", "V": "VE", "F": "F", "Q": "/fQ"}.items()
    for symbol in symbols
}
CLASSES = ("N", "S", "V", "F", "Q")
GIVEN = ("N", "S", "V", "ignore")
PIECE = 10.0

Table = NDArray[np.int64]


def pieces(record: ECGRecord, r: NDArray[np.int64], duration: float | None) -> Iterator[tuple[int, NDArray, NDArray]]:
    """The record, or its pieces of a duration [s]: where each starts, its signal, and which beats it holds."""
    n_times = record.signal.shape[1]
    step = n_times if duration is None else int(round(duration * record.fs))
    for start in range(0, n_times - step + 1, step):
        inside = (r >= start) & (r < start + step)
        if inside.any():
            yield start, record.signal[:, start : start + step], np.flatnonzero(inside)


def confusion(folder: Path, name: str, duration: float | None) -> Table:
    """Reference classes (rows) against given types (columns) of one record; beats at the border are left out."""
    record = read_wfdb(folder / name)
    annotations = read_annotations(folder / name, "atr")
    beat = np.array([symbol in AAMI for symbol in annotations.symbol])
    r = np.asarray(annotations.sample, dtype=np.int64)[beat]
    truth = np.array([CLASSES.index(AAMI[symbol]) for symbol in annotations.symbol if symbol in AAMI])
    column = {code: GIVEN.index(given) for code, given in TYPE_NAMES.items()}
    table = np.zeros((len(CLASSES), len(GIVEN)), dtype=np.int64)
    for start, signal, index in pieces(record, r, duration):
        found = beat_types(signal[None], record.fs, [r[index] - start], record.leads)[0]
        whole = found.clusters >= 0
        np.add.at(table, (truth[index][whole], [column[int(code)] for code in found.types[whole]]), 1)
    return table


def scores(table: Table) -> dict[str, tuple[float, float]]:
    """Sensitivity and PPV of N, S and V; fusion and unknown beats do not count against V, as AAMI EC57 has it."""
    out = {}
    for k, name in enumerate(("N", "S", "V")):
        given = table[:, k].sum() - (table[3:, k].sum() if name == "V" else 0)
        out[name] = (table[k, k] / max(table[k].sum(), 1), table[k, k] / max(given, 1))
    return out


def report(tables: dict[str, dict[str, Table]], leads: dict[str, str]) -> str:
    """The results as Markdown."""
    lines = [
        "# Label-free beat types on MIT-BIH DS1",
        "",
        f"`{COMMAND}`, {DATE}. {len(leads)} records, two leads by name, reference R peaks, AAMI classes.",
        "",
        "The thresholds of `beat_types` were chosen on these records: the figures describe the fit and predict nothing",
        "for other data. Types are relative to the record and made without labels. Beats whose QRS the border cuts are",
        "left out. PPV of V does not count F and Q, as in AAMI EC57; sensitivity counts ignored beats as missed.",
    ]
    for length, records in tables.items():
        total = np.sum(list(records.values()), axis=0)
        lines += ["", f"## {length}", "", "| reference | " + " | ".join(GIVEN) + " |", "|---|" + "---|" * len(GIVEN)]
        lines += [f"| {name} | " + " | ".join(map(str, row)) + " |" for name, row in zip(CLASSES, total, strict=True)]
        lines += ["", "| class | sensitivity | PPV |", "|---|---|---|"]
        lines += [f"| {name} | {se:.3f} | {ppv:.3f} |" for name, (se, ppv) in scores(total).items()]
        lines += ["", f"Ignored: {total[:, 3].sum() / total.sum():.2%} of the beats."]
    worst = tables["30 minutes"]
    lines += [
        "",
        "## Where it fails (30 minutes)",
        "",
        "| record | leads | N as V | S as N | S as V | V as N | F as V |",
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    for name, table in worst.items():
        wrong = (table[0, 2], table[1, 0], table[1, 2], table[2, 0], table[3, 2])
        if max(wrong) >= 20:
            lines.append(f"| {name} | {leads[name]} | " + " | ".join(map(str, wrong)) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("BEATSSL_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    folder = arguments.data / "mitdb"
    names = sorted(path.stem for path in folder.glob("*.hea"))
    if not names:
        raise SystemExit(f"no MIT-BIH record in {folder}")
    leads = {name: ", ".join(read_wfdb(folder / name).leads) for name in names}
    tables = {
        length: {name: confusion(folder, name, duration) for name in names}
        for length, duration in (("30 minutes", None), ("10 seconds", PIECE))
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "beat_types.md").write_text(report(tables, leads))
    with open(arguments.out / "beat_types.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["length", "record", "leads", "reference", *GIVEN])
        for length, records in tables.items():
            for name, table in records.items():
                for reference, row in zip(CLASSES, table, strict=True):
                    if row.sum():
                        writer.writerow([length, name, leads[name], reference, *row])


if __name__ == "__main__":
    main()
