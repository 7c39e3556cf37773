"""The command line: its commands, and what exceptions mean for the exit status."""

from __future__ import annotations

import argparse
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import TextIO

from .._version import __version__
from . import align, ask, beats, check, classify, delineate, demo, embed, info, pack, pretrain, retrieve, rhythms
from .messages import complain, described, flush, in_options, printable
from .parser import CommandParser
from .progress import on_terminal
from .stopping import Stopped, stoppable

# In the order of the help. Each file has `add_parser(commands)` and `run(arguments) -> exit status`.
_COMMANDS = (demo, check, pretrain, embed, classify, align, ask, retrieve, delineate, beats, rhythms, pack, info)
_DESCRIPTION = """ECG embeddings and waves from the command line: a folder of ECGs goes in (WFDB, EDF, DICOM,
XML, SCP-ECG and others), and a model, or a table of embeddings, answers, waves, beats or rhythms, comes out.
"""
_EPILOG = """examples:
  beatssl demo
  beatssl check my_records --out checked.csv --report checked.html
  beatssl pretrain my_records --out model.bssl --epochs 20
  beatssl embed model.bssl my_records --out records.csv
  beatssl embed my_records --level beat --out beats.parquet
  beatssl classify my_records --out table.csv
  beatssl align my_records --reports reports.csv --out aligned.bssl
  beatssl ask aligned.bssl my_records --prompt "atrial fibrillation" --out scores.csv
  beatssl retrieve aligned.bssl my_records "left bundle branch block"
  beatssl delineate my_records --out waves --annotations --plot 3
  beatssl beats my_records --out beats --annotations
  beatssl rhythms my_records --out rhythms
  beatssl pack my_records my_records.zarr
  beatssl info model.bssl

exit status: 0 done; 1 done, but --strict and some records were skipped; 2 not done; 128 + number of a signal.
For research only; not a medical device.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        Words of the command line; None takes those of the program.

    Returns
    -------
    int
        Exit status: 0 done, 1 skipped records under ``--strict``, 2 not done, 128 and the number of a signal: 130
        interrupted, 143 terminated.
    """
    try:
        arguments = _parser().parse_args(argv)
        with warnings.catch_warnings(), stoppable():
            warnings.showwarning = _warning_shower(arguments)
            return _run(arguments)
    finally:
        flush()


def _run(arguments: argparse.Namespace) -> int:
    try:
        return int(arguments.run(arguments))
    except (ValueError, TypeError, OSError, ImportError, FloatingPointError, MemoryError) as error:
        complain(f"beatssl: {in_options(described(error), arguments)}")
        return 2
    except Exception:
        # A class of the user's own can fail in any way: where it did is what helps then.
        if not getattr(arguments, "imports", None):
            raise
        traceback.print_exc()
        return 2
    except KeyboardInterrupt:
        complain("beatssl: interrupted")
        return 130
    except Stopped as stop:
        complain(f"beatssl: stopped by {stop}")
        return stop.status


def _warning_shower(arguments: argparse.Namespace) -> Callable[..., None]:
    told: set[str] = set()

    def show_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = printable(f"warning: {in_options(str(message), arguments)}")
        # Records that are read twice are odd twice.
        if text in told:
            return
        told.add(text)
        if not on_terminal():
            complain(text)
            return
        # A plain write would break a progress bar.
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)

    return show_warning


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "beatssl", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(
        title="commands", required=True, metavar="COMMAND", parser_class=CommandParser
    )
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser
