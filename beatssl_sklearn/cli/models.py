"""The model of a command, in the user's words where it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def from_file(model: str) -> Iterator[None]:
    """Name the file as it was given in the errors of the body, which reads it."""
    try:
        yield
    except (ValueError, OSError) as error:
        text, name = str(error), Path(model).name
        if model in text:
            raise
        text = f"{model}{text.removeprefix(name)}" if text.startswith(f"{name}: ") else f"{model}: {text}"
        raise type(error)(text) from error


@contextmanager
def from_option(option: str, model: str) -> Iterator[None]:
    """Name the option and the file in the errors of the body, which reads a model that is not the command's first."""
    try:
        with from_file(model):
            yield
    except (ValueError, TypeError, OSError) as error:
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(f"{option}: {error}") from error
