"""LabelClassifier: calibrated probabilities of many labels from embeddings."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from .._file_values import check_array, check_classes, check_described, check_type
from .._optional import find_stack_level
from ..components import Bounds, check_bounds, check_number, register
from ..inputs.groups import group_codes
from ..inputs.labels import as_labels, check_labels
from .calibrated import C_GRID, check_grid, column_scales, fit_calibrated, standardized
from .scored import ScoredClassifier
from .training_distance import TrainingDistance

_LEAST_POSITIVES = 2
# Of so many records or more, a warning if most are rarer than that in the training: 8 % of 150 records of PTB-XL with
# twelve leads are, and 88 % of 80 with lead II alone.
_FEWEST_TO_JUDGE, _UNLIKE = 4, 0.05
# Records of the training per axis; with fewer, all other records are unlike them.
_ENOUGH = 20


@register
class LabelClassifier(ScoredClassifier, BaseEstimator):
    """A logistic regression per label, of which a record can have several, with calibrated probabilities.

    Columns are standardised and clipped. Each label has its own strength of regularisation, its own line that
    calibrates the logits (Platt) and its own threshold. All three come from groups that were held out, so that no
    record is judged by a model that has seen its patient. `score_samples` tells records that are unlike the training; a
    warning says so where most are.

    Parameters
    ----------
    C_grid : sequence of float, default=(1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
        Candidates of the inverse strength of regularisation, as in `LogisticRegression`.
    n_folds : int, default=5
        Folds of the groups.
    clip : float, default=8
        Standardised columns are clipped to this range, plus and minus.
    n_components : int, default=32
        Principal components of `score_samples`.
    random_state : int, default=0
        Seed of the folds.

    Attributes
    ----------
    classes_ : ndarray (n_labels,)
        Names of the columns of y if it is a data frame, else their numbers.
    thresholds_ : ndarray (n_labels,)
        Probabilities with the best F1 on held-out groups; `predict` uses them.
    C_ : ndarray (n_labels,)
        Strengths in use.
    coef_, intercept_ : ndarray (n_features, n_labels), (n_labels,)
        For the clipped standardised columns; `coef_` is in half precision, so that files are small.
    distance_ : TrainingDistance
    n_records_ : int
        Records of `fit`. If there are enough, later ones that are mostly unlike them get a warning.
    n_features_in_ : int

    References
    ----------
    Platt J. Probabilistic outputs for support vector machines. Advances in Large Margin Classifiers, 1999.
    Lee K et al. A simple unified framework for detecting out-of-distribution samples. NeurIPS 2018 (the distance).

    Examples
    --------
    >>> import numpy as np
    >>> from beatssl_sklearn.classifiers import LabelClassifier
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.normal(size=(300, 16))
    >>> y = (Z[:, :2] + rng.normal(size=(300, 2)) > 0.5).astype(int)
    >>> model = LabelClassifier(n_components=4).fit(Z, y, groups=np.arange(300) // 2)
    >>> model.predict_proba(Z).shape, model.score_samples(100 * Z[:1]).tolist()
    ((300, 2), [0.0])
    """

    bounds: ClassVar[dict[str, Bounds]] = {
        "n_folds": Bounds(Integral, 2),
        "clip": Bounds(Real, 1e-3),
        "n_components": Bounds(Integral, 1, 4096),
    }
    _in_file: ClassVar[tuple[str, ...]] = (
        *("classes_", "thresholds_", "C_", "coef_", "intercept_", "mean_", "scale_", "distance_", "n_features_in_"),
        "n_records_",
    )

    def __init__(
        self,
        *,
        C_grid: Sequence[float] = C_GRID,
        n_folds: int = 5,
        clip: float = 8.0,
        n_components: int = 32,
        random_state: int = 0,
    ) -> None:
        self.C_grid = C_grid
        self.n_folds = n_folds
        self.clip = clip
        self.n_components = n_components
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X: ArrayLike, y: Any, *, groups: ArrayLike | None = None) -> LabelClassifier:
        """Fit all labels.

        Parameters
        ----------
        X : array-like (n_records, n_features)
            Embeddings, finite.
        y : array-like or data frame (n_records, n_labels)
            0 and 1. Each label needs two records that have it, and two that do not.
        groups : array-like (n_records,), default=None
            Patient of each record. Records of one patient stay on one side of a split.

        Returns
        -------
        LabelClassifier
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, X is not finite, y is no table of 0 and 1, a label is too rare, or there
            are too few groups.
        """
        self._check_parameters()
        table = as_labels(y)
        check_labels(table, "y")
        if table.ndim != 2 or not np.isin(table, (0, 1)).all():
            raise ValueError(f"y must be a table (n_records, n_labels) of 0 and 1, got shape {table.shape}")
        names = np.array([str(name) for name in y.columns] if hasattr(y, "columns") else np.arange(table.shape[1]))
        Z, target = validate_data(self, X, table.astype(np.float32), dtype=np.float32, multi_output=True)
        n_positive = target.sum(axis=0)
        rare = np.flatnonzero(np.minimum(n_positive, len(target) - n_positive) < _LEAST_POSITIVES)
        if len(rare):
            k = int(rare[0])
            raise ValueError(
                f"y: {int(n_positive[k])} of {len(target)} records have the label {names[k]!s}; "
                f"at least {_LEAST_POSITIVES} must have it and {_LEAST_POSITIVES} must not: leave the label out"
            )
        code = group_codes(groups, len(Z))
        if len(np.unique(code)) < 2:
            raise ValueError("groups must have at least 2 groups, got 1: strengths are chosen on held-out groups")
        self.classes_ = names
        self.mean_, self.scale_ = column_scales(Z)
        z = standardized(Z, self.mean_, self.scale_, self.clip)
        found = fit_calibrated(z, target, code, self.C_grid, self.n_folds, self.random_state)
        self.coef_, self.intercept_ = found.coef.astype(np.float16), found.intercept
        self.thresholds_, self.C_ = found.thresholds, found.C
        self.distance_ = TrainingDistance.of(z, self.n_components)
        self.n_records_ = len(z)
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the calibrated logit of each label.

        Parameters
        ----------
        X : array-like (n_records, n_features)
            Embeddings.

        Returns
        -------
        ndarray (n_records, n_labels)
            Before the sigmoid.
        """
        z = self._read(X)
        self._look(z)
        return np.asarray(z @ self.coef_.astype(np.float32) + self.intercept_)

    def _look(self, z: NDArray[np.float32]) -> None:
        """Warn of records that are mostly unlike the training: other leads than it had, say, or another unit."""
        if len(z) < _FEWEST_TO_JUDGE or self.n_records_ < _ENOUGH * self.distance_.axes.shape[1]:
            return
        n_unlike = int((self.distance_.share_farther(z) < _UNLIKE).sum())
        if n_unlike > len(z) / 2:
            warnings.warn(
                f"{n_unlike} of {len(z)} records are unlike those of the training (score_samples below {_UNLIKE}), and "
                f"what is said of them means little: are leads, rate and unit the same?",
                UserWarning,
                stacklevel=find_stack_level(),
            )

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each label; those of a record do not sum to 1.

        Parameters
        ----------
        X : array-like (n_records, n_features)
            Embeddings.

        Returns
        -------
        ndarray (n_records, n_labels)
            From 0 to 1.
        """
        return np.asarray(expit(self.decision_function(X).astype(np.float64)))

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return which labels reach their thresholds.

        Parameters
        ----------
        X : array-like (n_records, n_features)
            Embeddings.

        Returns
        -------
        ndarray (n_records, n_labels)
            1 where the probability reaches `thresholds_`, else 0.
        """
        return np.asarray(self.predict_proba(X) >= self.thresholds_, dtype=np.int64)

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return how usual each record is: the share of the training records that lie at least as far from the mean.

        Parameters
        ----------
        X : array-like (n_records, n_features)
            Embeddings.

        Returns
        -------
        ndarray (n_records,)
            From 0, unlike anything in the training, to 1. Where the probabilities are about other records than those
            of the training, they mean nothing. The column ``unlike`` of ``beatssl classify`` is 1 minus this.
        """
        return self.distance_.share_farther(self._read(X))

    def _read(self, X: ArrayLike) -> NDArray[np.float32]:
        check_is_fitted(self)
        Z = validate_data(self, X, dtype=np.float32, reset=False)
        return standardized(Z, self.mean_, self.scale_, self.clip)

    def _check_parameters(self) -> None:
        check_bounds(self.get_params(deep=False), self.bounds)
        check_grid("C_grid", self.C_grid)

    def _check_file(self) -> None:
        self._check_parameters()
        check_described(self)
        if not hasattr(self, "coef_"):
            return
        n_labels, n_columns = check_classes("classes_", self.classes_), self.n_features_in_
        check_array("coef_", self.coef_, "f", n_columns, n_labels)
        check_number("n_records_", self.n_records_, Integral, 2)
        for name in ("intercept_", "thresholds_", "C_"):
            check_array(name, getattr(self, name), "f", n_labels)
        for name in ("mean_", "scale_"):
            check_array(name, getattr(self, name), "f", n_columns)
        check_type("distance_", self.distance_, TrainingDistance)
        check_array("distance_.axes", self.distance_.axes, "f", n_columns, None)
