"""The main table: PTB-XL superclasses with 100, 10 and 1 % of the labels.

    python -m benchmarks.study.labels --unpacked PTBXL --model ours=OURS.bssl --model hard=HARD.bssl \\
        --model paper=PAPER.bssl

Measures: macro AUROC and macro F1 on fold 9 of a logistic regression on standardised frozen embeddings, its C and the
thresholds of F1 chosen on held-out patients of the labelled records themselves. Labelled subsets of folds 1 to 8 are
nested, by patient and stratified; five draws of each, and with several encoders of a row (`--encoder-seeds`, or the
same name in several `--model`) the draws take them in turn. Intervals are 95 % by bootstrap over the patients of fold
9, all draws being scored on the same patients. "features": hand features and principal components of the median beat,
the same regression. "boosting" (on request: `--rows`): gradient boosting on them. "supervised": the network of "ours"
from scratch; its thresholds come from its own validation patients, and are one half below 1,000 records.

Cannot show: fold 10, other hospitals or devices; the spread between pretrainings, unless several are given. Intervals
do not hold the spread of the draws, which stands beside them as SD.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import FineTunedClassifier
from beatssl_sklearn.evaluation.probing import nested_subsets
from beatssl_sklearn.finetuning import plan_of

from .common import Study, make_parser, parse
from .models import digest_of
from .results import Table, shown, with_interval, write_markdown
from .scoring import Fit, boosting, epochs_for, fine_tune, kept_fit, probe, summary

FRACTIONS = (1.0, 0.1, 0.01)


def add_supervised_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the budget of networks that are trained on labels."""
    parser.add_argument("--supervised-epochs", type=int, default=15, help="with all labels; more with fewer")
    parser.add_argument("--supervised-seeds", type=int, default=1, help="fits with all labels")
    draws = "of the subsets of 10 and 1 %%, for networks trained on labels; default --subset-seeds of both"
    parser.add_argument("--supervised-draws", type=lambda s: tuple(int(n) for n in s.split(",")), help=draws)
    parser.add_argument("--supervised-batch-size", type=int, default=64)


def subset(study: Study, task: str, fraction: float, seed: int) -> NDArray[np.int64]:
    """Return the rows of a labelled subset of the training folds."""
    records = study.records
    rows = np.flatnonzero(records.train & records.tasks[task].labelled)
    target, patient = records.tasks[task].target[rows], records.patient[rows]
    return rows[nested_subsets(target, patient, [fraction], seed)[0]]


def scored_rows(study: Study, task: str) -> NDArray[np.int64]:
    """Return the rows of the fold that scores."""
    return np.flatnonzero(study.records.test & study.records.tasks[task].labelled)


def row_fit(study: Study, name: str, task: str, fraction: float, seed: int, leads: Any = None) -> Fit:
    """Fit a row's classifier on a labelled subset, or read it from the cache."""
    records, target = study.records, study.records.tasks[task].target
    rows, test = subset(study, task, fraction, seed), scored_rows(study, task)
    where = f"{records.key}-{task}-{fraction:g}-s{seed}{'' if leads is None else '-' + '-'.join(leads)}"
    if name in ("supervised", "finetuned"):
        return _trained_on_labels(study, name, where, rows, test, target, fraction, seed, leads)
    model = boosting if name == "boosting" else probe

    def compute() -> Fit:
        Z = study.embedding(name, seed, leads, leads)
        return model(Z[rows], target[rows], records.patient[rows], Z[test])

    return kept_fit(study.args.cache / "fits" / f"{row_digest(study, name, seed)}-{where}.npz", compute)


def row_digest(study: Study, name: str, seed: int) -> str:
    """Return a digest of the encoder of a row and draw."""
    if "+" in name:
        return "+".join(row_digest(study, part, seed) for part in name.split("+"))
    if name in ("features", "boosting") or name == "waves" and study.vectors(name) is None:
        return name
    if (file := study.vectors(name)) is not None:
        return f"v{joblib.hash(np.load(file)['values'])[:11]}"
    if name == "supervised":
        return f"supervised-{joblib.hash(study.unfitted(0).get_params(deep=False))[:12]}"
    encoders = study.encoders("ours" if name == "finetuned" else name)
    return ("finetuned-" if name == "finetuned" else "") + digest_of(encoders[seed % len(encoders)])


def _trained_on_labels(
    study: Study,
    name: str,
    where: str,
    rows: NDArray[np.int64],
    test: NDArray[np.int64],
    target: NDArray,
    fraction: float,
    seed: int,
    leads: Any,
) -> Fit:
    args, records = study.args, study.records
    epochs = epochs_for(fraction, args.supervised_epochs)
    own = {"batch_size": args.supervised_batch_size, "device": args.device}
    plan = plan_of(FineTunedClassifier().get_params(deep=False), len(rows), scratch=name == "supervised")
    tag = f"e{epochs}-b{args.supervised_batch_size}-{plan.lr:g}-{plan.encoder_lr:g}"

    def compute() -> Fit:
        encoders = study.encoders("ours") if name == "finetuned" else [study.unfitted(seed)]
        X = records.seen_by(leads)
        return fine_tune(
            encoders[seed % len(encoders)],
            X[rows],
            target[rows],
            records.patient[rows],
            X[test],
            seed=seed,
            max_epochs=epochs,
            **own,
        )

    file = f"{row_digest(study, name, seed)}-{tag}-{where}.npz"
    return kept_fit(args.cache / "fits" / file, compute)


def n_draws(study: Study, name: str, fraction: float) -> int:
    """Return the number of fits of a cell; with all labels only encoders or initialisations differ."""
    args, trained = study.args, name in ("supervised", "finetuned")
    if fraction < 1 and trained and args.supervised_draws:
        return int(args.supervised_draws[FRACTIONS[1:].index(fraction)])
    if fraction < 1:
        return int(args.subset_seeds)
    return int(args.supervised_seeds) if trained else study.n_encoders(name)


def cell(study: Study, table: Table, name: str, task: str, fraction: float) -> dict[str, Any]:
    """Compute one cell of a table, unless it is finished."""
    n = n_draws(study, name, fraction)
    encoder = row_digest(study, name, 0)
    key = {"row": name, "task": task, "fraction": fraction, "encoder": encoder, "n_fits": n}
    done = table.find(**key)
    if done is None:
        fits = [row_fit(study, name, task, fraction, seed) for seed in range(n)]
        test, labels = scored_rows(study, task), study.records.tasks[task]
        scores = summary(fits, labels.target[test], study.records.patient[test])
        about = {"n_classes": len(labels.classes), **study.describe(name)}
        done = table.add({**key, **scores, **about})
        sys.stdout.write(f"{name} {task} {fraction:g}: AUROC {with_interval(done, 'auroc')} F1 {shown(done['f1'])}\n")
        sys.stdout.flush()
    return done


CELL_KEYS = ("row", "task", "fraction", "encoder", "n_fits")


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    add_supervised_arguments(parser)
    args = parse(parser, "labels", argv)
    if args.quick:
        args.supervised_epochs = 1
    study = Study(args)
    table = Table(args.out / "labels.csv", CELL_KEYS)
    cells = {(name, f): cell(study, table, name, "superclass", f) for name in args.rows for f in FRACTIONS}
    header = ["row", "what", "training"]
    header += [f"{s}, {100 * f:g} %" for s in ("AUROC", "F1") for f in FRACTIONS]
    lines = []
    for name in args.rows:
        whole = [cells[name, f] for f in FRACTIONS]
        line = [name, str(whole[0]["what"]), str(whole[0]["budget"])]
        line += [with_interval(c, "auroc") + _spread(c) for c in whole] + [with_interval(c, "f1") for c in whole]
        lines.append(line)
    first = cells[args.rows[0], 1.0]
    about = [
        f"PTB-XL superclasses, fold {args.test_fold} ({first['n_test']:,} records), {first['n_train']:,.0f} labelled",
        f"training records; {args.subset_seeds} draws of the smaller subsets (SD of their AUROC in brackets), seeds 0",
        f"to {args.subset_seeds - 1}; 95 % intervals by bootstrap over patients.",
    ]
    if "supervised" in args.rows:
        draws = " and ".join(str(n_draws(study, "supervised", f)) for f in FRACTIONS[1:])
        about.append(f'"supervised": {args.supervised_epochs} epochs with all labels, {draws} draws of the subsets.')
    write_markdown(args.out / "labels.md", "Few labels", about, args.command, header, lines)


def _spread(row: dict[str, Any]) -> str:
    sd = row.get("auroc_sd", "")
    return f" [{shown(sd)}]" if isinstance(sd, float) and not np.isnan(sd) else ""


if __name__ == "__main__":
    main()
