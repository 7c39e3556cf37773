"""PatientIdentifier: whose record is this? A gallery of embeddings, and the nearest of them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ..components import Bounds, Limits, Nested, check_bounds, check_number, register, seed_of
from ..inputs.labels import checked_weights
from .file_checks import check_identifier
from .patient_ids import check_unknown, finite_rows, found_right, ids_or_unknown, joined_ids, patient_codes
from .patient_map import OF_THE_MAP, check_unchanged, column_scales, discriminant, limited, told_apart, whitening

METRICS = ("whitened", "cosine", "arcface")


@register
class PatientIdentifier(ClassifierMixin, Nested):
    """Find the patient of a record by its embedding, among enrolled patients.

    Similarity is the cosine of two embeddings, after a map that `fit` learns. A patient's score is that of the
    most similar of the patient's enrolled records.

    Parameters
    ----------
    metric : {"whitened", "cosine", "arcface"}, default="whitened"
        - "whitened": the map divides by the covariance of records of one patient about their mean, and each direction
          counts by the share of its variance that lies between patients. It needs patients with several records.
        - "cosine": standardised embeddings as they are; nothing about patients is learnt.
        - "arcface": the map of "whitened", trained on to tell patients of several records apart by a margin.
    threshold : float, default=None
        Least score of an enrolled patient; below it, nobody is found. None is what `calibrate` has found; before that,
        somebody is always named.
    unknown : object, default=None
        What `predict` returns where nobody is found, and the label of records of nobody enrolled in `score`.
    temperature : float, default=0.05
        Divides the scores in `predict_proba`.
    n_dims : int, default=256
        Largest width of the map of "whitened" and "arcface".
    shrinkage : float, default=0.2
        How far the covariance within patients is drawn to a multiple of the identity, from 0 to 1; None is the
        estimate of Ledoit and Wolf. It was chosen on patients of PTB-XL (fold 8); where columns of Z are very
        different in how much records of a patient differ, None is better.
    limit : float, default=3.0
        Standard deviations into which "whitened" and "arcface" squeeze each column, ``limit * tanh(z / limit)``; None
        does not. On patients of PTB-XL it finds .01 more (mean of folds 5 to 9).
    scale, margin : float, default=32, 0.5
        Of ArcFace.
    max_epochs : int, default=10
        Of ArcFace.
    random_state : int, RandomState or None, default=None
        Of ArcFace.

    Attributes
    ----------
    classes_ : ndarray (n_patients,)
        Enrolled patients.
    gallery_ : ndarray (n_enrolled, n_dims)
        Mapped unit vectors of the enrolled records.
    gallery_patients_ : ndarray (n_enrolled,)
        Their patients, as positions in `classes_`.
    threshold_ : float
        The threshold in use.

    Notes
    -----
    `metric` and `limit` describe the map, and cannot be changed after `fit`. `threshold`, `unknown` and `temperature`
    can.

    References
    ----------
    Deng J et al. ArcFace. CVPR 2019. Hatch A O et al. Within-class covariance normalization. Interspeech 2006.

    Examples
    --------
    >>> import numpy as np
    >>> Z = np.random.default_rng(0).normal(size=(6, 4)).repeat(2, axis=0)
    >>> patients = np.repeat(list("abcdef"), 2)
    >>> found = PatientIdentifier("cosine").fit(Z[::2], patients[::2])
    >>> found.predict(Z[1::2]).tolist()
    ['a', 'b', 'c', 'd', 'e', 'f']
    """

    bounds: ClassVar[Mapping[str, Limits]] = {
        "metric": METRICS,
        "threshold": Bounds(Real, -1, 1, or_none=True),
        "temperature": Bounds(Real, 1e-6),
        "n_dims": Bounds(Integral, 1, 8192),
        "shrinkage": Bounds(Real, 0, 1, or_none=True),
        "limit": Bounds(Real, 1e-3, 1e6, or_none=True),
        "scale": Bounds(Real, 1e-6, 1e6),
        "margin": Bounds(Real, 0, 3),
        "max_epochs": Bounds(Integral, 0),
    }
    _in_file: ClassVar[tuple[str, ...]] = (
        *("classes_", "gallery_", "gallery_patients_", "mean_", "deviation_", "map_", "n_features_in_"),
        "calibrated_",
    )

    _check_file = check_identifier

    classes_: NDArray
    gallery_: NDArray[np.float64]
    gallery_patients_: NDArray[np.int64]

    def __init__(
        self,
        metric: str = "whitened",
        *,
        threshold: float | None = None,
        unknown: Any = None,
        temperature: float = 0.05,
        n_dims: int = 256,
        shrinkage: float | None = 0.2,
        limit: float | None = 3.0,
        scale: float = 32.0,
        margin: float = 0.5,
        max_epochs: int = 10,
        random_state: Any = None,
    ) -> None:
        self.metric = metric
        self.threshold = threshold
        self.unknown = unknown
        self.temperature = temperature
        self.n_dims = n_dims
        self.shrinkage = shrinkage
        self.limit = limit
        self.scale = scale
        self.margin = margin
        self.max_epochs = max_epochs
        self.random_state = random_state

    def fit(self, Z: ArrayLike, patients: ArrayLike) -> PatientIdentifier:
        """Learn the map from records of known patients, and enrol them.

        To find other patients than these, `enroll` them afterwards: the map then is that of patients who are not in
        the gallery, as it should be for a fair score.

        Parameters
        ----------
        Z : array-like (n_records, n_dims)
            Embeddings.
        patients : array-like (n_records,)
            Patient of each record.

        Returns
        -------
        PatientIdentifier
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter or a label cannot be used, if there are fewer than two patients, if the metric needs several
            records of some patients and there are none, or if one record is 1,000 times as large as the others, which
            it would hide; the message names it.
        """
        check_bounds(self.get_params(deep=False), self.bounds)
        # A fit that fails leaves the estimator as it was.
        new = copy(self)
        new.__dict__.pop("calibrated_", None)
        vectors = finite_rows(Z, new, reset=True)
        names, code = patient_codes(patients, len(vectors))
        if len(names) < 2:
            raise ValueError(f"patients holds one patient only ({names.tolist()[0]!r}); at least two are needed")
        check_unknown(self.unknown, names)
        new.mean_, new.deviation_ = column_scales(vectors)
        new.map_ = new._learnt(new._standardised(vectors), code)
        new._of_the_map = {name: getattr(self, name) for name in OF_THE_MAP}
        self.__dict__ = new.enroll(Z, patients).__dict__
        return self

    def _standardised(self, vectors: NDArray) -> NDArray[np.float64]:
        scaled = (vectors - self.mean_) / self.deviation_
        return limited(scaled, None if self.metric == "cosine" else self.limit)

    def _learnt(self, scaled: NDArray, code: NDArray) -> NDArray:
        """Return a map (n_dims_out, n_dims_in) of standardised vectors."""
        if self.metric == "cosine":
            return np.eye(self.n_features_in_)
        counts = np.bincount(code)
        if not (counts > 1).any():
            raise ValueError(
                f"metric={self.metric!r} learns how records of one patient differ, and no patient has two records; "
                f"use metric='cosine'"
            )
        several = counts[code] > 1
        records, patient = scaled[several], np.unique(code[several], return_inverse=True)[1].astype(np.int64)
        directions = discriminant(scaled, whitening(records, patient, self.shrinkage), self.n_dims)
        if self.metric == "whitened":
            return directions
        training = {"scale": self.scale, "margin": self.margin, "epochs": self.max_epochs}
        return told_apart(records, patient, directions, **training, seed=seed_of(self.random_state))

    def enroll(self, Z: ArrayLike, patients: ArrayLike, *, keep: bool = False) -> PatientIdentifier:
        """Make a new gallery of records, or with `keep` a larger one; the map stays as it is.

        Parameters
        ----------
        Z : array-like (n_records, n_dims)
            Embeddings.
        patients : array-like (n_records,)
            Patient of each record.
        keep : bool, default=False
            Whether those who are enrolled stay.

        Returns
        -------
        PatientIdentifier
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If an embedding is not finite, if a patient is missing, if those who stay have ids of another type, or if
            `unknown` cannot stand beside the ids.
        """
        unit = self._mapped(Z)
        names, code = patient_codes(patients, len(unit))
        if keep and hasattr(self, "gallery_"):
            unit = np.concatenate([self.gallery_, unit])
            names, code = patient_codes(joined_ids(self.classes_[self.gallery_patients_], names[code]), len(unit))
        check_unknown(self.unknown, names)
        self.classes_, self.gallery_, self.gallery_patients_ = names, unit, code
        return self

    def decision_function(self, Z: ArrayLike) -> NDArray[np.float64]:
        """Return the score of each enrolled patient: the cosine with the most similar of the patient's records.

        Parameters
        ----------
        Z : array-like (n_records, n_dims)
            Embeddings.

        Returns
        -------
        ndarray (n_records, n_patients)
            Columns in the order of `classes_`.
        """
        unit = self._mapped(Z)
        order = np.argsort(self.gallery_patients_, kind="stable")
        first = np.searchsorted(self.gallery_patients_[order], np.arange(len(self.classes_)))
        return np.asarray(np.maximum.reduceat(unit @ self.gallery_[order].T, first, axis=1))

    def predict(self, Z: ArrayLike) -> NDArray:
        """Return the patient with the highest score, or `unknown` where no score reaches the threshold.

        Parameters
        ----------
        Z : array-like (n_records, n_dims)
            Embeddings.

        Returns
        -------
        ndarray (n_records,)
            Of the dtype of `classes_`; of objects if there is a threshold, and that dtype cannot hold `unknown`.
        """
        scores = self.decision_function(Z)
        check_unknown(self.unknown, self.classes_)
        found = self.classes_[scores.argmax(axis=1)]
        if self.threshold_ == -np.inf:
            return np.asarray(found)
        return ids_or_unknown(found, scores.max(axis=1) < self.threshold_, self.unknown)

    def score(self, Z: ArrayLike, patients: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the share of records for which `predict` is right.

        Parameters
        ----------
        Z : array-like (n_records, n_dims)
            Embeddings.
        patients : array-like (n_records,)
            Their patients; `unknown`, if it is not None, for records of nobody enrolled.
        sample_weight : array-like (n_records,), default=None
            How many records each counts as.

        Returns
        -------
        float
            From 0 to 1.

        Raises
        ------
        ValueError, TypeError
            If a patient is missing or of another type than those enrolled, or if a weight cannot be used.
        """
        right = found_right(self.predict(Z), patients, self.classes_, self.unknown)
        weights = checked_weights(sample_weight, len(right))
        if weights is not None and not weights.any():
            raise ValueError("sample_weight is 0 for all records; at least one must count")
        return float(np.average(right, weights=weights))

    def predict_proba(self, Z: ArrayLike) -> NDArray[np.float64]:
        """Return the softmax of the scores over `temperature`: a ranking with weights, not a calibrated probability.

        Parameters
        ----------
        Z : array-like (n_records, n_dims)
            Embeddings.

        Returns
        -------
        ndarray (n_records, n_patients)
            Rows that sum up to 1.
        """
        self._check("temperature")
        scores = self.decision_function(Z) / self.temperature
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def rank(self, Z: ArrayLike, k: int = 5) -> NDArray:
        """Return the patients with the highest scores.

        Parameters
        ----------
        Z : array-like (n_records, n_dims)
            Embeddings.
        k : int, default=5
            How many; all if fewer are enrolled.

        Returns
        -------
        ndarray (n_records, k)
            Best first.
        """
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
            raise ValueError(f"k must be a positive integer, got {k!r}")
        return np.asarray(self.classes_[np.argsort(-self.decision_function(Z), axis=1, kind="stable")[:, :k]])

    def calibrate(self, Z: ArrayLike, patients: ArrayLike, *, false_accepts: float = 1e-3) -> PatientIdentifier:
        """Choose the threshold by records of enrolled and of other patients.

        Parameters
        ----------
        Z : array-like (n_records, n_dims)
            Embeddings.
        patients : array-like (n_records,)
            Their patients.
        false_accepts : float, default=1e-3
            Share of pairs of a record and another patient that may reach the threshold, at most. A record meets every
            enrolled patient: of 100 of them, .001 lets about one stranger in ten be named.

        Returns
        -------
        PatientIdentifier
            The estimator itself, with `calibrated_`, which `threshold=None` then means.

        Raises
        ------
        ValueError, TypeError
            If `false_accepts` or a patient cannot be used, or if there is no pair of a record and another patient.
        """
        check_number("false_accepts", false_accepts, Real, 0, 1)
        if false_accepts in (0, 1):
            raise ValueError(f"false_accepts must be a share above 0 and below 1, got {false_accepts!r}")
        scores = self.decision_function(Z)
        names, code = patient_codes(patients, len(scores))
        joined_ids(self.classes_, names)
        others = scores[names[code][:, None] != self.classes_]
        if not len(others):
            raise ValueError("Z holds no record of another than the one enrolled patient")
        # As many may lie above the score k as were asked for; ties with it are not accepted.
        k = min(int(false_accepts * len(others) + 1e-9), len(others) - 1)
        self.calibrated_ = float(np.nextafter(np.partition(others, -1 - k)[-1 - k], np.inf))
        return self

    @property
    def threshold_(self) -> float:
        """The threshold in use: `threshold`, else what `calibrate` found, else none."""
        self._check("threshold")
        found = getattr(self, "calibrated_", -np.inf) if self.threshold is None else self.threshold
        return float(found)

    def _check(self, name: str) -> None:
        """Check a parameter that may have been set after `fit`."""
        check_bounds({name: getattr(self, name)}, {name: self.bounds[name]})

    def _for_file(self) -> PatientIdentifier:
        check_unchanged(self)
        return self

    def _mapped(self, Z: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self, "map_")
        check_unchanged(self)
        mapped = self._standardised(finite_rows(Z, self)) @ self.map_.T
        # Of any size: squares must not overflow.
        mapped /= np.maximum(np.abs(mapped).max(axis=1, keepdims=True), 1.0)
        return np.asarray(mapped / np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-12))
