"""The tables of `study_quality`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from .quality_kinds import ACCEPTABLE, BETWEEN

# What was tried once, by hand.
NOTES_ON_MARKS = [
    "",
    "Boosted trees on all measures of all leads, fitted to the marks of folds 1 to 8, reach .79 on fold 9. So these",
    "measures do not tell much more of the marks than that.",
]
NOTES_ON_KINDS = [
    "At 100 Hz, nothing is left of hum of 50 Hz. The recordings of noise are loud and quiet by turns: where a kind",
    "has 1 mV, it is that over the whole recording, and in a record's seconds .2 to 1.8 mV, except 'all the time'.",
    "Clipping is found where a lead comes back to its largest or smallest value and is hardly next to it. Rounded to",
    "10 uV, 1 to 2 % of LUDB's whole records have a lead that looks like that, and to 20 uV, 1 to 5 %. Clipped records",
    "that are filtered afterwards (.05 to 150 Hz) are not found at all. These two were tried once, by hand.",
]


class Mark(NamedTuple):
    """A kind of mark: numbers and AUROCs against records without a mark, of all folds, of fold 9, and of a measure."""

    kind: str
    n: int
    area: float
    n_nine: int
    area_nine: float
    measure: str
    area_measure: float


class ByKind(NamedTuple):
    """Scores of records with each kind of fault, by its name: of LUDB, and of PTB-XL's fold 9."""

    ludb: dict[str, NDArray[np.float64]]
    ptbxl: dict[str, NDArray[np.float64]]


def area_of(bad: NDArray[np.bool_], logits: NDArray) -> float:
    """Return the AUROC; NaN with fewer than ten bad records."""
    return float("nan") if bad.sum() < 10 else float(roc_auc_score(bad, logits))


def areas_of_kinds(scores: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    """Return the AUROC of each kind against all that is acceptable."""
    good = np.concatenate([scores[name] for name in ACCEPTABLE])
    return {
        name: area_of(np.repeat([False, True], [len(good), len(own)]), -np.concatenate([good, own]))
        for name, own in scores.items()
        if name not in ACCEPTABLE
    }


HEADER = (
    "set", "records", "bad", "AUROC of leads", "low", "high", "AUROC of records", "low", "high", "without this set",
    "good below .5", "bad below .5",
)  # fmt: skip


def write(
    out: Path,
    rows: list[list[object]],
    marks: list[Mark],
    kinds: ByKind,
    lengths: dict[float, tuple[int, float]],
    rates: dict[str, float],
    date: str,
) -> None:
    """Write `quality.csv` and `quality.md`."""
    with open(out / "quality.csv", "w", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerows([HEADER, *([f"{v:.4f}" if isinstance(v, float) else v for v in row] for row in rows)])
    lines = [
        "# Scores of quality",
        "",
        f"`OMP_NUM_THREADS=1 python -m benchmarks.study_quality`, {date}. What is measured stands in that file's",
        "docstring. By patient, out of fold; intervals of 95 %.",
        "",
        "| set | records | bad | AUROC of leads | AUROC of records | without this set | good below .5 | bad below .5 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, n, bad, a, a0, a1, b, b0, b1, other, good_low, bad_low in rows:
        without = "" if np.isnan(float(str(other))) else f"{other:.3f}"
        shares = [f"{100 * float(str(v)):.0f} %" for v in (bad, good_low, bad_low)]
        areas = [f"{a:.3f} ({a0:.3f}-{a1:.3f})", f"{b:.3f} ({b0:.3f}-{b1:.3f})", without]
        lines.append("| " + " | ".join([str(name), str(n), shares[0], *areas, *shares[1:]]) + " |")
    lines += ["", "AUROC of each kind of mark against records without a mark: of the score, and of one measure alone,"]
    lines += ["of the lead where it is largest. A mark says that somebody saw it, not that nobody can read it.", ""]
    lines += ["| mark | folds 1-9 | score | fold 9 | score | measure, folds 1-9 |", "|---|---|---|---|---|---|"]
    for m in marks:
        alone = f"{m.measure} {as_area(m.area_measure)}"
        lines.append(f"| {m.kind} | {m.n} | {as_area(m.area)} | {m.n_nine} | {as_area(m.area_nine)} | {alone} |")
    lines += NOTES_ON_MARKS
    lines += told_of_kinds(kinds)
    lines += ["", "PTB-XL's records without a mark, cut to a length, with the scores of the package:", ""]
    lines += ["| seconds | records | below .5 |", "|---|---|---|"]
    lines += [f"| {seconds:g} | {n} | {100 * share:.1f} % |" for seconds, (n, share) in lengths.items()]
    lines += ["", "Speed with twelve leads of 10 s, one core, with the search for R peaks:", ""]
    lines += [f"- {name}: {rate:.0f} records per second of processor time" for name, rate in rates.items()]
    (out / "quality.md").write_text("\n".join(lines) + "\n")


def told_of_kinds(kinds: ByKind) -> list[str]:
    """Return the table of kinds."""
    n = [len(scores["as recorded"]) for scores in kinds]
    lines = ["", f"Scores of {n[0]} records of LUDB and {n[1]} of PTB-XL's fold 9, with one kind of fault. AUROC is"]
    lines += ["against all that is called acceptable, of the same records.", ""]
    lines += ["| kind | LUDB: AUROC | median | 10 % to 90 % | below .5 | PTB-XL: AUROC | median | below .5 |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    areas = [areas_of_kinds(scores) for scores in kinds]
    for name, ludb in kinds.ludb.items():
        low, median, high = np.percentile(ludb, [10, 50, 90])
        ptbxl = kinds.ptbxl[name]
        of_ludb, of_ptbxl = ("acceptable" if name in ACCEPTABLE else as_area(own[name]) for own in areas)
        cells = [f"{name}{' (between)' if name in BETWEEN else ''}", of_ludb, f"{median:.2f}", f"{low:.2f}-{high:.2f}"]
        cells += [f"{100 * np.mean(ludb < 0.5):.0f} %", of_ptbxl, f"{np.median(ptbxl):.2f}"]
        lines.append(f"| {' | '.join([*cells, f'{100 * np.mean(ptbxl < 0.5):.0f} %'])} |")
    bad = [k for k in kinds.ludb if k not in (*ACCEPTABLE, *BETWEEN)]
    weak = {k: tuple(as_area(own[k]) for own in areas) for k in bad if min(own[k] for own in areas) < 0.93}
    below = "; ".join(f"{k} ({', '.join(own)})" for k, own in weak.items())
    return [*lines, "", f"Bad kinds with an AUROC below .93: {below or 'none'}.", *NOTES_ON_KINDS]


def as_area(area: float) -> str:
    """Return an AUROC with three digits; nothing for NaN."""
    return "" if np.isnan(area) else f"{area:.3f}"
