"""Labels for training a classifier: their kind, their weights, and which records are held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from ..inputs.groups import hold_out_balanced_groups
from ..inputs.labels import as_labels, check_labels, checked_weights


@dataclass(frozen=True)
class LabelTargets:
    """Labels encoded for the loss.

    Two classes are one output with a sigmoid, more are a softmax, and several labels per record a sigmoid each.
    """

    classes: NDArray
    """Labels, or the numbers of the columns where records have several labels."""
    multi_label: bool
    values: NDArray
    """(n_records,) int64 for a softmax, else (n_records, n_outputs) float32."""
    weights: NDArray[np.float32]
    """Weight of each entry of `values`, 1 on average over the records that count."""
    counts: NDArray[np.float64]
    """(n_records,), how many records each one counts as; one of 0 is as if it were absent."""

    @property
    def softmax(self) -> bool:
        return not self.multi_label and len(self.classes) > 2

    @property
    def n_outputs(self) -> int:
        return len(self.classes) if self.multi_label or self.softmax else 1

    @property
    def mean_count(self) -> float:
        """Mean of `counts` over the records that count."""
        return float(self.counts[self.counts > 0].mean())

    def indicators(self) -> NDArray[np.bool_]:
        """Return which record belongs to which class (n_records, n_classes)."""
        if self.softmax:
            return np.asarray(self.values[:, None] == np.arange(len(self.classes)))
        positive = self.values > 0
        return positive if self.multi_label else np.hstack([~positive, positive])

    def score(self, index: NDArray[np.int64], outputs: NDArray[np.float32]) -> dict[str, float]:
        """Return the macro AUROC of logits for the records at `index`."""
        return {"valid_auroc": macro_auroc(self.indicators()[index], outputs, self.softmax, self.counts[index])}


def encode_labels(y: Any, n_records: int, class_weight: Any, sample_weight: Any = None) -> LabelTargets:
    """Check labels and encode them.

    Parameters
    ----------
    y : array (n_records,) of labels, or (n_records, n_classes) of 0 and 1
        A row per record.
    n_records : int
        Records of X.
    class_weight : None, "balanced" or dict
        As for `FineTunedClassifier`.
    sample_weight : array (n_records,), default=None
        How many records each one counts as; None is one. Classes are those of records whose weight is not 0.

    Returns
    -------
    LabelTargets
        Labels and weights for the loss.

    Raises
    ------
    ValueError, TypeError
        If there is not one row per record, a label is missing, only one class is there, a column of several labels is
        constant or holds anything but 0 and 1, or a weight is no finite number of at least 0.
    """
    if y is None:
        raise ValueError("FineTunedClassifier requires y to be passed, but the target y is None")
    labels = as_labels(y)
    if labels.ndim not in (1, 2):
        raise ValueError(f"y must have the shape (n_records,) or (n_records, n_classes), got {labels.shape}")
    if len(labels) != n_records:
        raise ValueError(f"y holds the labels of {len(labels)} records, X has {n_records}")
    check_labels(labels, "y")
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name="y")
    counts = checked_weights(sample_weight, n_records)
    counts = np.ones(n_records) if counts is None else counts
    if not counts.any():
        raise ValueError("sample_weight is zero for every record")
    if labels.ndim == 2 and labels.shape[1] != 1:
        return _encode_indicators(labels, class_weight, counts)
    labels = column_or_1d(labels, warn=True)
    check_classification_targets(labels)
    classes = np.unique(labels[counts > 0])
    if len(classes) < 2:
        raise ValueError(f"y holds one class only, {classes.tolist()[0]!r}; a classifier needs at least 2 classes")
    # Of a class that no counting record has, the code means nothing.
    codes = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    given = _checked_weight(class_weight, classes)
    of_class = np.ones(len(classes))
    if given == "balanced":
        of_class = counts.sum() / (len(classes) * np.bincount(codes, counts, minlength=len(classes)))
    elif given is not None:
        of_class = np.array([given.get(name, 1.0) for name in classes.tolist()], dtype=np.float64)
    weights = _normalised(of_class[codes], counts)
    if len(classes) > 2:
        return LabelTargets(classes, False, codes.astype(np.int64), weights, counts)
    return LabelTargets(classes, False, codes[:, None].astype(np.float32), weights[:, None], counts)


def _encode_indicators(labels: NDArray, class_weight: Any, counts: NDArray[np.float64]) -> LabelTargets:
    kind = type_of_target(labels)
    numbers = labels.astype(np.float64) if labels.dtype.kind in "biuf" else np.full(labels.shape, np.nan)
    bad = ~np.isin(numbers, (0, 1))
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"Unknown label type: {kind}: y of shape {labels.shape} must hold 0 and 1, one column per class; record "
            f"{row}, column {column} is {labels[row, column]!r}"
        )
    used = numbers[counts > 0]
    constant = np.flatnonzero((used == used[0]).all(axis=0))
    if len(constant):
        value = int(used[0, constant[0]])
        raise ValueError(f"y: column {constant[0]} is {value} in every record; there is one class only to learn")
    positive, total = counts @ numbers, counts.sum()
    classes = np.arange(labels.shape[1])
    weights = np.ones_like(numbers)
    if _checked_weight(class_weight, classes) == "balanced":
        weights = np.where(numbers > 0, total / (2 * positive), total / (2 * (total - positive)))
    elif class_weight is not None:
        factor = np.array([class_weight.get(int(c), 1.0) for c in classes], dtype=np.float64)
        weights = np.where(numbers > 0, factor, 1.0)
    return LabelTargets(classes, True, numbers.astype(np.float32), _normalised(weights, counts), counts)


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


def _normalised(weights: NDArray, counts: NDArray[np.float64]) -> NDArray[np.float32]:
    weights = weights * (counts if weights.ndim == 1 else counts[:, None])
    mean = weights[counts > 0].mean()
    if not mean > 0:
        raise ValueError("class_weight gives every record the weight 0")
    return (weights / mean).astype(np.float32)


def macro_auroc(
    members: NDArray[np.bool_], logits: NDArray, softmax: bool, counts: NDArray[np.float64] | None = None
) -> float:
    """Return the mean over classes of the area under the ROC curve; classes that are constant are left out.

    With a softmax, records are ranked by probability; a sigmoid ranks as its logit does. `counts` (n_records,) says how
    often each record counts.
    """
    if logits.shape[1] < members.shape[1]:
        members = members[:, 1:]
    varying = members.any(axis=0) & ~members.all(axis=0)
    scores = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True) if softmax else logits
    areas = [roc_auc_score(members[:, k], scores[:, k], sample_weight=counts) for k in np.flatnonzero(varying)]
    return float(np.mean(areas)) if areas else float("nan")


def hold_out(
    index: NDArray[np.int64],
    targets: LabelTargets,
    groups: NDArray[np.int64] | None,
    fraction: float,
    seed: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split records for training and validation: whole groups, and class shares as equal as possible.

    Parameters
    ----------
    index : ndarray of int64 (n,)
        Records to split.
    targets : LabelTargets
        Labels of all records.
    groups : ndarray of int64 (n_records,) or None
        Patient of each record.
    fraction : float
        Share to hold out.
    seed : int
        Key of the draws.

    Returns
    -------
    train, valid : ndarray of int64
        Parts of `index`.

    Raises
    ------
    ValueError
        If a class would be missing among the records to train on, or fewer than two records would be left.
    """
    labels = index if groups is None else groups[index]
    table = targets.indicators()[index]
    held_out = hold_out_balanced_groups(table, labels, fraction, seed)
    if held_out is None:
        counts = table.sum(axis=0)
        rarest, n_groups = int(np.argmin(counts)), len(np.unique(labels))
        raise ValueError(
            f"validation_fraction={fraction!r} leaves no record to train on of some class, the rarest being "
            f"{targets.classes[rarest]} with {int(counts[rarest])} of {len(index)} records, of {n_groups} patients; "
            f"use early_stopping=False"
        )
    return index[~held_out], index[held_out]
