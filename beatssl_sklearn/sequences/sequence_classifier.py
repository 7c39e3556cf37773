"""A classifier of sequences: any classifier gives the scores of each step, a linear chain their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..components import Bounds, check_bounds, register
from ..inputs.groups import group_codes
from .beat_classifier import BeatClassifier, fitted_on, named_rows
from .chain import Chain, counted_chain
from .crf import fit_crf
from .file_checks import check_sequence_classifier
from .flat import Beats, first_steps, split_beats

__all__ = ["SequenceClassifier"]

# Least probability of a class: a classifier that is certain must not be beyond the chain's reach.
_LEAST = 1e-6


def _has_no_chain(self: Any) -> bool:
    return self.transitions is None and hasattr(getattr(self, "estimator_", self.estimator), "decision_function")


@register
class SequenceClassifier(BeatClassifier):
    """Label the steps of sequences, such as heartbeats, tokens or windows, in their order.

    A classifier scores each step by itself. A linear chain knows which class follows which; `predict` returns the best
    sequence of classes (Viterbi), and `predict_proba` the probability of each class given its whole sequence
    (forward-backward). A step whose label is None or NaN is left out of training and scores, and is predicted as any
    other. Sequences may have any length, also 0.

    Parameters
    ----------
    estimator : classifier, default=None
        Any scikit-learn classifier or pipeline with `predict_proba` or `decision_function`; it sees one row per step.
        None is a logistic regression on standardized columns.
    transitions : {"counted", "crf"} or None, default="counted"
        "counted" counts which class follows which in the training sequences: a hidden Markov model, in which the
        classifier's probabilities over the classes' shares stand for likelihoods. "crf" trains the transitions, and
        how the classifier's scores enter, by maximum likelihood on scores of sequences that the classifier has not
        seen: a linear-chain conditional random field. None labels each step by itself.
    weight : float, default=1.0
        How much the transitions count beside the scores, at most 20; 0 is as None. Worth a search: steps
        that depend on more than their neighbour make counted transitions too strong.
    centre : bool, default=False
        Whether the median of each class's log score in a sequence is brought to the median of training sequences. It
        helps where sequences differ in level, and harms where one class fills a sequence.
    class_weight : "balanced", dict or None, default=None
        Weights of the classes in the classifier's training, as of scikit-learn. The estimator must take weights.
    cv : int, default=3
        Folds of sequences for the scores that "crf" is trained on.

    Attributes
    ----------
    estimator_ : classifier
        The fitted one.
    classes_ : ndarray
        Labels of steps.
    start_, transitions_ : ndarray (n_classes,) and (n_classes, n_classes)
        Log scores of the first class, and of each class (column) after each class (row); zeros without transitions.
    mixing_, bias_ : ndarray (n_classes, n_classes) and (n_classes,)
        How log scores enter the chain: ``scores @ mixing_ + bias_``; the identity and zeros unless "crf".
    centre_ : ndarray (n_classes,)
        Median log score of a training sequence; zeros unless `centre`.

    Notes
    -----
    With counted transitions, a path's score is the sum of ``log p(c_t | x_t) + weight * (log P(c_t | c_t-1) - log
    P(c_t))``. Sequences of any length are decoded in blocks: a day of heartbeats takes less than a second.

    References
    ----------
    L. R. Rabiner, A tutorial on hidden Markov models, Proc. IEEE 77(2), 1989. H. Bourlard, N. Morgan, Connectionist
    speech recognition, 1994 (scaled likelihoods). J. Lafferty et al., Conditional random fields, ICML 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = [np.array([[0.0], [0.1], [0.9], [1.0], [0.8], [0.2]])] * 20
    >>> y = [["N", "N", "A", "A", "A", "N"]] * 20
    >>> head = SequenceClassifier(LogisticRegression()).fit(X, y)
    >>> head.predict([np.array([[0.9], [0.45], [1.0]])])[0].tolist()
    ['A', 'A', 'A']
    """

    _step: ClassVar[str] = "step"
    _in_file: ClassVar[tuple[str, ...]] = ("estimator_", "start_", "transitions_", "mixing_", "bias_", "centre_")
    _check_file = check_sequence_classifier
    bounds: ClassVar[Mapping[str, Any]] = {
        # Beyond, what `predict_proba` gives up for one change of class is less than the smallest number.
        "weight": Bounds(Real, 0, 20),
        "centre": bool,
        "cv": Bounds(Integral, 2),
    }

    def __init__(
        self,
        estimator: Any = None,
        transitions: str | None = "counted",
        *,
        weight: float = 1.0,
        centre: bool = False,
        class_weight: Any = None,
        cv: int = 3,
    ) -> None:
        super().__init__(estimator)
        self.transitions = transitions
        self.weight = weight
        self.centre = centre
        self.class_weight = class_weight
        self.cv = cv

    def fit(
        self,
        X: Sequence[NDArray],
        y: Sequence[Any],
        sample_weight: Sequence[Any] | None = None,
        *,
        groups: ArrayLike | None = None,
        **fit_params: Any,
    ) -> SequenceClassifier:
        """Fit the classifier on the steps of all sequences, then the chain on their order.

        Parameters
        ----------
        X : sequence of n_records arrays (n_steps, n_dims)
            Features of the steps, in their order.
        y : sequence of n_records arrays (n_steps,)
            Labels of the steps; None or NaN where a step has none. A record of one step, as one window that is the
            whole record, may have its label by itself instead of an array.
        sample_weight : sequence of n_records arrays (n_steps,) or numbers, default=None
            Weights of the steps in the classifier's training, or one for all steps of a sequence. The chain takes all
            labelled steps alike, and those of weight 0 as steps without a label.
        groups : array-like of shape (n_records,), default=None
            Patient of each sequence, so that the folds of "crf" keep patients apart.
        **fit_params
            Passed to the classifier's `fit`.

        Returns
        -------
        SequenceClassifier
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, a sequence has as many labels or weights as no steps, a value is missing
            or infinite, or the classifier takes no weights; the message names the sequence.
        """
        self._check_parameters()
        beats = Beats.of(X, y, sample_weight, self._step)
        every = group_codes(groups, len(beats.lengths))
        beats = beats._replace(weights=self._weights(beats))
        self.estimator_ = fitted_on(self._base(), beats, fit_params)
        k = len(self.classes_)
        chain, self.mixing_, self.bias_ = Chain(np.zeros(k), np.zeros((k, k))), np.eye(k), np.zeros(k)
        scores = self._log_scores(self.estimator_, beats.rows, beats.lengths) if self.centre else None
        self.centre_ = np.zeros(k) if scores is None else np.median(_medians(scores, beats.lengths), axis=0)
        if self.transitions is not None:
            chain = counted_chain(self._codes(beats), first_steps(beats.lengths), k)
        if self.transitions == "crf":
            held_out = self._held_out_scores(beats, every, fit_params)
            trained = fit_crf(held_out, self._codes(beats), first_steps(beats.lengths), chain)
            chain, self.mixing_, self.bias_ = trained
        self.start_, self.transitions_ = chain.start, chain.transitions
        return self

    def predict(self, X: Sequence[NDArray]) -> NDArray[np.object_]:
        """Return the best sequence of labels.

        Parameters
        ----------
        X : sequence of n_records arrays (n_steps, n_dims)
            Features of the steps.

        Returns
        -------
        ndarray (n_records,) of object
            Arrays (n_steps,). A step of which every value is NaN, as a window without a signal, has the label None.
        """
        scores, starts, lengths, missing = self._scored(X)
        found = split_beats(self.classes_[self._chain().best_path(scores, starts)], lengths)
        for i, without in enumerate(split_beats(missing, lengths)):
            if without.any():
                found[i] = np.where(without, None, found[i].astype(object))
        return found

    def predict_proba(self, X: Sequence[NDArray]) -> NDArray[np.object_]:
        """Return the probabilities (n_steps, n_classes) of each step given its whole sequence.

        Parameters
        ----------
        X : as for `predict`

        Returns
        -------
        ndarray (n_records,) of object
            One array per sequence; rows sum to 1. They are NaN for a step of which every value is NaN.
        """
        scores, starts, lengths, missing = self._scored(X)
        probabilities = self._chain().probabilities(scores, starts)
        probabilities[missing] = np.nan
        return split_beats(probabilities, lengths)

    @available_if(_has_no_chain)
    def decision_function(self, X: Sequence[NDArray]) -> NDArray[np.object_]:
        """Return the classifier's scores of each step; only without transitions."""
        return super().decision_function(X)

    def score(self, X: Sequence[NDArray], y: Sequence[Any], sample_weight: Sequence[Any] | None = None) -> float:
        """Return the macro F1 over all steps that have a label.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`

        Returns
        -------
        float
            The mean over the classes that occur in `y` or in what is predicted; `evaluation.beat_scorer` has others. A
            step that is predicted as None, since it has no value, counts as missed.
        """
        check_is_fitted(self, "estimator_")
        beats = Beats.of(X, y, sample_weight, self._step)
        found = np.concatenate(list(self.predict(X)))[beats.known]
        weights = None if beats.weights is None else beats.weights[beats.known]
        options = {"average": "macro", "sample_weight": weights, "zero_division": 0}
        if not any(label is None for label in found):
            return float(f1_score(beats.labels, found, **options))
        # A step without a value has no answer, which is missed and is no class.
        known = beats.labels.tolist(), found.tolist()
        classes = sorted({label for own in known for label in own} - {None})
        code = {label: k for k, label in enumerate(classes)} | {None: -1}
        coded = ([code[label] for label in own] for own in known)
        return float(f1_score(*coded, labels=range(len(classes)), **options))

    def _check_parameters(self) -> None:
        if self.transitions not in (None, "counted", "crf"):
            raise ValueError(f"transitions must be 'counted', 'crf' or None, got {self.transitions!r}")
        check_bounds(self.get_params(deep=False), self.bounds)
        base = self._base()
        if not (hasattr(base, "predict_proba") or hasattr(base, "decision_function")):
            raise TypeError(f"estimator must have predict_proba or decision_function, {type(base).__name__} has none")

    def _base(self) -> Any:
        if self.estimator is not None:
            return self.estimator
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))

    def _weights(self, beats: Beats) -> NDArray[np.float64] | None:
        """Return the weight of each step, those of the classes included."""
        if self.class_weight is None:
            return beats.weights
        weights = np.ones(len(beats.rows)) if beats.weights is None else beats.weights.copy()
        try:
            weights[beats.known] *= compute_sample_weight(self.class_weight, beats.labels)
        except ValueError as error:
            raise ValueError(f"class_weight: {error}") from error
        return weights

    def _codes(self, beats: Beats) -> NDArray[np.int64]:
        codes = np.full(len(beats.rows), -1, dtype=np.int64)
        codes[beats.known] = np.searchsorted(self.classes_, beats.labels)
        if beats.weights is not None:
            # The rest of the weights stays out of the chain: to weigh scores by their labels would give these away.
            codes[beats.weights == 0] = -1
        return codes

    def _held_out_scores(
        self, beats: Beats, groups: NDArray[np.int64], fit_params: Mapping[str, Any]
    ) -> NDArray[np.float64]:
        """Return the log scores of all steps, by classifiers that have not seen their sequence."""
        folds = min(self.cv, len(np.unique(groups)))
        if folds < 2:
            raise ValueError("transitions='crf' needs sequences of at least two groups; 'counted' needs one")
        scores = np.zeros((len(beats.rows), len(self.classes_)))
        for train, test in GroupKFold(folds).split(groups, groups=groups):
            kept = np.zeros(len(groups), dtype=bool)
            kept[train] = True
            others = beats.of_records(kept)
            if len(np.unique(others.labels)) < min(2, len(self.classes_)):
                raise ValueError(
                    f"transitions='crf': without sequence {test[0]} and {len(test) - 1} more of its fold, the others "
                    f"have the labels {np.unique(others.labels).tolist()}; give more sequences or other groups, or "
                    f"take transitions='counted'"
                )
            fitted = fitted_on(self._base(), others, fit_params)
            rows = ~np.repeat(kept, beats.lengths)
            columns = np.searchsorted(self.classes_, fitted.classes_)
            # A class that these folds lack is unlikely, not impossible.
            own = np.full((int(rows.sum()), len(self.classes_)), np.log(_LEAST))
            own[:, columns] = self._log_scores(fitted, beats.rows[rows], beats.lengths[test])
            scores[rows] = self._centred(own, beats.lengths[test])
        return scores

    def _scored(
        self, X: Sequence[NDArray]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64], NDArray[np.bool_]]:
        """Return what the chain reads, which steps are first ones, the lengths, and which steps have no value."""
        rows, lengths = self._rows(X)
        missing = np.isnan(rows).all(axis=1) if rows.dtype.kind == "f" and rows.shape[1] else np.zeros(len(rows), bool)
        scores = np.zeros((len(rows), len(self.classes_)))
        if missing.any():
            record = np.repeat(np.arange(len(lengths)), lengths)
            own = np.bincount(record[~missing], minlength=len(lengths))
            scores[~missing] = self._log_scores(self.estimator_, rows[~missing], own)
        else:
            scores = self._log_scores(self.estimator_, rows, lengths)
        scores = self._centred(scores, lengths)
        return scores @ self.mixing_ + self.bias_, first_steps(lengths), lengths, missing

    def _chain(self) -> Chain:
        return Chain(self.weight * self.start_, self.weight * self.transitions_)

    def _centred(self, scores: NDArray[np.float64], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
        if not self.centre or not len(scores):
            return scores
        medians = np.zeros((len(lengths), scores.shape[1]))
        medians[lengths > 0] = _medians(scores, lengths)
        return scores + np.repeat(self.centre_ - medians, lengths, axis=0)

    def _log_scores(self, estimator: Any, rows: NDArray, lengths: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return log probabilities (n_steps, n_classes)."""
        if not len(rows):
            return np.zeros((0, len(estimator.classes_)))
        with named_rows(rows, lengths, self._step):
            if hasattr(estimator, "predict_proba"):
                p = np.asarray(estimator.predict_proba(rows), dtype=np.float64)
            else:
                p = _softmax_of(np.asarray(estimator.decision_function(rows), dtype=np.float64), estimator)
        found: NDArray[np.float64] = np.log(np.maximum(p, _LEAST))
        return found


def _softmax_of(margin: NDArray[np.float64], estimator: Any) -> NDArray[np.float64]:
    """Return margins as if they were probabilities: the chain, and `weight`, have to bear with their scale."""
    both = np.column_stack([-margin / 2, margin / 2]) if margin.ndim == 1 else margin
    n_classes = len(estimator.classes_)
    if both.shape[1] != n_classes:
        raise ValueError(
            f"estimator: decision_function gives {both.shape[1]} columns for {n_classes} classes, as of pairs of them; "
            f"take one that scores each class (decision_function_shape='ovr')"
        )
    found: NDArray[np.float64] = softmax(both, axis=1)
    return found


def _medians(scores: NDArray[np.float64], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the median log scores of each sequence that has a step."""
    parts = np.split(scores, np.cumsum(lengths)[:-1])
    return np.stack([np.median(part, axis=0) for part in parts if len(part)])
