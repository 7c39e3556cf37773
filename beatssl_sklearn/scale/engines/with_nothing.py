"""No engine: shards are made in this process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def check() -> None:
    """Nothing is needed."""


def run(work: Callable[[Any], Any], tasks: Iterator[Any], n_jobs: int) -> Iterator[Any]:
    """Make shards here."""
    return map(work, tasks)
