"""TextEncoder: what turns reports and prompts into vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..components import Component


class TextEncoder(Component, ABC):
    """Base of all that turns texts into vectors: reports, their sentences, and prompts.

    A subclass must write `fit` and `encode`. Its parameters are those of its constructor, and ``@register`` lets files
    and the command line find it.

    Attributes
    ----------
    n_dims_ : int
        Width of a vector, known after `fit`.
    """

    n_dims_: int

    @abstractmethod
    def fit(self, texts: Sequence[str]) -> Self:
        """Learn from texts.

        Parameters
        ----------
        texts : sequence of str
            Reports; none is empty.

        Returns
        -------
        TextEncoder
            The encoder itself.
        """

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector per text.

        Parameters
        ----------
        texts : sequence of str
            Reports, sentences or prompts; none is empty.

        Returns
        -------
        ndarray (n_texts, n_dims_) float32
            Finite, and not zero, for any text that is not empty.
        """
