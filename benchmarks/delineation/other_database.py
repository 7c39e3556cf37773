"""QRS of another database: the shipped segmenter on MIT-BIH DS1, two leads at 360 Hz.

    python -m benchmarks.delineation.other_database --minutes 10

Measures: sensitivity and positive predictive value of the QRS in the first lead against the reference beats, within
150 ms, on the beginning of each of the 22 records; intervals over patients by bootstrap.

Cannot show: P, T and boundaries, which are not marked there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from beatssl_sklearn import ECGRecord, WaveSegmenter, fetch_mitdb
from beatssl_sklearn.evaluation import beat_detection_scores

from ..study.results import Table, command_of, with_interval, write_markdown
from .common import make_parser

N_BOOTSTRAP = 1000


def counts(segmenter: WaveSegmenter, data: Path, minutes: float, quick: bool) -> np.ndarray:
    """Count beats, QRS and pairs (n_records, 3)."""
    mitdb = fetch_mitdb(data / "mitdb", records="DS1", download_if_missing=False)
    rows = []
    for i in range(2 if quick else len(mitdb.data)):
        record, stop = mitdb.data[i], round(minutes * 60 * mitdb.data[i].fs)
        waves = segmenter.delineate([ECGRecord(record.signal[:, :stop], record.fs, record.leads)])
        qrs = waves[(waves.lead == record.leads[0]) & (waves.wave == "QRS")]
        beats = mitdb.rpeaks[i]
        found = beat_detection_scores(beats[beats < stop], qrs.peak.to_numpy(), record.fs)
        rows.append((found.n_true, found.n_predicted, found.n_matched))
    return np.array(rows)


def rates(table: np.ndarray) -> np.ndarray:
    """Return sensitivity and positive predictive value of pooled counts (..., 3)."""
    return np.stack([table[..., 2] / table[..., 0], table[..., 2] / table[..., 1]], axis=-1)


def main(argv: list[str] | None = None) -> None:
    parser: argparse.ArgumentParser = make_parser(__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--model", default="waves")
    args = parser.parse_args(argv)
    if args.quick:
        args.minutes = 0.5
    found = counts(WaveSegmenter.load(args.model), args.data, args.minutes, args.quick)
    drawn = np.random.default_rng(args.seed).integers(len(found), size=(N_BOOTSTRAP, len(found)))
    low, high = np.quantile(rates(found[drawn].sum(axis=1)), (0.025, 0.975), axis=0)
    row: dict[str, object] = {"model": args.model, "minutes": args.minutes, "n_beats": int(found[:, 0].sum())}
    for k, name in enumerate(("sensitivity", "ppv")):
        value = float(rates(found.sum(axis=0))[k])
        row |= {name: value, f"{name}_low": float(low[k]), f"{name}_high": float(high[k])}
    Table(args.out / "other_database.csv", ("model", "minutes")).add(row)
    about = [f"MIT-BIH DS1, {len(found)} records, the first {args.minutes:g} minutes, first lead."]
    line = [str(row["n_beats"]), with_interval(row, "sensitivity"), with_interval(row, "ppv")]
    command = command_of("benchmarks.delineation.other_database", argv or sys.argv[1:])
    header = ["beats", "sensitivity", "positive predictive value"]
    write_markdown(args.out / "other_database.md", "Another database", about, command, header, [line])
    sys.stdout.write(" | ".join(line) + "\n")


if __name__ == "__main__":
    main()
