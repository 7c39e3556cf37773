"""Labels for training a classifier: their kind, their weights, and which records are held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

# Random splits of which the one with the most even class shares is taken.
_CANDIDATES = 64


@dataclass(frozen=True)
class Targets:
    """Labels as the loss reads them.

    Two classes are one output with a sigmoid, more are a softmax, and several labels per record a sigmoid each.
    """

    classes: NDArray
    """Labels, or the numbers of the columns where records have several labels."""
    multi_label: bool
    values: NDArray
    """(n_records,) int64 for a softmax, else (n_records, n_outputs) float32."""
    weights: NDArray[np.float32]
    """Weight of each entry of `values`, 1 on average."""

    @property
    def softmax(self) -> bool:
        return not self.multi_label and len(self.classes) > 2

    @property
    def n_outputs(self) -> int:
        return len(self.classes) if self.multi_label or self.softmax else 1

    def indicators(self) -> NDArray[np.bool_]:
        """Return which record belongs to which class (n_records, n_classes)."""
        if self.softmax:
            return np.asarray(self.values[:, None] == np.arange(len(self.classes)))
        positive = self.values > 0
        return positive if self.multi_label else np.hstack([~positive, positive])


def encode_labels(y: Any, n_records: int, class_weight: Any) -> Targets:
    """Check labels and encode them.

    Parameters
    ----------
    y : array (n_records,) of labels, or (n_records, n_classes) of 0 and 1
    n_records : int
    class_weight : None, "balanced" or dict

    Raises
    ------
    ValueError
        If there is not one row per record, a label is missing, only one class is there, or a column of several
        labels is constant or holds anything but 0 and 1.
    """
    if y is None:
        raise ValueError("FineTunedClassifier requires y to be passed, but the target y is None")
    labels = np.asarray(y)
    if labels.ndim not in (1, 2):
        raise ValueError(f"y must have the shape (n_records,) or (n_records, n_classes), got {labels.shape}")
    if len(labels) != n_records:
        raise ValueError(f"y holds the labels of {len(labels)} records, X has {n_records}")
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name="y")
    if labels.ndim == 2 and labels.shape[1] != 1:
        return _encode_indicators(labels, class_weight)
    labels = column_or_1d(labels, warn=True)
    check_classification_targets(labels)
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y holds one class only, {classes[0]!r}; a classifier needs at least 2 classes")
    weights = compute_class_weight(_checked_weight(class_weight, classes), classes=classes, y=labels)[codes]
    if len(classes) > 2:
        return Targets(classes, False, codes.astype(np.int64), _normalised(weights))
    return Targets(classes, False, codes[:, None].astype(np.float32), _normalised(weights[:, None]))


def _encode_indicators(labels: NDArray, class_weight: Any) -> Targets:
    kind = type_of_target(labels)
    numbers = labels.astype(np.float64) if labels.dtype.kind in "biuf" else np.full(labels.shape, np.nan)
    bad = ~np.isin(numbers, (0, 1))
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"Unknown label type: {kind}: y of shape {labels.shape} must hold 0 and 1, one column per class; record "
            f"{row}, column {column} is {labels[row, column]!r}"
        )
    positive = numbers.sum(axis=0)
    for column, n in enumerate(positive):
        if n in (0, len(labels)):
            raise ValueError(f"y: column {column} is {int(n > 0)} in every record; there is one class only to learn")
    classes = np.arange(labels.shape[1])
    weights = np.ones_like(numbers)
    if _checked_weight(class_weight, classes) == "balanced":
        weights = np.where(numbers > 0, len(labels) / (2 * positive), len(labels) / (2 * (len(labels) - positive)))
    elif class_weight is not None:
        factor = np.array([class_weight.get(int(c), 1.0) for c in classes], dtype=np.float64)
        weights = np.where(numbers > 0, factor, 1.0)
    return Targets(classes, True, numbers.astype(np.float32), _normalised(weights))


def _checked_weight(class_weight: Any, classes: NDArray) -> Any:
    if class_weight is None or class_weight == "balanced":
        return class_weight
    if not isinstance(class_weight, Mapping):
        raise ValueError(f"class_weight must be None, 'balanced' or a dict, got {class_weight!r}")
    unknown = [name for name in class_weight if name not in classes.tolist()]
    if unknown:
        raise ValueError(f"class_weight names {unknown}, which are not among the classes {classes.tolist()}")
    if any(not np.isfinite(w) or w < 0 for w in class_weight.values()):
        raise ValueError(f"class_weight must hold finite weights of at least 0, got {dict(class_weight)!r}")
    return dict(class_weight)


def _normalised(weights: NDArray) -> NDArray[np.float32]:
    mean = weights.mean()
    if not mean > 0:
        raise ValueError("class_weight gives every record the weight 0")
    return (weights / mean).astype(np.float32)


def hold_out(
    index: NDArray[np.int64],
    targets: Targets,
    groups: NDArray[np.int64] | None,
    fraction: float,
    seed: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split records for training and validation; groups stay together, and class shares alike as far as they can.

    Returns
    -------
    train, valid : ndarray of int64

    Raises
    ------
    ValueError
        If a class would be missing among the records to train on, or fewer than two records would be left.
    """
    labels = index if groups is None else groups[index]
    group = np.unique(labels, return_inverse=True)[1]
    n_groups = int(group.max()) + 1
    member = targets.indicators()[index].astype(np.float64)
    counts = np.zeros((n_groups, member.shape[1] + 1))
    np.add.at(counts, group, np.hstack([np.ones((len(index), 1)), member]))
    total = counts.sum(axis=0)
    rng = np.random.default_rng([seed, 1])
    best, chosen = np.inf, np.zeros(0, dtype=np.int64)
    for _ in range(_CANDIDATES if n_groups > 1 else 0):
        order = rng.permutation(n_groups)
        size = np.cumsum(counts[order, 0])
        n_held = min(n_groups - 1, int(np.searchsorted(size, fraction * len(index))) + 1)
        held = counts[order[:n_held]].sum(axis=0)
        if (total - held)[1:].min() < 1 or total[0] - held[0] < 2:
            continue
        # Squared deviations from the numbers wanted, as in Pearson's chi square.
        off = float((((held - fraction * total) ** 2) / np.maximum(fraction * total, 1)).sum())
        if off < best:
            best, chosen = off, order[:n_held]
    if not len(chosen):
        rarest = int(np.argmin(total[1:]))
        raise ValueError(
            f"validation_fraction={fraction!r} leaves no record to train on of some class, the rarest being "
            f"{targets.classes[rarest]} with {int(total[1 + rarest])} of {len(index)} records, of {n_groups} patients; "
            f"use early_stopping=False"
        )
    held_out = np.isin(group, chosen)
    return index[~held_out], index[held_out]
