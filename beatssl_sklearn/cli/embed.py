"""The command `beatssl embed`."""

from __future__ import annotations

import argparse
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
from .shard_options import add_shards, check_shards, wants_shards


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = new_command(commands, "embed", "Write the embeddings of a folder of ECGs to a table.", run)
    add_model_and_folder(command, "ptbxl")
    command.add_argument(
        "--level",
        choices=("rhythm", "beat", "sample"),
        default="rhythm",
        help="a row per record, heartbeat, or token of some 20 ms [%(default)s]",
    )
    add_shards(command, "table to write: .csv, .parquet or .npz; or a folder, DIR/, for many records: Parquet shards")
    add_id(command)
    command.add_argument("--batch-size", type=positive, default=32, help="records at a time [%(default)s]")
    add_allow_nan(command)
    add_check(command)
    command.add_argument(
        "--reliable",
        choices=("keep", "warn", "drop"),
        default="keep",
        help="what to do with records of a quality below .5: use them, name them too, or leave them out [%(default)s]",
    )
    add_import(command)
    add_reading(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    import_modules(arguments.imports)
    if wants_shards(arguments):
        from .shards import embed_into_shards

        return embed_into_shards(arguments)
    check_shards(arguments)
    from ..files.table_formats import open_table
    from .embed_records import Level, add_batch, add_long
    from .folder import LongRecord, batches, open_folder, record_ids
    from .outputs import check_file, check_outputs
    from .progress import Progress
    from .reliable import reliable

    level = Level(arguments)
    table = open_table(arguments.out, level.features)
    check_file(arguments.out)
    folder, refused = open_folder(arguments)
    check_outputs([arguments.out], arguments)
    ids = record_ids(folder.names, arguments)
    with table, Progress(len(folder), "embed", arguments.quiet) as bar:
        for part in batches(folder, arguments, level.allow_nan, refused, bar):
            used = reliable(part, arguments.reliable, refused, bar)
            if isinstance(used, LongRecord):
                add_long(table, used, level, ids, refused, bar)
            elif used is not None:
                add_batch(table, used, level, ids, refused, bar)
        if len(refused.names) == len(folder):
            raise ValueError(f"none of {len(folder)} records could be embedded")
    say(f"{arguments.out}: {table.n_rows} rows of {len(folder) - len(refused.names)} records")
    return refused.summary(len(folder))
