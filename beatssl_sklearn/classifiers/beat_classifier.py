"""A classifier of heartbeats on top of any scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.metrics import accuracy_score
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..components import register
from ..ecg.beats import as_objects


def _has(method: str) -> Any:
    return lambda self: hasattr(getattr(self, "estimator_", self.estimator), method)


@register
class BeatClassifier(MetaEstimatorMixin, BaseEstimator):
    """Classify the beats of records: concatenate, fit or predict, and split again.

    Parameters
    ----------
    estimator : classifier
        Any scikit-learn classifier or pipeline; it sees one row per beat.

    Attributes
    ----------
    estimator_ : classifier
        The fitted one.
    classes_ : ndarray
        Beat types.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> beats = [np.array([[0.], [1.]]), np.array([[1.], [0.], [1.]])]
    >>> BeatClassifier(LogisticRegression()).fit(beats, [["N", "V"], ["V", "N", "V"]]).predict(beats)[1].tolist()
    ['V', 'N', 'V']
    """

    _in_file: ClassVar[tuple[str, ...]] = ("estimator_",)

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # X holds one table per record; a single table has no records.
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        return tags

    def fit(self, X: Sequence[NDArray], y: Sequence[Any], **fit_params: Any) -> BeatClassifier:
        """Fit the classifier on the beats of all records.

        Parameters
        ----------
        X : sequence of n_records arrays (n_beats, n_dims)
            Embeddings of the beats.
        y : sequence of n_records arrays (n_beats,)
            Labels of the beats.
        **fit_params
            Passed to the classifier's `fit`.

        Returns
        -------
        BeatClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If a record has as many labels as no beats; the message names its index.
        """
        flat, lengths = flatten_beats(X)
        labels = _flatten_labels(y, lengths)
        if len(flat) == 0:
            raise ValueError(f"X: none of the {len(lengths)} records has a beat")
        self.estimator_ = clone(self.estimator).fit(flat, labels, **fit_params)
        return self

    @property
    def classes_(self) -> NDArray:
        """Beat types."""
        check_is_fitted(self, "estimator_")
        return self.estimator_.classes_

    def predict(self, X: Sequence[NDArray]) -> NDArray[np.object_]:
        """Return the type of each beat.

        Parameters
        ----------
        X : sequence of n_records arrays (n_beats, n_dims)
            Embeddings of the beats.

        Returns
        -------
        ndarray (n_records,) of object
            Arrays (n_beats,).
        """
        return self._by_record("predict", X)

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Sequence[NDArray]) -> NDArray[np.object_]:
        """Return the probabilities (n_beats, n_classes) of each beat, one array per record."""
        return self._by_record("predict_proba", X)

    @available_if(_has("decision_function"))
    def decision_function(self, X: Sequence[NDArray]) -> NDArray[np.object_]:
        """Return the scores of each beat, one array per record."""
        return self._by_record("decision_function", X)

    def score(self, X: Sequence[NDArray], y: Sequence[Any]) -> float:
        """Return the share of beats whose type is right.

        Parameters
        ----------
        X, y : as for `fit`
            Beats of all records.

        Returns
        -------
        float
            The accuracy over all beats.
        """
        flat, lengths = flatten_beats(X)
        labels = _flatten_labels(y, lengths)
        check_is_fitted(self, "estimator_")
        return float(accuracy_score(labels, self.estimator_.predict(flat)))

    def _by_record(self, method: str, X: Sequence[NDArray]) -> NDArray[np.object_]:
        check_is_fitted(self, "estimator_")
        flat, lengths = flatten_beats(X)
        # Classifiers refuse empty input; one row of zeros shows the shape of what they return.
        rows = flat if len(flat) else np.zeros((1, flat.shape[1] or self.estimator_.n_features_in_))
        out = getattr(self.estimator_, method)(rows)[: len(flat)]
        return as_objects(np.split(out, np.cumsum(lengths)[:-1]) if len(lengths) else [])


def flatten_beats(X: Sequence[NDArray]) -> tuple[NDArray, NDArray[np.int64]]:
    """Return the beats of all records as one table, and how many each record has.

    Raises
    ------
    ValueError
        If a record is not a table, or its width is another one; the message names its index.
    """
    records = [np.asarray(x) for x in X]
    width = next((r.shape[1] for r in records if r.ndim == 2 and len(r)), 0)
    for i, record in enumerate(records):
        if record.ndim != 2 or (len(record) and record.shape[1] != width):
            raise ValueError(f"X: record {i} has shape {record.shape}; (n_beats, {width}) was expected")
    lengths = np.array([len(r) for r in records], dtype=np.int64)
    full = [r for r in records if len(r)]
    return (np.concatenate(full) if full else np.zeros((0, width), dtype=np.float32)), lengths


def _flatten_labels(y: Sequence[Any], lengths: NDArray[np.int64]) -> NDArray:
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    if len(y) != len(lengths):
        raise ValueError(f"y holds the labels of {len(y)} records, X has {len(lengths)}")
    labels = [np.asarray(labels) for labels in y]
    for i, (own, n) in enumerate(zip(labels, lengths, strict=True)):
        if own.shape != (n,):
            raise ValueError(f"record {i} has {n} beats but labels of shape {own.shape}; each beat needs one label")
    full = [own for own in labels if len(own)]
    return np.concatenate(full) if full else np.zeros(0)
