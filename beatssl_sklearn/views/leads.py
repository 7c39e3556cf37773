"""Fewer leads: random subsets of those that a record has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from ..components import Bounds, Component, Limits, register
from ..ecg.leads import DERIVED, LEADS, resolve_leads

__all__ = ["LeadMasking", "kept_leads", "one_stays"]


def one_stays(kept: Tensor, present: Tensor, draw: Tensor) -> Tensor:
    """Return what is kept of what there is; where nothing is left, one that there is.

    Parameters
    ----------
    kept, present : bool Tensor (n, n_parts)
        What should stay, and what there is.
    draw : Tensor (n, n_parts)
        Draws from [0, 1). The largest decides which one stays.

    Returns
    -------
    bool Tensor (n, n_parts)
        At least one part of each row that has one.
    """
    left = kept & present
    chosen = draw.masked_fill(~present, -1.0).argmax(1, keepdim=True)
    largest = torch.zeros_like(present).scatter_(1, chosen, True)
    return torch.where(left.any(1, keepdim=True), left, largest & present)


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
    draw = random(present.shape)
    dropped = torch.full((len(present), 1), drop, dtype=torch.float32, device=present.device)
    if subset > 0:
        reduced, share = random((2, len(present), 1))
        # A probability that is uniform itself makes subsets of all sizes equally likely.
        dropped = torch.where(reduced < subset, share, dropped)
    return one_stays(draw >= dropped, present, draw)


@register
class LeadMasking(Component):
    """Random lead masking: each lead that is present is set to 0 with a probability; at least one stays.

    Parameters
    ----------
    p : float, default=0.5
        Probability of each lead. A schedule replaces it.
    subset : float, default=0
        Probability that a record is reduced to a random subset of its leads instead, of any size from one lead on. A
        schedule replaces it.
    schedule : list of sequences of str, default=None
        Sets of leads of the devices that the encoder will meet, such as ``[("I", "II"), ("I",), ("I", "II", "V2")]``.
        One set is drawn for each record, all with equal probability, and leads outside it are set to 0. `p` and
        `subset` then do nothing. A record without any lead of its set keeps one of its leads, at random.

    Notes
    -----
    A set with I and II also keeps III, aVR, aVL and aVF. They follow from I and II, and the package computes them for
    every record with these two leads. So the encoder is trained on what it will see. A set that is listed twice is
    drawn twice as often. Whole records are in the draw only if all twelve leads are one of the sets.

    References
    ----------
    Oh J et al. Lead-agnostic self-supervised learning for local and global representations of electrocardiogram. CHIL
    2022, section 3.3. `subset` and `schedule` are this package's own.
    """

    bounds: ClassVar[Mapping[str, Limits]] = {"p": Bounds(Real, 0, 1), "subset": Bounds(Real, 0, 1)}

    def __init__(
        self, p: float = 0.5, *, subset: float = 0.0, schedule: Sequence[Sequence[str]] | None = None
    ) -> None:
        self.p = p
        self.subset = subset
        self.schedule = schedule

    def check(self) -> None:
        """Check the parameters.

        Raises
        ------
        TypeError, ValueError
            If one cannot be used; the message names the parameter and its value.
        """
        super().check()
        if self.schedule is not None:
            _lead_sets(self.schedule)

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
        if self.schedule is None:
            kept = kept_leads(present, self.p, self.subset, generator)
        else:
            kept = _leads_of_devices(present, _lead_sets(self.schedule), generator)
        return (x, kept) if kept is present else (x.masked_fill(~kept[:, None, :], 0.0), kept)


def _leads_of_devices(present: Tensor, sets: Tensor, generator: Generator) -> Tensor:
    """Draw one of the sets (n_sets, 12) for each record; return which of its leads stay (n, 12)."""
    device = present.device
    chosen = torch.randint(len(sets), (len(present),), device=device, generator=generator)
    draw = torch.rand(present.shape, dtype=torch.float32, device=device, generator=generator)
    return one_stays(sets.to(device)[chosen], present, draw)


def _lead_sets(schedule: Any) -> Tensor:
    """Return which leads the network sees of each set of a schedule, bool (n_sets, 12).

    Raises
    ------
    TypeError, ValueError
        If it is no schedule; the message names it and the set.
    """
    wanted = "schedule must be None or a list of lead sets such as [('I', 'II'), ('V1',)]"
    if not isinstance(schedule, (list, tuple)):
        raise TypeError(f"{wanted}, got {schedule!r:.200}")
    if not schedule:
        raise ValueError(f"{wanted}, got {schedule!r}, which has no set")
    sets = torch.zeros(len(schedule), len(LEADS), dtype=torch.bool)
    for row, names in zip(sets, schedule, strict=True):
        if not isinstance(names, (list, tuple)):
            raise TypeError(f"{wanted}, got {schedule!r:.200}, where {names!r:.40} is no list of leads")
        try:
            row[resolve_leads(names)[0]] = True
        except (TypeError, ValueError) as error:
            raise type(error)(f"{wanted}, got {schedule!r:.200}: {error}") from None
        if row[0] and row[1]:
            row[[LEADS.index(name) for name in DERIVED]] = True
    return sets
