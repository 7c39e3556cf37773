"""What a file may set of classifiers, and of scikit-learn's estimators; called when `load` restores them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from .._file_values import check_array, check_classes
from ..components import check_bounds, check_number, fitted_attributes
from .patient_map import OF_THE_MAP


def check_identifier(identifier: Any) -> None:
    """Check a `PatientIdentifier`: its parameters, and that map, gallery and patients fit each other.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    check_bounds(identifier.get_params(deep=False), identifier.bounds)
    if not hasattr(identifier, "map_"):
        return
    check_number("n_features_in_", identifier.n_features_in_, Integral, 1)
    check_columns(identifier)
    # A file holds the parameters that its map was learnt with.
    identifier._of_the_map = {name: getattr(identifier, name) for name in OF_THE_MAP}
    check_array("mean_", identifier.mean_, "f", identifier.n_features_in_)
    if not (check_array("deviation_", identifier.deviation_, "f", identifier.n_features_in_) > 0).all():
        raise ValueError("deviation_ must be positive")
    n_dims = len(check_array("map_", identifier.map_, "f", None, identifier.n_features_in_))
    n_enrolled = len(check_array("gallery_", identifier.gallery_, "f", None, n_dims))
    n_patients = check_classes("classes_", identifier.classes_)
    rows = check_array("gallery_patients_", identifier.gallery_patients_, "iu", n_enrolled)
    if not np.array_equal(np.unique(rows), np.arange(n_patients)):
        raise ValueError(f"gallery_patients_ must name each of {n_patients} patients, and no other")
    if hasattr(identifier, "calibrated_"):
        check_number("calibrated_", identifier.calibrated_, Real, -2, 2)


def check_foreign(estimator: Any) -> None:
    """Check the parameters of one of scikit-learn's estimators by its own rules, and that all is there if any is.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    estimator._validate_params()
    names = fitted_attributes(type(estimator))
    missing = [name for name in names if not hasattr(estimator, name)]
    if 0 < len(missing) < len(names):
        raise ValueError(f"the fitted attribute {missing[0]} is missing")
    if names and not missing:
        check_number("n_features_in_", estimator.n_features_in_, Integral, 1)
        check_columns(estimator)


def check_columns(estimator: Any) -> None:
    """Check that an estimator has a name for each of its columns, if it has names.

    Raises
    ------
    ValueError
        The message names the attribute.
    """
    columns = getattr(estimator, "feature_names_in_", None)
    if columns is not None and len(columns) != estimator.n_features_in_:
        raise ValueError(f"feature_names_in_ has {len(columns)} names of {estimator.n_features_in_} columns")


def check_logistic(estimator: Any) -> None:
    """Check a `LogisticRegression`.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    check_foreign(estimator)
    if hasattr(estimator, "coef_"):
        n_classes = check_classes("classes_", estimator.classes_)
        n_outputs = 1 if n_classes == 2 else n_classes
        check_array("coef_", estimator.coef_, "f", n_outputs, estimator.n_features_in_)
        check_array("intercept_", estimator.intercept_, "f", n_outputs)
        check_array("n_iter_", estimator.n_iter_, "iu", None)


def check_scaler(estimator: Any) -> None:
    """Check a `StandardScaler`; without mean or variance it has None there.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    check_foreign(estimator)
    if not hasattr(estimator, "n_features_in_"):
        return
    for name, there in (("mean_", None), ("var_", estimator.with_std), ("scale_", estimator.with_std)):
        value = getattr(estimator, name)
        needed = (estimator.with_mean or estimator.with_std) if there is None else there
        if needed:
            check_array(name, value, "f", estimator.n_features_in_)
        elif value is not None:
            raise ValueError(f"{name} must be None without centring and scaling, got {value!r:.80}")
    seen = estimator.n_samples_seen_
    if isinstance(seen, np.ndarray):
        check_array("n_samples_seen_", seen, "iuf", estimator.n_features_in_)
    else:
        check_number("n_samples_seen_", seen, Real, 1)


def check_pca(estimator: Any) -> None:
    """Check a `PCA`.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    check_foreign(estimator)
    if not hasattr(estimator, "components_"):
        return
    check_number("n_components_", estimator.n_components_, Integral, 1)
    n = int(estimator.n_components_)
    check_array("components_", estimator.components_, "f", n, estimator.n_features_in_)
    check_array("mean_", estimator.mean_, "f", estimator.n_features_in_)
    for name in ("explained_variance_", "explained_variance_ratio_", "singular_values_"):
        check_array(name, getattr(estimator, name), "f", n)
    check_number("noise_variance_", estimator.noise_variance_, Real, 0)


def check_naive_bayes(estimator: Any) -> None:
    """Check a `GaussianNB`.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    check_foreign(estimator)
    if not hasattr(estimator, "theta_"):
        return
    n_classes = check_classes("classes_", estimator.classes_)
    for name in ("theta_", "var_"):
        check_array(name, getattr(estimator, name), "f", n_classes, estimator.n_features_in_)
    for name in ("class_prior_", "class_count_"):
        check_array(name, getattr(estimator, name), "f", n_classes)
    check_number("epsilon_", estimator.epsilon_, Real, 0)
    if not (estimator.var_ > 0).all():
        raise ValueError("var_ must be positive")


def check_perceptron(estimator: Any) -> None:
    """Check an `MLPClassifier`, and give it back what follows from its classes.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    check_foreign(estimator)
    if not hasattr(estimator, "coefs_"):
        return
    n_classes = check_classes("classes_", estimator.classes_)
    n_outputs = 1 if n_classes == 2 else n_classes
    hidden = estimator.hidden_layer_sizes
    widths = [estimator.n_features_in_, *(hidden if isinstance(hidden, (tuple, list)) else [hidden]), n_outputs]
    stated = (estimator.n_outputs_, estimator.n_layers_, estimator.out_activation_)
    if stated != (n_outputs, len(widths), "logistic" if n_classes == 2 else "softmax"):
        raise ValueError(f"n_outputs_, n_layers_, out_activation_ do not fit {n_classes} classes: {stated!r:.80}")
    for name, shapes in (("coefs_", list(pairwise(widths))), ("intercepts_", [(n,) for n in widths[1:]])):
        arrays = getattr(estimator, name)
        if not isinstance(arrays, list) or len(arrays) != len(shapes):
            raise ValueError(f"{name} must be a list of {len(shapes)} arrays")
        for array, shape in zip(arrays, shapes, strict=True):
            check_array(name, array, "f", *shape)
    # scikit-learn keeps the classes a second time, where `predict` reads them.
    estimator._label_binarizer = LabelBinarizer().fit(estimator.classes_)


def check_pipeline(estimator: Any) -> None:
    """Check a `Pipeline`: named steps, each an estimator that this package may hold.

    Raises
    ------
    TypeError, ValueError
        The message names the step.
    """
    steps = estimator.steps
    good = isinstance(steps, Sequence) and not isinstance(steps, str) and len(steps) > 0
    if not good or not all(isinstance(step, tuple) and len(step) == 2 and isinstance(step[0], str) for step in steps):
        raise TypeError(f"steps must be pairs of a name and an estimator, got {steps!r:.120}")
    # scikit-learn's own rules for names and methods of steps.
    estimator._validate_steps()
    estimator._validate_params()
