"""P, QRS and T in every lead."""

from .segmenter import WaveSegmenter

__all__ = ["WaveSegmenter"]
