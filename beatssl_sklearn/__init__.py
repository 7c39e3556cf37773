"""ECG embeddings per record and per heartbeat, as scikit-learn estimators."""

from ._version import __version__
from .datasets import fetch_ludb, fetch_mitdb, fetch_ptbxl
from .ecg.rpeaks import detect_rpeaks
from .ecg.simulate import make_ecg
from .ecg.wfdb_io import ECGRecord, WFDBFolder, read_annotations, read_wfdb, write_annotations
from .estimators.beat_classifier import BeatClassifier
from .estimators.embedders import BeatEmbedder, RhythmEmbedder, SampleEmbedder
from .estimators.finetune import FineTunedClassifier
from .estimators.pretrainer import PAPER_PRESET, BeatSSLPretrainer
from .estimators.segmenter import WaveSegmenter
from .persistence import load, save

__all__ = [
    "PAPER_PRESET",
    "BeatClassifier",
    "BeatEmbedder",
    "BeatSSLPretrainer",
    "ECGRecord",
    "FineTunedClassifier",
    "RhythmEmbedder",
    "SampleEmbedder",
    "WFDBFolder",
    "WaveSegmenter",
    "__version__",
    "detect_rpeaks",
    "fetch_ludb",
    "fetch_mitdb",
    "fetch_ptbxl",
    "load",
    "make_ecg",
    "read_annotations",
    "read_wfdb",
    "save",
    "write_annotations",
]
