"""A classifier of heartbeats on top of any scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from .flat import Beats, check_finite, flatten_beats, split_beats


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

    # What messages call a row.
    _step: ClassVar[str] = "beat"
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
            If a record has as many labels or weights as no beats, a value is missing, a weight cannot be used, or the
            classifier takes none; the message names the record.
        """
        self.estimator_ = fitted_on(self.estimator, Beats.of(X, y, sample_weight, self._step), fit_params)
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
        beats = Beats.of(X, y, sample_weight, self._step)
        weights = None if beats.weights is None else beats.weights[beats.known]
        with named_rows(beats.rows, beats.lengths, beats.step):
            predicted = self.estimator_.predict(beats.rows[beats.known])
        return float(accuracy_score(beats.labels, predicted, sample_weight=weights))

    def _by_record(self, method: str, X: Sequence[NDArray]) -> NDArray[np.object_]:
        rows, lengths = self._rows(X)
        # Classifiers refuse empty input; one row of zeros shows the shape of what they return.
        shown = rows if len(rows) else np.zeros((1, rows.shape[1] or self.estimator_.n_features_in_))
        with named_rows(rows, lengths, self._step):
            found = getattr(self.estimator_, method)(shown)[: len(rows)]
        return split_beats(found, lengths)

    def _rows(self, X: Sequence[NDArray]) -> tuple[NDArray, NDArray[np.int64]]:
        """Return the beats of all records as one table, and how many each record has."""
        check_is_fitted(self, "estimator_")
        return flatten_beats(X, self._step)


def fitted_on(estimator: Any, beats: Beats, fit_params: Mapping[str, Any]) -> Any:
    """Return a clone of a classifier that is fitted on the beats that have a label.

    Raises
    ------
    ValueError, TypeError
        If a beat has a missing value that the classifier does not take, or the classifier takes no weights.
    """
    if beats.weights is not None:
        fit_params = {**fit_params, _weight_parameter(estimator): beats.weights[beats.known]}
    with named_rows(beats.rows, beats.lengths, beats.step):
        return clone(estimator).fit(beats.rows[beats.known], beats.labels, **fit_params)


@contextmanager
def named_rows(rows: NDArray, lengths: NDArray[np.int64], step: str) -> Iterator[None]:
    """Where a classifier refuses missing values, name record and beat, or what else a step is.

    The classifier decides: tags do not tell of a pipeline whether a step of it fills them in.
    """
    try:
        yield
    except ValueError as error:
        if any(word in str(error) for word in ("NaN", "infinity")):
            check_finite(rows, lengths, step)
        raise


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
        raise TypeError(f"weights were given, but fit of {type(last).__name__} takes no sample_weight")
    # With metadata routing, the steps of a pipeline say themselves what they take.
    return "sample_weight" if get_config()["enable_metadata_routing"] else f"{prefix}sample_weight"
