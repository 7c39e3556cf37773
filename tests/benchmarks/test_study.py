"""The study's pure functions: tables, commands, grids, labels, intervals, decisions."""

import argparse
import csv
import inspect

import numpy as np
import pytest

from beatssl_sklearn import BeatSSLPretrainer, make_ecg
from beatssl_sklearn.ecg.features.table import make_table
from benchmarks.study import ablation, beats, common, configs, data, finetune, leads, results, scoring, train, trials
from benchmarks.study.models import remembered, shared_measurements


def test_a_table_keeps_finished_rows_and_replaces_a_row_of_the_same_key(tmp_path):
    path = tmp_path / "t.csv"
    table = results.Table(path, ("row", "fraction"))
    table.add({"row": "ours", "fraction": 0.01, "auroc": 0.8125})
    table.add({"row": "ours", "fraction": 1.0, "auroc": 0.9, "seeds": 3})
    again = results.Table(path, ("row", "fraction"))
    assert again.find(row="ours", fraction=0.01) == {"row": "ours", "fraction": 0.01, "auroc": 0.8125, "seeds": ""}
    assert again.find(row="ours", fraction=1.0)["seeds"] == 3
    assert again.find(row="hard", fraction=1.0) is None
    again.add({"row": "ours", "fraction": 1.0, "auroc": 0.95})
    with open(path, newline="") as stream:
        assert [row["auroc"] for row in csv.DictReader(stream)] == ["0.8125", "0.95"]


def test_keys_that_look_like_numbers_are_found_again(tmp_path):
    table = results.Table(tmp_path / "t.csv", ("encoder",))
    table.add({"encoder": "12e4", "seed": 0})
    assert table.find(encoder="12e4") is not None
    assert results.Table(tmp_path / "t.csv", ("encoder",)).find(encoder="12e4") is not None


def test_scores_are_shown_with_three_digits_and_their_interval():
    assert results.shown(0.9123) == ".912"
    assert results.shown(-0.012) == "-.012"
    assert results.shown(1.0) == "1.000"
    assert results.shown(10.5) == "10.500"
    assert results.shown(float("nan")) == ""
    row = {"auroc": 0.9123, "auroc_low": 0.9, "auroc_high": 0.9251}
    assert results.with_interval(row, "auroc") == ".912 (.900-.925)"
    assert results.with_interval({"auroc": 0.9123, "auroc_low": float("nan")}, "auroc") == ".912"
    assert results.with_interval({}, "auroc") == ""


def test_commands_name_no_folder_of_the_machine():
    words = ["--unpacked", "/some/where/PTBXL", "--model", "ours=/a/b/m.bssl", "--cache", "/c", "--seed", "0"]
    command = results.command_of("benchmarks.study.labels", words)
    assert command == "python -m benchmarks.study.labels --unpacked PTBXL --model ours=m.bssl --seed 0"


def test_markdown_has_command_and_one_line_per_row(tmp_path):
    path = tmp_path / "sub" / "t.md"
    results.write_markdown(path, "Title", ["About."], "python -m x", ["row", "AUROC"], [["ours", ".9"]])
    text = path.read_text()
    assert text.startswith("# Title\n") and "`python -m x`" in text and "| ours | .9 |" in text


def test_t_interval_of_three_runs():
    mean, low, high = results.mean_interval([0.8, 0.9, 1.0])
    assert mean == pytest.approx(0.9)
    assert high - mean == pytest.approx(4.302653 * 0.1 / np.sqrt(3), rel=1e-5) == mean - low
    assert np.isnan(results.mean_interval([0.8])[1:]).all()


def test_every_row_is_a_pretrainer_whose_parameters_are_accepted():
    known = set(inspect.signature(BeatSSLPretrainer).parameters)
    grids = [configs.PRETRAINED, ablation.grid("paper"), ablation.grid("changes"), ablation.grid("sizes")]
    for rows in grids:
        for name, changes in rows.items():
            assert set(changes) - {"trial"} <= known and changes.get("trial", "average") in trials.TRIALS, name
            made = configs.make_pretrainer(name, 3, encoder={"size": "s"}, changes=changes, max_epochs=2)
            assert made.random_state == 3 and made.max_epochs == (0 if name == "random" else 2)
    with pytest.raises(ValueError, match="--table"):
        ablation.grid("unknown")


def test_the_publication_s_table_has_fourteen_different_rows():
    rows = [repr(sorted(configs.paper_changes(row).items())) for row in configs.PAPER_TABLE]
    assert len(rows) == len(set(rows)) == 14
    best = max(configs.PAPER_TABLE, key=lambda row: row.auroc)
    preset = configs.PRETRAINED["paper"]
    assert {k: configs.paper_changes(best)[k] for k in preset} == preset


def test_one_change_rows_differ_from_the_defaults():
    defaults = {k: p.default for k, p in inspect.signature(BeatSSLPretrainer).parameters.items()}
    rows = configs.one_change_rows()
    assert rows.pop("ours") == {}
    assert len(rows) > 15
    assert all(any(defaults[k] != v for k, v in changes.items()) for changes in rows.values())
    tiny = {"size": "s", "widths": [8, 8, 8]}
    assert configs.make_pretrainer("ours", 0, encoder=tiny).encoder_params == tiny
    larger = configs.make_pretrainer("size m", 0, encoder=tiny, changes=configs.SIZES["size m"])
    assert larger.encoder_params == {"size": "m"}


def test_codes_without_enough_positives_are_left_out():
    codes = [("A", "B")] * 3 + [("C",)] + [("A",), ("C",), ()]
    test = np.array([False] * 4 + [True] * 3)
    task = data.multi_hot(codes, test)
    assert task.classes == ("A",)
    np.testing.assert_array_equal(task.target[:, 0], [1, 1, 1, 0, 1, 0, 0])
    np.testing.assert_array_equal(task.labelled, [True, True, True, False, True, False, False])


def test_hand_features_take_scale_and_components_from_the_training_records_only():
    rng = np.random.default_rng(0)
    values, grids = rng.normal(size=(60, 3)), rng.normal(size=(60, 8, 70)).astype(np.float32)
    values[:5, 1] = np.nan
    columns = [("a", "rhythm"), ("b", "qrs"), ("c", "p")]
    train = np.arange(60) < 40
    table = make_table(values, columns, grids)
    z = data.hand_features(table, table, train)
    assert z.shape == (60, 3 + 32 + 1) and np.isfinite(z).all()
    np.testing.assert_array_equal(z[:, -1], np.arange(60) < 5)
    changed = make_table(np.where(train[:, None], values, 100.0), columns, np.where(train[:, None, None], grids, 0))
    np.testing.assert_array_equal(data.hand_features(changed, changed, train)[train], z[train])


def test_decisions_follow_odds_in_units_of_the_threshold():
    p = np.array([[0.7, 0.2, 0.1, 0.0], [0.7, 0.05, 0.2, 0.05]])
    np.testing.assert_array_equal(beats.decide(p, np.full(4, 0.5)), [0, 0])
    np.testing.assert_array_equal(beats.decide(p, np.array([0.9, 0.05, 0.5, np.inf])), [1, 1])
    np.testing.assert_array_equal(beats.decide(p, np.array([0.9, 0.5, 0.05, np.inf])), [2, 2])


def test_beat_scores_add_up_over_patients():
    true = np.array([0, 0, 2, 2, 0, 1])
    found = np.array([0, 2, 2, 2, 0, 0])
    patient = np.array([7, 7, 7, 9, 9, 9])
    counts = beats.confusion_by_patient(true, found, patient)
    assert counts.shape == (2, 4, 4) and counts.sum() == 6 and counts[0, 0, 2] == 1
    row = beats.scores(true, found, patient)
    assert row["f1_N"] == pytest.approx(2 * 2 / (3 + 3)) and row["f1_V"] == pytest.approx(2 * 2 / (2 + 3))
    assert row["f1_F"] == 0 and row["f1_macro"] == pytest.approx((4 / 6 + 4 / 5) / 4)
    assert row["f1_V_low"] <= row["f1_V"] <= row["f1_V_high"]


def test_context_is_the_difference_from_the_record_s_median_and_neighbours():
    Z = np.array([[1.0], [2.0], [6.0], [5.0]], dtype=np.float32)
    out = beats.in_context(Z, np.array([0, 0, 0, 1]))
    np.testing.assert_array_equal(out[0], [1, -1, -1, 0])
    np.testing.assert_array_equal(out[1], [2, 0, -1, 4])
    np.testing.assert_array_equal(out[3], [5, 0, 0, 0])


def test_beats_of_new_patients_are_found():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 4, size=200)
    Z = (np.eye(4)[label] * 4 + rng.normal(size=(200, 4))).astype(np.float32)
    found = beats.cross_validate(Z, label, np.repeat(np.arange(4), 50))
    assert (found == label).mean() > 0.9


def test_epochs_rise_with_fewer_labels():
    assert [scoring.epochs_for(f, 15) for f in (1.0, 0.1, 0.01)] == [15, 47, 75]
    assert scoring.epochs_for(1.0, 0) == 1


def labelled(n=400, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, size=(n, 3))
    return rng, target, (target + rng.normal(size=(n, 3))).astype(np.float32), np.arange(n) // 2


def test_summary_of_probes_holds_interval_and_spread():
    _, target, Z, patient = labelled()
    fits = [scoring.probe(Z[:k], target[:k], patient[:k], Z[200:]) for k in (100, 200)]
    row = scoring.summary(fits, target[200:], patient[200:])
    assert 0.7 < row["auroc_low"] < row["auroc"] < row["auroc_high"] < 0.9
    assert row["f1_low"] < row["f1"] < row["f1_high"] and row["auroc_sd"] > 0
    assert (row["n_fits"], row["n_train"], row["n_test"]) == (2, 150, 200)


def test_boosting_scores_like_the_probe_on_easy_data():
    _, target, Z, patient = labelled()
    fit = scoring.boosting(Z[:200], target[:200], patient[:200], Z[200:])
    assert scoring.summary([fit], target[200:], patient[200:])["auroc"] > 0.65
    assert fit.p.shape == fit.decided.shape == (200, 3)


def test_gain_is_zero_for_equal_models_and_found_for_a_better_one(monkeypatch):
    monkeypatch.setattr(finetune, "N_BOOTSTRAP", 100)
    rng, target, Z, patient = labelled()
    better = scoring.Fit(Z, Z > 0, {})
    worse = scoring.Fit((Z + 3 * rng.normal(size=Z.shape)).astype(np.float32), Z > 0, {})
    same = finetune.gain(target, patient, [better], [better])
    assert same == {"gain": 0, "gain_low": 0, "gain_high": 0}
    found = finetune.gain(target, patient, [better, better], [worse, worse])
    assert 0 < found["gain_low"] < found["gain"] < found["gain_high"]


def test_the_mean_of_two_fits_is_that_of_their_logits():
    one = scoring.Fit(np.array([[0.5, 0.9]], np.float32), np.ones((1, 2), bool), {})
    other = scoring.Fit(np.array([[0.5, 0.1]], np.float32), np.ones((1, 2), bool), {})
    certain = scoring.Fit(np.array([[1.0, 0.0]], np.float32), np.ones((1, 2), bool), {})
    np.testing.assert_allclose(finetune.mean_fit([one, other]).p, [[0.5, 0.5]], atol=1e-6)
    assert np.isfinite(finetune.mean_fit([one, certain]).p).all()
    assert finetune.mean_fit([one, certain]).decided.tolist() == [[True, False]]


def test_fits_and_arrays_are_computed_once(tmp_path):
    calls = []

    def fit():
        calls.append(1)
        return scoring.Fit(np.ones((2, 1), np.float32), np.ones((2, 1), bool), {"C": 0.1})

    first, second = (scoring.kept_fit(tmp_path / "a" / "fit.npz", fit) for _ in range(2))
    assert len(calls) == 1 and second.about == first.about == {"C": 0.1}
    np.testing.assert_array_equal(first.p, second.p)
    arrays = [remembered(tmp_path / "z.npy", lambda: calls.append(1) or np.arange(3)) for _ in range(2)]
    assert len(calls) == 2 and (arrays[0] == arrays[1]).all()


def test_differences_are_taken_seed_by_seed():
    def rows(*values):
        return [{"seed": s, "auroc": v, "beats_f1": ""} for s, v in enumerate(values)]

    out = ablation.summarise(rows(0.82, 0.92), rows(0.8, 0.9, 0.7))
    assert out["auroc"] == pytest.approx(0.87) and out["auroc_gain"] == pytest.approx(0.02)
    assert out["auroc_gain_high"] - out["auroc_gain_low"] < 1e-6 and "beats_f1" not in out


def test_changes_are_read_as_json_or_words():
    assert train.parse_change("lr=3e-3") == ("lr", 0.003)
    assert train.parse_change('augment_params={"angle": 30}') == ("augment_params", {"angle": 30})
    assert train.parse_change("similarity=cosine") == ("similarity", "cosine")
    with pytest.raises(ValueError, match="PARAMETER=VALUE"):
        train.parse_change("lr")


def test_lead_sets_are_those_of_a_smaller_machine():
    assert list(leads.LEAD_SETS) == ["12", "six limb leads", "I, II, V2", "I, II", "II", "V2"]


def test_shared_measurements_change_nothing():
    from beatssl_sklearn import make_ecg

    X = make_ecg(4, rhythm="mixed", fs=100, random_state=0).data

    def fit(**changes):
        made = configs.make_pretrainer("ours", 0, encoder={"size": "s", "widths": [4, 4, 4]}, changes=changes)
        return made.set_params(max_epochs=1, batch_size=4).fit(X).weights_

    changes = ({}, {"temperature": 0.2, "beat_feature_weight": 0.0})
    alone = [fit(**c) for c in changes]
    with shared_measurements():
        shared = [fit(**c) for c in changes]
    for a, b in zip(alone, shared, strict=True):
        assert a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def small(**parameters):
    given = {"fs": 100, "encoder_params": {"size": "s"}, "max_epochs": 2, "batch_size": 4, "random_state": 0}
    return BeatSSLPretrainer(**{**given, **configs.SHIPPED, **parameters})


@pytest.mark.parametrize(("momentum", "epochs"), [(0.0, 2), (1.0, 0)])
def test_averaged_weights_lie_between_the_first_and_the_last(momentum, epochs, monkeypatch):
    """Without momentum the average is the network itself, with nothing else it stays what it was at first."""
    monkeypatch.setattr(trials, "MOMENTUM", momentum)
    X = make_ecg(8, fs=100, random_state=0).data
    with trials.in_place("average"):
        found = small().fit(X).weights_
    expected = small(max_epochs=epochs).fit(X).weights_
    for name in (n for n in expected if not n.endswith("num_batches_tracked")):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6, err_msg=name)


def test_a_teacher_is_not_trained_but_follows(monkeypatch):
    X = make_ecg(8, fs=100, random_state=0).data
    contrast = configs.CONTRAST
    monkeypatch.setattr(trials, "MOMENTUM", 1.0)
    with trials.in_place("teacher"):
        still = small(**contrast).fit(X)
        monkeypatch.setattr(trials, "MOMENTUM", 0.9)
        moved = small(**contrast).fit(X)
    start = small(max_epochs=0, **contrast).fit(X).weights_
    name = "encoder.stem.conv.weight"
    np.testing.assert_array_equal(still.weights_[name], start[name])
    assert not np.array_equal(moved.weights_[name], start[name])
    assert np.isfinite(moved.history_[-1]["rhythm_loss"]) and np.isfinite(moved.history_[-1]["beat_loss"])


def test_windows_of_a_record_differ_between_views(monkeypatch):
    seen = []
    original = trials.WindowBatches._batch

    def batch(self, index, rng, generator):
        views, context = original(self, index, rng, generator)
        seen.append((len(index), views))
        return views, context

    monkeypatch.setattr(trials.WindowBatches, "_batch", batch)
    X = make_ecg(8, fs=100, random_state=0).data
    changes = configs.one_change_rows()["contrast of two windows of 5 s instead"]
    given = {k: v for k, v in changes.items() if k != "trial"}
    with trials.in_place("windows"):
        small(**{**given, "augment": "none", "augment_params": None}, max_epochs=1).fit(X)
    assert seen
    for n, views in seen:
        assert views.signal.shape == (2 * n, 500, 12)
        assert not np.allclose(views.signal[:n], views.signal[n:])
        assert views.roi_record.max() < 2 * n and (views.roi_end <= 500 / 2).all() and (views.roi_start >= -1).all()


def test_unknown_trials_are_refused():
    with pytest.raises(ValueError, match="got 'sum'"), trials.in_place("sum"):
        pass


def test_training_goes_on_from_a_model():
    X = make_ecg(8, fs=100, random_state=0).data
    first = small(max_epochs=1).fit(X)
    again = small(max_epochs=0, random_state=1)
    assert train.begin_with(again, first) == first.history_
    np.testing.assert_array_equal(again.fit(X).transform(X), first.transform(X))


def test_rows_joined_by_a_plus_stand_side_by_side(monkeypatch):
    monkeypatch.setattr(common, "load_model", lambda path: path)
    monkeypatch.setattr(common, "embeddings", lambda model, *given, **named: np.full((2, 3), len(model), np.float32))
    study = common.Study(argparse.Namespace(model=["a=x", "b=xyz"], cache=None, device=None))
    study.__dict__["records"] = None
    np.testing.assert_array_equal(study.embedding("a+b"), [[1, 1, 1, 3, 3, 3]] * 2)
    assert study.n_encoders("a+b") == 1 and study.describe("a+b")["what"] == "both, side by side"
