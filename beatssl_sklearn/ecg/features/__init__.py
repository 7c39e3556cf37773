"""Features and types of records and beats, measured without a network and without labels."""

from .beat_types import TYPE_NAMES, beat_types
from .measure import beat_features, record_features, with_components
from .principal_components import fit_components
from .scaling import fit_scaling, standardize
from .table import FeatureTable, concatenate

__all__ = [
    "TYPE_NAMES",
    "FeatureTable",
    "beat_features",
    "beat_types",
    "concatenate",
    "fit_components",
    "fit_scaling",
    "record_features",
    "standardize",
    "with_components",
]
