"""DualStream: contrast between lead groups, between segments and between records of a patient."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..components import Bounds, Limits, register
from ..contrast.infonce_groups import group_infonce
from ..ecg.leads import LEADS, place_leads
from ..inputs.front_end import FrontEnd
from ..inputs.source import Block
from ..nn.blocks import StreamEncoder
from ..nn.heads import build_projector
from ..views.augment import VCGViews, checked_views
from ..views.leads import one_stays
from .batches import Batch
from .group_batches import by_group, check_patients
from .objective import FitContext, Objective
from .segments import SHORTEST, draw_segments
from .time_gaps import check_gaps, near_in_time

_MAX_WEIGHT = 1e6


class DualStreamOutputs(NamedTuple):
    """Projections of two segments of each record, first all first segments, then all second ones.

    Attributes
    ----------
    groups : list of Tensor (2 * n, p)
        Of each group of leads.
    fused : Tensor (2 * n, p)
        Of all groups together.
    there : bool Tensor (2 * n, n_groups)
        Which groups have a lead that is not 0 throughout.
    """

    groups: list[Tensor]
    fused: Tensor
    there: Tensor


class DualStreamTargets(NamedTuple):
    """What the loss needs of a batch.

    Attributes
    ----------
    groups : Tensor (n,) or None
        Patient of each record; None makes each record its own patient.
    near : bool Tensor (n, n) or None
        Which records are near enough in time to be positives; None means all.
    """

    groups: Tensor | None
    near: Tensor | None = None


class DualStreamHeads(nn.Module):
    """A projector for each group of leads, and one for all together.

    Parameters
    ----------
    projectors : list of Projector
        One per group.
    fused : Projector
        Of the streams side by side.
    group_dropout : float, default=0
        Probability that a group of a segment counts as absent in training.
    """

    def __init__(self, projectors: list[nn.Module], fused: nn.Module, group_dropout: float = 0.0) -> None:
        super().__init__()
        self.projectors = nn.ModuleList(projectors)
        self.fused = fused
        self.group_dropout = group_dropout

    def forward(self, encoder: StreamEncoder, signal: Tensor, draw: Tensor | None = None) -> DualStreamOutputs:
        """Encode segments, and project each stream and all together.

        Parameters
        ----------
        encoder : torch.nn.Module
            With `streams`.
        signal : Tensor (2 * n, n_times, 12)
            The segments.
        draw : Tensor (2 * n, 12), optional
            Draws from [0, 1), a column for each group, and some that are not used. The fused projector gets the
            encoder's vector for absent groups in place of a group whose draw is below `group_dropout`.

        Returns
        -------
        DualStreamOutputs
            Projections, with the segments in the order of `signal`.
        """
        there = torch.stack([(signal[:, :, group] != 0).flatten(1).any(1) for group in encoder.groups], dim=1)
        means = [stream.mean(1, dtype=torch.float32) for stream in encoder.streams(signal)]
        own = [project(mean) for project, mean in zip(self.projectors, means, strict=True)]
        if draw is not None and self.training:
            draw = draw[:, : len(encoder.groups)]
            # One group stays in each segment.
            left = one_stays(draw >= self.group_dropout, there, draw)
            absent = cast(Any, encoder).absent_vectors()
            means = [torch.where(left[:, k, None], mean, absent[k]) for k, mean in enumerate(means)]
        return DualStreamOutputs(own, self.fused(torch.cat(means, dim=1)), there)


@register
class DualStream(Objective):
    """Contrast of lead groups and segments, in the manner of Dade et al. 2026.

    Two segments of every record are drawn, each with its own view. The loss pulls together the segments of a record
    as each lead group sees them, the lead groups of a segment, and the segments as all groups together see them.
    Records of one patient are positives of each other. Where a segment has no lead of a group, or only leads that are 0
    throughout, this group of it is not compared; a segment without any lead is not compared at all.

    Parameters
    ----------
    temperature : float, default=0.1
        Divides the cosines.
    segment_weight, lead_weight, cross_weight, fused_weight : float, default=0.5, 0.5, 0, 1
        Weights of the losses: between segments of each lead group; between lead groups of each segment; between lead
        groups of different segments; and between segments of all groups together.
    projection_dim : int, default=128
        Width of the projections that are compared.
    positive : {"patient", "record"}, default="patient"
        What is pulled together: all records of a patient, or the segments of one record. Other records of the
        patient are then negatives like all others.
    max_gap_days : float, default=None
        Records of a patient are positives only if they were taken at most this many days apart. Those further apart,
        and those without a time, are neither positives nor negatives. A number makes `groups` and `times` of `fit`
        necessary. None does without times.
    segment : float, default=5
        Length of a segment [s]. Records shorter than two of them give two halves.
    group_dropout : float, default=0
        Probability that a whole group of leads of a segment counts as absent for the loss of all groups together, in
        training only; one group always stays. It trains the vectors that stand for absent groups (for example 0.1).
        It is meant for training records with all groups, if records with one group only will be embedded, such as limb
        leads alone. The other losses compare the groups as they are.
    views : component or callable, default=None
        Draws a view of a segment: None is ``VCGViews()``.

    References
    ----------
    Dade et al. Patient-aware contrastive pretraining. Heart Rhythm O2, 2026; the full text does not state the weights.
    Kiyasseh D et al. CLOCS. ICML 2021 (contrast of segments, leads, and both).
    """

    defaults: ClassVar[Mapping[str, Any]] = {"views": VCGViews}
    default_encoder: ClassVar[str] = "dual_stream"
    keeps: ClassVar[tuple[str, ...]] = ("projectors", "fused")
    bounds: ClassVar[Mapping[str, Limits]] = {
        "temperature": Bounds(Real, 1e-6),
        "segment_weight": Bounds(Real, 0, _MAX_WEIGHT),
        "lead_weight": Bounds(Real, 0, _MAX_WEIGHT),
        "cross_weight": Bounds(Real, 0, _MAX_WEIGHT),
        "fused_weight": Bounds(Real, 0, _MAX_WEIGHT),
        "projection_dim": Bounds(Integral, 1, 8192),
        "positive": ("patient", "record"),
        "max_gap_days": Bounds(Real, 0, or_none=True),
        "segment": Bounds(Real, SHORTEST),
        "group_dropout": Bounds(Real, 0, 1),
    }

    def __init__(
        self,
        *,
        temperature: float = 0.1,
        segment_weight: float = 0.5,
        lead_weight: float = 0.5,
        cross_weight: float = 0.0,
        fused_weight: float = 1.0,
        projection_dim: int = 128,
        positive: str = "patient",
        max_gap_days: float | None = None,
        segment: float = 5.0,
        group_dropout: float = 0.0,
        views: Any = None,
    ) -> None:
        self.temperature = temperature
        self.segment_weight = segment_weight
        self.lead_weight = lead_weight
        self.cross_weight = cross_weight
        self.fused_weight = fused_weight
        self.projection_dim = projection_dim
        self.positive = positive
        self.max_gap_days = max_gap_days
        self.segment = segment
        self.group_dropout = group_dropout
        self.views = views

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Arguments of `Pretrainer.fit` that a largest gap makes necessary."""
        return () if self.max_gap_days is None else ("groups", "times")

    def check(self) -> None:
        """Check the parameters and the views.

        Raises
        ------
        TypeError, ValueError
            If one cannot be used; the message names the parameter and its value.
        """
        super().check()
        checked_views(self.views)
        if not self.segment_weight + self.lead_weight + self.cross_weight + self.fused_weight > 0:
            raise ValueError("segment_weight, lead_weight, cross_weight and fused_weight are all 0")
        if self.max_gap_days is not None and self.positive == "record":
            raise ValueError(
                f"max_gap_days={self.max_gap_days!r} limits which records of a patient are positives; with "
                f"positive='record' none are: set positive='patient', or max_gap_days=None"
            )

    def check_encoder(self, encoder: nn.Module) -> None:
        """Refuse an encoder that has no streams, or only one where the weights ask for two.

        Parameters
        ----------
        encoder : torch.nn.Module
            With random weights.

        Raises
        ------
        TypeError
            The message names the encoder and one that has streams.
        ValueError
            If only groups of leads are to be compared, and there is one.
        """
        if not all(hasattr(encoder, name) for name in ("streams", "stream_width", "groups")):
            raise TypeError(
                f"DualStream compares groups of leads, which the encoder {type(encoder).__name__} does not encode "
                f"apart: use encoder='dual_stream'"
            )
        if self.fused_weight == self.segment_weight == 0 and len(cast(StreamEncoder, encoder).groups) < 2:
            raise ValueError(
                "DualStream: there is nothing to learn: fused_weight and segment_weight are 0, lead_weight and "
                "cross_weight compare groups of leads, and encoder_params['lead_groups'] has one group"
            )
        if self.group_dropout > 0 and not hasattr(encoder, "absent_vectors"):
            raise TypeError(
                f"group_dropout={self.group_dropout!r} trains vectors of absent groups, which the encoder "
                f"{type(encoder).__name__} does not have: use encoder='dual_stream', or group_dropout=0"
            )

    def measurements(self) -> Any:
        """Return what decides the result of `measure`."""
        return None

    def measure(self, block: Block, rpeaks: list[NDArray], front_end: FrontEnd) -> set[str]:
        """Return the leads that a record has, given or computed from others, and not at rest throughout."""
        signal, present = place_leads(block.signal, block.leads)
        present = present & (signal != signal[..., :1]).any(axis=(0, 2))
        return {lead for lead, there in zip(LEADS, present, strict=True) if there}

    def prepare(self, measured: list[set[str]], fit: FitContext) -> set[str]:
        """Return the leads that some record has; refuse one patient, and batches of one pair."""
        if self.positive == "patient":
            check_patients(type(self).__name__, fit, paired=True, remedy="leave groups out, or set positive='record'")
            check_gaps(type(self).__name__, fit, self.max_gap_days)
        return set().union(*measured)

    def batches(
        self,
        rows: NDArray[np.int64],
        groups: NDArray[np.int64] | None,
        batch_size: int,
        rng: np.random.Generator,
        *,
        times: NDArray[np.float64] | None = None,
    ) -> list[NDArray[np.int64]]:
        """Choose the records of each step; with ``positive="patient"``, records of a patient come together."""
        if self.positive == "patient":
            return by_group(rows, groups, batch_size, rng, times=times, max_gap_days=self.max_gap_days)
        return super().batches(rows, groups, batch_size, rng)

    def draw(self, batch: Batch) -> tuple[dict[str, Tensor], DualStreamTargets]:
        """Draw two segments of each record, a view of each, and which lead groups may stay."""
        signal = draw_segments(batch, self.segment, self.views)
        inputs = {"signal": signal}
        if self.group_dropout > 0:
            size = (len(signal), len(LEADS))
            inputs["draw"] = torch.rand(size, dtype=torch.float32, device=signal.device, generator=batch.generator)
        if self.positive == "record":
            return inputs, DualStreamTargets(None)
        near = near_in_time(batch, self.max_gap_days)
        return inputs, DualStreamTargets(batch.groups, None if near is None else batch.put(near))

    def heads(self, encoder: nn.Module, known: set[str], generator: torch.Generator) -> nn.Module:
        """Return a projector for each group of leads, and one for all together."""
        apart = cast(StreamEncoder, encoder)
        for group in apart.groups:
            names = [LEADS[k] for k in group]
            if not known.intersection(names):
                raise ValueError(
                    f"DualStream: no record has a lead of the group {', '.join(names)}, which would learn nothing; "
                    f"leave it out of encoder_params['lead_groups']"
                )
        width, n_dims, p = apart.stream_width, apart.n_dims, self.projection_dim
        own = [build_projector(width, width, p, generator) for _ in range(n_dims // width)]
        return DualStreamHeads(list(own), build_projector(n_dims, n_dims, p, generator), self.group_dropout)

    def loss(self, outputs: DualStreamOutputs, targets: DualStreamTargets) -> dict[str, Tensor]:
        """Return the loss and its parts."""
        halves = [group.chunk(2) for group in outputs.groups]
        # An absent group has one vector in all records, which would be told from itself.
        there = [group.chunk(2) for group in outputs.there.unbind(1)]
        pairs = [(i, j, s) for i, j in combinations(range(len(halves)), 2) for s in (0, 1)]

        def compared(a: Tensor, b: Tensor, rows: Tensor, intra: bool = False) -> Tensor:
            groups, near = targets
            if not rows.all():
                a, b, groups = a[rows], b[rows], None if groups is None else groups[rows]
                near = None if near is None else near[rows][:, rows]
            return group_infonce(a, b, self.temperature, groups, near=near, intra_view_negatives=intra)

        def between(i: int, s: int, j: int, t: int) -> Tensor:
            """Compare group i of segment s with group j of segment t."""
            return compared(halves[i][s], halves[j][t], there[i][s] & there[j][t])

        some = outputs.there.any(1).chunk(2)
        first, second = outputs.fused.chunk(2)
        fused = compared(first, second, some[0] & some[1], intra=True)
        zero = fused * 0
        segment = torch.stack([between(i, 0, i, 1) for i in range(len(halves))]).mean()
        lead = torch.stack([between(i, s, j, s) for i, j, s in pairs]).mean() if pairs else zero
        cross = torch.stack([between(i, s, j, 1 - s) for i, j, s in pairs]).mean() if pairs else zero
        total = self.fused_weight * fused + self.segment_weight * segment
        total = total + self.lead_weight * lead + self.cross_weight * cross
        return {"loss": total, "fused_loss": fused, "segment_loss": segment, "lead_loss": lead, "cross_loss": cross}
