"""Loss and network of `WaveSegmenter`, as they are trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..nn.blocks import init_weights
from ..nn.wave_unet import WaveUNet
from ..nn.weights import load_module_arrays, module_arrays
from .batches import IGNORED


class WaveLoss(nn.Module):
    """Cross entropy + Dice loss over the samples that are not ignored.

    References
    ----------
    Milletari et al., "V-Net: fully convolutional neural networks for volumetric medical image segmentation", 3DV 2016,
    equation of section 3, with one Dice coefficient per class.
    """

    def __init__(self, dice_weight: float) -> None:
        super().__init__()
        self.dice_weight = dice_weight

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        known = labels != IGNORED
        logits, truth = logits[known], labels[known].long()
        if not len(truth):
            return logits.sum()
        loss = F.cross_entropy(logits, truth)
        if self.dice_weight == 0:
            return loss
        proba = logits.softmax(-1)
        members = F.one_hot(truth, proba.shape[1]).to(proba.dtype)
        overlap, size = (proba * members).sum(0), proba.sum(0) + members.sum(0)
        # One sample more: a class that is neither there nor predicted has a coefficient of 1.
        dice = (2 * overlap + 1) / (size + 1)
        return loss + self.dice_weight * (1 - dice).mean()


class TrainedUNet(WaveUNet):
    """A `WaveUNet` whose pretrained encoder keeps the statistics of its BatchNorms."""

    adapt_norm = True

    def train(self, mode: bool = True) -> TrainedUNet:
        super().train(mode)
        if self.encoder is not None and not self.adapt_norm:
            self.encoder.eval()
        return self


def unet_outline(encoder: nn.Module | None, *, fs: float, fs_encoder: float, widths: tuple[int, ...]) -> TrainedUNet:
    """Return the network around an encoder, but without it and without the memory of its weights; it cannot run."""
    # The layers' own initialisation draws from the global state; on the meta device nothing is drawn.
    with torch.device("meta"):
        if encoder is None:
            return TrainedUNet(None, fs=fs, fs_encoder=fs_encoder, widths=widths)
        return TrainedUNet(nn.Identity(), fs=fs, fs_encoder=fs_encoder, widths=widths, stage_widths=_widths(encoder))


def build_unet(
    encoder: nn.Module | None,
    *,
    fs: float,
    fs_encoder: float,
    widths: tuple[int, ...],
    seed: int,
    weights: Mapping[str, NDArray] | None = None,
) -> TrainedUNet:
    """Build the network around an encoder, its other weights drawn from a seed, or given."""
    generator = torch.Generator().manual_seed(seed)
    module = unet_outline(encoder, fs=fs, fs_encoder=fs_encoder, widths=widths).to_empty(device="cpu")
    for layer in module.children():
        init_weights(layer, generator)
    module.encoder = encoder
    if weights is not None:
        # The encoder's own weights are in place.
        arrays = {} if encoder is None else module_arrays(encoder)
        own = {f"encoder.{name}": array for name, array in arrays.items()}
        load_module_arrays(module, {**own, **weights})
    return module


def _widths(encoder: Any) -> tuple[int, ...]:
    return tuple(encoder.stage_widths) if hasattr(encoder, "stage_widths") else (int(encoder.n_dims),)
