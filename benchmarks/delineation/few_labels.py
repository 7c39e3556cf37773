"""Delineation with a sixteenth of the patients: what pretraining adds to the same network from scratch.

    python -m benchmarks.delineation.few_labels --epochs 300 --seeds 5

Of each of the 5 training sets of the cross validation a sixteenth of the patients is drawn; both networks are trained
on them with the same seed and budget (`--epochs` passes over 7 records), and scored on the fold that was held out.

Measures: mean IoU of P, QRS and T per sample, pretrained minus scratch, with a t interval over the seeds.

Cannot show: which other starting points would help as much.
"""

from __future__ import annotations

import sys

from ..study.results import Table, command_of, mean_interval, write_markdown
from .common import MEANING, SHARE, count, few_records, fitted, folds_of, make_parser, read_ludb, scores

ROWS = ("ours", "frozen", "scratch", "random frozen")
SCORES = ("miou", "dice", "P_f1", "QRS_f1", "T_f1")


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.set_defaults(epochs=300)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", default="ours,scratch")
    args = parser.parse_args(argv)
    if args.quick:
        args.epochs, args.seeds = 2, 2
    ludb = read_ludb(args.data, args.quick)
    table = Table(args.out / "few_labels.csv", ("row", "seed", "epochs", "n_records"))
    for seed in range(args.seeds):
        train, test = few_records(len(ludb.X), seed, args.quick)
        for name in args.rows.split(","):
            key = {"row": name, "seed": seed, "epochs": args.epochs, "n_records": len(train)}
            if table.find(**key) is not None:
                continue
            args.seed = seed
            segmenter = fitted(name, ludb, train, args, f"few{len(train)}")
            row = scores(count(segmenter.delineate(ludb.X[test]), segmenter.predict(ludb.X[test]), ludb, test))
            table.add({**row, **key})
            sys.stdout.write(f"seed {seed} {name}: mIoU {row['miou']:.4f}\n")
            sys.stdout.flush()
    own = [r for r in table.rows if r["epochs"] == args.epochs]
    lines = []
    for name in [n for n in ROWS if any(r["row"] == n for r in own)]:
        cells = [mean_interval([float(r[s]) for r in own if r["row"] == name]) for s in SCORES]
        lines.append([MEANING[name], *(interval_cell(c) for c in cells)])
    by_seed = {(r["row"], r["seed"]): r for r in own}
    both = [s for s in range(args.seeds) if ("ours", s) in by_seed and ("scratch", s) in by_seed]
    gains = [
        mean_interval([float(by_seed["ours", s][k]) - float(by_seed["scratch", s][k]) for s in both]) for k in SCORES
    ]
    lines.append(["pretrained, fine-tuned - scratch", *(interval_cell(g) for g in gains)])
    n_tested = len(folds_of(len(ludb.X), args.quick)[0])
    about = [
        f"LUDB, {own[0]['n_records']} training records (a {SHARE}th of the patients), {args.seeds} seeds, each tested",
        f"on a fold of {n_tested}; {args.epochs} epochs. Means with 95 % t intervals over seeds; differences seed by",
        "seed.",
    ]
    header = ["row", "mIoU", "Dice", "F1: P", "QRS", "T"]
    command = command_of("benchmarks.delineation.few_labels", argv or sys.argv[1:])
    write_markdown(args.out / "few_labels.md", "A sixteenth of the patients", about, command, header, lines)


def interval_cell(values: tuple[float, float, float]) -> str:
    return "{:.3f} ({:.3f} to {:.3f})".format(*values)


if __name__ == "__main__":
    main()
