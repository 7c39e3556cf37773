"""Ray: the cluster that this process is connected to, else one on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from ..._optional import import_optional
from .lost import WorkerLost


def check() -> None:
    """Ray must be there."""
    import_optional("ray", "engine='ray'", "ray")


def run(work: Callable[[Any], Any], tasks: Iterator[Any], n_jobs: int) -> Iterator[Any]:
    """Make shards in the workers of a Ray cluster."""
    ray = import_optional("ray", "engine='ray'", "ray")
    started = not ray.is_initialized()
    if started:
        ray.init(num_cpus=n_jobs, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        sent = ray.put(work)
        # A worker that ends is replaced by Ray; three times for one shard.
        call = ray.remote(num_cpus=1, max_retries=3)(_call)
        n_ahead = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
        running = [call.remote(sent, task) for task in islice(tasks, n_ahead)]
        while running:
            (done,), running = ray.wait(running, num_returns=1)
            try:
                result = ray.get(done)
            except ray.exceptions.RayError as error:
                raise WorkerLost(str(error)) from error
            yield result
            running += [call.remote(sent, task) for task in islice(tasks, 1)]
    finally:
        if started:
            ray.shutdown()


def _call(work: Callable[[Any], Any], task: Any) -> Any:
    return work(task)
