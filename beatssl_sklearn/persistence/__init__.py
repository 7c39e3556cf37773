"""Save and load fitted estimators in one safe file; loading never executes anything that the file holds."""

from .description import describe
from .model_file import load, load_shared, save, shipped_models

__all__ = ["describe", "load", "load_shared", "save", "shipped_models"]
