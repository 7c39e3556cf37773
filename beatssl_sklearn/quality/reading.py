"""X of the functions of this room, read as estimators read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..inputs.cells import cells_of
from ..inputs.reading import SignalEstimator
from ..inputs.source import Block, Source
from .measured import CHUNK


class _Reader(SignalEstimator):
    """An estimator that only reads."""

    def __init__(self, fs: float | None = None, leads: Sequence[str] | None = None) -> None:
        self.fs = fs
        self.leads = leads

    def source(self, X: Any) -> Source:
        # Lists, tables and folders know the rates of their records; arrays among them are tried with what is given.
        if self.fs is None and cells_of(X) is None:
            raise ValueError("fs is needed for an array: its sampling rate [Hz]")
        return self._source(X, fs=self.fs or 500.0, leads=self.leads, allow_nan=True, reset=True)


def open_records(X: Any, fs: float | None, leads: Sequence[str] | None) -> Source:
    """Return X as records that are read block by block.

    Raises
    ------
    TypeError, ValueError
        If X, `fs` or `leads` cannot be used.
    """
    return _Reader(fs, leads).source(X)


def read_blocks(source: Source) -> Iterator[Block]:
    """Yield all records in small blocks."""
    yield from source.read(np.arange(source.n_records), CHUNK)


def record_names(source: Source) -> list[Any]:
    """Return the names of the records, or their positions."""
    names = source.record_names
    return list(range(source.n_records)) if names is None else list(names)
