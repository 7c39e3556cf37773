"""The network that is pretrained, its loss, and the skorch net that runs the epochs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..contrast.beat_targets import HardBeatTargets, SoftBeatTargets
from ..contrast.diagnostics import alignment, effective_rank, uniformity
from ..contrast.infonce import soft_infonce
from ..contrast.infonce_chunked import TargetRows, chunked_infonce
from ..contrast.record_targets import rhythm_targets
from ..contrast.similarity import cosine_similarity, rbf_similarity, squared_distances
from ..nn.blocks import Encoder
from ..nn.roi import beat_embeddings, mean_beats
from ..training.net import EpochNet, raise_if_diverged, rate_factor
from .batches import Context, PretrainingBatches

PARTS = ("loss", "rhythm_loss", "beat_loss", "feature_loss", "beat_feature_loss", "rhythm_kl", "beat_kl")


class Outputs(NamedTuple):
    """What the heads say of the views and of their beats; None where a head is not there."""

    embedding: Tensor
    """Embedding of each view (n_views * n_records, n_dims_record + phases * n_dims)."""
    rhythm: Tensor | None
    """Projections of the views (n_views * n_records, p)."""
    beats: Tensor | None
    """Projections of the beats (n_views * n_beats, p)."""
    features: Tensor | None
    """Predicted features of the record (n_views * n_records, n_features)."""
    beat_features: Tensor | None
    """Predicted features of the beat (n_views * n_beats, n_beat_features)."""


class DualContextModule(nn.Module):
    """Shared encoder with a projector and a predictor for the rhythm, and one of each for the beats.

    Projectors are the publication's (Beat-SSL, section 2), predictors are this package's. Any head may be missing.
    """

    def __init__(
        self,
        encoder: nn.Module,
        phases: int,
        rhythm_projector: nn.Module | None = None,
        beat_projector: nn.Module | None = None,
        feature_predictor: nn.Module | None = None,
        beat_feature_predictor: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.phases = encoder, phases
        self.rhythm_projector, self.beat_projector = rhythm_projector, beat_projector
        self.feature_predictor, self.beat_feature_predictor = feature_predictor, beat_feature_predictor

    def forward(self, signal: Tensor, roi_record: Tensor, roi_start: Tensor, roi_end: Tensor) -> Outputs:
        """Encode the views and apply all heads."""
        encoder = cast(Encoder, self.encoder)
        feature_map = encoder(signal)
        beats = beat_embeddings(feature_map, roi_record, roi_start, roi_end, self.phases)
        embedding = torch.cat([encoder.pool(feature_map), mean_beats(beats, roi_record, feature_map)], dim=1)
        inputs = {
            "rhythm_projector": embedding,
            "beat_projector": beats,
            "feature_predictor": embedding,
            "beat_feature_predictor": beats,
        }
        heads = {name: getattr(self, name) for name in inputs}
        return Outputs(embedding, *(None if head is None else head(inputs[name]) for name, head in heads.items()))


@dataclass(frozen=True)
class ContrastSettings:
    """What is compared with what; see `BeatSSLPretrainer` for the meaning of each."""

    rhythm_targets: str
    beat_targets: str
    similarity: str
    exponent: float
    soft_fraction: float
    temperature: float
    beat_weight: float
    same_group: str
    feature_weight: float
    beat_feature_weight: float

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
        """Views of a record that a step needs: nothing is compared without a contrast, so that one is enough."""
        return 2 if self.contrasts_records or self.contrasts_beats else 1


class DualContextLoss(nn.Module):
    """Rhythm loss + beat_weight x beat loss, both soft InfoNCE in float32 (Beat-SSL, section 2), + predictions.

    Predictions are compared with the standardised features by the smooth L1 loss, over the features that could be
    measured.

    Parameters
    ----------
    settings : ContrastSettings
    record_weights, beat_weights : ndarray
        Weights of the columns of record and beat features.
    """

    record_weights: Tensor
    beat_feature_weights: Tensor

    def __init__(self, settings: ContrastSettings, record_weights: NDArray, beat_weights: NDArray) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("record_weights", torch.from_numpy(record_weights), persistent=False)
        self.register_buffer("beat_feature_weights", torch.from_numpy(beat_weights), persistent=False)
        self.parts = torch.zeros(len(PARTS))
        self.compared = torch.zeros(2, 1)

    def forward(self, outputs: Outputs, context: Context) -> Tensor:
        s = self.settings
        nothing = outputs.embedding.new_zeros((), dtype=torch.float32)
        rhythm_loss, rhythm_kl, beat_loss, beat_kl = nothing, nothing, nothing, nothing
        if outputs.rhythm is not None:
            rhythm_loss, rhythm_kl = self._rhythm_loss(outputs.rhythm, context)
        if outputs.beats is not None:
            second = chunked_infonce(outputs.beats, self._beat_targets(context), s.temperature)
            beat_loss, beat_kl = second.loss, second.kl
        features = prediction_loss(outputs.features, context.features, context.present)
        beat_features = prediction_loss(outputs.beat_features, context.beat_features, context.beat_present)
        total = rhythm_loss + s.beat_weight * beat_loss
        total = total + s.feature_weight * features + s.beat_feature_weight * beat_features
        parts = [total, rhythm_loss, beat_loss, features, beat_features, rhythm_kl, beat_kl]
        self.parts = torch.stack(parts).detach()
        self.compared = (outputs.embedding if outputs.rhythm is None else outputs.rhythm).detach()
        return total

    def _rhythm_loss(self, rhythm: Tensor, context: Context) -> tuple[Tensor, Tensor]:
        s = self.settings
        targets = rhythm_targets(
            s.rhythm_targets,
            self._record_similarity(context),
            s.soft_fraction,
            context.group,
            s.same_group,
            n_records=len(rhythm) // 2,
            device=rhythm.device,
        )
        found = soft_infonce(rhythm, targets.weights, s.temperature, targets.excluded)
        return found.loss, found.kl

    def _record_similarity(self, context: Context) -> Tensor | None:
        if self.settings.rhythm_targets == "hard":
            return None
        measured = context.features, context.present, self.record_weights
        if self.settings.similarity == "rbf":
            return rbf_similarity(squared_distances(*measured), context.bandwidth)
        return cosine_similarity(*measured, self.settings.exponent)

    def _beat_targets(self, context: Context) -> TargetRows:
        groups = None if context.group is None else context.group[context.beat_record]
        if self.settings.beat_targets == "hard":
            return HardBeatTargets(context.beat_record, context.beat_cluster, context.beat_type, groups=groups)
        rbf = self.settings.similarity == "rbf"
        return SoftBeatTargets(
            context.beat_features,
            context.beat_present,
            self.beat_feature_weights,
            bandwidth=context.beat_bandwidth if rbf else None,
            exponent=self.settings.exponent,
            soft_fraction=self.settings.soft_fraction,
            valid=context.beat_type >= 0,
            record_id=context.beat_record,
            groups=groups,
        )


def prediction_loss(predicted: Tensor | None, values: Tensor, present: Tensor) -> Tensor:
    """Mean smooth L1 distance of predictions (n_views * n, k) from the values (n, k) present; 0 without any."""
    if predicted is None:
        return values.new_zeros(())
    n_views = len(predicted) // max(1, len(values))
    distance = F.smooth_l1_loss(predicted, values.repeat(n_views, 1), reduction="none")
    known = present.repeat(n_views, 1)
    return (distance * known).sum() / known.sum().clamp_min(1)


class BeatSSLNet(EpochNet):
    """skorch net of the pretraining: views from the iterator, and the loss's parts in the history.

    Parameters
    ----------
    constant_lr : bool
        Whether to leave out warm-up and cosine (for `partial_fit`).
    first_epoch : int
        Epochs trained before (by `partial_fit`), so that every call draws other views and batches.
    **kwargs
        As for `EpochNet`.
    """

    def __init__(self, *args: Any, constant_lr: bool = False, first_epoch: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.constant_lr, self.first_epoch = constant_lr, first_epoch

    def run_single_epoch(
        self, iterator: PretrainingBatches | None, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Run one epoch; as skorch does it, but the losses stay on the device until the end."""
        if iterator is None:
            return
        epoch = len(self.history) - 1
        # Validation sees the same views every time, so that its losses can be compared.
        iterator.epoch = self.first_epoch + epoch if training else 0
        started = time.perf_counter()
        sums, n_records = None, 0
        for step, batch in enumerate(iterator):
            self.notify("on_batch_begin", batch=batch, training=training)
            if training:
                self._set_learning_rate(epoch * len(iterator) + step, self.max_epochs * len(iterator))
            done = step_fn(batch, **fit_params)
            n = len(batch[1].features)
            parts = self.criterion_.parts * n
            sums, n_records = parts if sums is None else sums + parts, n_records + n
            self.notify("on_batch_end", batch=batch, training=training, **done)
        if sums is not None:
            self._record_epoch(sums / n_records, n_records, time.perf_counter() - started, training, epoch)

    def _record_epoch(self, means: Tensor, n_records: int, seconds: float, training: bool, epoch: int) -> None:
        values = dict(zip(PARTS, means.double().cpu().tolist(), strict=True))
        raise_if_diverged(list(values.values()), epoch, self.lr)
        if not training:
            for name, value in values.items():
                self.history.record(f"valid_{name}", value)
            return
        self.history.record("train_loss", values.pop("loss"))
        compared = self.criterion_.compared.float()
        diagnostics = {
            "effective_rank": float(effective_rank(compared)),
            "uniformity": float(uniformity(compared)),
            "lr": self.optimizer_.param_groups[0]["lr"],
            "records_per_second": n_records / max(seconds, 1e-9),
            "seconds": seconds,
        }
        if self.criterion_.settings.n_views == 2:
            diagnostics["alignment"] = float(alignment(*compared.chunk(2)))
        for name, value in {**values, **diagnostics}.items():
            self.history.record(name, value)

    def _set_learning_rate(self, step: int, n_steps: int) -> None:
        factor = 1.0 if self.constant_lr else rate_factor(step, n_steps)
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr * factor
