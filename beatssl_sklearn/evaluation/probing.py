"""What an encoder is worth with few labels: probes and fine-tuning over nested fractions of the records."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from tqdm import tqdm

from ..embedding.embedders import RhythmEmbedder
from ..embedding.fitted_encoder import FittedEncoder, fitted_encoder
from ..files.atomic import write_atomically
from ..finetuning.classifier import FineTunedClassifier
from ..inputs.groups import group_codes, nested_subsets
from ..inputs.labels import as_ids, as_labels, check_labels
from .label_fractions import LabelFractionCurve
from .linear_probe import LinearProbe
from .records import take
from .scores import best_thresholds, bootstrap_interval, macro_auroc, macro_f1

__all__ = [
    "LabelFractionCurve",
    "LinearProbe",
    "best_thresholds",
    "bootstrap_interval",
    "label_fraction_curve",
    "macro_auroc",
    "macro_f1",
    "nested_subsets",
]

MODES = ("frozen", "finetune", "random_init_frozen", "random_init_finetune")
_EMBED_BATCH = 64


def label_fraction_curve(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    groups: ArrayLike | None = None,
    fractions: Sequence[float] = (0.01, 0.1, 1.0),
    modes: Sequence[str] = MODES,
    *,
    X_test: Any = None,
    y_test: ArrayLike | None = None,
    groups_test: ArrayLike | None = None,
    test_fraction: float = 0.2,
    seeds: int | Sequence[int] = 5,
    n_inits: int = 1,
    probe: LinearProbe | None = None,
    finetune_params: Mapping[str, Any] | None = None,
    random_state: int = 0,
    cache: str | os.PathLike[str] | None = None,
    verbose: int = 0,
) -> LabelFractionCurve:
    """Score an encoder with few and with many labels, frozen and fine-tuned, beside a random initialisation.

    Parameters
    ----------
    estimator : BeatSSLPretrainer, RhythmEmbedder, path or str
        Fitted; a path or a shipped model's name is loaded.
    X : as for `RhythmEmbedder.transform`, n_records
        Labelled records: a row of zeros in a table `y` is a record that has none of the classes.
    y : array-like of shape (n_records,) or (n_records, n_classes)
        A class per record, or a table of 0 and 1.
    groups : array-like of shape (n_records,), default=None
        Patient of each record.
    fractions : sequence of float, default=(.01, .1, 1.)
        Shares of the training records; see :func:`nested_subsets`.
    modes : sequence of str
        "frozen": a linear probe on embeddings. "finetune": `FineTunedClassifier`. "random_init_frozen" and
        "random_init_finetune": the same network without pretraining.
    X_test, y_test, groups_test : as `X`, `y` and `groups`, default=None
        Where the models are scored. None holds out groups of X.
    test_fraction : float, default=.2
        Share of the records held out where `X_test` is None.
    seeds : int or sequence of int, default=5
        Draws of labelled subsets, one number or one per fraction. Frozen embeddings with all labels are fitted once
        per initialisation, since nothing is drawn.
    n_inits : int, default=1
        Random initialisations that the seeds of "random_init_frozen" take in turn; each one embeds all records.
    probe : LinearProbe, default=None
        Unfitted; None is ``LinearProbe()``.
    finetune_params : mapping, default=None
        Parameters of `FineTunedClassifier`.
    random_state : int, default=0
        First seed, and seed of the test split.
    cache : path, default=None
        Folder that keeps the scores of each fit; a call that was interrupted goes on there.
    verbose : int, default=0
        1 shows a bar over the fits.

    Returns
    -------
    LabelFractionCurve
        Scores of all fits.

    Raises
    ------
    NotFittedError, TypeError, ValueError
        If the estimator is not fitted or of another kind, a parameter is out of range, shapes disagree, or a label or
        a group is missing; the message names its record.
    """
    unknown = [mode for mode in modes if mode not in MODES]
    if unknown or not len(modes):
        raise ValueError(f"modes must be among {', '.join(MODES)}, got {list(modes)!r}")
    n_seeds = [int(s) for s in (seeds if isinstance(seeds, Sequence) else [seeds] * len(fractions))]
    if len(n_seeds) != len(fractions) or min(n_seeds) < 1 or n_inits < 1:
        raise ValueError(f"seeds and n_inits must be at least 1, seeds one per fraction, got {seeds!r} and {n_inits!r}")
    data = _split(X, y, groups, X_test, y_test, groups_test, test_fraction, random_state)
    models = _Models(
        _embedder(estimator), data, LinearProbe() if probe is None else probe, dict(finetune_params or {}), n_inits
    )
    curve = LabelFractionCurve([], [], data.y_test, data.groups_test)
    folder = None if cache is None else Path(cache)
    key = "" if folder is None else models.digest()
    cells = [
        (mode, float(fraction), random_state + s)
        for mode in modes
        for fraction, n in zip(fractions, n_seeds, strict=True)
        for s in range(_n_fits(mode, fraction, n, n_inits))
    ]
    for mode, fraction, seed in tqdm(cells, desc="label fractions", unit="fit", disable=not verbose):
        path = None if folder is None else folder / f"{key}-{mode}-{fraction:g}-{seed}.npz"
        row, score = _remembered(path, partial(models.fit_and_score, mode, fraction, seed))
        curve.rows.append(row)
        curve.scores.append(score)
    return curve


@dataclass(frozen=True)
class _Data:
    """Training and test records as rows of X and of X_test, which may be the same and are copied for no subset."""

    X: Any
    train: NDArray[np.int64]
    y: NDArray[Any]
    groups: NDArray[Any] | None
    X_test: Any
    test: NDArray[np.int64]
    y_test: NDArray[Any]
    groups_test: NDArray[Any] | None
    classes: NDArray[Any] | None


def _split(
    X: Any, y: Any, groups: Any, X_test: Any, y_test: Any, groups_test: Any, test_fraction: float, seed: int
) -> _Data:
    labels = _labels(y, "y")
    if len(labels) != len(X):
        raise ValueError(f"y has {len(labels)} rows, X has {len(X)} records")
    groups = None if groups is None else as_ids(groups, len(labels), "groups")
    group_codes(groups, len(labels))
    if (X_test is None) != (y_test is None) or (X_test is None and groups_test is not None):
        raise ValueError("X_test and y_test must be given together, and groups_test with them")
    if X_test is None:
        held_out = nested_subsets(labels, groups, [test_fraction], seed)[0]
        train, test, X_test = np.flatnonzero(~held_out), np.flatnonzero(held_out), X
        if not len(train):
            raise ValueError(f"test_fraction={test_fraction!r} leaves no record to train on")
        labels_test, groups_test = labels[test], None if groups is None else groups[test]
        labels, groups = labels[train], None if groups is None else groups[train]
    else:
        labels_test = _labels(y_test, "y_test")
        groups_test = None if groups_test is None else as_ids(groups_test, len(labels_test), "groups_test")
        group_codes(groups_test, len(labels_test), "groups_test")
        train, test = np.arange(len(labels)), np.arange(len(labels_test))
        if len(labels_test) != len(X_test) or labels_test.shape[1:] != labels.shape[1:]:
            raise ValueError(f"y_test has shape {labels_test.shape} for {len(X_test)} records and y {labels.shape}")
        if groups is not None and groups_test is not None and np.isin(groups_test, groups).any():
            raise ValueError("groups and groups_test must not share a group (patient)")
    classes = None
    if labels.ndim == 1:
        classes = np.unique(labels)
        if not np.isin(labels_test, classes).all():
            raise ValueError(f"y_test must hold classes of y, {classes.tolist()}, and no other")
        labels_test = np.searchsorted(classes, labels_test)
    return _Data(X, train, labels, groups, X_test, test, labels_test, groups_test, classes)


def _labels(y: Any, name: str) -> NDArray[Any]:
    labels = as_labels(y, name)
    if labels.ndim not in (1, 2) or not labels.size:
        raise ValueError(f"{name} must have shape (n_records,) or (n_records, n_classes), got {labels.shape}")
    check_labels(labels, name)
    return labels.ravel() if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _embedder(estimator: Any) -> RhythmEmbedder:
    encoder = fitted_encoder(estimator)
    if isinstance(estimator, RhythmEmbedder):
        return RhythmEmbedder(**estimator.get_params(deep=False) | {"pretrainer": encoder})
    return RhythmEmbedder(encoder, batch_size=_EMBED_BATCH, device=getattr(estimator, "device", None))


@dataclass(frozen=True)
class _FromScratch:
    """Describes an encoder to train from random weights, as an unfitted pretrainer does."""

    encoder: FittedEncoder

    def untrained_encoder(self, seed: int) -> FittedEncoder:
        return self.encoder.with_random_weights(seed)


def _n_fits(mode: str, fraction: float, n_seeds: int, n_inits: int) -> int:
    if fraction < 1 or mode.endswith("finetune"):
        return n_seeds
    return min(n_seeds, n_inits) if mode == "random_init_frozen" else 1


@dataclass
class _Models:
    """Fits and scores one model at a time; embeddings are computed when they are first needed."""

    embedder: RhythmEmbedder
    data: _Data
    probe: LinearProbe
    finetune_params: dict[str, Any]
    n_inits: int

    def __post_init__(self) -> None:
        self._embedded: dict[int | None, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    def digest(self) -> str:
        """Return a digest of all that decides the scores; three records stand for all."""
        d, fitted = self.data, self.embedder.encoder_
        by_position = [getattr(X, "iloc", X) for X in (d.X, d.X_test)]
        signals = [X[i] for X in by_position for i in (0, len(X) // 2, len(X) - 1)]
        described = [getattr(self.embedder, name) for name in ("fs", "leads", "precision")]
        described += [fitted.fs, fitted.leads, fitted.front_end, fitted.encoder_params]
        labels = [d.train, d.y, d.groups, d.test, d.y_test, d.groups_test]
        models = [fitted.weights, self.probe.get_params(), self.finetune_params, self.n_inits]
        return str(joblib.hash([signals, described, labels, models]))[:16]

    def fit_and_score(self, mode: str, fraction: float, seed: int) -> tuple[dict[str, Any], NDArray[np.float32]]:
        d = self.data
        rows = np.flatnonzero(nested_subsets(d.y, d.groups, [fraction], seed)[0])
        groups = None if d.groups is None else d.groups[rows]
        if mode.endswith("finetune"):
            model, fit_on, score_on = self._finetuned(mode, seed), take(d.X, d.train[rows]), take(d.X_test, d.test)
        else:
            Z, score_on = self._embeddings(None if mode == "frozen" else seed % self.n_inits)
            model, fit_on = clone(self.probe), Z[rows]
        started = time.perf_counter()
        model.fit(fit_on, d.y[rows], groups=groups)
        seconds = time.perf_counter() - started
        p = np.asarray(model.predict_proba(score_on), dtype=np.float32)
        if d.classes is not None:  # a small subset may lack classes
            found, p = p, np.zeros((len(p), len(d.classes)), dtype=np.float32)
            p[:, np.searchsorted(d.classes, model.classes_)] = found
            decided = p.argmax(axis=1)[:, None] == np.arange(len(d.classes))
        else:
            decided = p >= getattr(model, "thresholds_", 0.5)
        row = {
            "mode": mode,
            "fraction": fraction,
            "seed": seed,
            "n_records": len(rows),
            "n_groups": len(rows) if groups is None else len(np.unique(groups)),
            "auroc": macro_auroc(d.y_test, p),
            "f1": macro_f1(d.y_test, decided, np.full(p.shape[1], 0.5)),
            "C": getattr(model, "C_", None),
            "seconds": seconds,
        }
        return row, p

    def _embeddings(self, init: int | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if init not in self._embedded:
            d, embedder = self.data, self.embedder
            if init is not None:
                untrained = embedder.encoder_.with_random_weights(init)
                embedder = RhythmEmbedder(**embedder.get_params(deep=False) | {"pretrainer": untrained})
            Z = embedder.transform(d.X)
            Z_test = Z if d.X_test is d.X else embedder.transform(d.X_test)
            self._embedded[init] = Z[d.train], Z_test[d.test]
        return self._embedded[init]

    def _finetuned(self, mode: str, seed: int) -> Any:
        encoder = self.embedder.encoder_
        start = _FromScratch(encoder) if mode.startswith("random_init") else encoder
        described = {name: getattr(self.embedder, name) for name in ("fs", "leads", "device", "precision")}
        return FineTunedClassifier(start, **{**described, "random_state": seed, **self.finetune_params})


def _remembered(
    path: Path | None, compute: Callable[[], tuple[dict[str, Any], NDArray[np.float32]]]
) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Row and scores of a fit, from a file where there is one."""
    if path is not None and path.exists():
        with np.load(path, allow_pickle=False) as stored:
            return json.loads(str(stored["row"])), stored["score"]
    row, score = compute()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.savez(content, row=np.array(json.dumps(row)), score=score)
        write_atomically(path, content.getvalue())
    return row, score
