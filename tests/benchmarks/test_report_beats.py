"""Beats that a prompt points at: the rule that marks extrasystoles, and scores counted by hand."""

import numpy as np
import pytest

from beatssl_sklearn import ECGRecord, make_ecg
from benchmarks.study import report_beats


def test_the_rule_marks_extrasystoles_only():
    ecg = make_ecg(8, rhythm="pvc", fs=100, random_state=0)
    counted = np.zeros((2, 3), int)
    for signal, rpeaks, kinds in zip(ecg.data, ecg.rpeaks, ecg.beat_types, strict=True):
        marked = report_beats.early_wide_beats(signal.astype(float), 100, np.asarray(rpeaks))
        np.add.at(counted, ((np.array(kinds) == "V").astype(int), marked), 1)
    # Rows: usual, extrasystole. Columns: 0, 1, and -1 for neither.
    assert counted[0, 1] == 0 and counted[1, 0] == 0
    assert counted[0, 0] > 0.8 * counted[0].sum() and counted[1, 1] > 0.5 * counted[1].sum()


def test_scores_of_records_counted_by_hand():
    records = [ECGRecord(np.zeros((1, 1000)), 100.0, ["II"])] * 2
    rpeaks = [np.array([100, 200, 300, 400, 500])] * 2
    types = [np.array([0, 0, 1, 0, -1])] * 2
    marked = report_beats.Marked(records, rpeaks, types, np.array([1, 2]), ["1", "2"])
    # The fifth beat is neither one nor the other: its part does not count. The first beat of record 2 is not there.
    parts = [np.array([0.1, 0.2, 0.3, 0.0, 9.0]), np.array([0.2, 0.1, 0.0, 9.0])]
    found = report_beats.scores(marked, [rpeaks[0], rpeaks[1][1:]], parts)
    assert found["auroc"] == pytest.approx((1 + 0.5) / 2) and found["first"] == 0.5
    assert found["chance"] == pytest.approx((1 / 4 + 1 / 3) / 2)
    assert found["n_records"] == found["n_patients"] == 2
