"""What removes the shortcut from wide complexes to "no P": networks that differ in one thing after the other.

    python -m benchmarks.delineation.shortcut --ptbxl PTBXL --qtdb QTDB --fold 1

Trains each row on what `benchmarks.delineation.train` takes with ``--fold``, or on a part of it, for the steps of its
teacher; the last row is its first student, with its steps. Measures, on what no row has seen: F1 of P in the fold's
LUDB patients; sensitivity of P in the QT Database's sources of the fold, from two leads; and in PTB-XL's fold 8, the
share of records with left bundle branch block in sinus rhythm that have a P before most complexes of lead II, from
twelve leads and from lead II alone, and P waves a minute and lead in fibrillation. Wave parameters are the defaults.

Cannot show: how much a row moves with the seed (one seed); what more steps would do.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from beatssl_sklearn import WaveAugment, WaveSegmenter, fetch_ptbxl, fetch_qtdb, save
from beatssl_sklearn.evaluation import delineation_counts, delineation_scores

from ..study.results import Row, Table, command_of, shown, write_markdown
from .common import folds_of, make_parser, read_ludb
from .p_waves import MOST, SETS, measure
from .recipe import AUGMENT, FS, SOURCES, Records, fitted_on
from .train import annotated, stage

# Name, databases, and what differs from the recipe.
ENCODER: dict[str, Any] = {"context": "encoder", "pretrainer": "ptbxl", "widths": (32, 48, 64, 96), "batch_size": 8}
PLAIN = {"augment": WaveAugment(**{**AUGMENT, "p_exchange": 0.0})}
ROWS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "encoder, fine-tuned; LUDB": (("ludb",), {**ENCODER, **PLAIN}),
    "encoder, frozen; LUDB": (("ludb",), {**ENCODER, **PLAIN, "encoder_lr": 0.0}),
    "no encoder; LUDB": (("ludb",), PLAIN),
    "+ QT Database": (("ludb", "qtdb"), PLAIN),
    "+ exchange of P waves": (("ludb", "qtdb"), {}),
    "+ simulated rhythms": (("ludb", "qtdb", "simulated"), {}),
    "encoder, fine-tuned; all of these": (("ludb", "qtdb", "simulated"), ENCODER),
    "no encoder; all of these and PTB-XL": (("ludb", "qtdb", "simulated", "ptbxl"), {}),
}
TEACHER, STUDENT = 1500, 2500


def network(name: str, parts: dict[str, Records], args: argparse.Namespace) -> WaveSegmenter:
    """Train a row, unless its file is there; the last two of the recipe are stages of `train`."""
    databases, changes = ROWS[name]
    if "ptbxl" in databases:
        return stage(args, "student1", {}, STUDENT)
    if not changes and "simulated" in databases:
        return stage(args, "teacher", parts, TEACHER)
    file = Path(args.cache) / f"shortcut-{list(ROWS).index(name)}-fold{args.fold}-s{args.seed}.bssl"
    if not file.exists():
        steps = 2 if args.quick else TEACHER
        own = fitted_on({k: parts[k] for k in databases}, steps, args.seed, verbose=1, **changes)
        save(own, file)
    return WaveSegmenter.load(file)


def scores(segmenter: WaveSegmenter, args: argparse.Namespace) -> Row:
    """Score a network on the records that no row has seen."""
    ludb, qtdb = read_ludb(args.data), fetch_qtdb(args.qtdb, download_if_missing=False)
    test = folds_of(len(ludb.X))[args.fold]
    segmenter.set_params(fs=ludb.fs, leads=ludb.leads, check="ignore")
    found = delineation_scores([ludb.waves[i] for i in test], segmenter.delineate(ludb.X[test]), ludb.fs)
    row = {"ludb_p": float(found.set_index(["wave", "boundary"]).f1["P", "on+off"])}
    rows = np.flatnonzero(np.isin(qtdb.source, SOURCES[args.fold]))
    segmenter.set_params(fs=None, leads=None)
    table = segmenter.delineate([qtdb.data[int(i)] for i in rows])
    counts = delineation_counts([qtdb.waves[i] for i in rows], table, qtdb.fs, leads="nearest")
    p = counts[(counts.wave == "P") & (counts.boundary == "peak")]
    row["qtdb_p"] = float(p.n_matched.sum() / p.n_true.sum())
    return row | of_ptbxl(segmenter, args)


def of_ptbxl(segmenter: WaveSegmenter, args: argparse.Namespace) -> Row:
    """Score a network on fold 8 of PTB-XL."""
    ptbxl = fetch_ptbxl(args.ptbxl, folds=8, download_if_missing=False)
    stated = [set(a) | set(b) | set(c) for a, b, c in zip(ptbxl.subclass, ptbxl.rhythm, ptbxl.form, strict=True)]
    row: Row = {}
    for name, key in (("left bundle branch block", "lbbb"), ("fibrillation", "af")):
        wanted, without = SETS[name]
        X = np.stack([ptbxl.data[i].signal for i, s in enumerate(stated) if wanted in s and not s & without][:MOST])
        every, alone = (
            measure(segmenter, x, ptbxl.fs, leads) for x, leads in ((X, tuple(ptbxl.leads)), (X[:, [1]], ("II",)))
        )
        if key == "lbbb":
            row |= {"lbbb": float((every.share >= 0.5).mean()), "lbbb_ii": float((alone.share >= 0.5).mean())}
        else:
            row |= {"af": float(every.per_minute.mean()), "af_ii": float(alone.per_minute.mean())}
    return row


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--ptbxl", type=Path, required=True, help="PTB-XL as published")
    parser.add_argument("--qtdb", type=Path, required=True, help="the QT Database as published")
    parser.add_argument("--fold", type=int, choices=range(len(SOURCES)), default=1)
    parser.add_argument("--only", help="numbers of rows, from 0")
    args = parser.parse_args(argv)
    table = Table(args.out / "shortcut.csv", ("row", "fold", "seed"))
    chosen = [list(ROWS)[int(k)] for k in args.only.split(",")] if args.only else list(ROWS)
    parts = annotated(args)
    for name in chosen:
        key = {"row": name, "fold": args.fold, "seed": args.seed}
        if table.find(**key) is None:
            found = table.add(key | scores(network(name, parts, args), args))
            sys.stdout.write(f"{found}\n")
            sys.stdout.flush()
    write_page(args, table, command_of("benchmarks.delineation.shortcut", argv or sys.argv[1:]))


def write_page(args: argparse.Namespace, table: Table, command: str) -> None:
    """Write the rows that are finished, in their order."""
    header = ["network", "LUDB, F1 of P", "QT Database, sensitivity of P", "LBBB with P", "from II", "AF, P/min"]
    header += ["from II"]
    lines = []
    for name in ROWS:
        row = table.find(row=name, fold=args.fold, seed=args.seed)
        if row is not None:
            values = [shown(float(row[k])) for k in ("ludb_p", "qtdb_p", "lbbb", "lbbb_ii")]
            lines.append([name, *values, f"{row['af']:.1f}", f"{row['af_ii']:.1f}"])
    about = [
        f"Fold {args.fold}, seed {args.seed}, {FS:g} Hz, {TEACHER} steps; the last row {STUDENT}.",
        "LBBB: share of records in sinus rhythm with a P before most complexes of lead II. AF: P waves marked a minute",
        "and lead. All on records that no row has seen.",
    ]
    write_markdown(args.out / "shortcut.md", "What removes the shortcut", about, command, header, lines)


if __name__ == "__main__":
    main()
