"""Ablations at a reduced budget: the publication's table, and one change at a time around this package's defaults.

    python -m benchmarks.study.ablation --unpacked PTBXL --table paper,changes,sizes --size s --epochs 6 \\
        --per-fold 500 --seeds 3 --beats

Measures: macro AUROC and F1 of PTB-XL's superclasses on fold 9, linear probe on frozen embeddings, with all and with
1 % of the labels of the same training records that the encoder was pretrained on without them; with `--beats` also F1
of MIT-BIH DS1 beats across patients. Mean over seeds (initialisation, views, batches and labelled subset) with a 95 %
t interval; the difference from the row "ours" is taken seed by seed, so that what seeds share falls out. The
publication's own scores stand beside its table. The cache keeps what is measured on the records: all rows use it.

Cannot show: what holds at full size and budget; differences smaller than the interval; whether another order of changes
would have led to the settings of "ours". The publication does not say how soft_1 and soft_2 differ; `configs` has our
reading. Fold 9 is where choices are made.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from beatssl_sklearn import BeatSSL, PatientIdentifier
from beatssl_sklearn.evaluation.probing import macro_auroc, macro_f1

from .beats import N_QUICK, beat_embeddings, confusion_by_patient, cross_validate, f1_of, load_beats
from .common import Study, make_parser, parse
from .configs import (
    DUAL_STREAM_ROWS,
    LEAD_AGNOSTIC_ROWS,
    PAPER_TABLE,
    SIZES,
    Setting,
    make_pretrainer,
    one_change_rows,
    paper_objective,
)
from .identify import roles
from .labels import scored_rows, subset
from .models import digest_of, embeddings, fit_or_load
from .results import Row, Table, mean_interval, shown, with_interval, write_markdown
from .scoring import kept_fit, probe

TABLES = {"sizes": SIZES, "lead-agnostic": LEAD_AGNOSTIC_ROWS, "dual-stream": DUAL_STREAM_ROWS}
GRIDS = ("paper", "changes", *TABLES)
REFERENCE = {"lead-agnostic": "all losses", "dual-stream": "all losses"}
"""Row that differences are taken from; in the other tables, "ours" of "changes"."""
KEYS = ("table", "name", "seed", "budget")
SCORES = ("auroc", "f1", "auroc_1", "f1_1", "auroc_ii", "top1", "beats_f1")
FEW = 0.01


def grid(table: str) -> dict[str, Setting]:
    """Return the rows of one of the ablation's tables."""
    if table == "paper":
        return {f"{r.rhythm} | {r.beat} | {r.exponent}": Setting(paper_objective(r)) for r in PAPER_TABLE}
    if table == "changes":
        return {"random": Setting(BeatSSL()), **one_change_rows()}
    if table in TABLES:
        return dict(TABLES[table])
    raise ValueError(f"--table must be among {', '.join(GRIDS)}, got {table!r}")


def run(study: Study, table: Table, part: str, name: str, setting: Setting, seed: int) -> Row:
    """Pretrain and score one row with one seed, unless it is finished."""
    args = study.args
    budget = budget_of(args)
    done = table.find(table=part, name=name, seed=seed, budget=budget)
    if done is not None and not (args.beats and done.get("beats_f1", "") == ""):
        return done
    started = time.perf_counter()
    unfitted = make_pretrainer(
        name,
        seed,
        encoder=study.encoder_params,
        objective=setting.objective,
        changes=setting.changes,
        max_epochs=args.epochs,
        batch_size=args.batch_size,
        device=args.device,
        # Rows differ in few of the parameters that measurements depend on.
        memory=str(args.cache / "measurements"),
    )
    fitted = fit_or_load("ablation", unfitted, study.records, args.cache)
    row: Row = {"table": part, "name": name, "seed": seed, "budget": budget}
    row |= {"epochs": fitted.n_iter_, "train_seconds": sum(r.get("seconds", 0.0) for r in fitted.history_)}
    row |= {"effective_rank": (fitted.history_ or [{}])[-1].get("effective_rank", float("nan"))}
    for fraction, ending in ((1.0, ""), (FEW, "_1")):
        row |= {f"{k}{ending}": v for k, v in probe_scores(study, fitted, fraction, seed).items()}
    if part in REFERENCE:
        row |= {f"{k}_ii": v for k, v in probe_scores(study, fitted, 1.0, seed, leads=("II",)).items()}
        row |= identification(study, fitted)
    if args.beats:
        beats = load_beats(args.data / "mitdb", N_QUICK if args.quick else None)
        found = cross_validate(beat_embeddings(fitted, beats, args.cache, args.device), beats.label, beats.patient)
        per_class = f1_of(confusion_by_patient(beats.label, found, beats.patient).sum(axis=0))
        row |= {"beats_f1": float(per_class.mean()), "beats_v": float(per_class[2]), "beats_s": float(per_class[1])}
    row["seconds"] = time.perf_counter() - started
    sys.stdout.write(f"{part} {name} seed {seed}: AUROC {shown(row['auroc'])}, 1 % {shown(row['auroc_1'])}\n")
    sys.stdout.flush()
    return table.add(row)


def probe_scores(study: Study, fitted: Any, fraction: float, seed: int, leads: Any = None) -> dict[str, float]:
    """Score a linear probe on a labelled subset, seen through some leads."""
    records = study.records
    target = records.tasks["superclass"].target
    rows, test = subset(study, "superclass", fraction, seed), scored_rows(study, "superclass")

    def compute() -> Any:
        Z = embeddings(fitted, records, study.args.cache, leads=leads, device=study.args.device)
        return probe(Z[rows], target[rows], records.patient[rows], Z[test])

    seen = "" if leads is None else "-" + "-".join(leads)
    file = f"{digest_of(fitted)}-{records.key}-superclass-{fraction:g}-s{seed}{seen}.npz"
    fit = kept_fit(study.args.cache / "fits" / file, compute)
    half = np.full(target.shape[1], 0.5)
    return {"auroc": macro_auroc(target[test], fit.p), "f1": macro_f1(target[test], fit.decided, half)}


def identification(study: Study, fitted: Any) -> dict[str, float]:
    """Return the share of probes whose patient comes first, with the whitened cosine."""
    Z, patient = embeddings(fitted, study.records, study.args.cache, device=study.args.device), study.records.patient
    part = roles(patient, study.records.record_id, study.records.test)
    model = PatientIdentifier().fit(Z[part.fit], patient[part.fit]).enroll(Z[part.gallery], patient[part.gallery])
    return {"top1": float((model.predict(Z[part.probes]) == patient[part.probes]).mean())}


def budget_of(args: argparse.Namespace) -> str:
    """Return the budget of a row; rows of different budgets are not compared."""
    size = args.size if args.widths is None else "-".join(str(w) for w in args.widths)
    records = "all" if args.per_fold is None else 8 * args.per_fold
    return f"{size}, {args.epochs} epochs, {records} records, batch {args.batch_size}"


def summarise(rows: Sequence[Row], reference: Sequence[Row]) -> Row:
    """Mean and t interval of each score over seeds, and of the difference from the reference with the same seed."""
    by_seed = {row["seed"]: row for row in reference}
    out: Row = {"n_seeds": len(rows)}
    for score in SCORES:
        values = [float(row[score]) for row in rows if row.get(score, "") != ""]
        if not values:
            continue
        out[score], out[f"{score}_low"], out[f"{score}_high"] = mean_interval(values)
        pairs = [
            float(row[score]) - float(by_seed[row["seed"]][score])
            for row in rows
            if row["seed"] in by_seed and row.get(score, "") != "" and by_seed[row["seed"]].get(score, "") != ""
        ]
        if pairs:
            name = f"{score}_gain"
            out[name], out[f"{name}_low"], out[f"{name}_high"] = mean_interval(pairs)
    return out


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.set_defaults(size="s", epochs=6, per_fold=500, batch_size=128)
    parser.add_argument("--table", default="paper,changes", help=f"among {', '.join(GRIDS)}")
    parser.add_argument("--names", default=None, help="rows of the table to run, separated by semicolons; default all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--beats", action="store_true", help="score MIT-BIH beats too")
    args = parse(parser, "ablation", argv)
    if args.quick and args.names is None:
        args.names, args.seeds = "hard | none | 1;soft_1 | hard | 50;ours;contrast of both too;size s", 2
    study = Study(args)
    runs = Table(args.out / "ablation_runs.csv", KEYS)
    for seed in range(args.seeds):  # seed by seed, so that an interrupted run can be compared row by row
        for part in args.table.split(","):
            for name, setting in wanted(grid(part), args.names).items():
                run(study, runs, part, name, setting, seed)
    write(study, runs)


def wanted(rows: dict[str, Setting], names: str | None) -> dict[str, Setting]:
    """Return the rows of these names."""
    chosen = None if names is None else [name.strip() for name in names.split(";")]
    return {name: setting for name, setting in rows.items() if chosen is None or name in chosen}


def write(study: Study, runs: Table) -> None:
    """Write means and intervals over seeds, and a page of Markdown for each table."""
    budget = budget_of(study.args)
    own = [row for row in runs.rows if row["budget"] == budget]
    table = Table(study.args.out / "ablation.csv", ("table", "name", "budget"))
    for part in GRIDS:
        compared = (part, REFERENCE[part]) if part in REFERENCE else ("changes", "ours")
        reference = [row for row in own if (row["table"], row["name"]) == compared]
        names = dict.fromkeys(row["name"] for row in own if row["table"] == part)
        for name in names:
            chosen = [row for row in own if (row["table"], row["name"]) == (part, name)]
            found = {"table": part, "name": name, "budget": budget, **summarise(chosen, reference)}
            table.add(found | _published(part, name))
        rows = [row for row in table.rows if row["table"] == part and row["budget"] == budget]
        if rows:
            _write_page(study, part, rows)


def _published(part: str, name: str) -> Row:
    if part != "paper":
        return {}
    return next(
        {"published_auroc": r.auroc, "published_f1": r.f1}
        for r in PAPER_TABLE
        if f"{r.rhythm} | {r.beat} | {r.exponent}" == name
    )


TITLES = {
    "paper": "The publication's ablation",
    "changes": "One change at a time",
    "sizes": "Sizes",
    "lead-agnostic": "Losses of LeadAgnostic",
    "dual-stream": "Losses of DualStream",
}
NAMES = {
    "auroc": "AUROC",
    "auroc_1": "AUROC, 1 %",
    "auroc_ii": "AUROC, lead II",
    "top1": "patient found first",
    "f1": "F1",
    "beats_f1": "beats F1",
}


def _write_page(study: Study, part: str, rows: Iterable[Row]) -> None:
    rows, compared = list(rows), REFERENCE.get(part, "ours")
    scores = ("auroc", "auroc_1", "auroc_ii", "top1") if part in REFERENCE else ("auroc", "auroc_1", "f1", "beats_f1")
    columns = [c for s in scores for c in ((s,) if s == "f1" else (s, f"{s}_gain"))]
    header = ["rhythm", "beat", "p"] if part == "paper" else ["change"]
    header += [NAMES.get(c, f"- {compared}") for c in columns] + ["seeds"]
    header += ["published AUROC", "F1"] if part == "paper" else []
    lines = []
    for row in rows:
        names = str(row["name"]).split(" | ") if part == "paper" else [str(row["name"])]
        line = [*names, *(with_interval(row, c) for c in columns), str(row["n_seeds"])]
        lines.append(line + ([shown(row["published_auroc"]), shown(row["published_f1"])] if part == "paper" else []))
    budget = str(rows[0]["budget"])
    if part == "sizes":
        budget = f"widths of the size, {budget.partition(', ')[2]}"
    if part in REFERENCE:
        budget = budget.partition(", ")[2]
    published = " Published: other data split, budget and network." if part == "paper" else ""
    about = [
        f"Budget of every row: {budget}. Linear probe on frozen embeddings, PTB-XL superclasses, fold",
        f"{study.args.test_fold}; mean over seeds (from 0) with a 95 % t interval; differences from the row",
        f'"{compared}" are taken seed by seed.{published}',
    ]
    if part in REFERENCE:
        about.append("Patients: `benchmarks.study.identify`, whitened cosine, twelve leads.")
    write_markdown(study.args.out / f"ablation_{part}.md", TITLES[part], about, study.args.command, header, lines)


if __name__ == "__main__":
    main()
