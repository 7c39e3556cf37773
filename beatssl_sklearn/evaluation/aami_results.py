"""Scores of classified heartbeats: pooled, by record, by patient, with intervals, and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..inputs.groups import group_codes
from .aami_intervals import Mean, draw_intervals, sum_by_patient
from .aami_rates import RATES, AAMIRates, Outcomes, mean_rates, rates_of

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["AAMIScores"]

_OF = ("classes", "records", "patients")


@dataclass(frozen=True, eq=False, repr=False)
class AAMIScores:
    """Scores of classified heartbeats, as `aami_scores` returns them; `print` shows a table of them.

    Attributes
    ----------
    classes : tuple of n_classes labels
        The classes of the confusion.
    scored : tuple of n_scored labels
        The classes that have rates.
    records : tuple of n_records
        The records that count.
    patients : ndarray of shape (n_records,)
        Patient of each record.
    counts : ndarray of int64, shape (n_records, n_classes + 1, n_classes + 1)
        Beats of each record by reference class (row) and answer (column). The last row has extra detections, the last
        column missed beats.
    outcomes : Outcomes
        Right and wrong answers about each class, four arrays (n_records, n_scored): ``tp``, ``fn``, ``fp``, ``tn``.
    average_precision : ndarray of shape (n_scored,) or None
        Area under the precision-recall curve of each class, all beats pooled; None without probabilities.
    """

    classes: tuple[Any, ...]
    scored: tuple[Any, ...]
    records: tuple[Any, ...]
    patients: NDArray[Any]
    counts: NDArray[np.int64]
    outcomes: Outcomes
    average_precision: NDArray[np.float64] | None = None

    def __repr__(self) -> str:
        n_patients = len(np.unique(self.patients))
        rates = self.gross
        head = f"{len(self.records)} records, patients: {n_patients}, macro F1: {self.macro_f1:.3f}; all beats pooled:"
        lines = [f"AAMIScores of {head}", f"{'':>8} {'beats':>8}" + "".join(f" {name:>11}" for name in RATES)]
        n_beats = (self.outcomes.tp + self.outcomes.fn).sum(axis=0)
        for k, (label, n) in enumerate(zip(self.scored, n_beats, strict=True)):
            values = "".join(f" {float(getattr(rates, name)[k]):11.3f}" for name in RATES)
            lines.append(f"{label!s:>8.8} {n:8d}{values}")
        return "\n".join(lines)

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Beats of all records by reference class and predicted class (n_classes, n_classes)."""
        return self.counts.sum(axis=0)[:-1, :-1]

    @property
    def missed(self) -> NDArray[np.int64]:
        """Beats of each class that got no answer (n_classes,)."""
        return self.counts.sum(axis=0)[:-1, -1]

    @property
    def extra(self) -> NDArray[np.int64]:
        """Detections without a reference beat, by the class predicted for them (n_classes,)."""
        return self.counts.sum(axis=0)[-1, :-1]

    @property
    def gross(self) -> AAMIRates:
        """Rates of all beats pooled: each beat has the same weight."""
        return rates_of(Outcomes(*(part.sum(axis=0) for part in self.outcomes)), self.scored)

    @property
    def by_record(self) -> AAMIRates:
        """Rates of each record (n_records, n_scored)."""
        return rates_of(self.outcomes, self.scored)

    @property
    def average(self) -> AAMIRates:
        """Mean of each rate over the records where it is defined: each record has the same weight."""
        return mean_rates(self.by_record, np.ones(len(self.records)))

    @property
    def by_patient(self) -> AAMIRates:
        """Rates of each patient (n_patients, n_scored), in sorted order of the patients."""
        return rates_of(sum_by_patient(self.outcomes, self._patient_codes), self.scored)

    @property
    def mean_over_patients(self) -> AAMIRates:
        """Mean of each rate over the patients where it is defined: each patient has the same weight."""
        return mean_rates(self.by_patient, np.ones(int(self._patient_codes.max()) + 1))

    @property
    def macro_f1(self) -> float:
        """Mean of the gross F1 over the scored classes that have a beat."""
        return float(self.gross.macro_f1)

    def intervals(
        self, mean: Mean = "gross", *, n_bootstrap: int = 1000, level: float = 0.95, seed: int = 0
    ) -> tuple[AAMIRates, AAMIRates]:
        """Return intervals of the rates over draws of patients with replacement.

        Parameters
        ----------
        mean : {"gross", "average", "patients"}, default="gross"
            Of which rates: those of all beats pooled, their mean over records or their mean over patients.
        n_bootstrap : int, default=1000
            Number of replicates.
        level : float, default=.95
            Share of the replicates inside the interval (percentile method).
        seed : int, default=0
            Seed of the draws, which are those of `bootstrap_interval`.

        Returns
        -------
        low, high : AAMIRates
            The lower and the upper ends. They are NaN where a rate is undefined in most replicates. The ends of
            ``macro_f1`` are those of the macro F1, and not the mean of the others.

        Raises
        ------
        ValueError
            If a parameter is out of range.
        """
        return draw_intervals(
            self.outcomes, self._patient_codes, self.scored, mean, n_bootstrap=n_bootstrap, level=level, seed=seed
        )

    def to_frame(self, of: Literal["classes", "records", "patients"] = "classes") -> DataFrame:
        """Return the scores as a table.

        Parameters
        ----------
        of : {"classes", "records", "patients"}, default="classes"
            "classes" has one row per class, with gross rates, their means over records (``average_``) and over patients
            (``patients_``), and ``average_precision`` if there is one. "records" and "patients" have a row for each
            record or patient and class.

        Returns
        -------
        DataFrame
            Columns ``class``, ``n`` (beats), ``tp``, ``fn``, ``fp``, ``tn`` and the rates ``sensitivity``, ``ppv``,
            ``f1`` and ``fpr``; of records or patients, ``record`` or ``patient`` comes first.

        Raises
        ------
        ValueError
            If `of` is unknown.
        ImportError
            If pandas is missing.
        """
        import pandas as pd

        if of not in _OF:
            raise ValueError(f"of must be one of {', '.join(_OF)}, got {of!r}")
        if of != "classes":
            each, outcomes, name = self.records, self.outcomes, "record"
            if of == "patients":
                each, name = tuple(np.unique(self.patients).tolist()), "patient"
                outcomes = sum_by_patient(outcomes, self._patient_codes)
            names = [owner for owner in each for _ in self.scored]
            return pd.DataFrame({name: names, **_columns(outcomes, self.scored)})
        table = _columns(Outcomes(*(part.sum(axis=0, keepdims=True) for part in self.outcomes)), self.scored)
        for prefix, rates in (("average", self.average), ("patients", self.mean_over_patients)):
            table |= {f"{prefix}_{name}": getattr(rates, name) for name in RATES}
        if self.average_precision is not None:
            table["average_precision"] = self.average_precision
        return pd.DataFrame(table)

    @property
    def _patient_codes(self) -> NDArray[np.int64]:
        return group_codes(self.patients, len(self.records), "patients")


def _columns(outcomes: Outcomes, scored: tuple[Any, ...]) -> dict[str, Any]:
    """Return counts and rates (n, n_scored), one row after the other."""
    rates = rates_of(outcomes, scored)
    columns = {"n": outcomes.tp + outcomes.fn, **outcomes._asdict()}
    columns |= {name: getattr(rates, name) for name in RATES}
    return {"class": list(scored) * len(outcomes.tp), **{name: values.ravel() for name, values in columns.items()}}
