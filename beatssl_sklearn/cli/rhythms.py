"""The command `beatssl rhythms`: tables and annotation files of the rhythms of a folder, window by window."""

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
    seconds,
)


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = new_command(commands, "rhythms", "Label the rhythms of a folder of ECGs, and find their episodes.", run)
    add_model_and_folder(command, "af")
    command.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder for the results: tables of windows, of episodes and of records, and the rest",
    )
    add_id(command)
    command.add_argument(
        "--window", metavar="S", type=seconds, help="length of a window [as the model has it; af: the record]"
    )
    command.add_argument(
        "--step", metavar="S", type=seconds, help="from one window to the next [half of --window, else as the model]"
    )
    command.add_argument(
        "--min-duration",
        metavar="S",
        type=seconds,
        default=0.0,
        help="shorter episodes give their time to their neighbours [%(default)g s]",
    )
    command.add_argument(
        "--annotations", action="store_true", help="also a WFDB annotation file of each record, in OUT/annotations"
    )
    command.add_argument("--format", choices=("csv", "parquet"), default="csv", help="of the tables [%(default)s]")
    command.add_argument("--batch-size", type=positive, default=32, help="records at a time [%(default)s]")
    add_allow_nan(command)
    add_check(command)
    add_import(command)
    add_reading(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    import_modules(arguments.imports)
    from .folder import LongRecord, batches, open_folder, record_ids
    from .other_results import check_other_results
    from .outputs import check_outputs
    from .progress import Progress
    from .rhythm_model import RhythmModel, default_model
    from .rhythms_records import BATCH_SAMPLES, RhythmResults, add_batch, add_long

    check_other_results(arguments.out, "rhythms")
    folder, refused = open_folder(arguments)
    if not getattr(arguments, "model_given", False):
        arguments.model, reason = default_model(folder.names, arguments)
        if reason:
            complain(reason)
    model = RhythmModel(arguments)
    written = RhythmResults(arguments, record_ids(folder.names, arguments), model)
    check_outputs(written.paths, arguments)
    with written as results, Progress(len(folder), "rhythms", arguments.quiet) as bar:
        for part in batches(folder, arguments, model.allow_nan, refused, bar, BATCH_SAMPLES):
            if isinstance(part, LongRecord):
                add_long(results, part, model, refused, bar)
            else:
                add_batch(results, part, model, refused, bar)
        if not results.n_records:
            raise ValueError(f"the rhythms of none of {len(folder)} records could be labelled")
    counted = f"{results.n_windows} windows and {results.n_episodes} episodes"
    say(f"{arguments.out}: {counted} of {results.n_records} records")
    return refused.summary(len(folder))
