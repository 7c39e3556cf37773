"""The network that is fine-tuned, its loss, and the skorch net that runs the epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional as F

from ..nn.blocks import Encoder
from ..nn.roi import beat_embeddings, mean_beats
from ..nn.weights import load_module_arrays, module_arrays
from .probe import NORM_EPS

_VALUE_LOSSES: dict[str, Callable[..., Tensor]] = {
    "squared_error": F.mse_loss,
    "huber": F.huber_loss,
    "absolute_error": F.l1_loss,
}
VALUE_LOSSES = tuple(_VALUE_LOSSES)


class HeadedEncoder(nn.Module):
    """Encoder, standardised embedding, linear layer.

    Parameters
    ----------
    encoder : torch.nn.Module
    phases : int
        Parts of a beat's window; see `BeatSSLPretrainer`.
    n_outputs : int
    adapt_norm : bool
        Whether BatchNorm uses the statistics of the batch in training, as a network from scratch must. Otherwise the
        running ones stay, so that training begins exactly at the frozen encoder's embedding.
    """

    def __init__(self, encoder: nn.Module, phases: int, n_outputs: int, adapt_norm: bool) -> None:
        super().__init__()
        protocol = cast(Encoder, encoder)
        n_dims = protocol.n_dims_record + phases * protocol.n_dims
        self.encoder, self.phases = encoder, phases
        self.norm = nn.BatchNorm1d(n_dims, eps=NORM_EPS, affine=False, dtype=torch.float32)
        # Its own initialisation would draw from the global state.
        self.linear = nn.utils.skip_init(nn.Linear, n_dims, n_outputs, dtype=torch.float32)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.adapt_norm = adapt_norm

    def train(self, mode: bool = True) -> HeadedEncoder:
        super().train(mode)
        if not self.adapt_norm:
            for layer in self.modules():
                if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                    layer.eval()
        return self

    def forward(
        self, signal: Tensor, roi_record: Tensor, roi_start: Tensor, roi_end: Tensor, keep: Tensor | None = None
    ) -> Tensor:
        """Return outputs (n, n_outputs) float32; `keep` multiplies the standardised embedding (dropout)."""
        encoder = cast(Encoder, self.encoder)
        tokens = encoder(signal)
        beats = beat_embeddings(tokens, roi_record, roi_start, roi_end, self.phases)
        embedding = torch.cat([encoder.pool(tokens), mean_beats(beats, roi_record, tokens)], dim=1)
        with torch.autocast(signal.device.type, enabled=False):
            z = self.norm(embedding.float())
            outputs: Tensor = self.linear(z if keep is None else z * keep)
        return outputs


class LabelLoss(nn.Module):
    """Weighted cross entropy of labels: softmax, or a sigmoid per output."""

    def __init__(self, softmax: bool) -> None:
        super().__init__()
        self.softmax = softmax

    def forward(self, logits: Tensor, labelled: tuple[Tensor, Tensor]) -> Tensor:
        labels, weights = labelled
        if self.softmax:
            return (weights * F.cross_entropy(logits, labels, reduction="none")).mean()
        return (weights * F.binary_cross_entropy_with_logits(logits, labels, reduction="none")).mean()


class ValueLoss(nn.Module):
    """Weighted loss of standardised values.

    Parameters
    ----------
    kind : {"squared_error", "huber", "absolute_error"}
        Huber's is quadratic up to an error of one standard deviation, and linear beyond.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, outputs: Tensor, valued: tuple[Tensor, Tensor]) -> Tensor:
        values, weights = valued
        return (weights * _VALUE_LOSSES[self.kind](outputs, values, reduction="none")).mean()


class BestEpoch(Callback):
    """Keeps the weights of the epoch with the least validation loss, the start included.

    Parameters
    ----------
    patience : int or None
        Epochs without a new best after which `stop` becomes True; None never stops.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience = patience

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.loss_, self.epoch_, self.stop = np.inf, 0, False
        self._consider(net, 0, start_loss(net))

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self._consider(net, len(net.history), net.history[-1]["valid_loss"])

    def _consider(self, net: NeuralNet, epoch: int, loss: float) -> None:
        if loss < self.loss_:
            self.loss_, self.epoch_, self.weights_ = loss, epoch, module_arrays(net.module_)
        self.stop = self.patience is not None and epoch - self.epoch_ >= self.patience

    def restore(self, net: NeuralNet) -> None:
        """Put the best weights back."""
        load_module_arrays(net.module_, self.weights_)


def start_loss(net: Any) -> float:
    """Return the validation loss before the first step."""
    net.held_out.epoch = 0
    steps = [(float(net.validation_step(batch)["loss"]), len(batch[0]["signal"])) for batch in net.held_out]
    return float(np.average([loss for loss, _ in steps], weights=[n for _, n in steps]))
