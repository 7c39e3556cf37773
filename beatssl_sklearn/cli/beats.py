"""The command `beatssl beats`: tables and annotation files of the heartbeats of a folder, with their labels."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .messages import say
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


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = new_command(commands, "beats", "Label the heartbeats of a folder of ECGs.", run)
    add_model_and_folder(command, "beats")
    command.add_argument(
        "--out", type=Path, required=True, help="folder for the results: tables of beats and of records, and the rest"
    )
    add_id(command)
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
    from .beats_records import BATCH_SAMPLES, BeatModel, BeatResults, add_batch, add_long
    from .folder import LongRecord, batches, open_folder, record_ids
    from .other_results import check_other_results
    from .outputs import check_outputs
    from .progress import Progress

    check_other_results(arguments.out, "beats")
    folder, refused = open_folder(arguments)
    model = BeatModel(arguments)
    written = BeatResults(arguments, record_ids(folder.names, arguments), model.head)
    check_outputs(written.paths, arguments)
    with written as results, Progress(len(folder), "beats", arguments.quiet) as bar:
        for part in batches(folder, arguments, model.allow_nan, refused, bar, BATCH_SAMPLES):
            if isinstance(part, LongRecord):
                add_long(results, part, model, refused, bar)
            else:
                add_batch(results, part, model, refused, bar)
        if not results.n_records:
            raise ValueError(f"the beats of none of {len(folder)} records could be labelled")
    say(f"{arguments.out}: {results.n_beats} beats of {results.n_records} records")
    return refused.summary(len(folder))
