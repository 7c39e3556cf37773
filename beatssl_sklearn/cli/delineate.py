"""The command `beatssl delineate`: tables of waves and intervals, annotation files and pictures of a folder."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

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
    seconds,
)
from .shard_options import add_shards, check_shards

if TYPE_CHECKING:
    from .. import WaveSegmenter


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    text = "Mark P, QRS and T in a folder of ECGs, and measure the intervals."
    command = new_command(commands, "delineate", text, run)
    add_model_and_folder(command, "waves")
    add_shards(
        command,
        "folder for the results: tables of waves, of intervals, and the rest; with --engine, Parquet shards of waves",
    )
    add_id(command)
    command.add_argument("--batch-size", type=positive, default=32, help="records at a time, of shards [%(default)s]")
    command.add_argument("--consensus", action="store_true", help="also the waves that the leads agree on")
    command.add_argument(
        "--intervals",
        choices=("record", "beat", "both"),
        default="record",
        help="medians of records in intervals.csv, or each beat's in beat_intervals.csv, or both [%(default)s]",
    )
    command.add_argument(
        "--annotations", action="store_true", help="also a WFDB annotation file for each lead, in OUT/annotations"
    )
    command.add_argument("--format", choices=("csv", "parquet"), default="csv", help="of the tables [%(default)s]")
    command.add_argument(
        "--plot", metavar="N", type=positive, default=0, help="also pictures of the first N records, in OUT/plots"
    )
    command.add_argument(
        "--plot-start", metavar="S", type=seconds, default=0.0, help="where pictures begin [%(default)g s]"
    )
    command.add_argument(
        "--plot-length", metavar="S", type=seconds, default=10.0, help="what pictures show [%(default)g s]"
    )
    command.add_argument(
        "--plot-format", choices=("png", "svg", "pdf"), default="png", help="of pictures [%(default)s]"
    )
    add_allow_nan(command)
    add_check(command)
    add_import(command)
    add_reading(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    import_modules(arguments.imports)
    if arguments.engine is not None:
        from .shards import delineate_into_shards

        return delineate_into_shards(_segmenter(arguments), arguments)
    check_shards(arguments)
    from .._optional import import_optional
    from .delineate_record import RecordWaves, UnsureRecords, delineated
    from .delineate_results import Results
    from .folder import open_folder, record_ids
    from .outputs import check_outputs
    from .progress import Progress

    # What is wrong or missing must not be noticed only after the first record.
    if arguments.plot_length <= 0:
        raise ValueError(f"--plot-length must be more than 0 s, got {arguments.plot_length:g}")
    if arguments.plot:
        import_optional("matplotlib", "--plot", "plot")
    segmenter = _segmenter(arguments)
    folder, refused = open_folder(arguments)
    written, unsure = Results(arguments, record_ids(folder.names, arguments)), UnsureRecords()
    check_outputs(written.paths, arguments)
    with written as results, Progress(len(folder), "delineate", arguments.quiet) as bar:
        for name in folder.names:
            with RecordWaves(name) as waves:
                if delineated(waves, segmenter, arguments, refused, unsure, bar):
                    results.add(waves, refused, bar)
            bar.update()
        unsure.tell(results.n_records, refused, bar)
        if not results.n_records:
            raise ValueError(f"none of {len(folder)} records could be delineated")
    say(f"{arguments.out}: {results.n_waves} waves of {results.n_records} records")
    if results.n_pictures:
        say(f"{results.pictures}: {results.n_pictures} pictures, of {results.stretch}")
    return refused.summary(len(folder))


def _segmenter(arguments: argparse.Namespace) -> WaveSegmenter:
    from .. import WaveSegmenter
    from .models import from_file

    with from_file(arguments.model):
        segmenter = WaveSegmenter.load(arguments.model)
    # The device that it was trained on may not be here.
    allow_nan = arguments.allow_nan or segmenter.allow_nan
    segmenter.set_params(device=arguments.device, allow_nan=allow_nan, check=arguments.check)
    return segmenter
