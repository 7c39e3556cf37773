"""What `beatssl ask` and `beatssl retrieve` share: the aligner, its answers record by record, and the best of them."""

from __future__ import annotations

import argparse
import heapq
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..files.table_formats import open_table
from ..formats import ECGFolder
from .batch_results import results_of
from .folder import Batch, LongRecord, batches, read_whole
from .models import from_file
from .outputs import check_file
from .progress import Progress
from .refused import Refused

if TYPE_CHECKING:
    from .. import ReportAligner
    from ..files.growing_table import GrowingTable

# Maps records to an answer each: an array (n_records, n_values).
Work = Callable[[Batch], NDArray[np.floating]]


def open_aligner(arguments: argparse.Namespace) -> ReportAligner:
    """Return the aligner in the command's model file, set as the options say.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command, with `model`, `folder`, `batch_size`, `device`, `allow_nan` and `check`.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read or holds no fitted aligner, or model and folder are swapped.
    """
    from .. import ReportAligner

    if os.path.isdir(arguments.model) and not os.path.isdir(arguments.folder):
        raise ValueError(
            f"{arguments.model} is a folder, and {arguments.folder} is none: MODEL comes before DIR, the folder of "
            f"records"
        )
    with from_file(arguments.model):
        aligner = ReportAligner.load(arguments.model)
        # A file can hold what was never fitted, or belong to an encoder that is not here.
        allow_nan = arguments.allow_nan or aligner.encoder_.allow_nan
    # The device that it was fitted on may not be here.
    return aligner.set_params(
        device=arguments.device, allow_nan=allow_nan, check=arguments.check, batch_size=arguments.batch_size
    )


def open_answers(out: Path | None, columns: Sequence[str]) -> GrowingTable | None:
    """Return the table of answers, not yet opened; None if it was not asked for.

    Raises
    ------
    ValueError, ImportError
        If its name does not end in .csv or .parquet, or a package is missing.
    OSError
        If it cannot be written.
    """
    if out is None:
        return None
    if out.suffix.lower() not in (".csv", ".parquet"):
        raise ValueError(f"--out {out}: the table's name must end in .csv or .parquet")
    table = open_table(out, columns)
    check_file(out)
    return table


def answers(
    folder: ECGFolder, arguments: argparse.Namespace, allow_nan: bool, work: Work, refused: Refused, bar: Progress
) -> Iterator[tuple[str, NDArray[np.floating]]]:
    """Yield the answer (n_values,) to each record that can be used, with its name, in the order of the folder.

    A long record is read as a whole: what an aligner says of it is one answer.

    Parameters
    ----------
    folder : ECGFolder
    arguments : argparse.Namespace
        Of the command.
    allow_nan : bool
        Whether the aligner takes missing samples.
    work : callable
        Gives the answers.
    refused : Refused
        Gets the other records.
    bar : Progress
        Counts all records.
    """
    for part in batches(folder, arguments, allow_nan, refused, bar):
        batch = read_whole(part, refused, bar) if isinstance(part, LongRecord) else part
        if batch is not None:
            yield from results_of(batch, work, arguments.check, refused, bar)
        bar.update(1 if batch is None else len(batch))


class Best:
    """The records with the highest scores so far; of equal ones, the first.

    Parameters
    ----------
    n : int
        How many are kept.
    """

    def __init__(self, n: int) -> None:
        self.n_seen = 0
        self._n = n
        self._heap: list[tuple[float, int, str]] = []

    def add(self, name: str, score: float) -> None:
        """Look at a record; one without a score counts, but is not kept."""
        self.n_seen += 1
        if not math.isnan(score):
            keep = heapq.heappush if len(self._heap) < self._n else heapq.heappushpop
            keep(self._heap, (score, -self.n_seen, name))

    def ranked(self) -> list[tuple[str, float]]:
        """Return names and scores, the highest first."""
        return [(name, score) for score, _, name in sorted(self._heap, reverse=True)]

    @property
    def share(self) -> str:
        """How many are kept, in words."""
        kept = len(self._heap)
        return f"the {kept} highest of {self.n_seen} records" if kept < self.n_seen else f"all {kept} records"
