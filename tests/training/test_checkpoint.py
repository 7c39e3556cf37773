"""Checkpoints: written after every epoch, read back to the same bits, refused where they belong to another run."""

import numpy as np
import pytest
import torch

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


def net(folder=None, n=4):
    return make_net(
        Sum(),
        torch.nn.MSELoss(),
        max_epochs=n,
        device=torch.device("cpu"),
        precision="fp32",
        held_out=None,
        callbacks=[] if folder is None else [Checkpoint(str(folder), FINGERPRINT, n)],
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
