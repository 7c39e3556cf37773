"""Engines that carry shards to workers: one file each, with one function of the same arguments.

``run(work, tasks, n_jobs)`` calls ``work(task)`` for every task in workers, a few ahead, and yields the results in the
order in which they are done. It raises `lost.WorkerLost` if a worker ended; whoever called it knows what is unfinished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

Run = Callable[[Callable[[Any], Any], Iterator[Any], int], Iterator[Any]]
ENGINES = ("joblib", "dask", "ray", "spark")


def engine_named(name: str | None) -> Run:
    """Return the function of an engine; None is this process.

    Raises
    ------
    ValueError
        If there is no such engine.
    ImportError
        If its package is missing; the message names the extra.
    """
    if name is not None and name not in ENGINES:
        raise ValueError(f"engine must be None or one of {', '.join(ENGINES)}, got {name!r}")
    module = import_module(f".with_{name or 'nothing'}", __name__)
    module.check()
    run: Run = module.run
    return run
