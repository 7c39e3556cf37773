"""ECG embeddings per record and per heartbeat, as scikit-learn estimators."""

from ._version import __version__
from .classifiers.beat_classifier import BeatClassifier
from .datasets import fetch_ludb, fetch_mitdb, fetch_ptbxl
from .ecg.rpeaks import detect_rpeaks
from .ecg.simulate.make_ecg import make_ecg
from .ecg.wfdb import ECGRecord, WFDBFolder, read_annotations, read_wfdb, write_annotations
from .embedding.embedders import BeatEmbedder, RhythmEmbedder, SampleEmbedder
from .finetuning.classifier import FineTunedClassifier
from .persistence import load, save
from .pretraining.pretrainer import PAPER_PRESET, BeatSSLPretrainer
from .segmentation.segmenter import WaveSegmenter

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
