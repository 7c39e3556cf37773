"""What pretraining is worth with 1 to 100 % of the labels, frozen and fine-tuned, against random weights.

    python -m benchmarks.study.fractions --unpacked PTBXL --model lead-agnostic=LA.bssl --rows lead-agnostic,dual-stream

Measures: macro AUROC on fold 9 with 1, 5, 10, 50 and 100 % of the patients of folds 1 to 8, for PTB-XL's superclasses
and for two targets that no diagnosis gives away: age over 65, and sex. "frozen": logistic regression on embeddings.
"fine-tuned": all weights trained on the labels, with the defaults of `FineTunedClassifier`. "random": the same with a
network as initialised; fine-tuned, that is training from scratch. Subsets are nested, by patient and stratified; all
rows see the same. Gains are pretrained minus random on the same subsets, with 95 % intervals by bootstrap over the
patients of fold 9, drawn once for both.

Cannot show: fold 10, or another recipe of fine-tuning. Intervals do not hold the spread of the draws, nor that of
pretrainings, of which there is one per row.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from matplotlib.figure import Figure

from beatssl_sklearn.plotting import plot_label_fractions

from .common import Study, make_parser, parse
from .configs import PRETRAINED, UNTRAINED, make_pretrainer
from .finetune import gain
from .labels import scored_rows, subset
from .models import digest_of
from .plots import DPI
from .results import Row, Table, with_interval, write_markdown
from .scoring import Fit, epochs_for, fine_tune, kept_fit, probe, summary

FRACTIONS = (0.01, 0.05, 0.1, 0.5, 1.0)
TASKS = ("superclass", "age", "sex")
MODES = ("frozen", "random frozen", "fine-tuned", "random fine-tuned")
PAIRS = (("frozen", "random frozen"), ("fine-tuned", "random fine-tuned"))
# From here on one fit of a network says enough for what it takes.
MANY_LABELS = 0.5
CELL_KEYS = ("row", "mode", "task", "fraction", "encoder", "n_fits")
NAMES = {"superclass": "Superclasses", "age": "Age over 65", "sex": "Sex"}


def untrained(row: str) -> str:
    """Return the row that is the same network as initialised."""
    own = PRETRAINED[row].changes.get("encoder", "beatnet")
    return next(name for name, setting in UNTRAINED.items() if setting.changes.get("encoder", "beatnet") == own)


def n_draws(args: argparse.Namespace, mode: str, fraction: float) -> int:
    """Return the number of fits of a cell."""
    if fraction == 1 or (mode.endswith("fine-tuned") and fraction >= MANY_LABELS):
        return 1
    return int(args.subset_seeds)


def fit_of(study: Study, row: str, mode: str, task: str, fraction: float, seed: int) -> Fit:
    """Fit one classifier, or read it from the cache."""
    records, args = study.records, study.args
    target = records.tasks[task].target
    rows, test = subset(study, task, fraction, seed), scored_rows(study, task)
    name = untrained(row) if mode.startswith("random") else row
    encoder = study.encoders(name)[0]
    where = f"{digest_of(encoder)}-{records.key}-{task}-{fraction:g}-s{seed}"

    def frozen() -> Fit:
        Z = study.embedding(name)
        return probe(Z[rows], target[rows], records.patient[rows], Z[test])

    def fine_tuned() -> Fit:
        start = encoder if mode == "fine-tuned" else make_pretrainer(row, seed, encoder=study.encoder_params)
        run = {"max_epochs": epochs, "batch_size": args.supervised_batch_size, "device": args.device}
        patient = records.patient[rows]
        return fine_tune(start, records.X[rows], target[rows], patient, records.X[test], seed=seed, **run)

    if mode.endswith("frozen"):
        return kept_fit(args.cache / "fits" / f"{where}.npz", frozen)
    epochs = epochs_for(fraction, args.supervised_epochs)
    kind = f"{mode.replace(' ', '-')}-e{epochs}-b{args.supervised_batch_size}"
    return kept_fit(args.cache / "fits" / f"{kind}-{where}.npz", fine_tuned)


def cell(study: Study, table: Table, row: str, mode: str, task: str, fraction: float) -> Row:
    """Compute one cell, unless it is finished."""
    n = n_draws(study.args, mode, fraction)
    encoder = digest_of(study.encoders(row)[0])
    key = {"row": row, "mode": mode, "task": task, "fraction": fraction, "encoder": encoder, "n_fits": n}
    done = table.find(**key)
    if done is None:
        fits = [fit_of(study, row, mode, task, fraction, seed) for seed in range(n)]
        test = scored_rows(study, task)
        target, patient = study.records.tasks[task].target[test], study.records.patient[test]
        done = table.add({**key, **summary(fits, target, patient)})
        sys.stdout.write(f"{row} {mode} {task} {fraction:g}: {with_interval(done, 'auroc')}\n")
        sys.stdout.flush()
    return done


def gain_of(study: Study, table: Table, row: str, pair: tuple[str, str], task: str, fraction: float) -> Row:
    """Compute what pretraining adds in one cell, unless it is finished."""
    n = n_draws(study.args, pair[0], fraction)
    encoder = digest_of(study.encoders(row)[0])
    key = {"row": row, "mode": pair[0], "task": task, "fraction": fraction, "encoder": encoder, "n_fits": n}
    done = table.find(**key)
    if done is None:
        fits = [[fit_of(study, row, mode, task, fraction, seed) for seed in range(n)] for mode in pair]
        test = scored_rows(study, task)
        target, patient = study.records.tasks[task].target[test], study.records.patient[test]
        done = table.add({**key, **gain(target, patient, *fits)})
    return done


def figure_of(table: Table, rows: tuple[str, ...], task: str) -> Any:
    """Return the curves of a task: AUROC over the share of labels."""
    own = [row for row in table.rows if row["task"] == task and row["row"] in rows]
    chosen = [{**row, "mode": f"{row['mode']}, {row['row']}"} for row in own]
    return plot_label_fractions(chosen, figure=Figure())


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__, ("lead-agnostic", "dual-stream"))
    parser.add_argument("--tasks", type=lambda s: tuple(s.split(",")), default=TASKS)
    parser.add_argument("--modes", type=lambda s: tuple(s.split(",")), default=MODES)
    parser.add_argument("--fractions", type=lambda s: tuple(float(f) for f in s.split(",")), default=FRACTIONS)
    parser.add_argument("--supervised-epochs", type=int, default=8, help="with all labels; more with fewer")
    parser.add_argument("--supervised-batch-size", type=int, default=64)
    parser.set_defaults(subset_seeds=3)
    args = parse(parser, "fractions", argv)
    if args.quick:
        args.supervised_epochs, args.fractions = 1, (0.1, 1.0)
    study = Study(args)
    table = Table(args.out / "fractions.csv", CELL_KEYS)
    gains = Table(args.out / "fractions_gain.csv", CELL_KEYS)
    lines = []
    for task in args.tasks:
        for row in args.rows:
            for mode in args.modes:
                scores = [with_interval(cell(study, table, row, mode, task, f), "auroc") for f in args.fractions]
                lines.append([NAMES[task], row, mode, *scores])
            for pair in (p for p in PAIRS if set(p) <= set(args.modes)):
                found = [gain_of(study, gains, row, pair, task, f) for f in args.fractions]
                lines.append([NAMES[task], row, f"{pair[0]} - random", *(with_interval(g, "gain") for g in found)])
    header = ["target", "row", "weights", *(f"{100 * f:g} %" for f in args.fractions)]
    about = [
        f"PTB-XL, fold {args.test_fold}; macro AUROC, 95 % intervals by bootstrap over patients. Draws of a subset,",
        f"seeds from 0: {args.subset_seeds}; one for networks from {100 * MANY_LABELS:g} % on. Epochs of fine-tuning",
        f"with all labels: {args.supervised_epochs}. {'; '.join(f'{n}: {study.budget(n)}' for n in args.rows)}.",
    ]
    write_markdown(args.out / "fractions.md", "Shares of labels", about, args.command, header, lines)
    for task in args.tasks:
        figure_of(table, args.rows, task).savefig(args.out / f"fractions_{task}.png", dpi=DPI)


if __name__ == "__main__":
    main()
