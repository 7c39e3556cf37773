"""Spark: the session that is in use, else one on this machine.

Every shard is a job of one task, and some threads wait for as many jobs at a time: so each result is known when it is
there, and a shard that takes long holds up no other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any

from ..._optional import import_optional
from .lost import WorkerLost


def check() -> None:
    """Spark must be there."""
    import_optional("pyspark", "engine='spark'", "spark")


def run(work: Callable[[Any], Any], tasks: Iterator[Any], n_jobs: int) -> Iterator[Any]:
    """Make shards in the Python workers of Spark's executors."""
    sql = import_optional("pyspark.sql", "engine='spark'", "spark")
    errors = import_optional("py4j.protocol", "engine='spark'", "spark")
    active = sql.SparkSession.getActiveSession()
    session = active or _local_session(sql, n_jobs)
    context = session.sparkContext
    sent = context.broadcast(work)

    def make(task: Any) -> Any:
        try:
            return context.parallelize([task], 1).map(lambda own: sent.value(own)).collect()[0]
        except errors.Py4JError as error:
            raise WorkerLost(str(error)[:1000]) from error

    n_threads = n_jobs if active is None else context.defaultParallelism
    try:
        with ThreadPoolExecutor(n_threads) as threads:
            running: set[Future[Any]] = {threads.submit(make, task) for task in islice(tasks, n_threads)}
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {threads.submit(make, task) for task in islice(tasks, len(done))}
                for future in done:
                    yield future.result()
    finally:
        sent.unpersist()
        if active is None:
            session.stop()


def _local_session(sql: Any, n_jobs: int) -> Any:
    builder = sql.SparkSession.builder.master(f"local[{n_jobs}]").appName("beatssl_sklearn")
    quiet = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
    session = builder.config(map=quiet).getOrCreate()
    # By default workers are "python3", which need not be this Python, with its packages.
    session.sparkContext.pythonExec = sys.executable
    return session
