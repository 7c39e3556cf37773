"""What the batches, the loss and the probe need of targets, be they labels or values."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Targets(Protocol):
    """What is known of each record, encoded for the loss."""

    @property
    def values(self) -> NDArray:
        """What the loss compares the outputs with: a row, or a number, per record."""

    @property
    def weights(self) -> NDArray[np.float32]:
        """Weight of each entry of `values`, 1 on average over the records that count."""

    @property
    def counts(self) -> NDArray[np.float64]:
        """How many records each record (n_records,) counts as; one of 0 is as if it were absent."""

    @property
    def n_outputs(self) -> int:
        """Outputs of the network."""

    def score(self, index: NDArray[np.int64], outputs: NDArray[np.float32]) -> dict[str, float]:
        """Return scores of the network's outputs for the records at `index`, by the names that `history_` has."""
