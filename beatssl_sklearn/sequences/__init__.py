"""Sequences of unequal length: the beats, tokens or windows of each record, their context and their labels."""

from .beat_classifier import BeatClassifier
from .beat_context import BeatContext
from .chain import Chain
from .sequence_classifier import SequenceClassifier

__all__ = ["BeatClassifier", "BeatContext", "Chain", "SequenceClassifier"]
