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
    from .export import export_onnx
    from .finetuning import FineTunedClassifier, FineTunedRegressor
    from .formats import ECGFolder, read_ecg
    from .inputs import FrontEnd
    from .persistence import from_pretrained, load, push_to_hub, save
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
        fit_readout,
    )
    from .quality import check_leads, fix_leads, signal_quality
    from .records import HDF5Records, ParquetRecords, ZarrRecords, pack_records
    from .scale import delineate_dataset, embed_dataset, read_dataset
    from .segmentation import WaveAugment, WaveMeasures, WaveSegmenter
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
    "ECGFolder": "formats",
    "ECGRecord": "ecg",
    "FineTunedClassifier": "finetuning",
    "FineTunedRegressor": "finetuning",
    "FittedEncoder": "embedding",
    "FrontEnd": "inputs",
    "Glossary": "text",
    "GumbelQuantizer": "pretraining",
    "HDF5Records": "records",
    "LeadAgnostic": "pretraining",
    "LeadMasking": "views",
    "NoViews": "views",
    "Objective": "pretraining",
    "PAPER_PRESET": "pretraining",
    "ParquetRecords": "records",
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
    "WaveMeasures": "segmentation",
    "WaveSegmenter": "segmentation",
    "WindowEmbedder": "embedding",
    "ZarrRecords": "records",
    "beat_intervals": "ecg",
    "check_leads": "quality",
    "delineate_dataset": "scale",
    "detect_rpeaks": "ecg",
    "embed_dataset": "scale",
    "export_onnx": "export",
    "fetch_cinc2017": "datasets",
    "fetch_ludb": "datasets",
    "fetch_mitdb": "datasets",
    "fetch_ptbxl": "datasets",
    "fetch_qtdb": "datasets",
    "fetch_svdb": "datasets",
    "fit_readout": "pretraining",
    "fix_leads": "quality",
    "from_pretrained": "persistence",
    "load": "persistence",
    "make_ecg": "ecg",
    "match_labels": "ecg",
    "pack_records": "records",
    "push_to_hub": "persistence",
    "read_annotations": "ecg",
    "read_dataset": "scale",
    "read_ecg": "formats",
    "read_waves": "ecg",
    "read_wfdb": "ecg",
    "record_intervals": "ecg",
    "register": "components",
    "save": "persistence",
    "signal_quality": "quality",
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
    "ECGFolder",
    "ECGRecord",
    "FineTunedClassifier",
    "FineTunedRegressor",
    "FittedEncoder",
    "FrontEnd",
    "Glossary",
    "GumbelQuantizer",
    "HDF5Records",
    "LeadAgnostic",
    "LeadMasking",
    "NoViews",
    "Objective",
    "ParquetRecords",
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
    "WaveMeasures",
    "WaveSegmenter",
    "WindowEmbedder",
    "ZarrRecords",
    "__version__",
    "beat_intervals",
    "check_leads",
    "delineate_dataset",
    "detect_rpeaks",
    "embed_dataset",
    "export_onnx",
    "fetch_cinc2017",
    "fetch_ludb",
    "fetch_mitdb",
    "fetch_ptbxl",
    "fetch_qtdb",
    "fetch_svdb",
    "fit_readout",
    "fix_leads",
    "from_pretrained",
    "load",
    "make_ecg",
    "match_labels",
    "pack_records",
    "push_to_hub",
    "read_annotations",
    "read_dataset",
    "read_ecg",
    "read_waves",
    "read_wfdb",
    "record_intervals",
    "register",
    "save",
    "signal_quality",
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
