"""Marked waves that a calibration learns from: whether they are of these records, and enough."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.ecg.waves.find import Waves
from beatssl_sklearn.ecg.waves.table import make_table
from beatssl_sklearn.inputs.source import Block
from beatssl_sklearn.segmentation import WaveCalibration
from beatssl_sklearn.segmentation.tables import calibration_of, marked_waves

FS = 100.0
MARKS = {"P": [[10, 15, 20]], "QRS": [[30, 35, 40]], "T": [[50, 60, 70]]}
TABLE = make_table(0, "II", ["P", "QRS", "T"], [10, 30, 50], [15, 35, 60], [20, 40, 70], FS)


def test_dicts_and_tables_say_the_same() -> None:
    columns = ["record", "lead", "wave", "onset", "peak", "offset"]
    pd.testing.assert_frame_equal(marked_waves([{"II": MARKS}], 1)[columns], marked_waves(TABLE, 1)[columns])


@pytest.mark.parametrize(
    ("waves", "error", "message"),
    [
        ([{"II": MARKS}], ValueError, "waves holds 1 records, X has 2"),
        ([{"II": MARKS}] * 4, ValueError, "waves holds 4 records, X has 2"),
        (TABLE.assign(record=7), ValueError, "waves has marks of record 7, X has the records 0 to 1"),
        (TABLE.assign(record=-1), ValueError, "waves has marks of record -1"),
        (TABLE.assign(peak=np.inf, record=1), ValueError, "waves: record 1, lead II has an infinite mark"),
        ([{}, {"V1": {"T": [[1, 2, np.inf]]}}], ValueError, "waves, record 1, lead V1, wave T: a mark is infinite"),
        ([{"II": MARKS}, [MARKS]], TypeError, "waves, record 1: expected a dict of leads, got list"),
        ([{"II": MARKS}, {"I": [[1, 2, 3]]}], TypeError, "waves, record 1, lead I: expected a dict of P, QRS and T"),
        (7, TypeError, "waves must be a DataFrame with one row per wave, or a list of one dict per record .*got int"),
        ({"II": MARKS}, TypeError, "waves must be a DataFrame .* got dict"),
        ([{"II": MARKS}, MARKS], TypeError, r"waves, record 1: .* waves \(P\); .* dict.fromkeys\(leads, marks\)"),
        (TABLE.drop(columns="lead"), ValueError, "waves has no column 'lead': marks that hold for all leads"),
        (TABLE.drop(columns="peak"), ValueError, "waves lacks the columns .'peak'."),
    ],
)
def test_marks_that_are_not_of_these_records(waves: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        marked_waves(waves, 2)


def found(n: int = 1) -> list[tuple[Block, Waves]]:
    """The marked waves of each of n records, and after each P a wrong one."""
    blocks = []
    for record in range(n):
        block = Block(np.array([record]), np.zeros((1, 1, 100), np.float32), FS, ("II",), np.zeros(1, bool))
        onset = np.array([10.0, 30, 30, 50])
        columns = np.zeros(4, np.int64), np.array([1, 1, 2, 3], np.int8), onset, onset + 5, onset + 9
        blocks.append((block, Waves(*columns, np.array([0.9, 0.6, 0.95, 0.9], np.float32))))
    return blocks


def test_too_few_mistakes_are_told_and_change_little() -> None:
    prior = WaveCalibration([3, 3, 3], [-2, -2, -2])
    marked = marked_waves([{"II": MARKS}] * 6, 6)
    with pytest.warns(UserWarning, match="of those found, only 0 QRS wrong, 0 T wrong: too few"):
        learnt = calibration_of(found(6), marked, prior)
    assert (learnt.slope > 2).all() and (learnt.slope < 4).all()


def test_marks_of_other_leads_or_kinds() -> None:
    with pytest.raises(ValueError, match=r"waves has marks of the leads \['V9'\], X has \['II'\]"):
        calibration_of(found(), marked_waves([{"V9": MARKS}], 1), None)
    with pytest.raises(ValueError, match="waves judges no T: a calibration needs annotated records with T"):
        calibration_of(found(), marked_waves([{"MLII": {k: MARKS[k] for k in ("P", "QRS")}}], 1), None)
