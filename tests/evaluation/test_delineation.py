"""Scores of waves against counts by hand, and against a slow count of random marks."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.evaluation.delineation import NARROW, delineation_counts, delineation_scores
from beatssl_sklearn.evaluation.metrics import match_beats

FS = 100.0  # the tolerance of 150 ms is 15 samples
NAN = np.nan
WAVES, BOUNDARIES = ("P", "QRS", "T"), ("onset", "peak", "offset")
COUNTS = ["n_true", "n_predicted", "n_matched"]


def record(lead="II", **waves):
    return [{lead: {wave: np.array(marks) for wave, marks in waves.items()}}]


def counts(scores, wave, boundary):
    row = scores[(scores.wave == wave) & (scores.boundary == boundary)]
    return tuple(row[COUNTS].to_numpy()[0].tolist())


def score(true, predicted, wave="QRS", boundary="peak", **parameters):
    return counts(delineation_scores(true, predicted, FS, **parameters), wave, boundary)


def peaks(*times, width=10):
    return [(t - width, t, t + width) for t in times]


def as_table(records):
    rows = [
        (number, lead, wave, *marks)
        for number, leads in enumerate(records)
        for lead, kinds in leads.items()
        for wave, waves in kinds.items()
        for marks in np.asarray(waves, float).reshape(-1, 3).tolist()
    ]
    return pd.DataFrame(rows, columns=["record", "lead", "wave", *BOUNDARIES])


def test_hand_counted_case():
    true = record(
        P=[(80, 88, 96), (180, 188, 196), (280, 288, 296)],
        QRS=[(100, 105, 110), (200, 205, 210), (300, 305, 310)],
        T=[(120, 130, 140), (320, 330, 340)],
    )
    predicted = record(
        P=[(82, 88, 99), (196, 188, 200)],  # second onset 160 ms late: no match; third P missed
        QRS=[(99, 105, 110), (199, 205, 212), (302, 305, 310)],
        T=[(120, 130, 150), (220, 230, 240), (320, 330, 330)],  # the second is extra
    )
    scores = delineation_scores(true, predicted, FS)
    assert scores[["wave", "boundary"]].to_numpy().tolist() == [
        [wave, boundary] for wave in WAVES for boundary in (*BOUNDARIES, "on+off")
    ]
    assert scores[COUNTS].to_numpy().tolist() == [
        *([3, 2, 1], [3, 2, 2], [3, 2, 2], [6, 4, 3]),
        *([3, 3, 3], [3, 3, 3], [3, 3, 3], [6, 6, 6]),
        *([2, 3, 2], [2, 3, 2], [2, 3, 2], [4, 6, 4]),
    ]
    p, qrs, t = (scores[scores.wave == wave].set_index("boundary") for wave in WAVES)
    assert p.sensitivity["onset"] == 1 / 3 and p.ppv["onset"] == 1 / 2 and p.f1["onset"] == pytest.approx(2 / 5)
    assert p.f1["on+off"] == pytest.approx(6 / 10) and t.ppv["on+off"] == pytest.approx(4 / 6)
    # At 100 Hz a sample is 10 ms.
    assert (p.mean_error_ms["offset"], p.sd_error_ms["offset"]) == (pytest.approx(35), pytest.approx(5))
    assert qrs.mean_error_ms["onset"] == pytest.approx(0) and qrs.sd_error_ms["onset"] == pytest.approx(200**0.5)
    assert qrs.median_abs_error_ms["onset"] == pytest.approx(10) and qrs.median_abs_error_ms["peak"] == 0
    assert t.mean_error_ms["offset"] == pytest.approx(0) and t.median_abs_error_ms["offset"] == pytest.approx(100)
    errors = np.array([-10, -10, 20, 0, 20, 0])
    assert qrs.mean_error_ms["on+off"] == pytest.approx(errors.mean())
    assert qrs.sd_error_ms["on+off"] == pytest.approx(errors.std())


def test_of_two_predictions_one_matches():
    true = record(QRS=peaks(100, 200, 300))
    assert score(true, record(QRS=peaks(100, 197, 206, 300))) == (3, 4, 3)
    assert score(record(QRS=peaks(100, 197, 206, 300)), true) == (4, 3, 3)
    nearest = delineation_scores(true, record(QRS=peaks(195, 198)), FS).query("wave == 'QRS' and boundary == 'peak'")
    assert nearest.mean_error_ms.item() == pytest.approx(-20)


def test_order_does_not_matter():
    true, predicted = peaks(100, 200, 300, 312), peaks(201, 306, 99, 311)
    expected = delineation_scores(record(QRS=true), record(QRS=predicted), FS)
    assert counts(expected, "QRS", "peak") == (4, 4, 4)
    pd.testing.assert_frame_equal(delineation_scores(record(QRS=true[::-1]), record(QRS=predicted[::-1]), FS), expected)


def test_tolerance_is_inclusive():
    true = record(QRS=peaks(0, 100, 200, width=0))
    assert score(true, record(QRS=peaks(115))) == (3, 1, 1)
    assert score(true, record(QRS=peaks(115.01))) == (3, 1, 0)
    assert score(true, record(QRS=peaks(116)), tolerance=0.16) == (3, 1, 1)
    assert score(true, record(QRS=peaks(100)), tolerance=0) == (3, 1, 1)
    # .150 s at 360 Hz is 54 samples
    far = [delineation_scores(true, record(QRS=peaks(100 - d, width=0)), 360.0, 0.15) for d in (46, 54, 55)]
    assert [counts(s, "QRS", "peak") for s in far] == [(3, 1, 1)] * 3  # the last matches the beat at 0 instead


def test_waves_boundaries_leads_and_records_never_mix():
    border = peaks(0, 500)
    true = [{"I": {"QRS": peaks(0, 100, 500), "T": border}, "V1": {"QRS": border}}, {"I": {"QRS": border}}]
    at_100 = {"QRS": peaks(100)}
    predicted = [{"I": {"T": peaks(100)}, "V1": at_100}, {"I": at_100}]
    scores = delineation_scores(true, predicted, FS)
    assert counts(scores, "QRS", "peak") == (7, 2, 0) and counts(scores, "T", "peak") == (2, 1, 0)
    # an onset where the true peak is
    assert score(record(QRS=[(100, 130, 160)]), record(QRS=[(130, 146, 161)]), boundary="onset") == (1, 1, 0)


def test_marks_before_the_first_and_after_the_last_are_not_false():
    true = record(P=[(80, 85, 90)], QRS=peaks(105, width=5), T=[(120, 130, 150)])
    # P 50: before the first mark; T 166 to 170: after the last; QRS at 140 is inside, and wrong.
    predicted = record(
        P=[(40, 50, 60), (80, 85, 90)], QRS=peaks(105, 140, width=5), T=[(120, 130, 150), (166, 168, 170)]
    )
    scores = delineation_scores(true, predicted, FS)
    assert [counts(scores, wave, "peak") for wave in WAVES] == [(1, 1, 1), (1, 2, 1), (1, 1, 1)]
    # Outside, but near enough to match: counted.
    assert score(true, record(P=[(70, 75, 79)]), "P") == (1, 1, 1)
    # A wave across the border loses only the marks outside.
    across = delineation_scores(true, record(P=[(60, 102, 104)]), FS)
    assert [counts(across, "P", b) for b in BOUNDARIES] == [(1, 0, 0), (1, 1, 0), (1, 1, 1)]
    # The marks of another lead do not annotate this one.
    wide = [true[0] | {"V1": {"QRS": peaks(5, 300, width=5)}}]
    assert score(wide, predicted, "P") == (1, 1, 1)


def test_marks_that_the_annotators_left_out_are_not_false():
    true = record(QRS=[*peaks(50), (-1, 105, 110), (200, 205, NAN), *peaks(300)])
    predicted = record(QRS=peaks(50, 105, 205, 300, width=7))
    scores = delineation_scores(true, predicted, FS)
    assert [counts(scores, "QRS", b) for b in BOUNDARIES] == [(3, 3, 3), (4, 4, 4), (3, 3, 3)]
    # Without the matching peak there is no excuse: these are inside, and far from all peaks.
    lost = delineation_scores(true, record(QRS=[(100, 150, 190)]), FS)
    assert [counts(lost, "QRS", b) for b in BOUNDARIES] == [(3, 1, 0), (4, 1, 0), (3, 1, 0)]
    # Annotations of onset and offset only: the peak has nothing to be compared with.
    without_peaks = record(QRS=[(a, NAN, c) for a, _, c in peaks(50, 105, 205, 300)])
    assert score(without_peaks, predicted, boundary="peak") == (0, 0, 0)
    # A prediction without an onset misses the annotated one.
    assert score(record(QRS=peaks(100)), record(QRS=[(NAN, 100, 110)]), boundary="onset") == (1, 0, 0)


def test_marks_just_before_the_record_are_positions():
    true, predicted = record(QRS=[(0, 5, 10)]), record(QRS=[(-0.5, -2, 10)])
    assert [score(true, predicted, boundary=b) for b in BOUNDARIES] == [(1, 1, 1), (1, 0, 0), (1, 1, 1)]


def test_nothing_to_count_is_nan():
    scores = delineation_scores([], [], FS)
    assert scores.shape == (12, 11) and (scores[COUNTS] == 0).all(axis=None)
    assert scores.drop(columns=["wave", "boundary", *COUNTS]).isna().all(axis=None)
    assert delineation_counts([], [], FS).shape == (0, 8)
    missed = delineation_scores(record(QRS=peaks(100)), [{}], FS).query("wave == 'QRS'")
    assert (missed.sensitivity == 0).all() and missed.ppv.isna().all() and (missed.f1 == 0).all()
    assert missed.mean_error_ms.isna().all() and missed.sd_error_ms.isna().all()
    empty = as_table([])
    pd.testing.assert_frame_equal(delineation_scores(empty, empty, FS), scores)


def test_leads_without_annotations_are_not_scored():
    true = [{"II": {"QRS": peaks(100, 200)}, "V1": {"QRS": np.zeros((0, 3)), "T": []}}, {}]
    found = {"QRS": peaks(100, 200)}
    predicted = [{"II": found, "V1": found, "V2": found, "consensus": found}, {"II": found}]
    assert score(true, predicted) == (2, 2, 2)
    assert score([{"consensus": found}, {}], predicted) == (2, 2, 2)
    # Not an annotated wave of an annotated lead is another matter.
    assert score(true, [{"II": {"P": peaks(150)}}, {}], "P") == (0, 1, 0)


def test_names_of_leads_are_canonical():
    assert score(record("MLII", QRS=peaks(100)), record("lead ii", QRS=peaks(100))) == (1, 1, 1)
    assert score(record("aVR", QRS=peaks(100)), as_table(record("-AVR", QRS=peaks(100)))) == (1, 1, 1)
    two = {"QRS": peaks(100)}
    for build in (list, as_table):
        with pytest.raises(ValueError, match="predicted, record 0: lead II occurs under two names"):
            delineation_scores(record(QRS=peaks(100)), build([{"II": two, "MLII": two}]), FS)
    apart = as_table([{"II": two}, {"MLII": two}])
    assert score(apart, [{"MLII": two}, {"II": two}]) == (2, 2, 2)


def random_records(rng, n_records):
    """Marks that are predicted with errors, missed and invented, and missing of either, at distinct times."""
    true, predicted = [], []
    for _ in range(n_records):
        pair = {}, {}
        for lead in ("I", "aVR"):
            for side in pair:
                side[lead] = {}
            for wave in WAVES:
                n = int(rng.integers(0, 7))
                own = np.sort(rng.choice(300, 3 * n, replace=False).reshape(n, 3) + 20, axis=1)
                other = np.sort(rng.choice(300, 12, replace=False).reshape(4, 3), axis=1) + 0.4
                # two marks at one time could be matched either way: errors differ in sixteenths of a sample
                found = own + rng.integers(-12, 13, own.shape) + rng.permutation(n)[:, None] / 16
                found = np.concatenate([found, other])[rng.random(n + 4) < 0.7]
                for side, marks in zip(pair, (own, found), strict=True):
                    marks = rng.permutation(marks).astype(float)
                    marks[rng.random(marks.shape) < 0.2] = rng.choice([-1, NAN])
                    side[lead][wave] = marks
        true.append(pair[0])
        predicted.append(pair[1])
    return true, predicted


def slow_counts(true, predicted, fs, tolerance):
    """Counts and errors of each record, wave and boundary, lead by lead and mark by mark."""
    n, errors = {}, {}
    for r, leads in enumerate(true):
        for lead, kinds in leads.items():
            kinds = {w: np.where(np.asarray(m) == -1, NAN, m) for w, m in kinds.items()}
            every = np.concatenate([m.ravel() for m in kinds.values()])
            every = every[~np.isnan(every)]
            for wave in WAVES:
                t = kinds[wave]
                p = np.where(predicted[r][lead][wave] == -1, NAN, predicted[r][lead][wave])
                partner = [{} for _ in BOUNDARIES]
                for b in range(3):
                    own_t, own_p = np.flatnonzero(~np.isnan(t[:, b])), np.flatnonzero(~np.isnan(p[:, b]))
                    own_t = own_t[np.argsort(t[own_t, b])]
                    own_p = own_p[np.argsort(p[own_p, b])]
                    i, j = match_beats(t[own_t, b], p[own_p, b], fs, tolerance)
                    partner[b] = dict(zip(own_p[j].tolist(), own_t[i].tolist(), strict=True))
                for b in range(3):
                    count = n.setdefault((r, wave, BOUNDARIES[b]), [0, 0, 0])
                    count[0] += int((~np.isnan(t[:, b])).sum())
                    for k in range(len(p)):
                        if k in partner[b]:
                            count[1] += 1
                            count[2] += 1
                            error = (p[k, b] - t[partner[b][k], b]) * 1000 / fs
                            errors.setdefault((r, wave, BOUNDARIES[b]), []).append(error)
                            continue
                        link = partner[1].get(k)
                        for other in (0, 2):
                            if link is None and k in partner[other] and np.isnan(t[partner[other][k], 1]):
                                link = partner[other][k]
                        excused = link is not None and np.isnan(t[link, b])
                        inside = len(every) and every.min() <= p[k, b] <= every.max()  # False for NaN
                        count[1] += bool(inside and not excused)
    return n, errors


@pytest.mark.parametrize("seed", range(4))
def test_a_slow_count_agrees(seed):
    rng = np.random.default_rng(seed)
    true, predicted = random_records(rng, 40)
    tolerance = [0.15, 0.04, 0.3, 1.0][seed]
    n, errors = slow_counts(true, predicted, FS, tolerance)
    table = delineation_counts(true, predicted, FS, tolerance)
    assert len(table) == 40 * 9
    for row in table.itertuples():
        key = row.record, row.wave, row.boundary
        assert [row.n_true, row.n_predicted, row.n_matched] == n.get(key, [0, 0, 0]), key
        error = np.array(errors.get(key, []))
        assert row.sum_error_ms == pytest.approx(error.sum()), key
        assert row.sum_squared_error_ms2 == pytest.approx((error**2).sum()), key
    assert table.n_matched.sum() > 300
    scores = delineation_scores(true, predicted, FS, tolerance)
    for row in scores.itertuples():
        kept = ("onset", "offset") if row.boundary == "on+off" else (row.boundary,)
        error = np.concatenate([e for (_, w, b), e in errors.items() if w == row.wave and b in kept])
        summed = table[(table.wave == row.wave) & table.boundary.isin(kept)][COUNTS].sum()
        assert summed.tolist() == [row.n_true, row.n_predicted, row.n_matched]
        found = row.mean_error_ms, row.sd_error_ms, row.median_abs_error_ms
        assert found == pytest.approx((error.mean(), error.std(), np.median(np.abs(error))))


def test_tables_and_dicts_give_the_same():
    true, predicted = random_records(np.random.default_rng(7), 12)
    table_t, table_p = as_table(true), as_table(predicted)
    shuffled = table_p.sample(frac=1, random_state=0).assign(confidence=1.0)
    scores, table = delineation_scores(true, predicted, FS), delineation_counts(true, predicted, FS)
    for t, p in ((table_t, table_p), (true, shuffled), (table_t, predicted)):
        pd.testing.assert_frame_equal(delineation_scores(t, p, FS), scores)
        pd.testing.assert_frame_equal(delineation_counts(t, p, FS), table)


def test_records_of_a_table_keep_their_numbers():
    true, predicted = random_records(np.random.default_rng(8), 4)
    table_t, table_p = as_table(true), as_table(predicted)
    for table in (table_t, table_p):
        table["record"] = table.record.map({0: 7, 1: 3, 2: 1_000_000, 3: 4})
    found = delineation_counts(table_t, table_p, FS)
    assert found.record.unique().tolist() == [3, 4, 7, 1_000_000]
    expected = delineation_counts(true, predicted, FS).set_index("record").loc[[1, 3, 0, 2]].reset_index(drop=True)
    pd.testing.assert_frame_equal(found.drop(columns="record"), expected)
    # Records without an annotation are not scored.
    only = delineation_counts(table_t[table_t.record == 7], table_p, FS)
    pd.testing.assert_frame_equal(only, found[found.record == 7].reset_index(drop=True))


def test_it_is_fast():
    rng = np.random.default_rng(0)
    beats = np.arange(60, 4900, 400)[:, None] + [0, 20, 40]
    true = [
        {lead: {wave: beats + 90 * k for k, wave in enumerate(WAVES)} for lead in ("I", "II", "III", "V1", "V2", "V3")}
        for _ in range(150)
    ]
    predicted = as_table(true)
    predicted[list(BOUNDARIES)] += rng.normal(0, 3, (len(predicted), 3))
    start = time.process_time()
    scores = delineation_scores(true, predicted, 500.0)
    assert time.process_time() - start < 3
    assert (scores.f1 == 1).all() and scores.sd_error_ms.between(5.5, 6.5).all()


def test_ludb_scores_perfectly_against_itself(data_dir):
    from beatssl_sklearn.datasets import fetch_ludb

    waves = list(fetch_ludb(data_dir, records=[1, 34, 95, 111], download_if_missing=False).waves)
    same = delineation_scores(waves, waves, 500.0)
    n_marks = sum((marks[:, 1] >= 0).sum() for leads in waves for kinds in leads.values() for marks in kinds.values())
    assert same[same.boundary == "peak"].n_true.sum() == n_marks > 500
    perfect = same[["sensitivity", "ppv", "f1"]].to_numpy()
    assert (perfect == 1).all() and (same.sd_error_ms == 0).all() and (same.median_abs_error_ms == 0).all()

    later = as_table(waves).replace({b: {-1.0: NAN} for b in BOUNDARIES})
    later[list(BOUNDARIES)] += 2.0
    shifted = delineation_scores(waves, later, 500.0)
    assert (shifted.f1 == 1).all()
    np.testing.assert_allclose(shifted.mean_error_ms, 4.0)
    np.testing.assert_allclose(shifted.sd_error_ms, 0.0, atol=1e-9)
    np.testing.assert_allclose(shifted.median_abs_error_ms, 4.0)


def test_the_nearest_of_two_leads_counts():
    true = [{"P": [(80, NAN, 96)], "QRS": peaks(100, 200, 300), "T": []}, {"QRS": peaks(100)}, {}]
    predicted = [
        {
            # 100: II is 20 ms early, V1 10 ms late. 200: only V1, 50 ms late. 300: both too far off. 400 is not marked.
            "II": {"QRS": peaks(98, 320, 400), "P": [(79, 88, 90)]},
            "V1": {"QRS": peaks(101, 205, 280, 400), "P": [(82, 88, 95)]},
            "consensus": {"QRS": peaks(100, 200, 300)},
        },
        {},
        {"II": {"QRS": peaks(50)}},
    ]
    scores = delineation_scores(true, predicted, FS, leads="nearest")
    rows = scores.set_index(["wave", "boundary"])
    qrs, onset, offset = rows.loc[("QRS", "peak")], rows.loc[("P", "onset")], rows.loc[("P", "offset")]
    assert (qrs.n_true, qrs.n_matched, qrs.sensitivity) == (4, 2, 0.5)
    assert (qrs.mean_error_ms, qrs.sd_error_ms) == (pytest.approx(30), pytest.approx(20))
    # The onset of P is nearer in II, its offset in V1. Its peak is not marked.
    assert (onset.mean_error_ms, offset.mean_error_ms) == (pytest.approx(-10), pytest.approx(-10))
    assert rows.n_true["P", "peak"] == 0 and rows.n_true["P", "on+off"] == rows.n_matched["P", "on+off"] == 2
    assert rows[["n_predicted", "ppv", "f1"]].isna().all(axis=None)

    counted = delineation_counts(true, predicted, FS, leads="nearest").set_index(["record", "wave", "boundary"])
    assert counted.n_true[:, "QRS", "peak"].tolist() == [3, 1, 0]
    assert counted.n_matched[:, "QRS", "peak"].tolist() == [2, 0, 0]
    first = counted.loc[(0, "QRS", "peak")]
    assert (first.sum_error_ms, first.sum_squared_error_ms2) == (pytest.approx(60), pytest.approx(2600))
    assert counted.n_predicted.isna().all()


def test_a_prediction_is_used_once_in_each_lead():
    true, predicted = [{"QRS": peaks(100, 110)}], record(QRS=peaks(104))
    assert score(true, predicted, leads="nearest")[::2] == (2, 1)
    both = [predicted[0] | {"V1": {"QRS": peaks(109)}}]
    rows = delineation_scores(true, both, FS, leads="nearest").set_index(["wave", "boundary"])
    # II and V1 have one mark each: 104 goes to 100, 109 to 110.
    assert rows.n_matched["QRS", "peak"] == 2 and rows.mean_error_ms["QRS", "peak"] == pytest.approx(15)


def test_one_lead_and_tables_give_the_same_as_each_lead():
    true, predicted = random_records(np.random.default_rng(9), 20)
    one_t, one_p = ([{"I": leads["I"]} for leads in records] for records in (true, predicted))
    shared = [leads["I"] for leads in one_t]
    each = delineation_counts(one_t, one_p, FS).drop(columns="n_predicted")
    nearest = delineation_counts(shared, one_p, FS, leads="nearest").drop(columns="n_predicted")
    assert each.n_matched.sum() > 50
    pd.testing.assert_frame_equal(nearest, each)
    both = delineation_scores(shared, predicted, FS, leads="nearest")
    as_tables = as_table(one_t).drop(columns="lead"), as_table(predicted)
    pd.testing.assert_frame_equal(delineation_scores(*as_tables, FS, leads="nearest"), both)
    assert (both.n_matched >= delineation_scores(one_t, one_p, FS).n_matched).all()


def test_tolerances_by_wave_and_boundary():
    true = record(P=peaks(50), QRS=peaks(100), T=peaks(150))
    # At 100 Hz a sample is 10 ms. All marks are 50 ms late: too late for QRS, not for the others.
    late = record(P=peaks(55), QRS=peaks(105), T=peaks(155))
    scores = delineation_scores(true, late, FS, NARROW)
    rows = [[counts(scores, wave, b)[2] for b in BOUNDARIES] for wave in WAVES]
    assert rows == [[1, 1, 1], [0, 0, 0], [1, 1, 1]]
    # 60 ms: only the offset of T, which may be 100 ms late. 40 ms: all.
    for shift, expected in ((6, [0, 0, 1]), (10, [0, 0, 1]), (11, [0, 0, 0]), (4, [3, 3, 3])):
        moved = record(P=peaks(50 + shift), QRS=peaks(100 + shift), T=peaks(150 + shift))
        scores = delineation_scores(true, moved, FS, NARROW)
        assert [sum(counts(scores, wave, b)[2] for wave in WAVES) for b in BOUNDARIES] == expected
        shared = delineation_scores([true[0]["II"]], moved, FS, NARROW, leads="nearest")
        pd.testing.assert_series_equal(shared.n_matched, scores.n_matched)
    same = dict.fromkeys(NARROW, 0.15)
    pd.testing.assert_frame_equal(delineation_scores(true, late, FS, same), delineation_scores(true, late, FS))


def table_with(**columns):
    return as_table(record(QRS=peaks(100))).assign(**columns)


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        (table_with(record=3), r"predicted has record 3, but true has the records 0 to 0"),
        (table_with(record=-2), r"predicted has record -2"),
        (table_with(record=0.5), r"predicted must have whole numbers in the column record"),
        (table_with(record="x"), r"predicted must have numbers in the columns record"),
        (table_with(wave="U"), r"predicted, record 0: unknown wave 'U', expected one of P, QRS, T"),
        (table_with(lead="V9"), r"predicted, record 0: unknown lead 'V9'"),
        (table_with(lead=None), r"predicted, record 0: unknown lead"),
        (table_with(peak=np.inf), r"predicted: marks must be finite"),
        (table_with().drop(columns=["lead", "peak"]), r"predicted lacks the columns .'lead', 'peak'."),
        ([{}, {}], r"true has 1 records but predicted has 2"),
        (record(QRS=[1, 2, 3]), r"predicted, record 0, lead II, QRS: marks must have the shape \(n_waves, 3\)"),
        (record(QRS=[(1, 2)]), r"must have the shape \(n_waves, 3\), got \(1, 2\)"),
        (record(QRS=[("a", "b", "c")]), r"predicted, record 0, lead II, QRS: marks must be an array"),
        (record(U=peaks(9)), r"unknown wave 'U'"),
        (record("Z", QRS=peaks(9)), r"predicted, record 0: unknown lead 'Z'"),
    ],
)
def test_errors_name_what_is_wrong(predicted, message):
    with pytest.raises(ValueError, match=message):
        delineation_scores(record(QRS=peaks(100)), predicted, FS)


def test_errors_of_parameters_and_types():
    one = record(QRS=peaks(100))
    with pytest.raises(ValueError, match="true has record 3, but predicted has the records 0 to 0"):
        delineation_scores(table_with(record=3), one, FS)
    for fs in (0, -1, np.nan):
        with pytest.raises(ValueError, match="fs must be a positive"):
            delineation_scores(one, one, fs)
    with pytest.raises(ValueError, match="tolerance must be"):
        delineation_counts(one, one, FS, tolerance=-0.1)
    with pytest.raises(TypeError, match="true must be a table of waves or a sequence .*, got dict"):
        delineation_scores(one[0], one, FS)
    with pytest.raises(TypeError, match='true, record 0, .*; one set for all leads is .* leads="nearest" takes it'):
        delineation_scores([{"QRS": [[1, 2, 3]]}], [], FS)
    with pytest.raises(TypeError, match="predicted, record 0, must be a dict of lead"):
        delineation_scores(one, [{"II": peaks(100)}], FS)
    with pytest.raises(ValueError, match="leads must be 'each' or 'nearest', got 'best'"):
        delineation_scores(one, one, FS, leads="best")
    with pytest.raises(TypeError, match="true, record 0, must be a dict of wave to array"):
        delineation_scores(one, one, FS, leads="nearest")
    with pytest.raises(ValueError, match="true has marks of several leads of a record"):
        delineation_scores(as_table([one[0] | {"V1": one[0]["II"]}]), one, FS, leads="nearest")
    with pytest.raises(ValueError, match=r"tolerance must have one entry .* \('T', 'offset'\) is missing"):
        delineation_scores(one, one, FS, {key: 0.1 for key in NARROW if key != ("T", "offset")})
    with pytest.raises(ValueError, match=r"\('U', 'peak'\) is unknown"):
        delineation_scores(one, one, FS, NARROW | {("U", "peak"): 0.1})
    with pytest.raises(ValueError, match=r"tolerance\[\('P', 'peak'\)\] must be a number >= 0"):
        delineation_scores(one, one, FS, NARROW | {("P", "peak"): -0.1})
