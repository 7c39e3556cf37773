"""What was found in blocks of records: as tables, judged, and put together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..ecg.beats import as_objects
from ..ecg.judged import judge_waves
from ..ecg.waves.consensus import consensus
from ..ecg.waves.find import Waves
from ..ecg.waves.table import empty_table, make_table
from ..inputs.source import Block
from .calibration import WaveCalibration

if TYPE_CHECKING:
    from pandas import DataFrame


def waves_table(waves: Waves, block: Block) -> DataFrame:
    """Return the waves of a block as a table."""
    names = np.array(block.leads, dtype=object)
    record, lead = np.divmod(waves.strip, len(names))
    positions = waves.onset, waves.peak, waves.offset
    columns = block.rows[record], names[lead], waves.wave, *positions, block.fs, waves.confidence
    return make_table(*columns, leads=block.leads)


def with_consensus(table: DataFrame, block: Block) -> DataFrame:
    """Add the waves that the leads of each record agree on."""
    agreed = consensus(table, block.fs, n_leads=len(block.leads))
    return one_table([table, agreed]).sort_values("record", kind="stable")


def one_table(tables: list[DataFrame]) -> DataFrame:
    """Put tables together."""
    import pandas as pd

    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else empty_table()


def calibration_of(found: Iterable[tuple[Block, Waves]], true: Any) -> WaveCalibration:
    """Learn what a confidence is worth from waves of all confidences, and what is marked.

    Raises
    ------
    ValueError, TypeError
        As `judge_waves` and `WaveCalibration.fit`.
    """
    parts = [(w.confidence, judge_waves(true, waves_table(w, block), block.fs), w.wave) for block, w in found]
    return WaveCalibration.fit(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def stacked(blocks: list[NDArray]) -> NDArray:
    """Put arrays of blocks together; as objects if records differ in shape."""
    if len({block.shape[1:] for block in blocks}) == 1:
        return np.concatenate(blocks)
    return as_objects([record for block in blocks for record in block])
