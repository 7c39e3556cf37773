"""Beats of many records as one table: embeddings, labels and weights, and back to records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ecg.beats import as_objects
from ..inputs.labels import as_labels, checked_weights, missing_labels, warn_of_empty

__all__ = [
    "Beats",
    "FlatLabels",
    "check_finite",
    "first_steps",
    "flatten_beats",
    "flatten_labels",
    "flatten_weights",
    "split_beats",
]


class FlatLabels(NamedTuple):
    """Labels of the beats that have one, and which of all beats these are (n_beats,)."""

    labels: NDArray[Any]
    known: NDArray[np.bool_]


class Beats(NamedTuple):
    """Labelled beats of all records, one after the other.

    Attributes
    ----------
    rows : ndarray (n_beats, n_dims)
    lengths : ndarray of int64 (n_records,)
        Beats of each record.
    labels : ndarray (n_known,)
        Labels of the beats that have one.
    known : ndarray of bool (n_beats,)
        Which beats these are.
    weights : ndarray of float64 (n_beats,) or None
    step : str
        What messages call a beat.
    """

    rows: NDArray[Any]
    lengths: NDArray[np.int64]
    labels: NDArray[Any]
    known: NDArray[np.bool_]
    weights: NDArray[np.float64] | None
    step: str = "beat"

    @classmethod
    def of(cls, X: Sequence[NDArray], y: Sequence[Any], sample_weight: Any, step: str = "beat") -> Beats:
        """Flatten records, their labels and weights.

        Raises
        ------
        ValueError, TypeError
            If they do not fit each other, or no beat has a label; the message names the record.
        """
        rows, lengths = flatten_beats(X, step)
        labels, known = flatten_labels(y, lengths, step)
        weights = flatten_weights(sample_weight, lengths, step)
        if len(rows) == 0:
            raise ValueError(f"X: none of the {len(lengths)} records has a {step}")
        if not known.any():
            raise ValueError(f"y: none of the {len(rows)} {step}s has a label")
        return cls(rows, lengths, labels, known, weights, step)

    def of_records(self, kept: NDArray[np.bool_]) -> Beats:
        """Return the beats of some records (n_records,)."""
        beats = np.repeat(kept, self.lengths)
        weights = None if self.weights is None else self.weights[beats]
        labels, known = self.labels[beats[self.known]], self.known[beats]
        return Beats(self.rows[beats], self.lengths[kept], labels, known, weights, self.step)


def first_steps(lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which beats, of all records, are the first of theirs (n_beats,)."""
    starts = np.zeros(int(lengths.sum()), dtype=bool)
    starts[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
    return starts


def check_finite(rows: NDArray, lengths: NDArray[np.int64], step: str = "beat") -> None:
    """Refuse rows with NaN or infinity.

    Raises
    ------
    ValueError
        The message names record, beat and column.
    """
    if rows.dtype.kind != "f" or np.isfinite(rows.sum(dtype=np.float64)):
        return
    bad = np.argwhere(~np.isfinite(rows))
    if not len(bad):
        return
    beat, column = bad[0]
    record = int(np.searchsorted(np.cumsum(lengths), beat, side="right"))
    own = int(beat - lengths[:record].sum())
    raise ValueError(
        f"X: record {record}, {step} {own} has {rows[beat, column]} in column {column}; leave {step}s without a signal "
        f"out, or give an estimator that takes missing values"
    )


def flatten_beats(X: Sequence[NDArray], step: str = "beat") -> tuple[NDArray, NDArray[np.int64]]:
    """Return the beats of all records as one table, and how many each record has.

    Raises
    ------
    ValueError, TypeError
        If a record is not a table, or its width is another one; the message names its index.
    """
    if not hasattr(X, "__len__"):
        raise TypeError(f"X must hold one table of {step}s per record, got {X!r}")
    records = [np.asarray(x) for x in X]
    width = next((r.shape[1] for r in records if r.ndim == 2 and len(r)), 0)
    for i, record in enumerate(records):
        if record.ndim != 2 or (len(record) and record.shape[1] != width):
            raise ValueError(f"X: record {i} has shape {record.shape}; (n_{step}s, {width}) was expected")
    lengths = np.array([len(r) for r in records], dtype=np.int64)
    full = [r for r in records if len(r)]
    if len(full) == 1:
        # A day of beats need not be there twice.
        return full[0], lengths
    return (np.concatenate(full) if full else np.zeros((0, width), dtype=np.float32)), lengths


def split_beats(flat: NDArray, lengths: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return one array per record, in place of one of all beats."""
    return as_objects(np.split(flat, np.cumsum(lengths)[:-1]) if len(lengths) else [])


def flatten_labels(y: Sequence[Any], lengths: NDArray[np.int64], step: str = "beat") -> FlatLabels:
    """Return the labels of all beats that have one; None, NaN and pandas' NA are no labels.

    Parameters
    ----------
    y : sequence of n_records arrays (n_beats,)
        The label of a record of one beat, or window, may stand by itself.
    lengths : ndarray of int64 (n_records,)
        Beats of each record.
    step : str, default="beat"
        What messages call a beat.

    Raises
    ------
    ValueError, TypeError
        If a record has as many labels as no beats, or labels are of unlike types; the message names the record.
    """
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    if not hasattr(y, "__len__"):
        raise TypeError(f"y must hold the labels of each record, got {y!r}")
    if len(y) != len(lengths):
        raise ValueError(f"y holds the labels of {len(y)} records, X has {len(lengths)}")
    parts, known = [], [np.zeros(0, dtype=bool)]
    for i, (labels, n) in enumerate(zip(y, lengths, strict=True)):
        own = as_labels(labels, f"y, record {i},")
        if own.shape == () and n == 1:
            own = own[None]
        if own.shape != (n,):
            hint = "; match_labels gives each beat its label" if own.ndim == 1 and step == "beat" else ""
            raise ValueError(
                f"record {i} has {n} {step}s but labels of shape {own.shape}; each {step} needs one label{hint}"
            )
        known.append(~missing_labels(own))
        if known[-1].any():
            parts.append(_plain(own[known[-1]], i))
    kinds = {"text" if part.dtype.kind in "US" else "numbers" for part in parts}
    if len(kinds) > 1:
        raise TypeError("y: the labels of some records are text, and those of others numbers")
    flat = np.concatenate(parts) if parts else np.zeros(0)
    warn_of_empty(flat, "y", of=step, cure="None or NaN leaves them out")
    return FlatLabels(flat, np.concatenate(known))


def _plain(labels: NDArray[Any], record: int) -> NDArray[Any]:
    """Return labels that none is missing of: objects become text or numbers."""
    if labels.dtype != object:
        return labels
    texts = [isinstance(label, str) for label in labels]
    plain = np.array(labels.tolist())
    if any(texts) != all(texts) or plain.ndim != 1 or plain.dtype == object:
        kinds = sorted({type(label).__name__ for label in labels})
        raise TypeError(f"y: record {record} has labels of the types {', '.join(kinds)}; they must be text or numbers")
    return plain


def flatten_weights(
    sample_weight: Any, lengths: NDArray[np.int64], step: str = "beat"
) -> NDArray[np.float64] | None:
    """Return the weight of each beat of all records, or None where there are none.

    Parameters
    ----------
    sample_weight : sequence of n_records arrays (n_beats,) or numbers, or None
        A number holds for all beats of its record.
    lengths : ndarray of int64 (n_records,)
        Beats of each record.

    Raises
    ------
    ValueError, TypeError
        If there is not one weight per beat or record, or one is no finite number of at least 0; the message names
        record and weight.
    """
    if sample_weight is None:
        return None
    if not hasattr(sample_weight, "__len__"):
        raise ValueError(f"sample_weight must hold weights per record, got {sample_weight!r}")
    if len(sample_weight) != len(lengths):
        raise ValueError(f"sample_weight holds the weights of {len(sample_weight)} records, X has {len(lengths)}")
    parts = [np.zeros(0)]
    for i, (own, n) in enumerate(zip(sample_weight, lengths, strict=True)):
        given = np.full(n, own) if np.ndim(own) == 0 else own
        weights = checked_weights(given, int(n), f"sample_weight of record {i}", step)
        parts.append(np.zeros(0) if weights is None else weights)
    return np.concatenate(parts)
