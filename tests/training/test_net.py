"""EpochNet: schedule, records, hooks, and how a training ends early."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping

from beatssl_sklearn.training.net import FINAL_LR, make_net, optimizer_settings, rate_factor, run_epochs


class Batches:
    """Two batches of 3 and 1 records; the target is twice the signal."""

    epoch = 0

    def __init__(self):
        self.epochs = []

    def __len__(self):
        return 2

    def __iter__(self):
        self.epochs.append(self.epoch)
        x = torch.arange(4.0)[:, None] + 1
        yield {"signal": x[:3]}, 2 * x[:3]
        yield {"signal": x[3:]}, 2 * x[3:]


class Scored(Batches):
    def score(self, outputs):
        return {"valid_largest": float(torch.cat(outputs).abs().max())}


class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Linear(1, 1)
        self.head_norm = torch.nn.LayerNorm(1)
        for layer in (self.encoder, self.head_norm):
            torch.nn.init.constant_(layer.weight, 0.5)
            torch.nn.init.zeros_(layer.bias)

    def forward(self, signal):
        return self.encoder(signal) + self.head_norm(signal)


class Loss(torch.nn.Module):
    def forward(self, found, wanted):
        self.parts = {"mean_signal": wanted.mean().detach() / 2}
        return torch.nn.functional.mse_loss(found, wanted)

    def diagnose(self):
        return {"answer": 42.0}


def net(callbacks=(), held_out=None, max_epochs=3, lr=0.05, **settings):
    return make_net(
        Line(),
        Loss(),
        max_epochs=max_epochs,
        device=torch.device("cpu"),
        precision="fp32",
        held_out=held_out,
        callbacks=list(callbacks),
        **optimizer_settings(lr, 0.1, settings.pop("encoder_lr", None)),
        **settings,
    )


def test_the_rate_rises_and_falls_as_a_cosine():
    factors = [rate_factor(step, 100) for step in range(100)]
    assert factors[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert factors[10:] == sorted(factors[10:], reverse=True) and factors[-1] == pytest.approx(FINAL_LR)
    assert factors[54] == pytest.approx(0.5 * (1 + FINAL_LR), abs=0.01)
    assert rate_factor(0, 1) == 1


def test_groups_of_parameters_have_their_own_rates_and_decay():
    trained = net(encoder_lr=0.01)
    found = {
        name: (group["lr"], group["weight_decay"])
        for group in trained.optimizer_.param_groups
        for name, parameter in trained.module_.named_parameters()
        if any(parameter is p for p in group["params"])
    }
    assert found == {
        "encoder.weight": (0.01, 0.1),
        "encoder.bias": (0.01, 0.0),
        "head_norm.weight": (0.05, 0.0),
        "head_norm.bias": (0.05, 0.0),
    }
    run_epochs(trained, Batches(), 3)
    assert {group["lr"] for group in trained.optimizer_.param_groups} == {0.05 * FINAL_LR, 0.01 * FINAL_LR}


def test_losses_are_means_over_records():
    trained = net(held_out=Scored(), lr=0.0)
    (row, *_) = history = run_epochs(trained, Batches(), 2)
    losses = [2.0, 4.0, 6.0, 8.0]
    # Untrained: half the signal, and a norm of one number, which is 0.
    assert row["train_loss"] == pytest.approx(np.mean([(wanted - wanted / 4) ** 2 for wanted in losses]))
    assert row["mean_signal"] == row["valid_mean_signal"] == pytest.approx(2.5) and row["answer"] == 42
    assert row["valid_loss"] == row["train_loss"] and row["valid_largest"] == 2.0
    assert "answer" not in {key for key in row if key.startswith("valid")} and len(history) == 2


def test_epochs_and_progress_are_handed_on():
    seen = []
    train, held_out = Batches(), Batches()
    settings = {"held_out": held_out, "after_step": lambda module, progress: seen.append(progress)}
    run_epochs(net(**settings), Batches(), 3)
    assert seen == pytest.approx(np.arange(1, 7) / 6)
    seen.clear()
    run_epochs(net(first_epoch=5, **settings), train, 3)
    assert seen == pytest.approx(np.arange(11, 17) / 16), "epochs before count"
    held_out.epochs = held_out.epochs[3:]
    assert train.epochs == [5, 6, 7] and held_out.epochs == [0, 0, 0], "held-out records are the same every time"


def test_a_constant_rate():
    trained = net(constant_lr=True)
    assert [row["lr"] for row in run_epochs(trained, Batches(), 3)] == [0.05] * 3


def test_early_stopping_ends_a_training():
    trained = net([EarlyStopping(monitor="train_loss", patience=2, threshold=0.9)], max_epochs=20)
    history = run_epochs(trained, Batches(), 20)
    assert 2 < len(history) < 20


class Pressed(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


def test_ctrl_c_is_no_early_stopping():
    with pytest.raises(KeyboardInterrupt):
        run_epochs(net([EarlyStopping(monitor="train_loss", patience=5), Pressed()]), Batches(), 3)


def test_a_callback_may_stop_a_training():
    class Stop(Callback):
        stop = False

        def on_epoch_end(self, net, **kwargs):
            self.stop = len(net.history) == 2

    stop = Stop()
    assert len(run_epochs(net([stop], max_epochs=5), Batches(), 5, stop)) == 2


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(FloatingPointError, match=r"loss of epoch [12] is not finite with lr=1e\+30"):
        run_epochs(net(lr=1e30, constant_lr=True), Batches(), 3)
