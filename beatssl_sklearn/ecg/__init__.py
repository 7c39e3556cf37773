"""Signals: files, leads, R peaks, waves, features and simulation; numpy and scipy only."""

from .beat_middle import qrs_middles
from .beat_morphology import MORPHOLOGY_NAMES, beat_morphology
from .beat_timing import TIMING_NAMES, beat_timing
from .beats import keep_inside
from .episode_windows import merge_episodes, window_labels, window_shares
from .episodes import Episode, episode_mask, label_at, rhythm_episodes
from .judged import annotated_minutes, judge_waves
from .leads import LEADS
from .matching import match_labels
from .preprocess import resample
from .rpeaks import detect_rpeaks
from .rr_measures import RR_MEASURES, rr_measures
from .simulate import make_ecg
from .waves import beat_intervals, read_waves, record_intervals, write_waves
from .wfdb import ECGRecord, WFDBFolder, read_annotations, read_wfdb, write_annotations

__all__ = [
    "LEADS",
    "MORPHOLOGY_NAMES",
    "TIMING_NAMES",
    "RR_MEASURES",
    "ECGRecord",
    "Episode",
    "WFDBFolder",
    "annotated_minutes",
    "beat_intervals",
    "beat_morphology",
    "beat_timing",
    "detect_rpeaks",
    "episode_mask",
    "judge_waves",
    "keep_inside",
    "label_at",
    "make_ecg",
    "match_labels",
    "merge_episodes",
    "qrs_middles",
    "read_annotations",
    "read_waves",
    "read_wfdb",
    "record_intervals",
    "resample",
    "rhythm_episodes",
    "rr_measures",
    "window_labels",
    "window_shares",
    "write_annotations",
    "write_waves",
]
