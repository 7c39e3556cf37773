"""The study's pure functions: tables, commands, grids, labels, intervals, decisions."""

import argparse
import csv

import numpy as np
import pytest
from skorch.callbacks import Callback

from beatssl_sklearn import BeatSSL, BeatSSLPretrainer, NoViews, load, make_ecg, save
from beatssl_sklearn.ecg.features.table import make_feature_table as make_table
from benchmarks.study import (
    ablation,
    agreement,
    beats,
    common,
    configs,
    data,
    elsewhere,
    finetune,
    fractions,
    leads,
    results,
    scoring,
    train,
    trials,
)
from benchmarks.study.models import digest_of, remembered


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
    rows = {**configs.UNTRAINED, **configs.PRETRAINED}
    for table in ablation.GRIDS:
        rows |= ablation.grid(table)
    for name, row in rows.items():
        given = {"objective": row.objective, "changes": row.changes, "max_epochs": 2}
        made = configs.make_pretrainer(name, 3, encoder={"size": "s"}, **given)
        made.objective.check()
        made.untrained_encoder(0)
        assert made.random_state == 3 and made.max_epochs == (0 if name in configs.UNTRAINED else 2)
        assert made.objective == row.objective and made.objective is not row.objective
    with pytest.raises(ValueError, match="--table"):
        ablation.grid("unknown")


def test_rows_are_not_changed_by_changes_of_their_pretrainer():
    made = configs.make_pretrainer("ours", 0, encoder={}, changes={"objective__views__angle": 30, "lr": 3e-3})
    assert (made.objective.views.angle, made.objective.views.lead_subset, made.lr) == (30, 0.25, 3e-3)
    assert configs.PRETRAINED["ours"].objective == BeatSSL.shipped()


def test_the_publication_s_table_has_fourteen_different_rows():
    rows = [configs.paper_objective(row) for row in configs.PAPER_TABLE]
    assert len(rows) == 14 and all(a != b for i, a in enumerate(rows) for b in rows[:i])
    best = max(configs.PAPER_TABLE, key=lambda row: row.auroc)
    assert configs.paper_objective(best) == configs.PRETRAINED["paper"].objective


def test_one_change_rows_differ_from_what_ships():
    rows = configs.one_change_rows()
    ours = rows.pop("ours")
    assert ours == configs.PRETRAINED["ours"]
    assert len(rows) > 15
    assert all(row != ours for row in rows.values())
    tiny = {"size": "s", "widths": [8, 8, 8]}
    assert configs.make_pretrainer("ours", 0, encoder=tiny).encoder_params == tiny
    larger = configs.make_pretrainer("size m", 0, encoder=tiny, changes=configs.SIZES["size m"].changes)
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
    monkeypatch.setattr(scoring, "N_BOOTSTRAP_GAIN", 100)
    rng, target, Z, patient = labelled()
    better = scoring.Fit(Z, Z > 0, {})
    worse = scoring.Fit((Z + 3 * rng.normal(size=Z.shape)).astype(np.float32), Z > 0, {})
    same = scoring.gain(target, patient, [better], [better])
    assert same == {"gain": 0, "gain_low": 0, "gain_high": 0}
    found = scoring.gain(target, patient, [better, better], [worse, worse])
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
    assert train.parse_change("objective__views__scale=[0.9, 1.1]") == ("objective__views__scale", [0.9, 1.1])
    assert train.parse_change("objective__similarity=cosine") == ("objective__similarity", "cosine")
    with pytest.raises(ValueError, match="PARAMETER=VALUE"):
        train.parse_change("lr")


def test_lead_sets_are_those_of_a_smaller_machine():
    assert list(leads.LEAD_SETS) == ["12", "six limb leads", "I, II, V2", "I, II", "II", "V2"]


def small(objective, **parameters):
    given = {"fs": 100, "encoder_params": {"size": "s", "widths": [8, 8, 8]}, "max_epochs": 2, "batch_size": 4}
    return BeatSSLPretrainer(objective, **{**given, "random_state": 0, "device": "cpu", **parameters})


@pytest.fixture(scope="module")
def X():
    return make_ecg(8, rhythm="mixed", fs=100, random_state=0).data


def assert_same_weights(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_rows_of_an_ablation_measure_their_records_once(X, tmp_path, monkeypatch):
    contrast = configs.PRETRAINED["contrast"].objective
    objectives = [BeatSSL.shipped(), contrast, trials.AveragedBeatSSL.shipped(temperature=0.2)]
    alone = [small(o, max_epochs=1).fit(X).encoder_.weights for o in objectives]
    # A container that code fills is its state; a counter would make each call that of another function.
    calls, original = [], BeatSSL.measure
    monkeypatch.setattr(BeatSSL, "measure", lambda *given: (calls.append(1), original(*given))[1])
    cached = [small(o, max_epochs=1, memory=str(tmp_path)).fit(X).encoder_.weights for o in objectives]
    assert len(calls) == 1
    for a, b in zip(alone, cached, strict=True):
        assert_same_weights(a, b)


@pytest.mark.parametrize(("momentum", "epochs"), [(0.0, 2), (1.0, 0)])
def test_averaged_weights_lie_between_the_first_and_the_last(momentum, epochs, X, monkeypatch):
    """Without momentum the average is the network itself, with nothing else it stays what it was at first."""
    monkeypatch.setattr(trials.AveragedBeatSSL, "momentum", momentum)
    found = small(trials.AveragedBeatSSL()).fit(X)
    expected = small(BeatSSL(), max_epochs=epochs).fit(X)
    for kept, wanted in ((found.encoder_.weights, expected.encoder_.weights), (found.heads_, expected.heads_)):
        assert kept.keys() == wanted.keys()
        for name in (n for n in wanted if not n.endswith("num_batches_tracked")):
            np.testing.assert_allclose(kept[name], wanted[name], atol=1e-6, err_msg=name)


def test_an_average_begins_with_the_weights_of_a_warm_start(X, monkeypatch):
    monkeypatch.setattr(trials.AveragedBeatSSL, "momentum", 1.0)
    again = small(trials.AveragedBeatSSL(), warm_start=True)
    first = small(BeatSSL(), random_state=1).fit(X)
    again.encoder_, again.heads_ = first.encoder_, first.heads_
    again.fit(X)
    name = "stem.conv.weight"
    np.testing.assert_array_equal(again.encoder_.weights[name], first.encoder_.weights[name])


class Killed(Callback):
    """Ends a fit when its second epoch begins."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            raise RuntimeError("killed")


@pytest.mark.parametrize("kind", [trials.AveragedBeatSSL, trials.TeacherBeatSSL])
def test_an_average_goes_on_from_a_checkpoint(kind, X, tmp_path):
    undisturbed = small(kind()).fit(X)
    with pytest.raises(RuntimeError, match="killed"):
        small(kind(), checkpoint_dir=tmp_path, callbacks=[Killed()]).fit(X)
    resumed = small(kind(), checkpoint_dir=tmp_path).fit(X)
    assert_same_weights(resumed.encoder_.weights, undisturbed.encoder_.weights)


def test_a_teacher_is_not_trained_but_follows(X, monkeypatch):
    monkeypatch.setattr(trials.AveragedBeatSSL, "momentum", 1.0)
    still = small(trials.TeacherBeatSSL()).fit(X)
    monkeypatch.setattr(trials.AveragedBeatSSL, "momentum", 0.9)
    moved = small(trials.TeacherBeatSSL()).fit(X)
    start = small(BeatSSL(), max_epochs=0).fit(X)
    name = "stem.conv.weight"
    np.testing.assert_array_equal(still.encoder_.weights[name], start.encoder_.weights[name])
    assert not np.array_equal(moved.encoder_.weights[name], start.encoder_.weights[name])
    assert np.isfinite(moved.history_[-1]["rhythm_loss"]) and np.isfinite(moved.history_[-1]["beat_loss"])


def test_a_teacher_predicts_nothing_and_has_no_gradient(X):
    seen = []

    class Watched(trials.TeacherBeatSSL):
        def loss(self, outputs, targets):
            n, n_beats = len(targets.features), len(targets.beat_features)
            assert (len(outputs.rhythm), len(outputs.features)) == (2 * n, n)
            assert (len(outputs.beats), len(outputs.beat_features)) == (2 * n_beats, n_beats)
            return super().loss(outputs, targets)

        def after_step(self, module, progress):
            assert all(p.grad is None for p in module.heads.average.parameters())
            assert all(p.grad is not None for p in module.encoder.parameters())
            seen.append(progress)
            super().after_step(module, progress)

    small(Watched(), max_epochs=1).fit(X)
    assert seen == [0.5, 1.0]


def test_windows_of_a_record_differ_between_views(X):
    seen = []

    class Seen(trials.WindowsBeatSSL):
        def draw(self, batch):
            inputs, targets = super().draw(batch)
            seen.append((len(batch.rows), inputs, targets))
            return inputs, targets

    given = {"feature_weight": 0.0, "beat_feature_weight": 0.0, "views": NoViews()}
    small(Seen("soft", "none", **given), max_epochs=1).fit(X)
    assert seen
    for n, inputs, targets in seen:
        signal, record = inputs["signal"], inputs["roi_record"]
        assert signal.shape == (2 * n, 500, 12) and len(targets.beat_record) == 0 and len(targets.features) == n
        assert not np.allclose(signal[:n], signal[n:])
        assert record.min() < n <= record.max() < 2 * n
        assert (inputs["roi_end"] <= 500 / 2).all() and (inputs["roi_start"] >= -1).all()


def test_trials_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="a teacher needs a contrast, got rhythm_targets='none'"):
        trials.TeacherBeatSSL.shipped().check()
    for objective in (trials.WindowsBeatSSL(beat_targets="none"), trials.WindowsBeatSSL(beat_feature_weight=0.0)):
        with pytest.raises(ValueError, match="windows have no heads for beats"):
            objective.check()


def test_trials_can_be_saved(X, tmp_path):
    fitted = small(trials.AveragedBeatSSL.shipped(), max_epochs=1).fit(X)
    save(fitted, tmp_path / "m.bssl")
    restored = load(tmp_path / "m.bssl")
    assert restored.objective == fitted.objective and digest_of(restored) == digest_of(fitted)
    assert digest_of(restored) != digest_of(small(BeatSSL.shipped(), max_epochs=1).fit(X))


def test_training_goes_on_from_a_model(X):
    first = small(BeatSSL.shipped(), max_epochs=1).fit(X)
    again = small(BeatSSL.shipped(), max_epochs=0, random_state=1)
    assert train.begin_with(again, first) == first.history_
    np.testing.assert_array_equal(again.fit(X).transform(X), first.transform(X))


def test_rows_joined_by_a_plus_stand_side_by_side(monkeypatch):
    monkeypatch.setattr(common, "load_model", lambda path: path)
    monkeypatch.setattr(common, "embeddings", lambda model, *given, **named: np.full((2, 3), len(model), np.float32))
    study = common.Study(argparse.Namespace(model=["a=x", "b=xyz"], vectors=[], cache=None, device=None))
    study.__dict__["records"] = None
    np.testing.assert_array_equal(study.embedding("a+b"), [[1, 1, 1, 3, 3, 3]] * 2)
    assert study.n_encoders("a+b") == 1 and study.describe("a+b")["what"] == "both, side by side"


def test_given_numbers_are_predicted_beside_the_features(X):
    numbers = np.random.default_rng(0).normal(size=(len(X), 3)).astype(np.float32)
    fitted = small(trials.TaughtBeatSSL.shipped()).fit(X, y=numbers)
    assert [row["taught_loss"] > 0 for row in fitted.history_] == [True] * len(fitted.history_)
    plain, other = small(BeatSSL.shipped()).fit(X), small(trials.TaughtBeatSSL.shipped()).fit(X, y=-numbers)
    name = "stem.conv.weight"
    weights = [model.encoder_.weights[name] for model in (fitted, plain, other)]
    assert not np.array_equal(weights[0], weights[1]) and not np.array_equal(weights[0], weights[2])
    with pytest.raises(ValueError, match="y"):
        small(trials.TaughtBeatSSL.shipped()).fit(X)


def test_two_classes_leave_out_what_is_unknown():
    task = data.two_classes(("no", "yes"), np.array([True, False, True]), np.array([True, True, False]))
    assert task.target.tolist() == [[0, 1], [1, 0], [0, 0]] and task.labelled.tolist() == [True, True, False]


def test_each_network_has_its_untrained_row():
    found = [fractions.untrained(row) for row in ("ours", "lead-agnostic", "lead-agnostic-beatnet", "dual-stream")]
    assert found == ["random", "random-transformer", "random", "random-dual-stream"]


def test_a_record_agrees_with_itself_and_not_with_strangers():
    whole = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    few = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    found = agreement.agreement(whole, few, np.array([0, 1, 0]))
    half = np.sqrt(0.5)
    np.testing.assert_allclose(found["own"], [1, half, 0])
    # Records 0 and 2 are of one patient.
    np.testing.assert_allclose(found["others"], [half, 0.5, half])
    np.testing.assert_allclose(found["gap"], found["own"] - found["others"])
    assert found["first"].tolist() == [1, 0, 0]


def test_neighbours_of_a_record_are_ranked_without_its_patient():
    # Seen from the first record: the second (other statements), then the third (a shared one). The fourth is nearest,
    # and the patient's own.
    Z = np.array([[1.0, 0.0], [0.9, 0.3], [0.0, 1.0], [1.0, 0.01]], np.float32)
    statements = np.array([[1, 0], [0, 1], [1, 1], [1, 0]], np.int8)
    found = elsewhere.neighbour_precision(Z, statements, np.array([0, 1, 2, 0]))
    assert found[0] == pytest.approx(1 / 2)
    # The second record shares with the third alone, which is the last of its three neighbours.
    assert found[1] == pytest.approx(1 / 3)
    lonely = elsewhere.neighbour_precision(Z[:2], statements[:2], np.array([0, 1]))
    assert np.isnan(lonely).all()
