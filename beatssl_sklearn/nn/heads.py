"""Heads on an encoder: projectors for contrasts, and a linear prediction of features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import init_weights


class Projector(nn.Module):
    """Linear, LayerNorm, ReLU, linear: g_r for records and g_b for beats.

    It has LayerNorm, not BatchNorm: a batch can hold any number of beats, even one, often from few records, and batch
    statistics would give away which beats are together.

    Parameters
    ----------
    n_in, n_hidden, n_out : int
        Widths.

    References
    ----------
    Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020, section 4.2.
    """

    def __init__(self, n_in: int, n_hidden: int, n_out: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(n_in, n_hidden)
        self.norm = nn.LayerNorm(n_hidden)
        self.out = nn.Linear(n_hidden, n_out)

    def forward(self, h: Tensor) -> Tensor:
        """Map ``(..., n_in)`` to ``(..., n_out)``, in float32 also under autocast."""
        with torch.autocast(h.device.type, enabled=False):
            z: Tensor = self.out(torch.relu(self.norm(self.hidden(h.float()))))
        return z


class FeaturePredictor(nn.Module):
    """Linear prediction of features from an embedding; a norm comes first, because pooled maxima have no common scale.

    Parameters
    ----------
    n_in, n_features : int
        Widths.
    """

    def __init__(self, n_in: int, n_features: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(n_in)
        self.out = nn.Linear(n_in, n_features)

    def forward(self, h: Tensor) -> Tensor:
        """Map ``(..., n_in)`` to ``(..., n_features)``, in float32 also under autocast."""
        with torch.autocast(h.device.type, enabled=False):
            z: Tensor = self.out(self.norm(h.float()))
        return z


def build_projector(n_in: int, n_hidden: int, n_out: int, generator: torch.Generator) -> Projector:
    """Build a projector. The global random state stays as it is.

    Parameters
    ----------
    n_in, n_hidden, n_out : int
        Widths.
    generator : torch.Generator
        Source of the weights.

    Returns
    -------
    Projector
        On the CPU.
    """
    _check_widths(n_in=n_in, n_hidden=n_hidden, projection_dim=n_out)
    with torch.device("meta"):
        head = Projector(n_in, n_hidden, n_out)
    init_weights(head.to_empty(device="cpu"), generator)
    return head


def build_predictor(n_in: int, n_features: int, generator: torch.Generator) -> FeaturePredictor:
    """Build a linear prediction of features. The global random state stays as it is.

    Parameters
    ----------
    n_in, n_features : int
        Widths.
    generator : torch.Generator
        Source of the weights.

    Returns
    -------
    FeaturePredictor
        On the CPU.
    """
    _check_widths(n_in=n_in, n_features=n_features)
    with torch.device("meta"):
        head = FeaturePredictor(n_in, n_features)
    init_weights(head.to_empty(device="cpu"), generator)
    return head


def _check_widths(**widths: int) -> None:
    for name, value in widths.items():
        if value < 1:
            raise ValueError(f"{name} must be positive, got {value!r}")
