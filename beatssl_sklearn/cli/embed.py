"""The command `beatssl embed`."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .messages import READ_ERRORS, Refused, progress, say
from .own_modules import import_modules
from .parser import add_folder, add_import, add_model, add_reading, new_command, positive

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .. import ECGRecord

    # Rows of a record, and the R peaks that they belong to.
    Rows = tuple[NDArray, NDArray | None]
    Embed = Callable[[list[ECGRecord]], list[Rows]]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = new_command(commands, "embed", "Write the embeddings of a folder of ECGs to a table.", run)
    add_model(command)
    add_folder(command)
    command.add_argument("--level", choices=("rhythm", "beat"), default="rhythm", help="a row per record or heartbeat")
    command.add_argument("--out", type=Path, required=True, help="table to write: .csv, .parquet or .npz")
    command.add_argument("--batch-size", type=positive, default=32, help="records at a time [%(default)s]")
    add_import(command)
    add_reading(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    import_modules(arguments.imports)
    from ..files.growing_table import open_table
    from .folder import batches, open_folder

    embed, allow_nan = _embedder(arguments)
    folder, refused = open_folder(arguments), Refused(arguments)
    with open_table(arguments.out) as table, progress(folder.names, "embed", arguments.quiet) as bar:
        for names, records in batches(folder, arguments.batch_size, allow_nan, refused, bar):
            for name, record, (rows, rpeaks) in _embedded(embed, names, records, refused, bar):
                table.add(name, record.fs, rows, rpeaks)
            bar.update(len(names))
        if len(refused.names) == len(folder):
            raise ValueError(f"none of {len(folder)} records could be embedded")
    say(f"{arguments.out}: {table.n_rows} rows of {len(folder) - len(refused.names)} records")
    return refused.summary(len(folder))


def _embedder(arguments: argparse.Namespace) -> tuple[Embed, bool]:
    """Return a function that embeds records, and whether they may have missing samples."""
    from .. import BeatEmbedder, RhythmEmbedder

    options = {"batch_size": arguments.batch_size, "device": arguments.device}
    if arguments.level == "rhythm":
        of_records = RhythmEmbedder(arguments.model, **options)
        allow_nan = of_records.encoder_.allow_nan
        return lambda records: [(row[None], None) for row in of_records.transform(records)], allow_nan
    of_beats = BeatEmbedder(arguments.model, **options)

    def embed(records: list[ECGRecord]) -> list[Rows]:
        rpeaks = of_beats.rpeaks(records)
        return list(zip(of_beats.transform(records, rpeaks=rpeaks), rpeaks, strict=True))

    return embed, of_beats.encoder_.allow_nan


def _embedded(
    embed: Embed, names: list[str], records: list[ECGRecord], refused: Refused, bar: Any
) -> Iterator[tuple[str, ECGRecord, Rows]]:
    """Yield embeddings record by record.

    A batch with a bad or an odd record is repeated one by one, so that the message can name the record.
    """
    results: list[Rows] = []
    try:
        with warnings.catch_warnings(record=True) as odd:
            warnings.simplefilter("always", UserWarning)
            results = embed(records)
    except READ_ERRORS as error:
        if len(records) == 1:
            refused.add(names[0], error, bar)
            return
    if len(records) > 1 and (odd or not results):
        for name, record in zip(names, records, strict=True):
            yield from _embedded(embed, [name], [record], refused, bar)
        return
    for warning in odd:
        refused.warn(names[0], warning.message, bar)
    yield from zip(names, records, results, strict=True)
