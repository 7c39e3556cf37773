"""Options of the commands that can write a folder of shards. Nothing heavy is imported."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from .parser import positive

# Options that need shards, by their names among the arguments.
_OF_SHARDS = {"workers": "--workers", "shard_size": "--shard-size", "overwrite": "--overwrite"}
_OF_SHARDS["retry_failed"] = "--retry-failed"


class _Place(argparse.Action):
    """A path; the namespace also has whether it ends as the path of a folder."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        namespace.out, namespace.out_is_folder = Path(values), values.endswith(("/", os.sep))


def add_shards(command: argparse.ArgumentParser, help_text: str) -> None:
    """Add ``--out``, and the options of shards."""
    command.add_argument("--out", action=_Place, required=True, help=help_text)
    command.add_argument(
        "--engine",
        choices=("none", "joblib", "dask", "ray", "spark"),
        help="who carries shards to workers; none is one process",
    )
    command.add_argument("--workers", metavar="N", type=positive, help="of the engine [one per core]")
    command.add_argument(
        "--shard-size", metavar="N", type=positive, help="records of a shard: what a killed worker loses [1024 or less]"
    )
    command.add_argument("--overwrite", action="store_true", help="remove the shards of an earlier call first")
    command.add_argument("--retry-failed", action="store_true", help="make shards anew in which a record failed")


def wants_shards(arguments: argparse.Namespace) -> bool:
    """Whether shards are meant: an engine, a folder that is there, or a name that ends as that of a folder."""
    out: Path = arguments.out
    return arguments.engine is not None or arguments.out_is_folder or (not out.suffix and out.is_dir())


def check_shards(arguments: argparse.Namespace) -> None:
    """Refuse options of shards where none are written.

    Raises
    ------
    ValueError
        Naming the option.
    """
    for name, option in _OF_SHARDS.items():
        if getattr(arguments, name):
            raise ValueError(f"{option} is for shards, which --engine asks for")
