"""A U-Net over single leads, alone or fed by an encoder of all leads: labels at the full rate of the signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from .blocks import ConvNorm, Encoder, ResidualBlock, to_image, to_tokens

FOLD = 4
"""Samples of a lead in one token of the finest level."""
LEVELS = (4, 5)
"""Levels that the U-Net may have."""
# [s] In a window of this length the encoder and every level have a whole number of tokens.
FRAME_S = 1.28


def rate_step(n_levels: int) -> float:
    """Return what the rate of the leads is a multiple of [Hz], so that a frame holds whole tokens of every level."""
    return FOLD * 2 ** (n_levels - 1) / FRAME_S


class WaveUNet(nn.Module):
    """Label every sample of every lead: background, P, QRS, T.

    Each lead runs alone through a U-Net whose weights all leads share, so that any number of leads is possible. Its
    samples are folded into tokens (a view, without a copy). On the way down, two tokens become one at each level; on
    the way up, every level also gets the map of its rate from the way down. The tokens of the finest level are unfolded
    into samples, so that borders are as sharp as the signal. A lead learns of the others in two ways. With an encoder:
    from the maps of all its stages, which have seen all leads, at the second and third level; and from the mean over
    leads at the third. Without: from the mean over leads at the second level and at the coarsest, so that it does not
    matter which leads there are, and what they are called.

    Parameters
    ----------
    encoder : torch.nn.Module or None
        As returned by `build_encoder`. If it has ``stages(x)``, all these maps are used, otherwise its output.
    fs : float
        Sampling rate of the leads [Hz].
    fs_encoder : float
        Sampling rate of the encoder's input [Hz].
    widths : sequence of 4 or 5 ints
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
        encoder: nn.Module | None,
        *,
        fs: float,
        fs_encoder: float,
        widths: Sequence[int] = (32, 48, 64, 96),
        n_classes: int = 4,
        stage_widths: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if len(widths) not in LEVELS or any(int(w) < 1 for w in widths):
            raise ValueError(f"widths must be {' or '.join(map(str, LEVELS))} positive ints, got {widths!r}")
        self.encoder = encoder
        self.fs, self.fs_encoder, self.n_classes = float(fs), float(fs_encoder), n_classes
        w = tuple(int(width) for width in widths)
        self.stem = ConvNorm(FOLD, w[0], 9)
        self.down0 = ResidualBlock(w[0], w[0], 5, pair=False)
        for k in range(1, len(w)):
            setattr(self, f"down{k}", ResidualBlock(w[k - 1], w[k], 7, pair=True))
        # Levels at which the leads' mean is added, and the names of the layers.
        self.mixes = {2: "mix"} if encoder is not None else {1: "mix1", len(w) - 1: "mix_top"}
        if encoder is not None:
            stages = _stage_widths(encoder) if stage_widths is None else stage_widths
            self.context1 = nn.ModuleList(ConvNorm(n, w[1], norm=False, relu=False) for n in stages)
            self.context2 = nn.ModuleList(ConvNorm(n, w[2], norm=False, relu=False) for n in stages)
        for level, name in self.mixes.items():
            setattr(self, name, ConvNorm(w[level], w[level]))
        self.n_levels = len(w)
        for k in reversed(range(len(w) - 1)):
            setattr(self, f"up{k}", _Up(w[k + 1], w[k], w[k]))
        self.head = ConvNorm(w[0], FOLD * n_classes, norm=False, relu=False)

    def forward(self, leads: Tensor, signal: Tensor | None = None, votes: Tensor | None = None) -> Tensor:
        """Return logits ``(n, n_leads, n_times, n_classes)``, float32.

        Parameters
        ----------
        leads : Tensor (n, n_leads, n_times)
            At `fs`; n_times a multiple of the samples in `FRAME_S`.
        signal : Tensor (n, n_times_encoder, 12), optional
            The same time at `fs_encoder`, for the encoder; absent leads are 0.
        votes : Tensor (n, n_leads, n_times), optional
            1 where a lead counts in the mean over leads, 0 where it has no signal; None: all count. Where none does,
            all count.
        """
        n, n_leads, n_times = leads.shape
        maps = [] if self.encoder is None else stage_maps(self.encoder, cast(Tensor, signal))
        h = self.stem(to_image(leads.reshape(n * n_leads, n_times // FOLD, FOLD)))
        levels = []
        for k in range(self.n_levels):
            h = getattr(self, f"down{k}")(h)
            if maps and k in (1, 2):
                h = self._with_context(h, self.context1 if k == 1 else self.context2, maps, n_leads)
            if k in self.mixes:
                h = h + _per_lead(getattr(self, self.mixes[k])(_mean_of_leads(h, n, votes)), n_leads)
            levels.append(h)
        y = levels.pop()
        for k in reversed(range(len(levels))):
            y = getattr(self, f"up{k}")(y, levels[k])
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


def _mean_of_leads(h: Tensor, n: int, votes: Tensor | None) -> Tensor:
    tokens = to_tokens(h)
    tokens = tokens.reshape(n, -1, *tokens.shape[1:])
    mean = tokens.mean(1)
    if votes is not None:
        weight = votes.reshape(*tokens.shape[:3], -1).mean(3)
        total = weight.sum(1, keepdim=True)
        some = (weight.unsqueeze(3) * tokens).sum(1) / total.clamp_min(0.5 / votes.shape[2]).movedim(1, 2)
        # Where all leads count, or none does, the plain mean: a record's bits do not depend on the others.
        uneven = (total > 0) & (weight < 1).any(1, keepdim=True)
        mean = torch.where(uneven.movedim(1, 2), some, mean)
    return to_image(mean)


def _per_lead(image: Tensor, n_leads: int) -> Tensor:
    """Repeat a record's map for each of its leads."""
    tokens = to_tokens(image)
    n, n_tokens, d = tokens.shape
    return to_image(tokens.unsqueeze(1).expand(n, n_leads, n_tokens, d).reshape(n * n_leads, n_tokens, d))
