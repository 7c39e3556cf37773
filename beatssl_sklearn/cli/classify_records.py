"""A saved pipeline that says something of whole records, and the rows of its table."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import RhythmEmbedder
from .folder import Batch
from .models import from_file
from .sequence_head import set_embedder, steps_after_embedder, tried

_USE = "research only"


class RecordModel:
    """A pipeline that begins with a `RhythmEmbedder` and gives probabilities of classes, or named numbers.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.

    Attributes
    ----------
    columns : list of str
        Names of the numbers: ``p_`` and the class, or what the last step's `answers_` names.
    allow_nan : bool
        Whether records may have missing samples.

    Raises
    ------
    ValueError, OSError
        If the model's file cannot be read or holds something else, or a threshold is for no label of it.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._embedder, *self._between, self._last = _steps(arguments)
        with from_file(arguments.model):
            set_embedder(self._embedder, arguments)
        self.allow_nan = bool(self._embedder.allow_nan)
        self._classes = [str(label) for label in getattr(self._last, "classes_", ())]
        self._rates = hasattr(self._last, "score_samples")
        self.columns = [f"p_{label}" for label in self._classes] or [str(name) for name in self._last.answers_]
        n_columns = len(self._embedder.get_feature_names_out())
        self._thresholds = self._chosen_thresholds(arguments, tried(self._several, n_columns, arguments.model))
        tried(self._numbers, n_columns, arguments.model)

    def answers(self, records: Batch) -> NDArray[np.float64]:
        """Return the numbers of records, and how unusual each is (n_records, n_columns + 1); NaN without a signal."""
        rows = self._embedder.transform(records)
        known = np.isfinite(rows).all(axis=1)
        found = np.full((len(rows), len(self.columns) + 1), np.nan)
        if known.any():
            found[known] = self._numbers(rows[known])
        return found

    def row(self, numbers: NDArray[np.floating]) -> tuple[NDArray[np.float32], dict[str, NDArray[Any]]]:
        """Return the numbers of a record (1, n_columns), and the columns of its table that stand before them."""
        described: dict[str, NDArray[Any]] = {}
        if self._classes:
            described["labels"] = np.array([";".join(self._labels(numbers[:-1]))], dtype=np.str_)
        if self._rates:
            described["unlike"] = np.array([numbers[-1]])
        described["use"] = np.array([_USE])
        return numbers[None, :-1].astype(np.float32), described

    def _labels(self, p: NDArray[np.floating]) -> list[str]:
        if np.isnan(p).any():
            return []
        if self._thresholds is None:
            return [self._classes[int(p.argmax())]]
        return [label for label, own, least in zip(self._classes, p, self._thresholds, strict=True) if own >= least]

    def _numbers(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        Z = self._head_input(rows)
        values = self._last.predict_proba(Z) if self._classes else self._last.predict(Z)
        unlike = 1 - self._last.score_samples(Z) if self._rates else np.full(len(Z), np.nan)
        return np.column_stack([np.asarray(values).reshape(len(Z), len(self.columns)), unlike])

    def _head_input(self, rows: NDArray[np.float32]) -> Any:
        for step in self._between:
            rows = step.transform(rows)
        return rows

    def _several(self, rows: NDArray[np.float32]) -> bool:
        """Whether a record can have several labels."""
        return bool(self._classes) and np.ndim(self._last.predict(self._head_input(rows))) == 2

    def _chosen_thresholds(self, arguments: argparse.Namespace, several: bool) -> NDArray[np.float64] | None:
        """Return the least probability of each label; None is the most probable one."""
        given = dict(arguments.thresholds)
        if not self._classes and given:
            raise ValueError(f"--threshold: {arguments.model} gives no probabilities of labels")
        for label in given:
            if label and label not in self._classes:
                there = ", ".join(self._classes)
                raise ValueError(f"--threshold {label}: {arguments.model} has no such label, but {there}")
        if not several and not given:
            return None
        own = getattr(self._last, "thresholds_", None) if several else None
        thresholds = np.full(len(self._classes), 0.5) if own is None else np.array(own, dtype=np.float64)
        if "" in given:
            thresholds[:] = given[""]
        for label in set(given) - {""}:
            thresholds[self._classes.index(label)] = given[label]
        return thresholds


def _steps(arguments: argparse.Namespace) -> list[Any]:
    """Return the steps of the pipeline in the command's model file.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read, or holds something else.
    """
    from sklearn.pipeline import Pipeline

    from .. import load

    with from_file(arguments.model):
        pipeline = load(arguments.model)
        needed = "a Pipeline is needed that begins with a RhythmEmbedder and ends with a classifier"
        if not isinstance(pipeline, Pipeline):
            raise ValueError(f"it holds a {type(pipeline).__name__}; {needed}")
        steps = [pipeline.steps[0][1], *steps_after_embedder(pipeline)]
        if len(steps) < 2 or not isinstance(steps[0], RhythmEmbedder):
            raise ValueError(
                f"it holds a Pipeline of {', '.join(type(step).__name__ for step in steps)}; {needed} "
                f"(`beatssl rhythms` and `beatssl beats` take models of windows and of beats)"
            )
        last = steps[-1]
        if not (hasattr(last, "predict_proba") and hasattr(last, "classes_")) and not hasattr(last, "answers_"):
            raise ValueError(f"its last step, {type(last).__name__}, gives no probabilities; {needed}")
    return steps
