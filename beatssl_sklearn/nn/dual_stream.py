"""DualStream: lead groups encoded apart, by residual networks that share nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from .blocks import (
    POOL_PARTS,
    TOKEN_MULTIPLE,
    ConvNorm,
    ResidualBlock,
    checked_size,
    fold_tokens,
    init_weights,
    pad_times,
    pool_tokens,
    to_image,
    to_tokens,
)

LEAD_ORDER = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""Leads of the last axis of a network's input."""
LEAD_GROUPS = (LEAD_ORDER[:6], LEAD_ORDER[6:])
_STEM_TAPS = 7


class LeadGroupEncoder(nn.Module):
    """Residual networks in one dimension, one for each group of leads; tokens lie side by side.

    Each stream has a stem of stride 2 and four stages of two residual blocks. It sees the leads of its group only. A
    group without any lead has one trained vector in place of its tokens. Only records that lack the group train it, or
    the parameter `group_dropout` of the objective `DualStream`; without them it stays 0.

    Parameters
    ----------
    fs_model : float
        Sampling rate of the input [Hz].
    lead_groups : sequence of sequences of str
        A partition of some of the twelve leads, in any case; by default limb leads and chest leads.
    widths : sequence of 4 ints
        Channels of the stages; the last is the width of a stream's token.
    strides : sequence of 4 ints
        1 or 2 for each stage. The default keeps 12.5 tokens per second at 100 Hz.
    kernel_size : int
        Taps of a convolution, odd.

    References
    ----------
    In the manner of Dade et al., Heart Rhythm O2 2026 (lead groups encoded independently). The publication does not
    define its streams. He et al., CVPR 2016 (residual blocks).
    """

    pool_parts = POOL_PARTS

    def __init__(
        self,
        fs_model: float,
        *,
        lead_groups: Sequence[Sequence[str]] = LEAD_GROUPS,
        widths: Sequence[int] = (32, 64, 96, 128),
        strides: Sequence[int] = (1, 2, 2, 1),
        kernel_size: int = 7,
    ) -> None:
        super().__init__()
        if not fs_model > 0:
            raise ValueError(f"fs_model must be a positive rate in Hz, got {fs_model!r}")
        self.groups = _positions(lead_groups)
        if not isinstance(widths, (list, tuple)) or len(widths) != 4:
            raise ValueError(f"widths must be four integers, got {widths!r}")
        if not isinstance(strides, (list, tuple)) or len(strides) != 4 or not set(strides) <= {1, 2}:
            raise ValueError(f"strides must be four of 1 and 2, got {strides!r}")
        channels = [checked_size("widths", width, 4096) for width in widths]
        if checked_size("kernel_size", kernel_size, 255) % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size!r}")
        self.fs_model = float(fs_model)
        self.stride = 2
        for step in strides:
            self.stride *= step
        self.stream_width = channels[-1]
        self.n_dims = self.stream_width * len(self.groups)
        self.n_dims_record = 3 * self.n_dims
        self.taps, self.strides = kernel_size, tuple(strides)
        self.networks = nn.ModuleList(_Stream(len(group), channels, strides, kernel_size) for group in self.groups)
        self.absent = nn.Linear(len(self.groups), self.stream_width, bias=False)

    @property
    def receptive_field(self) -> float:
        """Length of the signal that one token depends on [s]."""
        reach, step = 2 * (_STEM_TAPS - 1) + 2, 2
        for stride in self.strides:
            first = self.taps // 4 * 2 + 1 if stride == 2 else self.taps
            step *= stride
            # Taps of the four convolutions of a stage, in samples, and the pair that a stride of 2 joins.
            reach += (first - 1 + 3 * (self.taps - 1)) * step + (step // 2 if stride == 2 else 0)
        return reach / self.fs_model

    def draw_weights(self, generator: torch.Generator) -> None:
        """Draw all weights, stream by stream; the vectors of absent groups are 0."""
        for network in self.networks:
            init_weights(network, generator)
        nn.init.zeros_(self.absent.weight)

    def streams(self, x: Tensor) -> list[Tensor]:
        """Encode each group of leads.

        Parameters
        ----------
        x : Tensor (n, n_times, 12)
            Signals; leads that are absent are 0.

        Returns
        -------
        list of Tensor (n, ceil(n_times / stride), stream_width)
            One per group.
        """
        n_tokens = -(-x.shape[1] // self.stride)
        padded = pad_times(x, self.stride * TOKEN_MULTIPLE)
        found = []
        for k, (network, group) in enumerate(zip(self.networks, self.groups, strict=True)):
            own = padded[:, :, group]
            tokens = to_tokens(network(to_image(own.contiguous())))[:, :n_tokens]
            there = own.abs().amax(dim=(1, 2)) > 0
            found.append(torch.where(there[:, None, None], tokens, self.absent.weight[:, k].to(tokens.dtype)))
        return found

    def absent_vectors(self) -> Tensor:
        """Return what stands for the tokens of absent groups, ``(n_groups, stream_width)``."""
        return self.absent.weight.T

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x (n, n_times, 12)`` to ``(n, ceil(n_times / stride), n_dims)``."""
        return torch.cat(self.streams(x), dim=2)

    def pool(self, e: Tensor) -> Tensor:
        """Compute mean, maximum and standard deviation over tokens, ``(n, 3 * n_dims)`` float32."""
        return pool_tokens(e)


class _Stream(nn.Module):
    def __init__(self, n_leads: int, widths: Sequence[int], strides: Sequence[int], kernel_size: int) -> None:
        super().__init__()
        self.stem = ConvNorm(2 * n_leads, widths[0], _STEM_TAPS)
        blocks = []
        for n_in, n_out, stride in zip((widths[0], *widths), widths, strides, strict=False):
            blocks += [ResidualBlock(n_in, n_out, kernel_size, pair=stride == 2)]
            blocks += [ResidualBlock(n_out, n_out, kernel_size, pair=False)]
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        image: Tensor = self.blocks(self.stem(fold_tokens(x, 2)))
        return image


def _positions(lead_groups: Sequence[Sequence[str]]) -> list[list[int]]:
    """Return the places of the leads of each group among the twelve."""
    place = {lead.lower(): k for k, lead in enumerate(LEAD_ORDER)}
    groups = [_listed(group) for group in _listed(lead_groups)]
    found = [[place.get(lead.lower(), -1) if isinstance(lead, str) else -1 for lead in group] for group in groups]
    named = [k for group in found for k in group]
    if not found or not all(found) or -1 in named or len(set(named)) < len(named):
        raise ValueError(
            f"lead_groups must be a list of lists (groups of leads), of some of {', '.join(LEAD_ORDER)}, each lead in "
            f"one group, got {lead_groups!r}"
        )
    return found


def _listed(given: object) -> list[object]:
    """Return the entries of a sequence; none of what is no sequence, or a text."""
    return list(given) if isinstance(given, Iterable) and not isinstance(given, str) else []
