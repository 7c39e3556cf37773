"""What the command line writes: results on standard output; progress, warnings and errors on standard error."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any

# What a record that cannot be read raises.
READ_ERRORS = (ValueError, OSError)
# Parameters of the library that are options, and the options whose name is another one.
_PARAMETERS = (
    *("max_epochs", "batch_size", "fs_model", "allow_nan", "checkpoint_dir", "random_state", "encoder_params"),
    *("positional", "leads", "device", "lr", "groups", "reports", "objective", "encoder"),
)
_OTHER_NAMES = {"max_epochs": "epochs", "random_state": "seed", "encoder_params": "encoder_set"}


def printable(text: str) -> str:
    """Return a text as one line without control characters: names in files can hold any."""
    line = re.sub(r"\s*\n\s*", " ", text)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def say(text: str) -> None:
    """Write a line of results."""
    sys.stdout.write(printable(text) + "\n")
    sys.stdout.flush()


def progress(items: Sequence[Any], what: str, quiet: bool) -> Any:
    """Return a progress bar over records."""
    from tqdm import tqdm

    return tqdm(total=len(items), desc=what, unit="rec", disable=quiet)


def in_options(text: str, arguments: argparse.Namespace) -> str:
    """Return a message of the library with the options of the command in place of parameters.

    Parameters
    ----------
    text : str
    arguments : argparse.Namespace
        Its names decide which parameters are options of the command.
    """
    for parameter in _PARAMETERS:
        name = _OTHER_NAMES.get(parameter, parameter)
        if hasattr(arguments, name):
            text = _replaced(text, parameter, "--" + name.replace("_", "-"))
    for option in ("set", "encoder_set"):
        for path, _ in getattr(arguments, option, ()):
            text = _replaced(text, path.rpartition(".")[2], f"--{option.replace('_', '-')} {path}")
    return text


def _replaced(text: str, parameter: str, option: str) -> str:
    """Replace a parameter where it is meant: some are words of English, too."""
    # An option without a value replaces `parameter=True`, one with a value only the name.
    ends = r"=True\b|=\[\.\.\.\]|(?==)|(?= must\b)"
    # No word of English has an underscore.
    ends += r"|\b" if "_" in parameter else ""
    return re.sub(rf"(?<![\w.-]){re.escape(parameter)}(?:{ends})", option, text)


class Refused:
    """Skipped records: one warning each, and a summary at the end."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.names: list[str] = []
        self._arguments = arguments

    def add(self, name: str, error: Exception, bar: Any) -> None:
        """Warn of a record that cannot be used."""
        self.names.append(name)
        bar.write(printable(f"skipped {name}: {in_options(str(error), self._arguments)}"), file=sys.stderr)

    def warn(self, name: str, text: object, bar: Any) -> None:
        """Warn of a record that is used all the same."""
        bar.write(printable(f"warning: {name}: {in_options(str(text), self._arguments)}"), file=sys.stderr)

    def summary(self, n_records: int) -> int:
        """Write how many records were skipped; return the exit status."""
        if self.names:
            sys.stderr.write(f"{len(self.names)} of {n_records} records were skipped\n")
        return 1 if self._arguments.strict and self.names else 0
