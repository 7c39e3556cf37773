"""What holds for `LeadAgnostic` and `DualStream` as for `BeatSSL`: bits, files, searches, checkpoints, bad input."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from tiny_objectives import GROUPS, OBJECTIVES, X, losses, make, same_weights

from beatssl_sklearn import GumbelQuantizer, LeadMasking, NoViews, RhythmEmbedder, load, save


@pytest.mark.parametrize("name", OBJECTIVES)
def test_two_runs_are_equal_and_all_losses_are_finite(name):
    encoder = "beatnet" if name == "segments" else None
    one, two = (make(name, encoder).fit(X, groups=GROUPS) for _ in range(2))
    assert same_weights(one, two) and np.array_equal(one.transform(X), two.transform(X))
    assert np.isfinite(losses(one)).all() and np.isfinite(one.transform(X)).all()
    assert not same_weights(one, make(name, encoder, max_epochs=0).fit(X, groups=GROUPS))


@pytest.mark.parametrize("name", ["quantised", "patients"])
def test_files(name, tmp_path):
    fitted = make(name).fit(X, groups=GROUPS)
    save(fitted, tmp_path / "m.bssl")
    again = load(tmp_path / "m.bssl")
    assert again.get_params() == fitted.get_params() and again.objective_ == OBJECTIVES[name]
    np.testing.assert_array_equal(RhythmEmbedder(tmp_path / "m.bssl").transform(X), fitted.transform(X))


def test_nested_parameters():
    pre = make("quantised").set_params(objective__quantizer__entries=4, objective__views=LeadMasking(p=0.2))
    copied = clone(pre).set_params(objective__views__p=0.3)
    assert pre.get_params()["objective__views__p"] == 0.2 and copied.objective.views == LeadMasking(p=0.3)
    assert copied.objective.quantizer == GumbelQuantizer(entries=4) != OBJECTIVES["quantised"].quantizer


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("lead_agnostic", {"mask_share": [0.3, 0.6], "views": [None, NoViews()]}),
        ("patients", {"lead_weight": [0.0, 0.5], "positive": ["record", "patient"]}),
    ],
)
def test_searches(name, grid):
    pipe = make_pipeline(make(name, max_epochs=1), LogisticRegression(max_iter=1000))
    grid = {f"pretrainer__objective__{key}": values for key, values in grid.items()}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, np.arange(32) % 2)
    assert len(search.cv_results_["params"]) == 4


@pytest.mark.parametrize("name", ["quantised", "patients"])
def test_a_warm_start_goes_on_with_the_weights(name):
    pre = make(name, max_epochs=0).fit(X, groups=GROUPS)
    before = pre.encoder_
    pre.set_params(warm_start=True, random_state=7).fit(X, groups=GROUPS)
    assert all(np.array_equal(before.weights[k], v) for k, v in pre.encoder_.weights.items())
    fresh = make(name, max_epochs=0, random_state=7).fit(X, groups=GROUPS)
    assert not same_weights(pre, fresh)


RUN = """
import sys
from skorch.callbacks import Callback
from tiny_objectives import GROUPS, X, make

class Slow(Callback):
    def on_epoch_end(self, net, **kwargs):
        print(len(net.history), flush=True)
        import time; time.sleep(.3)

make(sys.argv[1], max_epochs=4, checkpoint_dir=sys.argv[2], callbacks=[Slow()]).fit(X, groups=GROUPS)
"""


@pytest.mark.parametrize("name", ["quantised", "patients"])
def test_a_killed_run_goes_on_in_the_same_bits(name, tmp_path):
    # Another number of threads makes other sums.
    threads = str(torch.get_num_threads())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": threads}
    command = [sys.executable, "-c", RUN, name, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stdout is not None
        seen = [run.stdout.readline() for _ in range(2)]
        run.send_signal(signal.SIGKILL)
    assert seen == ["1\n", "2\n"] and (tmp_path / "training.checkpoint").exists()
    resumed = make(name, max_epochs=4, checkpoint_dir=tmp_path).fit(X, groups=GROUPS)
    undisturbed = make(name, max_epochs=4).fit(X, groups=GROUPS)
    assert same_weights(resumed, undisturbed)
    np.testing.assert_array_equal(losses(resumed), losses(undisturbed))


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.7])
def test_very_short_records(name, seconds):
    short = X[:8, :, : int(100 * seconds)]
    fitted = make(name, check="ignore").fit(short, groups=GROUPS[:8])
    assert np.isfinite(losses(fitted)).all() and np.isfinite(fitted.transform(short)).all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_one_record_only(name):
    with pytest.raises(ValueError, match="at least 2 records"):
        make(name).fit(X[:1], groups=GROUPS[:1])


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("lead_agnostic", "LeadAgnostic.*one patient only.*global_weight=0"),
        ("segments", "LeadAgnostic.*one patient only.*leave groups out"),
        ("patients", "DualStream.*one patient only.*positive='record'"),
    ],
)
def test_one_patient_only(name, remedy):
    with pytest.raises(ValueError, match=remedy):
        make(name).fit(X, groups=np.zeros(32))
    without = make(name).fit(X[:8])
    assert (losses(without) > 0).any(axis=1).all()


@pytest.mark.parametrize("name", ["quantised", "patients"])
def test_a_batch_has_room_for_pairs_of_two_patients(name):
    with pytest.raises(ValueError, match="pairs of records of a patient.*batch_size must be at least 4, got 3"):
        make(name, batch_size=3).fit(X, groups=GROUPS)
    for fitted in (make(name, batch_size=4).fit(X, groups=GROUPS), make(name, batch_size=2).fit(X)):
        assert np.isfinite(losses(fitted)).all()
        # Each batch had somebody to tell apart.
        assert min(row["global_loss" if name == "quantised" else "fused_loss"] for row in fitted.history_) > 0.01
