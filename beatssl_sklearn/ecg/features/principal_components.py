"""Principal components of aligned beats, from a covariance summed in chunks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Components", "component_scores", "fit_components"]


class Components(NamedTuple):
    """Principal components of beats.

    Attributes
    ----------
    mean : ndarray of float32, shape (n_leads * n_samples,)
    basis : ndarray of float32, shape (n_components, n_leads * n_samples)
        Orthonormal rows, largest variance first; zero rows beyond the rank of the data.
    """

    mean: NDArray[np.float32]
    basis: NDArray[np.float32]


def fit_components(beats: NDArray[np.float32], n_components: int = 32, *, chunk_size: int = 4096) -> Components:
    """Fit principal components to beats.

    Parameters
    ----------
    beats : ndarray of float32, shape (n_beats, n_leads, n_samples)
        Aligned beats, for example `FeatureTable.beats`. Missing values (NaN) count as the mean, and beats without any
        value are left out.
    n_components : int, default=32
        Number of components.
    chunk_size : int, default=4096
        Beats per step: beyond `beats`, memory holds one chunk and one square matrix.

    Returns
    -------
    components : Components
        The largest weight of each component is positive, so that equal data give equal scores.

    Raises
    ------
    ValueError
        If `n_components` is not between 1 and ``n_leads * n_samples``, or if `beats` is not 3-D.
    """
    if beats.ndim != 3:
        raise ValueError(f"beats must have shape (n_beats, n_leads, n_samples); got {beats.shape}.")
    flat = beats.reshape(len(beats), beats.shape[1] * beats.shape[2])
    n_features = flat.shape[1]
    if not 1 <= n_components <= n_features:
        raise ValueError(f"n_components must be between 1 and {n_features}; got {n_components!r}.")
    total, count = np.zeros(n_features), np.zeros(n_features)
    for start in range(0, len(flat), chunk_size):
        chunk = flat[start : start + chunk_size]
        finite = np.isfinite(chunk)
        total += np.where(finite, chunk, 0.0).sum(axis=0, dtype=np.float64)
        count += finite.sum(axis=0)
    mean = (total / np.maximum(count, 1)).astype(np.float32)
    covariance = np.zeros((n_features, n_features))
    for start in range(0, len(flat), chunk_size):
        centred = np.nan_to_num(flat[start : start + chunk_size] - mean.astype(np.float64), nan=0.0)
        covariance += centred.T @ centred
    variance, vectors = np.linalg.eigh(covariance / max(len(flat), 1))
    variance, basis = variance[::-1][:n_components], vectors[:, ::-1][:, :n_components].T
    largest = np.take_along_axis(basis, np.abs(basis).argmax(axis=1)[:, None], axis=1)
    basis = np.where(largest < 0, -basis, basis)
    # Directions without variance are arbitrary: scores on them would be rounding noise of the eigensolver.
    basis[variance <= max(variance[0], 0.0) * 1e-9] = 0.0
    return Components(mean, np.ascontiguousarray(basis, dtype=np.float32))


def component_scores(
    beats: NDArray[np.float32], components: Components, *, chunk_size: int = 4096
) -> NDArray[np.float32]:
    """Compute the scores of beats on principal components.

    Parameters
    ----------
    beats : ndarray of float32, shape (n_beats, n_leads, n_samples)
        Aligned beats on the grid that `components` were fitted on.
    components : Components
        From `fit_components`.
    chunk_size : int, default=4096
        Beats per step.

    Returns
    -------
    scores : ndarray of float32, shape (n_beats, n_components)
        NaN for beats without any value; a single missing value counts as the mean.

    Raises
    ------
    ValueError
        If the number of values per beat does not fit `components`.
    """
    flat = beats.reshape(len(beats), int(np.prod(beats.shape[1:])))
    if flat.shape[1] != components.mean.size:
        raise ValueError(f"beats of shape {beats.shape} have {flat.shape[1]} values; expected {components.mean.size}.")
    scores = np.empty((len(flat), len(components.basis)), dtype=np.float32)
    for start in range(0, len(flat), chunk_size):
        chunk = flat[start : start + chunk_size]
        missing = ~np.isfinite(chunk).any(axis=1)
        part = np.nan_to_num(chunk - components.mean, nan=0.0) @ components.basis.T
        part[missing] = np.nan
        scores[start : start + chunk_size] = part
    return scores
