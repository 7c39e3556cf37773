"""Dask: the client that is in use, else a cluster of processes on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack
from itertools import islice
from typing import Any

from ..._optional import import_optional
from .lost import WorkerLost

# A cluster looks at itself, and at what its workers do, many times a second: 5 % of a core, whether they work or not.
_QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "5s",
}


def check() -> None:
    """Dask must be there."""
    import_optional("distributed", "engine='dask'", "dask")


def run(work: Callable[[Any], Any], tasks: Iterator[Any], n_jobs: int) -> Iterator[Any]:
    """Make shards in the workers of a Dask cluster."""
    distributed = import_optional("distributed", "engine='dask'", "dask")
    with ExitStack() as stack:
        try:
            client = distributed.default_client()
        except ValueError:
            stack.enter_context(import_optional("dask.config", "engine='dask'", "dask").set(_QUIET))
            # Any free port: a second cluster on this machine would not get the usual one.
            options = {"n_workers": n_jobs, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
            cluster = stack.enter_context(distributed.LocalCluster(**options))
            client = stack.enter_context(distributed.Client(cluster))
        n_ahead = 2 * max(1, sum(client.nthreads().values()))
        sent = client.scatter(work, broadcast=True, hash=False)

        def submit(task: Any) -> Any:
            # By itself, so that records that lie in memory are no part of the scheduler's graph.
            return client.submit(_call, sent, client.scatter(task, hash=False), pure=False)

        running = distributed.as_completed([submit(task) for task in islice(tasks, n_ahead)])
        try:
            for future in running:
                yield future.result()
                future.release()
                for task in islice(tasks, 1):
                    running.add(submit(task))
        except (distributed.KilledWorker, CancelledError) as error:
            raise WorkerLost(str(error)) from error


def _call(work: Callable[[Any], Any], task: Any) -> Any:
    return work(task)
