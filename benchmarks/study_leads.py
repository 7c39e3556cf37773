"""Swapped leads, wrong rates and wrong units: fits the models of `check_leads`, and says how often they are right.

Command
-------
``OMP_NUM_THREADS=1 python -m benchmarks.study_leads [--data FOLDER] [--out FOLDER] [--fit 1 .. 8] [--score 9]
[--n-fit N] [--n-score N] [--n-choose N] [--write]``

Takes minutes; ``--write`` fits, and puts the coefficients into the package.

What it measures
----------------
Records of PTB-XL (100 Hz, twelve leads) with leads swapped or inverted: the models of `check_leads` are fitted on folds
1 to 8, as recorded and with each mistake, and scored on fold 9, whose patients are others. AUROC of each mistake alone
against the records as recorded, with intervals of 95 % by bootstrap of records; the share of mistakes that `fix_leads`
undoes at its default certainty, by the right one and by another; and the share of records as recorded that it changes.
The same shares for other certainties, of fold 9, and of the patients of folds 1 to 8 of whom no record was fitted on:
these chose the default certainty, and fold 9 shows it once. Noise: the same of records with more and more noise, which
chose the limits of noise on the same unseen patients. Rates: the same signals called by another rate. Units: the same
signals in microvolt, volt and counts.

The penalty and the weight of the evidence were chosen on median heartbeats of folds 7 and 8, by models of folds 1 to 6.
So no patient of fold 9 has chosen them.

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
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from beatssl_sklearn import check_leads, detect_rpeaks, fix_leads
from beatssl_sklearn.ecg import LEADS
from beatssl_sklearn.inputs import Block
from beatssl_sklearn.quality import SWAPS, coarsen, least_certainty, median_beats, rate_inputs, shape_inputs

from .leads_noise import NoiseRow, score_noise, told_of_noise
from .quality_sets import unpacker

if TYPE_CHECKING:
    from pandas import DataFrame

FS = 100.0
RATES = {"fs_too_high": (200.0, 250.0, 400.0), "fs_too_low": (50.0, 62.5)}
N_BOOTSTRAP = 300
# Records that the models of the rate are fitted on.
N_RATES = 600
# Records with each noise, and with each noise and mistake.
N_NOISY, N_MISTAKEN = 1500, 60
UNITS = {"mV": 1.0, "uV": 1000.0, "V": 0.001, "counts": 200.0}
EIGHT = [0, 1, 6, 7, 8, 9, 10, 11]
STRENGTH = 0.2
CERTAINTIES = (0.5, 0.7, 0.9, 0.95, 0.97, 0.98, 0.985, 0.99, 0.995, 0.999)
# No electrode does these to leads of which the others follow; `check_leads` knows.
IMPOSSIBLE = ("inverted I", "inverted II")


class Mistake(NamedTuple):
    """What `check_leads` and `fix_leads` say of records with one mistake, or none.

    Attributes
    ----------
    name : str
        "" for none.
    area : list of float
        AUROC against none, and its interval.
    undone, other : float
        Shares in which `fix_leads` undoes it, and does something else.
    by_certainty : ndarray of shape (2, n_certainties)
        The same, by the certainty that is asked for.
    """

    name: str
    area: list[float]
    undone: float
    other: float
    by_certainty: NDArray[np.float64]


class Trade(NamedTuple):
    """What each of `CERTAINTIES` does to some patients' records.

    Attributes
    ----------
    name : str
        Whose records these are.
    changed : ndarray of shape (n_certainties,)
        Share of the records as recorded that would be changed.
    undone, other : ndarray of shape (n_certainties,)
        Shares of mistakes of electrodes that would be undone, and changed otherwise: means over the mistakes.
    """

    name: str
    changed: NDArray[np.float64]
    undone: NDArray[np.float64]
    other: NDArray[np.float64]


def folds(data: Path, wanted: Sequence[int]) -> NDArray[np.float32]:
    """Read folds of PTB-XL [mV]."""
    module = unpacker(data, "ptbxl")
    return np.concatenate([module.load_fold(k)[1] for k in wanted]).astype(np.float32) / 1000


def fitted_and_unseen(data: Path, wanted: Sequence[int], n_fit: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which records of folds models are fitted on, and those of patients of whom there is none among them."""
    ids = np.concatenate([np.loadtxt(data / "ptbxl" / f"fold{k:02d}.ids.txt", dtype=np.int64) for k in wanted])
    with open(data / "ptbxl" / "labels.csv", newline="") as f:
        patient_of = {int(row["ecg_id"]): row["patient_id"] for row in csv.DictReader(f)}
    patients = np.array([patient_of[i] for i in ids.tolist()])
    order = np.random.default_rng(0).permutation(len(ids))
    fitted, rest = order[:n_fit], order[n_fit:]
    return fitted, rest[~np.isin(patients[rest], patients[fitted])]


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
        # To the minimum: what stops before it depends on details, and is less certain of what it finds.
        model = LogisticRegression(C=STRENGTH, solver="newton-cholesky", tol=1e-5, max_iter=100)
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


def score_mistake(x: NDArray[np.float32], right: DataFrame, name: str) -> Mistake:
    """Score records (n_records, 12, n_times) with a mistake; `right` is what `check_leads` says of them without."""
    spoilt = with_mistake(x, name) if name else x
    table = check_leads(spoilt, fs=FS) if name else right
    done = fix_leads(spoilt, fs=FS)[1]["done"]
    area = [float("nan")] * 3
    if name:
        area = auroc(right[name].to_numpy(), table[name].to_numpy(), np.random.default_rng(0))
    undone = float((done == name).mean()) if name else float("nan")
    return Mistake(name, area, undone, float(((done != name) & (done != "")).mean()), shares(table, name))


def shares(table: DataFrame, name: str, one_line: bool = False) -> NDArray[np.float64]:
    """Return the shares of records (2, n_certainties) of which a mistake, and another one, is found by certainty.

    With `one_line`, swaps that change little are not asked for more than others.
    """
    likely, certainty = table["likely"].to_numpy(), table["certainty"].to_numpy()
    asked = np.array([[c if one_line else least_certainty(own, c) for c in CERTAINTIES] for own in likely])
    certain = certainty[:, None] >= asked
    wanted = np.stack([(likely == name) & (likely != ""), (likely != name) & (likely != "")])
    return np.asarray((wanted[..., None] & certain).mean(axis=1))


def trades_of(x: NDArray[np.float32], n_score: int) -> list[Trade]:
    """Return what each certainty does to records as recorded, and to some of them with each mistake: two rules."""
    names = [name for name in SWAPS if name not in IMPOSSIBLE]
    right, wrong = check_leads(x, fs=FS), [check_leads(with_mistake(x[:n_score], name), fs=FS) for name in names]
    found = []
    for rule, one_line in (("one line for all", True), ("stricter for some", False)):
        of_all = [shares(table, name, one_line) for table, name in zip(wrong, names, strict=True)]
        found.append(Trade(f"unseen, {rule}", shares(right, "", one_line)[1], *np.mean(of_all, axis=0)))
    return found


def score_rates(x: NDArray[np.float32], right: DataFrame) -> list[tuple[str, list[float]]]:
    """Return the AUROC of each rate by which the records are called."""
    rows = []
    for kind, called in RATES.items():
        for rate in called:
            found = check_leads(x, fs=rate)[kind].to_numpy()
            area = auroc(right[kind].to_numpy(), found, np.random.default_rng(0))
            rows.append((f"{kind}: {FS:g} Hz called {rate:g}", area))
    return rows


def score_units(x: NDArray[np.float32]) -> dict[str, list[float]]:
    """Return which units are found, by the unit of the records."""
    found = {unit: check_leads(factor * x, fs=FS)["unit"] for unit, factor in UNITS.items()}
    return {unit: [float((own == other).mean()) for other in UNITS] for unit, own in found.items()}


def write(
    out: Path,
    ran: str,
    mistakes: list[Mistake],
    trades: Sequence[Trade],
    noise: dict[str, list[NoiseRow]],
    rates: list[tuple[str, list[float]]],
    units: dict[str, list[float]],
) -> None:
    """Write `leads.csv` and `leads.md`."""
    rows: list[list[object]] = [["mistake", "AUROC", "low", "high", "undone", "changed otherwise"]]
    for m in mistakes:
        rows.append([m.name or "as recorded", *(f"{v:.4f}" for v in (*m.area, m.undone, m.other))])
    rows += [[name, *(f"{v:.4f}" for v in area), "", ""] for name, area in rates]
    with open(out / "leads.csv", "w", newline="") as f:
        csv.writer(f, lineterminator="\n").writerows(rows)
    lines = ["# Swapped leads, wrong rates and units", "", ran, "", "| mistake | AUROC | undone | changed otherwise |"]
    lines.append("|---|---|---|---|")
    for m in mistakes:
        area = "{:.4f} ({:.4f}-{:.4f})".format(*m.area) if m.name else ""
        lines.append(f"| {m.name or 'as recorded'} | {area} | {as_percent(m.undone)} | {as_percent(m.other)} |")
    lines += ["", "I or II inverted, with limb leads that follow, is no mistake of an electrode, and not looked for."]
    lines += ["", "By the certainty asked for: records as recorded that are changed; of the mistakes that an"]
    lines += ["electrode can make, those that are undone and those that are changed otherwise, on average.", ""]
    heads = [f"{t.name}: changed | undone | changed otherwise" for t in (*trades, of_mistakes(mistakes))]
    lines += [f"| certainty | {' | '.join(heads)} |", "|---" * (1 + 3 * len(heads)) + "|"]
    for k, certainty in enumerate(CERTAINTIES):
        cells = [
            f"{as_percent(t.changed[k], 2)} | {as_percent(t.undone[k])} | {as_percent(t.other[k], 2)}"
            for t in (*trades, of_mistakes(mistakes))
        ]
        lines.append(f"| {certainty} | {' | '.join(cells)} |")
    lines += told_of_noise(noise)
    lines += ["", "| rate | AUROC |", "|---|---|"]
    lines += [f"| {name} | {{:.3f}} ({{:.3f}}-{{:.3f}}) |".format(*area) for name, area in rates]
    lines += ["", f"| unit | called {' | '.join(units)} |", "|---" * (len(units) + 1) + "|"]
    lines += [f"| {unit} | {' | '.join(as_percent(v) for v in row)} |" for unit, row in units.items()]
    (out / "leads.md").write_text("\n".join(lines) + "\n")


def of_mistakes(mistakes: list[Mistake]) -> Trade:
    """Return what each certainty does to the records that are scored."""
    none = next(m for m in mistakes if not m.name).by_certainty[1]
    of_all = [m.by_certainty for m in mistakes if m.name and m.name not in IMPOSSIBLE]
    return Trade("scored, stricter for some", none, *np.mean(of_all, axis=0))


def as_percent(share: float, digits: int = 1) -> str:
    """Return a share in percent; nothing for NaN."""
    return "" if np.isnan(share) else f"{100 * share:.{digits}f}"


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = os.environ.get("BEATSSL_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--fit", type=int, nargs="+", default=list(range(1, 9)), help="folds [1 to 8]")
    parser.add_argument("--score", type=int, nargs="+", default=[9], help="folds [9]")
    parser.add_argument("--n-fit", type=int, default=9000, help="records to fit on [%(default)s]")
    parser.add_argument("--n-score", type=int, default=800, help="records to score with each mistake [%(default)s]")
    parser.add_argument("--n-choose", type=int, default=300, help="unseen records with each mistake [%(default)s]")
    parser.add_argument("--write", action="store_true", help="fit, and write the coefficients into the package")
    parser.add_argument("--date", default="2026-11-27")
    args = parser.parse_args()
    x = folds(args.data, args.fit)
    fitted, unseen = fitted_and_unseen(args.data, args.fit, args.n_fit)
    if args.write:
        path = Path(__file__).parents[1] / "beatssl_sklearn" / "quality" / "leads.npz"
        write_models(path, beats_of(x[fitted]), x[fitted[:N_RATES]])
    chosen = trades_of(x[unseen], args.n_choose)
    held_out = folds(args.data, args.score)
    held_out = held_out[np.random.default_rng(0).permutation(len(held_out))]
    right = check_leads(held_out, fs=FS)
    some, right_of_some = held_out[: args.n_score], right[: args.n_score]
    mistakes = [score_mistake(held_out, right, "")]
    mistakes += [score_mistake(some, right_of_some, name) for name in SWAPS]
    ran = told(args.date, (args.n_fit, len(held_out), len(some)), args.fit, args.score)
    ran += f"\nUnseen: {len(unseen)} records of patients of whom none was fitted; {args.n_choose} with each mistake."
    names = [name for name in SWAPS if name not in IMPOSSIBLE]
    sets = {"unseen": x[unseen[:N_NOISY]], "scored": held_out}
    noise = {name: score_noise(args.data, own, FS, N_MISTAKEN, names, with_mistake) for name, own in sets.items()}
    write(args.out, ran, mistakes, chosen, noise, score_rates(some, right_of_some), score_units(some))
    sys.stdout.write((args.out / "leads.md").read_text())


def told(date: str, n: tuple[int, int, int], fit: Sequence[int], scored: Sequence[int]) -> str:
    """Say what was run: how many records were fitted, scored as recorded, and scored with each mistake."""
    folds_fitted, fold_scored = (" ".join(str(k) for k in own) for own in (fit, scored))
    return (
        f"`OMP_NUM_THREADS=1 python -m benchmarks.study_leads --write`, {date}, makes the models of the package, the\n"
        f"same each time. What is measured stands in that file's docstring. Fitted on {n[0]} records of PTB-XL's\n"
        f"folds {folds_fitted}. Scored on fold {fold_scored}: {n[1]} records as recorded, and {n[2]} of them with\n"
        f"each mistake, rate and unit. Intervals of 95 %; shares in percent."
    )


def write_models(path: Path, beats: NDArray[np.float32], x: NDArray[np.float32]) -> None:
    """Fit the models and write them as the package reads them."""
    weights, intercepts = fit_swaps(beats)
    rate_weights, rate_intercepts = fit_rates(x)
    np.savez_compressed(
        path, weights=weights, intercepts=intercepts, rate_weights=rate_weights, rate_intercepts=rate_intercepts
    )


if __name__ == "__main__":
    main()
