"""The command `beatssl align`: a model that answers questions in words, from ECGs and their reports."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .messages import complain, say
from .own_modules import import_modules
from .parser import (
    add_allow_nan,
    add_check,
    add_folder,
    add_id,
    add_import,
    add_reading,
    add_seed,
    new_command,
    positive,
    setting,
)

if TYPE_CHECKING:
    from .. import ReportAligner

_EXAMPLE = """example:
  beatssl align my_records --reports reports.csv --out aligned.bssl
  beatssl ask aligned.bssl other_records --prompt "atrial fibrillation" --out scores.csv

The model file holds frequent reports word by word, unless --forget-records is given.
For research only; not a medical device.
"""

_ADVICE = "--record-column and --report-column name the columns, and --id says how the file names a record"


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    text = "Bring a folder of ECGs and their reports together: a model that answers questions in words."
    command = new_command(commands, "align", text, run)
    command.epilog, command.formatter_class = _EXAMPLE, argparse.RawDescriptionHelpFormatter
    add_folder(command)
    command.add_argument(
        "--reports", metavar="FILE", type=Path, required=True, help="CSV file with the columns record,report"
    )
    for what in ("record", "report"):
        command.add_argument(
            f"--{what}-column", metavar="NAME", default=what, help=f"name of its column of {what}s [%(default)s]"
        )
    command.add_argument("--out", type=Path, required=True, help="model file to write, for example aligned.bssl")
    command.add_argument(
        "--start",
        metavar="MODEL",
        default="ptbxl",
        help="encoder to begin with: file of `beatssl pretrain` or `save`, or a shipped name [%(default)s]",
    )
    command.add_argument(
        "--set",
        metavar="NAME=VALUE",
        type=setting,
        action="append",
        default=[],
        help="parameter of ReportAlignment, for example token_loss=caption, views=LeadMasking or text.n_dims=64; "
        "repeatable",
    )
    add_import(command)
    command.add_argument("--epochs", type=int, help="passes over the records [as many as make about 400 steps]")
    command.add_argument("--batch-size", type=positive, default=256, help="records per training step [%(default)s]")
    command.add_argument("--lr", type=float, default=1e-3, help="highest learning rate of the heads [%(default)g]")
    command.add_argument(
        "--encoder-lr",
        type=float,
        help="highest learning rate of the encoder; 0 keeps it as it is, and is fast [0, or --lr for an untrained one]",
    )
    command.add_argument(
        "--forget-records", action="store_true", help="keep no report and few vectors of records in the model file"
    )
    add_id(command)
    add_allow_nan(command)
    add_check(command, raises="train nothing")
    add_seed(command)
    add_reading(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    import_modules(arguments.imports)
    from ..components import seed_of
    from ..embedding.fitted_encoder import fitted_encoder
    from ..pretraining.report_checks import check_aligner
    from .folder import open_folder, readable_records
    from .models import from_file
    from .outputs import check_file, check_outputs

    # All that is asked for is checked here, before the records are read.
    seed_of(arguments.seed)
    aligner = _aligner(arguments)
    check_aligner(aligner.get_params(deep=False))
    with from_file(arguments.start):
        fitted_encoder(arguments.start)
    every, refused = open_folder(arguments)
    check_outputs([arguments.out], arguments)
    check_file(arguments.out)
    reports = _reports(every.names, arguments)
    told = every[[i for i, name in enumerate(every.names) if name in reports]]
    folder = readable_records(told, refused, arguments)
    aligner.fit(folder, reports=[reports[name] for name in folder.names])
    from .. import save

    save(aligner, arguments.out)
    say(f"{arguments.out}: {aligner.objective_.n_reports_used_} records with reports, {aligner.n_iter_} epochs")
    if len(aligner.captions_):
        say(f"{arguments.out} holds {len(aligner.captions_)} reports word by word; --forget-records leaves them out")
    return refused.summary(len(told))


def _aligner(arguments: argparse.Namespace) -> ReportAligner:
    from .. import ReportAligner
    from .objective import build_objective
    from .progress import on_terminal

    return ReportAligner(
        arguments.start,
        objective=build_objective("ReportAlignment", arguments.set),
        allow_nan=arguments.allow_nan,
        check=arguments.check,
        max_epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        lr=arguments.lr,
        encoder_lr=arguments.encoder_lr,
        keep_records=not arguments.forget_records,
        device=arguments.device,
        random_state=arguments.seed,
        # Bars fill a log file.
        verbose=1 if on_terminal() and not arguments.quiet else 0,
    )


def _reports(names: Sequence[str], arguments: argparse.Namespace) -> dict[str, str]:
    """Return the reports by record; records without one are left out, and counted."""
    from ..text import sentences
    from .folder import record_ids
    from .record_column import RecordColumn

    ids = record_ids(names, arguments)
    try:
        column = RecordColumn(arguments.reports, [arguments.report_column], record_column=arguments.record_column)
        found = column.values(names, ids, may_be_missing=True)
    except ValueError as error:
        raise ValueError(f"{error} ({_ADVICE})") from error
    reports = {name: text for name, text in zip(names, found, strict=True) if sentences(text)}
    different = len(set(map(tuple, map(sentences, reports.values()))))
    if different < 2:
        raise ValueError(
            f"{arguments.reports}: {len(reports)} of {len(names)} records have a report, with {different} different "
            f"texts; at least 2 different ones are needed ({_ADVICE})"
        )
    if len(reports) < len(names):
        complain(f"warning: {arguments.reports}: {len(names) - len(reports)} of {len(names)} records have no report")
    return reports
