"""Pretraining without labels."""

from .pretrainer import PAPER_PRESET, BeatSSLPretrainer

__all__ = ["PAPER_PRESET", "BeatSSLPretrainer"]
