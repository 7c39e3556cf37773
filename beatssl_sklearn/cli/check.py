"""The command `beatssl check`: what is wrong with the records of a folder, as a table and as a page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .messages import say
from .parser import add_folder, add_id, add_reading, new_command, positive

# Options that change nothing but the page, and what they are without being given.
_OF_THE_PAGE: dict[str, Any] = {"map": "ptbxl-s", "waves": "waves", "pictures": 6}


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = new_command(
        commands, "check", "Check the quality, leads, units and rates of a folder of ECGs, before they are used.", run
    )
    add_folder(command)
    command.add_argument("--out", type=Path, required=True, help="table to write: .csv or .parquet, a row per record")
    command.add_argument("--report", type=Path, metavar="HTML", help="also a page with pictures, in one file")
    command.add_argument(
        "--map", metavar="MODEL", help=f"with --report: embedder of the map, or none [{_OF_THE_PAGE['map']}]"
    )
    command.add_argument(
        "--waves", metavar="MODEL", help=f"with --report: segmenter of the intervals, or none [{_OF_THE_PAGE['waves']}]"
    )
    command.add_argument(
        "--pictures",
        type=positive,
        metavar="N",
        help=f"with --report: records that the page shows [{_OF_THE_PAGE['pictures']}]",
    )
    add_id(command)
    add_reading(command)
    command.set_defaults(batch_size=32)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from .._optional import import_optional
    from ..files.table_formats import open_table
    from .check_intervals import MeasuredIntervals
    from .check_map import map_embedder
    from .check_records import CheckedRecords, as_batch
    from .folder import batches, open_folder, record_ids
    from .outputs import check_file, check_outputs
    from .progress import Progress

    _complete(arguments)
    table = open_table(arguments.out)
    outputs = [arguments.out]
    check_file(arguments.out)
    if arguments.report is not None:
        import_optional("matplotlib.figure", "--report", "plot")
        check_file(arguments.report, "--report")
        if arguments.report.absolute() == arguments.out.absolute():
            raise ValueError(f"--report {arguments.report}: this is --out, too; choose another name")
        outputs.append(arguments.report)
    folder, refused = open_folder(arguments)
    check_outputs(outputs, arguments)
    # The page alone has intervals and a map; models that cannot be used are refused before records are read.
    intervals = None if arguments.report is None else MeasuredIntervals(folder.names, arguments)
    embedder = None if arguments.report is None else map_embedder(arguments)
    with table, Progress(len(folder), "check", arguments.quiet) as bar:
        checked = CheckedRecords(table, record_ids(folder.names, arguments), arguments)
        for part in batches(folder, arguments, True, refused, bar):
            batch = as_batch(part, refused, bar)
            if batch is not None:
                checked.add(batch, refused, bar)
                if intervals is not None:
                    intervals.add(batch, refused, bar)
            bar.update(1 if batch is None else len(batch))
        if not checked.rows:
            raise ValueError(f"none of {len(folder)} records could be checked")
    if intervals is not None:
        from .check_report import write_report

        write_report(arguments.report, checked, intervals, embedder, folder, refused, arguments)
        say(f"{arguments.report}: a page on {len(checked.rows)} records")
    say(f"{arguments.out}: {len(checked.rows)} records, {checked.n_doubtful} of them doubtful")
    if checked.n_own_gains:
        say(
            f"limb leads have gains of their own in {checked.n_own_gains} of {len(checked.rows)} records: waves are in "
            f"their places, but amplitudes of different leads, and axes, cannot be compared"
        )
    return refused.summary(len(folder))


def _complete(arguments: argparse.Namespace) -> None:
    """Set options of the page to their defaults; refuse those that were given without a page."""
    for option, default in _OF_THE_PAGE.items():
        given = getattr(arguments, option)
        if given is None:
            setattr(arguments, option, default)
        elif arguments.report is None and given != "none":
            raise ValueError(f"--{option} {given}: this is of the page alone; give --report, too")
