"""The bar that `verbose=1` shows: loss, rate and time left."""

from __future__ import annotations

from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from tqdm import tqdm


class ProgressBar(Callback):
    """One bar over all steps of a training run."""

    def __init__(self, n_steps: int, name: str) -> None:
        self.n_steps, self.name = n_steps, name

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        done = len(net.history) * self.n_steps // max(1, net.max_epochs)
        self.bar_ = tqdm(total=self.n_steps, initial=done, desc=self.name, unit="step")

    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        if training:
            self.bar_.update()

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        row = net.history[-1]
        self.bar_.set_postfix_str(
            f"epoch {len(net.history)}/{net.max_epochs}, loss {row['train_loss']:.3f}, "
            f"{row['records_per_second']:.0f} rec/s"
        )

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self.bar_.close()
