"""Records that nobody can read: `--reliable` names them, leaves them out, or says nothing."""

from __future__ import annotations

from .. import ECGRecord
from ..quality.reliable import LOOKED_AT_S, faults_of
from .batch_results import results_of
from .folder import Batch, LongRecord
from .progress import Progress
from .refused import RECORD_ERRORS, Refused


def first_minutes(record: LongRecord, refused: Refused, bar: Progress) -> Batch | None:
    """Read the beginning of a long record; None if it cannot be read."""
    reader = record.reader
    try:
        stop = min(reader.n_times, round(LOOKED_AT_S * reader.fs))
        return Batch([record.name], [ECGRecord(reader.read(0, stop), reader.fs, reader.leads)])
    except RECORD_ERRORS as error:
        refused.add(record.name, error, bar)
        return None


def reliable(
    part: Batch | LongRecord, choice: str, refused: Refused, bar: Progress
) -> Batch | LongRecord | None:
    """Return what may be used of some records, or of a long one; None for nothing.

    Parameters
    ----------
    part : Batch or LongRecord
    choice : {"keep", "warn", "drop"}
    refused : Refused
        Gets the records that are left out, and warnings.
    bar : Progress
        Counts the records that are left out.
    """
    if choice == "keep":
        return part
    n_refused = len(refused.names)
    looked_at = part if isinstance(part, Batch) else first_minutes(part, refused, bar)
    good = set() if looked_at is None else _good(looked_at, choice, refused, bar)
    bar.update(len(refused.names) - n_refused)
    if isinstance(part, LongRecord):
        return part if part.name in good else None
    kept = [i for i, name in enumerate(part.names) if name in good]
    return Batch([part.names[i] for i in kept], [part[i] for i in kept]) if kept else None


def _good(batch: Batch, choice: str, refused: Refused, bar: Progress) -> set[str]:
    good = set()
    for name, text in results_of(batch, faults_of, "ignore", refused, bar):
        if text and choice == "drop":
            refused.add(name, ValueError(text), bar)
            continue
        if text:
            refused.warn(name, text, bar)
        good.add(name)
    return good
