"""What was found in blocks of records: as tables, judged, and put together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._optional import find_stack_level
from ..ecg.beats import as_objects
from ..ecg.judged import as_table, judge_waves
from ..ecg.leads import canonical_lead
from ..ecg.waves.consensus import consensus
from ..ecg.waves.find import WAVES, Waves
from ..ecg.waves.table import empty_table, make_table
from ..inputs.source import Block
from .calibration import WaveCalibration
from .inference import SegmentationModel, calibrated_waves, checked_wave_params, waves_or_unsure

if TYPE_CHECKING:
    from pandas import DataFrame

# Right or wrong waves of a kind below which they hardly say anything about confidences.
_FEWEST = 5


def waves_table(waves: Waves, block: Block) -> DataFrame:
    """Return the waves of a block as a table."""
    names = np.array(block.leads, dtype=object)
    record, lead = np.divmod(waves.strip, len(names))
    positions = waves.onset, waves.peak, waves.offset
    columns = block.rows[record], names[lead], waves.wave, *positions, block.fs, waves.confidence
    return make_table(*columns, leads=block.leads)


def delineated(
    blocks: Iterable[Block],
    ready: Callable[[], SegmentationModel],
    params: Any,
    calibration: WaveCalibration | None,
    consensus: bool,
) -> DataFrame:
    """Return the waves of all blocks as a table; see `WaveSegmenter.delineate`."""
    tables: list[DataFrame] = []
    unsure = UnsureWaves(params, calibration)
    for block in blocks:
        table = waves_table(unsure.find(block, ready()), block)
        tables.append(with_consensus(table, block) if consensus else table)
    unsure.tell()
    return one_table(tables)


class NoSureWaves(UserWarning):
    """Waves were found, and none is sure enough.

    Parameters
    ----------
    n_waves : int
        How many were found.
    least : float
        Confidence that is asked for.
    """

    def __init__(self, n_waves: int, least: float) -> None:
        # Arguments as they are, so that it can be pickled.
        super().__init__(n_waves, least)
        self.n_waves, self.least = n_waves, least

    def __str__(self) -> str:
        return (
            f"{self.n_waves} waves were found and none reaches min_confidence={self.least} (wave_params): calibrate "
            f"the segmenter on marked records, lower min_confidence, or train it for longer"
        )


class UnsureWaves:
    """Finds waves, and tells if a network that was never calibrated is sure of none.

    Parameters
    ----------
    params : dict or None
        The `wave_params` of the segmenter.
    calibration : WaveCalibration or None
        With one, a limit has a meaning, and nothing is told.
    """

    def __init__(self, params: Any, calibration: WaveCalibration | None) -> None:
        self._params, self._calibration = params, calibration
        self._wanted, self._n = calibration is None, 0

    def find(self, block: Block, model: SegmentationModel) -> Waves:
        """Find the waves of a block as `calibrated_waves`; as long as there are none, count what is below the limit."""
        if not self._wanted:
            return calibrated_waves(block, model, self._params, self._calibration)
        waves, n_unsure = waves_or_unsure(block, model, self._params)
        self._wanted = not len(waves.wave)
        self._n += n_unsure
        return waves

    def tell(self) -> None:
        """Warn once of all blocks."""
        if not (self._wanted and self._n):
            return
        least = checked_wave_params(self._params)["min_confidence"]
        warnings.warn(NoSureWaves(self._n, least), stacklevel=find_stack_level())


def with_consensus(table: DataFrame, block: Block) -> DataFrame:
    """Add the waves that the leads of each record agree on."""
    agreed = consensus(table, block.fs, n_leads=len(block.leads))
    return one_table([table, agreed]).sort_values("record", kind="stable")


def one_table(tables: list[DataFrame]) -> DataFrame:
    """Put tables together."""
    import pandas as pd

    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else empty_table()


def marked_waves(waves: Any, n_records: int) -> DataFrame:
    """Return the marked waves of records as a table.

    Raises
    ------
    TypeError, ValueError
        If they are neither a table of waves nor one dict per record, or not of these records; the message says what.
    """
    import pandas as pd

    # The rate only makes columns of seconds, which are not used.
    table = as_table(waves, 1.0, "waves")
    if not isinstance(waves, pd.DataFrame) and len(waves) != n_records:
        raise ValueError(f"waves holds {len(waves)} records, X has {n_records}")
    unknown = table["record"][~table["record"].isin(range(n_records))]
    if len(unknown):
        raise ValueError(f"waves has marks of record {unknown.iloc[0]}, X has the records 0 to {n_records - 1}")
    endless = np.isinf(table[["onset", "peak", "offset"]].to_numpy(np.float64)).any(axis=1)
    if endless.any():
        where = table[endless].iloc[0]
        raise ValueError(f"waves: record {where['record']}, lead {where['lead']} has an infinite mark")
    return table


def calibration_of(
    found: Iterable[tuple[Block, Waves]], marked: DataFrame, prior: WaveCalibration | None
) -> WaveCalibration:
    """Learn what a confidence is worth from waves of all confidences, and what is marked.

    Raises
    ------
    ValueError
        If no lead has marks, or no wave of a kind is judged.

    Warns
    -----
    UserWarning
        If too few waves of a kind are right, or wrong.
    """
    parts = []
    leads: set[str] = set()
    for block, w in found:
        parts.append((w.confidence, judge_waves(marked, waves_table(w, block), block.fs), w.wave))
        leads.update(block.leads)
    confidence, right, wave = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not {_place(lead) for lead in marked["lead"].unique()} & {_place(lead) for lead in leads}:
        named = sorted(str(lead) for lead in marked["lead"].unique())
        raise ValueError(f"waves has marks of the leads {named}, X has {sorted(leads)}")
    few = []
    for label, name in enumerate(WAVES, start=1):
        n_right, n_wrong = (int((right[wave == label] == value).sum()) for value in (1, 0))
        if not n_right + n_wrong:
            raise ValueError(f"waves judges no {name}: a calibration needs annotated records with {name} waves")
        few += [f"{n} {name} {what}" for n, what in ((n_right, "right"), (n_wrong, "wrong")) if n < _FEWEST]
    if few:
        warnings.warn(
            f"waves: of those found, only {', '.join(few)}: too few to learn much from; calibrations of these kinds "
            f"stay near the former ones",
            UserWarning,
            stacklevel=find_stack_level(),
        )
    # What the network says of itself, if nothing else is known.
    former = WaveCalibration(np.ones(3), np.zeros(3)) if prior is None else prior
    return WaveCalibration.fit(confidence, right, wave, prior=former)


def _place(name: Any) -> str:
    """Return the canonical name of a lead; another place on the body is its own."""
    try:
        return canonical_lead(str(name))[0]
    except ValueError:
        return str(name)


def stacked(blocks: list[NDArray]) -> NDArray:
    """Put arrays of blocks together; as objects if records differ in shape."""
    if len({block.shape[1:] for block in blocks}) == 1:
        return np.concatenate(blocks)
    return as_objects([record for block in blocks for record in block])
