"""What the skorch nets share: the schedule, autocast, the optimiser, and epochs that read losses back once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from math import cos, pi
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn

# Share of all steps that the learning rate rises, before it falls as a cosine to a hundredth.
WARM_UP, FINAL_LR = 0.1, 0.01


def rate_factor(step: int, n_steps: int) -> float:
    """Return the share of the largest learning rate at a step: a rise, then a cosine.

    A function of the step alone, so that a resumed run has the same rates.
    """
    rise = max(1, round(WARM_UP * n_steps))
    if step < rise:
        return (step + 1) / rise
    share = (step + 1 - rise) / max(1, n_steps - rise)
    return FINAL_LR + (1 - FINAL_LR) * 0.5 * (1 + cos(pi * min(share, 1.0)))


def raise_if_diverged(losses: Sequence[float], epoch: int, lr: Any) -> None:
    """Refuse losses that are not finite.

    Raises
    ------
    FloatingPointError
        Naming the epoch, counted from 0 here and from 1 in the message.
    """
    if not np.isfinite(losses).all():
        raise FloatingPointError(
            f"training diverged: the loss of epoch {epoch + 1} is not finite with lr={lr!r}; lower lr"
        )


def optimizer_settings(lr: float, weight_decay: float, encoder_lr: float | None = None) -> dict[str, Any]:
    """Return skorch's arguments for RAdam with decoupled decay of weights, not of biases and normalisations.

    Parameters
    ----------
    lr, weight_decay : float
    encoder_lr : float or None
        Rate of parameters whose names begin with "encoder."; None is `lr`.
    """
    groups: list[tuple[str, dict[str, float]]] = [("*norm*", {"weight_decay": 0.0}), ("*bias", {"weight_decay": 0.0})]
    if encoder_lr is not None:
        slow = {"lr": encoder_lr}
        own = [("encoder.*norm*", {**slow, "weight_decay": 0.0}), ("encoder.*bias", {**slow, "weight_decay": 0.0})]
        groups = [*own, ("encoder.*", slow), *groups]
    return {
        # The first steps of Adam follow the gradient's signs, rounding errors included; rectified, they do not.
        "optimizer": torch.optim.RAdam,
        "optimizer__decoupled_weight_decay": True,
        "optimizer__weight_decay": weight_decay,
        "optimizer__param_groups": groups,
        "lr": lr,
    }


class EpochNet(NeuralNet):
    """skorch net that takes ready batches: bf16 autocast, warm-up and cosine, one host synchronisation per epoch.

    Parameters
    ----------
    precision : {"bf16", "fp32"}
        Autocast type; weights stay in float32.
    held_out : iterable of batches or None
        Records whose loss is recorded and not trained on.
    **kwargs
        As for `skorch.NeuralNet`.
    """

    def __init__(self, *args: Any, precision: str = "fp32", held_out: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.precision, self.held_out = precision, held_out

    @property
    def _default_callbacks(self) -> list[Any]:
        # skorch's own would print, and read every batch's loss back from the device.
        return []

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        return X, self.held_out

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        return dataset

    def infer(self, x: Mapping[str, Tensor], **fit_params: Any) -> Any:
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.precision == "bf16"):
            return self.module_(**x)

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        return self.criterion_(y_pred, y_true)

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Run one epoch; as skorch does it, but the losses stay on the device until the end."""
        if iterator is None:
            return
        epoch = len(self.history) - 1
        # Validation sees the same windows every time, so that its losses can be compared.
        iterator.epoch = epoch if training else 0
        started = time.perf_counter()
        losses, sizes, outputs = [], [], []
        for step, batch in enumerate(iterator):
            self.notify("on_batch_begin", batch=batch, training=training)
            if training:
                self._set_learning_rate(epoch * len(iterator) + step, self.max_epochs * len(iterator))
            done = step_fn(batch, **fit_params)
            losses.append(done["loss"].detach())
            sizes.append(len(batch[0]["signal"]))
            if not training:
                outputs.append(done["y_pred"].float())
            self.notify("on_batch_end", batch=batch, training=training, **done)
        loss = float(np.average(torch.stack(losses).double().cpu().numpy(), weights=sizes))
        raise_if_diverged([loss], epoch, self.lr)
        self.history.record(f"{prefix}_loss", loss)
        if not training:
            self.record_validation(iterator, outputs)
            return
        seconds = time.perf_counter() - started
        self.history.record("lr", self.optimizer_.param_groups[-1]["lr"])
        self.history.record("records_per_second", sum(sizes) / max(seconds, 1e-9))
        self.history.record("seconds", seconds)

    def record_validation(self, iterator: Any, outputs: list[Tensor]) -> None:
        """Record more of the held-out records than their loss; nothing here."""

    def _set_learning_rate(self, step: int, n_steps: int) -> None:
        factor = rate_factor(step, n_steps)
        for group in self.optimizer_.param_groups:
            group["lr"] = group.setdefault("peak_lr", group["lr"]) * factor


def run_epochs(net: NeuralNet, batches: Any, max_epochs: int, stop: Any = None) -> list[dict[str, Any]]:
    """Train an initialised net, until a callback's `stop` turns True where there is one; return its history."""
    net.notify("on_train_begin", X=batches)
    for _ in range(max_epochs):
        net.fit_loop(batches, epochs=1)
        if stop is not None and stop.stop:
            break
    net.notify("on_train_end", X=batches)
    return history_rows(net)


def history_rows(net: NeuralNet) -> list[dict[str, Any]]:
    """Return what was recorded of each epoch."""
    return [{k: v for k, v in row.items() if k != "batches"} for row in net.history]


def make_net(
    cls: type[EpochNet],
    module: nn.Module,
    loss: nn.Module,
    *,
    max_epochs: int,
    device: torch.device,
    precision: str,
    held_out: Any,
    callbacks: list[Callback],
    **optimizer: Any,
) -> EpochNet:
    """Put network, loss, optimiser (`optimizer_settings`) and callbacks together, initialised."""
    net = cls(
        module,
        loss,
        max_epochs=max_epochs,
        train_split=None,
        callbacks=callbacks,
        device=str(device),
        verbose=0,
        precision=precision,
        held_out=held_out,
        **optimizer,
    )
    return net.initialize()
