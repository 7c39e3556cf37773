"""Fitted models and their embeddings, kept in files that a digest of their parameters names."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from beatssl_sklearn import Pretrainer, RhythmEmbedder, save

from .data import Records
from .trials import TaughtBeatSSL
from .wave_vectors import filled

# Parameters that change where and how a fit runs, and not its result.
_NOT_OF_THE_RESULT = ("checkpoint_dir", "device", "n_jobs", "verbose", "callbacks", "precision", "memory")
_EMBED_BATCH = 64
_N_FOR_RANDOM = 8
TEACHER, TAUGHT_DIMS = "ptbxl", 128
"""Whose embeddings "taught" predicts, and how many of their principal components."""


def load_model(path: str) -> Pretrainer:
    """Load a pretrainer from a file, or a shipped model by its name."""
    return Pretrainer.load(path)


def fit_or_load(name: str, unfitted: Pretrainer, records: Records, cache: Path) -> Pretrainer:
    """Pretrain on the training folds without labels, or load the model of an earlier run.

    An interrupted fit goes on from its checkpoint. The kept files do not know of changes to the package's code.
    """
    parameters = {k: v for k, v in unfitted.get_params(deep=False).items() if k not in _NOT_OF_THE_RESULT}
    rows = np.flatnonzero(records.train)
    if unfitted.max_epochs == 0:
        rows = rows[:_N_FOR_RANDOM]  # the initialisation does not depend on the records
    digest = joblib.hash([parameters, records.record_id[rows]])[:12]
    path = cache / "models" / f"{name.replace(' ', '_')}-s{unfitted.random_state}-{digest}.bssl"
    if not path.exists():
        unfitted.set_params(checkpoint_dir=cache / "checkpoints" / path.stem if unfitted.max_epochs > 0 else None)
        started = time.perf_counter()
        needs_numbers = isinstance(unfitted.objective, TaughtBeatSSL)
        taught = {"y": teaching(records, rows, cache, unfitted.device)} if needs_numbers else {}
        unfitted.fit(records.X[rows], groups=records.patient[rows], **taught)
        path.parent.mkdir(parents=True, exist_ok=True)
        save(unfitted, path)
        about = {"parameters": parameters, "seconds": time.perf_counter() - started, "n_records": len(rows)}
        path.with_suffix(".json").write_text(json.dumps(about, default=str, indent=1))
    return load_model(str(path))


def teaching(records: Records, rows: NDArray[np.int64], cache: Path, device: str | None) -> NDArray[np.float32]:
    """Return the principal components of what the teacher embeds of records, each of unit variance."""
    Z = embeddings(load_model(TEACHER), records, cache, device=device)[rows]
    scaled = (Z - Z.mean(axis=0)) / np.maximum(Z.std(axis=0), 1e-6)
    n_dims = min(TAUGHT_DIMS, len(rows) - 1)
    found: NDArray[np.float32] = PCA(n_dims, whiten=True, random_state=0).fit_transform(scaled).astype(np.float32)
    return found


def digest_of(pretrainer: Pretrainer) -> str:
    """Return a digest of all that decides embeddings."""
    fitted = pretrainer.encoder_
    parts = [fitted.front_end, fitted.encoder, fitted.encoder_params, fitted.weights]
    if fitted.readout is not None:
        parts.append(vars(fitted.readout))
    return f"m{joblib.hash(parts)[:11]}"


def given_vectors(path: str, records: Records) -> NDArray[np.float32]:
    """Read vectors that were computed elsewhere: an .npz with `record_id` (n,) and `values` (n, n_dims).

    NaN becomes the median over the training records, or 0.
    """
    with np.load(path, allow_pickle=False) as kept:
        place = {number: i for i, number in enumerate(kept["record_id"].tolist())}
        missing = sorted(set(records.record_id.tolist()) - set(place))
        if missing:
            raise ValueError(f"{path} lacks {len(missing)} records, the first is {missing[0]}")
        values = kept["values"][[place[number] for number in records.record_id.tolist()]].astype(np.float32)
    return filled(values, values[records.train])


def remembered(path: Path, compute: Any) -> NDArray[np.float32]:
    """Return an array from a file; without one, compute and keep it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with open(temporary, "wb") as stream:
            np.save(stream, compute())
        os.replace(temporary, path)
    return np.load(path)


def embeddings(
    pretrainer: Pretrainer,
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
