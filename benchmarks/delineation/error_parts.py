"""Errors of boundaries, split: what all beats of a lead share, and what changes from beat to beat of one lead.

    python -m benchmarks.delineation.error_parts --epochs 160

Takes the networks of `benchmarks.delineation.cross_validate` (row `--row`), and trains those that are not kept.

Measures: SD of the error within 150 ms, as in the cross validation; the pooled SD within one lead of one record, where
shape and rule of marking stay the same; the SD between leads and records, from the rest of the variance; and how much
the marks themselves, and the predictions, vary within a lead about the QRS of their beat (middle of all leads' QRS
marks), pooled. Marks that vary more from beat to beat than the heart does scatter, and no method can follow them.

Cannot show: how much of the scatter two cardiologists would share.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn.ecg.waves import WAVES
from beatssl_sklearn.evaluation import delineation_counts

from ..study.results import Table, command_of, write_markdown
from .common import BOUNDARIES, Annotated, fitted, folds_of, make_parser, read_ludb

COLUMNS = ("n_matched", "sum_error_ms", "sum_squared_error_ms2")
REACH = 0.15  # [s], the tolerance of the errors


def strip_counts(table: Any, ludb: Annotated, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Count pairs, errors and squared errors of each lead (n_strips, 3 waves, 3 boundaries, 3)."""
    n_leads = len(ludb.leads)
    truth = [{lead: ludb.waves[i][lead]} for i in index for lead in ludb.leads]
    # A table without a wave would keep the type of the names.
    lead = table.lead.map(ludb.leads.index).astype(np.int64)
    strips = table.assign(record=table.record * n_leads + lead)
    rows = delineation_counts(truth, strips, ludb.fs)
    rows = rows[rows.boundary.isin(BOUNDARIES)]
    return np.asarray(rows[list(COLUMNS)], np.float64).reshape(len(truth), len(WAVES), len(BOUNDARIES), 3)


def parts(counts: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the SD of all errors, within strips and between them, from counts (n_strips, 3)."""
    counts = counts[counts[:, 0] > 0]
    n, total, squares = counts.T
    mean = total.sum() / n.sum()
    whole = squares.sum() / n.sum() - mean**2
    within = (squares - total**2 / n).sum() / max((n - 1).sum(), 1)
    return float(np.sqrt(whole)), float(np.sqrt(within)), float(np.sqrt(max(whole - within, 0)))


def beat_times(marks: dict[str, Any]) -> NDArray[np.float64]:
    """Return the middle of each beat's QRS marks over the leads [samples]."""
    peaks = np.sort(np.concatenate([np.asarray(m["QRS"], float)[:, 1] for m in marks.values()]))
    if not len(peaks):
        return peaks
    return np.array([np.median(beat) for beat in np.split(peaks, np.flatnonzero(np.diff(peaks) > 100) + 1)])


def scatter(position: NDArray[np.float64], wave: str, beats: NDArray[np.float64], reach: float) -> tuple[float, int]:
    """Return the sum of squares of the distances to the QRS of the same beat about their mean, and degrees of freedom.

    Distances further than `reach` from their median are left out: they belong to another beat, where one is not marked.
    """
    if not len(beats):
        return 0.0, 0
    side = np.searchsorted(beats, position)
    nearest = np.abs(position[:, None] - beats).argmin(axis=1)
    beat = {"P": side, "QRS": nearest, "T": side - 1}[wave]
    known = (beat >= 0) & (beat < len(beats)) & np.isfinite(position)
    away = position[known] - beats[beat[known]]
    away = away[np.abs(away - np.median(away)) <= reach] if len(away) else away
    return (float(((away - away.mean()) ** 2).sum()), len(away) - 1) if len(away) > 1 else (0.0, 0)


def scatter_sd(strips: list[tuple[NDArray[np.float64], NDArray[np.float64]]], wave: str, fs: float) -> float:
    """Return the pooled SD [ms] within strips of (positions, beats)."""
    sums = np.array([scatter(position, wave, beats, REACH * fs) for position, beats in strips]).reshape(-1, 2)
    return float(np.sqrt(sums[:, 0].sum() / max(sums[:, 1].sum(), 1)) / fs * 1000)


def main(argv: list[str] | None = None) -> None:
    args = make_parser(__doc__).parse_args(argv)
    if args.quick:
        args.epochs = 2
    ludb = read_ludb(args.data, args.quick)
    counts, tables = [], []
    for k, test in enumerate(folds_of(len(ludb.X), args.quick)):
        train = np.setdiff1d(np.arange(len(ludb.X)), test)
        table = fitted(args.row, ludb, train, args, f"fold{k}").delineate(ludb.X[test])
        counts.append(strip_counts(table, ludb, test))
        tables.append(table.assign(record=test[table.record]))
    whole = np.concatenate(counts)
    beats = [beat_times(marks) for marks in ludb.waves]
    out = Table(args.out / "error_parts.csv", ("wave", "boundary", "epochs", "n_records"))
    lines = []
    for w, wave in enumerate(WAVES):
        for b in (0, 2):
            row = {"wave": wave, "boundary": BOUNDARIES[b], "epochs": args.epochs, "n_records": len(ludb.X)}
            row |= dict(zip(("sd", "sd_within", "sd_between"), parts(whole[:, w, b]), strict=True))
            marks = [(np.asarray(m[wave], float)[:, b], beats[i]) for i, r in enumerate(ludb.waves) for m in r.values()]
            found = [
                (np.asarray(g[BOUNDARIES[b]], float), beats[i])
                for table in tables
                for (i, _), g in table[table.wave == wave].groupby(["record", "lead"])
            ]
            row |= {"marks_sd": scatter_sd(marks, wave, ludb.fs), "predictions_sd": scatter_sd(found, wave, ludb.fs)}
            out.add(row)
            columns = ("sd", "sd_within", "sd_between", "marks_sd", "predictions_sd")
            lines.append([f"{wave} {BOUNDARIES[b]}", *(f"{row[c]:.1f}" for c in columns)])
    about = [f"LUDB, {len(ludb.X)} records, 5 folds, networks of {args.epochs} epochs, seed {args.seed}; SDs in ms."]
    header = ["boundary", "error", "within a lead", "between leads and records", "scatter of marks", "of predictions"]
    command = command_of("benchmarks.delineation.error_parts", argv or sys.argv[1:])
    write_markdown(args.out / "error_parts.md", "Parts of the errors", about, command, header, lines)
    sys.stdout.write("\n".join(" | ".join(line) for line in lines) + "\n")


if __name__ == "__main__":
    main()
