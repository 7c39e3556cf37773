"""The command `beatssl retrieve`: the records of a folder that fit a text best."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from .messages import say, shown
from .own_modules import import_modules
from .parser import (
    add_allow_nan,
    add_check,
    add_folder,
    add_id,
    add_import,
    add_reading,
    new_command,
    positive,
)

_EXAMPLE = """example:
  beatssl retrieve aligned.bssl my_records "left bundle branch block" --top 20 --out found.csv

Similarity is the cosine of record and text. What is found is similar, and no diagnosis.
For research only; not a medical device.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = new_command(commands, "retrieve", "Find the ECGs of a folder that fit a text best.", run)
    command.epilog, command.formatter_class = _EXAMPLE, argparse.RawDescriptionHelpFormatter
    command.add_argument("model", metavar="MODEL", help="file of `beatssl align`, or of `save`")
    add_folder(command)
    command.add_argument("text", metavar="TEXT", help="a report, a sentence or a few words")
    command.add_argument("--top", metavar="N", type=positive, default=10, help="how many, at most [%(default)s]")
    command.add_argument("--out", type=Path, help="table to write: .csv or .parquet [standard output]")
    add_id(command)
    command.add_argument("--batch-size", type=positive, default=32, help="records at a time [%(default)s]")
    add_allow_nan(command)
    add_check(command)
    add_import(command)
    add_reading(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    import_modules(arguments.imports)
    import numpy as np

    from .answers import Best, answers, open_aligner, open_answers
    from .folder import open_folder, record_ids
    from .outputs import check_outputs
    from .progress import Progress

    table = open_answers(arguments.out, ["similarity"])
    aligner = open_aligner(arguments)
    # A text that cannot be used, or that shares no word with the reports, is told before the records are read.
    z = aligner.encode_text([arguments.text])[0]
    folder, refused = open_folder(arguments)
    check_outputs([arguments.out] if arguments.out else [], arguments)
    ids = record_ids(folder.names, arguments)
    best = Best(arguments.top)
    with table or nullcontext(), Progress(len(folder), "retrieve", arguments.quiet) as bar:
        for name, vector in answers(folder, arguments, aligner.allow_nan, aligner.transform, refused, bar):
            best.add(ids[name], float(vector @ z))
        if len(refused.names) == len(folder):
            raise ValueError(f"none of {len(folder)} records could be looked at")
        if table is not None:
            for record, similarity in best.ranked():
                table.add(record, np.array([[similarity]], dtype=np.float32))
            table.commit()
    if table is not None:
        say(f"{arguments.out}: {best.share}")
    else:
        say(f"{best.share}, by similarity")
        for record, similarity in best.ranked():
            say(f"  {similarity:6.3f}  {shown(record)}")
    return refused.summary(len(folder))
