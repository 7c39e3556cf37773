"""Scores, probes and studies of what embeddings and waves are worth."""

from .delineation import delineation_counts, delineation_scores
from .linear_probe import LinearProbe
from .metrics import BeatDetectionScores, beat_detection_scores
from .segmentation import confusion

__all__ = [
    "BeatDetectionScores",
    "LinearProbe",
    "beat_detection_scores",
    "confusion",
    "delineation_counts",
    "delineation_scores",
]
