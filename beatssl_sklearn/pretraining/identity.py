"""What tells one parameter from another: values, arrays, and the code of functions and classes."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

# Classes of these packages are known by their names: their code changes with their versions only.
_KNOWN_PACKAGES = {"beatssl_sklearn", "sklearn", "torch", "skorch", "numpy", "scipy", "builtins", "abc", "typing"}
_DEEPEST = 12


def digest_of(value: Any) -> str:
    """Return a digest of a value that is the same in every process.

    Two functions or instances are the same where their code, closures, defaults and attributes are.
    """
    return hashlib.sha256(json.dumps(_identity(value, 0), sort_keys=True).encode()).hexdigest()[:16]


def _identity(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        return type(value).__qualname__
    deeper = depth + 1
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, (np.generic, bytes, complex)):
        return repr(value)
    if isinstance(value, np.ndarray):
        content = value.tobytes() if value.dtype != object else repr(value.tolist()).encode()
        return [value.dtype.str, list(value.shape), hashlib.sha256(content).hexdigest()]
    if isinstance(value, Mapping):
        return sorted([str(key), _identity(inner, deeper)] for key, inner in value.items())
    if isinstance(value, (set, frozenset)):
        return sorted(json.dumps(_identity(inner, deeper)) for inner in value)
    if isinstance(value, (list, tuple)):
        return [_identity(inner, deeper) for inner in value]
    if isinstance(value, CodeType):
        return [value.co_code.hex(), list(value.co_names), _identity(value.co_consts, deeper)]
    return _identity_of_object(value, deeper)


def _identity_of_object(value: Any, depth: int) -> Any:
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        parts = (value.__code__, value.__defaults__, value.__kwdefaults__, cells)
        return [value.__module__, value.__qualname__, *(_identity(part, depth) for part in parts)]
    if isinstance(value, MethodType):
        return [_identity(value.__func__, depth), _identity(value.__self__, depth)]
    if isinstance(value, functools.partial):
        return [_identity(part, depth) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, type):
        return _identity_of_class(value, depth)
    attributes = value.get_params(deep=False) if hasattr(value, "get_params") else getattr(value, "__dict__", {})
    return [_identity_of_class(type(value), depth), _identity(attributes, depth)]


def _identity_of_class(cls: type, depth: int) -> Any:
    """Return the names of a class and its bases, and the code of those that are the user's own."""
    own = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in _KNOWN_PACKAGES]
    code = [[base.__qualname__, _identity(list(_functions_of(base)), depth)] for base in own]
    return [cls.__module__, cls.__qualname__, code]


def _functions_of(cls: type) -> Iterable[Any]:
    for name, value in sorted(vars(cls).items()):
        function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if isinstance(function, FunctionType):
            yield [name, function.__code__, function.__defaults__]
