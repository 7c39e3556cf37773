"""What a file may set of classifiers of sequences; called when `load` restores them."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from sklearn.utils.validation import check_is_fitted

from .._file_values import check_array
from ..components import check_bounds, check_number
from ..ecg.beat_morphology import MORPHOLOGY_NAMES
from ..ecg.beat_timing import TIMING_NAMES


def check_beat_classifier(classifier: Any) -> None:
    """Check a `BeatClassifier`: it holds classifiers, and the fitted one is fitted.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    for name in ("estimator", "estimator_"):
        if name == "estimator" and classifier.estimator is None and hasattr(classifier, "transitions"):
            continue
        if not hasattr(getattr(classifier, name, None), "predict"):
            raise TypeError(f"{name} must be a classifier, got {getattr(classifier, name, None)!r:.80}")
    check_is_fitted(classifier.estimator_)


def check_sequence_classifier(classifier: Any) -> None:
    """Check a `SequenceClassifier`: its classifier, its parameters, and that its chain fits the classes.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    check_beat_classifier(classifier)
    classifier._check_parameters()
    k = len(classifier.classes_)
    for name in ("start_", "bias_", "centre_"):
        check_array(name, getattr(classifier, name, None), "f", k)
    for name in ("transitions_", "mixing_"):
        check_array(name, getattr(classifier, name, None), "f", k, k)


def check_beat_context(context: Any) -> None:
    """Check a `BeatContext`: its parameters, and that its components fit the columns.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    check_bounds(context.get_params(deep=False), context.bounds)
    if not hasattr(context, "components_"):
        return
    check_number("n_features_in_", context.n_features_in_, Integral, 1)
    more = context.timing * len(TIMING_NAMES) + context.morphology * len(MORPHOLOGY_NAMES)
    width = context.n_features_in_ - more
    if width < 1 or width % context.phases:
        raise ValueError(
            f"n_features_in_={context.n_features_in_} does not fit timing, morphology and phases={context.phases}"
        )
    check_array("components_", context.components_, "f", context.n_components, width)
