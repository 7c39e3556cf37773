"""The map of `PatientIdentifier`: what differs within patients counts less, what differs between them more."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import empirical_covariance, ledoit_wolf_shrinkage, shrunk_covariance

# A record this many times as large as is usual, in most columns. Of 1,500 records of PTB-XL the largest has 1.2.
_LARGEST = 1e3
# A column that varies less, relative to its largest value, is constant: the mean of equal numbers is rounded.
_LEAST_DEVIATION = 1e-9
# Step of the training, relative to the weights; chosen on other patients than those of the reported scores.
_ARCFACE_RATE = 0.03


OF_THE_MAP = ("metric", "limit")
"""Parameters that a learnt map depends on wherever it is used."""


def check_unchanged(identifier: Any) -> None:
    """Refuse parameters that describe the map of a `PatientIdentifier`, and are no longer those of `fit`.

    Raises
    ------
    ValueError
        Naming the parameter and both values.
    """
    for name, value in getattr(identifier, "_of_the_map", {}).items():
        given = getattr(identifier, name)
        if not np.array_equal(given, value):
            raise ValueError(
                f"{name}={given!r} was set after fit, which had {value!r}: it describes the learnt map and cannot be "
                f"changed under it; call fit again"
            )


def column_scales(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of columns; 1 for constant ones.

    Parameters
    ----------
    vectors : ndarray (n_records, n_columns)
        Embeddings.

    Returns
    -------
    mean, deviation : ndarray (n_columns,)

    Raises
    ------
    ValueError
        If one record is so large that columns would hold little else; the message names it.
    """
    size = np.abs(vectors)
    usual = np.median(size, axis=0)
    if (usual > 0).any():
        # Over columns: a measure may be rare and large.
        ratio = np.median(size[:, usual > 0] / usual[usual > 0], axis=1)
        if ratio.max() > _LARGEST:
            raise ValueError(
                f"Z: the embedding of record {ratio.argmax()} is {ratio.max():.2g} times as large as the others; "
                f"beside it they would all look alike. Leave it out"
            )
    peak = size.max(axis=0)
    peak[peak == 0] = 1.0
    # Relative to the largest value: squares of tiny numbers would be 0.
    share = (vectors / peak).std(axis=0)
    return vectors.mean(axis=0), np.where(share > _LEAST_DEVIATION, share * peak, 1.0)


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


def told_apart(records: NDArray, patient: NDArray[np.int64], directions: NDArray, **training: Any) -> NDArray:
    """Return a map (n_dims_out, n_dims_in) that ArcFace trains on, to tell the patients of records apart."""
    import torch

    from ..nn.arcface import train_arcface

    learnt = train_arcface(
        torch.from_numpy(records.astype(np.float32)),
        torch.from_numpy(patient),
        torch.from_numpy(directions.astype(np.float32)),
        batch_size=256,
        lr=_ARCFACE_RATE,
        **training,
    )
    return np.asarray(learnt.double().numpy())
