"""Scores, probes and studies of what embeddings and waves are worth."""

from .aami import AAMIRates, AAMIScores, aami_scores, dominant_record
from .beats import beat_score, beat_scorer, cross_val_predict_beats
from .delineation import NARROW, delineation_counts, delineation_scores
from .episodes import EpisodeScores, episode_scores
from .linear_probe import LinearProbe
from .metrics import BeatDetectionScores, beat_detection_scores
from .segmentation import confusion
from .verification import equal_error_rate, true_accepts_at
from .wave_calibration import calibration_error, confidence_trade, reliability

__all__ = [
    "NARROW",
    "AAMIRates",
    "AAMIScores",
    "BeatDetectionScores",
    "EpisodeScores",
    "LinearProbe",
    "aami_scores",
    "beat_detection_scores",
    "beat_score",
    "beat_scorer",
    "calibration_error",
    "confidence_trade",
    "confusion",
    "cross_val_predict_beats",
    "delineation_counts",
    "delineation_scores",
    "dominant_record",
    "episode_scores",
    "equal_error_rate",
    "reliability",
    "true_accepts_at",
]
