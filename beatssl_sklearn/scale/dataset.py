"""A data set of any size: embeddings or waves of its records, as a folder of Parquet shards."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from .._optional import import_optional
from ..components import check_number
from .given_records import GivenRecords
from .job import DatasetResult, Job, run_job, workers_of
from .kinds import Delineation, Embedding, Kind
from .manifest import manifest_digest, read_manifest
from .shard_file import own_shard, read_shard, shard_path

if TYPE_CHECKING:
    from pandas import DataFrame


def embed_dataset(
    model: Any,
    records: Any,
    out: str | os.PathLike[str],
    *,
    level: str = "rhythm",
    engine: str | None = None,
    n_jobs: int | None = None,
    batch_size: int = 32,
    shard_size: int | None = None,
    ids: Sequence[str] | None = None,
    patients: Sequence[Any] | None = None,
    overwrite: bool = False,
    retry_failed: bool = False,
    verbose: int = 0,
    progress: Callable[[int], None] | None = None,
) -> DatasetResult:
    """Embed the records of a data set into a folder of Parquet shards.

    A call that was interrupted, or killed, is repeated to go on: shards that are finished stay, and no record of them
    is embedded again. A record that cannot be used is a line in the file ``_failures.csv`` of the folder.

    Parameters
    ----------
    model : RhythmEmbedder, BeatEmbedder, fitted estimator, FittedEncoder, path or str
        What embeds. Rate and leads of arrays, `allow_nan`, `check`, `device` and `precision` are those of an embedder;
        of anything else they are an embedder's defaults.
    records : as X of `RhythmEmbedder.transform`
        Read when they are needed. Workers on other machines read them by the same paths.
    out : path
        The folder, which all workers can write to. It is made if it is not there.
    level : {"rhythm", "beat"}, default="rhythm"
        A row per record, or per heartbeat.
    engine : {None, "joblib", "dask", "ray", "spark"}, default=None
        Who carries the work to workers. None is this process. Dask, Ray and Spark take the client, connection or
        session that is in use, and else start workers on this machine.
    n_jobs : int, default=None
        Workers that are started on this machine; None or -1 is one per core.
    batch_size : int, default=32
        Records that the network sees at once.
    shard_size : int, default=None
        Records of a shard, brought to a multiple of `batch_size`: what a killed worker loses at most. None is 1024, or
        less where workers would have few shards.
    ids : sequence of n_records str, default=None
        What tables call the records. None takes the names or paths that `records` has, else their positions.
    patients : sequence of n_records, default=None
        Patient of each record. None takes the `patients` that `records` has.
    overwrite : bool, default=False
        Whether to remove the shards of an earlier job first.
    retry_failed : bool, default=False
        Whether to make shards anew in which a record failed.
    verbose : int, default=0
        1 shows a progress bar with rate and time left.
    progress : callable, default=None
        Called with the number of records of each shard that is finished; first with those that were there.

    Returns
    -------
    DatasetResult
        What is in the folder; `read_dataset` reads it.

    Raises
    ------
    ValueError, TypeError
        If a parameter cannot be used, the folder holds another job (the message names what differs), or no record could
        be used.
    OSError
        If another process works in the folder, or a shard cannot be written. What is finished stays.
    ImportError
        If the package of an engine is missing.
    RuntimeError
        If workers end again and again.

    Warns
    -----
    UserWarning
        If records look odd: they are listed in ``_warnings.csv``. If a shard is not whole.

    Notes
    -----
    Columns are ``row`` (position in `records`), ``record``, ``patient`` if known, for heartbeats ``beat``, ``rpeak``
    and ``time_s``, and then those of `get_feature_names_out`. The numbers are those of `transform` with this
    `batch_size` and one thread. The metadata of each shard has the digest of the model and the parameters.
    """
    check_number("batch_size", batch_size, Integral, 1)
    kind = Embedding(model, level, int(batch_size))
    made: dict[str, Any] = {"batch_size": batch_size, "shard_size": shard_size}
    run: dict[str, Any] = {"engine": engine, "n_jobs": n_jobs, "overwrite": overwrite, "retry_failed": retry_failed}
    return _run(kind, GivenRecords(records, ids, patients), out, verbose, progress, **made, **run)


def delineate_dataset(
    model: Any,
    records: Any,
    out: str | os.PathLike[str],
    *,
    consensus: bool = False,
    engine: str | None = None,
    n_jobs: int | None = None,
    batch_size: int = 32,
    shard_size: int | None = None,
    ids: Sequence[str] | None = None,
    patients: Sequence[Any] | None = None,
    overwrite: bool = False,
    retry_failed: bool = False,
    verbose: int = 0,
    progress: Callable[[int], None] | None = None,
) -> DatasetResult:
    """Mark the waves of the records of a data set, as tables in a folder of Parquet shards.

    Parameters
    ----------
    model : WaveSegmenter, path or str
        What marks waves, with its parameters.
    records, out : as for `embed_dataset`
    consensus : bool, default=False
        Whether to add rows with lead "consensus".
    engine, n_jobs, batch_size, shard_size, ids, patients : as for `embed_dataset`
    overwrite, retry_failed, verbose, progress : as for `embed_dataset`

    Returns
    -------
    DatasetResult
        What is in the folder; `read_dataset` reads it.

    Raises
    ------
    ValueError, TypeError, OSError, ImportError, RuntimeError
        As for `embed_dataset`.

    Notes
    -----
    Columns are ``row`` (position in `records`), ``record``, ``patient`` if known, and then those of
    `WaveSegmenter.delineate` from ``lead`` on.
    """
    check_number("batch_size", batch_size, Integral, 1)
    made: dict[str, Any] = {"batch_size": batch_size, "shard_size": shard_size}
    run: dict[str, Any] = {"engine": engine, "n_jobs": n_jobs, "overwrite": overwrite, "retry_failed": retry_failed}
    kind = Delineation(model, consensus)
    return _run(kind, GivenRecords(records, ids, patients), out, verbose, progress, **made, **run)


class _Counter:
    """Shows records that are done; those of an earlier call do not count for the rate."""

    def __init__(self, bar: Any, also: Callable[[int], None] | None) -> None:
        self._bar, self._also, self._begun = bar, also, False

    def __call__(self, n: int) -> None:
        if not self._begun:
            self._begun, self._bar.initial = True, n
        self._bar.update(n)
        if self._also is not None:
            self._also(n)


def _run(kind: Kind, given: GivenRecords, out: Any, verbose: int, progress: Any, **job: Any) -> DatasetResult:
    if job["shard_size"] is not None:
        check_number("shard_size", job["shard_size"], Integral, 1)
    import_optional("pyarrow.parquet", "writing shards", "parquet")
    job["n_jobs"] = workers_of(job["engine"], job["n_jobs"])
    with tqdm(total=given.n, desc=kind.task.partition(",")[0], unit="rec", disable=not verbose) as bar:
        return run_job(Job(kind, given, Path(out), **job), _Counter(bar, progress))


def read_dataset(
    out: str | os.PathLike[str], *, columns: Sequence[str] | None = None, partial: bool = False
) -> DataFrame:
    """Read what `embed_dataset` or `delineate_dataset` wrote, as one table in the order of the records.

    ``pandas.read_parquet(out)`` reads the same files, but does not ask whether all are there.

    Parameters
    ----------
    out : path
        The folder.
    columns : sequence of str, default=None
        Columns to read; all by default.
    partial : bool, default=False
        Whether to read the shards of a job that is not finished.

    Returns
    -------
    DataFrame
        See `embed_dataset` for the columns.

    Raises
    ------
    ValueError
        If the folder has no such job, the job is not finished and `partial` is False, a shard is not whole, or
        `columns` has a name that the shards do not have.
    TypeError
        If `columns` is no sequence of names.
    OSError
        If a shard is damaged; the message names it.
    """
    arrow = import_optional("pyarrow", "reading shards", "parquet")
    folder = Path(out)
    chosen = _checked_columns(columns)
    if folder.is_file():
        raise ValueError(f"{folder} is a file; give the folder of the shards")
    manifest = read_manifest(folder)
    if manifest is None:
        raise ValueError(f"{folder} holds nothing that embed_dataset or delineate_dataset wrote")
    digest, size, n = manifest_digest(manifest), manifest["shard_size"], manifest["records"]["number"]
    numbers = range(-(-n // size))
    whole = [number for number in numbers if own_shard(folder, number, size, n, digest) is not None]
    if len(whole) < len(numbers) and not (partial and whole):
        raise ValueError(
            f"{folder}: {len(numbers) - len(whole)} of {len(numbers)} shards are missing, not whole or of another job; "
            f"the call that made them goes on if it is repeated, and partial=True reads what is there"
        )
    tables = [read_shard(shard_path(folder, number), chosen) for number in whole]
    return arrow.concat_tables(table.replace_schema_metadata() for table in tables).to_pandas()


def _checked_columns(columns: Sequence[str] | None) -> list[str] | None:
    if columns is None:
        return None
    if isinstance(columns, str) or not all(isinstance(name, str) for name in columns):
        raise TypeError(f"columns must be a sequence of names or None, got {columns!r:.80}")
    if not len(columns):
        raise ValueError("columns is empty; None reads all of them")
    return list(columns)
