"""LeadAgnostic: hidden tokens are recognised, halves of a record find each other, and leads are missing at random."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..components import Bounds, Component, Limits, component_named, register
from ..contrast.infonce_groups import group_infonce
from ..contrast.token_contrast import token_contrast
from ..nn.blocks import MaskingEncoder
from ..views.augment import checked_views
from ..views.leads import LeadMasking
from .batches import Batch
from .group_batches import by_group, check_patients
from .lead_agnostic_heads import LeadAgnosticHeads, LeadAgnosticOutputs, SegmentHeads, build_heads
from .objective import FitContext, Objective, PretrainedModule
from .segments import SHORTEST, draw_segments
from .span_masks import span_masks
from .time_gaps import check_gaps, near_in_time, split_by_gap

_MAX_WEIGHT = 1e6


@register
class GumbelQuantizer(Component):
    """What `LeadAgnostic` recognises: choices from codebooks that are trained with the network.

    Parameters
    ----------
    groups : int, default=2
        Codebooks.
    entries : int, default=64
        Entries of each (published: 320).
    temperature : float, default=2
        Of the choices in the first step; it falls exponentially.
    last_temperature : float, default=0.5
        In the last step.

    References
    ----------
    Baevski A et al. wav2vec 2.0. NeurIPS 2020, section 3.2.
    """

    bounds: ClassVar[Mapping[str, Limits]] = {
        "groups": Bounds(Integral, 1, 16),
        "entries": Bounds(Integral, 2, 4096),
        "temperature": Bounds(Real, 1e-3),
        "last_temperature": Bounds(Real, 1e-3),
    }

    def __init__(
        self, groups: int = 2, entries: int = 64, *, temperature: float = 2.0, last_temperature: float = 0.5
    ) -> None:
        self.groups = groups
        self.entries = entries
        self.temperature = temperature
        self.last_temperature = last_temperature

    def temperature_at(self, progress: float) -> float:
        """Return the temperature after a share of all steps.

        Parameters
        ----------
        progress : float
            From 0 to 1.

        Returns
        -------
        float
            From `temperature` down to `last_temperature`.
        """
        return float(self.temperature * (self.last_temperature / self.temperature) ** progress)


class LeadAgnosticTargets(NamedTuple):
    """What the loss needs of a batch.

    Attributes
    ----------
    groups : Tensor (n,) or None
        Patient of each record.
    partner : Tensor (n,)
        Row whose second segment belongs to the first segment of a record.
    negatives : bool Tensor (2 * n, m, m) or None
        Hidden tokens that each hidden token is told from; None means all.
    near : bool Tensor (n, n) or None
        Whether the first segment of a record and the second one of a record's partner are near enough in time to be
        positives; None means all.
    """

    groups: Tensor | None
    partner: Tensor
    negatives: Tensor | None
    near: Tensor | None = None


@register
class LeadAgnostic(Objective):
    """Local and global contrast with random leads, in the manner of Oh et al. 2022.

    Two segments of every record are drawn, and leads of each are set to 0 at random. The local loss hides spans of
    tokens, and the network tells each hidden token from the other hidden ones of its segment. The global loss pulls
    the mean tokens of a record's two segments together, and those of a patient's records. It leaves out segments whose
    leads are all 0 throughout.

    Parameters
    ----------
    temperature_local, temperature_global : float, default=0.1
        Divide the cosines.
    n_negatives : int, default=100
        Hidden tokens that each is told from; fewer where a segment has fewer.
    mask_share : float, default=0.65
        Length of all spans, relative to the segment; they overlap, and about half of the tokens are hidden.
    mask_length : int, default=10
        Tokens of a span.
    segment : float, default=5
        Length of a segment [s]. Records shorter than two of them give two halves.
    quantizer : GumbelQuantizer, str or None, default=None
        What hidden tokens are compared with: choices from codebooks (``GumbelQuantizer()``, as published), or the
        stem's own tokens (None).
    target_dim : int, default=128
        Width of the codes.
    local_weight, global_weight, diversity_weight, penalty_weight : float, default=1, 1, 0.1, 10
        Weights of the losses: of the tokens, of the segments, of evenly used codebooks, and of the square of the stem's
        tokens. Without the local loss, any encoder can be trained.
    cross_record : bool, default=False
        Whether the second segment comes from another record of the patient, where the batch has one. Only `groups` of
        `fit` tell which records are of one patient: without them, this changes nothing.
    max_gap_days : float, default=None
        For the global loss, records of a patient are positives only if they were taken at most this many
        days apart; `cross_record` then takes the second segment from such a record. Those further apart, and those
        without a time, are neither positives nor negatives. A number makes `groups` and `times` of `fit` necessary.
        None does without times.
    views : component or callable, default=None
        Draws a segment's leads: None is ``LeadMasking(p=.5)``, which leaves at least one.

    References
    ----------
    Oh J, Chung H, Kwon J, Hong D, Choi E. Lead-agnostic self-supervised learning for local and global representations
    of electrocardiogram. CHIL 2022, arXiv 2203.06889.

    Examples
    --------
    >>> from beatssl_sklearn import LeadAgnostic, Pretrainer
    >>> Pretrainer(LeadAgnostic(mask_share=.5), fs=250).get_params()["objective__mask_share"]
    0.5
    """

    defaults: ClassVar[Mapping[str, Any]] = {"views": LeadMasking}
    default_encoder: ClassVar[str] = "transformer"
    keeps: ClassVar[tuple[str, ...]] = ("quantizer", "out", "filler")
    bounds: ClassVar[Mapping[str, Limits]] = {
        "temperature_local": Bounds(Real, 1e-6),
        "temperature_global": Bounds(Real, 1e-6),
        "n_negatives": Bounds(Integral, 1),
        "mask_share": Bounds(Real, 0, 1),
        "mask_length": Bounds(Integral, 1),
        "segment": Bounds(Real, SHORTEST),
        "target_dim": Bounds(Integral, 1, 8192),
        "local_weight": Bounds(Real, 0, _MAX_WEIGHT),
        "global_weight": Bounds(Real, 0, _MAX_WEIGHT),
        "diversity_weight": Bounds(Real, 0, _MAX_WEIGHT),
        "penalty_weight": Bounds(Real, 0, _MAX_WEIGHT),
        "cross_record": bool,
        "max_gap_days": Bounds(Real, 0, or_none=True),
    }

    def __init__(
        self,
        *,
        temperature_local: float = 0.1,
        temperature_global: float = 0.1,
        n_negatives: int = 100,
        mask_share: float = 0.65,
        mask_length: int = 10,
        segment: float = 5.0,
        quantizer: Any = None,
        target_dim: int = 128,
        local_weight: float = 1.0,
        global_weight: float = 1.0,
        diversity_weight: float = 0.1,
        penalty_weight: float = 10.0,
        cross_record: bool = False,
        max_gap_days: float | None = None,
        views: Any = None,
    ) -> None:
        self.temperature_local = temperature_local
        self.temperature_global = temperature_global
        self.n_negatives = n_negatives
        self.mask_share = mask_share
        self.mask_length = mask_length
        self.segment = segment
        self.quantizer = quantizer
        self.target_dim = target_dim
        self.local_weight = local_weight
        self.global_weight = global_weight
        self.diversity_weight = diversity_weight
        self.penalty_weight = penalty_weight
        self.cross_record = cross_record
        self.max_gap_days = max_gap_days
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
        quantizer = self._quantizer()
        if quantizer is not None and self.target_dim % quantizer.groups:
            raise ValueError(f"target_dim must be a multiple of {quantizer.groups} groups, got {self.target_dim!r}")
        if self.local_weight == self.global_weight == 0:
            raise ValueError("local_weight and global_weight are both 0: there is nothing to learn")

    def _quantizer(self) -> GumbelQuantizer | None:
        found = self.quantizer
        if isinstance(found, str):
            found = component_named(found, GumbelQuantizer)
        if not isinstance(found, GumbelQuantizer | None):
            raise TypeError(f"quantizer must be a GumbelQuantizer or None, got {found!r}")
        return found

    def check_encoder(self, encoder: nn.Module) -> None:
        """Refuse an encoder that cannot hide tokens, if the local loss asks for it.

        Parameters
        ----------
        encoder : torch.nn.Module
            With random weights.

        Raises
        ------
        TypeError
            The message names the encoder, one that hides tokens, and the parameter that does without.
        """
        if self.local_weight > 0 and not all(hasattr(encoder, name) for name in ("embed", "contextualize")):
            raise TypeError(
                f"LeadAgnostic masks tokens, which the encoder {type(encoder).__name__} cannot: use "
                f"encoder='transformer', or local_weight=0"
            )

    def prepare(self, measured: list[Any], fit: FitContext) -> None:
        """Refuse one patient, and batches of one, where the global loss would be 0 throughout."""
        if self.global_weight > 0:
            remedy = "leave groups out, or set global_weight=0"
            check_patients(type(self).__name__, fit, paired=self.cross_record, remedy=remedy)
            check_gaps(type(self).__name__, fit, self.max_gap_days)

    def batches(
        self,
        rows: NDArray[np.int64],
        groups: NDArray[np.int64] | None,
        batch_size: int,
        rng: np.random.Generator,
        *,
        times: NDArray[np.float64] | None = None,
    ) -> list[NDArray[np.int64]]:
        """Choose the records of each step, of two patients; with `cross_record`, those of a patient come together."""
        if self.cross_record or self.global_weight > 0:
            gap = self.max_gap_days
            return by_group(rows, groups, batch_size, rng, paired=self.cross_record, times=times, max_gap_days=gap)
        return super().batches(rows, groups, batch_size, rng)

    def draw(self, batch: Batch) -> tuple[dict[str, Tensor], LeadAgnosticTargets]:
        """Draw two segments of each record, their leads, and the tokens to hide."""
        inputs = {"signal": draw_segments(batch, self.segment, self.views)}
        partner = self._partners(batch)
        near = near_in_time(batch, self.max_gap_days)
        # The second segment of record j is that of its partner.
        pairs = None if near is None else batch.put(near[:, partner])
        targets = LeadAgnosticTargets(batch.groups, batch.put(partner), None, pairs)
        if self.local_weight == 0:
            return inputs, targets
        n_tokens = -(-inputs["signal"].shape[1] // int(batch.batches.stride))
        masked = span_masks(len(inputs["signal"]), n_tokens, self.mask_share, self.mask_length, batch.rng)
        inputs["masked"] = batch.put(masked)
        n_hidden = int(masked[0].sum())
        shape = (len(masked), n_hidden)
        quantizer = self._quantizer()
        of_codes = (0, 0) if quantizer is None else (quantizer.groups, quantizer.entries)
        device = inputs["signal"].device
        inputs["noise"] = torch.rand((*shape, *of_codes), device=device, generator=batch.generator)
        negatives = None
        if self.n_negatives < n_hidden - 1:
            draw = torch.rand((*shape, n_hidden), device=device, generator=batch.generator)
            draw.diagonal(dim1=1, dim2=2).fill_(2.0)
            chosen = draw.argsort(2)[..., : self.n_negatives]
            negatives = torch.zeros_like(draw, dtype=torch.bool).scatter_(2, chosen, True)
        return inputs, targets._replace(negatives=negatives)

    def _partners(self, batch: Batch) -> NDArray[np.int64]:
        """Return, for each row, the next row of its patient in the batch, or the row itself."""
        partner = np.arange(len(batch.rows))
        if self.cross_record and batch.groups is not None:
            groups = batch.groups.cpu().numpy()
            if self.max_gap_days is not None and batch.times is not None:
                groups = split_by_gap(groups, batch.times, self.max_gap_days)
            for rows in np.split(np.argsort(groups, kind="stable"), np.flatnonzero(np.diff(np.sort(groups))) + 1):
                partner[rows] = np.roll(rows, -1)
        return partner

    def heads(self, encoder: nn.Module, known: Any, generator: torch.Generator) -> nn.Module:
        """Return the heads that the weights ask for."""
        if self.local_weight == 0:
            return SegmentHeads()
        quantizer = self._quantizer()
        codebooks = None if quantizer is None else (quantizer.groups, quantizer.entries)
        temperature = 1.0 if quantizer is None else quantizer.temperature_at(0)
        return build_heads(cast(MaskingEncoder, encoder), self.target_dim, codebooks, temperature, generator)

    def loss(self, outputs: LeadAgnosticOutputs, targets: LeadAgnosticTargets) -> dict[str, Tensor]:
        """Return the loss and its parts."""
        (first, second), (here, there) = outputs.records.chunk(2), outputs.there.chunk(2)
        second, rows = second[targets.partner], here & there[targets.partner]
        groups, pairs = targets.groups, targets.near
        if not rows.all():
            first, second, groups = first[rows], second[rows], None if groups is None else groups[rows]
            pairs = None if pairs is None else pairs[rows][:, rows]
        far = group_infonce(first, second, self.temperature_global, groups, near=pairs, reduction="global")
        near = far.new_zeros(())
        if outputs.context is not None and outputs.targets is not None:
            near = token_contrast(outputs.context, outputs.targets, self.temperature_local, targets.negatives)
        total = self.local_weight * near + self.global_weight * far
        total = total + self.diversity_weight * outputs.diversity + self.penalty_weight * outputs.penalty
        return {
            "loss": total,
            "local_loss": near,
            "global_loss": far,
            "diversity_loss": outputs.diversity,
            "penalty_loss": outputs.penalty,
        }

    def after_step(self, module: PretrainedModule, progress: float) -> None:
        """Lower the temperature of the quantizer."""
        quantizer = self._quantizer()
        if quantizer is not None and self.local_weight > 0:
            heads = cast(LeadAgnosticHeads, module.heads)
            assert heads.quantizer is not None
            heads.quantizer.set_temperature(quantizer.temperature_at(progress))
