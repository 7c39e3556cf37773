"""Scores of quality: fits them, and says how well they agree with people's judgement.

Command
-------
``OMP_NUM_THREADS=1 python -m benchmarks.study_quality [--data FOLDER] [--out FOLDER] [--write] [--date DATE]``

Takes minutes; ``--write`` puts the coefficients into the package.

What it measures
----------------
Two logistic models: of a lead being bad, from the measures of `signal_quality`, and of a record of several leads being
unacceptable, from the logits of its leads and some measures. They are fitted on all sets together, which share the
weights, while each set has an intercept of its own: people draw the line at different places. The package has the
intercept of the spoilt records. A record of one lead has that lead's score.

- PTB-XL marks: records that somebody has looked at; unacceptable are those with a mark of drift, static or burst noise
  or electrode problems, and of leads, those that the mark names.
- CinC 2017 noisy: one lead; the class "~".
- Spoilt: clean records, of which half get an electrode off, noise of the MIT-BIH Noise Stress Test at their electrodes
  (-14 to -2 dB) or in one to four leads alone (.5 to 3 mV), large drift, contacts that open, one, three or all leads
  clipped at .2 to .75 of their height, or nothing but noise. Most of all, good ones too, get mild noise (10 to 28 dB)
  and hum, and some a small lead, as across the heart's axis.

- Marks: each kind of PTB-XL's marks against records without any, of all folds, and of fold 9 alone.
- Kinds: records of LUDB (500 Hz), and of PTB-XL's fold 9 without a mark (100 Hz), with one kind of fault at a time,
  scored by models that saw neither their patients nor their part of the noise. The AUROC of a kind is against the same
  records as recorded and with mild noise or wander, all of which a person would accept.
- Lengths: an eighth of PTB-XL's records without a mark, cut to some seconds, with the scores of the package.

AUROC by cross-validation in five parts, by patient, of the noise recordings too; intervals of 95 % by bootstrap of
records. "Without this set" is the same with coefficients that were fitted on all other sets.

What it cannot show
-------------------
Spoilt records are spoilt as we think they are. People's marks differ between hospitals and purposes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from beatssl_sklearn import WFDBFolder, signal_quality
from beatssl_sklearn.quality import LEAD_INPUTS, RECORD_INPUTS, Measured, lead_inputs, measure_quality, record_inputs

from .quality_kinds import Kinds
from .quality_sets import MARKS, N_PARTS, QualitySet, cinc2017, ptbxl_marked, spoilt
from .quality_tables import ByKind, Mark, area_of, write

N_BOOTSTRAP = 200
LENGTHS = (2.0, 3.0, 4.0, 5.0, 10.0)
PENALTY = 0.01
# The measure that comes nearest to each kind of mark.
OF_MARK = dict(zip(MARKS, ("baseline", "noise", "burst", "unlike_worst"), strict=True))


class Rows(NamedTuple):
    """Measures of a set, without its signals."""

    name: str
    measured: Measured
    bad_leads: NDArray[np.float64]
    bad: NDArray[np.bool_]
    parts: NDArray[np.int64]


class Model(NamedTuple):
    """A logistic model: of inputs as they are, not scaled."""

    weights: NDArray[np.float64]
    intercept: float


def measured(sets: Sequence[QualitySet]) -> list[Rows]:
    """Measure sets."""
    return [Rows(s.name, measure_quality(s.signal, s.fs), s.bad_leads, s.bad, s.parts) for s in sets]


def fit(inputs: Sequence[NDArray], bad: Sequence[NDArray], names: Sequence[str], wanted: str) -> Model:
    """Fit one model on several sets with an intercept of each name; return that of `wanted`.

    Each set has the same weight, and so have its bad and its good rows together.
    """
    kinds = sorted(set(names))
    x, y = np.concatenate(inputs), np.concatenate(bad).astype(int)
    scale = np.maximum(x.std(axis=0), 1e-3)
    of_set = np.concatenate([np.full(len(b), kinds.index(name)) for b, name in zip(bad, names, strict=True)])
    counts = np.array([[max(1, np.sum((of_set == k) & (y == c))) for c in (0, 1)] for k in range(len(kinds))])
    weight = 1 / counts[of_set, y]
    one_hot = 10.0 * (of_set[:, None] == np.arange(len(kinds)))
    weight *= len(kinds) / weight.sum()
    model = LogisticRegression(C=1 / PENALTY, solver="newton-cholesky", fit_intercept=False)
    model.fit(np.concatenate([x / scale, one_hot], axis=1), y, sample_weight=weight)
    w = model.coef_[0]
    return Model(w[: x.shape[1]] / scale, float(10 * w[x.shape[1] + kinds.index(wanted)]))


def kind_of(name: str) -> str:
    """Return what sets share an intercept."""
    return "spoilt" if name.endswith("spoilt") else name


def fit_both(sets: Sequence[Rows], keep: Sequence[NDArray[np.bool_]]) -> tuple[Model, Model]:
    """Fit the models of leads and of records on the records to keep."""
    used = [(s, k) for s, k in zip(sets, keep, strict=True) if k.any()]
    names = [kind_of(s.name) for s, _ in used]
    inputs, bad = [], []
    for s, k in used:
        known = k[:, None] & np.isfinite(s.bad_leads)
        inputs.append(lead_inputs(s.measured.leads)[known])
        bad.append(s.bad_leads[known])
    lead = fit(inputs, bad, names, "spoilt")
    several = [(s, k) for s, k in used if s.bad_leads.shape[1] > 1]
    of_records = [inputs_of_records(s, lead)[k] for s, k in several]
    return lead, fit(of_records, [s.bad[k] for s, k in several], [kind_of(s.name) for s, _ in several], "spoilt")


def inputs_of_records(s: Rows, lead: Model) -> NDArray[np.float32]:
    """Return what a record's score is computed from, with a model of leads."""
    logits = lead_inputs(s.measured.leads) @ lead.weights + lead.intercept
    return record_inputs(logits, s.measured.leads, s.measured.n_beats)


def predict(s: Rows, lead: Model, record: Model) -> tuple[NDArray, NDArray]:
    """Return logits of leads and of records."""
    leads = lead_inputs(s.measured.leads) @ lead.weights + lead.intercept
    one = leads.shape[1] == 1
    return leads, leads[:, 0] if one else inputs_of_records(s, lead) @ record.weights + record.intercept


def out_of_fold(sets: Sequence[Rows], without: str | None = None) -> list[tuple[NDArray, NDArray]]:
    """Return logits of leads and of records from models that saw neither their patients, nor the set `without`."""
    found = [(np.zeros(s.bad_leads.shape), np.zeros(len(s.bad))) for s in sets]
    for part in range(N_PARTS):
        keep = [(s.parts != part) & (kind_of(s.name) != without) for s in sets]
        models = fit_both(sets, keep)
        for s, (leads, records) in zip(sets, found, strict=True):
            own = s.parts == part
            of_leads, of_records = predict(s, *models)
            leads[own], records[own] = of_leads[own], of_records[own]
    return found


def auroc(bad: NDArray, logits: NDArray, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the AUROC, and an interval by bootstrap of records; NaN in `bad` is unknown."""
    there = np.isfinite(bad)
    order = np.argsort(logits[there])
    x, y, records = logits[there][order], bad[there][order] == 1, np.nonzero(there)[0][order]
    first, last = np.searchsorted(x, x, "left"), np.searchsorted(x, x, "right")

    def area(times: NDArray[np.int64]) -> float:
        # So many times each record is drawn; of equals, half count as below.
        good, ill = times[records] * ~y, times[records] * y
        below = np.concatenate([[0], np.cumsum(good)])
        return float(ill @ (below[first] + below[last]) / 2 / (ill.sum() * good.sum()))

    n = len(bad)
    drawn = [area(np.bincount(rng.integers(0, n, n), minlength=n)) for _ in range(N_BOOTSTRAP)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return area(np.ones(n, np.int64)), float(low), float(high)


def merged(sets: Sequence[Rows], found: Sequence[tuple[NDArray, NDArray]]) -> dict[str, list[NDArray]]:
    """Join the parts of one set: bad leads, bad records, logits of leads and of records."""
    out: dict[str, list[NDArray]] = {}
    for name in dict.fromkeys(s.name for s in sets):
        own = [(s.bad_leads, s.bad, *f) for s, f in zip(sets, found, strict=True) if s.name == name]
        out[name] = [np.concatenate(column) for column in zip(*own, strict=True)]
    return out


def study(sets: Sequence[Rows], inside: dict[str, list[NDArray]]) -> list[list[object]]:
    """Return a row of results per set, from what `merged` returns of all of them."""
    rng = np.random.default_rng(0)
    outside: dict[str, list[NDArray]] = {}
    for kind in dict.fromkeys(kind_of(s.name) for s in sets):
        # Without the spoilt records there is no intercept that counts, but AUROC needs none.
        if kind != "spoilt":
            found = merged(sets, out_of_fold(sets, without=kind))
            outside |= {name: own for name, own in found.items() if kind_of(name) == kind}
    rows = []
    for name, (bad_leads, bad, of_leads, of_records) in inside.items():
        row: list[object] = [name, len(bad), float(bad.mean())]
        row += [*auroc(bad_leads, of_leads, rng), *auroc(bad, of_records, rng)]
        row.append(auroc(outside[name][1], outside[name][3], rng)[0] if name in outside else float("nan"))
        row += [float((of_records[bad == c] > 0).mean()) for c in (False, True)]
        rows.append(row)
    return rows


def by_mark(marked: QualitySet, logits: NDArray, measured: Measured) -> list[Mark]:
    """Return what the score, and the measure that comes nearest, say of each kind of mark."""
    # The part that has fold 9 has fold 4, too.
    nine = np.arange(len(marked.bad)) >= len(marked.bad) - marked.n_last_fold
    rows = []
    for kind, own in zip(MARKS, marked.marks.T, strict=True):
        of_all = (own | ~marked.bad, (own | ~marked.bad) & nine)
        (n, area), (n9, area9) = ((int(own[k].sum()), area_of(own[k], logits[k])) for k in of_all)
        measure = OF_MARK[kind]
        worst = np.nan_to_num(getattr(measured.leads, measure)).max(axis=1)
        alone = area_of(own[of_all[0]], worst[of_all[0]])
        rows.append(Mark(kind.replace("_", " "), n, area, n9, area9, measure, alone))
    return rows


def by_kind(data: Path, sets: Sequence[Rows], marked: QualitySet) -> ByKind:
    """Return scores of records with each kind of fault."""
    models = [fit_both(sets, [s.parts != part for s in sets]) for part in range(N_PARTS)]
    signal = np.stack([record.signal for record in WFDBFolder(data / "ludb")])
    ludb: dict[str, list[NDArray]] = {}
    for part in range(N_PARTS):
        # As `clean_sets` deals them out.
        own = signal[np.arange(len(signal)) % N_PARTS == part]
        for name, scores in scores_of_kinds(data, own, 500.0, part, models[part]):
            ludb.setdefault(name, []).append(scores)
    good = marked.signal[-marked.n_last_fold :][~marked.bad[-marked.n_last_fold :]]
    part = int(marked.parts[-1])
    ptbxl = dict(scores_of_kinds(data, good, marked.fs, part, models[part]))
    return ByKind({name: np.concatenate(own) for name, own in ludb.items()}, ptbxl)


def scores_of_kinds(
    data: Path, signal: NDArray[np.float32], fs: float, part: int, models: tuple[Model, Model]
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield each kind of fault and the scores of records with it."""
    for name, x in Kinds(data, fs, part)(signal):
        n = len(x)
        rows = Rows(name, measure_quality(x, fs), np.zeros((n, 12)), np.zeros(n, bool), np.full(n, part))
        yield name, 1 / (1 + np.exp(predict(rows, *models)[1]))


def speed(s: QualitySet) -> float:
    """Return records per second of processor time."""
    x = np.tile(s.signal[:200], (3, 1, 1))
    measure_quality(x, s.fs)
    begun = time.process_time()
    measure_quality(x, s.fs)
    return len(x) / (time.process_time() - begun)


def by_length(marked: QualitySet) -> dict[float, tuple[int, float]]:
    """Return, by the seconds that are left of records without a mark, their number and the share below .5."""
    good = marked.signal[np.flatnonzero(~marked.bad)[::8]]
    found = {}
    for seconds in LENGTHS:
        cut = good[:, :, : round(seconds * marked.fs)]
        found[seconds] = len(cut), float((signal_quality(cut, fs=marked.fs)["score"] < 0.5).mean())
    return found


def write_coefficients(path: Path, lead: Model, record: Model) -> None:
    """Write the coefficients as the package reads them."""
    content = {
        kind: {
            "origin": "benchmarks/study_quality.py",
            "intercept": round(model.intercept, 5),
            "weights": {name: round(float(w), 5) for name, w in zip(names, model.weights, strict=True)},
        }
        for kind, names, model in (("lead", LEAD_INPUTS, lead), ("record", RECORD_INPUTS, record))
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = os.environ.get("BEATSSL_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--write", action="store_true", help="write the coefficients into the package")
    parser.add_argument("--date", default="2026-11-27")
    args = parser.parse_args()
    marked = ptbxl_marked(args.data)
    sets = [marked, *cinc2017(args.data), *spoilt(args.data, marked)]
    rates = {f"{s.fs:g} Hz": speed(s) for s in sets if s.name in ("PTB-XL marks", "LUDB spoilt")}
    rows = measured(sets)
    inside = merged(rows, out_of_fold(rows))
    marks = by_mark(marked, inside["PTB-XL marks"][3], rows[0].measured)
    kinds = by_kind(args.data, rows, marked)
    write(args.out, study(rows, inside), marks, kinds, by_length(marked), rates, args.date)
    if args.write:
        coefficients = Path(__file__).parents[1] / "beatssl_sklearn" / "quality" / "score.json"
        write_coefficients(coefficients, *fit_both(rows, [np.ones(len(s.bad), bool) for s in rows]))
    sys.stdout.write((args.out / "quality.md").read_text())


if __name__ == "__main__":
    main()
