"""A linear probe: logistic regression on embeddings, fitted for all classes at once."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_softmax
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from .._file_values import check_array, check_classes, check_described, check_type
from ..classifiers.logistic import LogisticProblem, held_out_logits, principal_axes
from ..classifiers.scored import ScoredClassifier
from ..components import check_number, register
from ..inputs.groups import group_codes, held_out_folds
from ..inputs.labels import as_labels, check_labels, checked_weights
from .scores import best_thresholds, macro_auroc

C_GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
# What y may be: `_table`, `_binary`, `_softmax`.
_OUTPUTS = ((True, False, False), (False, True, False), (False, False, True))
# With so many held-out records, another fold adds little to the choice of C.
_ENOUGH_HELD_OUT = 2000
# Small data are split anew up to so many times; more would take too long.
_MOST_SPLITS = 3


@register
class LinearProbe(ScoredClassifier, BaseEstimator):
    """Logistic regression on standardised embeddings; its regularisation is chosen by cross-validation over patients.

    Columns are standardised and clipped. L-BFGS then fits all classes at once in the principal axes of the embeddings,
    where the problem is well conditioned. Several labels per record have a sigmoid each; classes that exclude each
    other share a softmax. Intercepts are not penalised. The model is the same as scikit-learn's `LogisticRegression`.

    Parameters
    ----------
    C : float, default=None
        Inverse strength of regularisation, as in `LogisticRegression`. None takes the value of `C_grid` with the least
        log loss on held-out groups of the training data. With few records, AUROC varies more.
    C_grid : sequence of float, default=(1e-4, 3e-4, ..., 3e-1)
        Candidates. They are tried from the smallest to the largest, until the loss has risen twice in a row.
    n_folds : int, default=5
        Folds of the groups. Only some are held out if these have 2,000 records; small data are split up to three times.
    clip : float, default=8
        Standardised columns are clipped to this range, plus and minus.
    max_iter : int, default=200
        Most iterations of L-BFGS per fit.
    tol : float, default=1e-5
        A fit ends when no element of the gradient of the mean loss is larger, in coordinates of unit curvature.
    random_state : int, default=0
        Seed of the folds.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Names of the classes; numbers of the columns if y is a table.
    C_ : float
        Strength in use.
    losses_, scores_ : dict
        Mean log loss, and mean macro AUROC, on held-out folds for each strength that was tried.
    thresholds_ : ndarray of shape (n_classes,)
        Thresholds of the probabilities with the best F1 on the held-out folds; `predict` uses them if y is a table.
    coef_, intercept_ : ndarray of shape (n_features, n_outputs) and (n_outputs,)
        For the clipped standardised columns; two classes have one output.
    n_iter_ : int
        Iterations of the last fit.
    n_features_in_ : int

    References
    ----------
    Alain and Bengio, "Understanding intermediate layers using linear classifier probes", arXiv 1610.01644.

    Examples
    --------
    >>> import numpy as np
    >>> from beatssl_sklearn.evaluation.probing import LinearProbe
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.normal(size=(300, 16))
    >>> y = Z[:, :2] + rng.normal(size=(300, 2)) > 0.5
    >>> LinearProbe().fit(Z, y, groups=np.arange(300) // 2).predict_proba(Z).shape
    (300, 2)
    """

    _in_file: ClassVar[tuple[str, ...]] = (
        *("classes_", "C_", "losses_", "scores_", "thresholds_", "coef_", "intercept_", "mean_", "scale_"),
        *("n_iter_", "n_features_in_", "_table", "_binary", "_softmax"),
    )

    def _check_file(self) -> None:
        self._check_parameters()
        check_described(self)
        if not hasattr(self, "coef_"):
            return
        for name in ("_table", "_binary", "_softmax"):
            check_type(name, getattr(self, name), bool)
        n_classes, n_columns = check_classes("classes_", self.classes_), self.n_features_in_
        n_outputs = 1 if self._binary else n_classes
        if (self._table, self._binary, self._softmax) not in _OUTPUTS or (self._binary and n_classes != 2):
            raise ValueError(f"{n_classes} classes cannot have the outputs that the file describes")
        check_array("coef_", self.coef_, "f", n_columns, n_outputs)
        check_array("intercept_", self.intercept_, "f", n_outputs)
        check_array("thresholds_", self.thresholds_, "f", n_classes)
        for name in ("mean_", "scale_"):
            check_array(name, getattr(self, name), "f", n_columns)
        check_number("C_", self.C_, Real, 0)
        for name in ("losses_", "scores_"):
            check_type(name, getattr(self, name), dict)

    def __init__(
        self,
        C: float | None = None,
        *,
        C_grid: Sequence[float] = C_GRID,
        n_folds: int = 5,
        clip: float = 8.0,
        max_iter: int = 200,
        tol: float = 1e-5,
        random_state: int = 0,
    ) -> None:
        self.C = C
        self.C_grid = C_grid
        self.n_folds = n_folds
        self.clip = clip
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> LinearProbe:
        """Choose C and fit.

        Parameters
        ----------
        X : array-like of shape (n_records, n_features)
            Embeddings, finite.
        y : array-like of shape (n_records,) or (n_records, n_classes)
            A class per record, or a table of 0 and 1.
        groups : array-like of shape (n_records,), default=None
            Patient of each record. Records of one patient stay on one side of a split.
        sample_weight : array-like of shape (n_records,), default=None
            How many records each one counts as. A weight of 2 is the record twice, both in one group; to choose C,
            records without groups are split each on its own, and so would a copy be. A record of weight 0 is as if it
            were absent.

        Returns
        -------
        LinearProbe
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, X is not finite, a label or a group is missing, a weight cannot be used, or
            there are too few classes or groups; the message names the record where it is one.
        """
        self._check_parameters()
        if y is not None:
            check_labels(np.atleast_1d(as_labels(y)), "y")
        Z, labels = validate_data(self, X, y, dtype=np.float32, multi_output=True)
        code = group_codes(groups, len(Z))
        weight = checked_weights(sample_weight, len(Z))
        if weight is not None:
            kept = weight > 0
            if not kept.any():
                raise ValueError("sample_weight is zero for every record")
            Z, labels, code, weight = Z[kept], labels[kept], code[kept], weight[kept]
        target = self._encode(labels)
        self._measure(Z, weight)
        axes = principal_axes(self._standardize(Z), weight)
        problem = LogisticProblem(
            axes.scores,
            axes.variance,
            target,
            self._softmax,
            None if weight is None else weight.astype(np.float32)[:, None],
            weight,
            max_iter=self.max_iter,
            tol=self.tol,
        )
        self._choose(problem, code)
        fit = problem.fit(self.C_)
        # From principal axes back to the columns of the embedding.
        self.coef_ = axes.basis @ fit.weights[:-1].astype(np.float32)
        self.intercept_ = fit.weights[-1].astype(np.float32)
        self.n_iter_ = max(1, fit.n_iter)
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the logit of each class.

        Parameters
        ----------
        X : array-like of shape (n_records, n_dims)
            Embeddings.

        Returns
        -------
        ndarray of shape (n_records, n_classes), or (n_records,) for two classes
            Before sigmoid or softmax.
        """
        check_is_fitted(self)
        Z = validate_data(self, X, dtype=np.float32, reset=False)
        logits = self._standardize(Z) @ self.coef_ + self.intercept_
        return logits[:, 0] if self._binary else logits

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_records, n_dims)
            Embeddings.

        Returns
        -------
        ndarray of shape (n_records, n_classes)
            Rows sum to 1, unless y was a table.
        """
        logits = np.asarray(self.decision_function(X), dtype=np.float64)
        return self._probabilities(logits.reshape(len(logits), -1))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable class, or a table of 0 and 1.

        Parameters
        ----------
        X : array-like of shape (n_records, n_dims)
            Embeddings.

        Returns
        -------
        ndarray of shape (n_records,) or (n_records, n_classes)
            If y was a table: 1 where the probability reaches `thresholds_`.
        """
        p = self.predict_proba(X)
        return (p >= self.thresholds_).astype(np.int64) if self._table else self.classes_[p.argmax(axis=1)]

    def _check_parameters(self) -> None:
        grid = list(self.C_grid) if self.C is None else [self.C]
        name = "C_grid" if self.C is None else "C"
        if not grid or any(isinstance(c, bool) or not isinstance(c, Real) or not 0 < c < np.inf for c in grid):
            raise ValueError(f"{name} must hold positive numbers, got {getattr(self, name)!r}")
        for name, low in (("n_folds", 2), ("max_iter", 1), ("clip", 1e-3), ("tol", 0)):
            if not getattr(self, name) >= low:
                raise ValueError(f"{name} must be at least {low}, got {getattr(self, name)!r}")

    def _encode(self, y: NDArray) -> NDArray[np.float32]:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        self._table = y.ndim == 2
        if self._table:
            if not np.isin(y, (0, 1)).all():
                raise ValueError(f"y must be a table of 0 and 1 or a vector of classes, got a table of {kind} targets")
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_, number = np.unique(y, return_inverse=True)
            if len(self.classes_) < 2:
                raise ValueError(f"y has one class, {self.classes_.tolist()[0]!r}; at least 2 are needed")
        self._binary = not self._table and len(self.classes_) == 2
        self._softmax = len(self.classes_) > 2 and not self._table
        if self._table:
            return y.astype(np.float32)
        return (number[:, None] == np.arange(len(self.classes_))[1 if self._binary else 0 :]).astype(np.float32)

    def _measure(self, Z: NDArray[np.float32], weight: NDArray[np.float64] | None) -> None:
        """Set `mean_` and `scale_` of the columns; the scale of a column that is constant is 0."""
        with np.errstate(over="ignore"):
            if weight is None:
                mean, scale = (f(axis=0, dtype=np.float64) for f in (Z.mean, Z.std))
            else:
                share = weight / weight.sum()
                mean = share @ Z
                scale = np.sqrt(share @ (Z - mean) ** 2)
            self.mean_, self.scale_ = mean.astype(np.float32), scale.astype(np.float32)
        # Columns that vary by rounding errors only are constant.
        self.scale_[self.scale_ <= 1e-6 * np.abs(self.mean_)] = 0

    def _standardize(self, Z: NDArray[np.float32]) -> NDArray[np.float32]:
        varies = self.scale_ > 0
        z = (Z - self.mean_) * np.where(varies, 1 / np.where(varies, self.scale_, 1), 0).astype(np.float32)
        return np.clip(z, -self.clip, self.clip, out=z)

    def _probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._softmax:
            return np.exp(log_softmax(logits, axis=1))
        p = expit(logits)
        return np.hstack([1 - p, p]) if self._binary else p

    def _choose(self, problem: LogisticProblem, code: NDArray[np.int64]) -> None:
        """Set `C_`, `losses_`, `scores_` and `thresholds_` from held-out groups."""
        self.losses_: dict[float, float] = {}
        self.scores_: dict[float, float] = {}
        self.thresholds_: NDArray[np.float64] = np.full(len(self.classes_), 0.5)
        n_groups = len(np.unique(code))
        if self.C is not None:
            self.C_ = float(self.C)
            if n_groups < 2 or not self._table:
                return
        elif n_groups < 2:
            raise ValueError(f"n_samples={len(code)} of 1 group: C=None is chosen over groups and needs at least 2")
        shown = np.hstack([1 - problem.target, problem.target]) if self._binary else problem.target
        folds = _folds(shown, code, self.n_folds, self.random_state)
        y_out = np.concatenate([shown[out] for out in folds])
        weight = problem.count
        w_out = None if weight is None else np.concatenate([weight[out] for out in folds])
        path: list[float] = []
        grid = sorted({float(c) for c in self.C_grid}) if self.C is None else [self.C_]
        for C, logits in held_out_logits(problem, folds, grid):
            found = [self._probabilities(z) for z in logits]
            self.scores_[C] = _mean_auroc(shown, found, folds, weight)
            path.append(_log_loss(y_out, np.concatenate(found), self._table, w_out))
            self.losses_[C] = path[-1]
            if len(path) == 1 or path[-1] < min(path[:-1]):
                self.C_ = C
                self.thresholds_ = best_thresholds(y_out, np.concatenate(found), sample_weight=w_out)
            if len(path) > 2 and path[-1] > path[-2] > path[-3]:
                break


def _mean_auroc(
    shown: NDArray[np.float32],
    found: list[NDArray[np.float64]],
    folds: list[NDArray[np.bool_]],
    weight: NDArray[np.float64] | None,
) -> float:
    """Return the mean macro AUROC over folds; NaN if most of them lack positives of every class."""
    weights = [None if weight is None else weight[out] for out in folds]
    pairs = zip(folds, found, weights, strict=True)
    aurocs = np.array([macro_auroc(shown[out], p, sample_weight=w) for out, p, w in pairs])
    known = np.isfinite(aurocs)
    return float(aurocs[known].mean()) if 2 * known.sum() >= len(known) else float("nan")


def _log_loss(
    target: NDArray[np.float32], p: NDArray[np.float64], table: bool, weight: NDArray[np.float64] | None
) -> float:
    """Return the mean over records of minus the log probability of their labels."""
    tiny = np.finfo(np.float64).tiny
    loss = -target * np.log(np.maximum(p, tiny))
    if table:
        loss -= (1 - target) * np.log(np.maximum(1 - p, tiny))
    return float(np.average(loss.sum(axis=1), weights=weight))


def _folds(shown: NDArray[np.float32], code: NDArray[np.int64], n_folds: int, seed: int) -> list[NDArray[np.bool_]]:
    """Return the held-out records of as many folds as are needed for enough of them; small data are split anew."""
    n_folds = min(n_folds, len(np.unique(code)))
    wanted = int(np.ceil(_ENOUGH_HELD_OUT * n_folds / len(code)))
    n_splits = min(max(1, wanted // n_folds), _MOST_SPLITS)
    return [fold for i in range(n_splits) for fold in held_out_folds(shown, code, n_folds, seed + i)[:wanted]]
