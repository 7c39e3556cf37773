"""The graphs that an ONNX file holds: a network between prepared signals and its answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..ecg.leads import LEADS
from ..embedding.fitted_encoder import FittedEncoder, fitted_encoder
from ..embedding.readout import Readout
from ..inputs.front_end import FrontEnd
from ..nn.blocks import N_LEADS, Encoder
from ..nn.wave_unet import FRAME_S
from ..persistence import load
from ..segmentation.fitted_unet import FittedUNet

__all__ = ["Graph", "graph_of", "network_of"]


class EncoderGraph(nn.Module):
    """Tokens of a signal, and the embedding of the record."""

    def __init__(self, encoder: nn.Module, readout: Readout | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.readout = None if readout is None else ReadoutGraph(readout)

    def forward(self, signal: Tensor, beats: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``signal (n, 12, n_times)`` and ``beats (n, phases, n_tokens)`` to the embedding and the tokens."""
        encoder = cast(Encoder, self.encoder)
        tokens = encoder(signal.transpose(1, 2))
        # The mean beat is linear in the tokens, so that R peaks come in as weights of tokens.
        pooled = torch.cat([encoder.pool(tokens), (beats @ tokens).flatten(1)], dim=1)
        return pooled if self.readout is None else torch.cat([pooled, self.readout(pooled)], dim=1), tokens


class ReadoutGraph(nn.Module):
    """The readout of a record's embedding."""

    low: Tensor
    high: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, readout: Readout) -> None:
        super().__init__()
        for name, array in vars(readout).items():
            self.register_buffer(name, torch.from_numpy(array.astype("float32")))

    def forward(self, pooled: Tensor) -> Tensor:
        """Map ``pooled (n, n_dims)`` to the hidden layer ``(n, n_hidden)``."""
        return F.gelu(torch.minimum(torch.maximum(pooled, self.low), self.high) @ self.weight + self.bias)


class LeadsGraph(nn.Module):
    """Probabilities of the waves, from the leads alone."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, leads: Tensor) -> Tensor:
        """Map ``leads (n, n_leads, n_times)`` to probabilities ``(n, n_leads, n_times, 4)``."""
        return cast(Tensor, self.unet(leads).softmax(-1))


class LeadsAndSignalGraph(nn.Module):
    """Probabilities of the waves, from the leads and the record that the encoder sees."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, leads: Tensor, signal: Tensor) -> Tensor:
        """Map leads, and ``signal (n, 12, n_times_encoder)`` of the same time, to probabilities."""
        return cast(Tensor, self.unet(leads, signal.transpose(1, 2)).softmax(-1))


class Graph(NamedTuple):
    """A module that can be exported, with the names and sizes of what it takes and gives."""

    module: nn.Module
    inputs: dict[str, dict[int, str]]
    """Axes of each input whose size is free."""
    outputs: dict[str, dict[int, str]]
    metadata: dict[str, str]
    weights: dict[str, NDArray]

    def example(self, n_records: int, n_pieces: int) -> tuple[Tensor, ...]:
        """Return random inputs: `n_pieces` tokens, or an eighth as many frames of 1.28 s, for each record."""
        generator = torch.Generator().manual_seed(n_records)
        sizes = _sizes(self.metadata, n_records, n_pieces)
        return tuple(torch.randn(sizes[name], generator=generator) for name in self.inputs)


def network_of(model: Any) -> FittedEncoder | FittedUNet:
    """Return the network of an estimator that can be exported.

    Raises
    ------
    TypeError
        If it has none, or has a head that would be lost.
    NotFittedError, OSError, ValueError
        If it is not fitted, or cannot be loaded.
    """
    if isinstance(model, str) or hasattr(model, "__fspath__"):
        model = load(model)
    if isinstance(model, FittedUNet):
        return model
    if isinstance(getattr(model, "unet_", None), FittedUNet):
        return cast(FittedUNet, model.unet_)
    if hasattr(model, "head_"):
        raise TypeError(
            f"export_onnx takes embedders and segmenters, got {type(model).__name__}; its encoder is exported as "
            f"RhythmEmbedder(model), and its head_ is linear in the embedding"
        )
    if hasattr(model, "steps"):
        raise TypeError(
            f"export_onnx takes embedders and segmenters, got {type(model).__name__}; its first step can be exported: "
            f"model[0]"
        )
    try:
        return fitted_encoder(model)
    except TypeError as error:
        raise TypeError(
            f"model must be a fitted embedder, pretrainer or WaveSegmenter, a path or a shipped model's name, got "
            f"{model!r:.80}"
        ) from error


def graph_of(network: FittedEncoder | FittedUNet) -> Graph:
    """Return what to export of a network."""
    return _encoder_graph(network) if isinstance(network, FittedEncoder) else _unet_graph(network)


def _encoder_graph(encoder: FittedEncoder) -> Graph:
    module = encoder.module()
    network, front_end = cast(Encoder, module), encoder.front_end
    readout = {} if encoder.readout is None else vars(encoder.readout)
    metadata = {
        **_about(front_end),
        "network": "encoder",
        "stride": f"{network.stride:g}",
        "beat_phases": str(front_end.beat_phases),
        "beat_window": ",".join(f"{s:g}" for s in front_end.beat_window),
    }
    return Graph(
        _still(EncoderGraph(module, encoder.readout)),
        {"signal": {0: "n_records", 2: "n_times"}, "beats": {0: "n_records", 2: "n_tokens"}},
        {"embedding": {0: "n_records"}, "tokens": {0: "n_records", 1: "n_tokens"}},
        metadata,
        encoder.weights | {f"readout.{name}": array for name, array in readout.items()},
    )


def _unet_graph(unet: FittedUNet) -> Graph:
    net = unet.module()
    free = {0: "n_records", 1: "n_leads", 2: "n_times"}
    metadata = {**_about(unet.encoder.front_end), "network": "segmenter", "fs_leads": f"{unet.fs_model:g}"}
    metadata["classes"] = "background,P,QRS,T"
    if not isinstance(unet.encoder, FittedEncoder):
        graph = _still(LeadsGraph(net))
        return Graph(graph, {"leads": free}, {"probabilities": free}, metadata, unet.weights)
    inputs = {"leads": free, "signal": {0: "n_records", 2: "n_times_signal"}}
    own = {f"encoder.{name}": array for name, array in unet.encoder.weights.items()}
    graph, weights = _still(LeadsAndSignalGraph(net)), {**own, **unet.weights}
    return Graph(graph, inputs, {"probabilities": free}, metadata, weights)


def _still(module: nn.Module) -> nn.Module:
    """Put a whole graph into inference: the exporter puts all of it back into the mode that its outermost part had."""
    return module.eval().requires_grad_(False)


def _about(front_end: FrontEnd) -> dict[str, str]:
    return {"fs": f"{front_end.fs_model:g}", "leads": ",".join(LEADS), "amplitude": front_end.amplitude}


def _sizes(metadata: Mapping[str, str], n_records: int, n_pieces: int) -> dict[str, tuple[int, ...]]:
    if metadata["network"] == "encoder":
        n_times = round(float(metadata["stride"]) * n_pieces)
        beats = (n_records, int(metadata["beat_phases"]), n_pieces)
        return {"signal": (n_records, N_LEADS, n_times), "beats": beats}
    n_frames = n_pieces // 8
    fine, coarse = (round(n_frames * FRAME_S * float(metadata[name])) for name in ("fs_leads", "fs"))
    return {"leads": (n_records, n_records + 1, fine), "signal": (n_records, N_LEADS, coarse)}
