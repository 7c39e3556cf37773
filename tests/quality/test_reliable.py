"""The rule by which embedders and the command line call records unreliable."""

from __future__ import annotations

import numpy as np
import pytest

from beatssl_sklearn import ECGRecord, make_ecg, signal_quality
from beatssl_sklearn.ecg import LEADS
from beatssl_sklearn.inputs.source import ArraySource
from beatssl_sklearn.quality.reliable import LEAST_SCORE, ReliabilityCheck, check_reliable, faults_of

FS = 100.0


@pytest.fixture(scope="module")
def records() -> np.ndarray:
    """Forty records, every tenth of which has two flat leads."""
    x = make_ecg(40, fs=FS, random_state=0).data
    x[::10, 6:8] = 0
    return x


def test_what_lies_below_the_line_of_signal_quality_has_its_reasons(records: np.ndarray) -> None:
    given = [ECGRecord(x, FS, LEADS) for x in records]
    faults, table = faults_of(given), signal_quality(given)
    assert (table["score"] < LEAST_SCORE).tolist() == [i % 10 == 0 for i in range(40)]
    assert [bool(text) for text in faults] == [i % 10 == 0 for i in range(40)]
    assert faults[10] == f"quality {table['score'][10]:.2f} is below 0.5: {table['reasons'][10]}"
    assert "flat (V1, V2)" in faults[10]


def test_only_the_first_ten_minutes_of_a_longer_record_count() -> None:
    minute = make_ecg(1, fs=FS, duration=60, random_state=0).data[0]
    long = np.tile(minute, (1, 11))
    long[:, 60_000:] = 0
    early = long.copy()
    early[:, :30_000] = 0
    assert faults_of([ECGRecord(long, FS, LEADS)]) == [""]
    assert faults_of([ECGRecord(early, FS, LEADS)]) != [""]


def test_ten_records_are_named_and_the_others_counted(records: np.ndarray) -> None:
    x = np.repeat(records[:1], 12, axis=0)
    source = ArraySource(x, FS, LEADS, False)
    check = ReliabilityCheck(source, "raise")
    for block in source.read(np.arange(12), 5):
        assert check.look(block) is block
    with pytest.raises(ValueError, match=r"^X has unreliable records \(reliable='raise'\):\nrecord 0: ") as caught:
        check.tell()
    lines = str(caught.value).split("\n")
    assert len(lines) == 12 and lines[10].startswith("record 9: ") and lines[11] == "and 2 others"


@pytest.mark.parametrize("choice", ["nan", None, True, ["drop"]])
def test_other_choices_are_refused(choice: object) -> None:
    with pytest.raises(ValueError, match="reliable must be one of keep, warn, drop, raise, got"):
        check_reliable(choice)
