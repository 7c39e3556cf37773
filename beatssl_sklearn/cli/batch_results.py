"""Results of records that are worked on together, where one that fails must not take the others with it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from ..inputs.plausibility import RAISED
from .folder import Batch
from .messages import described
from .progress import Progress
from .refused import RECORD_ERRORS, Refused

Result = TypeVar("Result")


def results_of(
    batch: Batch, work: Callable[[Batch], Iterable[Result]], check: str, refused: Refused, bar: Progress
) -> Iterator[tuple[str, Result]]:
    """Yield name and result of each record; a batch that fails is repeated one by one, to find the record that did.

    Parameters
    ----------
    batch : Batch
    work : callable
        Returns a result per record.
    check : {"warn", "raise", "ignore"}
        What `work` does with implausible records.
    refused : Refused
        Gets the records that fail, and warnings.
    bar : Progress
    """
    try:
        with warnings.catch_warnings(record=True) as odd:
            warnings.simplefilter("always", UserWarning)
            results = work(batch)
    except RECORD_ERRORS as error:
        if len(batch) == 1:
            refused.add(batch.names[0], error, bar)
            return
        n_refused = len(refused.names)
        for one in batch.one_by_one():
            yield from results_of(one, work, check, refused, bar)
        if len(refused.names) == n_refused:
            refused.note(described(error), bar)
        elif check == "raise":
            # What shows in many records together is no single record's.
            for line in str(error).removeprefix(RAISED).splitlines():
                if not line.startswith("record"):
                    refused.note(line, bar)
        return
    for warning in odd:
        refused.note(str(warning.message), bar)
    yield from zip(batch.names, results, strict=True)
