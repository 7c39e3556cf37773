"""The network that is pretrained, its loss, and the skorch net that runs the epochs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, pi
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from torch import Tensor, nn

from ..contrast.beat_targets import HardBeatTargets, SoftBeatTargets
from ..contrast.chunked import TargetRows, chunked_infonce
from ..contrast.diagnostics import alignment, effective_rank, uniformity
from ..contrast.losses import soft_infonce
from ..contrast.similarity import cosine_similarity, rbf_similarity, squared_distances
from ..contrast.targets import rhythm_targets
from ..nn.blocks import Encoder
from ..nn.roi import roi_align_1d
from .batches import Context, PretrainingBatches

PARTS = ("loss", "rhythm_loss", "beat_loss", "rhythm_kl", "beat_kl")
# Share of all steps that the learning rate rises, before it falls as a cosine to a hundredth.
WARM_UP, FINAL_LR = 0.1, 0.01


class DualContextModule(nn.Module):
    """Shared encoder with one projector for the rhythm and one for the beats (Beat-SSL, section 2)."""

    def __init__(self, encoder: nn.Module, rhythm_projector: nn.Module, beat_projector: nn.Module) -> None:
        super().__init__()
        self.encoder, self.rhythm_projector, self.beat_projector = encoder, rhythm_projector, beat_projector

    def forward(
        self, signal: Tensor, roi_record: Tensor, roi_start: Tensor, roi_end: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the projections of the views (2 * n_records, p) and of their beats (2 * n_beats, p)."""
        encoder = cast(Encoder, self.encoder)
        feature_map = encoder(signal)
        rhythm = self.rhythm_projector(encoder.pool(feature_map))
        beats = roi_align_1d(feature_map, roi_record, roi_start, roi_end)[:, 0]
        return rhythm, self.beat_projector(beats)


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


class DualContextLoss(nn.Module):
    """Rhythm loss + beat_weight x beat loss, both soft InfoNCE in float32 (Beat-SSL, section 2).

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
        self.last_rhythm = torch.zeros(2, 1)

    def forward(self, projections: tuple[Tensor, Tensor], context: Context) -> Tensor:
        rhythm, beats = projections
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
        first = soft_infonce(rhythm, targets.weights, s.temperature, targets.excluded)
        total, beat_loss, beat_kl = first.loss, torch.zeros_like(first.loss), torch.zeros_like(first.loss)
        if s.beat_targets != "none" and s.beat_weight > 0:
            second = chunked_infonce(beats, self._beat_targets(context), s.temperature)
            beat_loss, beat_kl = second.loss, second.kl
            total = total + s.beat_weight * beat_loss
        self.parts = torch.stack([total, first.loss, beat_loss, first.kl, beat_kl]).detach()
        self.last_rhythm = rhythm.detach()
        return total

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


class BeatSSLNet(NeuralNet):
    """skorch net of the pretraining: views from the iterator, bf16 autocast, one host synchronisation per epoch.

    Parameters
    ----------
    precision : {"bf16", "fp32"}
        Autocast type; weights stay in float32.
    constant_lr : bool
        Whether to leave out warm-up and cosine (for `partial_fit`).
    held_out : PretrainingBatches or None
        Records whose losses are recorded and not trained on.
    first_epoch : int
        Epochs trained before (by `partial_fit`), so that every call draws other views and batches.
    **kwargs
        As for `skorch.NeuralNet`.
    """

    def __init__(
        self,
        *args: Any,
        precision: str = "fp32",
        constant_lr: bool = False,
        held_out: PretrainingBatches | None = None,
        first_epoch: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.precision, self.constant_lr, self.held_out = precision, constant_lr, held_out
        self.first_epoch = first_epoch

    @property
    def _default_callbacks(self) -> list[Any]:
        # skorch's own would print, and read every batch's loss back from the device.
        return []

    def get_split_datasets(
        self, X: PretrainingBatches, y: Any = None, **fit_params: Any
    ) -> tuple[PretrainingBatches, PretrainingBatches | None]:
        return X, self.held_out

    def get_iterator(self, dataset: PretrainingBatches, training: bool = False) -> PretrainingBatches:
        return dataset

    def infer(self, x: Mapping[str, Tensor], **fit_params: Any) -> tuple[Tensor, Tensor]:
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.precision == "bf16"):
            return self.module_(**x)

    def get_loss(
        self, y_pred: tuple[Tensor, Tensor], y_true: Context, X: Any = None, training: bool = False
    ) -> Tensor:
        return self.criterion_(y_pred, y_true)

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
            n = len(batch[0]["signal"]) // 2
            parts = self.criterion_.parts * n
            sums, n_records = parts if sums is None else sums + parts, n_records + n
            self.notify("on_batch_end", batch=batch, training=training, **done)
        if sums is not None:
            self._record_epoch(sums / n_records, n_records, time.perf_counter() - started, training, epoch)

    def _record_epoch(self, means: Tensor, n_records: int, seconds: float, training: bool, epoch: int) -> None:
        values = dict(zip(PARTS, means.double().cpu().tolist(), strict=True))
        if not np.isfinite(list(values.values())).all():
            raise FloatingPointError(
                f"training diverged: the loss of epoch {epoch + 1} is not finite with lr={self.lr!r}; lower lr"
            )
        if not training:
            for name, value in values.items():
                self.history.record(f"valid_{name}", value)
            return
        self.history.record("train_loss", values.pop("loss"))
        rhythm = self.criterion_.last_rhythm.float()
        first, second = rhythm.chunk(2)
        diagnostics = {
            "effective_rank": float(effective_rank(rhythm)),
            "alignment": float(alignment(first, second)),
            "uniformity": float(uniformity(rhythm)),
            "lr": self.optimizer_.param_groups[0]["lr"],
            "records_per_second": n_records / max(seconds, 1e-9),
            "seconds": seconds,
        }
        for name, value in {**values, **diagnostics}.items():
            self.history.record(name, value)

    def _set_learning_rate(self, step: int, n_steps: int) -> None:
        """Warm up, then fall as a cosine; a function of the step alone, so that a resumed run has the same rates."""
        factor = 1.0
        if not self.constant_lr:
            rise = max(1, round(WARM_UP * n_steps))
            share = (step + 1 - rise) / max(1, n_steps - rise)
            falling = FINAL_LR + (1 - FINAL_LR) * 0.5 * (1 + cos(pi * min(max(share, 0.0), 1.0)))
            factor = (step + 1) / rise if step < rise else falling
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr * factor
