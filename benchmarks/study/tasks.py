"""Other statements of PTB-XL from the same embeddings: subclass, rhythm and form.

    python -m benchmarks.study.tasks --unpacked PTBXL --model ours=OURS.bssl --rows random,features,hard,paper,ours

Measures: macro AUROC and F1 on fold 9 with all labels of folds 1 to 8, as `benchmarks.study.labels` does it. Records
without any statement of a kind are left out of that kind; so are codes without three positives in the training folds
and one in fold 9.

Cannot show: single rare statements, whose AUROC rests on a handful of records; the macro average weighs them like the
others. One pretraining a row unless more are given.
"""

from __future__ import annotations

from .common import Study, make_parser, parse
from .data import TASKS
from .labels import CELL_KEYS, add_supervised_arguments, cell
from .results import Table, with_interval, write_markdown


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    add_supervised_arguments(parser)
    parser.add_argument("--tasks", type=lambda s: tuple(s.split(",")), default=TASKS)
    args = parse(parser, "tasks", argv)
    if args.quick:
        args.supervised_epochs = 1
    study = Study(args)
    table = Table(args.out / "tasks.csv", CELL_KEYS)
    cells = {(name, task): cell(study, table, name, task, 1.0) for name in args.rows for task in args.tasks}
    header = ["row", "training"]
    for task in args.tasks:
        labels = study.records.tasks[task]
        header += [f"{task} ({len(labels.classes)}), AUROC", "F1"]
    lines = []
    for name in args.rows:
        line = [name, str(cells[name, args.tasks[0]]["budget"])]
        for task in args.tasks:
            line += [with_interval(cells[name, task], "auroc"), with_interval(cells[name, task], "f1")]
        lines.append(line)
    numbers = "; ".join(
        f"{task} {cells[args.rows[0], task]['n_train']:,.0f} and {cells[args.rows[0], task]['n_test']:,}"
        for task in args.tasks
    )
    about = [
        f"Linear probes on frozen embeddings, all labels, fold {args.test_fold}; macro averages over the classes",
        f"counted in brackets; 95 % intervals by bootstrap over patients. Records that train and score: {numbers}.",
    ]
    write_markdown(args.out / "tasks.md", "Other statements", about, args.command, header, lines)


if __name__ == "__main__":
    main()
