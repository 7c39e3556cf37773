"""Pictures of ECGs, waves, embeddings, answers and training. matplotlib is imported inside functions."""

from .attribution import plot_attribution
from .beats import plot_beats
from .confidence import plot_confidence_trade, plot_reliability
from .confusion import plot_confusion
from .delineation import plot_delineation
from .ecg import plot_ecg
from .embedding import plot_embedding
from .history import plot_history
from .label_fractions import plot_label_fractions

__all__ = [
    "plot_attribution",
    "plot_beats",
    "plot_confidence_trade",
    "plot_confusion",
    "plot_delineation",
    "plot_ecg",
    "plot_embedding",
    "plot_history",
    "plot_label_fractions",
    "plot_reliability",
]
