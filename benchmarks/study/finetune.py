"""Fine-tuning a pretrained network against training the same network from scratch, with 100, 10 and 1 % of the labels.

    python -m benchmarks.study.finetune --unpacked PTBXL --model ours=OURS.bssl --supervised-epochs 15

Measures: macro AUROC and F1 of PTB-XL's superclasses on fold 9, on the labelled subsets of `benchmarks.study.labels`,
and the gain of "finetuned" over "supervised" (from scratch: same architecture, views, epochs and seeds), its interval
by drawing the patients of fold 9 once for both. Epochs rise with the inverse square root of the share of labels, to
five times `--supervised-epochs` at most. From 1,000 records on, a tenth of the patients chooses the epoch and gives
the thresholds of F1; below, the last epoch is kept and they are one half. Rates and the head's start are the defaults
of `FineTunedClassifier`, which differ between the two rows. "ours" is the frozen probe on the same subsets; rows joined
by "&" are the mean of the logits of two classifiers.

Cannot show: whether another recipe would help either more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit, logit

from beatssl_sklearn.evaluation.probing import bootstrap_interval, macro_auroc

from .common import Study, make_parser, parse
from .labels import CELL_KEYS, FRACTIONS, add_supervised_arguments, cell, n_draws, row_digest, row_fit, scored_rows
from .results import Row, Table, shown, with_interval, write_markdown
from .scoring import N_BOOTSTRAP_GAIN, Fit, gain

ROWS = ("ours", "supervised", "finetuned")
MEANS = ("finetuned & ours", "supervised & ours")


def fits_of(study: Study, name: str, fraction: float) -> list[Fit]:
    """Return the fits of a row, or the means of two rows' fits, on the subsets of "finetuned"."""
    seeds = range(n_draws(study, "finetuned", fraction))
    parts = [[row_fit(study, part, "superclass", fraction, s) for s in seeds] for part in name.split(" & ")]
    return parts[0] if len(parts) == 1 else [mean_fit(pair) for pair in zip(*parts, strict=True)]


def mean_fit(fits: Sequence[Fit]) -> Fit:
    """Return the mean of the logits of fits on the same records; it decides at one half."""
    sides = [np.clip(f.p.astype(np.float64), 1e-7, 1 - 1e-7) for f in fits]
    p = expit(np.mean([logit(side) for side in sides], axis=0))
    return Fit(p.astype(np.float32), p >= 0.5, {})


def mean_row(study: Study, table: Table, name: str, fraction: float) -> Row:
    """Score the mean of two rows' logits, unless it is finished; there are no thresholds for F1."""
    fits = fits_of(study, name, fraction)
    key = {"row": name, "task": "superclass", "fraction": fraction, "encoder": row_digest(study, "ours", 0)}
    key["n_fits"] = len(fits)
    done = table.find(**key)
    if done is None:
        test = scored_rows(study, "superclass")
        target, patient = study.records.tasks["superclass"].target[test], study.records.patient[test]
        low, high = bootstrap_interval(
            "macro_auroc", target, [f.p for f in fits], patient, n_bootstrap=N_BOOTSTRAP_GAIN
        )
        auroc = float(np.mean([macro_auroc(target, f.p) for f in fits]))
        done = table.add({**key, "auroc": auroc, "auroc_low": low, "auroc_high": high})
    return done


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__, ROWS)
    add_supervised_arguments(parser)
    args = parse(parser, "finetune", argv)
    if args.quick:
        args.supervised_epochs = 1
    study = Study(args)
    table = Table(args.out / "finetune.csv", CELL_KEYS)
    gains = Table(args.out / "finetune_gain.csv", ("better", "fraction", "encoder", "n_fits"))
    cells = {(name, f): cell(study, table, name, "superclass", f) for name in args.rows for f in FRACTIONS}
    header = ["row", "training", *(f"{s}, {100 * f:g} %" for s in ("AUROC", "F1") for f in FRACTIONS)]
    lines = []
    for name in args.rows:
        whole = [cells[name, f] for f in FRACTIONS]
        scores = [with_interval(c, s) for s in ("auroc", "f1") for c in whole]
        lines.append([name, str(whole[0]["budget"]), *scores])
    if set(ROWS) <= set(args.rows):
        for name in MEANS:
            scores = [with_interval(mean_row(study, table, name, f), "auroc") for f in FRACTIONS]
            lines.append([name, "", *scores, "", "", ""])
        for name in ("finetuned", MEANS[0]):
            scores = [with_interval(gain_of(study, gains, name, f), "gain") for f in FRACTIONS]
            lines.append([f"{name} - supervised", "", *scores, "", "", ""])
    draws = [f"{100 * f:g} %: {n_draws(study, 'supervised', f)}" for f in FRACTIONS]
    seconds = [f"{shown(cells[n, 1.0]['fit_seconds'] / 60)} min ({n})" for n in args.rows]
    about = [
        f"PTB-XL superclasses, fold {args.test_fold}; 95 % intervals by bootstrap over patients. Fits from seed 0 on:",
        f"{', '.join(draws)}. A fit with all labels: {', '.join(seconds)}.",
    ]
    write_markdown(args.out / "finetune.md", "Fine-tuning", about, args.command, header, lines)


def gain_of(study: Study, table: Table, better: str, fraction: float) -> Row:
    """Compute the gain of a row over training from scratch for one share of labels, unless it is finished."""
    fits = [fits_of(study, name, fraction) for name in (better, "supervised")]
    key = {"better": better, "fraction": fraction, "encoder": row_digest(study, "finetuned", 0), "n_fits": len(fits[0])}
    done = table.find(**key)
    if done is None:
        test = scored_rows(study, "superclass")
        target = study.records.tasks["superclass"].target[test]
        done = table.add({**key, **gain(target, study.records.patient[test], fits[0], fits[1])})
    return done


if __name__ == "__main__":
    main()
