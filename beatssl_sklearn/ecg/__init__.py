"""Signals: files, leads, R peaks, waves, features and simulation; numpy and scipy only."""

from .beats import keep_inside
from .judged import annotated_minutes, judge_waves
from .leads import LEADS
from .matching import match_labels
from .preprocess import resample
from .rpeaks import detect_rpeaks
from .simulate import make_ecg
from .waves import beat_intervals, read_waves, record_intervals, write_waves
from .wfdb import ECGRecord, WFDBFolder, read_annotations, read_wfdb, write_annotations

__all__ = [
    "LEADS",
    "ECGRecord",
    "WFDBFolder",
    "annotated_minutes",
    "beat_intervals",
    "detect_rpeaks",
    "judge_waves",
    "keep_inside",
    "make_ecg",
    "match_labels",
    "read_annotations",
    "read_waves",
    "read_wfdb",
    "record_intervals",
    "resample",
    "write_annotations",
    "write_waves",
]
