"""What a job makes of records: embeddings of records or of heartbeats, or tables of waves.

A kind is a small object that can be pickled: it goes to the workers, with the model in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ..embedding import BeatEmbedder, RhythmEmbedder, SampleEmbedder, WindowEmbedder
from ..segmentation import WaveSegmenter
from .given_records import read_part

_LEVELS: dict[str, Any] = {"rhythm": RhythmEmbedder, "beat": BeatEmbedder}
# Parameters that do not change numbers, or that say where the encoder comes from.
_NO_SETTINGS = ("pretrainer", "memory", "device", "batch_size")
_DELINEATING = ("fs", "leads", "wave_params", "allow_nan", "check", "precision")


class Rows(NamedTuple):
    """What some records became.

    Attributes
    ----------
    record : ndarray of int64 (n_rows,)
        Position of the record among those that were given.
    columns : dict of str to ndarray (n_rows,)
        Columns that describe the rows.
    embedding : ndarray of float32 (n_rows, n_dims) or None
        Further columns, whose names are the kind's `features`.
    """

    record: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]
    embedding: NDArray[np.float32] | None = None


class Kind(Protocol):
    """What a job does with records."""

    task: str
    """How manifests call it."""
    features: list[str]
    """Names of the columns of an embedding."""
    columns: dict[str, str]
    """Names and types of the other columns."""

    def model_digest(self) -> str:
        """Return a digest of the network with its weights."""

    def settings(self) -> dict[str, Any]:
        """Return what else decides about the numbers."""

    def rows(self, part: Any, names: Sequence[str]) -> Rows:
        """Work on some records."""


class Embedding:
    """Embeddings of records (level "rhythm") or of heartbeats ("beat").

    Parameters
    ----------
    model : embedder, fitted estimator, FittedEncoder, path or str
    level : {"rhythm", "beat"}
    batch_size : int

    Raises
    ------
    ValueError
        If the level is unknown, or not that of the embedder.
    """

    def __init__(self, model: Any, level: str, batch_size: int) -> None:
        if level not in _LEVELS:
            raise ValueError(f"level must be one of {', '.join(_LEVELS)}, got {level!r}")
        wanted = _LEVELS[level]
        if isinstance(model, (SampleEmbedder, WindowEmbedder, *_LEVELS.values())):
            if not isinstance(model, wanted):
                raise ValueError(f"level={level!r} needs a {wanted.__name__}, got a {type(model).__name__}")
            # Its set_params would forget an encoder that its `fit` trained.
            encoder, self.embedder = model.encoder_, clone(model)
        else:
            self.embedder = wanted(model)
            encoder = self.embedder.encoder_
        # The encoder itself: workers need not find a file, and embed with what was digested.
        self.embedder.set_params(pretrainer=encoder, batch_size=batch_size, memory=None)
        self.level, self.task = level, f"embed, level {level}"
        self.features: list[str] = self.embedder.get_feature_names_out().tolist()
        beats = {"beat": "int64", "rpeak": "int64", "time_s": "float64"}
        self.columns: dict[str, str] = beats if level == "beat" else {}

    def model_digest(self) -> str:
        """Return a digest of the encoder."""
        return str(joblib.hash(self.embedder.encoder_, hash_name="sha1"))

    def settings(self) -> dict[str, Any]:
        """Return the embedder's parameters."""
        return {n: v for n, v in self.embedder.get_params(deep=False).items() if n not in _NO_SETTINGS}

    def rows(self, part: Any, names: Sequence[str]) -> Rows:
        """Embed some records."""
        if self.level == "rhythm":
            embedding = np.asarray(self.embedder.transform(part), dtype=np.float32)
            return Rows(np.arange(len(embedding)), {}, embedding)
        part = read_part(part, names)
        rpeaks = self.embedder.rpeaks(part)
        beats = self.embedder.transform(part, rpeaks=rpeaks)
        lengths = [len(own) for own in rpeaks]
        rates = np.repeat([self._rate(part, i) for i in range(len(rpeaks))], lengths)
        peaks = np.concatenate(rpeaks)
        columns = {
            "beat": np.concatenate([np.arange(n) for n in lengths]),
            "rpeak": peaks,
            "time_s": peaks / rates,
        }
        return Rows(np.repeat(np.arange(len(rpeaks)), lengths), columns, np.concatenate(list(beats)))

    def _rate(self, part: Any, i: int) -> float:
        own = getattr(part[i] if not hasattr(part, "iloc") else part.iloc[i], "fs", None)
        fs = self.embedder.fs if own is None else own
        return float(self.embedder.encoder_.fs if fs is None else fs)


class Delineation:
    """Tables of P, QRS and T.

    Parameters
    ----------
    model : WaveSegmenter, path or str
    consensus : bool
        Whether also the waves that the leads agree on.

    Raises
    ------
    NotFittedError
        If the segmenter is not fitted.
    """

    features: list[str] = []

    def __init__(self, model: Any, consensus: bool) -> None:
        segmenter = model if isinstance(model, WaveSegmenter) else WaveSegmenter.load(model)
        check_is_fitted(segmenter)
        self.segmenter, self.consensus, self.task = segmenter, bool(consensus), "delineate"
        marks = ("onset", "peak", "offset")
        times = {name: "float64" for name in (*marks, *(f"{mark}_s" for mark in marks))}
        self.columns: dict[str, str] = {"lead": "string", "wave": "string", **times, "confidence": "float32"}

    def model_digest(self) -> str:
        """Return a digest of the network."""
        return str(joblib.hash(self.segmenter.unet_, hash_name="sha1"))

    def settings(self) -> dict[str, Any]:
        """Return the parameters of `delineate`."""
        return {name: getattr(self.segmenter, name) for name in _DELINEATING} | {"consensus": self.consensus}

    def rows(self, part: Any, names: Sequence[str]) -> Rows:
        """Delineate some records."""
        table = self.segmenter.delineate(part, consensus=self.consensus)
        return Rows(table["record"].to_numpy(np.int64), {name: table[name].to_numpy() for name in self.columns})
