"""What engines say if a worker ended."""


class WorkerLost(RuntimeError):
    """A worker ended before its shard was finished: it was killed, or its machine is gone."""
