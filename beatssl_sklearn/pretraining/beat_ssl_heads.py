"""The heads of `BeatSSL`: projectors for the contrasts, and predictors of features."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..nn.blocks import Encoder
from ..nn.heads import build_predictor, build_projector
from .encoded_views import encode_views

# Widest hidden layer of a projector.
MAX_HIDDEN = 512


class BeatSSLOutputs(NamedTuple):
    """Outputs of the heads for the views and their beats; None where a head is missing."""

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


class BeatSSLHeads(nn.Module):
    """A projector and a predictor for the rhythm, and one of each for the beats; any may be missing.

    Projectors are the publication's (Beat-SSL, section 2), predictors are this package's.

    Parameters
    ----------
    phases : int
        Parts of a beat's window.
    """

    def __init__(self, phases: int) -> None:
        super().__init__()
        self.phases = phases
        self.rhythm_projector: nn.Module | None = None
        self.beat_projector: nn.Module | None = None
        self.feature_predictor: nn.Module | None = None
        self.beat_feature_predictor: nn.Module | None = None

    def forward(
        self, encoder: Encoder, signal: Tensor, roi_record: Tensor, roi_start: Tensor, roi_end: Tensor
    ) -> BeatSSLOutputs:
        """Encode the views and apply all heads.

        Parameters
        ----------
        encoder : torch.nn.Module
            As `nn.encoders` describes it.
        signal : Tensor (n_views * n_records, n_times, 12)
            The views, stacked.
        roi_record, roi_start, roi_end : Tensor (n_views * n_beats,)
            Regions of the beats, as `Batch.regions` returns them.

        Returns
        -------
        BeatSSLOutputs
            None for each head that is missing.
        """
        embedding, beats, _ = encode_views(encoder, signal, roi_record, roi_start, roi_end, self.phases)
        inputs = {
            "rhythm_projector": embedding,
            "beat_projector": beats,
            "feature_predictor": embedding,
            "beat_feature_predictor": beats,
        }
        heads = {name: getattr(self, name) for name in inputs}
        made = (None if head is None else head(inputs[name]) for name, head in heads.items())
        return BeatSSLOutputs(embedding, *made)


def build_heads(
    encoder: Encoder,
    phases: int,
    *,
    projection_dims: tuple[int, int],
    n_features: tuple[int, int],
    generator: torch.Generator,
) -> BeatSSLHeads:
    """Return heads with random weights.

    Parameters
    ----------
    encoder : Encoder
    phases : int
        Parts of a beat's window.
    projection_dims, n_features : (int, int)
        Width of the projections, and number of predicted features: of records, of beats. 0 leaves a head out.
    generator : torch.Generator
        Source of the projectors' weights. Predictors get a new one with the same seed: they start anew with every fit,
        because each fit has its own principal components.
    """
    beat_width = phases * encoder.n_dims
    widths = encoder.n_dims_record + beat_width, beat_width
    again = torch.Generator().manual_seed(generator.initial_seed())
    projectors = [
        build_projector(width, min(width, MAX_HIDDEN), int(n_out), generator) if n_out else None
        for width, n_out in zip(widths, projection_dims, strict=True)
    ]
    predictors = [
        build_predictor(width, int(n_out), again) if n_out else None
        for width, n_out in zip(widths, n_features, strict=True)
    ]
    heads = BeatSSLHeads(phases)
    heads.rhythm_projector, heads.beat_projector = projectors
    heads.feature_predictor, heads.beat_feature_predictor = predictors
    return heads
