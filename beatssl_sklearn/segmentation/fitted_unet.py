"""FittedUNet: what the training of a `WaveSegmenter` leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .._file_values import check_arrays, check_type
from ..components import register
from ..embedding.encoder_checks import outline_of
from ..embedding.file_checks import check_labelled
from ..embedding.fitted_encoder import FittedEncoder
from ..nn.inference import fold_layers
from ..nn.ready import ReadyNetworks
from ..nn.weights import shapes_of
from .calibration import WaveCalibration
from .inference import SegmentationModel
from .net import TrainedUNet, build_unet, unet_outline
from .reading import Reading
from .run import check_network, check_segmenter

ENCODER_PREFIX = "encoder."


@register
@dataclass(frozen=True, eq=False)
class FittedUNet:
    """A trained U-Net, alone or around a trained encoder. It never changes.

    Parameters
    ----------
    encoder : FittedEncoder or Reading
        The encoder as it was trained here; without one, how records are read.
    weights : dict of ndarray
        State of the other layers.
    fs_model : float
        Rate at which leads are labelled [Hz].
    widths : tuple of 4 or 5 ints
        Channels of the levels.
    calibration : WaveCalibration or None
        From confidences to probabilities.
    """

    encoder: FittedEncoder | Reading
    weights: dict[str, NDArray]
    fs_model: float
    widths: tuple[int, ...]
    calibration: WaveCalibration | None = None
    _ready: ReadyNetworks[SegmentationModel] = field(default_factory=ReadyNetworks, repr=False)

    def _check_file(self) -> None:
        check_type("encoder", self.encoder, FittedEncoder, Reading)
        check_network(self.fs_model, self.widths)
        check_type("calibration", self.calibration, WaveCalibration, type(None))
        context = None
        if isinstance(self.encoder, FittedEncoder):
            context = outline_of(self.encoder)
            if context is None:
                raise TypeError(f"a segmenter's encoder must have a name in a file, got {self.encoder.encoder!r:.80}")
        rates = {"fs": self.fs_model, "fs_encoder": self.encoder.front_end.fs_model}
        check_arrays("weights", self.weights, shapes_of(unet_outline(context, **rates, widths=self.widths)))

    @classmethod
    def trained(
        cls, encoder: FittedEncoder | Reading, weights: dict[str, NDArray], fs_model: float, widths: tuple[int, ...]
    ) -> FittedUNet:
        """Return a U-Net from the state of the whole network.

        Parameters
        ----------
        encoder : FittedEncoder or Reading
            The encoder before training; without one, how records are read.
        weights : dict of ndarray
            State of the whole network, the encoder included.
        fs_model, widths : as for `FittedUNet`

        Returns
        -------
        FittedUNet
            With the trained encoder.
        """
        if isinstance(encoder, Reading):
            return cls(encoder, weights, fs_model, widths)
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
            self.encoder.module() if isinstance(self.encoder, FittedEncoder) else None,
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
            coarse = None if net.encoder is None else front_end
            return SegmentationModel(net, replace(front_end, fs_model=self.fs_model), coarse, device, dtype)

        return self._ready.get((str(device), str(dtype)), make)


def check_unchanged(segmenter: Any) -> None:
    """Check that a `WaveSegmenter`'s parameters still describe its fitted network.

    Raises
    ------
    ValueError
        Naming the parameter that was set after `fit`.
    """
    unet = segmenter.unet_
    fitted = {
        "context": "encoder" if isinstance(unet.encoder, FittedEncoder) else "leads",
        "fs_model": unet.fs_model,
        "widths": unet.widths,
    }
    for name, value in fitted.items():
        given = getattr(segmenter, name)
        if not np.array_equal(given, value):
            raise ValueError(
                f"{name}={given!r} was set after fit: it describes the fitted network and cannot be changed under it; "
                f"call fit again"
            )


def check_segmenter_file(segmenter: Any) -> None:
    """Check a `WaveSegmenter` that a file describes.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    check_segmenter(segmenter)
    check_labelled(segmenter)
    if hasattr(segmenter, "unet_"):
        check_type("unet_", segmenter.unet_, FittedUNet)
