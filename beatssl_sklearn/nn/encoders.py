"""Encoders map ``x (n, n_times, 12)`` to a feature map ``e (n, n_tokens, d)``; made by name, class or callable.

All encoders, also your own, follow this protocol:

- a ``torch.nn.Module``, made by ``Encoder(fs_model, **params)``;
- ``forward(x)``: float32 ``(n, n_times, 12)`` to ``(n, ceil(n_times / stride), n_dims)``, for any ``n_times >= 1``;
- ``stride``: samples per token; sample ``s`` lies at token ``u = (s + .5) / stride - .5``;
- ``n_dims``: width of a token; ``receptive_field``: in seconds;
- ``pool(e)``: embedding of the record, float32 ``(n, n_dims_record)``; ``n_dims_record``: its width;
- ``pool_parts``, optional: names of the equally wide parts of that embedding, such as ``("mean", "max")``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import nn

from .beatnet import BeatNet
from .blocks import Encoder, init_weights
from .dual_stream import LeadGroupEncoder
from .resnet1d import ResNet1d
from .transformer import Transformer

ENCODERS: dict[str, Callable[..., nn.Module]] = {
    "beatnet": BeatNet,
    "dual_stream": LeadGroupEncoder,
    "resnet1d": ResNet1d,
    "transformer": Transformer,
}


def build_encoder(
    encoder: str | Callable[..., nn.Module],
    fs_model: float,
    params: Mapping[str, Any] | None,
    generator: torch.Generator,
) -> nn.Module:
    """Build an encoder with weights drawn from `generator`.

    Parameters
    ----------
    encoder : str, class or callable
        A name in ``ENCODERS``, or a callable ``encoder(fs_model, **params)`` that returns a module with the protocol
        of this file.
    fs_model : float
        Sampling rate of the network's input [Hz].
    params : mapping, optional
        Parameters of the encoder.
    generator : torch.Generator
        On the CPU. The global random state stays as it is, even if the encoder draws from it.

    Returns
    -------
    torch.nn.Module
        In training mode, on the CPU.

    Raises
    ------
    ValueError
        If the name is unknown, or if a parameter is unknown or out of range.
    TypeError
        If `encoder` is neither a name nor a callable, or if it does not return a module with the protocol.
    """
    params = dict(params or {})
    if not isinstance(encoder, str):
        return _build_foreign(encoder, fs_model, params, generator)
    return init_weights(encoder_outline(encoder, fs_model, params).to_empty(device="cpu"), generator)


def encoder_outline(encoder: str, fs_model: float, params: Mapping[str, Any] | None) -> nn.Module:
    """Return an encoder on the meta device: names, shapes and sizes, without the memory of the weights.

    Parameters
    ----------
    encoder : str
        A name in ``ENCODERS``.
    fs_model : float
        Sampling rate of the network's input [Hz].
    params : mapping, optional
        Parameters of the encoder.

    Returns
    -------
    torch.nn.Module
        It cannot run.

    Raises
    ------
    ValueError
        If the name is unknown, or if a parameter is unknown or out of range.
    """
    params = dict(params or {})
    if encoder not in ENCODERS:
        raise ValueError(f"encoder must be one of {sorted(ENCODERS)}, a class or a callable, got {encoder!r}")
    factory = ENCODERS[encoder]
    known = [name for name in inspect.signature(factory).parameters if name != "fs_model"]
    unknown = sorted(set(params) - set(known))
    if unknown:
        raise ValueError(f"encoder_params: encoder {encoder!r} has no parameters {unknown}, it has {known}")
    with torch.device("meta"):
        return factory(fs_model, **params)


def _build_foreign(
    encoder: Callable[..., nn.Module], fs_model: float, params: dict[str, Any], generator: torch.Generator
) -> nn.Module:
    if not callable(encoder):
        raise TypeError(f"encoder must be one of {sorted(ENCODERS)}, a class or a callable, got {encoder!r}")
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        module = encoder(fs_model, **params)
    if not isinstance(module, nn.Module):
        raise TypeError(f"encoder {encoder!r} must return a torch.nn.Module, got {type(module).__name__}")
    missing = [
        name for name in ("stride", "n_dims", "n_dims_record", "receptive_field", "pool") if not hasattr(module, name)
    ]
    if missing:
        raise TypeError(f"encoder {encoder!r} must return a module with {missing}")
    parts, width = getattr(module, "pool_parts", None), cast(Encoder, module).n_dims_record
    if parts and width % len(parts):
        raise ValueError(f"encoder {encoder!r}: n_dims_record = {width} has no {len(parts)} equal pool_parts")
    # Whatever torch's default type is.
    return module.float()
