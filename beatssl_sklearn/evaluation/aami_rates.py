"""What is right and wrong in counts of classified heartbeats, and the rates that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["AAMIRates", "Outcomes", "mean_rates", "outcomes_of", "rates_of"]

Floats = NDArray[np.float64]
RATES = ("sensitivity", "ppv", "f1", "fpr")


class Outcomes(NamedTuple):
    """Numbers of right and wrong answers about each class, of shape (..., n_scored).

    Attributes
    ----------
    tp, fn : ndarray of int64
        Beats of the class: found as such, and missed or found as another class.
    fp, tn : ndarray of int64
        Other beats and extra detections: found as the class, and as another class.
    """

    tp: NDArray[np.int64]
    fn: NDArray[np.int64]
    fp: NDArray[np.int64]
    tn: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class AAMIRates:
    """Rates of each class.

    Attributes
    ----------
    classes : tuple of n_scored labels
        The classes.
    sensitivity, ppv, f1, fpr : ndarray of shape (n_scored,)
        Se = TP / (TP + FN); positive predictivity = TP / (TP + FP); F1 = 2 TP / (2 TP + FP + FN); false positive rate =
        FP / (FP + TN). Rates of each record or patient have the shape (n_records, n_scored). A rate is NaN if its
        denominator is 0. F1 is NaN where the class has no beat.
    macro_f1 : float or ndarray of shape (n_records,)
        Mean F1 over the classes that have one.
    """

    classes: tuple[Any, ...]
    sensitivity: Floats
    ppv: Floats
    f1: Floats
    fpr: Floats
    macro_f1: Any

    def of(self, label: Any) -> dict[str, Any]:
        """Return the rates of one class.

        Parameters
        ----------
        label : object
            The class.

        Returns
        -------
        dict of str to float
            ``sensitivity``, ``ppv``, ``f1`` and ``fpr``; arrays where there is one for each record.

        Raises
        ------
        ValueError
            If the class is not scored.
        """
        if label not in self.classes:
            raise ValueError(f"label must be one of the scored classes {list(self.classes)}, got {label!r}")
        k = self.classes.index(label)
        found = {name: getattr(self, name)[..., k] for name in RATES}
        return {name: float(rate) if rate.ndim == 0 else rate for name, rate in found.items()}


def outcomes_of(counts: NDArray[np.int64], scored: NDArray[np.int64], penalised: NDArray[np.bool_]) -> Outcomes:
    """Count what is right and wrong about each class.

    Parameters
    ----------
    counts : ndarray of shape (..., n_classes + 1, n_classes + 1)
        Beats by reference and answer. The last row has extra detections, the last column missed beats.
    scored : ndarray of int64 (n_scored,)
        Rows of the scored classes.
    penalised : ndarray of bool (n_classes + 1, n_scored)
        Whether a beat of this row is a false one of the scored class if it is found as such.

    Returns
    -------
    Outcomes
        Arrays (..., n_scored).
    """
    answered = counts[..., :-1]
    tp = counts[..., scored, scored]
    n = counts[..., scored, :].sum(axis=-1)
    fp = np.einsum("...rk,rk->...k", counts[..., scored], penalised.astype(np.int64))
    # All that got an answer, without the row and the column of the class.
    rows, columns = answered[..., scored, :].sum(axis=-1), answered[..., scored].sum(axis=-2)
    tn = answered.sum(axis=(-2, -1))[..., None] - rows - columns + tp
    return Outcomes(tp, n - tp, fp, tn)


def rates_of(outcomes: Outcomes, classes: tuple[Any, ...]) -> AAMIRates:
    """Return the rates of right and wrong answers (..., n_scored)."""
    tp, fn, fp, tn = (np.asarray(part, dtype=np.float64) for part in outcomes)
    f1 = _ratio(2 * tp, np.where(tp + fn > 0, 2 * tp + fp + fn, 0))
    return _rates(classes, _ratio(tp, tp + fn), _ratio(tp, tp + fp), f1, _ratio(fp, fp + tn))


def mean_rates(rates: AAMIRates, weights: Floats) -> AAMIRates:
    """Average rates (n_records, n_scored) over the records where they are defined.

    Parameters
    ----------
    rates : AAMIRates
        Rates of each record or patient.
    weights : ndarray of shape (..., n_records)
        How often each counts.

    Returns
    -------
    AAMIRates
        Arrays (..., n_scored). The macro F1 is the mean of these over the classes.
    """
    means = []
    for name in RATES:
        each = getattr(rates, name)
        defined = np.isfinite(each)
        means.append(_ratio(weights @ np.where(defined, each, 0.0), weights @ defined.astype(np.float64)))
    return _rates(rates.classes, *means)


def _rates(classes: tuple[Any, ...], sensitivity: Floats, ppv: Floats, f1: Floats, fpr: Floats) -> AAMIRates:
    defined = np.isfinite(f1)
    macro = _ratio(np.where(defined, f1, 0.0).sum(axis=-1), defined.sum(axis=-1))
    return AAMIRates(classes, sensitivity, ppv, f1, fpr, float(macro) if macro.ndim == 0 else macro)


def _ratio(part: Any, whole: Any) -> Floats:
    """Divide; NaN where the denominator is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
