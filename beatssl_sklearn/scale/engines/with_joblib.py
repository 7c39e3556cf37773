"""joblib: processes on this machine, with one thread each."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from typing import Any

from joblib import Parallel, delayed, parallel_config

from .lost import WorkerLost


def check() -> None:
    """joblib is always there."""


def run(work: Callable[[Any], Any], tasks: Iterator[Any], n_jobs: int) -> Iterator[Any]:
    """Make shards in processes of loky."""
    with parallel_config(backend="loky", inner_max_num_threads=1):
        parallel = Parallel(n_jobs, return_as="generator_unordered", batch_size=1, pre_dispatch=2 * n_jobs)
    results = parallel(delayed(_call)(work, task, os.getpid()) for task in tasks)
    try:
        yield from _closing(results)
    except BrokenExecutor as error:
        raise WorkerLost(str(error)) from error


def _closing(results: Any) -> Iterator[Any]:
    """Yield results; whoever stops before the last one has said why, and joblib need not warn of it."""
    try:
        for result in results:  # noqa: UP028
            yield result
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            results.close()


# Drivers that a thread of this process looks after.
_WATCHED: set[int] = set()
_LOOK_S = 1.0


def _call(work: Callable[[Any], Any], task: Any, driver: int) -> Any:
    """Make a shard in a worker, which ends when its driver was killed: loky's would wait for minutes."""
    if os.getppid() == driver and driver not in _WATCHED:
        _WATCHED.add(driver)
        threading.Thread(target=_end_with, args=(driver,), daemon=True).start()
    return work(task)


def _end_with(driver: int) -> None:
    while os.getppid() == driver:
        time.sleep(_LOOK_S)
    # What is half written has a name of its own, which the next call removes.
    os._exit(1)
