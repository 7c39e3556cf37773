"""Classifiers that read embeddings."""

from .beat_classifier import BeatClassifier

__all__ = ["BeatClassifier"]
