"""Readout: more columns of a record's embedding, which a small network makes of the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from .._file_values import check_array
from ..components import register


@register
@dataclass(frozen=True, eq=False)
class Readout:
    """The hidden layer of a perceptron between an embedding and what it was taught to tell.

    A linear model on an embedding finds what the embedding holds in the open. The hidden layer of a network that tells
    measures of records, such as `WaveMeasures`, from the embedding brings forward what is folded into it.

    Parameters
    ----------
    low, high : ndarray (n_dims,) of float
        Values that the embedding is clipped to: far outliers of single columns would decide about all of the layer.
    weight : ndarray (n_dims, n_hidden) of float
    bias : ndarray (n_hidden,) of float
    """

    low: NDArray
    high: NDArray
    weight: NDArray
    bias: NDArray

    @property
    def n_dims(self) -> int:
        """Columns that it adds."""
        return int(self.weight.shape[1])

    def __call__(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the hidden layer.

        Parameters
        ----------
        pooled : ndarray (n_records, n_dims) of float32
            Embeddings without the readout.

        Returns
        -------
        ndarray (n_records, n_hidden) float32
            ``gelu(clip(pooled) @ weight + bias)``. NaN for a record whose embedding is NaN.
        """
        # In double precision, so that a record's numbers do not depend on how many records are computed at once.
        z = np.clip(pooled.astype(np.float64), self.low.astype(np.float64), self.high.astype(np.float64))
        hidden = z @ self.weight.astype(np.float64) + self.bias.astype(np.float64)
        return np.asarray(F.gelu(torch.from_numpy(hidden)).numpy(), dtype=np.float32)

    def _check_file(self) -> None:
        (n_dims,) = check_array("low", self.low, "f", None).shape
        check_array("high", self.high, "f", n_dims)
        _, n_hidden = check_array("weight", self.weight, "f", n_dims, None).shape
        check_array("bias", self.bias, "f", n_hidden)
        if (self.low > self.high).any():
            raise ValueError("low must not be above high")
