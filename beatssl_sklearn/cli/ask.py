"""The command `beatssl ask`: how well the records of a folder fit prompts, which are texts."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from .prompts import classes, prompt

if TYPE_CHECKING:
    from .answers import Best

_EXAMPLE = """examples:
  beatssl ask aligned.bssl my_records --prompt "atrial fibrillation" --top 5
  beatssl ask aligned.bssl my_records --prompt "AF=atrial fibrillation|Vorhofflimmern" --codes NORM --out scores.csv

Scores rank records; they are no calibrated probabilities, and no diagnoses.
For research only; not a medical device.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    text = "Ask a model of `beatssl align` how well each ECG of a folder fits texts."
    command = new_command(commands, "ask", text, run)
    command.epilog, command.formatter_class = _EXAMPLE, argparse.RawDescriptionHelpFormatter
    command.add_argument("model", metavar="MODEL", help="file of `beatssl align`, or of `save`")
    add_folder(command)
    command.add_argument(
        "--prompt",
        metavar="[NAME=]TEXT",
        dest="prompts",
        type=prompt,
        action="append",
        default=[],
        help="what is asked, for example \"atrial fibrillation\"; several texts for one answer stand between |, and a "
        "name before =; repeatable",
    )
    command.add_argument(
        "--codes",
        metavar="NAMES",
        type=lambda text: [code.strip() for code in text.split(",")],
        default=[],
        help="statements of SCP-ECG as PTB-XL spells them, such as AFIB,NORM: their prompts are built in",
    )
    command.add_argument(
        "--mode",
        choices=("independent", "exclusive"),
        default="independent",
        help="each prompt by itself, .5 being the median record of the training; or shares of all, their sum 1 "
        "[%(default)s]",
    )
    command.add_argument("--out", type=Path, help="table to write: .csv or .parquet [only the highest are shown]")
    command.add_argument(
        "--top", metavar="N", type=positive, default=10, help="records shown per prompt without --out [%(default)s]"
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
    import numpy as np

    from .answers import Best, answers, open_aligner, open_answers
    from .folder import open_folder, record_ids
    from .outputs import check_outputs
    from .progress import Progress

    asked = classes(arguments.prompts, arguments.codes)
    if arguments.mode == "exclusive" and len(asked) < 2:
        raise ValueError(f"--mode exclusive needs at least two prompts, got {', '.join(asked)}")
    table = open_answers(arguments.out, list(asked))
    aligner = open_aligner(arguments)
    folder, refused = open_folder(arguments)
    check_outputs([arguments.out] if arguments.out else [], arguments)
    ids = record_ids(folder.names, arguments)
    best = {name: Best(arguments.top) for name in asked}
    work = partial(aligner.predict_proba, prompts=asked, mode=arguments.mode)
    with table or nullcontext(), Progress(len(folder), "ask", arguments.quiet) as bar:
        for name, scores in answers(folder, arguments, aligner.allow_nan, work, refused, bar):
            if table is not None:
                table.add(ids[name], scores[None].astype(np.float32))
                table.commit()
            for ranking, score in zip(best.values(), scores.tolist(), strict=True):
                ranking.add(ids[name], score)
        if len(refused.names) == len(folder):
            raise ValueError(f"none of {len(folder)} records could be asked about")
    if table is not None:
        say(f"{arguments.out}: {table.n_rows} records, {len(asked)} prompts")
    else:
        _show(best)
    return refused.summary(len(folder))


def _show(best: Mapping[str, Best]) -> None:
    for name, ranking in best.items():
        say(f"{name}: {ranking.share}")
        for record, score in ranking.ranked():
            say(f"  {score:.3f}  {shown(record)}")
