"""What a file may set of classifiers of sequences; called when `load` restores them."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted


def check_beat_classifier(classifier: Any) -> None:
    """Check a `BeatClassifier`: it holds classifiers, and the fitted one is fitted.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    for name in ("estimator", "estimator_"):
        if not hasattr(getattr(classifier, name, None), "predict"):
            raise TypeError(f"{name} must be a classifier, got {getattr(classifier, name, None)!r:.80}")
    check_is_fitted(classifier.estimator_)
