"""Fitted encoders as transformers."""

from .embedders import BeatEmbedder, RhythmEmbedder, SampleEmbedder

__all__ = ["BeatEmbedder", "RhythmEmbedder", "SampleEmbedder"]
