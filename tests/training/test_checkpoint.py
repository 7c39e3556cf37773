"""Checkpoints: written after every epoch, read back to the same bits, refused where they belong to another run."""

import copy

import numpy as np
import pytest
import torch
from forged_files import forged
from skorch.callbacks import Callback, EarlyStopping, LRScheduler

from beatssl_sklearn.files.tensor_file import read_tensor_file, write_tensor_file
from beatssl_sklearn.training.checkpoint import FILE_NAME, Checkpoint, resume
from beatssl_sklearn.training.net import make_net, optimizer_settings, run_epochs

FINGERPRINT = {"data": "abc", "lr": "1"}


class Batches:
    epoch = 0

    def __len__(self):
        return 1

    def __iter__(self):
        x = torch.randn((4, 2), generator=torch.Generator().manual_seed(self.epoch))
        yield {"signal": x}, x.sum(dim=1)


class Sum(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.utils.skip_init(torch.nn.Linear, 2, 1)
        torch.nn.init.zeros_(self.linear.weight)
        torch.nn.init.zeros_(self.linear.bias)

    def forward(self, signal):
        return self.linear(signal)[:, 0]


def net(folder=None, n=4, callbacks=()):
    return make_net(
        Sum(),
        torch.nn.MSELoss(),
        max_epochs=n,
        device=torch.device("cpu"),
        precision="fp32",
        held_out=None,
        callbacks=[*callbacks, *([] if folder is None else [Checkpoint(str(folder), FINGERPRINT, n)])],
        **optimizer_settings(0.1, 0.0),
    )


def test_a_training_goes_on_bit_for_bit(tmp_path):
    whole = net()
    run_epochs(whole, Batches(), 4)
    run_epochs(net(tmp_path), Batches(), 2)
    again = net(tmp_path)
    assert resume(again, tmp_path, FINGERPRINT, 4) == 2
    run_epochs(again, Batches(), 2)
    assert torch.equal(again.module_.linear.weight, whole.module_.linear.weight)
    assert [row["train_loss"] for row in again.history] == [row["train_loss"] for row in whole.history]


def test_nothing_to_go_on_from(tmp_path):
    assert resume(net(), tmp_path / "new", FINGERPRINT, 4) == 0 and (tmp_path / "new").is_dir()


def test_another_run_is_refused(tmp_path):
    run_epochs(net(tmp_path), Batches(), 1)
    with pytest.raises(ValueError, match="belongs to another run: data differ"):
        resume(net(), tmp_path, FINGERPRINT | {"data": "abd"}, 4)
    with pytest.raises(ValueError, match="belongs to another run: groups differ"):
        resume(net(), tmp_path, FINGERPRINT | {"groups": "x"}, 4)


def test_a_checkpoint_of_an_older_version_is_refused_in_words(tmp_path):
    """Before objectives, names of weights were other ones."""
    write_tensor_file(
        tmp_path / FILE_NAME,
        {"module.encoder.x": np.zeros(1)},
        {"fingerprint": FINGERPRINT, "max_epochs": 4, "history": []},
    )
    with pytest.raises(ValueError, match="written by another version of this package"):
        resume(net(), tmp_path, FINGERPRINT, 4)
    assert "format" in _config(tmp_path, net)


def _config(folder, make):
    (folder / FILE_NAME).unlink()
    run_epochs(make(folder), Batches(), 1)
    return read_tensor_file(folder / FILE_NAME)[1]


# Callbacks


def stopping(load_best=False):
    return EarlyStopping("train_loss", patience=3, threshold=0.6, load_best=load_best, sink=lambda text: None)


class Killed(Callback):
    """Ends the process, as far as a training can tell, at the beginning of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise RuntimeError("killed")


@pytest.mark.parametrize("load_best", [False, True])
def test_patience_goes_on_where_it_was(load_best, tmp_path):
    """Killed at any epoch and resumed, a training stops where it would have stopped, with the same weights."""
    whole = net(n=20, callbacks=[stopping(load_best)])
    run_epochs(whole, Batches(), 20)
    n_epochs = len(whole.history)
    assert 4 < n_epochs < 20
    for epoch in range(2, n_epochs + 1):
        folder = tmp_path / str(epoch)
        folder.mkdir()
        with pytest.raises(RuntimeError, match="killed"):
            run_epochs(net(folder, 20, [stopping(load_best), Killed(epoch)]), Batches(), 20)
        again = net(folder, 20, [stopping(load_best), Killed(0)])
        done = resume(again, folder, FINGERPRINT, 20)
        assert done == epoch - 1
        run_epochs(again, Batches(), 20 - done)
        assert [row["train_loss"] for row in again.history] == [row["train_loss"] for row in whole.history]
        assert torch.equal(again.module_.linear.weight, whole.module_.linear.weight)


def test_what_a_checkpoint_cannot_hold_of_a_callback_is_told(tmp_path):
    run_epochs(net(tmp_path, 4, [LRScheduler("StepLR", step_size=1)]), Batches(), 1)
    told = r"cannot hold .*LRScheduler\.lr_scheduler_: these callbacks begin anew"
    with pytest.warns(UserWarning, match=told) as caught:
        assert resume(net(tmp_path, 4, [LRScheduler("StepLR", step_size=1)]), tmp_path, FINGERPRINT, 4) == 1
    assert caught[0].filename == __file__


def test_other_versions_are_told(tmp_path):
    run_epochs(net(tmp_path), Batches(), 1)
    arrays, config = read_tensor_file(tmp_path / FILE_NAME)
    config["versions"]["torch"] = "1.0\x1b[2J"
    write_tensor_file(tmp_path / FILE_NAME, arrays, config)
    with pytest.warns(UserWarning, match="written with .*torch '1.0.*this is .*may differ") as caught:
        assert resume(net(tmp_path), tmp_path, FINGERPRINT, 4) == 1
    assert str(caught[0].message).isprintable()


# Forged files


@pytest.mark.filterwarnings("ignore")
def test_forged_checkpoints_end_in_words(tmp_path):
    """The digest is right, and any value may be wrong: left aside with a warning, an error in words, or resumed."""
    run_epochs(net(tmp_path, 4, [stopping(True)]), Batches(), 2)
    arrays, config = read_tensor_file(tmp_path / FILE_NAME)
    rng = np.random.default_rng(0)
    resumed = 0
    for _ in range(60):
        try:
            write_tensor_file(tmp_path / FILE_NAME, *forged(arrays, config, rng))
        except (TypeError, ValueError, RecursionError):
            continue
        again = net(tmp_path, 4, [stopping(True)])
        try:
            done = resume(again, tmp_path, FINGERPRINT, 4)
            resumed += done > 0
            run_epochs(again, Batches(), 4 - done)
        except (ValueError, OSError, FloatingPointError) as error:
            assert str(error).isprintable()
    assert 0 < resumed < 40


@pytest.mark.parametrize("key", ["optimizer.0.step", "module.linear.weight", "optimizer.1.exp_avg_sq"])
def test_a_checkpoint_that_does_not_fit_changes_nothing(key, tmp_path):
    run_epochs(net(tmp_path), Batches(), 1)
    arrays, config = read_tensor_file(tmp_path / FILE_NAME)
    for wrong in (np.full_like(arrays[key], -1.0), np.zeros((3, 3), np.float32), np.full_like(arrays[key], np.nan)):
        if key == "module.linear.weight" and wrong.shape == arrays[key].shape and np.isfinite(wrong).all():
            continue
        write_tensor_file(tmp_path / FILE_NAME, arrays | {key: wrong}, config)
        fresh = net(tmp_path)
        before = copy.deepcopy(fresh.module_.state_dict())
        with pytest.warns(UserWarning, match="left aside, training starts anew: training.checkpoint is damaged"):
            assert resume(fresh, tmp_path, FINGERPRINT, 4) == 0
        assert all(torch.equal(before[name], tensor) for name, tensor in fresh.module_.state_dict().items())
