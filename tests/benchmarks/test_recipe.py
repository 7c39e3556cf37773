"""The recipe of the shipped segmenter: which of a teacher's labels are kept."""

import numpy as np
import pytest

from beatssl_sklearn.datasets._qtdb import SOURCES as SOURCE_OF
from benchmarks.delineation.p_waves import Found, summary
from benchmarks.delineation.recipe import FS, SOURCES, _stretches, agreed

N, LEADS = 500, 6
QRS = slice(200, 225)


def sights(*changes):
    """Three sights of six leads: background but for a QRS; changes are (sights, leads, times, label, probability)."""
    proba = np.zeros((3, LEADS, N, 4), np.float32)
    proba[..., 0] = 1
    for which, leads, times, label, p in ((slice(None), slice(None), QRS, 2, 1.0), *changes):
        part = proba[which, leads, times]
        part[:] = 0
        part[..., 0] = 1 - p
        part[..., label] = p
    return proba


P = slice(160, 185)
ALL = slice(None)


def test_what_all_sights_see_is_kept():
    mask = agreed(sights((ALL, ALL, P, 1, 0.9)), no_p=False, any_rhythm=False)
    assert (mask[:, P] == 1).all() and (mask[:, QRS] == 2).all() and (mask[:, :100] == 0).all()


def test_one_sight_is_enough_in_sinus_rhythm_if_most_leads_show_the_wave():
    mask = agreed(sights((0, slice(0, 3), P, 1, 0.9)), no_p=False, any_rhythm=False)
    assert (mask[:3, P] == 1).all() and (mask[3:, P] == -1).all()
    few = agreed(sights((0, slice(0, 1), P, 1, 0.9)), no_p=False, any_rhythm=False)
    assert (few[:, P] == -1).all()


def test_fibrillation_has_no_p_whatever_is_seen():
    mask = agreed(sights((ALL, ALL, P, 1, 0.9)), no_p=True, any_rhythm=False)
    assert (mask[:, P] == 0).all() and (mask[:, QRS] == 2).all()


def test_the_time_before_a_bare_complex_is_left_out_in_sinus_rhythm():
    before = slice(QRS.start - round(0.32 * FS), QRS.start - 1)
    assert (agreed(sights(), no_p=False, any_rhythm=False)[:, before] == -1).all()
    # A pacemaker's complexes need no P: they are left out only where most have none, as here.
    assert (agreed(sights(), no_p=False, any_rhythm=True)[:, before] == -1).all()
    second = (ALL, ALL, slice(400, 425), 2, 1.0), (ALL, ALL, slice(360, 380), 1, 0.9)
    third = (ALL, ALL, slice(480, 495), 2, 1.0), (ALL, ALL, slice(450, 470), 1, 0.9)
    assert (agreed(sights(*second, *third), no_p=False, any_rhythm=True)[:, before] == 0).all()


def test_sights_that_differ_leave_out():
    mask = agreed(sights((0, ALL, slice(260, 300), 3, 0.9)), no_p=False, any_rhythm=False)
    assert (mask[:, 260:300] == -1).all()


def test_stretches_hold_all_labels_with_some_signal_around():
    known = np.r_[1000:1100, 1150:1200, 5000:5100]
    assert list(_stretches(known, 100, 5150)) == [(900, 1299), (4900, 5150)]


def test_folds_leave_out_every_source_once():
    left_out = [source for sources in SOURCES for source in sources]
    assert sorted(left_out) == sorted(set(SOURCE_OF.values()))


def test_records_with_a_p_before_half_their_complexes_count():
    found = Found(np.array([0.0, 0.5, 1.0, 0.4]), np.array([0.0, 6.0, 12.0, 6.0]))
    assert summary(found, sinus=True)["value"] == 0.5
    row = summary(found, sinus=False)
    assert row["value"] == 6 and row["low"] < 6 < row["high"] and row["complexes"] == pytest.approx(0.475)
