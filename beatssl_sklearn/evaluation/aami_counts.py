"""Reference and answer of each heartbeat, as numbers of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..ecg.matching import as_positions, match_beats
from ..inputs.labels import as_labels, missing_labels

__all__ = ["Answers", "Detections", "codes_of", "count_answers", "pair_answers"]

# No label: of a reference beat, it does not count; of an answer, the beat is missed.
NO_LABEL = -1


class Detections(NamedTuple):
    """Positions of annotated and of detected beats, one array per record [samples], and how they are paired."""

    rpeaks: Sequence[ArrayLike]
    detected: Sequence[ArrayLike]
    fs: float
    tolerance: float


class Answers(NamedTuple):
    """Reference and answer of the beats of a record.

    Attributes
    ----------
    reference, predicted : ndarray of int64 (n,)
        Numbers of the classes. A reference of ``n_classes`` is an extra detection, and such an answer a missed beat.
    position : ndarray of int64 (n,)
        Position of the answer among those of its record, -1 for a missed beat.
    """

    reference: NDArray[np.int64]
    predicted: NDArray[np.int64]
    position: NDArray[np.int64]


def codes_of(values: Any, name: str, classes: tuple[Any, ...], *, others: bool = False) -> list[NDArray[np.int64]]:
    """Return the number of the class of each beat, -1 where a label is missing.

    With `others`, labels may also be none of the classes; their number is ``n_classes``.

    Raises
    ------
    TypeError
        If there is no sequence of labels for each record; the message names the record.
    ValueError
        If a label is none of the classes; the message names the record, the beat and the label.
    """
    if not hasattr(values, "__len__") or isinstance(values, str):
        raise TypeError(f"{name} must hold the labels of each record, got {values!r:.60}")
    number = {label: k for k, label in enumerate(classes)}
    codes = []
    for i, labels in enumerate(values):
        own = as_labels(labels, f"{name}, record {i},")
        if own.ndim != 1:
            raise TypeError(f"{name} must hold one label per beat of each record, record {i} has {labels!r:.60}")
        known = ~missing_labels(own)
        found = np.full(len(own), NO_LABEL, dtype=np.int64)
        found[known] = [number.get(label, len(classes)) for label in own[known].tolist()]
        unknown = np.flatnonzero(found == len(classes))
        if len(unknown) and not others:
            label = own.tolist()[unknown[0]]
            raise ValueError(
                f"{name}, record {i}, beat {unknown[0]}: {label!r} is none of the classes {list(classes)}; "
                "name it in classes, or give the beat None"
            )
        codes.append(found)
    return codes


def pair_answers(
    y: list[NDArray[np.int64]], predicted: list[NDArray[np.int64]], at: Detections | None, n_classes: int
) -> list[Answers]:
    """Pair reference beats with answers, record by record.

    Parameters
    ----------
    y, predicted : lists of n_records arrays (n_beats,)
        Classes as returned by `codes_of`.
    at : Detections or None
        Where beats are. None says that the n-th answer is that of the n-th reference beat.
    n_classes : int
        Number of classes.

    Returns
    -------
    list of n_records Answers
        Beats without a reference label are left out, and so are extra detections without an answer.

    Raises
    ------
    ValueError
        If numbers of records or beats differ, or positions are no finite numbers; the message names the record.
    """
    if len(y) != len(predicted):
        raise ValueError(f"y holds the labels of {len(y)} records, predicted holds those of {len(predicted)}")
    if at is None:
        return [_beat_by_beat(*pair, n_classes, i) for i, pair in enumerate(zip(y, predicted, strict=True))]
    for name, positions in (("rpeaks", at.rpeaks), ("detected", at.detected)):
        if not hasattr(positions, "__len__") or len(positions) != len(y):
            raise ValueError(f"{name} must hold one array for each of the {len(y)} records, got {positions!r:.60}")
    return [_by_position(*pair, at, n_classes, i) for i, pair in enumerate(zip(y, predicted, strict=True))]


def _beat_by_beat(true: NDArray[np.int64], found: NDArray[np.int64], n_classes: int, i: int) -> Answers:
    if len(true) != len(found):
        raise ValueError(
            f"record {i} has {len(true)} labels in y and {len(found)} in predicted; of detected beats, give rpeaks, "
            "detected and fs"
        )
    position = np.flatnonzero(true != NO_LABEL)
    answer = found[position]
    return Answers(true[position], np.where(answer == NO_LABEL, n_classes, answer), position)


def _by_position(
    true: NDArray[np.int64], found: NDArray[np.int64], at: Detections, n_classes: int, i: int
) -> Answers:
    rpeaks = as_positions(at.rpeaks[i], f"rpeaks of record {i}")
    detected = as_positions(at.detected[i], f"detected of record {i}")
    for name, labels, beats in (("y and rpeaks", true, rpeaks), ("predicted and detected", found, detected)):
        if len(labels) != len(beats):
            raise ValueError(f"{name}: record {i} has {len(labels)} labels for {len(beats)} beats")
    of_true, of_found = match_beats(rpeaks, detected, at.fs, at.tolerance)
    position = np.full(len(true), -1, dtype=np.int64)
    position[of_true] = of_found
    extra = np.setdiff1d(np.flatnonzero(found != NO_LABEL), of_found)
    kept = true != NO_LABEL
    # A detection without a class is no answer: its beat is missed.
    answer = np.where(position[kept] >= 0, np.append(found, NO_LABEL)[position[kept]], NO_LABEL)
    return Answers(
        np.concatenate([true[kept], np.full(len(extra), n_classes)]),
        np.concatenate([np.where(answer == NO_LABEL, n_classes, answer), found[extra]]),
        np.concatenate([position[kept], extra]),
    )


def count_answers(answers: list[Answers], n_classes: int) -> NDArray[np.int64]:
    """Count the beats of each record by reference and answer: (n_records, n_classes + 1, n_classes + 1)."""
    size = n_classes + 1
    counts = [np.bincount(a.reference * size + a.predicted, minlength=size**2).reshape(size, size) for a in answers]
    return np.array(counts, dtype=np.int64).reshape(-1, size, size)
