"""A new objective is one file: fitted, saved, searched, run from the shell, and resumed after kill -9."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import heart_rate
import numpy as np
import pytest
import torch
from heart_rate import HeartRate
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from beatssl_sklearn import BeatSSL, Pretrainer, RhythmEmbedder, VCGViews, load, make_ecg, save

ECG = make_ecg(12, rhythm="mixed", fs=100, duration=4, random_state=0)
X, Y = ECG.data, np.arange(12) % 2
FILE = Path(heart_rate.__file__)


def make(objective=None, **params):
    tiny = {"encoder_params": {"widths": (8, 16, 24), "n_dims": 12}, "max_epochs": 2, "batch_size": 6}
    objective = HeartRate() if objective is None else objective
    return Pretrainer(objective, **{"fs": 100, "random_state": 0, "device": "cpu", **tiny, **params})


def test_it_has_at_most_forty_lines_of_code():
    lines = FILE.read_text(encoding="utf-8").splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 40


def test_it_learns_heart_rates():
    history = make(max_epochs=15, lr=1e-2).fit(X).history_
    assert set(history[0]) == {"epoch", "train_loss", "lr", "records_per_second", "seconds"}
    assert history[-1]["train_loss"] < 0.3 * history[0]["train_loss"]


def test_it_is_saved_loaded_and_embeds(tmp_path):
    fitted = make(HeartRate(2.0, views=VCGViews(angle=3))).fit(X)
    save(fitted, tmp_path / "m.bssl")
    again = load(tmp_path / "m.bssl")
    assert again.get_params() == fitted.get_params() and again.objective_ == HeartRate(2.0, views=VCGViews(angle=3))
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
    np.testing.assert_array_equal(RhythmEmbedder(tmp_path / "m.bssl").transform(X), fitted.transform(X))


@pytest.mark.parametrize("name", ["HeartRate", "heart_rate"])
def test_it_is_found_by_its_name(name):
    by_name = make(name).fit(X)
    np.testing.assert_array_equal(by_name.transform(X), make().fit(X).transform(X))


def test_its_parameters_are_searched():
    pipe = make_pipeline(make(max_epochs=1), LogisticRegression(max_iter=1000))
    grid = {"pretrainer__objective__weight": [0.5, 1.0], "pretrainer__objective__views": [None, VCGViews(angle=1)]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, Y)
    assert len(search.cv_results_["params"]) == 4


def test_objectives_are_searched_over():
    pipe = make_pipeline(make(max_epochs=1), LogisticRegression(max_iter=1000))
    objectives = [HeartRate(), BeatSSL(projection_dim=8), BeatSSL.paper(projection_dim=8), BeatSSL.shipped()]
    search = GridSearchCV(pipe, {"pretrainer__objective": objectives}, cv=2, error_score="raise").fit(X, Y)
    assert [type(p["pretrainer__objective"]) for p in search.cv_results_["params"]] == [type(o) for o in objectives]
    assert all(a == b for a, b in zip(search.cv_results_["param_pretrainer__objective"], objectives, strict=True))


def test_nested_parameters_are_set_and_cloned():
    pre = make(BeatSSL()).set_params(objective__temperature=0.3, objective__views__angle=4)
    assert pre.get_params()["objective__views__angle"] == 4 and pre.objective.temperature == 0.3
    copied = clone(pre).set_params(objective__temperature=0.5)
    assert pre.objective.temperature == 0.3 and copied.objective.views == VCGViews(angle=4)
    assert Pretrainer().set_params(objective__temperature=0.2).objective == BeatSSL(temperature=0.2)
    assert Pretrainer("heart_rate").set_params(objective__weight=3).objective == HeartRate(3)


RUN = """
import sys
from test_own_objective import make, X
from skorch.callbacks import Callback

class Slow(Callback):
    def on_epoch_end(self, net, **kwargs):
        print(len(net.history), flush=True)
        import time; time.sleep(.3)

make(max_epochs=4, checkpoint_dir=sys.argv[1], callbacks=[Slow()]).fit(X)
"""


def test_it_goes_on_after_kill_9(tmp_path):
    paths = os.pathsep.join([str(Path(__file__).parent), str(FILE.parent)])
    environment = {**os.environ, "PYTHONPATH": paths + os.pathsep + os.environ.get("PYTHONPATH", "")}
    environment["OMP_NUM_THREADS"] = str(torch.get_num_threads())  # other sums with another number
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stdout is not None
        for _ in range(2):
            run.stdout.readline()
        time.sleep(0.1)
        run.send_signal(signal.SIGKILL)
    assert (tmp_path / "training.checkpoint").exists()
    resumed = make(max_epochs=4, checkpoint_dir=tmp_path).fit(X)
    undisturbed = make(max_epochs=4).fit(X)
    for name, array in undisturbed.encoder_.weights.items():
        np.testing.assert_array_equal(resumed.encoder_.weights[name], array)
    assert [row["train_loss"] for row in resumed.history_] == [row["train_loss"] for row in undisturbed.history_]


def test_what_it_needs_is_asked_for():
    class NeedsLabels(HeartRate):
        needs = ("y",)

        def prepare(self, measured, fit):
            return np.asarray(fit.arguments["y"], dtype=np.float32)

    with pytest.raises(ValueError, match=r"NeedsLabels needs y: fit\(X, y=...\)"):
        make(NeedsLabels()).fit(X)
    with_labels = make(NeedsLabels()).fit(X, Y)
    assert not np.array_equal(with_labels.transform(X), make(NeedsLabels()).fit(X, 1 - Y).transform(X))


def test_an_encoder_without_a_capability_is_refused_by_name():
    class Masks(HeartRate):
        def check_encoder(self, encoder):
            if not hasattr(encoder, "contextualize"):
                raise TypeError(f"Masks masks tokens, which the encoder {type(encoder).__name__} cannot")

    with pytest.raises(TypeError, match="Masks masks tokens, which the encoder BeatNet cannot"):
        make(Masks()).fit(X)


@pytest.mark.parametrize(
    ("method", "returned", "message"),
    [
        ("draw", lambda *_: {"signal": 3}, r"draw must return \(dict of inputs, targets\), got a dict"),
        ("draw", lambda *_: (3, 4), r"draw must return \(dict of inputs, targets\), got a tuple of int, int"),
        ("loss", lambda *_: torch.zeros(()), "loss must return a dict of tensors, got Tensor"),
        ("loss", lambda *_: {"my_loss": torch.zeros(())}, "loss must return 'loss', got .'my_loss'."),
    ],
)
def test_what_an_objective_does_wrong_is_named(method, returned, message, monkeypatch):
    monkeypatch.setattr(HeartRate, method, returned)
    with pytest.raises((TypeError, ValueError), match=f"HeartRate.{message}"):
        make().fit(X)


def test_a_class_that_is_not_registered_is_not_saved(tmp_path):
    class Unregistered(HeartRate):
        pass

    fitted = make(Unregistered()).fit(X)
    with pytest.raises(TypeError, match="objective=Unregistered.*registered.*joblib"):
        save(fitted, tmp_path / "m.bssl")
    assert not list(tmp_path.iterdir())


class Missing(HeartRate):
    keeps = ("out", "projector")


def test_a_head_to_keep_that_is_missing_is_named():
    with pytest.raises(TypeError, match="Missing.keeps names '(out|projector)', which is no module of its heads"):
        make(Missing(), max_epochs=0).fit(X)


@pytest.mark.parametrize(
    ("batches", "error", "message"),
    [
        (lambda rows, held: [held[:2], rows[1:]], ValueError, "not among the rows that it was given"),
        (lambda rows, held: [np.array([12]), rows[1:]], ValueError, "returned record 12"),
        (lambda rows, held: [np.array([-1]), rows[1:]], ValueError, "returned record -1"),
        (lambda rows, held: [rows[:0], rows], TypeError, "must return arrays .n,. of row numbers, got int64 .0,."),
        (lambda rows, held: [rows > 3, rows], TypeError, "must return arrays .n,. of row numbers, got bool"),
        (lambda rows, held: [rows[:2].tolist(), rows], TypeError, "must return arrays .n,. of row numbers, got list"),
    ],
)
def test_batches_hold_what_may_be_trained_on(batches, error, message, monkeypatch):
    def own(self, rows, groups, batch_size, rng):
        return batches(rows, np.setdiff1d(np.arange(12), rows))

    monkeypatch.setattr(HeartRate, "batches", own)
    with pytest.raises(error, match=f"HeartRate.batches .*{message}|HeartRate.batches {message}"):
        make(validation_fraction=0.25, batch_size=6).fit(X)
