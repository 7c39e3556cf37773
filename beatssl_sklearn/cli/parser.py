"""What the parsers of the commands share: arguments, options, and how values are read. Nothing heavy is imported."""

from __future__ import annotations

import argparse
import ast
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

FOLDER_HELP = (
    "folder of ECGs: WFDB records (those in its file RECORDS, else every header below it), and files of EDF, DICOM, "
    "HL7, GE, Philips, SCP-ECG or ISHNE; or else of CSV, NumPy, MATLAB and HDF5"
)
"""What a folder of records may hold."""


class CommandParser(argparse.ArgumentParser):
    """A parser of one command, of whose words options may stand between the others."""

    _within = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse options, then what is left; the parser above calls this method."""
        # The method of argparse that does so comes back here for either part.
        if self._within:
            return super().parse_known_args(args, namespace)
        self._refuse_unknown(sys.argv[1:] if args is None else args)
        self._within = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._within = False

    def _refuse_unknown(self, words: Sequence[str]) -> None:
        """Name options that do not exist: their values would be taken for a folder, in some versions of Python."""
        known = self._option_string_actions
        for word in words:
            if word == "--":
                return
            name = word.partition("=")[0]
            # argparse takes words with a blank for values.
            if name.startswith("--") and " " not in word and not any(option.startswith(name) for option in known):
                self.error(f"unrecognized arguments: {word}")


def new_command(
    commands: Any, name: str, text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """Add a command; the namespace of its arguments has `run` as `run`.

    Parameters
    ----------
    commands : what ``ArgumentParser.add_subparsers`` returns
    name : str
        The word on the command line.
    text : str
        One sentence of help.
    run : callable
        Takes the arguments and returns the exit status.
    """
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    return command


def add_folder(command: argparse.ArgumentParser) -> argparse.Action:
    """Add the folder of records."""
    return command.add_argument("folder", metavar="DIR", type=Path, help=FOLDER_HELP)


def add_model(command: argparse.ArgumentParser) -> None:
    """Add the model file."""
    command.add_argument("model", metavar="MODEL", help="file of `beatssl pretrain` or `save`, or a shipped name")


def add_model_and_folder(command: argparse.ArgumentParser, default: str) -> None:
    """Add the model, which has a default, and the folder of records."""
    command.usage = f"{command.prog} [MODEL] DIR --out OUT [options]"
    command.add_argument(
        "folder",
        metavar="[MODEL] DIR",
        nargs="+",
        action=_ModelAndFolder,
        help=f"a model: file of `beatssl pretrain` or `save`, or a shipped name; and the {FOLDER_HELP}",
    )
    command.add_argument(
        "--model", action=_Model, default=default, help="the model, in place of the first word [%(default)s]"
    )


class _Model(argparse.Action):
    """The model, which can be given once."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        if getattr(namespace, "model_given", False):
            parser.error(f"two models are given: {namespace.model} and {values}")
        namespace.model, namespace.model_given = values, True


class _ModelAndFolder(_Model):
    """One word is the folder; of two, the first is the model."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        *model, folder = values
        if len(model) > 1:
            parser.error(f"a model and a folder are expected, got {' '.join(values)}")
        namespace.folder = Path(folder)
        for name in model:
            super().__call__(parser, namespace, name)


def add_import(command: argparse.ArgumentParser) -> None:
    """Add the option for code that registers classes."""
    command.add_argument(
        "--import",
        dest="imports",
        metavar="FILE",
        action="append",
        default=[],
        help="Python file or module to import first, which registers classes of your own; it is executed",
    )


def add_allow_nan(command: argparse.ArgumentParser) -> None:
    """Add the option for records with missing samples."""
    command.add_argument("--allow-nan", action="store_true", help="use records that have missing samples, too")


def add_check(command: argparse.ArgumentParser, raises: str = "skip them") -> None:
    """Add the option for records that are implausible; `raises` says what "raise" means."""
    command.add_argument(
        "--check",
        choices=("warn", "raise", "ignore"),
        default="warn",
        help=f"what to do with implausible records: name them, {raises}, or nothing [%(default)s]",
    )


def add_id(command: argparse.ArgumentParser) -> None:
    """Add the option on how tables call a record."""
    command.add_argument(
        "--id",
        choices=("name", "stem", "path"),
        default="name",
        help="what stands in the column record: the name below DIR, its last part, or DIR and name [%(default)s]",
    )


def add_seed(command: argparse.ArgumentParser) -> None:
    """Add the seed."""
    command.add_argument("--seed", type=int, default=0, help="seed of everything random [%(default)s]")


def add_reading(command: argparse.ArgumentParser, device: bool = True) -> None:
    """Add the options on how records are read and on what is written about them; `device`: and where networks run."""
    command.add_argument(
        "--records", metavar="GLOB", help="only records whose name matches, for example 'records100/*' [all]"
    )
    command.add_argument(
        "--leads",
        metavar="NAMES",
        type=lead_names,
        help="leads to use, such as I,II,V2; or ECG1=II,ECG2=V1: what signals of other names are [all]",
    )
    command.add_argument(
        "--positional", action="store_true", help="the records' own lead names are wrong: --leads names them, in order"
    )
    command.add_argument(
        "--fs", type=float, metavar="HZ", help="sampling rate of files that state none: arrays, tables without times"
    )
    if device:
        command.add_argument("--device", help="cpu or cuda [the best there is]")
    command.add_argument("--strict", action="store_true", help="exit with status 1 if a record had to be skipped")
    command.add_argument("--quiet", action="store_true", help="do not show progress")


def lead_names(text: str) -> list[str] | dict[str, str]:
    """Read names with commas between them; of entries ``SIGNAL=LEAD``, return the leads by their signals."""
    words = [[part.strip() for part in word.rpartition("=")[::2]] for word in text.split(",")]
    if not any(signal for signal, _ in words):
        return [lead for _, lead in words]
    if not all(signal for signal, _ in words):
        raise argparse.ArgumentTypeError(
            f"either chooses leads (II,V1) or names signals (ECG1=II,ECG2=V1), beside which all standard leads are "
            f"read; got both: {text!r}"
        )
    named = dict(words)
    if len(named) < len(words):
        raise argparse.ArgumentTypeError(f"names a signal twice: {text!r}")
    return named


def positive(text: str) -> int:
    """Read a positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Read a time that is not negative."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a time in seconds, got {text!r}")
    return value


def setting(text: str) -> tuple[str, Any]:
    """Read ``NAME=VALUE``; return the name, with dots before parameters of nested components, and the value."""
    name, equals, value = text.partition("=")
    path = name.strip().replace("__", ".")
    if not equals or not all(part.isidentifier() for part in path.split(".")):
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, got {text!r}")
    return path, value_of(value)


def value_of(text: str) -> Any:
    """Read a value as JSON, else as a literal of Python (``.2``, ``(.9, 1.1)``), else as text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
