"""FittedUNet: what the training of a `WaveSegmenter` leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from numpy.typing import NDArray

from ..components import register
from ..embedding.fitted_encoder import FittedEncoder
from ..nn.inference import fold_layers
from ..nn.ready import ReadyNetworks
from .inference import SegmentationModel
from .net import TrainedUNet, build_unet

ENCODER_PREFIX = "encoder."


@register
@dataclass(frozen=True, eq=False)
class FittedUNet:
    """A trained U-Net around a trained encoder. It never changes.

    Parameters
    ----------
    encoder : FittedEncoder
        As it was trained here.
    weights : dict of ndarray
        State of the other layers.
    fs_model : float
        Rate at which leads are labelled [Hz].
    widths : tuple of 4 ints
        Channels of the levels.
    """

    encoder: FittedEncoder
    weights: dict[str, NDArray]
    fs_model: float
    widths: tuple[int, ...]
    _ready: ReadyNetworks[SegmentationModel] = field(default_factory=ReadyNetworks, repr=False)

    @classmethod
    def trained(
        cls, encoder: FittedEncoder, weights: dict[str, NDArray], fs_model: float, widths: tuple[int, ...]
    ) -> FittedUNet:
        """Return a U-Net from the state of the whole network.

        Parameters
        ----------
        encoder : FittedEncoder
            The encoder before training.
        weights : dict of ndarray
            State of the whole network, the encoder included.
        fs_model, widths : as for `FittedUNet`

        Returns
        -------
        FittedUNet
            With the trained encoder.
        """
        own = {k.removeprefix(ENCODER_PREFIX): a for k, a in weights.items() if k.startswith(ENCODER_PREFIX)}
        others = {k: a for k, a in weights.items() if not k.startswith(ENCODER_PREFIX)}
        return cls(encoder.fitted_with(own), others, fs_model, widths)

    def module(self) -> TrainedUNet:
        """Return the network as a module.

        Returns
        -------
        torch.nn.Module
            A new one, on the CPU.
        """
        return build_unet(
            self.encoder.module(),
            fs=self.fs_model,
            fs_encoder=self.encoder.front_end.fs_model,
            widths=self.widths,
            seed=0,
            weights=self.weights,
        )

    def model(self, device: torch.device, dtype: torch.dtype) -> SegmentationModel:
        """Return the network ready to run; made once per device and number format.

        Parameters
        ----------
        device : torch.device
            Where it runs.
        dtype : torch.dtype
            Either torch.float32 or torch.bfloat16.

        Returns
        -------
        SegmentationModel
            The network with its front ends.
        """

        def make() -> SegmentationModel:
            # Layers of other people's encoders are not folded, and take the number format here.
            net = fold_layers(self.module(), dtype).to(device, dtype)
            front_end = self.encoder.front_end
            return SegmentationModel(net, replace(front_end, fs_model=self.fs_model), front_end, device, dtype)

        return self._ready.get((str(device), str(dtype)), make)
