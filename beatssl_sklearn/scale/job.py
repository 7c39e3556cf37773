"""A job in a folder: what is finished stays, what is missing is made, and what failed is listed."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

import joblib
from filelock import FileLock, Timeout

from .._optional import find_stack_level
from ..files.atomic import write_atomically
from .engines import engine_named
from .engines.lost import WorkerLost
from .given_records import GivenRecords
from .kinds import Kind
from .manifest import MANIFEST, check_same, make_manifest, manifest_digest, read_manifest, write_manifest
from .shard import Stopped, Task, Work
from .shard_file import Failure, Note, ShardInfo, own_shard, shard_path, shard_paths

FAILURES, NOTES = "_failures.csv", "_warnings.csv"
_LOCK = ".lock"
_LARGEST_SHARD = 1024
# Shards per worker, at least: the last ones must not wait for one.
_SHARDS_EACH = 4
# How often in a row workers may end before one shard is finished.
_MOST_LOST = 3


class DatasetResult(NamedTuple):
    """What a job left in its folder.

    Attributes
    ----------
    path : Path
        The folder.
    n_records : int
        Records, with those that failed.
    n_rows : int
        Rows of all shards.
    n_shards : int
        Shards in the folder.
    n_made : int
        Shards that this call made; the others were there.
    failures : list of tuple (row, record, error, message)
        Records that could not be used, as in the file ``_failures.csv``.
    """

    path: Path
    n_records: int
    n_rows: int
    n_shards: int
    n_made: int
    failures: list[Failure]


class Job(NamedTuple):
    """What is to be done.

    Attributes
    ----------
    kind : Kind
    records : GivenRecords
    folder : Path
    engine : str or None
    n_jobs : int
    batch_size : int
    shard_size : int or None
    overwrite : bool
        Whether to begin anew.
    retry_failed : bool
        Whether to make shards anew in which a record failed.
    """

    kind: Kind
    records: GivenRecords
    folder: Path
    engine: str | None
    n_jobs: int
    batch_size: int
    shard_size: int | None
    overwrite: bool
    retry_failed: bool


def workers_of(engine: str | None, n_jobs: int | None) -> int:
    """Return the number of workers.

    Raises
    ------
    ValueError
        If it is not possible, or there is no engine for several.
    """
    if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0):
        raise ValueError(f"n_jobs must be None or a whole number other than 0, got {n_jobs!r}")
    if engine is None:
        if n_jobs not in (None, 1):
            raise ValueError(f"n_jobs={n_jobs} needs an engine: engine='joblib' has workers on this machine")
        return 1
    return int(joblib.effective_n_jobs(-1 if n_jobs is None else n_jobs))


def run_job(job: Job, progress: Callable[[int], None]) -> DatasetResult:
    """Make what is missing in the folder of a job.

    Parameters
    ----------
    job : Job
    progress : callable
        Gets the number of records of every shard that is finished; first, of those that were there.

    Returns
    -------
    DatasetResult

    Raises
    ------
    ValueError
        If another job is in the folder, or no record could be used.
    OSError
        If another process works in the folder, or it cannot be written to. What is finished stays.
    RuntimeError
        If workers end again and again.
    """
    engine_named(job.engine)
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(f"{job.folder} is a file; a folder is needed") from error
    with _alone(job.folder):
        manifest = _begun(job)
        digest, size = manifest_digest(manifest), int(manifest["shard_size"])
        finished = _finished(job, digest, range(-(-job.records.n // size)), size)
        n_there = len(finished)
        progress(sum(info.stop - info.start for info in finished.values()))
        work = Work(token_hex(16), job.kind, str(job.folder.absolute()), job.batch_size, digest, _about(manifest))
        _make_missing(job, work, size, finished, progress)
        return _told(job, [finished[number] for number in sorted(finished)], n_there)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder. The system lets go of the lock of a process that was killed."""
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise BlockingIOError(f"another job is writing into {folder}; wait for it, or choose another folder") from error
    try:
        yield
    finally:
        lock.release()


def _begun(job: Job) -> dict[str, Any]:
    """Return the manifest of the folder, which is written where there is none."""
    folder = job.folder
    for left in folder.glob(".*.tmp"):
        # Half of a file, of a process that was killed.
        left.unlink(missing_ok=True)
    there = None
    if job.overwrite:
        # Without a manifest, a folder with shards is refused: it goes last.
        for path in (*shard_paths(folder), folder / FAILURES, folder / NOTES, folder / MANIFEST):
            path.unlink(missing_ok=True)
    else:
        there = read_manifest(folder)
    size = job.shard_size
    if size is None:
        fair = -(-job.records.n // (_SHARDS_EACH * job.n_jobs))
        size = min(_LARGEST_SHARD, max(1, fair)) if there is None else int(there["shard_size"])
    # Batches are then those of all records, whichever shard they are in.
    size = -(-size // job.batch_size) * job.batch_size
    now = make_manifest(job.kind, job.records, size, job.batch_size)
    if there is not None:
        check_same(folder, there, now)
        return there
    if any(folder.glob("*.parquet")):
        raise ValueError(f"{folder} has Parquet files of something else: no {MANIFEST} is there; choose another folder")
    write_manifest(folder, now)
    return now


def _about(manifest: dict[str, Any]) -> dict[str, Any]:
    return {name: manifest[name] for name in ("version", "task", "model", "settings", "batch_size")}


def _finished(job: Job, digest: str, numbers: Sequence[int], size: int) -> dict[int, ShardInfo]:
    """Return the shards that are whole."""
    found: dict[int, ShardInfo] = {}
    for number in numbers:
        path = shard_path(job.folder, number)
        if not path.exists():
            continue
        info = own_shard(job.folder, number, size, job.records.n, digest)
        if info is None:
            warnings.warn(
                f"{path} is not whole, or of another job: it is made anew", UserWarning, stacklevel=find_stack_level()
            )
        elif not (job.retry_failed and info.failures):
            found[number] = info
    return found


def _make_missing(
    job: Job, work: Work, size: int, finished: dict[int, ShardInfo], progress: Callable[[int], None]
) -> None:
    """Make shards until none is missing; workers that end are replaced."""
    run, n_lost = engine_named(job.engine), 0
    n_shards = -(-job.records.n // size)
    while missing := [number for number in range(n_shards) if number not in finished]:
        n_before = len(finished)
        results = run(work, (_task(job.records, number, size) for number in missing), job.n_jobs)
        try:
            for result in results:
                if isinstance(result, Stopped):
                    raise _stopped(job, result, len(finished), n_shards)
                finished[result.number] = result
                progress(result.stop - result.start)
        except WorkerLost as error:
            n_lost = n_lost + 1 if len(finished) == n_before else 0
            if n_lost > _MOST_LOST:
                raise RuntimeError(
                    f"workers ended {n_lost} times before they had finished a shard; is there enough memory for "
                    f"batch_size={job.batch_size}? {_stays(len(finished), n_shards)}"
                ) from error
        finally:
            # The engine stops its workers now, and not when somebody collects what is left of it.
            if hasattr(results, "close"):
                results.close()


def _task(records: GivenRecords, number: int, size: int) -> Task:
    start, stop = number * size, min(records.n, (number + 1) * size)
    part, ids, patients = records.part(start, stop), records.ids_of(start, stop), records.patients_of(start, stop)
    return Task(number, start, stop, part, ids, patients)


def _stopped(job: Job, why: Stopped, n_finished: int, n_shards: int) -> Exception:
    stays = _stays(n_finished, n_shards)
    if why.kind == "memory":
        return MemoryError(f"not enough memory for batch_size={job.batch_size}. {stays}")
    if why.kind == "disk":
        return OSError(f"{shard_path(job.folder, why.number)} cannot be written: {why.message}. {stays}")
    return RuntimeError(f"shard {why.number} cannot be made: {why.message}. {stays}")


def _stays(n_finished: int, n_shards: int) -> str:
    return f"{n_finished} of {n_shards} shards are finished and stay; the same call goes on from there"


def _told(job: Job, shards: list[ShardInfo], n_there: int) -> DatasetResult:
    """List failures and warnings, and return what is there."""
    failures = [failure for info in shards for failure in info.failures]
    notes = [note for info in shards for note in info.notes]
    for name, columns, rows in ((FAILURES, Failure._fields, failures), (NOTES, Note._fields, notes)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([columns, *rows])
        write_atomically(job.folder / name, text.getvalue().encode("utf-8", "backslashreplace"))
    if notes:
        first, last, message = notes[0]
        warnings.warn(
            f"{len(notes)} warnings on records are in {job.folder / NOTES}; the first, on records {first} to {last}: "
            f"{message}",
            UserWarning,
            stacklevel=find_stack_level(),
        )
    if len(failures) == job.records.n:
        raise ValueError(
            f"none of {len(failures)} records could be used; the first: {failures[0].message} ({failures[0].record}). "
            f"retry_failed=True tries them again"
        )
    n_rows = sum(info.n_rows for info in shards)
    return DatasetResult(job.folder, job.records.n, n_rows, len(shards), len(shards) - n_there, failures)
