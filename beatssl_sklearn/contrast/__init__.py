"""What is compared with what: similarities, targets, losses."""

from .beat_targets import HardBeatTargets, SoftBeatTargets
from .diagnostics import alignment, effective_rank, uniformity
from .infonce import InfoNCE, phase_contrast, soft_infonce
from .infonce_chunked import TargetRows, chunked_infonce
from .record_targets import RhythmTargets, group_mask, hard_targets, paper_targets, rhythm_targets, soft_targets
from .similarity import calibrate_bandwidth, cosine_similarity, rbf_similarity, squared_distances

__all__ = [
    "HardBeatTargets",
    "InfoNCE",
    "RhythmTargets",
    "SoftBeatTargets",
    "TargetRows",
    "alignment",
    "calibrate_bandwidth",
    "chunked_infonce",
    "cosine_similarity",
    "effective_rank",
    "group_mask",
    "hard_targets",
    "paper_targets",
    "phase_contrast",
    "rbf_similarity",
    "rhythm_targets",
    "soft_infonce",
    "soft_targets",
    "squared_distances",
    "uniformity",
]
