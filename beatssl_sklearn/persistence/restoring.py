"""From a description back to an estimator. What a file may set is a closed list, and every value is checked.

The list is made of the constructors' parameters and of the `_in_file` attributes of registered classes. Plain values
are checked here; what a class makes of them, it checks itself in `_check_file`, before anything is built from them.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from ..components import Component, file_check, fitted_attributes, registered
from .description import COLUMN_NAMES, OUTPUT, portable

# A pipeline around an embedder of a pretrainer with components in components needs less than half of it.
_MAX_DEPTH = 48
_MAX_INT = 2**63 - 1
# numpy gives all texts of an array the room of the longest one [bytes].
_MAX_TEXT = 2**26
_CONTAINERS = ("default", "pandas", "polars")


def restore(described: Any, arrays: Mapping[str, NDArray]) -> Any:
    """Undo `describe`.

    Parameters
    ----------
    described : object
        What JSON read.
    arrays : mapping
        Arrays of the file by their names.

    Returns
    -------
    object
        The estimator, component or value that is described.

    Raises
    ------
    ValueError
        If it describes nothing that this version knows.
    Exception
        Whatever the constructor or the checks of a class raise.
    """
    return _restore(described, arrays, 0)


def _restore(described: Any, arrays: Mapping[str, NDArray], depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError(f"the description is nested more than {_MAX_DEPTH} deep")
    if isinstance(described, list):
        return [_restore(v, arrays, depth + 1) for v in described]
    if isinstance(described, int) and abs(described) > _MAX_INT:
        raise ValueError("the description holds an integer of more than 64 bits")
    if not isinstance(described, dict):
        return described
    if "class" in described:
        return _restore_registered(described, arrays, depth + 1)
    if len(described) != 1:
        raise ValueError(f"the description holds a value of {len(described)} kinds: {sorted(described)!r:.80}")
    ((kind, value),) = described.items()
    if kind not in _KINDS:
        raise ValueError(f"the description holds a value of the unknown kind {kind!r:.80}")
    return _KINDS[kind](value, arrays, depth + 1)


def _tuple_of(value: Any, arrays: Mapping[str, NDArray], depth: int) -> Any:
    return tuple(_restore(v, arrays, depth) for v in _checked("tuple", value, list))


def _dict_of(value: Any, arrays: Mapping[str, NDArray], depth: int) -> Any:
    return {k: _restore(v, arrays, depth) for k, v in _checked("dict", value, dict).items()}


def _pairs_of(value: Any, arrays: Mapping[str, NDArray], depth: int) -> Any:
    pairs = [_checked("pairs", pair, list) for pair in _checked("pairs", value, list)]
    if not all(len(pair) == 2 and isinstance(pair[0], (str, int, float, type(None))) for pair in pairs):
        raise ValueError("the description holds pairs that are no plain keys with their values")
    return {_restore(k, arrays, depth): _restore(v, arrays, depth) for k, v in pairs}


def _array_of(value: Any, arrays: Mapping[str, NDArray], depth: int) -> Any:
    name = _checked("array", value, str)
    if name not in arrays:
        raise ValueError(f"the file lacks the array {name!r:.120}")
    return arrays[name]


def _text_of(value: Any, arrays: Mapping[str, NDArray], depth: int) -> Any:
    return _texts_of(value, arrays, depth).astype(np.str_)


def _texts_of(value: Any, arrays: Mapping[str, NDArray], depth: int) -> Any:
    texts = np.array(_checked("texts", value, list), dtype=object)
    if not all(isinstance(text, str) for text in texts.ravel()):
        raise ValueError("the description holds an array of texts with something else in it")
    if texts.size * max((len(text) for text in texts.ravel()), default=0) * 4 > _MAX_TEXT:
        raise ValueError(f"the description holds an array of texts of more than {_MAX_TEXT // 2**20} MB")
    return texts


def _type_of(value: Any, arrays: Mapping[str, NDArray], depth: int) -> Any:
    return _known(_checked("type", value, str))


def _checked(kind: str, value: Any, wanted: type) -> Any:
    if not isinstance(value, wanted):
        raise ValueError(f"the description holds a {kind!r} that is a {type(value).__name__}, no {wanted.__name__}")
    return value


_KINDS: dict[str, Callable[[Any, Mapping[str, NDArray], int], Any]] = {
    "tuple": _tuple_of,
    "dict": _dict_of,
    "pairs": _pairs_of,
    "array": _array_of,
    "text": _text_of,
    "texts": _texts_of,
    "type": _type_of,
}


def _known(name: str) -> type:
    known = registered()
    if name not in known:
        raise ValueError(
            f"the file holds a {name if name.isidentifier() else ascii(name)!s:.80}, which this version does not know "
            f"(known: {', '.join(known)}). If the class is your own, import the module that registers it first "
            f"(command line: --import FILE)"
        )
    return known[name]


def _restore_registered(described: Mapping[str, Any], arrays: Mapping[str, NDArray], depth: int) -> Any:
    name = _checked("class", described["class"], str)
    cls = _known(name)
    if dataclasses.is_dataclass(cls):
        allowed = {f.name for f in dataclasses.fields(cls) if f.name[0] != "_"}
        value = cls(**_named(described, "fields", allowed, name, arrays, depth))
    elif issubclass(cls, BaseEstimator):
        value = _restore_estimator(cls, described, arrays, depth)
    else:
        raise ValueError(f"the file holds a {name}, which is no estimator, component or dataclass")
    _check(value, name)
    return value


def _restore_estimator(cls: type, described: Mapping[str, Any], arrays: Mapping[str, NDArray], depth: int) -> Any:
    name = cls.__name__
    known_parameters = set(inspect.signature(cls).parameters)
    # What belongs to a machine is not read either, whoever wrote the file.
    others = {**described, "parameters": portable(cls, _checked("parameters", described.get("parameters"), dict))}
    estimator = cls(**_named(others, "parameters", known_parameters, name, arrays, depth))
    allowed = {*fitted_attributes(cls), COLUMN_NAMES}
    for attribute, value in _named(described, "fitted", allowed, name, arrays, depth).items():
        if attribute == COLUMN_NAMES and not _are_names(value):
            raise ValueError(f"{name}: {COLUMN_NAMES} must be an array of names, got {value!r:.80}")
        setattr(estimator, attribute, value)
    if (output := described.get("output")) is not None:
        if not isinstance(output, dict) or set(output) != {"transform"} or output["transform"] not in _CONTAINERS:
            raise ValueError(f"{name}: output must choose one of {', '.join(_CONTAINERS)}, got {output!r:.80}")
        setattr(estimator, OUTPUT, dict(output))
    return estimator


def _are_names(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype == object


def _check(value: Any, name: str) -> None:
    """Let a class check what the file has set."""
    try:
        if isinstance(value, Component):
            value.check()
        check = file_check(type(value))
        if check is not None:
            check(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error!s:.600}") from error


def _named(
    described: Mapping[str, Any], part: str, allowed: set[str], name: str, arrays: Mapping[str, NDArray], depth: int
) -> dict[str, Any]:
    values = _checked(part, described.get(part), dict)
    unknown = sorted(set(values) - allowed)
    if unknown:
        raise ValueError(f"the file holds a {name} with {unknown!r:.200}, which this version does not know")
    return {key: _restore(value, arrays, depth) for key, value in values.items()}
