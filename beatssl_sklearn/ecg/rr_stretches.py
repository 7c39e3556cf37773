"""Numbers of many stretches of signal one after the other, such as their RR intervals, and statistics per stretch.

Stretches have unequal numbers of beats. Nothing is padded, so that one stretch may be a day and another one a second.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Stretches"]

Values = NDArray[np.float64]


class Stretches(NamedTuple):
    """Values in the order of stretches, and of time within each.

    Attributes
    ----------
    value : ndarray (n_values,) float64
        The numbers.
    stretch : ndarray (n_values,) int64
        Position of the stretch that each belongs to; never decreases.
    n_stretches : int
        How many there are; some may have no value.
    """

    value: Values
    stretch: NDArray[np.int64]
    n_stretches: int

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of values of each stretch."""
        return np.bincount(self.stretch, minlength=self.n_stretches)

    def total(self, value: NDArray) -> Values:
        """Return the sum over each stretch of numbers, or truths, that stand beside the values."""
        return np.asarray(np.bincount(self.stretch, weights=value, minlength=self.n_stretches), dtype=np.float64)

    def mean(self, value: NDArray) -> Values:
        """Return the mean over each stretch of numbers, or truths, that stand beside the values; 0 without a value."""
        return self.total(value) / np.maximum(self.counts, 1)

    def quantile(self, value: Values, share: float) -> Values:
        """Return a quantile, with linear interpolation, over each stretch; 0 without a value."""
        counts = self.counts
        if not len(value):
            return np.zeros(self.n_stretches)
        ordered = value[np.lexsort([value, self.stretch])]
        first = np.cumsum(counts) - counts
        at = np.maximum(counts - 1, 0) * share
        below = np.floor(at).astype(np.int64)
        last = len(value) - 1
        low = ordered[np.minimum(first + below, last)]
        high = ordered[np.minimum(first + np.minimum(below + 1, np.maximum(counts - 1, 0)), last)]
        return np.where(counts > 0, low + (at - below) * (high - low), 0.0)

    def of_stretch(self, number: NDArray) -> NDArray:
        """Return the number of its stretch beside each value."""
        return number[self.stretch]

    def with_value(self, value: Values) -> Stretches:
        """Return other numbers that stand beside the values."""
        return self._replace(value=value)

    def kept(self, wanted: NDArray[np.bool_]) -> Stretches:
        """Return some of the values."""
        return self._replace(value=self.value[wanted], stretch=self.stretch[wanted])

    def pairs(self, lag: int) -> tuple[Values, Values, Stretches]:
        """Return pairs of values of one stretch.

        Parameters
        ----------
        lag : int
            How many places the second one comes after the first one.

        Returns
        -------
        first, second : ndarray (n_pairs,)
            Values.
        differences : Stretches
            Second minus first.
        """
        same = self.stretch[lag:] == self.stretch[: max(0, len(self.stretch) - lag)]
        first, second = self.value[: len(same)][same], self.value[lag:][same]
        return first, second, Stretches(second - first, self.stretch[lag:][same], self.n_stretches)

    def changes(self) -> Stretches:
        """Return the differences of neighbours."""
        return self.pairs(1)[2]
