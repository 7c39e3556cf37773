"""Pretraining without labels: objectives, and the estimator that trains an encoder with them."""

from .batches import Batch, Beats
from .beat_ssl import BeatSSL, BeatSSLTargets
from .beat_ssl_heads import BeatSSLHeads, BeatSSLOutputs
from .beat_ssl_pretrainer import PAPER_PRESET, BeatSSLPretrainer
from .dual_stream import DualStream, DualStreamHeads, DualStreamOutputs
from .lead_agnostic import GumbelQuantizer, LeadAgnostic, LeadAgnosticTargets
from .lead_agnostic_heads import LeadAgnosticHeads, LeadAgnosticOutputs, SegmentHeads
from .objective import FitContext, Objective, PretrainedModule
from .pretrainer import Pretrainer
from .readout import fit_readout
from .report_aligner import ReportAligner
from .report_alignment import ReportAlignment
from .report_heads import ReportHeads, ReportOutputs
from .sum import Sum, SumHeads

__all__ = [
    "PAPER_PRESET",
    "Batch",
    "BeatSSL",
    "BeatSSLHeads",
    "BeatSSLOutputs",
    "BeatSSLPretrainer",
    "BeatSSLTargets",
    "Beats",
    "DualStream",
    "DualStreamHeads",
    "DualStreamOutputs",
    "FitContext",
    "GumbelQuantizer",
    "LeadAgnostic",
    "LeadAgnosticHeads",
    "LeadAgnosticOutputs",
    "LeadAgnosticTargets",
    "Objective",
    "PretrainedModule",
    "Pretrainer",
    "ReportAligner",
    "ReportAlignment",
    "ReportHeads",
    "ReportOutputs",
    "SegmentHeads",
    "Sum",
    "SumHeads",
    "fit_readout",
]
