"""Two processes train what one trains, end together, and go on from each other's checkpoints.

This file is also what the two processes run: ``python test_distributed.py SCENARIO FOLDER``.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from skorch.callbacks import Callback

from beatssl_sklearn import (
    BeatSSL,
    DualStream,
    GumbelQuantizer,
    LeadAgnostic,
    LeadMasking,
    Pretrainer,
    ReportAlignment,
    Sum,
    make_ecg,
)
from beatssl_sklearn.training.distributed import is_asked_for

ECG = make_ecg(16, rhythm="mixed", fs=100, duration=4, records_per_patient=2, random_state=0)
SAYINGS = ("sinus rhythm", "atrial fibrillation", "left bundle branch block", "ischemia of the anterior wall")
REPORTS = [f"{SAYINGS[i % 4]}. {SAYINGS[i // 4]}." for i in range(16)]
BEATNET = {"encoder": "beatnet", "encoder_params": {"widths": (8, 8, 16), "n_dims": 8}}
TRANSFORMER = {"encoder_params": {"n_dims": 16, "n_layers": 1, "n_heads": 2, "stem_width": 8, "feed_forward": 16}}
STREAMS = {"encoder_params": {"widths": (4, 4, 4, 8)}}
QUANTISED = LeadAgnostic(quantizer=GumbelQuantizer(entries=8), target_dim=8, cross_record=True)
OBJECTIVES = {
    "beat_ssl": (BeatSSL(), BEATNET),
    "predictions": (BeatSSL.shipped(), BEATNET),
    "paper": (BeatSSL.paper(beat_targets="soft"), {"encoder": "resnet1d", "encoder_params": {"width": 2}}),
    "lead_agnostic": (LeadAgnostic(), TRANSFORMER),
    "quantised": (QUANTISED, TRANSFORMER),
    "segments": (LeadAgnostic(local_weight=0), BEATNET),
    "dual_stream": (DualStream(group_dropout=0.3, cross_weight=0.5, views=LeadMasking()), STREAMS),
    "reports": (ReportAlignment(), BEATNET),
    "hidden_words": (ReportAlignment(token_loss="mlm", beat_source="queries"), BEATNET),
    "sum": (Sum([BeatSSL(), ReportAlignment(), LeadAgnostic(local_weight=0)], [1, 0.5, 0.2]), BEATNET),
}


class Fails(Callback):
    """Raises an error in one process after some epochs."""

    def __init__(self, rank, epoch=1):
        self.rank, self.epoch = rank, epoch

    def on_epoch_end(self, net, **kwargs):
        if net.ranks is not None and net.ranks.rank == self.rank and len(net.history) == self.epoch:
            raise ValueError("the disk of this process is full")


def fitted(name, **params):
    objective, encoder = OBJECTIVES[name]
    fixed = {"fs": 100, "batch_size": 8, "random_state": 0, "device": "cpu", "check": "ignore", "max_epochs": 2}
    pretrainer = Pretrainer(clone(objective), **{**fixed, **encoder, **params})
    return pretrainer.fit(ECG.data, groups=ECG.patient_id, reports=REPORTS)


def state_of(fitted):
    return {**fitted.encoder_.weights, **fitted.heads_}


def difference(found, wanted):
    """Return the distance between the weights of two states, relative to their length; without batch statistics."""
    assert set(found) == set(wanted)
    names = [name for name in wanted if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    wanted = {name: wanted[name].astype(float) for name in names}
    off = sum(((found[name] - array) ** 2).sum() for name, array in wanted.items())
    return float(np.sqrt(off / sum((array**2).sum() for array in wanted.values())))


def run_in_two(scenario, folder):
    """Run a scenario of this file in two processes, and return what they wrote on standard error."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    common |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, __file__, scenario, str(folder)]
    both = [
        subprocess.Popen(command, env={**common, "RANK": str(k)}, stderr=subprocess.PIPE, text=True) for k in range(2)
    ]
    said = [process.communicate(timeout=600)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n".join(said)


def together(folder, name, **params):
    """Fit, in one of two processes, and write what came of it."""
    rank = os.environ["RANK"]
    found = fitted(name, distributed="auto", **params)
    np.savez(folder / f"{name}.{rank}.npz", **state_of(found))
    (folder / f"{name}.{rank}.json").write_text(json.dumps(found.history_))


def scenario_first(folder):
    together(folder, "beat_ssl", validation_fraction=0.25)
    try:
        fitted("predictions", distributed="auto", callbacks=[Fails(rank=1)])
    except (RuntimeError, ValueError) as error:
        (folder / f"failure.{os.environ['RANK']}").write_text(f"{type(error).__name__}: {error}")
    # The processes are still there.
    together(folder, "quantised", max_epochs=1)


def scenario_all(folder):
    for name in OBJECTIVES:
        together(folder, name, max_epochs=10)


def scenario_checkpoints(folder):
    together(folder, "beat_ssl", max_epochs=4, checkpoint_dir=folder / "of_one")
    params = {"max_epochs": 4, "checkpoint_dir": folder / "of_two", "callbacks": [Fails(0, 2)]}
    try:
        fitted("predictions", distributed="auto", **params)
    except (RuntimeError, ValueError):
        return
    raise AssertionError("nothing has failed")


def read(folder, name, rank):
    with np.load(folder / f"{name}.{rank}.npz") as found:
        return dict(found), json.loads((folder / f"{name}.{rank}.json").read_text())


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    run_in_two("first", folder)
    return folder


FIRST = [("beat_ssl", {"validation_fraction": 0.25}), ("quantised", {"max_epochs": 1})]


@pytest.mark.parametrize(("name", "params"), FIRST)
def test_two_processes_train_what_one_trains(first, name, params):
    alone = fitted(name, **params)
    for rank in range(2):
        state, history = read(first, name, rank)
        assert difference(state, state_of(alone)) < 1e-5
        for row, wanted in zip(history, alone.history_, strict=True):
            assert set(row) == set(wanted)
            losses = [key for key in row if key.endswith("loss")]
            assert [row[key] for key in losses] == pytest.approx([wanted[key] for key in losses], rel=1e-4)
    # What is written by one process is what the others have.
    ours, theirs = (read(first, name, rank)[0] for rank in range(2))
    assert all(np.array_equal(ours[key], theirs[key]) for key in ours)


def test_one_failure_ends_both_with_its_message(first):
    assert (first / "failure.1").read_text() == "ValueError: the disk of this process is full"
    text = (first / "failure.0").read_text()
    assert text == "RuntimeError: process 1 of 2 has failed: ValueError: the disk of this process is full"


@pytest.mark.slow
def test_all_objectives_after_twenty_steps(tmp_path):
    run_in_two("all", tmp_path)
    for name in OBJECTIVES:
        alone = state_of(fitted(name, max_epochs=10))
        assert difference(read(tmp_path, name, 0)[0], alone) < 1e-4, name


@pytest.mark.slow
def test_checkpoints_go_on_in_another_number_of_processes(tmp_path):
    class Interrupted(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise InterruptedError

    with pytest.raises(InterruptedError):
        fitted("beat_ssl", max_epochs=4, checkpoint_dir=tmp_path / "of_one", callbacks=[Interrupted()])
    run_in_two("checkpoints", tmp_path)
    state, history = read(tmp_path, "beat_ssl", 1)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert difference(state, state_of(fitted("beat_ssl", max_epochs=4))) < 1e-4
    went_on = fitted("predictions", max_epochs=4, checkpoint_dir=tmp_path / "of_two")
    assert difference(state_of(went_on), state_of(fitted("predictions", max_epochs=4))) < 1e-4


def test_what_is_asked_for(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        assert not is_asked_for("auto")
        monkeypatch.setenv(name, "1")
    assert is_asked_for("auto") and not is_asked_for(None)
    with pytest.raises(ValueError, match="distributed must be 'auto' or None, got 'yes'"):
        fitted("beat_ssl", distributed="yes")


if __name__ == "__main__":
    globals()[f"scenario_{sys.argv[1]}"](Path(sys.argv[2]))
