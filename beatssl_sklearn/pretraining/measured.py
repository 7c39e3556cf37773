"""Every record is read once before training: its R peaks, its length, and what the objective measures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_memory
from tqdm import tqdm

from ..inputs.front_end import FrontEnd, check_given_rpeaks
from ..inputs.groups import group_codes, hold_out_groups
from ..inputs.plausibility import RecordCheck
from ..inputs.source import Block, Source
from ..inputs.times import days_of
from ..inputs.windows import training_window
from .identity import digest_of
from .objective import FitContext, Objective

_CHUNK = 64


class MeasuredBlock(NamedTuple):
    """What is known of a block of records after it was read."""

    rows: NDArray[np.int64]
    duration: NDArray[np.float64]
    blank: NDArray[np.bool_]
    beat_time: list[NDArray[np.float64]]
    measured: Any
    digest: str


@dataclass
class Records:
    """Records with all that a training must know of them; signals stay in the source."""

    source: Source
    front_end: FrontEnd
    window: float
    """Seconds of a record that a batch holds."""
    whole_records: bool
    """Whether every record is exactly one window."""
    duration: NDArray[np.float64]
    beat_time: NDArray[np.float64]
    """R peaks of all records, one after the other [s]."""
    beat_offset: NDArray[np.int64]
    """Where the beats of record i begin (n_records + 1,)."""
    usable: NDArray[np.int64]
    """Records with at least one known sample."""
    held_out: NDArray[np.int64] | None
    """Those of them that are held out, if any."""
    groups: NDArray[np.int64] | None
    times: NDArray[np.float64] | None
    """When each was taken [days], if the objective needs it."""
    known: Any
    """What the objective prepared."""
    signal_digest: str
    """Of all samples."""
    argument_digest: str
    """Of the arguments of `fit`."""

    def digest(self) -> str:
        """Return a digest of the records: all samples, lengths, R peaks, groups, arguments of `fit`.

        Measurements are left out: their last bits depend on the number of threads, and on the machine.
        """
        found = hashlib.sha256((self.signal_digest + self.argument_digest).encode())
        for array in (self.duration, self.beat_time, self.beat_offset):
            found.update(np.ascontiguousarray(array).tobytes())
        if self.groups is not None:
            found.update(self.groups.tobytes())
        return found.hexdigest()[:32]

    def draw_start(self, rows: NDArray[np.int64], rng: np.random.Generator, seconds: float) -> NDArray[np.float64]:
        """Draw where a window of some seconds begins in each record [s]."""
        slack = np.maximum(self.duration[rows] - seconds, 0.0)
        return rng.random(len(rows)) * slack

    def beats_of(
        self, rows: NDArray[np.int64], start: NDArray[np.float64], seconds: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return the beats inside windows: their numbers, positions in `rows`, and times in the window [s]."""
        first, last = self.beat_offset[rows], self.beat_offset[rows + 1]
        record = np.repeat(np.arange(len(rows)), last - first)
        beats = np.arange(len(record)) + np.repeat(first - np.cumsum(last - first) + (last - first), last - first)
        time = self.beat_time[beats] - start[record]
        end = np.minimum(self.duration[rows], seconds)[record]
        before, after = self.front_end.beat_window
        inside = (time >= before) & (time + after <= end)
        return beats[inside], record[inside], time[inside]


def measure_records(
    source: Source,
    front_end: FrontEnd,
    objective: Objective,
    *,
    batch_size: int,
    seed: int,
    rpeaks: Sequence[NDArray] | None = None,
    groups: Any = None,
    arguments: dict[str, Any] | None = None,
    memory: Any = None,
    n_jobs: int | None = None,
    progress: bool = False,
    check: str = "warn",
    validation_fraction: float | None = None,
) -> Records:
    """Read every record once and measure it.

    Parameters
    ----------
    source : Source
    front_end : FrontEnd
    objective : Objective
    batch_size, seed : int
        For `Objective.prepare`.
    rpeaks : sequence of n_records arrays, optional
        R peaks [samples], in place of the detector's.
    groups : array (n_records,), optional
        Patient of each record.
    arguments : dict, optional
        Arguments of `fit` for the objective; ``times`` become days.
    memory : str, joblib.Memory or None
        Cache of the measurements; its key is the records' samples.
    n_jobs : int or None
        Threads.
    progress : bool
        Whether to show a bar.
    check : {"warn", "raise", "ignore"}
        What to do with records that look odd.
    validation_fraction : float or None
        Share of the patients to hold out; of the records, without `groups`.

    Raises
    ------
    ValueError, TypeError
        If a record, a group or a time cannot be used, or fewer than two records hold a sample, or one looks odd and
        `check` is "raise"; the message names it. Or if `validation_fraction` leaves fewer than two records on either
        side.
    """
    rpeaks = check_given_rpeaks(rpeaks, source.n_records)
    codes = None if groups is None else group_codes(groups, source.n_records)
    # Before the records are read, which can take long.
    arguments = {name: _per_record(name, value, source.n_records) for name, value in (arguments or {}).items()}
    times = days_of(arguments["times"], source.n_records) if "times" in arguments else None
    if times is not None:
        arguments["times"] = times
    odd = RecordCheck(source, check)
    parts = list(_measure_all(source, front_end, objective, rpeaks, memory, n_jobs, progress, odd))
    odd.tell()
    duration = np.concatenate([p.duration for p in parts])
    window, whole = training_window(duration)
    beat_time = [t for p in parts for t in p.beat_time]
    beat_offset = np.concatenate([[0], np.cumsum([len(t) for t in beat_time])]).astype(np.int64)
    usable = np.flatnonzero(~np.concatenate([p.blank for p in parts]))
    if len(usable) < 2:
        raise ValueError(f"X: {len(usable)} of {source.n_records} records hold a sample; 2 are needed")
    held_out = None if validation_fraction is None else _held_out(usable, codes, validation_fraction, seed)
    context = FitContext(
        source.n_records, batch_size, seed, front_end, beat_offset, codes, arguments, usable, held_out
    )
    return Records(
        source=source,
        front_end=front_end,
        window=window,
        whole_records=whole,
        duration=duration,
        beat_time=np.concatenate([np.zeros(0), *beat_time]),
        beat_offset=beat_offset,
        usable=usable,
        held_out=held_out,
        groups=codes,
        times=times,
        known=objective.prepare([p.measured for p in parts], context),
        signal_digest=digest_of([p.digest for p in parts]),
        argument_digest=digest_of(arguments),
    )


def _held_out(
    usable: NDArray[np.int64], groups: NDArray[np.int64] | None, fraction: float, seed: int
) -> NDArray[np.int64]:
    """Return the records to hold out: whole patients."""
    chosen = hold_out_groups(usable if groups is None else groups[usable], fraction, seed)
    n_valid, n_train = int(chosen.sum()), int((~chosen).sum())
    if min(n_valid, n_train) < 2:
        raise ValueError(
            f"validation_fraction={fraction!r} leaves {n_train} records to train on and {n_valid} to validate; 2 of "
            f"each are needed"
        )
    return usable[chosen]


def _per_record(name: str, value: Any, n_records: int) -> Any:
    """Return an argument of `fit` that has one entry per record, without the index of a table."""
    value = value.to_numpy() if hasattr(value, "to_numpy") else value
    if not hasattr(value, "__len__") or isinstance(value, str) or len(value) != n_records:
        n = len(value) if hasattr(value, "__len__") and not isinstance(value, str) else type(value).__name__
        raise ValueError(f"{name} must have one entry per record: {n} for {n_records} records")
    return value


def _measure_all(
    source: Source,
    front_end: FrontEnd,
    objective: Objective,
    rpeaks: Sequence[NDArray] | None,
    memory: Any,
    n_jobs: int | None,
    progress: bool,
    odd: RecordCheck,
) -> Iterator[MeasuredBlock]:
    measure = _measure if memory is None else check_memory(memory).cache(_measure, ignore=["objective", "rows"])

    def measure_chunk(index: NDArray[np.int64]) -> list[MeasuredBlock]:
        found = []
        for block in source.read(index, _CHUNK):
            given = None if rpeaks is None else [rpeaks[int(i)] for i in block.rows]
            # Records are known by their samples, wherever they lie in X.
            local = block._replace(rows=np.arange(len(block.rows)))
            key = (digest_of(type(objective).measure), objective.measurements())
            measured = measure(local, given, front_end, key, objective, block.rows)._replace(rows=block.rows)
            found_peaks = [np.rint(times * block.fs).astype(np.int64) for times in measured.beat_time]
            odd.look(block, found_peaks, given=rpeaks is not None)
            found.append(measured)
        return found

    every = np.arange(source.n_records)
    chunks = [every[i : i + _CHUNK] for i in range(0, len(every), _CHUNK)]
    # Threads, because reading and BLAS release the interpreter and processes would copy the signals.
    parallel = joblib.Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    done = parallel(joblib.delayed(measure_chunk)(c) for c in chunks)
    with tqdm(total=source.n_records, desc="features", unit="rec", disable=not progress) as bar:
        for blocks in done:
            for block in blocks:
                bar.update(len(block.rows))
                yield block


def _measure(
    block: Block,
    rpeaks: Sequence[NDArray] | None,
    front_end: FrontEnd,
    key: Any,
    objective: Objective,
    rows: NDArray[np.int64],
) -> MeasuredBlock:
    """Measure a block; `key` is what the cache knows of the objective, `rows` are for messages."""
    given = None if rpeaks is None else dict(zip(rows.tolist(), rpeaks, strict=True))
    found = front_end.find_rpeaks(block._replace(rows=rows), given)
    digest = hashlib.sha256(f"{block.fs} {block.leads} {block.signal.shape}".encode())
    digest.update(np.ascontiguousarray(block.signal).tobytes())
    signal = block.signal if np.isfinite(block.signal).all() else np.nan_to_num(block.signal)
    n = len(block.rows)
    return MeasuredBlock(
        block.rows,
        np.full(n, signal.shape[2] / block.fs),
        block.blank,
        [r / block.fs for r in found],
        objective.measure(block._replace(signal=signal), found, front_end),
        digest.hexdigest(),
    )
