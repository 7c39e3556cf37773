"""Patients found again: who is enrolled and looked for, and the scores of tables small enough to count by hand."""

import argparse

import numpy as np
import pytest

from beatssl_sklearn import PatientIdentifier
from benchmarks.study import identify, results

GALLERY = np.array([10, 20, 30, 40, 50, 60])


def _similarity(*, own, others):
    """One probe of each enrolled patient: `own` on the diagonal, and a row of `others` beside it."""
    table = np.tile(np.asarray(others, float)[:, None], (1, len(GALLERY)))
    np.fill_diagonal(table, own)
    return table


def test_scores_of_a_table_counted_by_hand():
    # The own patient wins for probes 0 to 2. The rest are beaten by all five others, so that top-5 misses them too.
    similarity = _similarity(own=[0.9, 0.9, 0.9, 0.1, 0.1, 0.1], others=[0.2, 0.2, 0.2, 0.3, 0.3, 0.3])
    similarity[3, 0] = 0.0  # probe 3 is beaten by four: it is in top-5
    found = identify.identification_scores(similarity, GALLERY, GALLERY)
    assert found["top1"] == 3 / 6 and found["top5"] == 4 / 6
    assert 0 <= found["top1_low"] < 0.5 < found["top1_high"] <= 1
    # Three of six own pairs are above all others; the next threshold, .3, accepts 14 of 30 others and no own pair.
    assert found["tar"] == 0.5
    # Rejected are .5 from there on; accepted others go from 14 / 30 to 29 / 30 at .2: .5 lies between.
    assert found["eer"] == pytest.approx(0.5)


def test_a_tie_is_lost():
    constant = identify.identification_scores(np.zeros((6, 6)), GALLERY, GALLERY)
    assert constant["top1"] == constant["top5"] == 0 and constant["eer"] == pytest.approx(0.5)


def test_probes_of_a_patient_are_drawn_together():
    gallery, probes = np.arange(4), np.arange(4).repeat(50)
    similarity = np.eye(4)[probes]
    similarity[probes == 3] = [1, 0, 0, 0.5]
    found = identify.identification_scores(similarity, gallery, probes)
    # With 200 single draws, the interval would be about .69 to .81.
    assert found["top1"] == 0.75 and (found["top1_low"], found["top1_high"]) == (0.25, 1.0)


def test_patients_must_be_enrolled_once():
    with pytest.raises(ValueError, match="patient 7 of probe 1 must be in gallery once, is 0 times"):
        identify.identification_scores(np.eye(2), np.array([1, 2]), np.array([1, 7]))
    with pytest.raises(ValueError, match="is 2 times"):
        identify.identification_scores(np.eye(2), np.array([1, 1]), np.array([1, 1]))


def test_the_least_record_number_is_enrolled_and_single_records_are_left_out():
    patient = np.array([5, 4, 5, 4, 5, 9, 1, 1, 2])
    record_id = np.array([30, 20, 10, 25, 40, 1, 3, 2, 7])
    test = np.array([True] * 6 + [False] * 3)
    at = identify.roles(patient, record_id, test)
    assert at.gallery.tolist() == [1, 2] and at.probes.tolist() == [0, 3, 4] and at.fit.tolist() == [6, 7]
    keep = patient != 4
    with pytest.raises(ValueError, match="1 in the fold that scores, 1 in the others; .*--per-fold"):
        identify.roles(patient[keep], record_id[keep], test[keep])


class _Study:
    """Embeddings of 24 patients, three records each; another lead set has other noise. Eight patients score."""

    def __init__(self, noise):
        rng = np.random.default_rng(0)
        self.noise, self.asked, patient = noise, [], np.arange(24).repeat(3)
        self.records = argparse.Namespace(patient=patient, record_id=np.arange(72), test=patient >= 16)
        self.own = rng.normal(size=(24, 12))[patient]

    def embedding(self, name, encoder, leads, fit_leads):
        self.asked.append((leads, fit_leads))
        return self.own + self.noise * np.random.default_rng(len(leads or "twelve")).normal(size=(72, 12))

    def describe(self, name):
        return {"what": "drawn"}


@pytest.mark.parametrize("shown_as", ["12", "12, probes II"])
def test_cells_are_computed_once_and_find_patients_who_are_alike(tmp_path, monkeypatch, shown_as):
    monkeypatch.setattr(identify, "row_digest", lambda *_: "m0")
    study, table = _Study(0.01), results.Table(tmp_path / "t.csv", identify.KEYS)
    rows = identify.cells(study, table, "ours", 0, shown_as)
    assert [row["metric"] for row in rows] == list(identify.METRICS)
    assert all(row["top1"] == 1 and row["tar"] == 1 and row["eer"] == 0 for row in rows)
    assert (rows[0]["n_gallery"], rows[0]["n_probes"], rows[0]["n_fit_patients"]) == (8, 16, 16)
    assert study.asked == [(None, None), (("II",) if "II" in shown_as else None, None)]
    again = identify.cells(study, results.Table(tmp_path / "t.csv", identify.KEYS), "ours", 0, shown_as)
    assert len(study.asked) == 2 and [row["top1"] for row in again] == [1, 1, 1]


def test_shares_agree_with_the_ranking_of_the_identifier():
    study = _Study(4.0)
    at = identify.roles(study.records.patient, study.records.record_id, study.records.test)
    Z, patient = study.embedding("ours", 0, None, None), study.records.patient
    model = PatientIdentifier("cosine").fit(Z[at.fit], patient[at.fit]).enroll(Z[at.gallery], patient[at.gallery])
    found = identify.identification_scores(model.decision_function(Z[at.probes]), model.classes_, patient[at.probes])
    hits = model.rank(Z[at.probes], 5) == patient[at.probes][:, None]
    assert 0 < found["top1"] < found["top5"] < 1
    assert (found["top1"], found["top5"]) == (hits[:, 0].mean(), hits.any(axis=1).mean())
