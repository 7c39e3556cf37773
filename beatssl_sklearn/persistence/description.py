"""Descriptions: an estimator as nested plain values, which JSON can write, and arrays.

A description has the name of the registered class, its parameters, and those fitted attributes that the class lists in
`_in_file`. Descriptions nest: a parameter may be an estimator, a component, a registered dataclass, or a registered
class itself. Arrays lie beside the description, under the path of what holds them: ``encoder_.weights.stem.0.weight``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from ..components import Nested, fitted_attributes, is_registered

# What belongs to the machine or the run and not to the model: paths, caches, callbacks.
_LEFT_OUT = ("checkpoint_dir", "callbacks", "distributed", "memory")
# scikit-learn's value for a parameter that is on its way out and was not set. Other versions refuse it, or do not
# know the parameter any more.
_NOT_SET = "deprecated"
COLUMN_NAMES = "feature_names_in_"
OUTPUT = "_sklearn_output_config"
"""Attributes that any estimator of scikit-learn may have: names of columns, and what `set_output` chose."""


def describe(value: Any, arrays: dict[str, NDArray], where: str = "") -> Any:
    """Return a value as JSON, and put the arrays that it holds into `arrays`.

    Parameters
    ----------
    value : estimator, component, registered dataclass, registered class, array or plain value
    arrays : dict
        Filled with arrays under the path of what holds them.
    where : str
        Path of the value itself, for arrays and messages.

    Returns
    -------
    object
        Nested dicts, lists and plain values. An array has the path of its entry in `arrays`.

    Raises
    ------
    TypeError
        If something in it cannot be described; the message names where it is.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biufU":
        return value.item()
    if isinstance(value, np.ndarray) and (value.dtype.kind in "biufU" or _holds_text(value)):
        return _describe_array(value, arrays, where)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return {"tuple": [describe(v, arrays, f"{where}.{i}") for i, v in enumerate(value)]}
    if isinstance(value, list):
        return [describe(v, arrays, f"{where}.{i}") for i, v in enumerate(value)]
    if isinstance(value, Mapping) and not all(isinstance(key, str) for key in value):
        return {"pairs": [describe(list(pair), arrays, _path(where, str(pair[0]))) for pair in value.items()]}
    if isinstance(value, Mapping):
        return {"dict": {k: describe(v, arrays, _path(where, k)) for k, v in value.items()}}
    if isinstance(value, type) and is_registered(value):
        return {"type": value.__name__}
    if is_registered(type(value)) and (dataclasses.is_dataclass(value) or isinstance(value, BaseEstimator)):
        return _describe_registered(value, arrays, where)
    raise TypeError(
        f"{where}={value!r:.80} cannot be saved: {type(value).__name__} is neither a plain value nor registered; keep "
        f"this estimator with joblib instead"
    )


def _holds_text(array: NDArray) -> bool:
    return array.dtype.kind == "O" and all(isinstance(v, str) for v in array.ravel())


def _describe_array(array: NDArray, arrays: dict[str, NDArray], where: str) -> Any:
    if array.dtype.kind in "UO":
        return {"text" if array.dtype.kind == "U" else "texts": array.tolist()}
    # An array that two parts share is written once.
    shared = next((path for path, known in arrays.items() if known is array), None)
    if shared is None:
        shared = where
        while shared in arrays:
            # Another part has the same path, since names may hold dots.
            shared += "'"
        arrays[shared] = array
    return {"array": shared}


def _describe_registered(value: Any, arrays: dict[str, NDArray], where: str) -> dict[str, Any]:
    name = type(value).__name__
    if dataclasses.is_dataclass(value):
        fields = [f.name for f in dataclasses.fields(value) if f.name[0] != "_"]
        return {"class": name, "fields": {f: describe(getattr(value, f), arrays, _path(where, f)) for f in fields}}
    stored = value._for_file() if isinstance(value, Nested) else value
    parameters = portable(type(stored), stored.get_params(deep=False))
    fitted = {k: getattr(stored, k) for k in fitted_attributes(type(stored)) if hasattr(stored, k)}
    if COLUMN_NAMES in vars(stored):
        fitted[COLUMN_NAMES] = vars(stored)[COLUMN_NAMES]
    described = {
        "class": name,
        "parameters": {k: describe(v, arrays, _path(where, k)) for k, v in parameters.items()},
        "fitted": {k: describe(v, arrays, _path(where, k)) for k, v in fitted.items()},
    }
    if output := vars(stored).get(OUTPUT):
        described["output"] = dict(output)
    return described


def portable(cls: type, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of an estimator as another machine can use them; those of a component stay as they are."""
    if not hasattr(cls, "fit"):
        return dict(parameters)
    others = {name: None if name in _LEFT_OUT else v for name, v in parameters.items() if not _is_not_set(v)}
    if "device" in others:
        others["device"] = "cpu" if str(others["device"]) == "cpu" else None
    return others


def _is_not_set(value: Any) -> bool:
    return isinstance(value, str) and value == _NOT_SET


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
