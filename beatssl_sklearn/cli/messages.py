"""What the command line writes: results on standard output; progress, warnings and errors on standard error."""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import TextIO

from ..files.cell_text import escape_text

# Parameters of the library that are options, and the options whose name is another one.
_PARAMETERS = (
    *("max_epochs", "batch_size", "fs_model", "allow_nan", "fs", "checkpoint_dir", "random_state", "encoder_params"),
    *("positional", "leads", "device", "lr", "groups", "reports", "times", "objective", "encoder", "check"),
    *("window", "step", "min_duration", "encoder_lr"),
)
_OTHER_NAMES = {"max_epochs": "epochs", "random_state": "seed", "encoder_params": "encoder_set"}


def printable(text: str) -> str:
    """Return a text as one line without control characters: names in files can hold any."""
    line = re.sub(r"\s*\n\s*", " ", text)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def say(text: str) -> None:
    """Write a line of results."""
    _write(sys.stdout, text, "standard output")


def complain(text: str) -> None:
    """Write a line on standard error."""
    _write(sys.stderr, text, "standard error")


def _write(stream: TextIO | None, text: str, what: str) -> None:
    """Write a line. Work goes on where nobody reads: into a pipe whose reader has gone, or without a stream."""
    # Python has no stream where the shell closed it.
    if stream is None:
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write((printable(text) + "\n").encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except OSError as error:
        _to_nowhere(stream)
        if not isinstance(error, BrokenPipeError):
            raise OSError(f"{what}: {error.strerror}") from error


def flush() -> None:
    """Write what is left, so that Python has nothing to complain about at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            _to_nowhere(stream)


def _to_nowhere(stream: TextIO) -> None:
    """Let a stream that cannot be written to end in the null device: Python writes what is left of it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError):
        # It has no descriptor.
        pass
    finally:
        os.close(nowhere)


def described(error: BaseException) -> str:
    """Return an error in one line: what it says, and what kind it is where that says more."""
    text = str(error)
    if isinstance(error, MemoryError):
        return f"not enough memory: {text}" if text else "not enough memory"
    if isinstance(error, (ValueError, TypeError, OSError, ImportError, RuntimeError)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def shown(name: str) -> str:
    """Return the name of a record as tables and messages have it."""
    return printable(escape_text(name))


def in_options(text: str, arguments: argparse.Namespace) -> str:
    """Return a message of the library with the options of the command in place of parameters.

    Parameters
    ----------
    text : str
    arguments : argparse.Namespace
        Its names decide which parameters are options of the command.
    """
    if hasattr(arguments, "leads"):
        text = text.replace("leads={NAME: LEAD}", "--leads NAME=LEAD")
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
