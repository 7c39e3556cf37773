"""Objectives that the study tries beside the package's own.

`AveragedBeatSSL` keeps a moving average of the weights. `TeacherBeatSSL` does, too, and that average embeds the second
view for the contrast, without gradients (a momentum teacher, He et al. 2020, arXiv 1911.05722; Grill et al. 2020, arXiv
2006.07733). `WindowsBeatSSL` draws another window of the record for each view. `TaughtBeatSSL` predicts numbers that
are given with the records, such as what another model embeds of all their leads.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beatssl_sklearn import BeatSSL, register
from beatssl_sklearn.nn import Encoder, build_predictor
from beatssl_sklearn.pretraining import (
    Batch,
    Beats,
    BeatSSLHeads,
    BeatSSLOutputs,
    BeatSSLTargets,
    FitContext,
    PretrainedModule,
)
from beatssl_sklearn.views import checked_views


class AveragedHeads(BeatSSLHeads):
    """Heads beside a moving average of the encoder and of themselves, which checkpoints hold with them."""

    def __init__(self, heads: BeatSSLHeads, encoder: nn.Module) -> None:
        super().__init__(heads.phases)
        for name, head in heads.named_children():
            setattr(self, name, head)
        self.average = PretrainedModule(deepcopy(encoder), deepcopy(heads)).requires_grad_(False)
        self.begun = False
        # A restored average must not begin again.
        self.register_load_state_dict_post_hook(lambda *_: setattr(self, "begun", True))

    def forward(
        self, encoder: Encoder, signal: Tensor, roi_record: Tensor, roi_start: Tensor, roi_end: Tensor
    ) -> BeatSSLOutputs:
        """Encode the views and apply all heads."""
        self.begin(cast(nn.Module, encoder))
        return super().forward(encoder, signal, roi_record, roi_start, roi_end)

    def begin(self, encoder: nn.Module) -> None:
        """Let the average begin at the weights before the first step, which `warm_start` may have brought."""
        if not self.begun:
            own = self.state_dict()
            self.average.encoder.load_state_dict(encoder.state_dict())
            self.average.heads.load_state_dict({name: own[name] for name in self.average.heads.state_dict()})
            self.begun = True


class TeacherHeads(AveragedHeads):
    """The average embeds the second view; the predictions come from the first view alone."""

    def forward(
        self, encoder: Encoder, signal: Tensor, roi_record: Tensor, roi_start: Tensor, roi_end: Tensor
    ) -> BeatSSLOutputs:
        """Encode the first view with the encoder, the second with the average, and apply all heads."""
        n, n_beats = len(signal) // 2, len(roi_record) // 2
        student = super().forward(encoder, signal[:n], roi_record[:n_beats], roi_start[:n_beats], roi_end[:n_beats])
        second = {"roi_start": roi_start[n_beats:], "roi_end": roi_end[n_beats:]}
        with torch.no_grad():
            taught = self.average(signal=signal[n:], roi_record=roi_record[n_beats:] - n, **second)
        pairs = zip(student[:3], taught[:3], strict=True)
        embedding, rhythm, beats = (None if own is None else torch.cat([own, other]) for own, other in pairs)
        assert embedding is not None
        return BeatSSLOutputs(embedding, rhythm, beats, student.features, student.beat_features)


@register
class AveragedBeatSSL(BeatSSL):
    """`BeatSSL` that keeps a moving average of the weights; parameters as for `BeatSSL`.

    The average replaces the encoder and the heads after the last step. A fit that a callback ends early keeps the last
    weights instead.

    Attributes
    ----------
    momentum : float
        Share of the old average in the new one, after each step.
    """

    momentum: ClassVar[float] = 0.98

    def heads(self, encoder: nn.Module, known: Any, generator: torch.Generator) -> AveragedHeads:
        """Return the heads with the average."""
        return AveragedHeads(super().heads(encoder, known, generator), encoder)

    @torch.no_grad()
    def after_step(self, module: PretrainedModule, progress: float) -> None:
        """Move the average towards the weights; at the end, put it in their place."""
        average, state = cast(AveragedHeads, module.heads).average, module.state_dict()
        for name, own in self.averaged(average).items():
            own.lerp_(state[name], 1 - self.momentum)
        if progress >= 1:
            for name, own in average.state_dict().items():
                state[name].copy_(own)

    def averaged(self, module: nn.Module) -> dict[str, Tensor]:
        """Return what is averaged, by name: weights and running statistics."""
        return {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}


@register
class TeacherBeatSSL(AveragedBeatSSL):
    """`BeatSSL` whose second view is embedded by the moving average; parameters as for `BeatSSL`."""

    def check(self) -> None:
        """Check the parameters; without a contrast there is no second view.

        Raises
        ------
        TypeError, ValueError
            Naming the parameter and its value.
        """
        super().check()
        if self.n_views != 2:
            raise ValueError(
                f"a teacher needs a contrast, got rhythm_targets={self.rhythm_targets!r} and "
                f"beat_targets={self.beat_targets!r}"
            )

    def heads(self, encoder: nn.Module, known: Any, generator: torch.Generator) -> TeacherHeads:
        """Return the heads with the teacher."""
        return TeacherHeads(BeatSSL.heads(self, encoder, known, generator), encoder)

    def averaged(self, module: nn.Module) -> dict[str, Tensor]:
        """Return what is averaged: weights alone. The teacher sees batches, and has running statistics from them."""
        return dict(module.named_parameters())


@register
class WindowsBeatSSL(BeatSSL):
    """`BeatSSL` on another window of the record for each view, in place of the whole record twice.

    Parameters as for `BeatSSL`, without anything for beats: the beats of two windows are not the same ones.

    Attributes
    ----------
    window : float
        Length of the windows [s].
    """

    window: ClassVar[float] = 5.0

    def check(self) -> None:
        """Check the parameters; there must be no heads for beats.

        Raises
        ------
        TypeError, ValueError
            Naming the parameter and its value.
        """
        super().check()
        if self.contrasts_beats or self.beat_feature_weight > 0:
            raise ValueError(
                f"windows have no heads for beats, got beat_targets={self.beat_targets!r} and "
                f"beat_feature_weight={self.beat_feature_weight!r}"
            )

    def draw(self, batch: Batch) -> tuple[dict[str, Tensor], BeatSSLTargets]:
        """Draw a window of each record for each view; targets have no beats."""
        views, signals, regions = checked_views(self.views), [], []
        for k in range(self.n_views):
            start = batch.draw_start(self.window)
            signal, present = batch.window(start, self.window)
            beats = batch.beats_in(start, self.window)
            signals.append(views(signal, present, batch.generator)[0])
            regions.append(batch.regions(beats.record + k * len(batch.rows), beats.time))
        inputs = {"signal": torch.cat(signals)}
        inputs |= {name: torch.cat([own[name] for own in regions]) for name in regions[0]}
        none = np.zeros(0, dtype=np.int64)
        return inputs, self.targets(batch, Beats(none, none, np.zeros(0)))


class TaughtOutputs(NamedTuple):
    """Outputs of `BeatSSL`'s heads, and what a view says of the given numbers (n_views * n, k)."""

    own: BeatSSLOutputs
    said: Tensor


class TaughtHeads(nn.Module):
    """The heads of `BeatSSL`, and a linear layer that says the given numbers."""

    def __init__(self, own: nn.Module, say: nn.Module) -> None:
        super().__init__()
        self.own, self.say = own, say

    def forward(self, encoder: Encoder, **inputs: Tensor) -> TaughtOutputs:
        """Apply all heads."""
        own = self.own(encoder, **inputs)
        return TaughtOutputs(own, self.say(own.embedding))


@register
class TaughtBeatSSL(BeatSSL):
    """`BeatSSL` that also predicts numbers of each record: ``fit(X, y=numbers)``, standardised; parameters as there.

    Attributes
    ----------
    taught_weight : float
        Weight of their smooth L1 distance.
    """

    needs: ClassVar[tuple[str, ...]] = ("y",)
    keeps: ClassVar[tuple[str, ...]] = ()
    taught_weight: ClassVar[float] = 4.0

    def prepare(self, measured: list[Any], fit: FitContext) -> Any:
        """Keep the numbers beside the features."""
        return super().prepare(measured, fit), np.asarray(fit.arguments["y"], dtype=np.float32)

    def draw(self, batch: Batch) -> tuple[dict[str, Tensor], Any]:
        """Draw as `BeatSSL`, with the numbers of the records."""
        features, numbers = batch.known
        inputs, targets = super().draw(replace(batch, known=features))
        return inputs, (targets, batch.put(numbers[batch.rows]))

    def heads(self, encoder: nn.Module, known: Any, generator: torch.Generator) -> Any:
        """Return the heads with one more."""
        features, numbers = known
        width = cast(Encoder, encoder).n_dims_record + features.beat_phases * cast(Encoder, encoder).n_dims
        own = super().heads(encoder, features, generator)
        return TaughtHeads(own, build_predictor(width, numbers.shape[1], torch.Generator().manual_seed(0)))

    def loss(self, outputs: Any, targets: Any) -> dict[str, Tensor]:
        """Add the distance from the numbers."""
        losses = super().loss(outputs.own, targets[0])
        n_views = len(outputs.said) // len(targets[1])
        losses["taught_loss"] = F.smooth_l1_loss(outputs.said, targets[1].repeat(n_views, 1))
        losses["loss"] = losses["loss"] + self.taught_weight * losses["taught_loss"]
        return losses

    def diagnose(self, outputs: Any) -> dict[str, float]:
        """Diagnose as `BeatSSL`."""
        return super().diagnose(outputs.own)
