"""What the shipped head is worth at annotated and at the package's own R peaks, and what brings the two together.

    python -m benchmarks.sequences.rpeaks --svdb SVDB

Sets, training, classes and scores as of `benchmarks.sequences.ablation`. Each head is fitted once per fold and labels
the same records twice, so that the difference is paired. Seeds draw the folds and the network; the CSV has the counts
of each record, the Markdown the mean over seeds, with 95 % intervals by bootstrap over patients (DS1) or records.

"No flutter" leaves out what is labelled within ventricular flutter, whose waves are not annotated one by one (144 s of
record 207); EC57 leaves it out, too.

Expected, before the run: with windows around the middle of the QRS, own R peaks cost at most .01 of V on SVDB instead
of .02, and V at annotated R peaks is as before; S does not change.

Cannot show: DS2 and the other records of SVDB, which are held back.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from beatssl_sklearn.datasets import fetch_mitdb
from beatssl_sklearn.evaluation import AAMIScores, aami_scores

from ..study.results import Table, command_of, shown, write_markdown
from .ablation import SETS, Way, context_columns, labelled, make_parser, some_columns
from .beats import CLASSES, BeatSet, load_beats, shipped_labeller

KEYS = ("head", "set", "seed", "record")
KINDS = ("annotated", "own", "own, no flutter")
LABELS = ("V", "S")
N_BOOTSTRAP = 2000

# Whether windows lie around the middle of the QRS, columns, and whether the head learns at both kinds of R peaks.
HEADS: dict[str, tuple[bool, Any, bool]] = {
    "windows at the R peak": (False, context_columns(morphology=True), True),
    "windows at the middle of the QRS": (True, context_columns(morphology=True), True),
    "the same, learns at annotated R peaks alone": (True, context_columns(morphology=True), False),
    "no embedding": (True, some_columns(False, True, True), True),
}


def described(beats: BeatSet, describe: Any) -> BeatSet:
    """Return the beats by the columns that a head reads."""
    return replace(beats, beats=describe(beats.beats), detected_beats=describe(beats.detected_beats))


def counted(both: bool, seed: int, target: BeatSet, other: BeatSet | None, flutter: Mapping[str, Any]) -> list[Any]:
    """Return one row of counts per record; `both` says whether the head learns at both kinds of R peaks."""
    way = Way(lambda beats: beats, partial(shipped_labeller, seed), both)
    annotated, own = labelled(way, target, other, [target.beats, target.detected_beats], seed)
    outside = [_outside(at, flutter.get(name, ())) for name, at in zip(target.names, target.detected, strict=True)]
    without = [labels[kept] for labels, kept in zip(own, outside, strict=True)]
    positions = [at[kept] for at, kept in zip(target.detected, outside, strict=True)]
    tests = (_scores(target, annotated), _scores(target, own, target.detected), _scores(target, without, positions))
    rows: list[dict[str, Any]] = [{"record": name, "patient": str(p)} for name, p in _patients(target)]
    for kind, scores in zip(KINDS, tests, strict=True):
        for label in LABELS:
            k = scores.scored.index(label)
            for name in ("tp", "fn", "fp"):
                for row, n in zip(rows, getattr(scores.outcomes, name)[:, k], strict=True):
                    row[f"{kind} {label} {name}"] = int(n)
    return rows


def _patients(target: BeatSet) -> list[tuple[str, Any]]:
    # Patients have DS1; of SVDB, each record counts as one.
    return list(zip(target.names, target.groups if len(target.names) < 30 else target.names, strict=True))


def _outside(at: NDArray[np.int64], episodes: Any) -> NDArray[np.bool_]:
    kept = np.ones(len(at), dtype=bool)
    for start, stop in episodes:
        kept &= (at < start) | (at >= stop)
    return kept


def _scores(target: BeatSet, labels: list[NDArray], detected: list[NDArray] | None = None) -> AAMIScores:
    at: dict[str, Any] = {}
    if detected is not None:
        at = {"rpeaks": target.rpeaks, "detected": detected, "fs": target.fs}
    return aami_scores(target.labels, labels, classes=CLASSES, exempt="none", **at)


def flutter_of(args: argparse.Namespace) -> dict[str, list[tuple[int, int]]]:
    """Return the episodes of ventricular flutter of the one record of MIT-BIH that has them [samples]."""
    rhythms = fetch_mitdb(args.data / "mitdb", records=[207], download_if_missing=False).rhythms[0]
    return {"207": [(start, stop) for start, stop, label in rhythms if label == "VFL"]}


def drawn(rows: list[dict[str, Any]]) -> dict[str, NDArray[np.float64]]:
    """Return scores of one fit: the value, and then those of draws of patients with replacement (1 + n_draws,)."""
    patients, code = np.unique([str(row["patient"]) for row in rows], return_inverse=True)
    n = len(patients)
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), N_BOOTSTRAP)
    times = np.concatenate([np.ones((1, n)), draws])
    out = {}
    for kind in KINDS:
        for label in LABELS:
            keys = [f"{kind} {label} {name}" for name in ("tp", "fn", "fp")]
            tp, fn, fp = (np.bincount(code, [row[key] for row in rows]) for key in keys)
            has = tp + fn > 0
            each = np.where(has, 2 * tp / np.maximum(2 * tp + fp + fn, 1), 0)
            tps, fns, fps = (times @ x for x in (tp, fn, fp))
            out[f"{kind} {label}"] = 2 * tps / np.maximum(2 * tps + fns + fps, 1)
            out[f"{kind} {label} mean"] = times @ each / np.maximum(times @ has, 1)
    return out


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--heads", type=lambda s: s.split(";"), default=list(HEADS))
    parser.add_argument("--sets", type=lambda s: s.split(";"), default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    words = sys.argv[1:] if argv is None else argv
    args = parser.parse_args(words)
    threadpool_limits(1)
    # The network stops after six epochs on purpose.
    warnings.simplefilter("ignore", ConvergenceWarning)
    table, flutter = Table(args.out / "rpeaks.csv", KEYS), flutter_of(args)
    for head in args.heads:
        todo = [(name, seed) for seed in range(args.seeds) for name in args.sets if not _rows(table, head, name, seed)]
        if not todo:
            continue
        align, describe, both = HEADS[head]
        ds1 = described(load_beats("mitdb", args, args.records, align), describe)
        alone = all(name == SETS[0] for name, _ in todo)
        svdb = None if alone else described(load_beats("svdb", args, args.records, align), describe)
        pairs: dict[str, Any] = dict(zip(SETS, ((ds1, None), (ds1, svdb), (svdb, ds1)), strict=True))
        for name, seed in todo:
            start = time.time()
            found = counted(both, seed, *pairs[name], flutter)
            for row in found:
                table.rows.append({"head": head, "set": name, "seed": seed, **row})
            # Written once per fit: a fit is finished, or has no row.
            table.add(table.rows[-1])
            sys.stdout.write(f"{head} | {name}, seed {seed}: {time.time() - start:.0f} s\n")
            sys.stdout.flush()
            write(table, args, words)
    write(table, args, words)


def _rows(table: Table, head: str, name: str, seed: int) -> list[dict[str, Any]]:
    return [row for row in table.rows if (row["head"], row["set"], row["seed"]) == (head, name, seed)]


def write(table: Table, args: argparse.Namespace, words: list[str]) -> None:
    """Write the Markdown table: means over seeds, with intervals over patients."""
    about = [
        "F1 on patients (DS1) or blocks of records (SVDB) that the head has not seen, at annotated R peaks; `mean`:",
        "over patients or records that have such beats. `own`: at the package's own R peaks less at annotated ones,",
        "missed and extra beats included; `no flutter`: the same without ventricular flutter. Mean over seeds of folds",
        "and network; 95 % intervals by bootstrap over patients or records.",
    ]
    header = ("set", "head", "seeds", "F1 V", "V mean", "V own", "V own, no flutter", "F1 S", "S mean", "S own")
    lines = []
    for name in SETS:
        for head in HEADS:
            runs = _runs(table, head, name)
            if runs:
                lines.append([name, head, str(len(runs)), *_cells(_mean(runs.values()))])
    about += _against_first(table)
    command = command_of("benchmarks.sequences.rpeaks", words)
    write_markdown(args.out / "rpeaks.md", "Annotated and own R peaks", about, command, header, lines)


def _runs(table: Table, head: str, name: str) -> dict[int, dict[str, NDArray[np.float64]]]:
    """Return the scores of a head on a set, by seed."""
    return {seed: drawn(rows) for seed in range(100) if (rows := _rows(table, head, name, seed))}


def _mean(runs: Iterable[Mapping[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    every = list(runs)
    return {key: np.mean([run[key] for run in every], axis=0) for key in every[0]}


def _against_first(table: Table) -> list[str]:
    """Return how the heads differ from the first one, over the seeds that both have: the same patients in each draw."""
    first, *others = HEADS
    found = ["", f'Less the head "{first}", both at own R peaks, over the seeds that both have:', ""]
    for name in SETS:
        base = _runs(table, first, name)
        for head in others:
            own = _runs(table, head, name)
            seeds = sorted(base.keys() & own.keys())
            if seeds:
                a, b = (_mean(runs[seed] for seed in seeds) for runs in (own, base))
                keys = {label: f"own {label}" for label in LABELS} | {"S mean": "own S mean"}
                cells = [f"{label} {_cell(a[key] - b[key], _signed)}" for label, key in keys.items()]
                found.append(f"- {name}, {head}, seeds {seeds}: {', '.join(cells)}.")
    return found if len(found) > 3 else []


def _cells(found: Mapping[str, NDArray[np.float64]]) -> list[str]:
    at, own, without = KINDS
    parts: list[tuple[NDArray[np.float64], Callable[[float], str]]] = []
    for label in LABELS:
        parts += [(found[f"{at} {label}"], shown), (found[f"{at} {label} mean"], shown)]
        others = (own, without) if label == "V" else (own,)
        parts += [(found[f"{kind} {label}"] - found[f"{at} {label}"], _signed) for kind in others]
    return [_cell(values, show) for values, show in parts]


def _cell(values: NDArray[np.float64], show: Callable[[float], str]) -> str:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return f"{show(float(values[0]))} ({show(float(low))} to {show(float(high))})"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".", 1)


if __name__ == "__main__":
    main()
