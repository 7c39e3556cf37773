"""How delineation holds where recordings differ: fewer leads, other rates, noise, arrhythmias, conduction disorders.

    python -m benchmarks.delineation.robustness --epochs 160

Takes the networks of a row (`--row`) of `benchmarks.delineation.cross_validate`, each on the records of its test fold.
Leads: the network gets only these. Rates: the record and its marks are resampled. Noise: records of
NSTDB ("em" electrode motion, "ma" muscle, "bw" wander) are added, scaled per lead to a ratio of mean powers. Classes:
records with a rhythm, a conduction disorder, extrasystoles or pacing of `ludb.csv`; a record may be in several.

Measures: as `cross_validate`; and P waves found per lead and minute of the annotated stretch, beside those marked.

Cannot show: much about classes of two or three records; noise that is not additive.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import WaveSegmenter, read_wfdb
from beatssl_sklearn.ecg import resample

from ..study.results import Row, Table, command_of, shown, with_interval, write_markdown
from .common import Annotated, Counts, count, fitted, folds_of, joined, make_parser, read_ludb, scores, with_bootstrap
from .cross_validate import SDS

LEAD_SETS = (("II",), ("V2",), ("I", "II"), ("I", "II", "V2"), ("I", "II", "III", "aVR", "aVL", "aVF"))
RATES = (100.0, 250.0, 360.0, 1000.0)
NOISES = tuple((kind, snr) for kind in ("em", "ma", "bw") for snr in (12.0, 6.0))
CLASSES: dict[str, tuple[str, ...]] = {
    "sinus rhythm": ("Sinus rhythm",),
    "sinus bradycardia": ("Sinus bradycardia",),
    "sinus tachycardia": ("Sinus tachycardia",),
    "atrial fibrillation": ("Atrial fibrillation",),
    "atrial flutter": ("Atrial flutter, typical",),
    "AV block I": ("I degree av block",),
    "AV block III": ("Iii degree av-block",),
    "complete bundle branch block": ("Complete right bundle branch block", "Complete left bundle branch block"),
    "incomplete RBBB": ("Incomplete right bundle branch block",),
    "hemiblock": ("Left anterior hemiblock",),
    "ventricular extrasystoles": ("Ventricular extrasystole",),
    "atrial extrasystoles": ("Atrial extrasystole",),
    "pacemaker": ("Pacemaker presence", "pacing"),
}


class Condition(NamedTuple):
    """A way to change records and their marks."""

    kind: str
    name: str
    change: Callable[[Annotated, NDArray[np.int64]], Annotated]


def as_they_are(ludb: Annotated, index: NDArray[np.int64]) -> Annotated:
    """Return some of the records."""
    return replace(ludb, X=ludb.X[index], masks=ludb.masks[index], waves=[ludb.waves[i] for i in index])


def with_leads(leads: tuple[str, ...]) -> Condition:
    """Keep some leads."""

    def change(ludb: Annotated, index: NDArray[np.int64]) -> Annotated:
        part, rows = as_they_are(ludb, index), [ludb.leads.index(lead) for lead in leads]
        waves = [{lead: w[lead] for lead in leads} for w in part.waves]
        return replace(part, X=part.X[:, rows], masks=part.masks[:, rows], waves=waves, leads=leads)

    return Condition("leads", ", ".join(leads) if len(leads) < 6 else "six limb leads", change)


def at_rate(fs: float) -> Condition:
    """Resample records and marks."""

    def change(ludb: Annotated, index: NDArray[np.int64]) -> Annotated:
        part, ratio = as_they_are(ludb, index), fs / ludb.fs
        X = resample(part.X, ludb.fs, fs)
        nearest = np.minimum(np.round(np.arange(X.shape[-1]) / ratio).astype(np.int64), part.X.shape[-1] - 1)
        waves = [
            {lead: {k: np.where(w >= 0, w * ratio, np.nan) for k, w in of.items()} for lead, of in record.items()}
            for record in part.waves
        ]
        return replace(part, X=X, masks=part.masks[..., nearest], waves=waves, fs=fs)

    return Condition("rate", f"{fs:g} Hz", change)


def with_noise(args: argparse.Namespace, kind: str, snr: float) -> Condition:
    """Add recorded noise, another stretch and channel for each lead."""
    noise = read_wfdb(args.data / "nstdb" / kind, positional=True)
    at_500 = resample(noise.signal, noise.fs, 500.0)

    def change(ludb: Annotated, index: NDArray[np.int64]) -> Annotated:
        part, X = as_they_are(ludb, index), ludb.X[index].copy()
        for row, i in enumerate(index):
            rng = np.random.default_rng([args.seed, int(i)])
            for lead in range(X.shape[1]):
                start = int(rng.integers(at_500.shape[1] - X.shape[2]))
                added = at_500[int(rng.integers(len(at_500))), start : start + X.shape[2]]
                X[row, lead] += added * (X[row, lead].std() / max(float(added.std()), 1e-6) * 10 ** (-snr / 20))
        return replace(part, X=X)

    return Condition("noise", f"{kind}, {snr:g} dB", change)


def conditions(args: argparse.Namespace) -> Iterator[Condition]:
    """Yield all conditions."""
    yield Condition("all", "as recorded", as_they_are)
    for leads in LEAD_SETS:
        yield with_leads(leads)
    for fs in RATES:
        yield at_rate(fs)
    for kind, snr in NOISES:
        yield with_noise(args, kind, snr)


def measured(condition: Condition, ludb: Annotated, args: argparse.Namespace) -> Counts:
    """Count all records under a condition, in the order of the records."""
    parts, order = [], []
    for k, test in enumerate(folds_of(len(ludb.X), args.quick)):
        segmenter = fitted(args.row, ludb, np.setdiff1d(np.arange(len(ludb.X)), test), args, f"fold{k}")
        changed = condition.change(ludb, test)
        segmenter.set_params(fs=changed.fs, leads=changed.leads)
        parts.append(counts_of(segmenter, changed))
        order.append(test)
    whole, back = joined(parts), np.argsort(np.concatenate(order))
    return Counts(*(array[back] for array in whole))


def counts_of(segmenter: WaveSegmenter, changed: Annotated) -> Counts:
    """Delineate and count records."""
    every = np.arange(len(changed.X))
    return count(segmenter.delineate(changed.X), segmenter.predict(changed.X), changed, every)


def members(ludb: Annotated, findings: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the records that have one of some findings, or one that begins with it."""
    rows = zip(*ludb.diagnoses.values(), strict=True)
    return np.array(
        [i for i, row in enumerate(rows) if any(f in text for cell in row for text in cell for f in findings)], int
    )


def p_per_minute(counts: Counts, ludb: Annotated, index: NDArray[np.int64], n_leads: int) -> tuple[float, float]:
    """Return P waves per lead and minute of annotated signal, marked and found."""
    minutes = (ludb.masks[index] >= 0).sum() / ludb.masks.shape[1] * n_leads / ludb.fs / 60
    marked, found = counts.events[index, 0, 1, :2].sum(axis=0) / max(minutes, 1e-9)
    return float(marked), float(found)


def main(argv: list[str] | None = None) -> None:
    args = make_parser(__doc__).parse_args(argv)
    if args.quick:
        args.epochs = 2
    ludb = read_ludb(args.data, args.quick)
    table = Table(args.out / "robustness.csv", ("row", "kind", "name"))
    every = np.arange(len(ludb.X))
    whole = None
    for condition in conditions(args):
        counts = measured(condition, ludb, args)
        whole = counts if whole is None else whole
        add(table, condition.kind, condition.name, counts, ludb, every, args)
    assert whole is not None
    for name, findings in CLASSES.items():
        index = members(ludb, findings)
        if len(index):
            add(table, "class", name, whole, ludb, index, args)
    write_page(args, table.rows, command_of("benchmarks.delineation.robustness", argv or sys.argv[1:]))


def add(
    table: Table, kind: str, name: str, counts: Counts, ludb: Annotated, index: NDArray[np.int64], args: Any
) -> None:
    """Score some records under a condition; classes of fewer than five records have no interval."""
    part = Counts(counts.events[index], counts.confusion[index])
    n_leads = len(name.split(", ")) if kind == "leads" and "limb" not in name else 6 if kind == "leads" else 12
    marked, found = p_per_minute(counts, ludb, index, n_leads)
    row: Row = {"row": args.row, "kind": kind, "name": name, "epochs": args.epochs}
    row |= with_bootstrap(part) if len(index) >= 5 else scores(part)
    table.add(row | {"p_per_minute_marked": marked, "p_per_minute_found": found})
    sys.stdout.write(f"{kind} {name}: P {shown(row['P_f1'])}, QRS {shown(row['QRS_f1'])}, T {shown(row['T_f1'])}\n")
    sys.stdout.flush()


def write_page(args: argparse.Namespace, rows: list[Row], command: str) -> None:
    """Write all conditions as one table."""
    header = ["", "records", "F1: P", "QRS", "T", "SD [ms]: P on", "P off", "QRS on", "QRS off", "T on", "T off"]
    header += ["Dice", "P/min marked", "found"]
    lines = []
    for row in (r for r in rows if r["row"] == args.row):
        line = [row["name"], str(row["n_records"]), *(with_interval(row, f"{w}_f1") for w in ("P", "QRS", "T"))]
        line += [f"{row[s]:.1f}" if row[s] > 0 else "-" for s in SDS]
        line += [with_interval(row, "dice"), f"{row['p_per_minute_marked']:.1f}", f"{row['p_per_minute_found']:.1f}"]
        lines.append(line)
    about = [
        "LUDB, networks of the cross validation, each on the records it has not seen; 95 % intervals by bootstrap over",
        "patients, from five patients on. Signal-to-noise ratios are of mean powers, per lead. Where no P is marked,",
        "as in fibrillation, its Dice is 0 and lowers the mean.",
    ]
    write_markdown(args.out / "robustness.md", "Delineation under other conditions", about, command, header, lines)


if __name__ == "__main__":
    main()
