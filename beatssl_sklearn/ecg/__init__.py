"""Signals: files, leads, R peaks, waves, features and simulation; numpy and scipy only."""

from .beats import keep_inside
from .leads import LEADS
from .preprocess import resample
from .rpeaks import detect_rpeaks
from .simulate import make_ecg
from .waves import read_waves, write_waves
from .wfdb import ECGRecord, WFDBFolder, read_annotations, read_wfdb, write_annotations

__all__ = [
    "LEADS",
    "ECGRecord",
    "WFDBFolder",
    "detect_rpeaks",
    "keep_inside",
    "make_ecg",
    "read_annotations",
    "read_waves",
    "read_wfdb",
    "resample",
    "write_annotations",
    "write_waves",
]
