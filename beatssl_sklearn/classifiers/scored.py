"""The score of classifiers of records."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin

from ..inputs.labels import as_labels, check_labels

__all__ = ["ScoredClassifier"]


class ScoredClassifier(ClassifierMixin):
    """Classifier whose `score` tells which label is missing."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of records whose label is right; where labels are several, all of them.

        Parameters
        ----------
        X : as for `fit`
        y : array (n_records,) or (n_records, n_classes)
            Labels.
        sample_weight : array (n_records,), default=None
            Weights of the records.

        Returns
        -------
        float
            The accuracy.

        Raises
        ------
        ValueError
            If a label is missing; the message names its record.
        """
        if y is not None:
            check_labels(np.atleast_1d(as_labels(y)), "y")
        return float(super().score(X, y, sample_weight))
