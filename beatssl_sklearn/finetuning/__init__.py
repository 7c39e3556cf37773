"""Encoder and linear head, trained end to end."""

from .classifier import FineTunedClassifier

__all__ = ["FineTunedClassifier"]
