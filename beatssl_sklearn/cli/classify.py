"""The command `beatssl classify`: a table of what a saved model says of each record of a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .messages import complain, say
from .own_modules import import_modules
from .parser import (
    add_allow_nan,
    add_check,
    add_id,
    add_import,
    add_model_and_folder,
    add_reading,
    new_command,
    positive,
)

_EXAMPLE = """examples:
  beatssl classify my_records --out table.csv
  beatssl classify my_records --out table.parquet --threshold .5 --threshold AFIB=.2
  beatssl classify age-sex my_records --out people.csv

The column `unlike` (1 - score_samples in Python) is the share of the training's records that are more usual than this
one: near 1, its probabilities mean little.

For research only; not a medical device.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    text = "Write what a model says of each ECG of a folder: probabilities of labels, or age and sex."
    command = new_command(commands, "classify", text, run)
    command.epilog, command.formatter_class = _EXAMPLE, argparse.RawDescriptionHelpFormatter
    add_model_and_folder(command, "statements")
    command.add_argument("--out", type=Path, required=True, help="table to write: .csv or .parquet, a row per record")
    command.add_argument(
        "--threshold",
        metavar="[LABEL=]P",
        dest="thresholds",
        type=_threshold,
        action="append",
        default=[],
        help="least probability of a label, or of all labels, for the column `labels`; repeatable [the model's own]",
    )
    add_id(command)
    command.add_argument("--batch-size", type=positive, default=32, help="records at a time [%(default)s]")
    add_allow_nan(command)
    add_check(command)
    add_import(command)
    add_reading(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    import_modules(arguments.imports)
    from .answers import answers, open_answers
    from .classify_records import RecordModel
    from .folder import open_folder, record_ids
    from .outputs import check_outputs
    from .progress import Progress

    model = RecordModel(arguments)
    table = open_answers(arguments.out, model.columns)
    assert table is not None
    folder, refused = open_folder(arguments)
    check_outputs([arguments.out], arguments)
    ids = record_ids(folder.names, arguments)
    with table, Progress(len(folder), "classify", arguments.quiet) as bar:
        for name, numbers in answers(folder, arguments, model.allow_nan, model.answers, refused, bar):
            table.add(ids[name], *model.row(numbers))
            table.commit()
        if len(refused.names) == len(folder):
            raise ValueError(f"none of {len(folder)} records could be classified")
    say(f"{arguments.out}: {table.n_rows} records, {len(model.columns)} columns of {arguments.model}")
    complain("For research only: this is not a medical device, and the table holds no diagnoses.")
    return refused.summary(len(folder))


def _threshold(text: str) -> tuple[str, float]:
    """Read ``P`` or ``LABEL=P``; without a label it is "", for all of them."""
    label, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a probability from 0 to 1, or LABEL=P, got {text!r}")
    return label.strip(), value
