"""Encoders for inference: BatchNorm folded into the convolutions, and bfloat16 where it is fast.

On CPUs one oneDNN call runs a convolution, the residual and the ReLU, with weights in oneDNN's layout. TorchInductor
calls it in the same way, but needs a compiler.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import ConvNorm, Encoder

_Module = TypeVar("_Module", bound=nn.Module)
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Weights are laid out for maps of so many records; other numbers of records are as fast. For another number of tokens
# oneDNN may want another layout, and would then convert the weights in every call: so each number has its own layout.
_TYPICAL_RECORDS = 32
_MOST_LAYOUTS = 8


def bf16_supported(device: torch.device | str = "cpu") -> bool:
    """Return whether `device` multiplies bfloat16 matrices in hardware, so that bfloat16 is faster than float32."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type != "cpu" or not _has_fused_calls(torch.bfloat16):
        return False
    checks: list[Callable[[], bool]] = [
        getattr(torch.cpu, name)
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        if hasattr(torch.cpu, name)
    ]
    return any(check() for check in checks)


def inference_module(encoder: nn.Module, precision: str = "fp32") -> nn.Module:
    """Copy `encoder` for inference.

    Parameters
    ----------
    encoder : torch.nn.Module
        As returned by `build_encoder`; it is not changed.
    precision : {"fp32", "bf16"}
        Number format of weights and activations. Sums inside a convolution are always float32.

    Returns
    -------
    torch.nn.Module
        It follows the encoder protocol. ``forward(x)`` takes float32 and returns the map in the number format, as an
        inference tensor: clone it before a computation with gradients.

    Raises
    ------
    ValueError
        If `precision` is unknown.
    """
    if precision not in _DTYPES:
        raise ValueError(f"precision must be one of {sorted(_DTYPES)}, got {precision!r}")
    return _Inference(encoder, _DTYPES[precision])


class _Inference(nn.Module):
    def __init__(self, encoder: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder).eval().requires_grad_(False)
        self.dtype = dtype
        fold_layers(self.encoder, dtype)
        # Other layers, of a user's encoder, stay float32: autocast chooses the format of each.
        self.autocast = dtype != torch.float32 and any(p.dtype == torch.float32 for p in self.encoder.parameters())
        for name in ("stride", "n_dims", "n_dims_record", "receptive_field"):
            setattr(self, name, getattr(encoder, name))
        self.pool_parts = getattr(encoder, "pool_parts", None)

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        if self.autocast:
            with torch.autocast(x.device.type, self.dtype):
                e: Tensor = self.encoder(x)
        else:
            e = self.encoder(x.to(self.dtype))
        return e

    @torch.inference_mode()
    def pool(self, e: Tensor) -> Tensor:
        """Return the encoder's embedding of the record."""
        return cast(Encoder, self.encoder).pool(e)


def fold_layers(module: _Module, dtype: torch.dtype) -> _Module:
    """Fold the norm of every `ConvNorm` layer into its weights, in place, for inference in a number format."""
    for name, child in module.named_children():
        if isinstance(child, ConvNorm):
            setattr(module, name, _FusedConv(child, dtype))
        else:
            fold_layers(child, dtype)
    return module.eval().requires_grad_(False)


class _FusedConv(nn.Module):
    """A `ConvNorm` whose norm is folded into the weights."""

    def __init__(self, layer: ConvNorm, dtype: torch.dtype) -> None:
        super().__init__()
        weight, bias = _folded_weights(layer)
        self.weight = nn.Parameter(weight.to(dtype, memory_format=torch.channels_last), requires_grad=False)
        self.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
        self.padding = [int(p) for p in layer.conv.padding]
        self.stride = [1, 1]
        self.relu = layer.relu
        self._layouts: dict[int, Tensor] = {}

    def _packed(self, n_tokens: int) -> Tensor | None:
        """Return the weights in oneDNN's layout; None if plain convolutions must do, as where oneDNN cannot."""
        found = self._layouts.get(n_tokens)
        if found is None and self.weight.device.type == "cpu" and _has_fused_calls(self.weight.dtype):
            if len(self._layouts) >= _MOST_LAYOUTS:
                self._layouts = {}
            size = [_TYPICAL_RECORDS, self.weight.shape[1], 1, n_tokens]
            found = self._layouts[n_tokens] = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight.detach(), self.padding, self.stride, [1, 1], 1, size
            )
        return found

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        # An encoder that also has other layers gets float32 (autocast), which oneDNN does not take beside bfloat16.
        x = x.to(self.weight.dtype)
        residual = None if residual is None else residual.to(self.weight.dtype)
        packed = self._packed(x.shape[3])
        if packed is None:
            # Without oneDNN a processor is many times faster in float32 than in bfloat16, and rounds once per layer.
            work = torch.float32 if x.device.type == "cpu" else x.dtype
            with torch.autocast(x.device.type, enabled=False):
                y = F.conv2d(x.to(work), self.weight.to(work), self.bias.to(work), self.stride, self.padding)
            y = y if residual is None else y.add_(residual)
            return (F.relu_(y) if self.relu else y).to(x.dtype)
        geometry = (packed, self.bias, self.padding, self.stride, [1, 1], 1)
        unary = "relu" if self.relu else "none"
        if residual is None:
            fused: Tensor = torch.ops.mkldnn._convolution_pointwise(x, *geometry, unary, [], "")
        else:
            fused = torch.ops.mkldnn._convolution_pointwise_.binary(
                residual, x, *geometry, "add", 1.0, unary if self.relu else None, [], None
            )
        return fused

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> _FusedConv:
        super()._apply(fn, recurse)
        self._layouts = {}
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_layouts": {}}


def _folded_weights(layer: ConvNorm) -> tuple[Tensor, Tensor]:
    weight = layer.conv.weight.detach()
    norm = layer.norm
    if norm is None:
        assert layer.conv.bias is not None
        return weight, layer.conv.bias.detach()
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)
    return weight * scale[:, None, None, None], norm.bias.detach() - norm.running_mean * scale


@lru_cache(maxsize=2)
def _has_fused_calls(dtype: torch.dtype) -> bool:
    """Return whether oneDNN runs a whole layer in one call. It refuses bfloat16 on processors without AVX-512."""
    names = ("_convolution_pointwise", "_convolution_pointwise_", "_reorder_convolution_weight")
    ops = torch.ops.mkldnn
    if not torch.backends.mkldnn.is_available() or not all(hasattr(ops, name) for name in names):
        return False
    if dtype != torch.bfloat16:
        return True
    return hasattr(ops, "_is_mkldnn_bf16_supported") and bool(ops._is_mkldnn_bf16_supported())
