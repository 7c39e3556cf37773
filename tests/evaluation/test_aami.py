"""Scores of classified heartbeats as EC57 counts them."""

from __future__ import annotations

import pickle
from itertools import product

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, confusion_matrix, f1_score, precision_score, recall_score

from beatssl_sklearn.evaluation import aami_scores, dominant_record
from beatssl_sklearn.evaluation.probing import bootstrap_interval

# Two records; the last beat of the second has no label.
Y = [["N", "N", "N", "S", "S", "V", "V", "F", "Q"], ["N", "N", "V", None]]
PREDICTED = [["N", "N", "V", "S", "N", "V", "F", "V", "V"], ["N", "S", "V", "V"]]


@pytest.fixture(scope="module")
def many():
    """Labels and predictions of 20 records of 10 patients: two answers of three are right."""
    rng = np.random.default_rng(0)
    y = [rng.choice(list("NSVFQ"), n, p=[0.6, 0.15, 0.15, 0.07, 0.03]) for n in rng.integers(30, 90, 20)]
    predicted = [np.where(rng.random(len(own)) < 0.67, own, rng.choice(list("NSVFQ"), len(own))) for own in y]
    return y, predicted, np.repeat([f"p{k}" for k in range(10)], 2)


def test_gross_rates() -> None:
    scores = aami_scores(Y, PREDICTED)
    assert scores.confusion.tolist() == [
        [3, 1, 1, 0, 0], [1, 1, 0, 0, 0], [0, 0, 2, 1, 0], [0, 0, 1, 0, 0], [0, 0, 1, 0, 0]
    ]  # fmt: skip
    assert not scores.missed.any() and not scores.extra.any() and scores.scored == ("N", "S", "V", "F")
    # F and Q with the answer V are no false V, and no true negatives: 12 beats, 3 V, 3 others with the answer V.
    assert scores.gross.of("V") == pytest.approx(
        {"sensitivity": 2 / 3, "ppv": 2 / 3, "f1": 2 / 3, "fpr": 1 / 7}, rel=1e-12
    )
    assert scores.gross.of("S") == pytest.approx({"sensitivity": 0.5, "ppv": 0.5, "f1": 0.5, "fpr": 0.1}, rel=1e-12)
    assert scores.gross.of("F")["f1"] == 0
    assert scores.macro_f1 == pytest.approx((6 / 9 + 1 / 2 + 2 / 3 + 0) / 4, rel=1e-12)


def test_printed_scores_are_a_table() -> None:
    scores = aami_scores(Y, PREDICTED, patients=["p", "p"])
    head, names, *rows = repr(scores).splitlines()
    assert head == f"AAMIScores of 2 records, patients: 1, macro F1: {scores.macro_f1:.3f}; all beats pooled:"
    assert names.split() == ["beats", "sensitivity", "ppv", "f1", "fpr"]
    table = scores.to_frame().set_index("class")
    for row, label in zip(rows, scores.scored, strict=True):
        name, n, *rates = row.split()
        assert name == label and int(n) == table.loc[label, "n"]
        expected = table.loc[label, names.split()[1:]].to_numpy(float)
        np.testing.assert_allclose(np.array(rates, float), expected, atol=5e-4)


def test_averages_count_records_where_a_rate_is_defined() -> None:
    scores = aami_scores(Y, PREDICTED, patients=["p", "p"])
    np.testing.assert_allclose(scores.by_record.f1[:, 1:3], [[2 / 3, 0.5], [np.nan, 1]])
    assert scores.average.of("V") == pytest.approx(
        {"sensitivity": 0.75, "ppv": 0.75, "f1": 0.75, "fpr": (1 / 5 + 0) / 2}, rel=1e-12
    )
    # The second record has no S and one answer S: it counts for the PPV alone.
    s = scores.average.of("S")
    assert (s["sensitivity"], s["ppv"], s["f1"]) == pytest.approx((0.5, 0.5, 2 / 3), rel=1e-12)
    # Both records are one patient's.
    np.testing.assert_array_equal(scores.mean_over_patients.f1, scores.gross.f1)
    assert aami_scores(Y, PREDICTED).mean_over_patients.f1.tolist() == scores.average.f1.tolist()


def test_the_counts_of_bxb(many) -> None:
    """V and S by the sums of letters that bxb's manual names: reference in capitals, O is an extra detection."""
    y, predicted, _ = many
    rpeaks = [100 * np.arange(len(own)) + 1000 for own in y]
    # Every seventh beat is missed, and there are ten extra detections before the first beat.
    kept = [np.arange(len(own)) % 7 > 0 for own in y]
    detected = [np.append(r[k], 50 * np.arange(10)) for r, k in zip(rpeaks, kept, strict=True)]
    found = [np.append(p[k], ["V", "S", "N", "F", "Q"] * 2) for p, k in zip(predicted, kept, strict=True)]
    scores = aami_scores(y, found, rpeaks=rpeaks, detected=detected, fs=100)
    total = scores.counts.sum(axis=0)
    n = {a + b: total["NSVFQO".index(a), "nsvfqo".index(b)] for a, b in product("NSVFQO", "nsvfqo")}
    assert n["Ov"] == 40 and sum(n[a + "o"] for a in "NSVFQ") == sum((~k).sum() for k in kept)
    v = scores.gross.of("V")
    vfp = n["Nv"] + n["Sv"] + n["Ov"]
    vtn = sum(n[a + b] for a in "NSFQO" for b in "nsfq")
    assert v["sensitivity"] == pytest.approx(n["Vv"] / sum(n["V" + b] for b in "nsvfqo"), rel=1e-12)
    assert v["ppv"] == pytest.approx(n["Vv"] / (n["Vv"] + vfp), rel=1e-12)
    assert v["fpr"] == pytest.approx(vfp / (vtn + vfp), rel=1e-12)
    s = scores.gross.of("S")
    assert s["ppv"] == pytest.approx(n["Ss"] / (n["Ss"] + n["Ns"] + n["Vs"] + n["Fs"] + n["Os"]), rel=1e-12)


def test_without_exemptions_it_is_scikit_learn(many) -> None:
    y, predicted, _ = many
    true, found = np.concatenate(y), np.concatenate(predicted)
    scored = true != "Q"
    scores = aami_scores(y, predicted, exempt="none")
    given = {"labels": list("NSVF"), "average": None}
    for name, score in (("sensitivity", recall_score), ("ppv", precision_score), ("f1", f1_score)):
        np.testing.assert_allclose(getattr(scores.gross, name), score(true[scored], found[scored], **given))
    np.testing.assert_array_equal(scores.confusion, confusion_matrix(true, found, labels=list("NSVFQ")))
    every = aami_scores(y, predicted, exempt="none", scored=list("NSVFQ"))
    np.testing.assert_allclose(every.gross.f1, f1_score(true, found, labels=list("NSVFQ"), average=None))
    assert scores.gross.of("V")["f1"] < aami_scores(y, predicted).gross.of("V")["f1"]
    own = aami_scores(y, predicted, exempt={"V": ["F", "Q"], "S": ["Q"]})
    np.testing.assert_array_equal(own.gross.fpr, aami_scores(y, predicted).gross.fpr)


def test_other_labels() -> None:
    scores = aami_scores([[1, 2, np.nan], np.array([2, 2])], [[1, 2, 2], [1.0, None]], classes=np.array([1, 2]))
    assert scores.confusion.tolist() == [[1, 0], [1, 1]] and scores.missed.tolist() == [0, 1]
    assert scores.scored == (1, 2) and scores.gross.of(2)["sensitivity"] == pytest.approx(1 / 3, rel=1e-12)
    q = aami_scores([["Q", "Q"]], [["Q", "N"]], scored=["Q"])
    assert q.gross.of("Q")["f1"] == pytest.approx(2 / 3, rel=1e-12)


def test_detected_beats() -> None:
    """5 samples apart is a pair. A beat without a label does not count, nor does its detection."""
    scores = aami_scores(
        [["N", "V", "N", None], []], [["V", "N", "S", "V", None], ["N"]],
        rpeaks=[[100, 200, 300, 400], []], detected=[[205, 101, 350, 401, 500], [7]], fs=100, tolerance=0.05,
    )  # fmt: skip
    assert scores.confusion[:3, :3].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert scores.missed.tolist() == [1, 0, 0, 0, 0] and scores.extra.tolist() == [1, 1, 0, 0, 0]
    assert scores.counts[1].sum() == 1
    n, s = scores.gross.of("N"), scores.gross.of("S")
    assert n["sensitivity"] == n["ppv"] == 0.5
    # An S that is none, among the three detections that belong to no S: one is V, two are N.
    assert s["ppv"] == 0 and s["fpr"] == 0.25 and np.isnan(s["f1"]) and np.isnan(s["sensitivity"])


def test_records_can_be_left_out() -> None:
    y = [["N", "S"], ["S", "S", "V", None], ["V", "V"]]
    assert dominant_record(y, "N") == 0
    most = dominant_record(y, "S", records=[100, 232, 7])
    assert most == 232
    scores = aami_scores(y, y, records=[100, 232, 7], patients=["a", "b", "a"], without=most)
    assert scores.records == (100, 7) and scores.patients.tolist() == ["a", "a"]
    assert scores.confusion.sum() == 4 and aami_scores(y, y, without=[0, 2]).confusion.sum() == 3
    with pytest.raises(ValueError, match="no beat of y has the label 'F'"):
        dominant_record(y, "F")


def test_precision_recall_area() -> None:
    y, predicted = [["V", "N"], ["V", "F"]], [["V", "V"], ["V", "V"]]
    p = [[[0.1, 0.9], [0.2, 0.8]], [[0.3, 0.7], [0.05, 0.95]]]
    scores = aami_scores(y, predicted, probability=p, columns=["N", "V"])
    # The fusion beat, which has the highest probability of V, is no false V by EC57.
    assert scores.average_precision[[0, 2]] == pytest.approx([1 / 2, (1 + 2 / 3) / 2], rel=1e-12)
    assert np.isnan(scores.average_precision[[1, 3]]).all()
    plain = aami_scores(y, predicted, probability=p, columns=["N", "V"], exempt="none")
    assert plain.average_precision[2] == pytest.approx((1 / 2 + 2 / 4) / 2, rel=1e-12)
    assert plain.average_precision[2] == average_precision_score([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.95])
    # A third V without an answer is never found.
    more = aami_scores([*y, ["V"]], [*predicted, [None]], probability=[*p, [[np.nan, np.nan]]], columns=["N", "V"])
    assert more.average_precision[2] == pytest.approx(5 / 9, rel=1e-12)


def test_area_of_detected_beats() -> None:
    scores = aami_scores(
        [["V", "N", "V"]], [["V", "V", "V"]], rpeaks=[[100, 200, 300]], detected=[[250, 101, 202]], fs=100,
        tolerance=0.05, probability=[[[0.95], [0.9], [0.2]]], columns=["V"],
    )  # fmt: skip
    # The extra detection comes first, then one V of two: precision 1/2 at recall 1/2, and the other V is missed.
    assert scores.average_precision[2] == pytest.approx(1 / 4, rel=1e-12)


def test_intervals_draw_patients(many) -> None:
    y, predicted, patients = many
    scores = aami_scores(y, predicted, patients=patients, exempt="none", scored=list("NSVFQ"))
    low, high = scores.intervals(n_bootstrap=60, level=0.9, seed=3)
    true, found, of = np.concatenate(y), np.concatenate(predicted), np.repeat(patients, [len(own) for own in y])
    is_v, found_v = (true == "V").astype(float), (found == "V").astype(float)
    expected = bootstrap_interval(
        lambda a, b: 2 * (a @ b) / (a.sum() + b.sum()), is_v, found_v, of, n_bootstrap=60, level=0.9, seed=3
    )
    assert (low.of("V")["f1"], high.of("V")["f1"]) == pytest.approx(expected, rel=1e-12)
    assert low.macro_f1 < scores.macro_f1 < high.macro_f1
    for mean, rates in (("average", scores.average), ("patients", scores.mean_over_patients)):
        low, high = scores.intervals(mean, n_bootstrap=200)
        assert (low.f1 < rates.f1).all() and (rates.f1 < high.f1).all()


def test_an_interval_of_a_class_of_one_patient() -> None:
    """Of eight patients one has S, and about a third of the draws have none. No patient has F."""
    y = [["N", "S"]] + [["N", "N"]] * 7
    low, high = aami_scores(y, y).intervals(n_bootstrap=100)
    assert low.of("S")["f1"] == high.of("S")["f1"] == 1 and np.isnan(low.of("F")["f1"])


def test_tables(many) -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    table = aami_scores(Y, PREDICTED, records=["a", "b"]).to_frame("records")
    assert table[["record", "class", "n", "tp", "fn", "fp", "tn"]].loc[[1, 6]].to_numpy().tolist() == [
        ["a", "S", 2, 1, 1, 0, 7], ["b", "V", 1, 1, 0, 0, 2]
    ]  # fmt: skip
    y, predicted, patients = many
    scores = aami_scores(y, predicted, patients=patients)
    table = scores.to_frame().set_index("class")
    assert isinstance(table, pd.DataFrame) and "average_precision" not in table
    assert table.loc["S", "ppv"] == scores.gross.of("S")["ppv"]
    assert table.loc["V", "patients_f1"] == scores.mean_over_patients.of("V")["f1"]
    own = scores.to_frame("patients")
    assert own["patient"].unique().tolist() == [f"p{k}" for k in range(10)]
    assert own.loc[own["class"] == "V", "f1"].mean() == pytest.approx(table.loc["V", "patients_f1"], rel=1e-12)
    assert pickle.loads(pickle.dumps(scores)).macro_f1 == scores.macro_f1
    with pytest.raises(ValueError, match="of must be one of classes, records, patients, got 'beats'"):
        scores.to_frame("beats")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"predicted": [["N"]]}, "y holds the labels of 2 records, predicted holds those of 1"),
        ({"predicted": [PREDICTED[0], ["N"]]}, "record 1 has 4 labels in y and 1 in predicted"),
        ({"predicted": [PREDICTED[0], ["N", "x", "V", "V"]]}, "predicted, record 1, beat 1: 'x' is none of"),
        ({"y": [Y[0], [None] * 4], "without": 0}, "no beat has a label of the scored classes"),
        ({"y": [], "predicted": []}, "y has no record"),
        ({"records": ["a", "a"]}, "records must hold each value once"),
        ({"records": ["a"]}, "records names 1 records, y holds the labels of 2"),
        ({"patients": ["a", None]}, "patients: the group of record 1 is missing"),
        ({"without": 5}, "without has the record 5, which is none of"),
        ({"without": [0, 1]}, "without leaves out all 2 records"),
        ({"rpeaks": [[1], [2]]}, "rpeaks, detected and fs belong together, but detected is missing"),
        ({"classes": ["N", "N"]}, "classes must hold each value once"),
        ({"scored": ["x"]}, "scored must be some of the classes"),
        ({"exempt": "bxb"}, "exempt must be 'ec57', 'none' or a dict"),
        ({"exempt": {"V": ["x"]}}, "exempt has the label 'x'"),
        ({"columns": ["N"]}, "probability and columns, .* belong together"),
        ({"columns": ["N"], "probability": [np.zeros((9, 1)), np.zeros((4, 2))]}, r"record 1 must have .* \(4, 1\)"),
        ({"columns": ["N"], "probability": [np.zeros((9, 1)), np.full((4, 1), np.inf)]}, "record 1 must be finite"),
    ],
)
def test_errors(change, text) -> None:
    with pytest.raises(ValueError, match=text):
        aami_scores(**({"y": Y, "predicted": PREDICTED} | change))


def test_errors_of_positions_and_types() -> None:
    given = {"rpeaks": [[100]], "detected": [[100, 200]], "fs": 100}
    with pytest.raises(ValueError, match="predicted and detected: record 0 has 1 labels for 2 beats"):
        aami_scores([["N"]], [["N"]], **given)
    with pytest.raises(ValueError, match="detected must hold one array for each of the 1 records"):
        aami_scores([["N"]], [["N"]], rpeaks=[[100]], detected=[[100], [100]], fs=100)
    with pytest.raises(ValueError, match="rpeaks of record 0 must be finite"):
        aami_scores([["N"]], [["N", "N"]], **(given | {"rpeaks": [[np.nan]]}))
    with pytest.raises(TypeError, match="y must hold one label per beat of each record, record 0 has 'N'"):
        aami_scores(["N", "V"], [["N"], ["V"]])
    with pytest.raises(TypeError, match="predicted must hold the labels of each record, got 'NV'"):
        aami_scores([["N", "V"]], "NV")
    with pytest.raises(ValueError, match="mean must be one of gross, average, patients, got 'macro'"):
        aami_scores(Y, PREDICTED).intervals("macro")
    with pytest.raises(ValueError, match="label must be one of the scored classes"):
        aami_scores(Y, PREDICTED).gross.of("Q")
