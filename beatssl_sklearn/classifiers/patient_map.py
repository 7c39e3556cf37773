"""The map of `PatientIdentifier`: what differs within patients counts less, what differs between them more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import empirical_covariance, ledoit_wolf_shrinkage, shrunk_covariance


def limited(scaled: NDArray[np.float64], limit: float | None) -> NDArray[np.float64]:
    """Squeeze standardised values into -limit to limit: one odd column must not outvote the others."""
    return scaled if limit is None else np.asarray(limit * np.tanh(scaled / limit))


def whitening(records: NDArray, patient: NDArray[np.int64], shrinkage: float | None) -> NDArray[np.float64]:
    """Return the map that makes the covariance of records about their patient's mean the identity."""
    sums = np.stack([np.bincount(patient, column) for column in records.T], axis=1)
    count = np.bincount(patient)
    # Records lie nearer to their own mean than to that of all records of the patient there could be.
    within = (records - (sums / count[:, None])[patient]) * np.sqrt(count / (count - 1))[patient, None]
    if shrinkage is None:
        shrinkage = ledoit_wolf_shrinkage(within, assume_centered=True)
    value, vector = np.linalg.eigh(shrunk_covariance(empirical_covariance(within, assume_centered=True), shrinkage))
    # A direction in which records of a patient do not differ must not weigh without bounds.
    value = np.maximum(value, value.max() * 1e-9) if value.max() > 1e-12 else np.ones_like(value)
    return np.asarray((vector / np.sqrt(value)).T)


def discriminant(records: NDArray, whitened: NDArray, n_dims: int) -> NDArray[np.float64]:
    """Return the directions in which patients differ most, each weighted by the patients' share of its variance."""
    value, vector = np.linalg.eigh(np.cov((records @ whitened.T).T).reshape(len(whitened), -1))
    share = np.clip(1 - 1 / np.maximum(value, 1.0), 0, 1)
    if not share.any():
        share = np.ones_like(share)
    return np.asarray(((share * vector).T @ whitened)[::-1][:n_dims])
