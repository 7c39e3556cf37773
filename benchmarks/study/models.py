"""Fitted models and their embeddings, kept in files by what decides them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from beatssl_sklearn import BeatSSLPretrainer, RhythmEmbedder, load, save
from beatssl_sklearn.pretraining import measured as training_set

from .data import Records

# Parameters that change where and how a fit runs, and not what it gives.
_NOT_OF_THE_RESULT = ("checkpoint_dir", "device", "n_jobs", "verbose", "callbacks", "precision")
_EMBED_BATCH = 64
_N_FOR_RANDOM = 8


def load_model(path: str) -> BeatSSLPretrainer:
    """Load a pretrainer from a file, or a shipped model by its name."""
    loaded = load(path)
    return loaded if isinstance(loaded, BeatSSLPretrainer) else loaded.pretrainer


def fit_or_load(
    name: str, unfitted: BeatSSLPretrainer, records: Records, cache: Path, *, resume: bool = True
) -> BeatSSLPretrainer:
    """Pretrain on the training folds without labels, or load the model of an earlier run.

    An interrupted fit goes on from its checkpoint, unless `resume` is False. What is kept does not know of changes to
    the package's code.
    """
    parameters = {k: v for k, v in unfitted.get_params(deep=False).items() if k not in _NOT_OF_THE_RESULT}
    rows = np.flatnonzero(records.train)
    if unfitted.max_epochs == 0:
        rows = rows[:_N_FOR_RANDOM]  # the initialisation does not depend on the records
    digest = joblib.hash([parameters, records.record_id[rows]])[:12]
    path = cache / "models" / f"{name.replace(' ', '_')}-s{unfitted.random_state}-{digest}.bssl"
    if not path.exists():
        resumable = resume and unfitted.max_epochs > 0
        unfitted.set_params(checkpoint_dir=cache / "checkpoints" / path.stem if resumable else None)
        started = time.perf_counter()
        unfitted.fit(records.X[rows], groups=records.patient[rows])
        path.parent.mkdir(parents=True, exist_ok=True)
        save(unfitted, path)
        about = {"parameters": parameters, "seconds": time.perf_counter() - started, "n_records": len(rows)}
        path.with_suffix(".json").write_text(json.dumps(about, default=str, indent=1))
    return load_model(str(path))


def digest_of(pretrainer: BeatSSLPretrainer) -> str:
    """Digest of all that decides embeddings."""
    described = [getattr(pretrainer, k) for k in ("fs_model", "amplitude", "encoder", "encoder_params", "beat_window")]
    return f"m{joblib.hash([described, pretrainer.weights_])[:11]}"


def remembered(path: Path, compute: Any) -> NDArray[np.float32]:
    """Return an array from a file, computing and keeping it where there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with open(temporary, "wb") as stream:
            np.save(stream, compute())
        os.replace(temporary, path)
    return np.load(path)


def embeddings(
    pretrainer: BeatSSLPretrainer,
    records: Records,
    cache: Path,
    *,
    leads: Sequence[str] | None = None,
    device: str | None = None,
) -> NDArray[np.float32]:
    """Embed all records, once for each model and lead set."""
    seen = "-".join(leads or ("12",))
    embedder = RhythmEmbedder(pretrainer, batch_size=_EMBED_BATCH, device=device)
    path = cache / "embeddings" / f"{digest_of(pretrainer)}-{records.key}-{seen}.npy"
    return remembered(path, lambda: embedder.transform(records.seen_by(leads)))


@contextmanager
def shared_measurements() -> Iterator[None]:
    """Measure records once for all fits in the block that see the same records.

    R peaks and features take about a minute per fold-set and depend on none of the parameters that the ablations
    change, but every fit measures them anew. What is put in the place of the package's function gives the same values.
    """
    original: Any = training_set._analyse_all
    kept: dict[str, list[Any]] = {}

    def analyse(
        source: Any, detector: Any, beat_window: Any, measure_beats: bool, rpeaks: Any, n_jobs: Any, progress: bool
    ) -> Iterator[Any]:
        n = source.n_records
        some = np.unique(np.linspace(0, n - 1, min(n, 16)).astype(np.int64))
        key = joblib.hash([[b.signal for b in source.read(some, 1)], n, str(detector), beat_window, rpeaks])
        if key not in kept:
            kept.clear()  # beats of one set of records are some hundred MB
            kept[key] = list(original(source, detector, beat_window, True, rpeaks, n_jobs, progress))
        yield from (a if measure_beats else a._replace(beats=None) for a in kept[key])

    training_set._analyse_all = analyse
    try:
        yield
    finally:
        training_set._analyse_all = original

