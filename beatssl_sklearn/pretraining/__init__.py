"""Pretraining without labels: objectives, and the estimator that trains an encoder with them."""

from .batches import Batch, Beats
from .beat_ssl import BeatSSL, BeatSSLTargets
from .beat_ssl_heads import BeatSSLHeads, BeatSSLOutputs
from .beat_ssl_pretrainer import PAPER_PRESET, BeatSSLPretrainer
from .objective import FitContext, Objective, PretrainedModule
from .pretrainer import Pretrainer

__all__ = [
    "PAPER_PRESET",
    "Batch",
    "BeatSSL",
    "BeatSSLHeads",
    "BeatSSLOutputs",
    "BeatSSLPretrainer",
    "BeatSSLTargets",
    "Beats",
    "FitContext",
    "Objective",
    "PretrainedModule",
    "Pretrainer",
]
