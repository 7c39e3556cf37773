"""Views of a record: rotated and scaled vectorcardiogram, masked time, dropped leads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from .vcg import view_matrix

__all__ = ["AUGMENTATIONS", "Augmentation", "VCGAugment", "resolve_augment"]

#: ``augment(x (n, n_times, 12), present (n, 12), generator) -> (x', present')``
Augmentation = Callable[[Tensor, Tensor, Generator], tuple[Tensor, Tensor]]


@dataclasses.dataclass(frozen=True)
class VCGAugment:
    """Random view: rotate and scale the VCG, then zero a part of each lead, then drop leads.

    No cropping and no time warping: the beats stay where they are. The defaults are the strengths of 3KG in this
    package's residual form; see `AUGMENTATIONS` for the presets.

    Parameters
    ----------
    angle : float
        The three Euler angles are drawn from U(-angle, angle) [degrees].
    scale : (float, float)
        Range of the factors of the axes X, Y, Z, drawn apart: log-uniform where the range straddles 1 (so that
        enlarging and shrinking are equally likely), else uniform.
    mask_ratio : float
        Share of the time that is set to 0 in each lead, in one piece that wraps around the end, apart for each lead.
    residual : bool
        Keep what the VCG does not explain (this package), or delete it (3KG). See `view_matrix`.
    lead_drop : float
        Probability that a present lead is set to 0 and reported absent. One lead always stays.
    lead_subset : float
        Probability that a record is reduced to a random subset of its leads, of any size from one lead on.
    p : float
        Probability that a record is rotated, scaled and masked at all. Leads are dropped independently of it.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    References
    ----------
    Gopal B et al. 3KG. ML4H 2021: angle 45, scale (1, 1.5), mask_ratio .5, residual False. `residual`, `lead_drop` and
    `p` are this package's own.
    """

    angle: float = 45.0
    scale: tuple[float, float] = (1.0, 1.5)
    mask_ratio: float = 0.5
    residual: bool = True
    lead_drop: float = 0.0
    lead_subset: float = 0.0
    p: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.angle) and self.angle >= 0):
            raise ValueError(f"angle must be a finite number of degrees >= 0, got {self.angle!r}")
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] < math.inf:
            raise ValueError(f"scale must be (low, high) with 0 < low <= high, got {self.scale!r}")
        for name, top in (("mask_ratio", 1.0), ("lead_drop", 1.0), ("lead_subset", 1.0), ("p", 1.0)):
            value = getattr(self, name)
            if not 0 <= value <= top:
                raise ValueError(f"{name} must lie between 0 and {top:g}, got {value!r}")

    def __call__(self, x: Tensor, present: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Draw one view of each record.

        Parameters
        ----------
        x : Tensor of shape (n, n_times, 12)
            Signals, leads last in the package's order, absent leads 0. Not changed.
        present : bool Tensor of shape (n, 12)
            Which leads each record has.
        generator : torch.Generator
            Source of randomness, on the device of `x`.

        Returns
        -------
        x : Tensor of shape (n, n_times, 12)
            The views.
        present : bool Tensor of shape (n, 12)
            Which leads are left.

        Raises
        ------
        ValueError
            If the shapes of `x` and `present` do not fit.
        """
        if x.ndim != 3 or x.shape[2] != 12 or present.shape != (x.shape[0], 12):
            raise ValueError(
                f"x must be (n, n_times, 12) and present (n, 12), got {tuple(x.shape)} and {tuple(present.shape)}"
            )
        changed = None if self.p == 1 else torch.rand(len(x), device=x.device, generator=generator) < self.p
        view = self._transform(x, present, changed, generator)
        masked = self._masked(x, changed, generator)
        kept = self._kept_leads(present, generator)
        if kept is not present:
            masked = ~kept[:, None, :] if masked is None else masked | ~kept[:, None, :]
        if masked is None:
            return view, kept
        # In place only where the matrix has made a copy: the record itself is never changed.
        return (view.masked_fill(masked, 0.0) if view is x else view.masked_fill_(masked, 0.0)), kept

    def _transform(self, x: Tensor, present: Tensor, changed: Tensor | None, generator: Generator) -> Tensor:
        if self.residual and self.angle == 0 and self.scale == (1, 1):
            return x
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        size = (len(x), 3)
        angles = torch.rand(size, dtype=dtype, device=x.device, generator=generator)
        angles = (2 * angles - 1) * math.radians(self.angle)
        scale = self._draw_scale(torch.rand(size, dtype=dtype, device=x.device, generator=generator))
        matrix = view_matrix(angles, scale, present, self.residual)
        if changed is not None:
            matrix = torch.where(changed[:, None, None], matrix, torch.eye(12, dtype=dtype, device=x.device))
        with torch.autocast(device_type=x.device.type, enabled=False):
            return torch.bmm(x.to(dtype), matrix.mT).to(x.dtype)

    def _draw_scale(self, uniform: Tensor) -> Tensor:
        low, high = self.scale
        if low < 1 < high:
            return torch.exp(math.log(low) + (math.log(high) - math.log(low)) * uniform)
        return low + (high - low) * uniform

    def _masked(self, x: Tensor, changed: Tensor | None, generator: Generator) -> Tensor | None:
        n, n_times, _ = x.shape
        length = round(self.mask_ratio * n_times)
        if length == 0:
            return None
        start = torch.randint(0, n_times, (n, 1, 12), device=x.device, generator=generator, dtype=torch.int32)
        masked = _wrapped_interval(start, length, n_times)
        return masked if changed is None else masked & changed[:, None, None]

    def _kept_leads(self, present: Tensor, generator: Generator) -> Tensor:
        if self.lead_drop == self.lead_subset == 0:
            return present
        draw = torch.rand(present.shape, device=present.device, generator=generator).masked_fill(~present, -1.0)
        dropped = torch.full((len(present), 1), self.lead_drop, device=present.device)
        if self.lead_subset > 0:
            reduced, share = torch.rand((2, len(present), 1), device=present.device, generator=generator)
            # A probability that is uniform itself makes subsets of all sizes equally likely.
            dropped = torch.where(reduced < self.lead_subset, share, dropped)
        # The luckiest present lead stays even where every draw falls under the probability.
        luckiest = torch.zeros_like(present).scatter_(1, draw.argmax(1, keepdim=True), True)
        return present & ((draw >= dropped) | luckiest)


def _wrapped_interval(start: Tensor, length: int, n_times: int) -> Tensor:
    """True on `length` of `n_times` samples from `start` (n, 1, 12), around the end: (n, n_times, 12)."""
    time = torch.arange(n_times, device=start.device, dtype=start.dtype)[:, None]
    if length >= n_times:
        return torch.ones(start.shape[0], n_times, start.shape[2], dtype=torch.bool, device=start.device)
    end = start + length
    wraps = end > n_times
    # Inside = after start and not after end; where the piece wraps, the two comparisons swap and the result inverts.
    return (time >= start) ^ (time >= torch.where(wraps, end - n_times, end)) ^ wraps


#: Presets by name. "3kg": the published strengths and the published rank-3 projection. "vcg": this package's default,
#: the residual form with milder strengths, because axis and amplitude are also what diagnostic labels are made of.
#: "none": the record itself.
AUGMENTATIONS: Mapping[str, VCGAugment] = {
    "vcg": VCGAugment(angle=15.0, scale=(1 / 1.15, 1.15), mask_ratio=0.2),
    "3kg": VCGAugment(angle=45.0, scale=(1.0, 1.5), mask_ratio=0.5, residual=False),
    "none": VCGAugment(angle=0.0, scale=(1.0, 1.0), mask_ratio=0.0),
}


def resolve_augment(augment: str | Augmentation, params: Mapping[str, Any] | None = None) -> Augmentation:
    """The augmentation that a name and its parameters mean.

    Parameters
    ----------
    augment : str or callable
        A name in `AUGMENTATIONS`, or ``augment(x, present, generator) -> (x', present')``.
    params : mapping, optional
        Fields of `VCGAugment` that replace those of the preset.

    Returns
    -------
    callable
        A `VCGAugment`, or the callable given.

    Raises
    ------
    ValueError
        If the name or a parameter is unknown, a value is out of range, or parameters come with a callable that has
        none.
    TypeError
        If `augment` is neither a name nor callable.
    """
    params = dict(params or {})
    if isinstance(augment, str):
        if augment not in AUGMENTATIONS:
            raise ValueError(f"augment must be callable or one of {sorted(AUGMENTATIONS)}, got {augment!r}")
        augment = AUGMENTATIONS[augment]
    elif not callable(augment):
        raise TypeError(f"augment must be a name or callable, got {augment!r}")
    if not params:
        return augment
    if not isinstance(augment, VCGAugment):
        raise ValueError(
            f"augment_params={params!r} need augment to be one of {sorted(AUGMENTATIONS)}, got {augment!r}"
        )
    known = [field.name for field in dataclasses.fields(VCGAugment)]
    unknown = {name: value for name, value in params.items() if name not in known}
    if unknown:
        raise ValueError(f"augment_params may hold {known}, got {unknown!r}")
    if "scale" in params:
        params["scale"] = tuple(params["scale"])
    return dataclasses.replace(augment, **params)
