"""Targets of the beat contrast, by rows: which beats belong together.

Beats are stacked as ``[first view of all beats; second view of all beats]``, so that beat b has rows b and b + B.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .record_targets import normalize_rows
from .similarity import cosine_similarity, rbf_similarity, squared_distances

__all__ = ["HardBeatTargets", "SoftBeatTargets"]

_SCOPES = ("record", "class")
_KINDS = ("soft", "paper")


class _Exclusions:
    """Which pairs of beats are neither positive nor negative."""

    def __init__(self, valid: Tensor, record_id: Tensor | None, groups: Tensor | None) -> None:
        if groups is not None and record_id is None:
            raise ValueError("groups need record_id, to tell the beats of one record from those of one patient")
        self.invalid = ~valid
        self.record_id, self.groups = record_id, groups

    def __call__(self, beats: Tensor) -> Tensor:
        """(n, B), or (1, B) where it is the same for all."""
        invalid = self.invalid[None]
        if self.groups is None or self.record_id is None:
            return invalid
        same_patient = self.groups[beats, None] == self.groups
        return invalid | (same_patient & (self.record_id[beats, None] != self.record_id))


def _beats_of(rows: slice, n_beats: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Beat and view (0 or 1) of each row."""
    row = torch.arange(rows.start, rows.stop, device=device)
    return row % n_beats, row // n_beats


class HardBeatTargets:
    """The other view of the same beat, and beats of the same kind, all with the same weight.

    Parameters
    ----------
    record_id : int64 Tensor of shape (n_beats,)
        Record of each beat.
    cluster : int64 Tensor of shape (n_beats,)
        Cluster of each beat within its record, from 0 (below 2 ** 31).
    type : integer Tensor of shape (n_beats,)
        Class of each beat: 0 normal, 1 supraventricular, 2 ventricular, ...; negative beats (noise) are left out
        entirely.
    valid : bool Tensor of shape (n_beats,), optional
        Further beats to leave out: neither anchors nor positives nor negatives.
    scope : {"record", "class"}
        Same kind means same record and cluster, or same class in any record.
    cap : int or None
        Most other beats that an anchor has as positives. They are taken at even steps through all beats of the kind, so
        that in scope "class" they come from many records; those passed over stay negatives, which keeps the largest
        class (nine beats in ten are normal) from collapsing to a point. None: no limit.
    groups : integer Tensor of shape (n_beats,), optional
        Patient of each beat. Beats of other records of the patient that are no positives are left out of the
        denominators.

    Raises
    ------
    ValueError
        If `scope` is unknown, `cap` is negative or the lengths differ.

    References
    ----------
    Rizqyawan et al. Beat-SSL. ISBI 2026, arXiv 2601.16147: hard beat targets from beat classes. Clusters within a
    record, and the cap, are this package's own. Khosla P et al. Supervised contrastive learning. NeurIPS 2020, equation
    2 (the form with several positives).
    """

    def __init__(
        self,
        record_id: Tensor,
        cluster: Tensor,
        type: Tensor,
        valid: Tensor | None = None,
        scope: str = "record",
        cap: int | None = 16,
        groups: Tensor | None = None,
    ) -> None:
        if scope not in _SCOPES:
            raise ValueError(f"scope must be one of {_SCOPES}, got {scope!r}")
        if cap is not None and cap < 0:
            raise ValueError(f"cap must be None or at least 0, got {cap!r}")
        for name, value in (("cluster", cluster), ("type", type), ("valid", valid), ("groups", groups)):
            if value is not None and value.shape != record_id.shape:
                raise ValueError(f"{name} must be {tuple(record_id.shape)} as record_id, got {tuple(value.shape)}")
        self.n_beats = len(record_id)
        self.n_others = max(0, self.n_beats - 1 if cap is None else min(cap, self.n_beats - 1))
        self.valid = (type >= 0) if valid is None else valid & (type >= 0)
        self._excluded = _Exclusions(self.valid, record_id, groups)
        kind = record_id.long() * 2**31 + cluster.long() if scope == "record" else type.long()
        # Beats that are left out must not count as members of a kind.
        kind = torch.where(self.valid, kind, torch.full_like(kind, torch.iinfo(torch.int64).max))
        self._order = torch.argsort(kind, stable=True)
        ordered = kind[self._order]
        self._first = torch.searchsorted(ordered, kind)
        self._size = torch.searchsorted(ordered, kind, right=True) - self._first
        self._rank = torch.empty_like(self._order)
        self._rank[self._order] = torch.arange(self.n_beats, device=kind.device)

    def __call__(self, rows: slice) -> tuple[Tensor, Tensor | None]:
        """See `TargetRows`."""
        beats, view = _beats_of(rows, self.n_beats, self._order.device)
        first, size = self._first[beats, None], self._size[beats, None]
        step = (size - 1).div(max(1, self.n_others), rounding_mode="floor").clamp(min=1)
        nth = torch.arange(self.n_others + 1, device=beats.device)
        member = self._order[first + (self._rank[beats, None] - first + nth * step) % size]
        # Small kinds run out before the cap; what comes after would be counted twice.
        counts = (nth < size).to(torch.float32)
        # An anchor is its own beat's first view or second: only the other one is a positive.
        weight = torch.cat([counts, counts], 1)
        weight[:, 0] = view.to(torch.float32)
        weight[:, self.n_others + 1] = 1 - weight[:, 0]
        weight *= self.valid[beats, None] / weight.sum(1, keepdim=True)
        targets = torch.zeros(len(beats), 2 * self.n_beats, device=beats.device)
        targets.scatter_add_(1, torch.cat([member, member + self.n_beats], 1), weight)
        excluded = self._excluded(beats).repeat(1, 2)
        return targets, excluded if self._excluded.groups is None else excluded & (targets == 0)


class SoftBeatTargets:
    """The other view of the same beat, and other beats by the similarity of their features.

    Parameters
    ----------
    features : Tensor of shape (n_beats, k)
        Standardised beat features.
    present : bool Tensor of shape (n_beats, k)
        Which values are known.
    weights : Tensor of shape (k,)
        Weights of the features.
    bandwidth : Tensor of shape (n_beats,), optional
        From `calibrate_bandwidth`: the similarity is then `rbf_similarity`, else `cosine_similarity`.
    exponent : float
        Power of the cosine.
    kind : {"soft", "paper"}
        As in `soft_targets` or in `paper_targets`.
    soft_fraction : float
        Share of the similarity in "soft".
    valid : bool Tensor of shape (n_beats,), optional
        Beats that are False are neither anchors nor positives nor negatives.
    record_id, groups : integer Tensors of shape (n_beats,), optional
        Record and patient of each beat: beats of other records of the same patient are left out of targets and
        denominators.

    Raises
    ------
    ValueError
        If `kind` is unknown, `soft_fraction` is not between 0 and 1, the lengths differ, or `groups` comes without
        `record_id`.

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
        kind: str = "soft",
        soft_fraction: float = 0.5,
        valid: Tensor | None = None,
        record_id: Tensor | None = None,
        groups: Tensor | None = None,
    ) -> None:
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {_KINDS}, got {kind!r}")
        if not 0 <= soft_fraction <= 1:
            raise ValueError(f"soft_fraction must lie between 0 and 1, got {soft_fraction!r}")
        self.n_beats = len(features)
        for name, value in (("bandwidth", bandwidth), ("valid", valid), ("record_id", record_id), ("groups", groups)):
            if value is not None and value.shape != (self.n_beats,):
                raise ValueError(f"{name} must be ({self.n_beats},), got {tuple(value.shape)}")
        self.features, self.present, self.weights = features, present, weights
        self.bandwidth, self.exponent = bandwidth, exponent
        self.kind, self.soft_fraction = kind, soft_fraction
        self.valid = torch.ones(self.n_beats, dtype=torch.bool, device=features.device) if valid is None else valid
        self._excluded = _Exclusions(self.valid, record_id, groups)

    def _similarity(self, beats: Tensor) -> Tensor:
        anchor = (self.features[beats], self.present[beats], self.weights)
        if self.bandwidth is None:
            return cosine_similarity(*anchor, self.exponent, self.features, self.present)
        return rbf_similarity(squared_distances(*anchor, self.features, self.present), self.bandwidth[beats])

    def __call__(self, rows: slice) -> tuple[Tensor, Tensor | None]:
        """See `TargetRows`."""
        n_beats, device = self.n_beats, self.features.device
        beats, view = _beats_of(rows, n_beats, device)
        excluded = self._excluded(beats)
        itself = beats[:, None]
        similarity = self._similarity(beats).float().masked_fill_(excluded, 0.0).scatter_(1, itself, 0.0)
        anchor = self.valid[itself].float()
        other_view = (itself + (1 - view[:, None]) * n_beats).long()
        if self.kind == "paper":
            targets = similarity.repeat(1, 2).scatter_(1, other_view, 1.0)
            targets = targets * (anchor / targets.sum(1, keepdim=True))
        else:
            weights, some = normalize_rows(similarity)
            fraction = self.soft_fraction * some.float()
            targets = (weights * (anchor * fraction / 2)).repeat(1, 2)
            targets.scatter_add_(1, other_view, anchor * (1 - fraction))
        return targets, excluded.repeat(1, 2)
