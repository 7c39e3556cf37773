"""ECG embeddings per record and per heartbeat, as scikit-learn estimators.

Rooms are imported when their first name is used: ``beatssl --help`` needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._registry import fill_by
from ._version import __version__

if TYPE_CHECKING:
    from .classifiers import PatientIdentifier
    from .components import Component, register
    from .datasets import fetch_cinc2017, fetch_ludb, fetch_mitdb, fetch_ptbxl, fetch_qtdb, fetch_svdb
    from .ecg import (
        ECGRecord,
        WFDBFolder,
        beat_intervals,
        detect_rpeaks,
        make_ecg,
        match_labels,
        read_annotations,
        read_waves,
        read_wfdb,
        record_intervals,
        write_annotations,
        write_waves,
    )
    from .embedding import BeatEmbedder, FittedEncoder, RhythmEmbedder, SampleEmbedder, WindowEmbedder
    from .finetuning import FineTunedClassifier
    from .inputs import FrontEnd
    from .persistence import load, save
    from .pretraining import (
        PAPER_PRESET,
        BeatSSL,
        BeatSSLPretrainer,
        DualStream,
        GumbelQuantizer,
        LeadAgnostic,
        Objective,
        Pretrainer,
        ReportAligner,
        ReportAlignment,
        Sum,
    )
    from .segmentation import WaveAugment, WaveSegmenter
    from .sequences import BeatClassifier, BeatContext, SequenceClassifier
    from .text import CallableText, Glossary, ReportTextEncoder, TextEncoder, TfidfText
    from .views import LeadMasking, NoViews, VCGViews

_ROOM_OF = {
    "BeatClassifier": "sequences",
    "BeatContext": "sequences",
    "BeatEmbedder": "embedding",
    "BeatSSL": "pretraining",
    "BeatSSLPretrainer": "pretraining",
    "CallableText": "text",
    "Component": "components",
    "DualStream": "pretraining",
    "ECGRecord": "ecg",
    "FineTunedClassifier": "finetuning",
    "FittedEncoder": "embedding",
    "FrontEnd": "inputs",
    "Glossary": "text",
    "GumbelQuantizer": "pretraining",
    "LeadAgnostic": "pretraining",
    "LeadMasking": "views",
    "NoViews": "views",
    "Objective": "pretraining",
    "PAPER_PRESET": "pretraining",
    "PatientIdentifier": "classifiers",
    "Pretrainer": "pretraining",
    "ReportAligner": "pretraining",
    "ReportAlignment": "pretraining",
    "ReportTextEncoder": "text",
    "RhythmEmbedder": "embedding",
    "SampleEmbedder": "embedding",
    "SequenceClassifier": "sequences",
    "Sum": "pretraining",
    "TextEncoder": "text",
    "TfidfText": "text",
    "VCGViews": "views",
    "WFDBFolder": "ecg",
    "WaveAugment": "segmentation",
    "WaveSegmenter": "segmentation",
    "WindowEmbedder": "embedding",
    "beat_intervals": "ecg",
    "detect_rpeaks": "ecg",
    "fetch_cinc2017": "datasets",
    "fetch_ludb": "datasets",
    "fetch_mitdb": "datasets",
    "fetch_ptbxl": "datasets",
    "fetch_qtdb": "datasets",
    "fetch_svdb": "datasets",
    "load": "persistence",
    "make_ecg": "ecg",
    "match_labels": "ecg",
    "read_annotations": "ecg",
    "read_waves": "ecg",
    "read_wfdb": "ecg",
    "record_intervals": "ecg",
    "register": "components",
    "save": "persistence",
    "write_annotations": "ecg",
    "write_waves": "ecg",
}
# Rooms whose classes files may name.
_REGISTERING = (
    *("views", "inputs", "text", "embedding", "classifiers", "sequences"),
    *("pretraining", "finetuning", "segmentation", "evaluation"),
)

__all__ = [
    "PAPER_PRESET",
    "BeatClassifier",
    "BeatContext",
    "BeatEmbedder",
    "BeatSSL",
    "BeatSSLPretrainer",
    "CallableText",
    "Component",
    "DualStream",
    "ECGRecord",
    "FineTunedClassifier",
    "FittedEncoder",
    "FrontEnd",
    "Glossary",
    "GumbelQuantizer",
    "LeadAgnostic",
    "LeadMasking",
    "NoViews",
    "Objective",
    "PatientIdentifier",
    "Pretrainer",
    "ReportAligner",
    "ReportAlignment",
    "ReportTextEncoder",
    "RhythmEmbedder",
    "SampleEmbedder",
    "SequenceClassifier",
    "Sum",
    "TextEncoder",
    "TfidfText",
    "VCGViews",
    "WFDBFolder",
    "WaveAugment",
    "WaveSegmenter",
    "WindowEmbedder",
    "__version__",
    "beat_intervals",
    "detect_rpeaks",
    "fetch_cinc2017",
    "fetch_ludb",
    "fetch_mitdb",
    "fetch_ptbxl",
    "fetch_qtdb",
    "fetch_svdb",
    "load",
    "make_ecg",
    "match_labels",
    "read_annotations",
    "read_waves",
    "read_wfdb",
    "record_intervals",
    "register",
    "save",
    "write_annotations",
    "write_waves",
]


def _import_rooms() -> None:
    for room in _REGISTERING:
        import_module(f".{room}", __name__)


fill_by(_import_rooms)


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_ROOM_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
