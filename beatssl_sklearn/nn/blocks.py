"""Convolutions on channels-last signals, and a seeded initialisation.

A signal ``(n, n_tokens, d)`` is convolved as an image of height 1, ``(n, d, 1, n_tokens)`` in channels-last memory.
These are the same bytes, without a copy, and only this layout makes low-precision convolutions fast on CPUs.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

N_LEADS = 12
# oneDNN convolves a multiple of 16 tokens at full speed, and a prime number up to five times slower.
TOKEN_MULTIPLE = 16


def pad_times(x: Tensor, multiple: int) -> Tensor:
    """Zero-pad ``(n, n_times, 12)`` on the right to a multiple of `multiple` samples, contiguous."""
    if x.ndim != 3 or x.shape[2] != N_LEADS or x.shape[1] < 1:
        raise ValueError(f"x must have shape (n, n_times >= 1, {N_LEADS}), got {tuple(x.shape)}")
    missing = -x.shape[1] % multiple
    return F.pad(x, (0, 0, 0, missing)) if missing else x.contiguous()


class Encoder(Protocol):
    """Type of an encoder; `nn.encoders` describes it in words."""

    stride: float
    n_dims: int
    n_dims_record: int
    receptive_field: float

    def __call__(self, x: Tensor) -> Tensor: ...

    def pool(self, e: Tensor) -> Tensor:
        """Return the embeddings of records.

        Parameters
        ----------
        e : Tensor (n, n_tokens, n_dims)
            Their tokens.

        Returns
        -------
        Tensor (n, n_dims_record) float32
            One row per record.
        """


class MaskingEncoder(Encoder, Protocol):
    """An encoder whose tokens can be hidden between a stem and what lets them see each other."""

    stem_width: int

    def embed(self, x: Tensor) -> Tensor:
        """Map signals ``(n, n_times, 12)`` to tokens ``(n, n_tokens, stem_width)`` that do not see each other."""

    def contextualize(
        self,
        tokens: Tensor,
        masked: Tensor | None = None,
        filler: Tensor | None = None,
        signal: Tensor | None = None,
    ) -> Tensor:
        """Map tokens to ``(n, n_tokens, n_dims)``, with `filler` in place of those that are masked.

        `signal` is what `embed` has read. An encoder may ignore it.
        """


class StreamEncoder(Encoder, Protocol):
    """An encoder that encodes groups of leads apart."""

    stream_width: int
    groups: list[list[int]]

    def streams(self, x: Tensor) -> list[Tensor]:
        """Map signals ``(n, n_times, 12)`` to a feature map ``(n, n_tokens, stream_width)`` for each group."""


POOL_PARTS = ("mean", "max", "sd")
"""What `pool_tokens` puts side by side."""


def checked_size(name: str, value: Any, largest: int) -> int:
    """Return a size as an int.

    Raises
    ------
    ValueError
        If it is no integer from 1 to `largest`; the message names the parameter and its value.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value <= largest:
        raise ValueError(f"{name} must be an integer from 1 to {largest}, got {value!r}")
    return int(value)


def pool_tokens(e: Tensor) -> Tensor:
    """Compute mean, maximum and standard deviation over the tokens of ``(n, n_tokens, d)``: ``(n, 3 * d)`` float32."""
    pooled: Tensor = _MeanMaxDeviation.apply(e)
    return pooled


# Added to the variance before the root [squared activation], because the derivative of a root at 0 is infinite.
_VARIANCE_FLOOR = 1e-4


class _MeanMaxDeviation(torch.autograd.Function):
    """Three statistics; the backward reads the map once, where autograd would read it nine times."""

    @staticmethod
    def forward(ctx: Any, e: Tensor) -> Tensor:
        if e.device.type == "cpu" and e.dtype == torch.bfloat16 and len(e):
            # Record by record, so that the float32 copy stays in the cache.
            rows = [_statistics(record.float()) for record in e]
            mean, top, variance = (torch.stack(part) for part in zip(*rows, strict=True))
        else:
            mean, top, variance = _statistics(e.float().transpose(0, 1))
        deviation = variance.add_(_VARIANCE_FLOOR).sqrt_()
        ctx.save_for_backward(e, mean, top, deviation)
        return torch.cat([mean, top, deviation], dim=1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        e, mean, top, deviation = ctx.saved_tensors
        grad_mean, grad_top, grad_deviation = grad.chunk(3, dim=1)
        is_top = e == top.to(e.dtype)[:, None]
        # The gradient is slope * e + low, and a share more where the maximum is.
        slope = grad_deviation / (deviation * e.shape[1])
        low = grad_mean / e.shape[1] - slope * mean
        high = low + grad_top / is_top.float().sum(1)
        level = torch.where(is_top, high.to(e.dtype)[:, None], low.to(e.dtype)[:, None])
        return level.addcmul_(e, slope.to(e.dtype)[:, None])


def _statistics(tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute mean, maximum and variance over the first axis; two passes keep the variance of flat maps exact."""
    mean = tokens.mean(0)
    return mean, tokens.amax(0), (tokens - mean).square_().mean(0)


def to_image(e: Tensor) -> Tensor:
    """View ``(n, n_tokens, d)`` as a channels-last image ``(n, d, 1, n_tokens)``."""
    return e.unsqueeze(1).permute(0, 3, 1, 2)


def to_tokens(image: Tensor) -> Tensor:
    """View a channels-last image ``(n, d, 1, n_tokens)`` as ``(n, n_tokens, d)``."""
    return image.permute(0, 2, 3, 1).squeeze(1)


def fold_tokens(image: Tensor, factor: int) -> Tensor:
    """Join `factor` neighbouring tokens into one with `factor` times the channels (space to depth); a view."""
    tokens = to_tokens(image)
    n, n_tokens, d = tokens.shape
    return to_image(tokens.reshape(n, n_tokens // factor, d * factor))


class ConvNorm(nn.Module):
    """``relu(norm(conv(x)) + residual)``, the only layer of the encoders.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    kernel_size : int
        Taps, odd; zero padding keeps the length of the signal.
    norm : bool
        Whether to normalise (BatchNorm); otherwise there is a bias.
    relu : bool
        Whether to end with a ReLU.

    Notes
    -----
    There are no strides: `fold_tokens` joins neighbouring tokens before a convolution. So output tokens lie in the
    middle of their inputs. And oneDNN 3.12 (torch 2.13) on CPUs with AMX gives *wrong* bfloat16 results for strided
    convolutions of few channels (4, 8 or 12 channels, 8 or 16 taps).
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int = 1, norm: bool = True, relu: bool = True) -> None:
        super().__init__()
        self.taps = kernel_size
        self.conv = nn.Conv2d(n_in, n_out, (1, kernel_size), padding=(0, kernel_size // 2), bias=not norm)
        self.norm = nn.BatchNorm2d(n_out) if norm else None
        self.relu = relu

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Map an image ``(n, n_in, 1, n_tokens)`` to ``(n, n_out, 1, n_tokens)``.

        The caller must not use `residual` again: in inference the result is written into it.
        """
        y: Tensor = self.conv(x)
        if self.norm is not None:
            y = self.norm(y)
        if residual is not None:
            y = y.add_(residual)
        return F.relu_(y) if self.relu else y


class ResidualBlock(nn.Module):
    """Two convolutions and a skip.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    kernel_size : int
        Taps, odd.
    pair : bool
        Whether to join neighbouring tokens first, which halves their number like a stride of 2. The first convolution
        then has so many taps that they cover about `kernel_size` single tokens.
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int, pair: bool) -> None:
        super().__init__()
        self.pair = pair
        n_in = 2 * n_in if pair else n_in
        first_taps = kernel_size // 4 * 2 + 1 if pair else kernel_size
        self.conv1 = ConvNorm(n_in, n_out, first_taps)
        self.conv2 = ConvNorm(n_out, n_out, kernel_size)
        self.skip = ConvNorm(n_in, n_out, relu=False) if n_in != n_out or pair else None

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, n_in, 1, n_tokens)`` to ``(n, n_out, 1, n_tokens)``, half of it if `pair`; can overwrite `x`."""
        x = fold_tokens(x, 2) if self.pair else x
        residual = x if self.skip is None else self.skip(x)
        return self.conv2(self.conv1(x), residual)


def init_weights(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """Draw all parameters of `module` from `generator` (on the CPU), and reset its buffers; all become float32.

    Convolutions and linear layers get He's normal initialisation (fan in) and zero biases; normalisations become the
    identity. A module with a method ``draw_weights(generator)`` draws its own. The global random state stays as it is.

    Raises
    ------
    TypeError
        If a submodule of another kind has parameters.

    References
    ----------
    He et al., "Delving Deep into Rectifiers", ICCV 2015, equation 10.
    """
    # Whatever torch's default type is: inputs are float32.
    module.float()
    own = getattr(module, "draw_weights", None)
    if own is not None:
        own(generator)
        return module
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            draw = torch.empty(layer.weight.shape, dtype=torch.float32)
            nn.init.kaiming_normal_(draw, nonlinearity="relu", generator=generator)
            with torch.no_grad():
                layer.weight.copy_(draw)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm | nn.LayerNorm):
            layer.reset_parameters()
        elif next(layer.parameters(recurse=False), None) is not None:
            raise TypeError(f"init_weights: cannot initialise {name or 'module'} of type {type(layer).__name__}")
    return module
