r"""What one row of the main table has above another, record by record.

    python -m benchmarks.study.gains --unpacked PTBXL --model ours=ptbxl --vectors minirocket=MR.npz \
        --gain ours,minirocket

Measures: the difference of the macro AUROCs of two rows on fold 9, with 100, 10 and 1 % of the labels, fits of the same
draw side by side. 95 % intervals by bootstrap: the patients of fold 9 are drawn once for both. Fits are those of
`benchmarks.study.labels`, kept in the cache.

Cannot show: the spread between pretrainings; that a gain holds on other sets.
"""

from __future__ import annotations

import sys

from .common import Study, make_parser, parse
from .labels import FRACTIONS, add_supervised_arguments, n_draws, row_digest, row_fit, scored_rows
from .results import Row, Table, with_interval, write_markdown
from .scoring import gain

KEYS = ("better", "worse", "fraction", "encoders", "n_fits")


def gain_of(study: Study, table: Table, better: str, worse: str, fraction: float) -> Row:
    """Compute the gain of a row over another for a share of the labels, unless it is finished."""
    n = min(n_draws(study, name, fraction) for name in (better, worse))
    encoders = f"{row_digest(study, better, 0)}, {row_digest(study, worse, 0)}"
    key = {"better": better, "worse": worse, "fraction": fraction, "encoders": encoders, "n_fits": n}
    done = table.find(**key)
    if done is None:
        fits = [[row_fit(study, name, "superclass", fraction, seed) for seed in range(n)] for name in (better, worse)]
        test = scored_rows(study, "superclass")
        target = study.records.tasks["superclass"].target[test]
        done = table.add({**key, **gain(target, study.records.patient[test], *fits)})
        sys.stdout.write(f"{better} - {worse} {fraction:g}: {with_interval(done, 'gain')}\n")
        sys.stdout.flush()
    return done


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__, ())
    add_supervised_arguments(parser)
    parser.add_argument("--gain", action="append", required=True, metavar="BETTER,WORSE", help="two rows; repeatable")
    args = parse(parser, "gains", argv)
    if any(pair.count(",") != 1 for pair in args.gain):
        parser.error(f"--gain takes two rows, BETTER,WORSE, got {args.gain}")
    study = Study(args)
    table = Table(args.out / "gains.csv", KEYS)
    lines = []
    for better, worse in (pair.split(",") for pair in args.gain):
        rows = [gain_of(study, table, better, worse, fraction) for fraction in FRACTIONS]
        lines.append([f"{better} - {worse}", *(with_interval(row, "gain") for row in rows)])
    about = [
        f"Difference of macro AUROC of PTB-XL's superclasses, fold {args.test_fold}; 95 % intervals by bootstrap over",
        f"patients drawn once for both; {args.subset_seeds} draws of the smaller subsets.",
    ]
    header = ["rows", *(f"{100 * f:g} % of labels" for f in FRACTIONS)]
    write_markdown(args.out / "gains.md", "Gains", about, args.command, header, lines)


if __name__ == "__main__":
    main()
