"""What is compared with what: similarities, targets, losses."""

from beatssl_sklearn.contrast.beat_targets import HardBeatTargets, SoftBeatTargets
from beatssl_sklearn.contrast.chunked import TargetRows, chunked_infonce
from beatssl_sklearn.contrast.diagnostics import alignment, effective_rank, uniformity
from beatssl_sklearn.contrast.losses import InfoNCE, phase_contrast, soft_infonce
from beatssl_sklearn.contrast.similarity import (
    calibrate_bandwidth,
    cosine_similarity,
    rbf_similarity,
    squared_distances,
)
from beatssl_sklearn.contrast.targets import (
    RhythmTargets,
    group_mask,
    hard_targets,
    paper_targets,
    rhythm_targets,
    soft_targets,
)

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
