"""Scores, probes and studies of what embeddings and waves are worth."""

from .beats import beat_score, beat_scorer, cross_val_predict_beats
from .delineation import delineation_counts, delineation_scores
from .linear_probe import LinearProbe
from .metrics import BeatDetectionScores, beat_detection_scores
from .segmentation import confusion
from .verification import equal_error_rate, true_accepts_at

__all__ = [
    "BeatDetectionScores",
    "LinearProbe",
    "beat_detection_scores",
    "beat_score",
    "beat_scorer",
    "confusion",
    "cross_val_predict_beats",
    "delineation_counts",
    "delineation_scores",
    "equal_error_rate",
    "true_accepts_at",
]
