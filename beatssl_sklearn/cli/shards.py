"""`beatssl embed` and `beatssl delineate` on many records: shards in a folder, made by an engine."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import BeatEmbedder, RhythmEmbedder, delineate_dataset, embed_dataset
from ..quality.reliable import REFUSED
from .folder import open_folder, record_ids
from .messages import say
from .models import from_file
from .outputs import check_folder
from .progress import Progress

if TYPE_CHECKING:
    from .. import WaveSegmenter
    from ..scale import DatasetResult

_TABLES = (".csv", ".parquet", ".npz")
# Parameters of the library in messages, and the options of the command.
_OPTIONS = {"overwrite=True": "--overwrite", "retry_failed=True": "--retry-failed", "engine=": "--engine "}
_OPTIONS |= {"n_jobs=": "--workers ", "batch_size=": "--batch-size ", "reliable=": "--reliable "}

# A record that raises is left out of its shard, and told.
_RELIABLE = {"keep": "keep", "warn": "warn", "drop": "raise"}


def embed_into_shards(arguments: argparse.Namespace) -> int:
    """Embed a folder of records into shards; return the exit status.

    Raises
    ------
    ValueError
        If `--out` is a table, or the level has no shards.
    """
    if arguments.level == "sample":
        raise ValueError("--level sample cannot be written as shards: choose rhythm or beat, or a table as --out")
    embedders: dict[str, Any] = {"rhythm": RhythmEmbedder, "beat": BeatEmbedder}
    embedder = embedders[arguments.level](
        arguments.model,
        device=arguments.device,
        allow_nan=True if arguments.allow_nan else None,
        check=arguments.check,
        reliable=_RELIABLE[arguments.reliable],
    )
    with from_file(arguments.model):
        _ = embedder.encoder_

    def work(folder: Any, **options: Any) -> DatasetResult:
        return embed_dataset(embedder, folder, arguments.out, level=arguments.level, **options)

    return _run("embed", work, arguments)


def delineate_into_shards(segmenter: WaveSegmenter, arguments: argparse.Namespace) -> int:
    """Delineate a folder of records into shards; return the exit status.

    Raises
    ------
    ValueError
        If something is asked for that shards do not have.
    """
    given = {"--plot": arguments.plot, "--annotations": arguments.annotations}
    given["--intervals"] = arguments.intervals != "record"
    for option, is_given in given.items():
        if is_given:
            raise ValueError(f"{option} cannot be had with --engine, whose shards hold waves only")

    def work(folder: Any, **options: Any) -> DatasetResult:
        return delineate_dataset(segmenter, folder, arguments.out, consensus=arguments.consensus, **options)

    return _run("delineate", work, arguments)


def _run(what: str, work: Callable[..., DatasetResult], arguments: argparse.Namespace) -> int:
    if arguments.out.suffix.lower() in _TABLES:
        raise ValueError(f"--out {arguments.out}: shards need a folder, not a table")
    check_folder(arguments.out, "--out")
    folder, refused = open_folder(arguments)
    ids = record_ids(folder.names, arguments)
    # Workers on this machine need no other package.
    engine = arguments.engine or (None if arguments.workers in (None, 1) else "joblib")
    options = {"batch_size": arguments.batch_size, "shard_size": arguments.shard_size}
    options |= {"overwrite": arguments.overwrite, "retry_failed": arguments.retry_failed}
    with Progress(len(folder), what, arguments.quiet) as bar, warnings.catch_warnings(record=True) as odd:
        warnings.simplefilter("always", UserWarning)
        try:
            result = work(
                folder,
                ids=list(ids.values()),
                engine=None if engine == "none" else engine,
                n_jobs=arguments.workers,
                progress=bar.update,
                **options,
            )
        except (ValueError, OSError, RuntimeError) as error:
            raise type(error)(_in_options(str(error))) from error
        for failure in result.failures:
            name = folder.names[failure.row]
            refused.add(name, ValueError(failure.message.removeprefix(REFUSED).removeprefix(f"record {name!r}: ")), bar)
        for warning in odd:
            if issubclass(warning.category, UserWarning):
                bar.write(f"warning: {_in_options(str(warning.message))}")
    n_used = result.n_records - len(result.failures)
    say(f"{arguments.out}: {result.n_rows} rows of {n_used} records, in {result.n_shards} shards")
    return refused.summary(len(folder))


def _in_options(text: str) -> str:
    for parameter, option in _OPTIONS.items():
        text = text.replace(parameter, option)
    return text
