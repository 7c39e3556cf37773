"""Targets of the beat contrast, in rows: which beats belong together.

Beats are stacked as ``[first view of all beats; second view of all beats]``, so that beat b has rows b and b + B.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .record_targets import normalize_rows
from .similarity import cosine_similarity, rbf_similarity, squared_distances

__all__ = ["HardBeatTargets", "SoftBeatTargets"]


class _Exclusions:
    """The pairs of beats that are neither positive nor negative."""

    def __init__(self, valid: Tensor, record_id: Tensor | None, groups: Tensor | None) -> None:
        if groups is not None and record_id is None:
            raise ValueError("groups need record_id: beats of one record and of one patient count differently")
        self.invalid = ~valid
        self.record_id, self.groups = record_id, groups

    def __call__(self, beats: Tensor) -> Tensor:
        """Return the excluded beats of some anchors (n, B), or (1, B) if they are the same for all anchors."""
        invalid = self.invalid[None]
        if self.groups is None or self.record_id is None:
            return invalid
        same_patient = self.groups[beats, None] == self.groups
        return invalid | (same_patient & (self.record_id[beats, None] != self.record_id))


def _beats_of(rows: slice, n_beats: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return beat and view (0 or 1) of each row."""
    row = torch.arange(rows.start, rows.stop, device=device)
    return row % n_beats, row // n_beats


class HardBeatTargets:
    """Targets with equal weight on the other view of the same beat and on beats of the same cluster of its record.

    Parameters
    ----------
    record_id : int64 Tensor of shape (n_beats,)
        Record of each beat.
    cluster : int64 Tensor of shape (n_beats,)
        Cluster of each beat within its record, from 0 (below 2 ** 31).
    type : integer Tensor of shape (n_beats,)
        Type of each beat: 0 normal, 1 supraventricular, 2 ventricular, ...; beats of a negative type (noise) are left
        out.
    valid : bool Tensor of shape (n_beats,), optional
        False for further beats to leave out: they are neither anchors nor positives nor negatives.
    cap : int or None
        Most other beats that are positives of an anchor, taken at even steps through its cluster. The others stay
        negatives, so that a large cluster does not collapse to a point. None: no limit.
    groups : integer Tensor of shape (n_beats,), optional
        Patient of each beat. Beats of the patient's other records are left out of the denominators.

    Raises
    ------
    ValueError
        If `cap` is negative, or if the lengths differ.

    References
    ----------
    Rizqyawan et al. Beat-SSL. ISBI 2026, arXiv 2601.16147: hard beat targets from beat classes. Clusters within a
    record and the cap are this package's own. Khosla P et al. Supervised contrastive learning. NeurIPS 2020, equation 2
    (the form with several positives).
    """

    def __init__(
        self,
        record_id: Tensor,
        cluster: Tensor,
        type: Tensor,
        valid: Tensor | None = None,
        cap: int | None = 16,
        groups: Tensor | None = None,
    ) -> None:
        if cap is not None and cap < 0:
            raise ValueError(f"cap must be None or at least 0, got {cap!r}")
        for name, value in (("cluster", cluster), ("type", type), ("valid", valid), ("groups", groups)):
            if value is not None and value.shape != record_id.shape:
                raise ValueError(f"{name} must be {tuple(record_id.shape)} as record_id, got {tuple(value.shape)}")
        self.n_beats = len(record_id)
        self.n_others = max(0, self.n_beats - 1 if cap is None else min(cap, self.n_beats - 1))
        self.valid = (type >= 0) if valid is None else valid & (type >= 0)
        self._excluded = _Exclusions(self.valid, record_id, groups)
        kind = record_id.long() * 2**31 + cluster.long()
        # Beats that are left out must not be members of a kind: they share the last one.
        kind = torch.where(self.valid, kind, torch.full_like(kind, torch.iinfo(torch.int64).max))
        self._order = torch.argsort(kind, stable=True)
        ordered = kind[self._order]
        self._first = torch.searchsorted(ordered, kind)
        self._size = torch.searchsorted(ordered, kind, right=True) - self._first
        self._rank = torch.empty_like(self._order)
        self._rank[self._order] = torch.arange(self.n_beats, device=kind.device)

    def __call__(self, rows: slice) -> tuple[Tensor, Tensor | None]:
        """Return targets and exclusions of some rows, see `TargetRows`."""
        beats, view = _beats_of(rows, self.n_beats, self._order.device)
        first, size = self._first[beats, None], self._size[beats, None]
        # Even steps through the members, beginning at the anchor: each member is a positive equally often.
        step = (size - 1).div(max(1, self.n_others), rounding_mode="floor").clamp(min=1)
        nth = torch.arange(self.n_others + 1, device=beats.device)
        member = self._order[first + (self._rank[beats, None] - first + nth * step) % size]
        # A kind smaller than the cap repeats its members: count each once.
        counts = (nth < size).to(torch.float32)
        # An anchor is one view of its beat: only the other view is a positive.
        weight = torch.cat([counts, counts], 1)
        weight[:, 0] = view.to(torch.float32)
        weight[:, self.n_others + 1] = 1 - weight[:, 0]
        weight *= self.valid[beats, None] / weight.sum(1, keepdim=True)
        targets = torch.zeros(len(beats), 2 * self.n_beats, dtype=torch.float32, device=beats.device)
        targets.scatter_add_(1, torch.cat([member, member + self.n_beats], 1), weight)
        return targets, self._excluded(beats).repeat(1, 2)


class SoftBeatTargets:
    """Targets on the other view of the same beat, and on other beats by the similarity of their features.

    Parameters
    ----------
    features : Tensor of shape (n_beats, k)
        Standardized beat features.
    present : bool Tensor of shape (n_beats, k)
        Which values are known.
    weights : Tensor of shape (k,)
        Weights of the features.
    bandwidth : Tensor of shape (n_beats,), optional
        From `calibrate_bandwidth`, for `rbf_similarity`; without it `cosine_similarity` is used.
    exponent : float
        Power of the cosine.
    soft_fraction : float
        Share of the similarity, as in `soft_targets`.
    valid : bool Tensor of shape (n_beats,), optional
        False for beats to leave out: they are neither anchors nor positives nor negatives.
    record_id, groups : integer Tensors of shape (n_beats,), optional
        Record and patient of each beat. Beats of the patient's other records are left out of targets and denominators.

    Raises
    ------
    ValueError
        If `soft_fraction` is not between 0 and 1, if the lengths differ, or if `groups` comes without `record_id`.

    References
    ----------
    Rizqyawan et al. Beat-SSL. ISBI 2026, arXiv 2601.16147: soft beat targets from beat features (feature set not
    published).
    """

    def __init__(
        self,
        features: Tensor,
        present: Tensor,
        weights: Tensor,
        bandwidth: Tensor | None = None,
        exponent: float = 1.0,
        soft_fraction: float = 0.5,
        valid: Tensor | None = None,
        record_id: Tensor | None = None,
        groups: Tensor | None = None,
    ) -> None:
        if not 0 <= soft_fraction <= 1:
            raise ValueError(f"soft_fraction must lie between 0 and 1, got {soft_fraction!r}")
        self.n_beats = len(features)
        for name, value in (("bandwidth", bandwidth), ("valid", valid), ("record_id", record_id), ("groups", groups)):
            if value is not None and value.shape != (self.n_beats,):
                raise ValueError(f"{name} must be ({self.n_beats},), got {tuple(value.shape)}")
        self.features, self.present, self.weights = features, present, weights
        self.bandwidth, self.exponent = bandwidth, exponent
        self.soft_fraction = soft_fraction
        self.valid = torch.ones(self.n_beats, dtype=torch.bool, device=features.device) if valid is None else valid
        self._excluded = _Exclusions(self.valid, record_id, groups)

    def _similarity(self, beats: Tensor) -> Tensor:
        anchor = (self.features[beats], self.present[beats], self.weights)
        if self.bandwidth is None:
            return cosine_similarity(*anchor, self.exponent, self.features, self.present)
        return rbf_similarity(squared_distances(*anchor, self.features, self.present), self.bandwidth[beats])

    def __call__(self, rows: slice) -> tuple[Tensor, Tensor | None]:
        """Return targets and exclusions of some rows, see `TargetRows`."""
        n_beats, device = self.n_beats, self.features.device
        beats, view = _beats_of(rows, n_beats, device)
        excluded = self._excluded(beats)
        itself = beats[:, None]
        similarity = self._similarity(beats).float().masked_fill_(excluded, 0.0).scatter_(1, itself, 0.0)
        anchor = self.valid[itself].float()
        other_view = (itself + (1 - view[:, None]) * n_beats).long()
        weights, some = normalize_rows(similarity)
        # A beat without any similar beat has its other view alone as target.
        fraction = self.soft_fraction * some.float()
        targets = (weights * (anchor * fraction / 2)).repeat(1, 2)
        targets.scatter_add_(1, other_view, anchor * (1 - fraction))
        return targets, excluded.repeat(1, 2)
