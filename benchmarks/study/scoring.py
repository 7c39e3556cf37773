"""Fits on labelled subsets, and their scores with intervals over patients."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from beatssl_sklearn import FineTunedClassifier, Pretrainer
from beatssl_sklearn.evaluation.probing import LinearProbe, best_thresholds, bootstrap_interval, macro_auroc, macro_f1
from beatssl_sklearn.finetuning import encode_labels, hold_out
from beatssl_sklearn.inputs import group_codes, held_out_folds

from .results import Row

N_BOOTSTRAP, N_BOOTSTRAP_GAIN = 1000, 400
# With fewer records, one half is a better threshold than a validation split gives.
ENOUGH_TO_HOLD_OUT = 1000
VALIDATION = 0.1


class Fit(NamedTuple):
    """One classifier on the records that score: probabilities, decisions by its own thresholds, what it took."""

    p: NDArray[np.float32]
    decided: NDArray[np.bool_]
    about: dict[str, Any]


def kept_fit(path: Path, compute: Callable[[], Fit]) -> Fit:
    """Return a fit from a file; without one, compute and keep it."""
    return read_fit(path) if path.exists() else keep_fit(path, compute())


def read_fit(path: Path) -> Fit:
    """Read a fit from a file."""
    with np.load(path, allow_pickle=False) as stored:
        return Fit(stored["p"], stored["decided"], json.loads(str(stored["about"])))


def keep_fit(path: Path, fit: Fit) -> Fit:
    """Write a fit to a file, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "wb") as stream:
        np.savez(stream, p=fit.p, decided=fit.decided, about=np.array(json.dumps(fit.about)))
    os.replace(temporary, path)
    return fit


def probe(Z: NDArray, target: NDArray, patient: NDArray, Z_test: NDArray) -> Fit:
    """Fit logistic regression; its C and thresholds come from held-out patients of the records for the fit."""
    return probes(Z, target, patient, [Z_test])[0]


def probes(Z: NDArray, target: NDArray, patient: NDArray, seen: Iterable[NDArray]) -> list[Fit]:
    """Fit one logistic regression, and apply it to the scored records as they are seen in several ways."""
    started = time.perf_counter()
    model = LinearProbe().fit(Z, target, groups=patient)
    about = {"C": model.C_, "seconds": time.perf_counter() - started, "n_records": len(Z)}
    found = (model.predict_proba(Z_test) for Z_test in seen)
    return [Fit(p.astype(np.float32), p >= model.thresholds_, about) for p in found]


def boosting(Z: NDArray, target: NDArray, patient: NDArray, Z_test: NDArray) -> Fit:
    """Fit gradient boosting per class; thresholds come from one held-out fold of the patients."""
    started = time.perf_counter()
    held = held_out_folds(target, patient, 5)[0]
    columns = []
    for k in range(target.shape[1]):
        model = HistGradientBoostingClassifier(learning_rate=0.05, max_leaf_nodes=15, random_state=0)
        out = model.fit(Z[~held], target[~held, k]).predict_proba(Z[held])[:, -1]
        p = model.fit(Z, target[:, k]).predict_proba(Z_test)[:, -1]
        columns.append((p, p >= best_thresholds(target[held, k], out)))
    p, decided = (np.stack(c, axis=1) for c in zip(*columns, strict=True))
    return Fit(p.astype(np.float32), decided, {"seconds": time.perf_counter() - started, "n_records": len(Z)})


def fine_tune(
    start: Pretrainer,
    X: Any,
    target: NDArray,
    patient: NDArray,
    X_test: Any,
    *,
    seed: int,
    max_epochs: int,
    **parameters: Any,
) -> Fit:
    """Train encoder and head on labels, from a fitted encoder or from scratch.

    Thresholds come from the patients that early stopping holds out; with less than 1,000 records nothing is held out
    and they are one half.
    """
    started = time.perf_counter()
    model = FineTunedClassifier(
        start,
        max_epochs=max_epochs,
        validation_fraction=VALIDATION,
        early_stopping=len(target) >= ENOUGH_TO_HOLD_OUT,
        random_state=seed,
        **parameters,
    ).fit(X, target, groups=patient)
    p = model.predict_proba(X_test)
    thresholds: Any = 0.5
    if len(target) >= ENOUGH_TO_HOLD_OUT:
        targets, groups = encode_labels(target, len(target), None), group_codes(patient, len(target))
        held = hold_out(np.arange(len(target)), targets, groups, VALIDATION, seed)[1]
        thresholds = best_thresholds(target[held], model.predict_proba(X[held]))
    about = {
        "seconds": time.perf_counter() - started,
        "n_records": len(target),
        "epochs": model.n_iter_,
        "best_epoch": model.best_epoch_,
    }
    return Fit(p.astype(np.float32), p >= thresholds, about)


def epochs_for(fraction: float, epochs: int) -> int:
    """Return the epochs for a share of the labels: more with fewer labels, up to five times as many."""
    return max(1, round(epochs * min(5.0, fraction**-0.5)))


def summary(fits: Sequence[Fit], target: NDArray, patient: NDArray) -> Row:
    """Return mean scores of fits on the same records, 95 % intervals over patients, and the spread of the fits."""
    auroc = [macro_auroc(target, f.p) for f in fits]
    f1 = [_f1(target, f.decided) for f in fits]
    out: Row = {"auroc": float(np.mean(auroc))}
    out["auroc_low"], out["auroc_high"] = bootstrap_interval(
        "macro_auroc", target, [f.p for f in fits], patient, n_bootstrap=N_BOOTSTRAP
    )
    out["auroc_sd"] = float(np.std(auroc, ddof=1)) if len(fits) > 1 else float("nan")
    out["f1"] = float(np.mean(f1))
    decided = [f.decided.astype(np.float32) for f in fits]
    out["f1_low"], out["f1_high"] = bootstrap_interval(_f1, target, decided, patient, n_bootstrap=N_BOOTSTRAP)
    return out | {
        "n_fits": len(fits),
        "n_train": float(np.mean([f.about["n_records"] for f in fits])),
        "n_test": len(target),
        "fit_seconds": float(np.mean([f.about["seconds"] for f in fits])),
    }


def gain(target: NDArray, patient: NDArray, better: Sequence[Fit], worse: Sequence[Fit]) -> Row:
    """Return the mean difference of the AUROCs of pairs of fits, with an interval over patients drawn once for both."""
    n_classes = target.shape[1]

    def difference(y: NDArray, both: NDArray) -> float:
        own = y[:, :n_classes]
        return macro_auroc(own, both[:, :n_classes]) - macro_auroc(own, both[:, n_classes:])

    # The bootstrap draws rows of one table: both models' columns side by side, and the labels twice to match.
    pairs = [np.hstack([a.p, b.p]) for a, b in zip(better, worse, strict=True)]
    twice = np.hstack([target, target])
    low, high = bootstrap_interval(difference, twice, pairs, patient, n_bootstrap=N_BOOTSTRAP_GAIN)
    value = float(np.mean([difference(twice, both) for both in pairs]))
    return {"gain": value, "gain_low": low, "gain_high": high}


def _f1(target: NDArray, decided: NDArray) -> float:
    return macro_f1(target, decided, np.full(decided.shape[1], 0.5))
