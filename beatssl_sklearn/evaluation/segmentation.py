"""Scores of labels per sample against annotated ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..ecg.waves.find import WAVES
from .delineation import rate

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["confusion", "segmentation_scores"]


def segmentation_scores(true: Any, predicted: Any, n_classes: int = 4, ignore: int = -1) -> DataFrame:
    """Score labels per sample.

    Parameters
    ----------
    true, predicted : int array of shape (n_records, n_leads, n_times), or sequence of arrays (n_leads, n_times)
        Labels 0 to ``n_classes - 1``; arrays of a sequence may differ in shape from record to record.
    n_classes : int, default=4
        Number of labels.
    ignore : int, default=-1
        Samples with this label in `true` are left out. `predicted` can have the label there, and only there.

    Returns
    -------
    scores : DataFrame
        One row per class: ``label`` (background, P, QRS, T; the number as text unless there are four), ``dice``,
        ``iou``, ``f1``, ``n_true`` (samples of the class in `true`) and ``n_strips``. A strip is one lead of one
        record. ``iou`` and ``f1`` pool the samples of all strips; F1 of samples is the Dice coefficient, so ``f1`` is
        the pooled Dice. ``dice`` is the other usual average: the mean of the Dice coefficients of the ``n_strips``
        strips in which `true` or `predicted` has the class. A class that never occurs has NaN.

    Raises
    ------
    ValueError
        If shapes differ, arrays do not hold integers, or a label is outside the set.

    References
    ----------
    L. R. Dice: Measures of the amount of ecologic association between species. Ecology 26(3), 297-302, 1945.
    """
    import pandas as pd

    none = np.zeros((0, n_classes, n_classes), np.int64)
    strips = np.concatenate([none, *_strips(true, predicted, n_classes, ignore)])
    both, union = _overlap(strips)
    occurs = union > 0
    dice = np.divide(2 * both, both + union, out=np.zeros(union.shape), where=occurs)
    n_strips = occurs.sum(axis=0)
    # Pooled from here on.
    both, union = both.sum(axis=0), union.sum(axis=0)
    return pd.DataFrame(
        {
            "label": ["background", *WAVES] if n_classes == 4 else [str(k) for k in range(n_classes)],
            "dice": [rate(float(total), int(n)) for total, n in zip(dice.sum(axis=0), n_strips, strict=True)],
            "iou": [rate(int(b), int(u)) for b, u in zip(both, union, strict=True)],
            "f1": [rate(2 * int(b), int(b + u)) for b, u in zip(both, union, strict=True)],
            "n_true": strips.sum(axis=(0, 2)),
            "n_strips": n_strips,
        }
    )


def confusion(true: Any, predicted: Any, n_classes: int = 4, ignore: int = -1) -> NDArray[np.int64]:
    """Count the samples of each pair of labels, record by record.

    Parameters
    ----------
    true, predicted : int array of shape (n_records, n_leads, n_times), or sequence of arrays (n_leads, n_times)
        As for :func:`segmentation_scores`.
    n_classes : int, default=4
        Number of labels.
    ignore : int, default=-1
        Samples with this label in `true` are left out.

    Returns
    -------
    counts : ndarray of shape (n_records, n_classes, n_classes), int64
        ``counts[i, j, k]`` is the number of samples of record i with label j in `true` and k in `predicted`. Counts
        add up over records.

    Raises
    ------
    ValueError
        As for :func:`segmentation_scores`.
    """
    records = [strips.sum(axis=0) for strips in _strips(true, predicted, n_classes, ignore)]
    return np.array(records, np.int64).reshape(-1, n_classes, n_classes)


def _strips(true: Any, predicted: Any, n_classes: int, ignore: int) -> Iterator[NDArray[np.int64]]:
    """Yield the confusion (n_leads, n_classes, n_classes) of each record's strips."""
    if n_classes < 1:
        raise ValueError(f"n_classes must be at least 1, got {n_classes!r}")
    if len(true) != len(predicted):
        raise ValueError(f"true has {len(true)} records but predicted has {len(predicted)}")
    for record, (t, p) in enumerate(zip(true, predicted, strict=True)):
        t, p = _labels(t, record, "true"), _labels(p, record, "predicted")
        if t.shape != p.shape:
            raise ValueError(f"record {record}: true has the shape {t.shape} but predicted has {p.shape}")
        counted = t != ignore
        _check_labels(t, counted, n_classes, f"true, record {record}")
        _check_labels(p, counted | (p != ignore), n_classes, f"predicted, record {record}")
        lead = np.nonzero(counted)[0]
        # One number per sample for its lead and both labels, so that one count gives all matrices.
        pair = (lead * n_classes + t[counted]) * n_classes + p[counted]
        yield np.bincount(pair, minlength=len(t) * n_classes**2).reshape(-1, n_classes, n_classes)


def _labels(labels: Any, record: int, name: str) -> NDArray[np.int64]:
    """Labels (n_leads, n_times) of a record, or ValueError."""
    labels = np.asarray(labels)
    if labels.ndim != 2:
        raise ValueError(f"{name}, record {record}, must have the shape (n_leads, n_times), got {labels.shape}")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{name}, record {record}, must hold integers, got {labels.dtype}")
    return labels.astype(np.int64)


def _check_labels(labels: NDArray[np.int64], used: NDArray[np.bool_], n_classes: int, where: str) -> None:
    """Raise ValueError for a used label outside of the classes."""
    wrong = used & ((labels < 0) | (labels >= n_classes))
    if wrong.any():
        lead, time = np.argwhere(wrong)[0]
        raise ValueError(f"{where}, lead {lead}: unknown label {labels[lead, time]}, expected 0 to {n_classes - 1}")


def _overlap(strips: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Samples of each class in both, and in at least one of them."""
    both = np.diagonal(strips, axis1=1, axis2=2)
    return both, strips.sum(axis=1) + strips.sum(axis=2) - both
