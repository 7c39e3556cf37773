"""Which waves are right, against cases by hand and against the scores of marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.ecg import annotated_minutes, judge_waves
from beatssl_sklearn.ecg.waves import make_table
from beatssl_sklearn.evaluation import delineation_counts

FS = 100.0  # the tolerance of 150 ms is 15 samples
NAN = np.nan


def found(*rows: tuple[int, str, str, float]) -> pd.DataFrame:
    record, lead, wave, peak = zip(*rows, strict=True)
    peaks = np.array(peak)
    return make_table(record, list(lead), list(wave), peaks - 5, peaks, peaks + 5, FS)


def around(*peaks: float) -> list[list[float]]:
    return [[peak - 5, peak, peak + 5] for peak in peaks]


def judged(true: object, *rows: tuple[int, str, str, float], **options: float) -> list[float]:
    return judge_waves(true, found(*rows), FS, **options).tolist()


TRUE = [{"II": {"P": around(80, 180), "QRS": around(100, 200), "T": around(130)}}, {}]


def test_right_wrong_and_not_judged() -> None:
    rows = [(0, "II", "P", 95.0), (0, "II", "P", 150.0), (0, "II", "T", 150.0), (0, "II", "QRS", 215.0)]
    # 215 lies behind the last mark, 205, but meets the last QRS; 70 and 230 are outside.
    outside = [(0, "II", "T", 70.0), (0, "II", "T", 230.0), (0, "V1", "P", 80.0), (1, "II", "P", 80.0)]
    np.testing.assert_equal(judged(TRUE, *rows, *outside), [1, 0, 0, 1, NAN, NAN, NAN, NAN])
    np.testing.assert_equal(judged(TRUE, *rows, tolerance=0.1), [0, 0, 0, NAN])


def test_an_annotated_wave_is_met_once_by_the_nearest() -> None:
    assert judged(TRUE, (0, "II", "QRS", 108.0), (0, "II", "QRS", 97.0), (0, "II", "QRS", 103.0)) == [0, 1, 0]


def test_an_onset_stands_in_for_a_peak_that_is_not_marked() -> None:
    true = [{"II": {"QRS": around(0, 300), "T": [[100, -1, 150]]}}]
    # The first meets the onset; the second would meet the offset of the same wave.
    assert judged(true, (0, "II", "T", 112.0), (0, "II", "T", 150.0)) == [1, 0]


def test_leads_have_one_name_each() -> None:
    assert judged(TRUE, (0, "MLII", "QRS", 100.0)) == [1]
    with pytest.raises(ValueError, match="one lead under two names, one of them 'II'"):
        judged(TRUE, (0, "MLII", "QRS", 100.0), (0, "II", "QRS", 200.0))


def test_the_counts_are_those_of_the_scores() -> None:
    rng = np.random.default_rng(0)

    def random(n: int) -> pd.DataFrame:
        record, lead = rng.integers(3, size=n), rng.choice(["I", "II", "V1"], size=n)
        peak = rng.integers(1000, size=n) + rng.choice([0.0, 0.25], size=n)
        wave = rng.choice(["P", "QRS", "T"], size=n)
        return make_table(record, lead, wave, peak - 5, peak, peak + 5, FS, leads=["I", "II", "V1"])

    true, predicted = random(300), random(400)
    right = judge_waves(true, predicted, FS)
    counts = delineation_counts(true, predicted, FS).query("boundary == 'peak'").groupby("wave").sum()
    for wave in ("P", "QRS", "T"):
        own = right[predicted["wave"].to_numpy() == wave]
        assert np.nansum(own) == counts.loc[wave, "n_matched"] > 20
        assert (~np.isnan(own)).sum() == counts.loc[wave, "n_predicted"]


def test_annotated_time() -> None:
    # II lasts from 75 to 205, V1 from 0 to 110 [samples of 10 ms].
    both = [TRUE[0] | {"V1": {"QRS": [[0, 5, -1], [90, 100, 110]]}}, {}]
    assert annotated_minutes(both, FS) == pytest.approx((1.3 + 1.1) / 60)
    assert annotated_minutes([{}], FS) == 0


class ReadWhenIndexed(Sequence[dict[str, object]]):
    """Marks as a loader of a set gives them: no list, and read at every access."""

    def __init__(self, records: list[dict[str, object]]) -> None:
        self.records = records

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, i: Any) -> Any:
        return self.records[i]


def test_any_sequence_of_marks_will_do() -> None:
    rows = [(0, "II", "P", 95.0), (0, "II", "P", 150.0)]
    for marks in (ReadWhenIndexed(TRUE), tuple(TRUE), np.array(TRUE, object)):
        assert judged(marks, *rows) == [1, 0] and annotated_minutes(marks, FS) == pytest.approx(1.3 / 60)
    for other in (iter(TRUE), "II", TRUE[0], None):
        with pytest.raises(TypeError, match="true must be a DataFrame .* or a list of one dict per record"):
            judged(other, *rows)
    with pytest.raises(TypeError, match=r"true, record 0: .* dict.fromkeys\(leads, marks\)"):
        judged([TRUE[0]["II"]], *rows)


def test_nothing_to_judge() -> None:
    none = found((0, "II", "P", 1.0))[:0]
    assert judge_waves(TRUE, none, FS).shape == (0,)
    with pytest.raises(TypeError, match="predicted must be a DataFrame"):
        judge_waves(TRUE, TRUE, FS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"tolerance must be a number >= 0 \[s\], got -1"):
        judge_waves(TRUE, none, FS, -1)
