"""Save and load fitted estimators in one safe file; loading never executes anything that the file holds."""

from .description import describe
from .hub import from_pretrained, push_to_hub
from .model_file import load, load_shared, save, shipped_models

__all__ = ["describe", "from_pretrained", "load", "load_shared", "push_to_hub", "save", "shipped_models"]
