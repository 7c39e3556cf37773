"""Intervals of some records of `beatssl check`, for its page."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from typing import Any

from ..ecg.waves.intervals import record_intervals
from .folder import Batch
from .messages import described, shown
from .progress import Progress
from .refused import RECORD_ERRORS, Refused

# Most records that are measured: waves take twenty times as long as the rest.
MOST_RECORDS = 1000
INTERVALS = ("PR", "QRS", "QT", "QTcF")
"""Columns of the page [ms]."""


class MeasuredIntervals:
    """Medians over the heartbeats of records; of a large folder, of every so many records.

    Parameters
    ----------
    names : sequence of str
        All records.
    arguments : argparse.Namespace
        Of the command, with `waves`, a model of waves or "none".

    Attributes
    ----------
    of : dict of str to dict of str to float
        Intervals [ms] by their names, by record; NaN where there is none to measure.
    """

    def __init__(self, names: Sequence[str], arguments: argparse.Namespace) -> None:
        self.of: dict[str, dict[str, float]] = {}
        self._chosen: set[str] = set()
        self._segmenter: Any = None
        if arguments.waves != "none":
            from .. import WaveSegmenter
            from .models import from_option

            with from_option("--waves", arguments.waves):
                self._segmenter = WaveSegmenter.load(arguments.waves)
            self._segmenter.set_params(device=arguments.device, allow_nan=True, check="ignore")
            self._chosen = set(names[:: max(1, -(-len(names) // MOST_RECORDS))])

    def add(self, batch: Batch, refused: Refused, bar: Progress) -> None:
        """Measure the chosen records of a batch, each by itself, so that none fails another."""
        for name, record in zip(batch.names, batch, strict=True):
            if name not in self._chosen:
                continue
            try:
                with warnings.catch_warnings():
                    # What is odd about a record, its row says.
                    warnings.simplefilter("ignore", UserWarning)
                    waves = self._segmenter.delineate([record], consensus=True)
                    measured = record_intervals(waves, record.fs, n_records=1)
            except RECORD_ERRORS as error:
                refused.note(f"no intervals of {shown(name)}: {described(error)}", bar)
                continue
            self.of[name] = {interval: float(measured[interval].iloc[0]) for interval in INTERVALS}
