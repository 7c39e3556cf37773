"""Transformer: a convolutional stem, and attention between all tokens of a record."""

from __future__ import annotations

from math import log2

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import AttentionLayer
from .blocks import N_LEADS, POOL_PARTS, checked_size, pad_times, pool_tokens

# Tokens per second that the stem comes closest to (Oh et al. 2022: 31.25 at 500 Hz and four layers).
TOKEN_RATE = 31.25
_STANDARD_DEVIATION = 0.02


def stem_layers(fs_model: float) -> int:
    """Return how many layers of stride 2 bring a rate [Hz] close to 31 tokens per second; at least one."""
    return max(1, round(log2(fs_model / TOKEN_RATE)))


class Transformer(nn.Module):
    """Transformer on tokens of about 32 ms, in the manner of wav2vec 2.0.

    The stem is a stack of convolutions of width 2 and stride 2. A norm and a linear layer bring its output to the width
    of the tokens, a convolution over tokens adds their relative positions, and attention layers follow. Every token
    sees the whole record.

    Parameters
    ----------
    fs_model : float
        Sampling rate of the input [Hz].
    n_dims : int
        Width of a token.
    n_layers : int
        Attention layers.
    n_heads : int
        Heads of a layer; they divide `n_dims`.
    stem_width : int
        Channels of the stem.
    feed_forward : int
        Hidden width of the layers.
    position_taps : int
        Tokens that the convolution of positions sees, odd.
    stem_norm : {"none", "group"}
        "group" normalises the first layer over the record, as published. It takes the voltage away, and makes a token
        depend on the length of the record.
    lead_token : bool
        Whether a linear map of the leads that carry a signal is added to every token, also to hidden ones. Then the
        network can tell a lead that is absent, or that a view has set to 0, from one that is at rest.

    References
    ----------
    Oh J et al. Lead-agnostic self-supervised learning for local and global representations of electrocardiogram. CHIL
    2022, arXiv 2203.06889, section 3.1 (there: 768 wide, 12 layers, norm after each layer). Baevski A et al. wav2vec
    2.0. NeurIPS 2020. `lead_token` is this package's own.
    """

    pool_parts = POOL_PARTS

    def __init__(
        self,
        fs_model: float,
        *,
        n_dims: int = 128,
        n_layers: int = 4,
        n_heads: int = 4,
        stem_width: int = 64,
        feed_forward: int = 512,
        position_taps: int = 31,
        stem_norm: str = "none",
        lead_token: bool = False,
    ) -> None:
        super().__init__()
        if not fs_model > 0:
            raise ValueError(f"fs_model must be a positive rate in Hz, got {fs_model!r}")
        self.fs_model = float(fs_model)
        self.n_dims = checked_size("n_dims", n_dims, 4096)
        n_layers, n_heads = checked_size("n_layers", n_layers, 48), checked_size("n_heads", n_heads, 64)
        width, hidden = checked_size("stem_width", stem_width, 4096), checked_size("feed_forward", feed_forward, 16384)
        if self.n_dims % n_heads:
            raise ValueError(f"n_heads must divide n_dims = {n_dims}, got {n_heads!r}")
        if checked_size("position_taps", position_taps, 255) % 2 == 0:
            raise ValueError(f"position_taps must be odd, got {position_taps!r}")
        if stem_norm not in ("none", "group"):
            raise ValueError(f"stem_norm must be one of none, group, got {stem_norm!r}")
        if not isinstance(lead_token, (bool, np.bool_)):
            raise ValueError(f"lead_token must be True or False, got {lead_token!r}")
        n_stem = stem_layers(fs_model)
        self.stride = 2**n_stem
        self.n_dims_record = 3 * self.n_dims
        self.stem_width = width
        self.receptive_field = float("inf")
        self.stem = nn.ModuleList(nn.Linear(2 * (width if k else N_LEADS), width) for k in range(n_stem))
        self.stem_norm = nn.GroupNorm(width, width) if stem_norm == "group" else None
        self.norm_in = nn.LayerNorm(width)
        self.widen = nn.Linear(width, self.n_dims)
        groups = max(g for g in range(1, 9) if self.n_dims % g == 0)
        self.position = nn.Conv1d(self.n_dims, self.n_dims, position_taps, padding=position_taps // 2, groups=groups)
        self.layers = nn.ModuleList(AttentionLayer(self.n_dims, n_heads, hidden) for _ in range(n_layers))
        self.norm_out = nn.LayerNorm(self.n_dims)
        # The last layer, so that the others draw the same weights with and without it.
        self.lead_token = nn.Linear(N_LEADS, self.n_dims) if lead_token else None

    def draw_weights(self, generator: torch.Generator) -> None:
        """Draw all weights: normal with a small deviation, biases 0, norms the identity."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv1d):
                draw = torch.empty(layer.weight.shape).normal_(0, _STANDARD_DEVIATION, generator=generator)
                if layer in list(self.stem) or layer is self.widen:
                    nn.init.kaiming_normal_(draw, nonlinearity="relu", generator=generator)
                with torch.no_grad():
                    layer.weight.copy_(draw)
                    if layer.bias is not None:
                        layer.bias.zero_()
            elif isinstance(layer, nn.LayerNorm | nn.GroupNorm):
                layer.reset_parameters()

    def embed(self, x: Tensor) -> Tensor:
        """Map ``x (n, n_times, 12)`` to the stem's tokens ``(n, ceil(n_times / stride), stem_width)``."""
        tokens = pad_times(x, self.stride)
        for k, layer in enumerate(self.stem):
            n, n_tokens, d = tokens.shape
            tokens = layer(tokens.reshape(n, n_tokens // 2, 2 * d))
            if k == 0 and self.stem_norm is not None:
                tokens = self.stem_norm(tokens.transpose(1, 2)).transpose(1, 2)
            tokens = F.gelu(tokens)
        return tokens

    def contextualize(
        self,
        tokens: Tensor,
        masked: Tensor | None = None,
        filler: Tensor | None = None,
        signal: Tensor | None = None,
    ) -> Tensor:
        """Let the tokens of `embed` see each other.

        Parameters
        ----------
        tokens : Tensor (n, n_tokens, stem_width)
            From `embed`.
        masked : bool Tensor (n, n_tokens), optional
            Tokens to hide.
        filler : Tensor (n_dims,), optional
            What stands in their places.
        signal : Tensor (n, n_times, 12), optional
            What `embed` has read. Only an encoder with `lead_token` needs it.

        Returns
        -------
        Tensor (n, n_tokens, n_dims)

        Raises
        ------
        ValueError
            If `filler` or `signal` is missing where it is needed.
        """
        h: Tensor = self.widen(self.norm_in(tokens))
        if masked is not None:
            if filler is None:
                raise ValueError("masked tokens need a filler")
            h = torch.where(masked[..., None], filler.to(h.dtype), h)
        if self.lead_token is not None:
            if signal is None:
                raise ValueError("signal is missing: lead_token=True needs contextualize(..., signal=x)")
            h = h + self.lead_token((signal != 0).any(dim=1).to(h.dtype))[:, None]
        h = h + F.gelu(self.position(h.transpose(1, 2))).transpose(1, 2)
        for layer in self.layers:
            h = layer(h)
        out: Tensor = self.norm_out(h)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x (n, n_times, 12)`` to ``(n, ceil(n_times / stride), n_dims)``."""
        return self.contextualize(self.embed(x), signal=x)

    def pool(self, e: Tensor) -> Tensor:
        """Compute mean, maximum and standard deviation over tokens, ``(n, 3 * n_dims)`` float32."""
        return pool_tokens(e)
