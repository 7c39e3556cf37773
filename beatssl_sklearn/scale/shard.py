"""The unit of work: some records become one file. It runs in a worker, of whatever engine."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..files.atomic import write_atomically
from .kinds import Kind, Rows
from .shard_file import Failure, Note, ShardInfo, shard_bytes, shard_path

# No record's own failure: memory that is used up, or a package that is missing.
_NOT_THE_RECORD = (MemoryError, ImportError)
_LONGEST_MESSAGE = 1000


class Task(NamedTuple):
    """Records of one shard.

    Attributes
    ----------
    number, start, stop : int
        The shard, and the positions of its records.
    part : collection
        The records, read or not.
    ids : list of str
        Their names.
    patients : list of str or None
        Their patients.
    """

    number: int
    start: int
    stop: int
    part: Any
    ids: list[str]
    patients: list[str] | None


class Stopped(NamedTuple):
    """Why a shard could not be made, where it is no record's fault.

    Attributes
    ----------
    number : int
        The shard.
    kind : {"memory", "disk", "other"}
        What stopped it.
    message : str
        What the error says.
    """

    number: int
    kind: str
    message: str


@dataclass(frozen=True)
class Work:
    """Makes shards; it is sent to the workers once, or with every task.

    Parameters
    ----------
    key : str
        Of this call: a worker keeps the kind of the first task, whose network it has built.
    kind : Kind
        What is made of records.
    folder : str
        Where shards are written.
    batch_size : int
        Records at a time.
    job : str
        Digest of the manifest.
    about : dict
        For the metadata of shards.
    """

    key: str
    kind: Kind
    folder: str
    batch_size: int
    job: str
    about: dict[str, Any]

    def __call__(self, task: Task) -> ShardInfo | Stopped:
        """Make a shard. Errors are returned: engines wrap what is raised, each in its own way."""
        try:
            return self._make(task)
        except MemoryError as error:
            return Stopped(task.number, "memory", str(error))
        except OSError as error:
            return Stopped(task.number, "disk", error.strerror or str(error))
        except Exception as error:
            return Stopped(task.number, "other", f"{type(error).__name__}: {error}")

    def _make(self, task: Task) -> ShardInfo:
        kind = _kept(self)
        failures: list[Failure] = []
        notes: list[Note] = []
        parts = []
        for start in range(0, task.stop - task.start, self.batch_size):
            stop = min(start + self.batch_size, task.stop - task.start)
            part = task._replace(
                start=task.start + start, stop=task.start + stop, part=_cut(task.part, start, stop),
                ids=task.ids[start:stop],
            )  # fmt: skip
            parts += [rows._replace(record=rows.record + start) for rows in _rows(kind, part, failures, notes)]
        n_rows = sum(len(rows.record) for rows in parts)
        info = ShardInfo(task.number, task.start, task.stop, n_rows, failures, notes, self.job)
        content = shard_bytes(kind, info, parts, task.ids, task.patients, self.about)
        write_atomically(shard_path(Path(self.folder), task.number), content)
        return info


# Networks are built once per process, and not for every shard. Two jobs of one worker may take turns.
_KEPT: dict[str, Kind] = {}
_MOST_KEPT = 2


def _kept(work: Work) -> Kind:
    """Return the kind of a job, the same object for all of its shards in this process."""
    if work.key not in _KEPT and len(_KEPT) >= _MOST_KEPT:
        _KEPT.clear()
    return _KEPT.setdefault(work.key, work.kind)


def _cut(part: Any, start: int, stop: int) -> Any:
    return part.iloc[start:stop] if hasattr(part, "iloc") else part[start:stop]


def _rows(kind: Kind, task: Task, failures: list[Failure], notes: list[Note]) -> Iterator[Rows]:
    """Yield what records became. If they fail together, each is tried by itself, to find those that fail."""
    try:
        yield _noted(kind, task, notes)
        return
    except _NOT_THE_RECORD:
        raise
    except Exception as error:
        if task.stop - task.start == 1:
            # The only record of a call has this name there.
            message = str(error).replace(f"record 0 ({task.ids[0]:.80}): ", "").replace("record 0: ", "")
            failures.append(Failure(task.start, task.ids[0], type(error).__name__, message[:_LONGEST_MESSAGE]))
            return
    for i in range(task.stop - task.start):
        row = task.start + i
        one = task._replace(start=row, stop=row + 1, part=_cut(task.part, i, i + 1), ids=task.ids[i : i + 1])
        for rows in _rows(kind, one, failures, notes):
            yield rows._replace(record=rows.record + i)


def _noted(kind: Kind, task: Task, notes: list[Note]) -> Rows:
    """Work on some records, and keep what is warned of."""
    with warnings.catch_warnings(record=True) as odd:
        warnings.simplefilter("always", UserWarning)
        rows = kind.rows(task.part, task.ids)
    for warning in odd:
        if issubclass(warning.category, UserWarning):
            lines = str(warning.message).splitlines()
            notes += [Note(task.start, task.stop - 1, line[:_LONGEST_MESSAGE]) for line in lines]
    return rows
