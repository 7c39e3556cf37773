"""X, whatever users pass as it: checked, read block by block, prepared for a network."""

from .front_end import FrontEnd
from .groups import group_codes, held_out_folds
from .plausibility import RecordCheck
from .source import Block, RecordSource

__all__ = ["Block", "FrontEnd", "RecordCheck", "RecordSource", "group_codes", "held_out_folds"]
