"""What the heads of rhythms are made of, and embeddings that are kept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import ECGRecord, SequenceClassifier, WindowEmbedder

C_RECORD, C_WINDOW = 0.015, 0.005
WEIGHT = 0.5
# Records of training last 9 s and more. Shorter ones than this have no label [s].
MIN_S = 5.0
RUN: dict[str, Any] = {"batch_size": 32, "check": "ignore", "allow_nan": True}


def logistic(C: float) -> Pipeline:
    """Return a logistic regression on standardized columns."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=300, tol=1e-3))


def pipelines() -> dict[str, Pipeline]:
    """Return the pipelines that ship, not fitted."""
    record = WindowEmbedder("ptbxl", window=None, timing=True, min_duration=MIN_S)
    windows = WindowEmbedder("ptbxl", window=10.0, step=5.0, timing=True, timing_window=30.0, min_duration=MIN_S)
    return {
        "af": Pipeline([("embed", record), ("label", SequenceClassifier(logistic(C_RECORD), None))]),
        "af-episodes": Pipeline([("embed", windows), ("label", SequenceClassifier(logistic(C_WINDOW), weight=WEIGHT))]),
    }


def embedded(cache: Path, name: str, embedder: WindowEmbedder, records: Any) -> list[NDArray[np.float32]]:
    """Embed records once, some at a time."""
    path = cache / f"{name}.joblib"
    if not path.exists():
        found: list[Any] = []
        for start in range(0, len(records), 100):
            found += list(embedder.transform([records[i] for i in range(start, min(start + 100, len(records)))]))
            sys.stdout.write(f"{name}: {len(found)} of {len(records)}\n")
            sys.stdout.flush()
        cache.mkdir(parents=True, exist_ok=True)
        joblib.dump(found, path)
    return list(joblib.load(path))


class Turned:
    """Records as lead I or II, turned over or not."""

    def __init__(self, records: Any, lead: str, sign: float) -> None:
        self.records, self.lead, self.sign = records, lead, sign

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, i: int) -> ECGRecord:
        record = self.records[i]
        return ECGRecord(self.sign * record.signal[:1], record.fs, (self.lead,))
