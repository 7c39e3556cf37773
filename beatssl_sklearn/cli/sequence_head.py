"""Saved pipelines that label sequences: an embedder, and the steps after it, which label what it embeds."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ecg.beats import as_objects
from .messages import described
from .models import from_file

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

# Steps of the sequence that a head is tried with, and its seed.
_N_TRIED, _SEED = 50, 0
# Returns the steps of a sequence from one to before another, (n_steps, n_columns).
Read = Callable[[int, int], NDArray[np.float32]]


class Labels(NamedTuple):
    """Labels of beats or windows, or of one record.

    Attributes
    ----------
    names : ndarray (n,) of str
        The labels; "" is none.
    probabilities : ndarray (n, n_classes) float32
        No columns if the model gives none.
    """

    names: NDArray[np.str_]
    probabilities: NDArray[np.float32]

    def columns(self, classes: Sequence[str]) -> NDArray[np.float32]:
        """Return the probability of each label, and those of all classes (n, n_classes + 1), if there are any."""
        if not self.probabilities.shape[1]:
            return self.probabilities
        places = {name: k for k, name in enumerate(classes)}
        own = [row[places[name]] if name else np.nan for name, row in zip(self.names, self.probabilities, strict=True)]
        return np.column_stack([np.array(own, dtype=np.float32), self.probabilities])


class Head:
    """The steps of a pipeline after its embedder.

    Parameters
    ----------
    steps : sequence of fitted estimators
        Transformers, then a classifier.

    Attributes
    ----------
    classes : list of str
    has_probabilities : bool
    """

    def __init__(self, steps: Sequence[Any]) -> None:
        *self._transformers, self._classifier = steps
        self.classes: list[str] = [str(label) for label in self._classifier.classes_]
        self.has_probabilities = hasattr(self._classifier, "predict_proba")

    @property
    def columns(self) -> list[str]:
        """Names of the columns of `Labels.columns`."""
        return ["probability", *(f"p_{name}" for name in self.classes)] if self.has_probabilities else []

    def predict(self, X: Any, first: int = 0) -> tuple[Any, Any]:
        """Return what the classifier predicts, and probabilities, if it has any.

        Parameters
        ----------
        X : what the step of the number `first` takes
        first : int, default=0
            Steps that have seen X.
        """
        for step in self._transformers[first:]:
            X = step.transform(X)
        found = self._classifier.predict(X)
        return found, self._classifier.predict_proba(X) if self.has_probabilities else None

    def labels(self, found: Any, probabilities: Any) -> Labels:
        """Return predictions of rows as labels.

        Raises
        ------
        ValueError
            If there is not one label per row of probabilities.
        """
        names = np.array([str(label) for label in found], dtype=np.str_)
        if probabilities is None:
            return Labels(names, np.zeros((len(names), 0), dtype=np.float32))
        rows = np.asarray(probabilities, dtype=np.float32).reshape(-1, len(self.classes))
        if len(rows) != len(names):
            raise ValueError(f"the model gives {len(names)} labels and {len(rows)} rows of probabilities")
        return Labels(names, rows)

    def unlabelled(self, n: int) -> Labels:
        """Return `n` rows without a label."""
        shape = (n, len(self.classes) if self.has_probabilities else 0)
        return Labels(np.full(n, "", dtype="U1"), np.full(shape, np.nan, dtype=np.float32))

    def of_steps(self, sequence: NDArray[np.float32]) -> Labels:
        """Label each step of one sequence (n_steps, n_columns).

        Raises
        ------
        ValueError
            If there is not one label per step.
        """
        return self._of_steps(as_objects([sequence]), len(sequence), 0)

    def of_long(self, read: Read, n: int) -> Labels:
        """Label each step of a sequence of `n`, which is read in stretches where the first step can.

        Raises
        ------
        ValueError
            As `of_steps`.
        """
        # A day of beats has 400 MB.
        able = [step for step in self._transformers[:1] if hasattr(step, "transform_stretches")]
        if not able:
            return self.of_steps(read(0, n))
        return self._of_steps(as_objects([able[0].transform_stretches(read, n)]), n, 1)

    def _of_steps(self, X: NDArray[np.object_], n: int, first: int) -> Labels:
        if not n:
            return self.unlabelled(0)
        (found,), probabilities = self.predict(X, first)
        if np.shape(found) != (n,):
            raise ValueError(f"the model gives {np.shape(found)} labels for {n} steps of a sequence")
        return self.labels(found, None if probabilities is None else probabilities[0])


def open_pipeline(arguments: argparse.Namespace, embedders: Sequence[type]) -> Pipeline:
    """Return the pipeline in the command's model file.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.
    embedders : sequence of classes
        What its first step may be.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read, or holds something else.
    """
    from sklearn.pipeline import Pipeline

    from .. import load

    with from_file(arguments.model):
        pipeline = load(arguments.model)
        kinds = " or a ".join(kind.__name__ for kind in embedders)
        needed = f"a Pipeline is needed that begins with a {kinds} and ends with a classifier"
        if not isinstance(pipeline, Pipeline):
            raise ValueError(f"it holds a {type(pipeline).__name__}; {needed}")
        names = [type(step).__name__ for _, step in pipeline.steps]
        if len(names) < 2 or not isinstance(pipeline.steps[0][1], tuple(embedders)):
            raise ValueError(f"it holds a Pipeline of {', '.join(names)}; {needed}")
        last = pipeline.steps[-1][1]
        if not (hasattr(last, "predict") and hasattr(last, "classes_")):
            raise ValueError(f"its last step, {names[-1]}, is no fitted classifier; {needed}")
    return pipeline


def set_embedder(embedder: Any, arguments: argparse.Namespace) -> None:
    """Let an embedder work as the options say, on records that have their own rates and leads."""
    allow_nan = arguments.allow_nan or bool(
        embedder.encoder_.allow_nan if embedder.allow_nan is None else embedder.allow_nan
    )
    embedder.set_params(
        fs=None, leads=None, memory=None, allow_nan=allow_nan, device=arguments.device, check=arguments.check,
        batch_size=arguments.batch_size,
    )  # fmt: skip


def steps_after_embedder(pipeline: Pipeline) -> list[Any]:
    """Return the other steps of a pipeline that do something."""
    return [step for _, step in pipeline.steps[1:] if step is not None and step != "passthrough"]


def tried(work: Any, n_columns: int, model: str) -> Any:
    """Call ``work(rows)`` with made-up rows (n_steps, n_columns): a model that is unfit is told before any record.

    Raises
    ------
    ValueError
        If it fails.
    """
    rows = np.random.default_rng(_SEED).normal(size=(_N_TRIED, n_columns)).astype(np.float32)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work(rows)
    except Exception as error:
        # A class of the user's own can fail in any way.
        raise ValueError(
            f"{model}: the steps after its first one do not label what that one embeds: {described(error)}"
        ) from error
