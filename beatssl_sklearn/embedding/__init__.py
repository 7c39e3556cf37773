"""Fitted encoders, and the transformers that embed with them."""

from .embedders import BeatEmbedder, RhythmEmbedder, SampleEmbedder
from .fitted_encoder import FittedEncoder, fitted_encoder
from .window_embedder import WindowEmbedder

__all__ = ["BeatEmbedder", "FittedEncoder", "RhythmEmbedder", "SampleEmbedder", "WindowEmbedder", "fitted_encoder"]
