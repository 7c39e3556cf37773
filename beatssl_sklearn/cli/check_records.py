"""Records of `beatssl check`: a row of the table for each."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import check_leads, signal_quality
from ..files.growing_table import GrowingTable
from ..quality.check_leads import OWN_GAINS
from ..quality.reliable import LOOKED_AT_S
from .batch_results import results_of
from .folder import Batch, LongRecord
from .progress import Progress
from .refused import Refused
from .reliable import first_minutes

_OF_QUALITY = (
    *("heart_rate", "flat_leads", "bad_leads", "worst_lead", "flat", "clipped", "powerline", "baseline", "noise"),
    *("missing_beats", "score", "reasons"),
)
_OF_LEADS = ("unit", "limb_error", "likely", "certainty", "fs_too_high", "fs_too_low", "findings")


class CheckedRecords:
    """Rows of the table, which also stay in memory for the page.

    Parameters
    ----------
    table : GrowingTable
        Opened.
    ids : mapping of str to str
        What the table calls each record.
    arguments : argparse.Namespace
        Of the command.

    Attributes
    ----------
    rows : dict of str to dict
        Values by column, by name of the record in the folder.
    """

    def __init__(self, table: GrowingTable, ids: Mapping[str, str], arguments: argparse.Namespace) -> None:
        self._table, self._ids, self._arguments = table, ids, arguments
        self.rows: dict[str, dict[str, Any]] = {}

    @property
    def n_doubtful(self) -> int:
        """Records with a score below .5, or with something likely wrong in leads, unit or rate."""
        return sum(row["doubtful"] for row in self.rows.values())

    @property
    def n_own_gains(self) -> int:
        """Records whose limb leads have gains of their own."""
        return sum(OWN_GAINS in row["findings"] for row in self.rows.values())

    def add(self, batch: Batch, refused: Refused, bar: Progress) -> None:
        """Check records and add them to the table."""
        for name, row in results_of(batch, _checked, "ignore", refused, bar):
            columns = {column: np.array([value]) for column, value in row.items()}
            self._table.add(self._ids[name], np.zeros((1, 0), np.float32), columns)
            self._table.commit()
            self.rows[name] = row


def questions_leads(findings: str) -> bool:
    """Whether leads, unit or rate may be wrong. With gains of their own, waves are in their places."""
    return findings not in ("", OWN_GAINS)


def as_batch(part: Batch | LongRecord, refused: Refused, bar: Progress) -> Batch | None:
    """Return records as they are, and of a long one its first minutes; None if it cannot be read."""
    if isinstance(part, Batch):
        return part
    batch = first_minutes(part, refused, bar)
    if batch is not None and part.reader.n_times > batch[0].signal.shape[1]:
        refused.warn(part.name, f"only its first {LOOKED_AT_S / 60:.3g} minutes are checked", bar)
    return batch


def _checked(batch: Batch) -> list[dict[str, Any]]:
    quality, leads = signal_quality(batch), check_leads(batch)
    rows = []
    for i, record in enumerate(batch):
        row: dict[str, Any] = {
            "fs": float(record.fs),
            "duration_s": record.signal.shape[1] / record.fs,
            "n_leads": len(record.leads),
            "leads": " ".join(record.leads),
        }
        row |= {name: quality[name].iloc[i] for name in _OF_QUALITY}
        row |= {name: leads[name].iloc[i] for name in _OF_LEADS}
        row["doubtful"] = bool(row["score"] < 0.5 or questions_leads(row["findings"]))
        rows.append(row)
    return rows
