"""Sequences of unequal length: the beats, tokens or windows of each record, their context and their labels."""

from .beat_classifier import BeatClassifier

__all__ = ["BeatClassifier"]
