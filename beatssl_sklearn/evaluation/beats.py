"""Scores of classified beats, and their cross-validation over records: labels are one array per record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    make_scorer,
    precision_score,
    recall_score,
)
from sklearn.model_selection import GroupKFold, check_cv

from ..ecg.beats import as_objects
from ..inputs.groups import group_codes
from ..sequences.flat import flatten_labels, flatten_weights
from .records import take

__all__ = ["beat_score", "beat_scorer", "cross_val_predict_beats"]

_RATES: dict[str, Callable[..., Any]] = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
_SHARES: dict[str, Callable[..., Any]] = {
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
}
_AVERAGES = ("macro", "micro", "weighted")
_METHODS = ("predict", "predict_proba")

Metric = str | Callable[..., float]


def beat_score(
    y: Sequence[Any],
    predicted: Sequence[Any],
    *,
    metric: Metric = "accuracy",
    sample_weight: Sequence[Any] | None = None,
) -> float:
    """Score predicted labels of beats, all records together.

    Parameters
    ----------
    y : sequence of n_records arrays (n_beats,)
        Labels; a beat whose label is None or NaN does not count.
    predicted : sequence of n_records arrays (n_beats,)
        Predicted labels, as `BeatClassifier.predict` returns them.
    metric : str or callable, default="accuracy"
        "accuracy", "balanced_accuracy"; "f1", "precision" or "recall" with an average ("f1_macro", "f1_micro",
        "f1_weighted") or with a class ("f1_S", "recall_V"); or a function
        ``metric(labels, predicted, sample_weight=None)`` of two flat arrays.
    sample_weight : sequence of n_records arrays (n_beats,) or numbers, default=None
        Weights of the beats, or one for all beats of a record.

    Returns
    -------
    float
        As scikit-learn computes it. Where a class has no beat, its rates are 0, with scikit-learn's warning.

    Raises
    ------
    ValueError, TypeError
        If `metric` is unknown, records do not have as many labels as predictions, or no beat has a label.

    Examples
    --------
    >>> from beatssl_sklearn.evaluation import beat_score
    >>> y, predicted = [["N", "V", None], ["V"]], [["N", "N", "V"], ["V"]]
    >>> round(beat_score(y, predicted, metric="f1_V"), 3)
    0.667
    """
    function = _metric(metric)
    if not hasattr(predicted, "__len__"):
        raise TypeError(f"predicted must hold the labels of each record, got {predicted!r}")
    found = [np.asarray(labels) for labels in predicted]
    lengths = np.array([len(labels) for labels in found], dtype=np.int64)
    labels, known = flatten_labels(y, lengths)
    weights = flatten_weights(sample_weight, lengths)
    if not known.any():
        raise ValueError(f"y: none of the {len(known)} beats has a label")
    flat = np.concatenate([part for part in found if len(part)])[known]
    return float(function(labels, flat, sample_weight=None if weights is None else weights[known]))


def beat_scorer(metric: Metric = "accuracy") -> Any:
    """Return a scorer of beats for `cross_val_score`, `cross_validate` and `GridSearchCV`.

    Parameters
    ----------
    metric : str or callable, default="accuracy"
        As for `beat_score`.

    Returns
    -------
    scorer
        ``scorer(estimator, X, y)`` scores all beats of the records of a fold together; higher is better. It is made by
        `make_scorer`, so that ``set_score_request(sample_weight=True)`` and lists of weights work.

    Raises
    ------
    ValueError
        If `metric` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_score
    >>> from beatssl_sklearn import BeatClassifier
    >>> from beatssl_sklearn.evaluation import beat_scorer
    >>> X = [np.array([[0.0], [1.0], [1.1]])] * 4
    >>> y = [["N", "V", None]] * 4
    >>> cross_val_score(BeatClassifier(LogisticRegression()), X, y, scoring=beat_scorer("f1_V"), cv=2).tolist()
    [1.0, 1.0]
    """
    _metric(metric)
    return make_scorer(beat_score, metric=metric)


def _metric(metric: Metric) -> Callable[..., Any]:
    """Return ``function(labels, predicted, sample_weight=None)``."""
    if callable(metric):
        return metric
    if metric in _SHARES:
        return _SHARES[metric]
    rate, _, of = metric.partition("_") if isinstance(metric, str) else ("", "", "")
    if rate not in _RATES or not of:
        raise ValueError(
            f"metric must be {', '.join(_SHARES)}, one of {', '.join(_RATES)} with an average or a class, as f1_macro "
            f"or f1_V, or a function; got {metric!r}"
        )
    function = _RATES[rate]
    if of in _AVERAGES:
        return lambda labels, found, sample_weight: function(labels, found, average=of, sample_weight=sample_weight)

    return lambda labels, found, sample_weight: function(
        _is_class(labels, of), _is_class(found, of), pos_label=True, sample_weight=sample_weight
    )


def _is_class(labels: NDArray, name: str) -> NDArray[np.bool_]:
    """Return which labels have this name: text, or a number, which an array with gaps holds as 1.0 for 1."""
    if labels.dtype.kind in "iuf":
        try:
            return np.asarray(labels == float(name))
        except ValueError:
            return np.zeros(len(labels), dtype=bool)
    return np.asarray(labels.astype(str) == name)


def cross_val_predict_beats(
    estimator: Any,
    X: Any,
    y: Sequence[Any],
    *,
    groups: ArrayLike | None = None,
    cv: Any = None,
    method: str = "predict",
    params: Mapping[str, Any] | None = None,
) -> NDArray[np.object_]:
    """Predict the beats of each record by a classifier that was fitted on other records.

    `cross_val_predict` of scikit-learn does this for one label per record.

    Parameters
    ----------
    estimator : BeatClassifier, or a pipeline that ends in one
        It is cloned for each fold.
    X : sequence of n_records
        Embeddings (n_beats, n_dims) of each record, or what the pipeline takes.
    y : sequence of n_records arrays (n_beats,)
        Labels; None or NaN where a beat has none. A record of one step, as one window that is the whole record, may
        have its label by itself, as for `SequenceClassifier`.
    groups : array-like of shape (n_records,), default=None
        Patient of each record; each lies in one fold.
    cv : int, splitter or iterable of splits, default=None
        Of records. A number of folds, 5 for None, is a `GroupKFold` where there are groups, else a `KFold`.
    method : {"predict", "predict_proba"}, default="predict"
        What is predicted.
    params : mapping, default=None
        Parameters of `fit`. Of what has one entry per record, as weights do, a fold gets those of its records.

    Returns
    -------
    ndarray (n_records,) of object
        Arrays (n_beats,), or (n_beats, n_classes) with a column for each label in `y`, in sorted order: the probability
        of a class that no training record has is 0.

    Raises
    ------
    ValueError, TypeError
        If `method` is unknown, a group is missing, numbers of records differ, or a record is in no or in several test
        folds.
    """
    if method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(_METHODS)}, got {method!r}")
    n = _n_records(y)
    if len(X) != n:
        raise ValueError(f"y holds the labels of {n} records, X has {len(X)}")
    classes = np.unique(flatten_labels(y, np.array([_n_labels(labels) for labels in y], dtype=np.int64)).labels)
    found: list[Any] = [None] * n
    for train, test in _splits(n, groups, cv):
        given = {name: take(v, train) if _per_record(v, n) else v for name, v in (params or {}).items()}
        fitted = clone(estimator).fit(take(X, train), take(y, train), **given)
        predicted = getattr(fitted, method)(take(X, test))
        for i, own in zip(test, predicted, strict=True):
            if found[i] is not None:
                raise ValueError(f"cv: record {i} is in several test folds")
            found[i] = own if method == "predict" else _by_class(own, fitted.classes_, classes)
    missing = [i for i, own in enumerate(found) if own is None]
    if missing:
        raise ValueError(f"cv: record {missing[0]} is in no test fold")
    return as_objects(found)


def _n_records(y: Any) -> int:
    """Return the number of records of labels.

    Raises
    ------
    TypeError
        If they are not one sequence, or one label, per record; the message names the record.
    """
    if not hasattr(y, "__len__") or isinstance(y, str):
        raise TypeError(f"y must hold the labels of the beats of each record, got {type(y).__name__}")
    for i, labels in enumerate(y):
        if not (hasattr(labels, "__len__") or isinstance(labels, (Number, np.generic))):
            raise TypeError(f"y must hold the labels of the beats of each record, record {i} has {labels!r:.60}")
    return len(y)


def _n_labels(labels: Any) -> int:
    """Return how many labels a record has: a label by itself is one."""
    return len(labels) if hasattr(labels, "__len__") and not isinstance(labels, str) else 1


def _splits(n: int, groups: ArrayLike | None, cv: Any) -> Any:
    codes = None if groups is None else group_codes(groups, n)
    if codes is not None and (cv is None or isinstance(cv, int)):
        return GroupKFold(5 if cv is None else cv).split(np.zeros(n), groups=codes)
    return check_cv(cv).split(np.zeros(n), groups=codes)


def _per_record(value: Any, n: int) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, (str, bytes, Mapping)) and len(value) == n


def _by_class(probability: NDArray, own: NDArray, classes: NDArray) -> NDArray:
    out = np.zeros((len(probability), len(classes)), dtype=probability.dtype)
    out[:, np.searchsorted(classes, own)] = probability
    return out
