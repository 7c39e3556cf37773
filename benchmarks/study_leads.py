"""Swapped leads, wrong rates and wrong units: fits the models of `check_leads`, and says how often they are right.

Command
-------
``OMP_NUM_THREADS=1 python -m benchmarks.study_leads [--data FOLDER] [--out FOLDER] [--n-fit N] [--write]``

Takes minutes; ``--write`` puts the coefficients into the package.

What it measures
----------------
Records of PTB-XL (100 Hz, twelve leads) with leads swapped or inverted: the models of `check_leads` are fitted on folds
1 to 8, as recorded and with each mistake, and scored on fold 9, whose patients are others. AUROC of each mistake alone
against the records as recorded, with intervals of 95 % by bootstrap of patients' records; the share of mistakes that
`fix_leads` undoes at its default certainty, by the right one and by another; and the share of records as recorded that
it changes. Rates: the same signals called by another rate. Units: the same signals in microvolt, volt and counts.

What it cannot show
-------------------
How many leads of PTB-XL are swapped as they are (they count as right here), and how well it works on other devices'
placements.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from beatssl_sklearn import check_leads, detect_rpeaks, fix_leads
from beatssl_sklearn.ecg import LEADS
from beatssl_sklearn.inputs import Block
from beatssl_sklearn.quality import SWAPS, coarsen, median_beats, rate_inputs, shape_inputs

from .quality_sets import unpacker

FS = 100.0
RATES = {"fs_too_high": (200.0, 250.0, 400.0), "fs_too_low": (50.0, 62.5)}
N_BOOTSTRAP = 300
EIGHT = [0, 1, 6, 7, 8, 9, 10, 11]
STRENGTH = 0.2


class Results(NamedTuple):
    """Rows of the table of mistakes, and of that of units."""

    mistakes: list[list[object]]
    units: list[list[object]]


def folds(data: Path, wanted: range) -> NDArray[np.float32]:
    """Read folds of PTB-XL [mV]."""
    module = unpacker(data, "ptbxl")
    return np.concatenate([module.load_fold(k)[1] for k in wanted]).astype(np.float32) / 1000


def with_mistake(x: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """Return twelve leads as they are with a mistake; limb leads follow from I and II."""
    eight = SWAPS[name] @ x[:, EIGHT]
    i, ii = eight[:, 0], eight[:, 1]
    limb = np.stack([i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2], axis=1)
    return np.concatenate([limb, eight[:, 2:]], axis=1).astype(np.float32)


def beats_of(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median heartbeats of records."""
    none = np.zeros(x.shape[:2], np.float32)
    parts = [median_beats(coarsen(x[i : i + 64], FS, none[i : i + 64]), LEADS) for i in range(0, len(x), 64)]
    return np.concatenate(parts)


def fit_swaps(beats: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit a logistic model of each mistake; return weights of inputs as they are, and intercepts."""
    beats = beats[np.isfinite(beats).all(axis=(1, 2))]
    right = shape_inputs(beats)
    weights, intercepts = [], []
    for matrix in SWAPS.values():
        x = np.concatenate([right, shape_inputs(matrix @ beats)]).astype(np.float64)
        y = np.repeat([0, 1], len(right))
        mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-3)
        model = LogisticRegression(C=STRENGTH, solver="newton-cholesky", tol=1e-3, max_iter=8)
        model.fit((x - mean) / scale, y)
        own = model.coef_[0] / scale
        weights.append(own)
        intercepts.append(float(model.intercept_[0] - own @ mean))
    return np.array(weights, np.float32), np.array(intercepts, np.float32)


def rates_of(x: NDArray[np.float32], called: float) -> NDArray[np.float64]:
    """Return the inputs of the models of the rate, for records that are called by a rate."""
    out = []
    for i in range(0, len(x), 64):
        part = x[i : i + 64]
        rows = np.arange(len(part))
        block = Block(rows, part, called, LEADS, np.zeros(len(part), bool))
        out.append(rate_inputs(block, detect_rpeaks(part, called)))
    found = np.concatenate(out)
    return found[np.isfinite(found).all(axis=1)]


def fit_rates(x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit models of a rate that is too high, and too low."""
    right = rates_of(x, FS)
    weights, intercepts = [], []
    for called in RATES.values():
        wrong = np.concatenate([rates_of(x, rate) for rate in called])
        y = np.repeat([0, 1], [len(right), len(wrong)])
        model = LogisticRegression(class_weight="balanced").fit(np.concatenate([right, wrong]), y)
        weights.append(model.coef_[0])
        intercepts.append(model.intercept_[0])
    return np.array(weights, np.float32), np.array(intercepts, np.float32)


def auroc(right: NDArray, wrong: NDArray, rng: np.random.Generator) -> list[float]:
    """Return the AUROC of wrong against right, and an interval by bootstrap."""
    right, wrong = right[np.isfinite(right)], wrong[np.isfinite(wrong)]
    found = []
    for k in range(N_BOOTSTRAP + 1):
        a, b = (v if k == 0 else v[rng.integers(0, len(v), len(v))] for v in (right, wrong))
        found.append(roc_auc_score(np.repeat([0, 1], [len(a), len(b)]), np.concatenate([a, b])))
    return [float(found[0]), *(float(v) for v in np.percentile(found[1:], [2.5, 97.5]))]


def score(x: NDArray[np.float32]) -> Results:
    """Score the package's models on records as recorded and with mistakes."""
    rng = np.random.default_rng(0)
    right = check_leads(x, fs=FS)
    changed = float((fix_leads(x, fs=FS)[1]["done"] != "").mean())
    mistakes: list[list[object]] = [["as recorded", *[float("nan")] * 3, float("nan"), changed]]
    for name in SWAPS:
        spoilt = with_mistake(x, name)
        table = check_leads(spoilt, fs=FS)
        done = fix_leads(spoilt, fs=FS)[1]["done"]
        row = auroc(right[name].to_numpy(), table[name].to_numpy(), rng)
        # An inverted I or II, with limb leads that follow, is a mistake that no electrode makes; see `_settle`.
        mistakes.append([name, *row, float((done == name).mean()), float(((done != name) & (done != "")).mean())])
    for kind, called in RATES.items():
        for rate in called:
            table = check_leads(x, fs=rate)
            area = auroc(right[kind].to_numpy(), table[kind].to_numpy(), rng)
            mistakes.append([f"{kind}: {FS:g} Hz called {rate:g}", *area, 0.0, 0.0])
    units: list[list[object]] = []
    for unit, factor in (("mV", 1.0), ("uV", 1000.0), ("V", 0.001), ("counts", 200.0)):
        found = check_leads(factor * x, fs=FS)["unit"]
        units.append([unit, *(float((found == other).mean()) for other in ("mV", "uV", "V", "counts"))])
    return Results(mistakes, units)


def write(out: Path, results: Results, n: tuple[int, int], date: str) -> None:
    """Write `leads.csv` and `leads.md`."""
    header = ["mistake", "AUROC", "low", "high", "undone", "changed otherwise"]
    with open(out / "leads.csv", "w", newline="") as f:
        rows = [[f"{v:.4f}" if isinstance(v, float) else v for v in row] for row in results.mistakes]
        csv.writer(f, lineterminator="\n").writerows([header, *rows])
    lines = [
        "# Swapped leads, wrong rates and units",
        "",
        f"`OMP_NUM_THREADS=1 python -m benchmarks.study_leads`, {date}. What is measured stands in that file's",
        f"docstring. Fitted on {n[0]} records of PTB-XL's folds 1-8, scored on {n[1]} of fold 9. Shares in percent.",
        "",
        "| mistake | AUROC | undone | changed otherwise |",
        "|---|---|---|---|",
    ]
    for name, a, low, high, undone, other in results.mistakes:
        shown = "" if np.isnan(float(str(a))) else f"{a:.3f} ({low:.3f}-{high:.3f})"
        shares = [] if "fs" in str(name) else [as_percent(v) for v in (undone, other)]
        lines.append(f"| {name} | {shown} | {' | '.join(shares or ['', ''])} |")
    lines += ["", "| unit | called mV | uV | V | counts |", "|---|---|---|---|---|"]
    lines += [f"| {unit} | {' | '.join(as_percent(v) for v in row)} |" for unit, *row in results.units]
    (out / "leads.md").write_text("\n".join(lines) + "\n")


def as_percent(share: object) -> str:
    """Return a share in percent; nothing for NaN."""
    value = 100 * float(str(share))
    return "" if np.isnan(value) else f"{value:.1f}"


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = os.environ.get("BEATSSL_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--n-fit", type=int, default=9000, help="records of folds 1-8 [%(default)s]")
    parser.add_argument("--write", action="store_true", help="fit, and write the coefficients into the package")
    parser.add_argument("--date", default="2026-11-26")
    args = parser.parse_args()
    if args.write:
        x = folds(args.data, range(1, 9))
        x = x[np.random.default_rng(0).permutation(len(x))[: args.n_fit]]
        path = Path(__file__).parents[1] / "beatssl_sklearn" / "quality" / "leads.npz"
        write_models(path, beats_of(x), x[:600])
    held_out = folds(args.data, range(9, 10))
    write(args.out, score(held_out), (args.n_fit, len(held_out)), args.date)
    sys.stdout.write((args.out / "leads.md").read_text())


def write_models(path: Path, beats: NDArray[np.float32], x: NDArray[np.float32]) -> None:
    """Fit the models and write them as the package reads them."""
    weights, intercepts = fit_swaps(beats)
    rate_weights, rate_intercepts = fit_rates(x)
    np.savez_compressed(
        path, weights=weights, intercepts=intercepts, rate_weights=rate_weights, rate_intercepts=rate_intercepts
    )


if __name__ == "__main__":
    main()
