"""How far a record lies from those of the training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._file_values import check_array
from ..components import register

# Quantiles of the distances of the training that are kept: enough for thousandths near the far end.
_KEPT = np.concatenate([np.linspace(0, 0.99, 100), np.linspace(0.991, 1, 10)])


@register
@dataclass(frozen=True, eq=False)
class TrainingDistance:
    """Mahalanobis distance in principal components, and what lies outside them, against the training records.

    Parameters
    ----------
    axes : ndarray (n_columns, n_components) of float
        Principal components of standardised rows; half precision keeps files small.
    spread : ndarray (n_components + 1,) of float
        Standard deviation along each, and the root of the mean square of what is left.
    quantiles : ndarray (110,) of float
        Quantiles of the distances of the training records: hundredths up to .99, then thousandths.
    """

    axes: NDArray[np.floating]
    spread: NDArray[np.float64]
    quantiles: NDArray[np.float64]

    @classmethod
    def of(cls, z: NDArray[np.float32], n_components: int) -> TrainingDistance:
        """Measure the training records.

        Parameters
        ----------
        z : ndarray (n, n_columns)
            Standardised rows.
        n_components : int
            Fewer are taken if there are fewer rows or columns.
        """
        values, vectors = np.linalg.eigh((z.T @ z).astype(np.float64) / len(z))
        k = min(n_components, len(z) - 1, z.shape[1])
        axes = np.ascontiguousarray(vectors[:, ::-1][:, :k]).astype(np.float16)
        inside, left = _split(z, axes)
        # A direction without any spread says nothing, and half precision is as good as a thousandth.
        least = 1e-2 * float(np.sqrt(max(values[-1], 1e-12)))
        spread = np.maximum(np.append(inside.std(axis=0), np.sqrt((left**2).mean())), least)
        new = cls(axes, spread.astype(np.float64), np.zeros(len(_KEPT)))
        return cls(axes, new.spread, np.quantile(new.distances(z), _KEPT))

    def distances(self, z: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the distance (n,) of each row from the mean of the training."""
        inside, left = _split(z, self.axes)
        k = self.axes.shape[1]
        # What is left has many dimensions, of which each counts a little: together, it counts as much as all axes.
        squared = ((inside / self.spread[:k]) ** 2).sum(axis=1) + k * (left / self.spread[k]) ** 2
        return np.asarray(np.sqrt(squared), dtype=np.float64)

    def share_farther(self, z: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the share (n,) of the training records that lie at least as far away as each row."""
        return np.asarray(1 - np.interp(self.distances(z), self.quantiles, _KEPT, left=0, right=1))

    def _check_file(self) -> None:
        _, k = check_array("axes", self.axes, "f", None, None).shape
        if (check_array("spread", self.spread, "f", k + 1) <= 0).any():
            raise ValueError("spread must be positive")
        if (np.diff(check_array("quantiles", self.quantiles, "f", len(_KEPT))) < 0).any():
            raise ValueError("quantiles must not fall")


def _split(z: NDArray[np.float32], axes: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the coordinates (n, k) of rows along axes, and the length (n,) of what is left of them."""
    narrow = axes.astype(np.float32)
    inside = z @ narrow
    # Not by Pythagoras: axes in half precision are not quite orthonormal.
    left = z - inside @ narrow.T
    return inside.astype(np.float64), np.sqrt(np.einsum("ij,ij->i", left, left, dtype=np.float64))
