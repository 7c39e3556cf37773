"""Fewer leads: random subsets of those that a record has."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from numbers import Real
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ..components import Bounds, Component, Limits, register

__all__ = ["LeadMasking", "kept_leads"]


def kept_leads(present: Tensor, drop: float, subset: float, generator: Generator) -> Tensor:
    """Draw which leads of each record stay.

    Parameters
    ----------
    present : bool Tensor (n, 12)
        Leads that there are.
    drop : float
        Probability that a lead is dropped.
    subset : float
        Probability that a record is reduced to a random subset of its leads, of any size from one lead on.
    generator : torch.Generator
        Source of randomness, on the device of `present`.

    Returns
    -------
    bool Tensor (n, 12)
        At least one lead of each record that has one; `present` itself if nothing is drawn.
    """
    if drop == subset == 0:
        return present
    random = partial(torch.rand, dtype=torch.float32, device=present.device, generator=generator)
    draw = random(present.shape).masked_fill(~present, -1.0)
    dropped = torch.full((len(present), 1), drop, dtype=torch.float32, device=present.device)
    if subset > 0:
        reduced, share = random((2, len(present), 1))
        # A probability that is uniform itself makes subsets of all sizes equally likely.
        dropped = torch.where(reduced < subset, share, dropped)
    # Keep at least one lead: the one with the largest draw.
    largest = torch.zeros_like(present).scatter_(1, draw.argmax(1, keepdim=True), True)
    return present & ((draw >= dropped) | largest)


@register
class LeadMasking(Component):
    """Random lead masking: each lead that is present is set to 0 with a probability; at least one stays.

    Parameters
    ----------
    p : float, default=0.5
        Probability of each lead.
    subset : float, default=0
        Probability that a record is reduced to a random subset of its leads instead, of any size from one lead on.

    References
    ----------
    Oh J et al. Lead-agnostic self-supervised learning for local and global representations of electrocardiogram. CHIL
    2022, section 3.3.
    """

    bounds: ClassVar[Mapping[str, Limits]] = {"p": Bounds(Real, 0, 1), "subset": Bounds(Real, 0, 1)}

    def __init__(self, p: float = 0.5, *, subset: float = 0.0) -> None:
        self.p = p
        self.subset = subset

    def __call__(self, x: Tensor, present: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Draw the leads of each record.

        Parameters
        ----------
        x : Tensor (n, n_times, 12)
            Not changed.
        present : bool Tensor (n, 12)
        generator : torch.Generator

        Returns
        -------
        x : Tensor (n, n_times, 12)
        present : bool Tensor (n, 12)
        """
        kept = kept_leads(present, self.p, self.subset, generator)
        return (x, kept) if kept is present else (x.masked_fill(~kept[:, None, :], 0.0), kept)
