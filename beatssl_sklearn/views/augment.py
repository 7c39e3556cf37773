"""Views of a record: rotated and scaled vectorcardiogram, masked time, fewer leads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from ..components import Bounds, Component, Limits, register
from .leads import kept_leads
from .vcg import view_matrix

__all__ = ["NoViews", "VCGViews", "Views", "checked_views"]

#: ``views(x (n, n_times, 12), present (n, 12), generator) -> (x', present')``
Views = Callable[[Tensor, Tensor, Generator], tuple[Tensor, Tensor]]


@register
class VCGViews(Component):
    """Random view: rotate and scale the VCG, then set a part of each lead to zero, then drop leads.

    Time is neither cropped nor warped, so that beats stay where they are. The defaults are milder than those of 3KG,
    because diagnostic labels depend on axis and amplitude.

    Parameters
    ----------
    angle : float, default=15
        The three Euler angles are drawn from U(-angle, angle) [degrees].
    scale : (float, float), default=(1 / 1.15, 1.15)
        Range of the factors of the axes X, Y and Z, one draw for each. If 1 lies inside the range, the draws are
        log-uniform, so that enlarging and shrinking are equally likely. Else they are uniform.
    mask_ratio : float, default=0.2
        Share of the time that is set to 0 in each lead, in one piece that wraps around the end. Each lead has its own.
    residual : bool, default=True
        Keep what the VCG does not explain (this package), or delete it (3KG). See `view_matrix`.
    lead_drop : float, default=0
        Probability that a present lead is set to 0 and counts as absent. One lead always stays.
    lead_subset : float, default=0
        Probability that a record is reduced to a random subset of its leads, of any size from one lead on.
    p : float, default=1
        Probability that a record is rotated, scaled and masked at all. Leads are dropped independently of it.

    References
    ----------
    Gopal B et al. 3KG. ML4H 2021: angle 45, scale (1, 1.5), mask_ratio .5, residual False; see `three_kg`. `residual`,
    `lead_drop`, `lead_subset` and `p` are this package's own.
    """

    bounds: ClassVar[Mapping[str, Limits]] = {
        "residual": bool,
        "angle": Bounds(Real, 0, 360),
        "mask_ratio": Bounds(Real, 0, 1),
        "lead_drop": Bounds(Real, 0, 1),
        "lead_subset": Bounds(Real, 0, 1),
        "p": Bounds(Real, 0, 1),
    }

    def __init__(
        self,
        *,
        angle: float = 15.0,
        scale: tuple[float, float] = (1 / 1.15, 1.15),
        mask_ratio: float = 0.2,
        residual: bool = True,
        lead_drop: float = 0.0,
        lead_subset: float = 0.0,
        p: float = 1.0,
    ) -> None:
        self.angle = angle
        self.scale = scale
        self.mask_ratio = mask_ratio
        self.residual = residual
        self.lead_drop = lead_drop
        self.lead_subset = lead_subset
        self.p = p

    @classmethod
    def three_kg(cls, **changes: Any) -> VCGViews:
        """Return the published views: 3KG's strengths, and its projection to rank 3.

        Parameters
        ----------
        **changes
            Parameters with other values.

        Returns
        -------
        VCGViews
            With `angle` 45, `scale` (1, 1.5), `mask_ratio` .5 and `residual` False.
        """
        published: dict[str, Any] = {"angle": 45.0, "scale": (1.0, 1.5), "mask_ratio": 0.5, "residual": False}
        return cls(**{**published, **changes})

    def check(self) -> None:
        """Check the parameters.

        Raises
        ------
        TypeError, ValueError
            If one cannot be used; the message names the parameter and its value.
        """
        super().check()
        low, high = _pair(self.scale)
        if not 0 < low <= high < math.inf:
            raise ValueError(f"scale must be (low, high) with 0 < low <= high, got {self.scale!r}")

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
        changed = None
        if self.p != 1:
            changed = torch.rand(len(x), dtype=torch.float32, device=x.device, generator=generator) < self.p
        view = self._transform(x, present, changed, generator)
        masked = self._masked(x, changed, generator)
        kept = kept_leads(present, self.lead_drop, self.lead_subset, generator)
        if kept is not present:
            masked = ~kept[:, None, :] if masked is None else masked | ~kept[:, None, :]
        if masked is None:
            return view, kept
        # In place only where the matrix has made a copy: the record itself is never changed.
        return (view.masked_fill(masked, 0.0) if view is x else view.masked_fill_(masked, 0.0)), kept

    def _transform(self, x: Tensor, present: Tensor, changed: Tensor | None, generator: Generator) -> Tensor:
        if self.residual and self.angle == 0 and tuple(self.scale) == (1, 1):
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


def _wrapped_interval(start: Tensor, length: int, n_times: int) -> Tensor:
    """True on `length` of `n_times` samples from `start` (n, 1, 12), around the end: (n, n_times, 12)."""
    time = torch.arange(n_times, device=start.device, dtype=start.dtype)[:, None]
    if length >= n_times:
        return torch.ones(start.shape[0], n_times, start.shape[2], dtype=torch.bool, device=start.device)
    end = start + length
    wraps = end > n_times
    # Inside = after start and not after end; where the piece wraps, the two comparisons swap and the result inverts.
    return (time >= start) ^ (time >= torch.where(wraps, end - n_times, end)) ^ wraps


@register
class NoViews(Component):
    """The record itself."""

    def __call__(self, x: Tensor, present: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return `x` and `present` as they are."""
        return x, present


def _pair(scale: Any) -> tuple[float, float]:
    try:
        low, high = (float(s) for s in scale)
    except (TypeError, ValueError):
        raise ValueError(f"scale must be (low, high) with 0 < low <= high, got {scale!r}") from None
    return low, high


def checked_views(views: Any) -> Views:
    """Return views that can be drawn.

    Parameters
    ----------
    views : component, callable or None
        None stands for `VCGViews`.

    Returns
    -------
    callable
        ``views(x, present, generator)`` that returns `x` and `present`.

    Raises
    ------
    TypeError
        If they are not callable.
    ValueError
        If a parameter is out of its range.
    """
    if views is None:
        return VCGViews()
    if isinstance(views, Component):
        views.check()
    if not callable(views) or isinstance(views, type):
        raise TypeError(f"views must be VCGViews(...), another component of views, a callable or None, got {views!r}")
    found: Views = views
    return found
