"""The skorch net that runs every training: schedule, autocast, and epochs that read losses back once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from math import cos, pi
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping
from torch import Tensor, nn

from .allocator import kept_memory
from .distributed import Ranks, shared

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

    The iterable of batches yields (inputs of the module, targets of the criterion), has an `epoch`, and may have
    ``size(batch)``, the records of a batch, and ``score(outputs)``, a dict of scores of held-out records. The criterion
    may have `parts`, a dict of detached losses that are recorded beside the loss, and ``diagnose()``, a dict of numbers
    about the last batch of an epoch.

    Parameters
    ----------
    precision : {"bf16", "fp32"}
        Autocast type; weights stay in float32.
    held_out : iterable of batches or None
        Records whose loss is recorded and not trained on.
    constant_lr : bool
        Whether to leave out warm-up and cosine (for `partial_fit`).
    first_epoch : int
        Epochs trained before (by `partial_fit`), so that every call draws other batches. They count as done in
        `after_step`.
    after_step : callable or None
        Called as ``after_step(module, progress)`` after each training step; `progress` is the share of all steps done.
    ranks : Ranks or None
        Processes that train together: they average their gradients, and record what the first one records.
    **kwargs
        As for `skorch.NeuralNet`.
    """

    def __init__(
        self,
        *args: Any,
        precision: str = "fp32",
        held_out: Any = None,
        constant_lr: bool = False,
        first_epoch: int = 0,
        after_step: Callable[[nn.Module, float], None] | None = None,
        ranks: Ranks | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.precision, self.held_out, self.after_step = precision, held_out, after_step
        self.constant_lr, self.first_epoch, self.ranks = constant_lr, first_epoch, ranks

    @property
    def _default_callbacks(self) -> list[Any]:
        # skorch's own would print, and read every batch's loss back from the device.
        return []

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        made = super().initialize_optimizer(*args, **kwargs)
        self.peak_lrs_ = [group["lr"] for group in self.optimizer_.param_groups]
        return made

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        return X, self.held_out

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        return dataset

    def infer(self, x: Mapping[str, Tensor], **fit_params: Any) -> Any:
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.precision == "bf16"):
            return self.module_(**x)

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        loss: Tensor = self.criterion_(y_pred, y_true)
        return loss

    def train_step_single(self, batch: Any, **fit_params: Any) -> Any:
        """Compute loss and gradients of a batch."""
        done = super().train_step_single(batch, **fit_params)
        if self.ranks is not None:
            self.ranks.average_gradients(self.module_)
        return done

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Run one epoch; as skorch does it, but the losses stay on the device until the end."""
        if iterator is None:
            return
        epoch, n_steps = len(self.history) - 1, self.max_epochs * len(iterator)
        # Validation sees the same batches every time, so that its losses can be compared.
        iterator.epoch = self.first_epoch + epoch if training else 0
        scored = not training and hasattr(iterator, "score")
        started = time.perf_counter()
        losses, sizes, outputs = [], [], []
        for step, batch in enumerate(iterator, start=epoch * len(iterator)):
            self.notify("on_batch_begin", batch=batch, training=training)
            if training:
                self._set_learning_rate(step, n_steps)
            done = step_fn(batch, **fit_params)
            losses.append(self._parts(done["loss"]))
            sizes.append(iterator.size(batch) if hasattr(iterator, "size") else len(batch[0]["signal"]))
            if scored:
                outputs.append(done["y_pred"].float())
            if training and self.after_step is not None:
                before = self.first_epoch * len(iterator)
                self.after_step(self.module_, (before + step + 1) / (before + n_steps))
            self.notify("on_batch_end", batch=batch, training=training, **done)
        if losses:
            seconds = time.perf_counter() - started
            self._record(losses, sizes, prefix, epoch, seconds if training else None)
        if scored:
            for name, value in iterator.score(outputs).items():
                self.history.record(name, value)

    def _parts(self, loss: Tensor) -> dict[str, Tensor]:
        return {"loss": loss.detach(), **getattr(self.criterion_, "parts", {})}

    def _record(
        self, losses: list[dict[str, Tensor]], sizes: list[int], prefix: str, epoch: int, seconds: float | None
    ) -> None:
        """Record the means of losses over the records; `seconds` is None for held-out ones."""
        # One copy from the device for all.
        names = list(losses[0])
        if any(set(row) != set(names) for row in losses):
            raise ValueError(f"the loss has other parts in other steps: {names} in the first of epoch {epoch + 1}")
        table = torch.stack([torch.stack([row[name].float() for name in names]) for row in losses])
        means = np.average(table.double().cpu().numpy(), axis=0, weights=sizes)
        values = dict(zip(names, means.tolist(), strict=True))
        raise_if_diverged(list(values.values()), epoch, self.lr)
        if self.ranks is not None:
            self.ranks.check_close(values)
        loss = values.pop("loss")
        own = {} if seconds is not None else {f"{prefix}_{name}": value for name, value in values.items()}
        if seconds is not None:
            own = {**values, **(self.criterion_.diagnose() if hasattr(self.criterion_, "diagnose") else {})}
            own["lr"] = self.optimizer_.param_groups[-1]["lr"]
            own |= {"records_per_second": sum(sizes) / max(seconds, 1e-9), "seconds": seconds}
        recorded = {f"{prefix}_loss": loss, **own}
        # Callbacks that look at the history must come to the same decision in all processes.
        for name, value in shared(self.ranks, recorded).items():
            self.history.record(name, value)

    def _set_learning_rate(self, step: int, n_steps: int) -> None:
        factor = 1.0 if self.constant_lr else rate_factor(step, n_steps)
        for group, peak in zip(self.optimizer_.param_groups, self.peak_lrs_, strict=True):
            group["lr"] = peak * factor


def run_epochs(net: EpochNet, batches: Any, n_epochs: int, stop: Any = None) -> list[dict[str, Any]]:
    """Train an initialised net and return its history.

    Parameters
    ----------
    net : EpochNet
    batches : iterable
        As for `EpochNet`.
    n_epochs : int
        Epochs to train at most.
    stop : callback, optional
        Training ends after the epoch in which its attribute `stop` turns True. skorch's `EarlyStopping` ends it, too.
    """
    net.notify("on_train_begin", X=batches)
    with kept_memory():
        for _ in range(n_epochs):
            try:
                net.fit_loop(batches, epochs=1)
            except KeyboardInterrupt:
                # skorch's EarlyStopping raises this after the epoch that it ends; a user's Ctrl-C must end the fit.
                if not _stopped_early(net):
                    raise
                break
            if stop is not None and stop.stop:
                break
    net.notify("on_train_end", X=batches)
    return history_rows(net)


def _stopped_early(net: NeuralNet) -> bool:
    stopping = [callback for _, callback in net.callbacks_ if isinstance(callback, EarlyStopping)]
    return any(callback.misses_ == callback.patience for callback in stopping)


def history_rows(net: NeuralNet) -> list[dict[str, Any]]:
    """Return what was recorded of each epoch."""
    return [{k: v for k, v in row.items() if k != "batches"} for row in net.history]


def make_net(
    module: nn.Module,
    loss: nn.Module,
    *,
    max_epochs: int,
    device: torch.device,
    precision: str,
    held_out: Any,
    callbacks: list[Callback],
    **settings: Any,
) -> EpochNet:
    """Put network, loss, optimiser (`optimizer_settings`) and callbacks together, initialised."""
    net = EpochNet(
        module,
        loss,
        max_epochs=max_epochs,
        train_split=None,
        callbacks=callbacks,
        device=str(device),
        verbose=0,
        precision=precision,
        held_out=held_out,
        **settings,
    )
    return net.initialize()
