"""Is this an ECG, and whose leads are these: quality per lead and record, swapped leads, wrong units and rates."""

from .check_leads import check_leads, rate_inputs
from .coarse import coarsen
from .fix_leads import fix_leads
from .lead_shapes import median_beats, shape_inputs
from .measured import Measured, measure_quality
from .score import LEAD_INPUTS, RECORD_INPUTS, lead_inputs, record_inputs
from .signal_quality import signal_quality
from .swaps import SWAPS, least_certainty

__all__ = [
    "LEAD_INPUTS", "RECORD_INPUTS", "SWAPS", "Measured", "check_leads", "coarsen", "fix_leads", "lead_inputs",
    "least_certainty", "measure_quality", "median_beats", "rate_inputs", "record_inputs", "shape_inputs",
    "signal_quality",
]  # fmt: skip
