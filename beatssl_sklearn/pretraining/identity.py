"""What tells one value from another: numbers, arrays, and the code of functions and classes with all that it uses.

Two functions are the same where their code, defaults, closures and the globals that they read are; two objects where
their classes and attributes are. Functions and classes of installed packages are known by their names: their code
changes with the versions of the packages only.
"""

from __future__ import annotations

import copyreg
import dis
import functools
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

from ..components import Component

_KNOWN_PACKAGES = {__name__.partition(".")[0], "torch", "numpy", *sys.stdlib_module_names}
# Folders of installed packages.
_INSTALLED = ("site-packages", "dist-packages")
# Entries of a class that say nothing of what it computes.
_NO_CODE = {
    *("__module__", "__dict__", "__weakref__", "__doc__", "__annotations__", "__abstractmethods__", "_abc_impl"),
    *("__static_attributes__", "__firstlineno__", "__slotnames__", "__orig_bases__", "__parameters__", "__qualname__"),
    # Of Python 3.14: annotations are computed when they are asked for, and then kept.
    *("__annotate__", "__annotate_func__", "__annotations_cache__", "__conditional_annotations__"),
}
# Methods that change a container.
_CHANGING = {"append", "extend", "insert", "add", "update", "setdefault", "pop", "clear", "remove", "discard"}
# What cannot be told from others of its class is the same in this process only.
_PROCESS = secrets.token_hex(8)


def digest_of(value: Any) -> str:
    """Return a digest of a value that is the same in every process.

    Objects that hold what nothing tells apart, such as an open connection, get another one in every process.
    """
    return hashlib.sha256(_text(_Identity().of(value)).encode()).hexdigest()[:16]


def digest_of_callback(callback: Any) -> str:
    """Return a digest of a callback's class and parameters; its state changes while it runs.

    As skorch takes it: a callback, its class, or a name with either.
    """
    if isinstance(callback, tuple):
        return digest_of_callback(callback[-1])
    return digest_of(callback if isinstance(callback, type) else [type(callback), callback.get_params(deep=False)])


def _text(identity: Any) -> str:
    return json.dumps(identity, sort_keys=True)


class _Identity:
    """One walk through a value; what it is inside of already is named by its depth, so that circles end."""

    def __init__(self) -> None:
        self._inside: dict[int, int] = {}

    def of(self, value: Any) -> Any:
        """Return nested lists of texts that are equal where values are."""
        if value is None or isinstance(value, (bool, int, float, str, bytes, complex, np.generic)):
            return repr(value)
        if isinstance(value, ModuleType):
            return ["module", value.__name__]
        if id(value) in self._inside:
            return ["circle", self._inside[id(value)]]
        self._inside[id(value)] = len(self._inside)
        try:
            return self._of_container(value)
        finally:
            del self._inside[id(value)]

    def _of_container(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return [str(value.dtype), self.of(value.detach().cpu().float().numpy())]
        if isinstance(value, np.ndarray) and value.dtype == object:
            return [list(value.shape), self.of(value.ravel().tolist())]
        if isinstance(value, np.ndarray):
            return [value.dtype.str, list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()]
        if isinstance(value, Mapping):
            return sorted(([self.of(key), self.of(inner)] for key, inner in value.items()), key=_text)
        if isinstance(value, (set, frozenset)):
            return sorted((self.of(inner) for inner in value), key=_text)
        if isinstance(value, (list, tuple)):
            return [self.of(inner) for inner in value]
        if isinstance(value, CodeType):
            bytecode = [value.co_code.hex(), value.co_exceptiontable.hex(), list(value.co_names)]
            return [*bytecode, self.of(value.co_consts)]
        return self._of_object(value)

    def _of_object(self, value: Any) -> Any:
        if isinstance(value, FunctionType):
            return self._of_function(value)
        if isinstance(value, (MethodType, BuiltinFunctionType)) and not isinstance(value.__self__, ModuleType):
            return [value.__name__, self.of(getattr(value, "__func__", None)), self.of(value.__self__)]
        if isinstance(value, functools.partial):
            return [self.of(part) for part in (value.func, value.args, value.keywords)]
        if isinstance(value, type):
            return self._of_class(value)
        if isinstance(value, (staticmethod, classmethod, functools.cached_property)):
            return self.of(value.__func__ if not isinstance(value, functools.cached_property) else value.func)
        if isinstance(value, property):
            return [self.of(value.fget), self.of(value.fset)]
        name = getattr(value, "__qualname__", getattr(value, "__name__", None))
        if isinstance(name, str) and callable(value):
            # A function that is not written in Python, such as np.negative.
            return [str(getattr(value, "__module__", "")), type(value).__qualname__, name]
        return [self._of_class(type(value)), self._state_of(value)]

    def _of_function(self, function: FunctionType) -> Any:
        name = [str(function.__module__), function.__qualname__]
        if _is_known(function):
            return name
        there = function.__globals__
        used = {name: there[name] for name in sorted(_globals_of(function.__code__)) if name in there}
        around = dict(_closure_of(function))
        if _changes_containers(function.__code__):
            used, around = _without_containers(used), _without_containers(around)
        parts = (around, function.__code__, function.__defaults__, function.__kwdefaults__, used)
        return [*name, *(self.of(part) for part in parts)]

    def _of_class(self, cls: type) -> Any:
        """Return the names of a class and its bases, and all entries of those that are the user's own."""
        own = [base for base in cls.__mro__ if not _is_known(base)]
        entries = []
        for base in own:
            inner = {name: value for name, value in vars(base).items() if name not in _NO_CODE}
            if any(_changes_containers(v.__code__) for v in inner.values() if isinstance(v, FunctionType)):
                inner = _without_containers(inner)
            entries.append([base.__qualname__, inner])
        return [cls.__module__, cls.__qualname__, self.of(entries)]

    def _state_of(self, value: Any) -> Any:
        if isinstance(value, Component):
            return self.of(value.get_params(deep=False))
        # What an object leaves behind when it is copied, such as weights in a processor's layout, is no part of it.
        copies = getattr(type(value), "__getstate__", None) is not object.__getstate__
        state = value.__getstate__() if copies else getattr(value, "__dict__", None)
        if isinstance(state, dict) and not hasattr(type(value), "__slots__"):
            return self.of(state)
        try:
            own = copyreg.dispatch_table.get(type(value))
            reduced = value.__reduce_ex__(4) if own is None else own(value)
        except Exception:
            return ["unknown", _PROCESS, os.getpid(), id(value)]
        # A text names a global. Iterators of items are not repeatable, and are read into lists.
        parts = reduced if isinstance(reduced, tuple) else (reduced,)
        return [self.of(list(part) if isinstance(part, Iterator) else part) for part in parts]


def _is_known(value: Any) -> bool:
    module = str(value.__module__)
    file = str(getattr(sys.modules.get(module), "__file__", None) or "")
    return module.partition(".")[0] in _KNOWN_PACKAGES or any(folder in Path(file).parts for folder in _INSTALLED)


def _changes_containers(code: CodeType) -> bool:
    """Whether code changes a list, dict or set: what it fills, such as a counter, is its state and no part of it."""
    inner = any(_changes_containers(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return inner or not _CHANGING.isdisjoint(code.co_names)


def _without_containers(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not isinstance(value, (list, dict, set))}


def _closure_of(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield the variables around a function that it uses."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:
            yield name, "a name that has no value yet"


def _globals_of(code: CodeType) -> Iterator[str]:
    """Yield the names of globals that code reads, and those of the functions inside it."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals_of(constant)
