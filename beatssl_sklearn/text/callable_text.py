"""CallableText: vectors of texts from a function or a model of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ..components import register
from .encoder import TextEncoder

# Squared lengths of vectors that the float32 of a network can work with.
_SMALLEST, _LARGEST = 1e-24, 1e24


@register
class CallableText(TextEncoder):
    """Turn texts into vectors with a function or a model of yours.

    Parameters
    ----------
    model : callable or object, default=None
        A function from a list of n texts to an array (n, n_dims), or an object whose method `encode` is one, such as a
        ``SentenceTransformer``. Clones share it. `save` refuses it, because no file can hold a function; joblib keeps
        what can be pickled.

    Attributes
    ----------
    n_dims_ : int
        Width of a vector.

    Examples
    --------
    >>> import numpy as np
    >>> from beatssl_sklearn import CallableText
    >>> text = CallableText(lambda texts: np.array([[len(t), t.count("a")] for t in texts]))
    >>> text.fit(["normal ECG", "atrial fibrillation"]).encode(["atrial flutter"]).tolist()
    [[14.0, 2.0]]
    """

    _in_file: ClassVar[tuple[str, ...]] = ("n_dims_",)

    def __init__(self, model: Any = None) -> None:
        self.model = model

    def __sklearn_clone__(self) -> CallableText:
        # A copy of a model would take its memory once more, and some models cannot be copied.
        return type(self)(self.model)

    def check(self) -> None:
        """Check the parameter.

        Raises
        ------
        TypeError
            If it is neither a function nor an object with a method `encode`.
        """
        super().check()
        if isinstance(self.model, str):
            raise TypeError(f"model must be the model itself, not its name: load {self.model!r:.60} first")
        if isinstance(self.model, type) or not (callable(self.model) or hasattr(self.model, "encode")):
            raise TypeError(f"model must be a function of a list of texts, or have a method encode, got {self.model!r}")

    def fit(self, texts: Sequence[str]) -> Self:
        """Find out how wide the vectors are; nothing is learnt.

        Parameters
        ----------
        texts : sequence of str
            One at least.

        Returns
        -------
        CallableText
            The encoder itself.

        Raises
        ------
        TypeError, ValueError
            If the model cannot be used.
        """
        self.check()
        if not len(texts):
            raise ValueError("texts: there is none")
        self.n_dims_ = self.encode(list(texts[:2])).shape[1]
        return self

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return what the model says of each text.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        ndarray (n_texts, n_dims_) float32
            As the model returned them.

        Raises
        ------
        ValueError
            If the model returns something else than a finite row that is not zero for each text; the text is named.
        """
        given = [str(text) for text in texts]
        z = _as_array(getattr(self.model, "encode", self.model)(given))
        if z.ndim != 2 or len(z) != len(given) or z.dtype.kind not in "fiu":
            raise ValueError(f"model must return numbers (n_texts, n_dims), got {z.dtype} {z.shape} for {len(given)}")
        known = getattr(self, "n_dims_", z.shape[1])
        if z.shape[1] != known:
            raise ValueError(f"model returned vectors of width {z.shape[1]}, in fit of {known}")
        with np.errstate(over="ignore", under="ignore"):
            z = z.astype(np.float32)
        # A square that is not finite, or is 0, gives a vector no length.
        square = np.square(z, dtype=np.float64).sum(axis=1)
        bad = np.flatnonzero(~np.isfinite(z).all(axis=1) | (square < _SMALLEST) | (square > _LARGEST))
        if len(bad):
            raise ValueError(f"model: the vector of the text {given[bad[0]]!r:.80} is zero or not finite")
        return z


def _as_array(returned: Any) -> NDArray:
    """Return what a model returned as an array; a tensor may have a gradient, or lie on a GPU."""
    if hasattr(returned, "detach") and hasattr(returned, "cpu"):
        returned = returned.detach().cpu()
    try:
        return np.asarray(returned)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(returned).__name__
        raise ValueError(f"model must return numbers (n_texts, n_dims), got a {kind}: {error}") from None
