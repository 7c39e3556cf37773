"""`Sum`: bits of one objective alone, the arithmetic of the loss, names, rules of batches, files, checkpoints."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from heart_rate import HeartRate
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from tiny_objectives import GROUPS, OBJECTIVES, X, losses, make, same_weights

from beatssl_sklearn import (
    BeatSSL,
    DualStream,
    LeadAgnostic,
    NoViews,
    Pretrainer,
    RhythmEmbedder,
    Sum,
    VCGViews,
    load,
    save,
)
from beatssl_sklearn.cli.objective import build_objective
from beatssl_sklearn.pretraining.group_batches import by_group
from beatssl_sklearn.pretraining.objective import RESERVED

CONTRAST = BeatSSL(projection_dim=8)
TOKENS = OBJECTIVES["quantised"]
SEGMENTS = LeadAgnostic(local_weight=0)
ALONE = {
    "beat_ssl": (BeatSSL.shipped(), "beatnet"),
    "lead_agnostic": (TOKENS, "transformer"),
    "dual_stream": (DualStream(projection_dim=8), "dual_stream"),
}


def same_heads(a, b):
    """Whether the heads are equal whose names end alike."""
    pairs = zip(sorted(a.heads_.items()), sorted(b.heads_.items()), strict=True)
    return all(one.endswith(other) and np.array_equal(x, y) for (one, x), (other, y) in pairs)


# What is trained


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("others", [0, 2])
def test_one_objective_is_trained_as_without_a_sum(name, others):
    """To the last bit, also where others have a weight of 0."""
    objective, encoder = ALONE[name]
    weights = [1.0] + [0.0] * others
    summed = Sum([objective, HeartRate(), DualStream()][: 1 + others], weights=weights if others else None)
    one, other = (make(o, encoder, validation_fraction=0.25).fit(X, groups=GROUPS) for o in (summed, objective))
    assert same_weights(one, other) and same_heads(one, other)
    assert np.array_equal(one.transform(X), other.transform(X))
    for row, expected in zip(one.history_, other.history_, strict=True):
        assert all(row[key] == expected[key] for key in ("train_loss", "valid_loss", "lr"))
        assert row[f"{name}.loss"] == expected["train_loss"] and row[f"valid_{name}.loss"] == expected["valid_loss"]
        own = {k: v for k, v in expected.items() if k not in RESERVED and not k.startswith("valid_")}
        assert {k: row[f"{name}.{k}"] for k in own} == own and len(row) == len(expected) + 2


def test_kept_heads_of_one_objective_are_the_same():
    one, other = (make(o, "beatnet").fit(X) for o in (Sum([CONTRAST]), CONTRAST))
    assert same_heads(one, other) and len(one.heads_) > 4
    assert set(one.heads_) == {f"beat_ssl.{name}" for name in other.heads_}


def test_the_loss_is_the_weighted_sum():
    outputs = [torch.tensor([1.5, 2.5], requires_grad=True) for _ in range(2)]
    targets = [torch.zeros(2), torch.zeros(2)]
    found = Sum([HeartRate(), HeartRate(3.0)], weights=[0.5, 2]).loss(outputs, targets)
    # Smooth L1: |x| - .5, here 1 and 2, whose mean has the gradient .5 each.
    assert {k: v.item() for k, v in found.items()} == {"loss": 9.75, "heart_rate.loss": 1.5, "heart_rate_2.loss": 4.5}
    found["loss"].backward()
    assert [o.grad.tolist() for o in outputs] == [[0.25, 0.25], [3.0, 3.0]]


def test_all_objectives_train_the_encoder_with_their_own_targets():
    """Heart rates, twice with weights of their own, and a contrast that knows other things of the records."""
    objectives = [HeartRate(views=NoViews()), SEGMENTS, HeartRate(views=NoViews())]
    fitted = make(Sum(objectives, weights=[1, 0.1, 1]), "beatnet", max_epochs=8, lr=1e-2).fit(X, groups=GROUPS)
    first, last = fitted.history_[0], fitted.history_[-1]
    assert last["heart_rate.loss"] < 0.5 * first["heart_rate.loss"]
    assert last["heart_rate_2.loss"] < 0.5 * first["heart_rate_2.loss"]
    assert first["heart_rate.loss"] != first["heart_rate_2.loss"], "the heads begin with other weights"
    for row in fitted.history_:
        total = row["heart_rate.loss"] + 0.1 * row["lead_agnostic.loss"] + row["heart_rate_2.loss"]
        assert row["train_loss"] == pytest.approx(total, rel=1e-5)


def test_measurements_tell_what_each_objective_measures():
    shipped, contrast = Sum([BeatSSL.shipped(), SEGMENTS]), Sum([CONTRAST, SEGMENTS])
    assert shipped.measurements() == contrast.measurements()
    assert shipped.measurements() != Sum([BeatSSL(beat_feature_weight=0), SEGMENTS]).measurements()

    class Other(HeartRate):
        def measure(self, block, rpeaks, front_end):
            return np.zeros(len(rpeaks), dtype=np.float32)

    assert Sum([HeartRate()]).measurements() != Sum([Other()]).measurements()


# Batches


def batches_of(objective, groups=GROUPS):
    rng = np.random.default_rng(0)
    return [rows.tolist() for rows in objective.batches(np.arange(32), groups, 8, rng)], rng.random()


def test_batches_are_those_of_the_first_rule():
    paired = by_group(np.arange(32), GROUPS, 8, np.random.default_rng(0))
    usual = batches_of(HeartRate())
    assert batches_of(Sum([HeartRate(), SEGMENTS])) == usual
    # LeadAgnostic has a rule for `cross_record` only.
    found = batches_of(Sum([SEGMENTS, HeartRate(), DualStream()]))
    assert found == batches_of(DualStream()) != usual
    assert found[0] == [rows.tolist() for rows in paired]

    class InOrder(HeartRate):
        def batches(self, rows, groups, batch_size, rng):
            return np.array_split(rows, 4)

    assert batches_of(Sum([SEGMENTS, InOrder(), DualStream()])) == batches_of(InOrder())


# What is needed


class NeedsLabels(HeartRate):
    needs = ("y",)

    def prepare(self, measured, fit):
        assert list(fit.arguments) == ["y"]
        return np.asarray(fit.arguments["y"], dtype=np.float32)


class NeedsTexts(HeartRate):
    needs = ("reports", "y")

    def prepare(self, measured, fit):
        assert sorted(fit.arguments) == ["reports", "y"]
        return np.array([len(text) for text in fit.arguments["reports"]], dtype=np.float32)


class NeedsNothing(HeartRate):
    def prepare(self, measured, fit):
        assert not fit.arguments
        return super().prepare(measured, fit)


def test_arguments_of_fit_go_to_those_who_need_them():
    pre = make(Sum([NeedsLabels(), NeedsTexts(), NeedsNothing()]), "beatnet", max_epochs=0)
    assert pre.objective.needs == ("y", "reports")
    with pytest.raises(ValueError, match=r"NeedsTexts of Sum needs reports: fit\(X, reports=...\)"):
        pre.fit(X, np.arange(32))
    pre.fit(X, np.arange(32), reports=["sinus"] * 32)


def test_an_encoder_must_suit_all():
    assert Sum([SEGMENTS, BeatSSL()]).default_encoder == "transformer" and Sum().default_encoder == "beatnet"
    assert Sum([SEGMENTS, BeatSSL()], weights=[0, 1]).default_encoder == "beatnet"
    with pytest.raises(TypeError, match="DualStream compares groups of leads, which the encoder BeatNet does not"):
        make(Sum([BeatSSL(), DualStream()]), "beatnet").fit(X)
    # What one objective advises, another may refuse.
    advised = r"dual_stream \(of the objectives of Sum\).*All of them accept .*'dual_stream'"
    with pytest.raises(TypeError, match=advised):
        make(Sum([BeatSSL(), DualStream()]), "transformer").fit(X)
    for encoder in ("transformer", "dual_stream"):
        with pytest.raises(TypeError, match="local_weight=0.*No encoder|use encoder='dual_stream'.*No encoder"):
            make(Sum([LeadAgnostic(), DualStream()]), encoder).fit(X)


# Parameters


def test_nested_parameters_are_read_set_and_cloned():
    pre = Pretrainer(Sum([BeatSSL(), "lead_agnostic", BeatSSL.shipped()], weights=(1, 2, 3)))
    names = {key.split("__")[1] for key in pre.get_params() if key.startswith("objective__")}
    assert names == {"objectives", "weights", "beat_ssl", "lead_agnostic", "beat_ssl_2"}
    copied = clone(pre).set_params(
        objective__beat_ssl_2__views__angle=3, objective__lead_agnostic__segment=2, objective__weights=[1, 1, 0]
    )
    assert copied.objective.objectives == [
        BeatSSL(), LeadAgnostic(segment=2), BeatSSL.shipped(views=VCGViews(angle=3, lead_subset=0.25))
    ]
    assert copied.get_params()["objective__beat_ssl_2__views__angle"] == 3 and copied.objective.weights == [1, 1, 0]
    assert pre.objective == Sum([BeatSSL(), "lead_agnostic", BeatSSL.shipped()], weights=(1, 2, 3))
    copied.set_params(objective__lead_agnostic=HeartRate(2.0))
    assert copied.objective.objectives[1] == HeartRate(2.0)
    assert Sum().set_params(lead_agnostic__segment=2).objectives == [
        BeatSSL.shipped(), LeadAgnostic(local_weight=0, segment=2)
    ]
    with pytest.raises(ValueError, match="Invalid parameter 'segments' for estimator LeadAgnostic"):
        Sum().set_params(lead_agnostic__segments=2)
    with pytest.raises(ValueError, match="Invalid parameter 'dual_stream' for estimator Sum"):
        Sum().set_params(dual_stream__segment=2)


class Weights(HeartRate):
    pass


def test_names_differ():
    nested = Sum([Sum([Weights()]), Sum(["BeatSSL"]), Weights()])
    assert [k for k, v in nested.get_params().items() if isinstance(v, (Sum, HeartRate, BeatSSL))] == [
        "sum", "sum__weights_2", "sum_2", "sum_2__beat_ssl", "weights_2"
    ]
    fitted = make(nested, "beatnet", max_epochs=1).fit(X)
    assert {k for k in fitted.history_[0] if k.endswith("loss") and "beat" not in k} == {
        "train_loss", "sum.loss", "sum.weights_2.loss", "sum_2.loss", "weights_2.loss"
    }


@pytest.mark.parametrize(
    ("objectives", "weights", "error", "message"),
    [
        ([], None, ValueError, r"objectives must hold at least one objective, got \[\]"),
        ("BeatSSL", None, TypeError, "objectives must be a list of objectives or None, got 'BeatSSL'"),
        ([BeatSSL], None, TypeError, r"objectives\[0\] must be an Objective or the name of .* one, got <class"),
        ([BeatSSL(), "beat"], None, ValueError, r"objectives\[1\]='beat': 'beat' is not registered \(known: .*SSL,"),
        ([BeatSSL(), BeatSSL(temperature=0)], None, ValueError, "beat_ssl_2 .*temperature must be .*, got 0"),
        (None, 1.0, TypeError, "weights must be a list of numbers or None, got 1.0"),
        (None, [[1, 2], [3, 4]], TypeError, "weights must be a list of numbers"),
        (None, [1], ValueError, "weights must have one number per objective: 1 for 2 objectives"),
        (None, [1, -0.5], ValueError, r"weights\[1\] must be a number between 0 and 1e\+06, got -0.5"),
        (None, [float("inf"), 1], ValueError, r"weights\[0\] must be a number between 0 and 1e\+06, got inf"),
        (None, [float("nan"), 1], ValueError, r"weights\[0\] must be a number between 0 and 1e\+06, got nan"),
        (None, [True, 1], TypeError, r"weights\[0\] must be a number, got True"),
        (None, [0, 0.0], ValueError, r"weights are all 0, got \[0, 0.0\]"),
    ],
)
def test_bad_input_is_refused(objectives, weights, error, message):
    pre = make(Sum(objectives, weights), "beatnet")
    assert clone(pre).get_params().keys() == pre.get_params().keys()
    with pytest.raises(error, match=message):
        pre.fit(X)


@pytest.mark.parametrize(
    ("method", "returned", "message"),
    [
        ("draw", {"signal": 3}, r"draw must return \(dict of inputs, targets\), got dict"),
        ("loss", {"my_loss": torch.zeros(())}, "loss must return 'loss', got .'my_loss'."),
    ],
)
def test_what_an_objective_does_wrong_is_named(method, returned, message, monkeypatch):
    monkeypatch.setattr(HeartRate, method, lambda *_: returned)
    with pytest.raises((TypeError, ValueError), match=f"HeartRate.{message}"):
        make(Sum([SEGMENTS, HeartRate()]), "beatnet").fit(X)


def test_searches():
    pipe = make_pipeline(make(Sum(), "beatnet", max_epochs=1), LogisticRegression(max_iter=1000))
    grid = {"weights": [[1, 0.5], [1, 0]], "lead_agnostic__views": [None, NoViews()]}
    grid = {f"pretrainer__objective__{key}": values for key, values in grid.items()}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, np.arange(32) % 2)
    assert len(search.cv_results_["params"]) == 4 and pipe[0].objective == Sum()


def test_the_command_line_sets_lists_and_parameters_of_objectives():
    settings = [("objectives", ["beat_ssl", "lead_agnostic"]), ("lead_agnostic.local_weight", 0), ("weights", [1, 2])]
    assert build_objective("Sum", settings) == Sum([BeatSSL(), SEGMENTS], weights=[1, 2])


# Files, checkpoints, warm starts


def both():
    """A contrast whose projectors are kept, and codebooks that change after each step."""
    return Sum([CONTRAST, TOKENS], weights=[1.0, 0.5])


def test_files(tmp_path):
    fitted = make(both(), "transformer").fit(X, groups=GROUPS)
    save(fitted, tmp_path / "m.bssl")
    again = load(tmp_path / "m.bssl")
    assert again.get_params() == fitted.get_params() and again.objective_ == both()
    assert again.history_ == fitted.history_ and same_heads(again, fitted)
    np.testing.assert_array_equal(RhythmEmbedder(tmp_path / "m.bssl").transform(X), fitted.transform(X))
    by_name = make(Sum(("beat_ssl", "LeadAgnostic"), np.array([1.0, 2.0])), "transformer", max_epochs=0).fit(X)
    save(by_name, tmp_path / "n.bssl")
    assert load(tmp_path / "n.bssl").objective_ == by_name.objective


def test_a_warm_start_goes_on_with_the_kept_heads():
    pre = make(both(), "transformer", max_epochs=0).fit(X, groups=GROUPS)
    heads = dict(pre.heads_)
    again = clone(pre).set_params(random_state=7).fit(X, groups=GROUPS)
    pre.set_params(warm_start=True, random_state=7).fit(X, groups=GROUPS)
    assert len(heads) > 4 and all(np.array_equal(pre.heads_[k], v) for k, v in heads.items())
    assert not same_weights(pre, again) and any((again.heads_[k] != v).any() for k, v in heads.items())
    # The other objective alone goes on with its own heads.
    pre.set_params(objective__weights=[0, 1], max_epochs=1).fit(X, groups=GROUPS)
    assert {key.partition(".")[0] for key in pre.heads_} == {"lead_agnostic"} and np.isfinite(losses(pre)).all()


RUN = """
import sys
from skorch.callbacks import Callback
from tiny_objectives import GROUPS, X, make
from test_sum import both

class Slow(Callback):
    def on_epoch_end(self, net, **kwargs):
        print(len(net.history), flush=True)
        import time; time.sleep(.3)

make(both(), "transformer", max_epochs=4, checkpoint_dir=sys.argv[1], callbacks=[Slow()]).fit(X, groups=GROUPS)
"""


def test_a_killed_run_goes_on_in_the_same_bits(tmp_path):
    paths = [os.path.dirname(__file__), *sys.path]
    # Another number of threads makes other sums.
    threads = str(torch.get_num_threads())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": threads}
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stdout is not None
        seen = [run.stdout.readline() for _ in range(2)]
        run.send_signal(signal.SIGKILL)
    assert seen == ["1\n", "2\n"] and (tmp_path / "training.checkpoint").exists()
    other = make(both().set_params(weights=[1, 1]), "transformer", max_epochs=4, checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match="objective__weights"):
        other.fit(X, groups=GROUPS)
    resumed = make(both(), "transformer", max_epochs=4, checkpoint_dir=tmp_path).fit(X, groups=GROUPS)
    undisturbed = make(both(), "transformer", max_epochs=4).fit(X, groups=GROUPS)
    assert same_weights(resumed, undisturbed) and same_heads(resumed, undisturbed)
    np.testing.assert_array_equal(losses(resumed), losses(undisturbed))
