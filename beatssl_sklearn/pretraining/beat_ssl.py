"""BeatSSL: contrast of records and of heartbeats with soft targets, and predictions of features."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..components import Bounds, Limits, register
from ..contrast.beat_targets import HardBeatTargets, SoftBeatTargets
from ..contrast.diagnostics import alignment, effective_rank, uniformity
from ..contrast.infonce import soft_infonce
from ..contrast.infonce_chunked import TargetRows, chunked_infonce
from ..contrast.record_targets import rhythm_targets
from ..contrast.similarity import cosine_similarity, rbf_similarity, squared_distances
from ..inputs.front_end import FrontEnd
from ..inputs.source import Block
from ..nn.blocks import Encoder
from ..views.augment import VCGViews, checked_views
from .batches import Batch, Beats
from .beat_ssl_features import MeasuredFeatures, RecordsFeatures, measure_features, prepare_features
from .beat_ssl_heads import BeatSSLHeads, BeatSSLOutputs, build_heads
from .objective import FitContext, Objective

RHYTHM_TARGETS = ("none", "hard", "soft", "paper")
BEAT_TARGETS = ("none", "hard", "soft")
# Beats of one view that a step compares: their pairs cost as much as the encoder beyond about a thousand.
MAX_BEATS = 1024


class BeatSSLTargets(NamedTuple):
    """What the loss needs of a batch: features, and whose beat each is.

    Attributes
    ----------
    features, present : Tensor (n, n_features)
        Standardised features of the records, and which of them could be measured.
    bandwidth, weights : Tensor (n,), Tensor (n_features,)
        Width of each record's kernel, and weight of each feature.
    group : Tensor (n,) or None
        Patient of each record.
    beat_record, beat_type, beat_cluster : Tensor (n_beats,)
        Row of the batch, type and cluster of each beat.
    beat_features, beat_present, beat_bandwidth, beat_weights : Tensor
        The same for beats as for records.
    """

    features: Tensor
    present: Tensor
    bandwidth: Tensor
    weights: Tensor
    group: Tensor | None
    beat_record: Tensor
    beat_type: Tensor
    beat_cluster: Tensor
    beat_features: Tensor
    beat_present: Tensor
    beat_bandwidth: Tensor
    beat_weights: Tensor


@register
class BeatSSL(Objective):
    """Contrast at rhythm level and at heartbeat level, and predictions of features.

    Two views of every record are drawn. The loss pulls their embeddings together, and the embeddings of their
    heartbeats. Soft targets also pull them towards records and beats with similar features. The loss is rhythm loss +
    `beat_weight` x beat loss, both soft InfoNCE in float32 (Beat-SSL, section 2), + the smooth L1 loss of predictions
    of the features that could be measured.

    Parameters
    ----------
    rhythm_targets : {"soft", "hard", "paper", "none"}, default="soft"
        "hard": only the other view of a record is its positive. "soft": ``1 - soft_fraction`` of the target goes
        there and the rest to similar records. "paper": the published matrix, row-normalised. "none": no contrast.
    beat_targets : {"hard", "soft", "none"}, default="hard"
        "hard": beats of one record and cluster are positives. "soft": by the similarity of their features.
    temperature : float, default=0.1
        Divides the cosines.
    projection_dim : int, default=128
        Width of the projections that are compared.
    similarity : {"rbf", "cosine"}, default="rbf"
        "cosine" to the power `exponent` is the publication's. "rbf" has one bandwidth per record or beat, so that
        about `perplexity` others of a batch are its neighbours.
    exponent : float, default=50
        Power of the cosine.
    perplexity : float, default=10
        Effective number of neighbours in a batch.
    soft_fraction : float, default=0.5
        Share of soft targets that goes to others; 0 gives hard targets.
    beat_weight : float, default=0.5
        Weight of the beat loss.
    same_group : {"mask", "positive"}, default="mask"
        What records of one group (patient) are to each other: left out, or positives. They are never negatives.
    feature_weight : float, default=4
        Weight of predicting a record's features (`ecg.features`) from the embedding of its view.
    beat_feature_weight : float, default=2
        Weight of predicting a beat's features from the beat's embedding.
    views : component or callable, default=None
        Draws a view: None is ``VCGViews()``; else `VCGViews`, `LeadMasking`, `NoViews`, or
        ``f(x, present, generator) -> (x, present)``.

    References
    ----------
    Rizqyawan, Macfarlane, Hadjidemetriou, Deligianni, "Beat-SSL", ISBI 2026, arXiv 2601.16147. The page "Method" of
    the documentation lists what is the publication's and what is this package's.

    Examples
    --------
    >>> from beatssl_sklearn import BeatSSL, Pretrainer
    >>> Pretrainer(BeatSSL(temperature=.2), fs=100).get_params()["objective__temperature"]
    0.2
    """

    defaults: ClassVar[Mapping[str, Any]] = {"views": VCGViews}
    keeps: ClassVar[tuple[str, ...]] = ("rhythm_projector", "beat_projector")
    bounds: ClassVar[Mapping[str, Limits]] = {
        "projection_dim": Bounds(Integral, 1, 8192),
        "temperature": Bounds(Real, 1e-6),
        "exponent": Bounds(Real, 0),
        "perplexity": Bounds(Real, 1),
        "soft_fraction": Bounds(Real, 0, 1),
        "beat_weight": Bounds(Real, 0),
        "feature_weight": Bounds(Real, 0),
        "beat_feature_weight": Bounds(Real, 0),
        "rhythm_targets": RHYTHM_TARGETS,
        "beat_targets": BEAT_TARGETS,
        "similarity": ("rbf", "cosine"),
        "same_group": ("mask", "positive"),
    }

    def __init__(
        self,
        rhythm_targets: str = "soft",
        beat_targets: str = "hard",
        *,
        temperature: float = 0.1,
        projection_dim: int = 128,
        similarity: str = "rbf",
        exponent: float = 50,
        perplexity: float = 10,
        soft_fraction: float = 0.5,
        beat_weight: float = 0.5,
        same_group: str = "mask",
        feature_weight: float = 4.0,
        beat_feature_weight: float = 2.0,
        views: Any = None,
    ) -> None:
        self.rhythm_targets = rhythm_targets
        self.beat_targets = beat_targets
        self.temperature = temperature
        self.projection_dim = projection_dim
        self.similarity = similarity
        self.exponent = exponent
        self.perplexity = perplexity
        self.soft_fraction = soft_fraction
        self.beat_weight = beat_weight
        self.same_group = same_group
        self.feature_weight = feature_weight
        self.beat_feature_weight = beat_feature_weight
        self.views = views

    @classmethod
    def paper(cls, **changes: Any) -> BeatSSL:
        """Return what the publication states of its best setting; the rest keeps its default.

        Parameters
        ----------
        **changes
            Parameters with other values.

        Returns
        -------
        BeatSSL
            Contrast of records and beats, no predictions.
        """
        stated: dict[str, Any] = {"rhythm_targets": "paper", "beat_targets": "hard", "views": VCGViews.three_kg()}
        stated |= {"similarity": "cosine", "exponent": 50, "feature_weight": 0.0, "beat_feature_weight": 0.0}
        return cls(**{**stated, **changes})

    @classmethod
    def shipped(cls, **changes: Any) -> BeatSSL:
        """Return what `"ptbxl"` was trained with: predictions from one view, no contrast.

        `"ptbxl-s"` has the contrast of both levels, too: ``BeatSSL.shipped(rhythm_targets="soft",
        beat_targets="hard")``.

        Parameters
        ----------
        **changes
            Parameters with other values.

        Returns
        -------
        BeatSSL
            Predictions only, unless `changes` say otherwise.
        """
        settings: dict[str, Any] = {"rhythm_targets": "none", "beat_targets": "none"}
        settings |= {"feature_weight": 4.0, "beat_feature_weight": 1.0, "views": VCGViews(lead_subset=0.25)}
        return cls(**{**settings, **changes})

    def check(self) -> None:
        """Check the parameters and the views.

        Raises
        ------
        TypeError, ValueError
            If one cannot be used; the message names the parameter and its value.
        """
        super().check()
        checked_views(self.views)

    @property
    def contrasts_records(self) -> bool:
        """Whether there is a rhythm loss."""
        return self.rhythm_targets != "none"

    @property
    def contrasts_beats(self) -> bool:
        """Whether there is a beat loss."""
        return self.beat_targets != "none" and self.beat_weight > 0

    @property
    def n_views(self) -> int:
        """Views of a record that a step needs: one is enough where nothing is compared."""
        return 2 if self.contrasts_records or self.contrasts_beats else 1

    @property
    def measures_beats(self) -> bool:
        """Whether features of beats are needed."""
        return self.beat_targets == "soft" or self.beat_feature_weight > 0

    def measurements(self) -> Any:
        """Return what decides the result of `measure`."""
        return {"beats": self.measures_beats}

    def measure(self, block: Block, rpeaks: list[NDArray], front_end: FrontEnd) -> MeasuredFeatures:
        """Measure the features of records and beats, and the types of beats."""
        return measure_features(block, rpeaks, front_end.beat_window if self.measures_beats else None)

    def prepare(self, measured: list[MeasuredFeatures], fit: FitContext) -> RecordsFeatures:
        """Standardise the features of all records and beats."""
        return prepare_features(measured, fit, self.perplexity, self.measures_beats)

    def draw(self, batch: Batch) -> tuple[dict[str, Tensor], BeatSSLTargets]:
        """Draw the views of the records, and up to 1,024 of their beats."""
        start = batch.draw_start()
        signal, present = batch.window(start)
        views = checked_views(self.views)
        drawn = [views(signal, present, batch.generator)[0] for _ in range(self.n_views)]
        beats = batch.beats_in(start)
        if len(beats.number) > MAX_BEATS:
            kept = np.sort(batch.rng.choice(len(beats.number), MAX_BEATS, replace=False))
            beats = Beats(beats.number[kept], beats.record[kept], beats.time[kept])
        inputs = {"signal": torch.cat(drawn), **batch.regions(beats.record, beats.time, self.n_views)}
        return inputs, self.targets(batch, beats)

    def targets(self, batch: Batch, beats: Beats) -> BeatSSLTargets:
        """Collect what the loss needs of the records of a batch and some of their beats.

        Parameters
        ----------
        batch : Batch
            Records of the step.
        beats : Beats
            Those of their beats that are compared.

        Returns
        -------
        BeatSSLTargets
            On the device.
        """
        known: RecordsFeatures = batch.known
        records, of_beats, put, number = known.records, known.beats, batch.put, beats.number
        return BeatSSLTargets(
            features=put(records.values[batch.rows]),
            present=put(records.present[batch.rows]),
            bandwidth=put(records.bandwidth[batch.rows]),
            weights=put(records.weights),
            group=batch.groups,
            beat_record=put(beats.record),
            beat_type=put(known.beat_type[number]),
            beat_cluster=put(known.beat_cluster[number]),
            beat_features=put(of_beats.values[number]),
            beat_present=put(of_beats.present[number]),
            beat_bandwidth=put(of_beats.bandwidth[number]),
            beat_weights=put(of_beats.weights),
        )

    def heads(self, encoder: nn.Module, known: RecordsFeatures, generator: torch.Generator) -> BeatSSLHeads:
        """Return the heads that the weights and targets ask for."""
        return build_heads(
            cast(Encoder, encoder),
            known.beat_phases,
            projection_dims=(self.projection_dim * self.contrasts_records, self.projection_dim * self.contrasts_beats),
            n_features=(
                known.records.values.shape[1] * (self.feature_weight > 0),
                known.beats.values.shape[1] * (self.beat_feature_weight > 0),
            ),
            generator=generator,
        )

    def loss(self, outputs: BeatSSLOutputs, targets: BeatSSLTargets) -> dict[str, Tensor]:
        """Return the loss and its parts: losses, and their excess over the targets' entropy (`_kl`)."""
        nothing = outputs.embedding.new_zeros((), dtype=torch.float32)
        rhythm_loss, rhythm_kl, beat_loss, beat_kl = nothing, nothing, nothing, nothing
        if outputs.rhythm is not None:
            rhythm_loss, rhythm_kl = self._rhythm_loss(outputs.rhythm, targets)
        if outputs.beats is not None:
            second = chunked_infonce(outputs.beats, self._beat_targets(targets), self.temperature)
            beat_loss, beat_kl = second.loss, second.kl
        features = prediction_loss(outputs.features, targets.features, targets.present)
        beat_features = prediction_loss(outputs.beat_features, targets.beat_features, targets.beat_present)
        total = rhythm_loss + self.beat_weight * beat_loss
        total = total + self.feature_weight * features + self.beat_feature_weight * beat_features
        return {
            "loss": total,
            "rhythm_loss": rhythm_loss,
            "beat_loss": beat_loss,
            "feature_loss": features,
            "beat_feature_loss": beat_features,
            "rhythm_kl": rhythm_kl,
            "beat_kl": beat_kl,
        }

    def _rhythm_loss(self, rhythm: Tensor, targets: BeatSSLTargets) -> tuple[Tensor, Tensor]:
        wanted = rhythm_targets(
            self.rhythm_targets,
            self._record_similarity(targets),
            self.soft_fraction,
            targets.group,
            self.same_group,
            n_records=len(rhythm) // 2,
            device=rhythm.device,
        )
        found = soft_infonce(rhythm, wanted.weights, self.temperature, wanted.excluded)
        return found.loss, found.kl

    def _record_similarity(self, targets: BeatSSLTargets) -> Tensor | None:
        if self.rhythm_targets == "hard":
            return None
        measured = targets.features, targets.present, targets.weights
        if self.similarity == "rbf":
            return rbf_similarity(squared_distances(*measured), targets.bandwidth)
        return cosine_similarity(*measured, self.exponent)

    def _beat_targets(self, targets: BeatSSLTargets) -> TargetRows:
        groups = None if targets.group is None else targets.group[targets.beat_record]
        if self.beat_targets == "hard":
            return HardBeatTargets(targets.beat_record, targets.beat_cluster, targets.beat_type, groups=groups)
        return SoftBeatTargets(
            targets.beat_features,
            targets.beat_present,
            targets.beat_weights,
            bandwidth=targets.beat_bandwidth if self.similarity == "rbf" else None,
            exponent=self.exponent,
            soft_fraction=self.soft_fraction,
            valid=targets.beat_type >= 0,
            record_id=targets.beat_record,
            groups=groups,
        )

    def diagnose(self, outputs: BeatSSLOutputs) -> dict[str, float]:
        """Return effective rank and uniformity of what is compared, and the alignment of two views."""
        compared = (outputs.embedding if outputs.rhythm is None else outputs.rhythm).detach().float()
        found = {"effective_rank": float(effective_rank(compared)), "uniformity": float(uniformity(compared))}
        if self.n_views == 2:
            found["alignment"] = float(alignment(*compared.chunk(2)))
        return found


def prediction_loss(predicted: Tensor | None, values: Tensor, present: Tensor) -> Tensor:
    """Mean smooth L1 distance of predictions (n_views * n, k) from the values (n, k) present; 0 without any."""
    if predicted is None:
        return values.new_zeros(())
    n_views = len(predicted) // max(1, len(values))
    distance = F.smooth_l1_loss(predicted, values.repeat(n_views, 1), reduction="none")
    known = present.repeat(n_views, 1)
    return (distance * known).sum() / known.sum().clamp_min(1)
