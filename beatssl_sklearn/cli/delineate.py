"""The command `beatssl delineate`: tables of waves and intervals, annotation files and pictures of a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .messages import Refused, progress, say
from .own_modules import import_modules
from .parser import add_allow_nan, add_folder, add_import, add_reading, new_command, positive

if TYPE_CHECKING:
    from .. import WaveSegmenter


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    text = "Mark P, QRS and T in a folder of ECGs, and measure the intervals."
    command = new_command(commands, "delineate", text, run)
    add_folder(command)
    command.add_argument(
        "--out", type=Path, required=True, help="folder for the results: tables of waves and of intervals, and the rest"
    )
    command.add_argument("--model", default="ludb", help="shipped segmenter, or file with one [%(default)s]")
    command.add_argument("--consensus", action="store_true", help="also the waves that the leads agree on")
    command.add_argument(
        "--annotations", action="store_true", help="also a WFDB annotation file for each lead, in OUT/annotations"
    )
    command.add_argument("--format", choices=("csv", "parquet"), default="csv", help="of the tables [%(default)s]")
    command.add_argument(
        "--plot", metavar="N", type=positive, default=0, help="also pictures of the first N records, in OUT/plots"
    )
    add_allow_nan(command)
    add_import(command)
    add_reading(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    import_modules(arguments.imports)
    from .._optional import import_optional
    from .delineate_record import RecordWaves, delineated
    from .delineate_results import Results
    from .folder import open_folder

    # A missing package must not be noticed only after the first record.
    if arguments.plot:
        import_optional("matplotlib", "--plot", "plot")
    segmenter = _segmenter(arguments)
    folder, refused = open_folder(arguments), Refused(arguments)
    with Results(arguments) as results, progress(folder.names, "delineate", arguments.quiet) as bar:
        for name in folder.names:
            with RecordWaves(name) as waves:
                if delineated(waves, segmenter, arguments, refused, bar):
                    results.add(waves, refused, bar)
            bar.update()
        if not results.n_records:
            raise ValueError(f"none of {len(folder)} records could be delineated")
    say(f"{arguments.out}: {results.n_waves} waves of {results.n_records} records")
    return refused.summary(len(folder))


def _segmenter(arguments: argparse.Namespace) -> WaveSegmenter:
    from .. import WaveSegmenter

    segmenter = WaveSegmenter.load(arguments.model)
    # The device that it was trained on may not be here.
    segmenter.set_params(device=arguments.device, allow_nan=arguments.allow_nan or segmenter.allow_nan)
    return segmenter
