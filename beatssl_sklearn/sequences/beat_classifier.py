"""A classifier of heartbeats on top of any scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.metrics import accuracy_score
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from ..components import register
from .file_checks import check_beat_classifier
from .flat import flatten_beats, flatten_labels, flatten_weights, split_beats


def _has(method: str) -> Any:
    return lambda self: hasattr(getattr(self, "estimator_", self.estimator), method)


@register
class BeatClassifier(MetaEstimatorMixin, BaseEstimator):
    """Classify the beats of records: concatenate, fit or predict, and split again.

    A beat whose label is None or NaN is left out of training and scores; it is predicted as any other.

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
    _check_file = check_beat_classifier

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # X holds one table per record; a single table has no records.
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        return tags

    def fit(
        self, X: Sequence[NDArray], y: Sequence[Any], sample_weight: Sequence[Any] | None = None, **fit_params: Any
    ) -> BeatClassifier:
        """Fit the classifier on the beats of all records.

        Parameters
        ----------
        X : sequence of n_records arrays (n_beats, n_dims)
            Embeddings of the beats.
        y : sequence of n_records arrays (n_beats,)
            Labels of the beats; those without one, as `match_labels` gives them, are None or NaN.
        sample_weight : sequence of n_records arrays (n_beats,) or numbers, default=None
            Weights of the beats, or one for all beats of a record. A pipeline hands them to its last step.
        **fit_params
            Passed to the classifier's `fit`.

        Returns
        -------
        BeatClassifier
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a record has as many labels or weights as no beats, a weight cannot be used, or the classifier takes
            none; the message names the record.
        """
        flat, lengths = flatten_beats(X)
        labels, known = flatten_labels(y, lengths)
        weights = flatten_weights(sample_weight, lengths)
        if len(flat) == 0:
            raise ValueError(f"X: none of the {len(lengths)} records has a beat")
        if not known.any():
            raise ValueError(f"y: none of the {len(flat)} beats has a label")
        if weights is not None:
            fit_params = {**fit_params, _weight_parameter(self.estimator): weights[known]}
        self.estimator_ = clone(self.estimator).fit(flat[known], labels, **fit_params)
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

    def score(self, X: Sequence[NDArray], y: Sequence[Any], sample_weight: Sequence[Any] | None = None) -> float:
        """Return the share of beats whose type is right, of those that have a label.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`
            Beats of all records.

        Returns
        -------
        float
            The accuracy over all beats; `evaluation.beat_scorer` has others.
        """
        check_is_fitted(self, "estimator_")
        flat, lengths = flatten_beats(X)
        labels, known = flatten_labels(y, lengths)
        weights = flatten_weights(sample_weight, lengths)
        if not known.any():
            raise ValueError(f"y: none of the {len(flat)} beats has a label")
        predicted = self.estimator_.predict(flat[known])
        return float(accuracy_score(labels, predicted, sample_weight=None if weights is None else weights[known]))

    def _by_record(self, method: str, X: Sequence[NDArray]) -> NDArray[np.object_]:
        check_is_fitted(self, "estimator_")
        flat, lengths = flatten_beats(X)
        # Classifiers refuse empty input; one row of zeros shows the shape of what they return.
        rows = flat if len(flat) else np.zeros((1, flat.shape[1] or self.estimator_.n_features_in_))
        return split_beats(getattr(self.estimator_, method)(rows)[: len(flat)], lengths)


def _weight_parameter(estimator: Any) -> str:
    """Return the name by which `fit` of a classifier takes weights.

    Raises
    ------
    TypeError
        If it takes none.
    """
    prefix, last = "", estimator
    while isinstance(last, Pipeline):
        name, last = last.steps[-1]
        prefix += f"{name}__"
    if not has_fit_parameter(last, "sample_weight"):
        raise TypeError(f"sample_weight was given, but fit of {type(last).__name__} takes no weights")
    # With metadata routing, the steps of a pipeline say themselves what they take.
    return "sample_weight" if get_config()["enable_metadata_routing"] else f"{prefix}sample_weight"
