"""A U-Net over single leads, fed by an encoder of all leads: labels at the full rate of the signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from .blocks import ConvNorm, Encoder, ResidualBlock, to_image, to_tokens

FOLD = 4
"""Samples of a lead in one token of the finest level."""
N_LEVELS = 4
# [s] In a window of this length the encoder and every level have a whole number of tokens.
FRAME_S = 1.28
# [Hz] The rate of the leads is a multiple of this, so that a frame holds whole tokens of the coarsest level.
FS_STEP = FOLD * 2 ** (N_LEVELS - 1) / FRAME_S


class WaveUNet(nn.Module):
    """Label every sample of every lead: background, P, QRS, T.

    Each lead runs alone through a U-Net whose weights all leads share, so that any number of leads is possible. Its
    samples are folded into tokens (a view, without a copy). On the way down, two tokens become one at three levels; on
    the way up, every level also gets the map of its rate from the way down. The tokens of the finest level are unfolded
    into samples, so that borders are as sharp as the signal. A lead learns of the others in two ways: from the maps of
    all stages of the encoder, which has seen all leads, at the rate of the two middle levels; and from the mean over
    leads at the second coarsest level.

    Parameters
    ----------
    encoder : torch.nn.Module
        As returned by `build_encoder`. If it has ``stages(x)``, all these maps are used, otherwise its output.
    fs : float
        Sampling rate of the leads [Hz].
    fs_encoder : float
        Sampling rate of the encoder's input [Hz].
    widths : sequence of 4 ints
        Channels of the levels, from the finest to the coarsest.
    n_classes : int
        Number of labels.
    stage_widths : sequence of int, optional
        Channels of the encoder's maps; None asks the encoder.

    References
    ----------
    Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015, figure 1.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        fs: float,
        fs_encoder: float,
        widths: Sequence[int] = (32, 48, 64, 96),
        n_classes: int = 4,
        stage_widths: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if len(widths) != N_LEVELS or any(int(w) < 1 for w in widths):
            raise ValueError(f"widths must be {N_LEVELS} positive ints, got {widths!r}")
        self.encoder = encoder
        self.fs, self.fs_encoder, self.n_classes = float(fs), float(fs_encoder), n_classes
        a, b, c, d = (int(w) for w in widths)
        self.stem = ConvNorm(FOLD, a, 9)
        self.down0 = ResidualBlock(a, a, 5, pair=False)
        self.down1 = ResidualBlock(a, b, 7, pair=True)
        self.down2 = ResidualBlock(b, c, 7, pair=True)
        self.down3 = ResidualBlock(c, d, 7, pair=True)
        stages = _stage_widths(encoder) if stage_widths is None else stage_widths
        self.context1 = nn.ModuleList(ConvNorm(w, b, norm=False, relu=False) for w in stages)
        self.context2 = nn.ModuleList(ConvNorm(w, c, norm=False, relu=False) for w in stages)
        self.mix = ConvNorm(c, c)
        self.up2 = _Up(d, c, c)
        self.up1 = _Up(c, b, b)
        self.up0 = _Up(b, a, a)
        self.head = ConvNorm(a, FOLD * n_classes, norm=False, relu=False)

    def forward(self, leads: Tensor, signal: Tensor) -> Tensor:
        """Return logits ``(n, n_leads, n_times, n_classes)``, float32.

        Parameters
        ----------
        leads : Tensor (n, n_leads, n_times)
            At `fs`; n_times a multiple of the samples in `FRAME_S`.
        signal : Tensor (n, n_times_encoder, 12)
            The same time at `fs_encoder`; absent leads are 0.
        """
        n, n_leads, n_times = leads.shape
        maps = stage_maps(self.encoder, signal)
        x = to_image(leads.reshape(n * n_leads, n_times // FOLD, FOLD))
        h0 = self.down0(self.stem(x))
        h1 = self.down1(h0)
        h1 = self._with_context(h1, self.context1, maps, n_leads)
        h2 = self.down2(h1)
        h2 = self._with_context(h2, self.context2, maps, n_leads)
        h2 = h2 + _per_lead(self.mix(_mean_of_leads(h2, n)), n_leads)
        y = self.up2(self.down3(h2), h2)
        y = self.up0(self.up1(y, h1), h0)
        return to_tokens(self.head(y)).reshape(n, n_leads, n_times, self.n_classes).float()

    def _with_context(self, h: Tensor, layers: nn.ModuleList, maps: list[Tensor], n_leads: int) -> Tensor:
        """Add the encoder's maps at the rate of `h`."""
        n_tokens = h.shape[3]
        parts = [_interpolate(layer(to_image(m)), n_tokens) for layer, m in zip(layers, maps, strict=True)]
        return h + _per_lead(torch.stack(parts).sum(0), n_leads)


class _Up(nn.Module):
    """Doubles the tokens, adds the map of this level from the way down, and convolves twice."""

    def __init__(self, n_below: int, n_skip: int, n_out: int) -> None:
        super().__init__()
        self.below = ConvNorm(n_below, 2 * n_out, norm=False, relu=False)
        self.skip = ConvNorm(n_skip, n_out, norm=False, relu=False)
        self.conv = ConvNorm(n_out, n_out, 5)
        self.last = ConvNorm(n_out, n_out, 5)

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """Map ``(n, n_below, 1, n_tokens / 2)`` and ``(n, n_skip, 1, n_tokens)`` to ``(n, n_out, 1, n_tokens)``."""
        n, _, _, n_tokens = skip.shape
        unfolded = to_image(to_tokens(self.below(below)).reshape(n, n_tokens, -1))
        y = self.conv(self.skip(skip, unfolded))
        return cast(Tensor, self.last(y))


def stage_maps(encoder: nn.Module, signal: Tensor) -> list[Tensor]:
    """Return the maps ``(n, n_tokens, d)`` of an encoder's stages, or only its output if it has no stages."""
    if hasattr(encoder, "stages"):
        return list(cast(Any, encoder).stages(signal))
    return [encoder(signal)]


def _stage_widths(encoder: nn.Module) -> list[int]:
    if hasattr(encoder, "stage_widths"):
        return [int(w) for w in cast(Any, encoder).stage_widths]
    return [cast(Encoder, encoder).n_dims]


def _interpolate(image: Tensor, n_tokens: int) -> Tensor:
    """Interpolate a map linearly to `n_tokens` tokens of the same time."""
    if image.shape[3] == n_tokens:
        return image
    return nn.functional.interpolate(image, (1, n_tokens), mode="bilinear", align_corners=False)


def _mean_of_leads(h: Tensor, n: int) -> Tensor:
    tokens = to_tokens(h)
    return to_image(tokens.reshape(n, -1, *tokens.shape[1:]).mean(1))


def _per_lead(image: Tensor, n_leads: int) -> Tensor:
    """Repeat a record's map for each of its leads."""
    tokens = to_tokens(image)
    n, n_tokens, d = tokens.shape
    return to_image(tokens.unsqueeze(1).expand(n, n_leads, n_tokens, d).reshape(n * n_leads, n_tokens, d))
