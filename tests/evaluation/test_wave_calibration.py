"""Reliability and trade of the confidence of waves, against values by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.ecg.waves import make_table
from beatssl_sklearn.evaluation import calibration_error, confidence_trade, reliability

FS = 100.0


def test_reliability_by_hand() -> None:
    waves = pd.DataFrame({"wave": ["P"] * 5 + ["T"] * 2, "confidence": [0.62, 0.68, 0.9, 1.0, 0.1, 0.35, np.nan]})
    waves = waves.astype({"confidence": np.float32})
    table = reliability(waves, [1, 0, 1, 0, np.nan, 1, 1])
    assert table["wave"].tolist() == ["P", "P", "T"] and table["n"].tolist() == [2, 2, 1]
    np.testing.assert_allclose(table["low"], [0.6, 0.9, 0.3])
    np.testing.assert_allclose(table["high"], [0.7, 1.0, 0.4])
    np.testing.assert_allclose(table["confidence"], [0.65, 0.95, 0.35], rtol=1e-6)
    np.testing.assert_allclose(table["right"], [0.5, 0.5, 1.0])
    # P: |.65 - .5| and |.95 - .5|, two waves each; T: |.35 - 1|.
    assert calibration_error(table) == pytest.approx({"P": 0.3, "T": 0.65})
    assert reliability(waves, [1, 0, 1, 0, np.nan, 1, 1], n_bins=1)["right"].tolist() == [0.5, 1.0]
    assert len(reliability(waves, np.full(7, np.nan))) == 0 and calibration_error(table[:0]) == {}


def test_bad_tables_are_refused() -> None:
    waves = pd.DataFrame({"wave": ["P"], "confidence": [0.5]})
    with pytest.raises(ValueError, match=r"waves lacks the columns \['confidence'\]"):
        reliability(waves[["wave"]], [1])
    with pytest.raises(ValueError, match=r"right must have one entry per wave \(1\)"):
        reliability(waves, [1, 1])
    with pytest.raises(ValueError, match="n_bins must be an integer between 1 and 1000"):
        reliability(waves, [1], n_bins=0)
    with pytest.raises(ValueError, match="confidences from 0 to 1"):
        reliability(waves.assign(confidence=7.0), [1])


def test_trade_by_hand() -> None:
    """One lead of 6 s with ten P; of eleven predictions, nine are right, and the less sure false one goes first."""
    true = [{"II": {"P": [[t - 2, t, t + 2] for t in range(2, 602, 60)] + [[598, 600, 602]]}}]
    peaks = np.array([*range(2, 542, 60), 95.0, 215.0])
    sure = np.array([0.9] * 8 + [0.4] + [0.3, 0.7])
    waves = make_table(0, "II", "P", peaks - 2, peaks, peaks + 2, FS, sure)
    table = confidence_trade(true, waves, FS, thresholds=(0.8, 0.0, 0.4))
    p = table[table["wave"] == "P"]
    assert table["wave"].tolist() == ["P"] * 3 + ["QRS"] * 3 + ["T"] * 3 and p["threshold"].tolist() == [0, 0.4, 0.8]
    assert p["n_true"].tolist() == [11] * 3
    assert p["n_predicted"].tolist() == [11, 10, 8] and p["n_right"].tolist() == [9, 9, 8]
    np.testing.assert_allclose(p["sensitivity"], [9 / 11, 9 / 11, 8 / 11])
    np.testing.assert_allclose(p["ppv"], [9 / 11, 9 / 10, 1])
    np.testing.assert_allclose(p["f1"], [18 / 22, 18 / 21, 16 / 19])
    # Marks may be any sequence, as a loader gives them.
    pd.testing.assert_frame_equal(confidence_trade(np.array(true, object), waves, FS, (0.8, 0.0, 0.4)), table)
    # From 0 to 602 samples of 10 ms: 6.02 s.
    np.testing.assert_allclose(p["false_per_minute"], [2 * 60 / 6.02, 60 / 6.02, 0])
    assert table.loc[table["wave"] == "T", ["sensitivity", "ppv", "f1"]].isna().all().all()


def test_a_wave_that_is_left_out_leaves_its_match_to_others() -> None:
    true = [{"II": {"QRS": [[90, 100, 110], [290, 300, 310]]}}]
    waves = make_table(0, "II", "QRS", [95, 85], [101, 92], [106, 99], FS, [0.2, 0.9])
    rows = confidence_trade(true, waves, FS, thresholds=(0.0, 0.5)).query("wave == 'QRS'")
    assert rows["n_predicted"].tolist() == [2, 1] and rows["n_right"].tolist() == [1, 1]


def test_thresholds_are_probabilities() -> None:
    waves = make_table(0, "II", "QRS", [95], [101], [106], FS, [0.2])
    for wrong in ((), (0.5, 2.0)):
        with pytest.raises(ValueError, match="thresholds must be numbers from 0 to 1"):
            confidence_trade([{}], waves, FS, thresholds=wrong)
    with pytest.raises(ValueError, match="predicted must have a confidence of each wave"):
        confidence_trade([{}], waves.assign(confidence=np.nan), FS)
