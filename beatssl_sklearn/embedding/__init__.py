"""Fitted encoders, and the transformers that embed with them."""

from .embedders import BeatEmbedder, RhythmEmbedder, SampleEmbedder
from .fitted_encoder import FittedEncoder, fitted_encoder

__all__ = ["BeatEmbedder", "FittedEncoder", "RhythmEmbedder", "SampleEmbedder", "fitted_encoder"]
