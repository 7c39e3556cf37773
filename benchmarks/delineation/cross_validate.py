"""Delineation of LUDB, 5 folds by patient: boundaries, Dice and F1, beside the same network without pretraining.

    python -m benchmarks.delineation.cross_validate --rows ours --epochs 160
    python -m benchmarks.delineation.cross_validate --rows ours,scratch,"random frozen",frozen --epochs 40

Measures: event F1 within 150 ms of onsets and offsets together, the SD of the error of each boundary, Dice of each
wave, macro F1 per sample (4 classes); samples without annotation are ignored. 95 % intervals by bootstrap over
patients, all folds pooled.

Cannot show: how well other databases' marks are met; what the cardiologists who marked LUDB disagree on among
themselves, which is part of every SD.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from ..study.results import Row, Table, command_of, shown, with_interval, write_markdown
from .common import (
    MEANING,
    Annotated,
    Counts,
    count,
    fitted,
    folds_of,
    joined,
    keep_counts,
    load_counts,
    make_parser,
    network_file,
    read_ludb,
    with_bootstrap,
)

SDS = [f"{wave}_{boundary}_sd" for wave in ("P", "QRS", "T") for boundary in ("onset", "offset")]


def row_counts(name: str, ludb: Annotated, args: argparse.Namespace) -> Counts:
    """Count a row over all folds."""
    parts = []
    folds = folds_of(len(ludb.X), args.quick)
    for k, test in enumerate(folds):
        train = np.setdiff1d(np.arange(len(ludb.X)), test)
        segmenter = fitted(name, ludb, train, args, f"fold{k}")
        file = network_file(name, args, f"fold{k}").with_suffix(".counts.npz")
        found = load_counts(file)
        if found is None:
            table, labels = segmenter.delineate(ludb.X[test]), segmenter.predict(ludb.X[test])
            found = keep_counts(file, count(table, labels, ludb, test))
        parts.append(found)
    return joined(parts)


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--rows", default="ours,frozen,random frozen,scratch")
    args = parser.parse_args(argv)
    if args.quick:
        args.epochs = 2
    ludb = read_ludb(args.data, args.quick)
    table = Table(args.out / "cross_validation.csv", ("row", "epochs", "seed", "n_records"))
    for name in args.rows.split(","):
        if name not in MEANING:
            parser.error(f"--rows may hold {', '.join(MEANING)}, got {name!r}")
        key = {"row": name, "epochs": args.epochs, "seed": args.seed, "n_records": len(ludb.X)}
        if table.find(**key) is None:
            table.add(key | with_bootstrap(row_counts(name, ludb, args)))
    own = [row for row in table.rows if row["n_records"] == len(ludb.X)]
    write_page(args, own, command_of("benchmarks.delineation.cross_validate", argv or sys.argv[1:]))


def write_page(args: argparse.Namespace, rows: list[Row], command: str) -> None:
    """Write the table of all rows that are finished."""
    header = ["row", "epochs", "F1: P", "QRS", "T", "SD [ms]: P on", "P off", "QRS on", "QRS off", "T on", "T off"]
    header += ["Dice", "macro F1", "mIoU"]
    lines = []
    for row in rows:
        line = [MEANING[row["row"]], "-" if row["row"] == "waves" else str(row["epochs"])]
        line += [with_interval(row, f"{wave}_f1") for wave in ("P", "QRS", "T")]
        line += [f"{row[s]:.1f} ({row[f'{s}_low']:.1f}-{row[f'{s}_high']:.1f})" for s in SDS]
        lines.append(line + [with_interval(row, s) for s in ("dice", "macro_f1", "miou")])
    n_records = rows[0]["n_records"]
    about = [
        f"LUDB, {n_records} records, {len(folds_of(n_records, args.quick))} folds by patient, seed {args.seed}; 95 %",
        "intervals by bootstrap over patients. F1: onsets and offsets within 150 ms; SD of the error of those; Dice:",
        "mean of P, QRS and T, macro F1: with background, both per sample; mIoU of P, QRS and T.",
    ]
    write_markdown(args.out / "cross_validation.md", "Delineation of LUDB", about, command, header, lines)
    sys.stdout.write("\n".join(" | ".join(line) for line in lines) + f"\n{shown(len(rows))} rows\n")


if __name__ == "__main__":
    main()
