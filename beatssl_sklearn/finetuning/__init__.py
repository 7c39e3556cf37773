"""Encoder and linear head, trained end to end."""

from .classifier import FineTunedClassifier
from .labels import encode_labels, hold_out
from .regressor import FineTunedRegressor
from .start import plan_of

__all__ = ["FineTunedClassifier", "FineTunedRegressor", "encode_labels", "hold_out", "plan_of"]
