"""What the confidence of waves is worth: reliability before and after calibration, and the trade of `min_confidence`.

    python -m benchmarks.delineation.confidence --model FOLD0.bssl FOLD1.bssl FOLD2.bssl FOLD3.bssl FOLD4.bssl

Takes one network per fold of `benchmarks.delineation.cross_validate`, in the order of the folds; each network is asked
about the records of its fold, which it has not seen. A single network is asked about all records, and a calibration of
it means something only if it has seen none of them.

Measures: per wave the expected calibration error (10 bins) and the Brier score of the network's confidence and of the
calibrated one; sensitivity, positive predictive value and false waves a minute and lead for each least confidence.
Calibration is cross-fitted: that of a fold is learnt from the other folds' records and networks (from five parts of the
records, if there is a single network). 95 % intervals by bootstrap over patients.

Writes the tables, both pictures, and `confidence_calibration.csv`, the calibration of all records.

Cannot show: how sure the networks are of other databases' records, where more may be wrong at the same confidence.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import WaveSegmenter
from beatssl_sklearn.ecg import judge_waves
from beatssl_sklearn.ecg.waves import WAVES
from beatssl_sklearn.evaluation import calibration_error, confidence_trade, reliability
from beatssl_sklearn.segmentation import WaveCalibration

from ..study.results import Row, Table, command_of, shown, with_interval, write_markdown
from .common import Annotated, folds_of, make_parser, read_ludb

N_BOOTSTRAP = 200
SHOWN = (0.1, 0.3, 0.5, 0.7, 0.9, 0.95)


def candidates(models: list[Path | str], ludb: Annotated, quick: bool) -> tuple[Any, NDArray[np.int64]]:
    """Delineate every record, keeping waves of any confidence; return the table and each record's part."""
    import pandas as pd

    folds = folds_of(len(ludb.X), quick)
    if len(models) not in (1, len(folds)):
        raise SystemExit(f"--model: {len(models)} networks, but there are {len(folds)} folds (or give a single one)")
    part = np.zeros(len(ludb.X), np.int64)
    for k, index in enumerate(folds):
        part[index] = k
    asked = folds if len(models) > 1 else [np.arange(len(ludb.X))]
    tables = []
    for model, index in zip(models, asked, strict=True):
        segmenter = WaveSegmenter.load(model).set_params(fs=ludb.fs, leads=ludb.leads, check="ignore")
        params = {**(segmenter.wave_params or {}), "min_confidence": 0.0}
        table = segmenter.set_params(wave_params=params).delineate(ludb.X[index])
        tables.append(table.assign(record=index[table["record"]]))
        sys.stdout.write(f"{Path(model).name}: {len(table)} waves of {len(index)} records\n")
        sys.stdout.flush()
    return pd.concat(tables, ignore_index=True), part


def cross_fitted(table: Any, right: NDArray[np.float64], part: NDArray[np.int64]) -> NDArray[np.float32]:
    """Calibrate the waves of each part by what the other parts teach."""
    own = part[table["record"]]
    confidence, wave = table["confidence"].to_numpy(), table["wave"].to_numpy()
    found = np.empty(len(table), np.float32)
    for k in np.unique(own):
        others, here = own != k, own == k
        calibration = WaveCalibration.fit(confidence[others], right[others], wave[others])
        found[here] = calibration(confidence[here], wave[here])
    return found


def errors(table: Any, right: NDArray[np.float64], name: str) -> Row:
    """Return the calibration error and the Brier score of a wave."""
    own = (table["wave"].to_numpy() == name) & ~np.isnan(right)
    confidence = table["confidence"].to_numpy(np.float64)[own]
    error = calibration_error(reliability(table[own], right[own])).get(name, float("nan"))
    return {"ece": error, "brier": float(((confidence - right[own]) ** 2).mean())}


def with_bootstrap(table: Any, right: NDArray[np.float64], name: str, seed: int) -> Row:
    """Return both errors of a wave with 95 % intervals over patients."""
    out: Row = errors(table, right, name)
    rng = np.random.default_rng(seed)
    record = table["record"].to_numpy()
    rows_of = [np.flatnonzero((record == r) & (table["wave"].to_numpy() == name)) for r in np.unique(record)]
    drawn = []
    for _ in range(N_BOOTSTRAP):
        rows = np.concatenate([rows_of[i] for i in rng.integers(len(rows_of), size=len(rows_of))])
        drawn.append(errors(table.iloc[rows], right[rows], name))
    for key in ("ece", "brier"):
        low, high = np.nanquantile([d[key] for d in drawn], (0.025, 0.975)).tolist()
        out |= {f"{key}_low": low, f"{key}_high": high}
    return out


def draw(args: argparse.Namespace, before: Any, after: Any, trade: Any) -> None:
    """Draw the reliability before and after, and the trade."""
    from matplotlib.figure import Figure

    from beatssl_sklearn.plotting import plot_confidence_trade, plot_reliability

    folder = args.out / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    whole = Figure(figsize=(11, 5), layout="constrained")
    left, right = whole.subfigures(1, 2)
    plot_reliability(before, figure=left, title="confidence of the network")
    plot_reliability(after, figure=right, title="calibrated")
    whole.savefig(folder / "reliability.png", dpi=110)
    plot_confidence_trade(trade, figure=Figure()).savefig(folder / "confidence_trade.png", dpi=110)


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--model", nargs="+", required=True, help="files of networks, one per fold, or a single one")
    args = parser.parse_args(argv)
    ludb = read_ludb(args.data, args.quick)
    table, part = candidates(args.model, ludb, args.quick)
    right = judge_waves(ludb.waves, table, ludb.fs)
    calibrated = table.assign(confidence=cross_fitted(table, right, part))
    lines = []
    out = Table(args.out / "confidence.csv", ("wave", "confidence"))
    for name in WAVES:
        own = right[table["wave"].to_numpy() == name]
        counts = {"n": int((~np.isnan(own)).sum()), "n_wrong": int((own == 0).sum())}
        for kind, rows in (("network", table), ("calibrated", calibrated)):
            row = {"wave": name, "confidence": kind, **counts, **with_bootstrap(rows, right, name, args.seed)}
            out.add(row)
            cells = [with_interval(row, "ece"), with_interval(row, "brier")]
            lines.append([name, kind, str(counts["n"]), str(counts["n_wrong"]), *cells])
    command = command_of("benchmarks.delineation.confidence", argv or sys.argv[1:])
    seen = "a network per fold, which has not seen them" if len(args.model) > 1 else "one network for all records"
    about = [f"LUDB, {len(ludb.X)} records; {seen}."]
    header = ["wave", "confidence", "waves", "wrong", "expected calibration error", "Brier score"]
    write_markdown(args.out / "confidence.md", "What the confidence is worth", about, command, header, lines)
    trade = confidence_trade(ludb.waves, calibrated, ludb.fs)
    trade.to_csv(args.out / "confidence_trade.csv", index=False)
    header = ["wave", "least confidence", "sensitivity", "PPV", "F1", "false a minute and lead"]
    chosen = trade[trade["threshold"].isin(SHOWN)]
    cells = [
        [r.wave, f"{r.threshold:g}", shown(r.sensitivity), shown(r.ppv), shown(r.f1), f"{r.false_per_minute:.2f}"]
        for r in chosen.itertuples()
    ]
    about = ["Confidences are calibrated, cross-fitted. A wave with a lower one is left out."]
    write_markdown(args.out / "confidence_trade.md", "The trade of `min_confidence`", about, command, header, cells)
    whole = WaveCalibration.fit(table["confidence"], right, table["wave"])
    kept = Table(args.out / "confidence_calibration.csv", ("wave",))
    for name, slope, intercept in zip(WAVES, whole.slope, whole.intercept, strict=True):
        kept.add({"wave": name, "slope": slope, "intercept": intercept})
    draw(args, reliability(table, right), reliability(calibrated, right), trade)
    sys.stdout.write("\n".join(" | ".join(line) for line in [*lines, *cells]) + "\n")


if __name__ == "__main__":
    main()
