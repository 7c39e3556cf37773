"""Beats of MIT-BIH DS1 and of SVDB: embedded once, at the annotated and at the detected R peaks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from beatssl_sklearn import BeatContext, BeatEmbedder, ECGRecord, SequenceClassifier, load
from beatssl_sklearn.datasets import fetch_mitdb, fetch_svdb
from beatssl_sklearn.ecg import beat_morphology, beat_timing, keep_inside, match_labels

CLASSES = ("N", "S", "V", "F")
WEIGHT = 0.5
_WINDOW = (0.25, 0.45)


@dataclass
class BeatSet:
    """Beats of records: embedding, morphology and timing (n_beats, n_dims), labels (None is no class), groups."""

    names: list[str]
    groups: NDArray[Any]
    fs: float
    rpeaks: list[NDArray[np.int64]]
    labels: list[NDArray[Any]]
    beats: list[NDArray[np.float32]]
    detected: list[NDArray[np.int64]]
    detected_beats: list[NDArray[np.float32]]

    @property
    def detected_labels(self) -> list[NDArray[Any]]:
        """Labels of the detected beats: those of the annotated ones within 150 ms, or none."""
        return list(match_labels(self.detected, self.rpeaks, self.labels, fs=self.fs))


def head(max_iter: int = 12, seed: int = 0) -> Pipeline:
    """Return the classifier that scores beats: a network with one hidden layer."""
    network = MLPClassifier(
        (64,), alpha=1.0, learning_rate_init=2e-3, batch_size=512, max_iter=max_iter, random_state=seed
    )
    return make_pipeline(StandardScaler(), network)


def labeller(max_iter: int = 12, seed: int = 0) -> SequenceClassifier:
    """Return the classifier and half of the counted transitions."""
    return SequenceClassifier(head(max_iter, seed), weight=WEIGHT)


def shipped_labeller(seed: int = 0) -> SequenceClassifier:
    """Return the head that ships. It sees each beat twice, at the annotated and at the detected R peak."""
    return labeller(6, seed)


def beat_pipeline(align: bool = False) -> Pipeline:
    """Return the pipeline that ships as "beats", not fitted."""
    embedder = BeatEmbedder("ptbxl", timing=True, morphology=True, align=align)
    context = BeatContext(n_components=0, morphology=True)
    return Pipeline([("embed", embedder), ("context", context), ("label", shipped_labeller())])


def load_beats(name: str, args: Any, n_records: int | None = None, align: bool = False) -> BeatSet:
    """Read a set, "mitdb" (DS1) or "svdb", from the folders among the arguments, and embed its beats.

    With `align`, the window of each beat lies around the middle of its QRS.
    """
    if name == "mitdb":
        read = fetch_mitdb(args.data / "mitdb", records="DS1", download_if_missing=False)
        groups = read.patient_id
    else:
        read = fetch_svdb(args.svdb, download_if_missing=False)
        groups = read.block
    n = len(read.data) if n_records is None else min(n_records, len(read.data))
    key = hashlib.sha256(b"".join(np.ascontiguousarray(w).tobytes() for w in load("ptbxl").encoder_.weights.values()))
    kind = "aligned" if align else "morphology"
    path = args.cache / f"{name}-{n}-{kind}-{key.hexdigest()[:12]}.joblib"
    if path.exists():
        return joblib.load(path)
    embedder = BeatEmbedder("ptbxl", batch_size=64, check="ignore", align=align)
    rpeaks, labels, beats, detected, detected_beats = [], [], [], [], []
    for i in range(n):
        record = read.data[i]
        inside = keep_inside(read.rpeaks[i], record.signal.shape[1], record.fs, _WINDOW)
        own = read.beat_labels[i][np.isin(read.rpeaks[i], inside)].astype(object)
        # Beats that nobody could classify are embedded, as neighbours, and have no label.
        own[~np.isin(own, CLASSES)] = None
        found = embedder.rpeaks([record])[0]
        rpeaks.append(inside)
        labels.append(own)
        detected.append(found)
        for described, to in zip(_described(embedder, record, (inside, found)), (beats, detected_beats), strict=True):
            to.append(described)
    names = [str(number) for number in read.record_id[:n]]
    out = BeatSet(names, np.asarray(groups[:n]), read.fs, rpeaks, labels, beats, detected, detected_beats)
    args.cache.mkdir(parents=True, exist_ok=True)
    joblib.dump(out, path)
    return out


def _described(
    embedder: BeatEmbedder, record: ECGRecord, marks: tuple[NDArray[np.int64], ...]
) -> Iterator[NDArray[np.float32]]:
    """Describe the beats at several lists of R peaks as ``(timing=True, morphology=True)`` does."""
    # The network reads the record once.
    every = np.unique(np.concatenate(marks))
    rows = embedder.transform([record], rpeaks=[every])[0]
    for at in marks:
        own = rows[np.searchsorted(every, at)]
        yield np.concatenate(
            [own, beat_morphology(record.signal, at, record.fs), beat_timing(at, record.fs)], axis=1, dtype=np.float32
        )
