"""What a file may set of a fitted estimator: checks of types, shapes and ranges that `_check_file` methods share."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .components import check_number, seed_of

# Widths of embeddings, leads, classes: more than any network here has.
_MOST = 2**24
_PLAIN = (str, bool, int, float, type(None))


def check_type(name: str, value: Any, *types: type) -> None:
    """Refuse a value of another type.

    Raises
    ------
    TypeError
        The message names the attribute and both types.
    """
    if not isinstance(value, types):
        names = " or ".join(t.__name__ for t in types)
        raise TypeError(f"{name} must be of the type {names}, got {value!r:.80}")


def check_array(name: str, value: Any, kinds: str, *shape: int | None) -> NDArray:
    """Return an array of some kinds of dtype, of a shape where None is any size, without NaN or infinities.

    Raises
    ------
    TypeError, ValueError
        The message names the attribute.
    """
    check_type(name, value, np.ndarray)
    fits = value.ndim == len(shape) and all(n is None or n == m for n, m in zip(shape, value.shape, strict=True))
    if value.dtype.kind not in kinds or not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} must be an array of shape ({wanted}), got {value.dtype} {value.shape}")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise ValueError(f"{name} holds values that are not finite")
    return np.asarray(value)


def check_arrays(name: str, values: Any, shapes: Mapping[str, tuple[int | None, ...]]) -> None:
    """Refuse a dict of arrays whose names or shapes are other ones, or whose values are not finite numbers.

    Raises
    ------
    TypeError, ValueError
        The message names the attribute, and the first array that differs.
    """
    check_type(name, values, dict)
    other = sorted(set(values) ^ set(shapes))
    if other:
        raise ValueError(f"{name}: the weights do not fit the network: {other[0]!r:.120} is on one side only")
    for key, shape in shapes.items():
        try:
            check_array(f"{name}[{key!r}]", values[key], "fiu", *shape)
        except ValueError as error:
            raise ValueError(f"the weights do not fit the network: {error}") from error


def check_classes(name: str, value: Any) -> int:
    """Return the number of classes of an array of labels.

    Raises
    ------
    TypeError, ValueError
        If it is no array of different labels.
    """
    check_type(name, value, np.ndarray)
    if value.ndim != 1 or value.dtype.kind not in "biufUO" or len(np.unique(value)) != len(value) or not len(value):
        raise ValueError(f"{name} must be an array of different labels, got {value!r:.80}")
    return len(value)


def check_history(name: str, value: Any) -> None:
    """Refuse what is no list of rows of an epoch each.

    Raises
    ------
    TypeError, ValueError
        The message names the attribute.
    """
    check_type(name, value, list)
    for row in value:
        check_type(name, row, dict)
        if not all(isinstance(key, str) and isinstance(cell, _PLAIN) for key, cell in row.items()):
            raise ValueError(f"{name} must hold plain values by names of columns, got {row!r:.80}")
        for key in {"train_loss"} | {key for key in row if key.endswith("_loss")}:
            if isinstance(row.get(key), bool) or not isinstance(row.get(key), Real):
                raise ValueError(f"{name} must have a number as {key}, got {row.get(key)!r:.80}")


def check_described(estimator: Any) -> None:
    """Check the parameters and fitted attributes that mean the same in all estimators, where there are any.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    missing = [name for name in type(estimator)._in_file if not hasattr(estimator, name)]
    if 0 < len(missing) < len(type(estimator)._in_file):
        raise ValueError(f"the fitted attribute {missing[0]} is missing")
    values = vars(estimator)
    if values.get("random_state") is not None:
        seed_of(values["random_state"])
    for name in ("verbose", "n_jobs"):
        if values.get(name) is not None:
            check_type(name, values[name], bool, int)
    for name, low in (("n_iter_", 0), ("best_epoch_", 0), ("n_features_in_", 1)):
        if name in values:
            check_number(name, values[name], Integral, low, _MOST)
    if "device_" in values:
        check_type("device_", values["device_"], str)
    if "history_" in values:
        check_history("history_", values["history_"])
    names = values.get("feature_names_in_")
    if names is not None and len(names) != values.get("n_features_in_"):
        raise ValueError(f"feature_names_in_ has {len(names)} names of {values.get('n_features_in_')} columns")
