"""The state of skorch's callbacks, so that a resumed training goes on as if it had not been interrupted.

A callback's parameters are the user's; its other attributes are what it has learnt so far, such as the epochs without
improvement that `EarlyStopping` has counted. Plain values, arrays, tensors and containers of these can be kept.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.callbacks import EarlyStopping

_PLAIN = (str, bool, int, float, type(None))
_CONTAINERS = {"list": list, "tuple": tuple, "dict": dict}


def state_of(callbacks: Sequence[tuple[str, Any]], arrays: dict[str, NDArray]) -> list[dict[str, Any]]:
    """Return what callbacks have learnt, as JSON; arrays go into `arrays`.

    Parameters
    ----------
    callbacks : sequence of (name, callback)
        As skorch keeps them.
    arrays : dict
        Filled with arrays and tensors by their names.

    Returns
    -------
    list of dict
        One for each callback: its `class`, the `state` that can be kept, and the names of attributes that are `lost`.
    """
    found = []
    for i, (_, callback) in enumerate(callbacks):
        state, lost = {}, []
        for name, value in _learnt(callback).items():
            try:
                state[name] = _described(value, f"callback.{i}.{name}", arrays)
            except TypeError:
                lost.append(name)
        found.append({"class": type(callback).__name__, "state": state, "lost": lost})
    return found


def restore_state(callbacks: Sequence[tuple[str, Any]], kept: Any, arrays: Mapping[str, NDArray]) -> None:
    """Give callbacks the state that `state_of` described.

    Raises
    ------
    ValueError
        If the states are not those of these callbacks.
    """
    for (_, callback), values in zip(callbacks, checked_state(callbacks, kept, arrays), strict=True):
        for name, value in values.items():
            before = getattr(callback, name, None)
            if isinstance(before, Real) and not isinstance(value, Real):
                raise ValueError(f"the checkpoint sets {type(callback).__name__}.{name} to {value!r:.40}, no number")
            setattr(callback, name, value)


def checked_state(
    callbacks: Sequence[tuple[str, Any]], kept: Any, arrays: Mapping[str, NDArray]
) -> list[dict[str, Any]]:
    """Return the attributes that a file holds for each callback; none for one that was not there before.

    Raises
    ------
    ValueError
        If they are no states of callbacks, or the one of an `EarlyStopping` is missing.
    """
    if not isinstance(kept, list) or not all(_is_entry(entry) for entry in kept):
        raise ValueError("it holds no states of callbacks")
    left = list(kept)
    found: list[dict[str, Any]] = []
    for _, callback in callbacks:
        name = type(callback).__name__
        entry = next((entry for entry in left if entry["class"] == name), None)
        if entry is None and isinstance(callback, EarlyStopping):
            raise ValueError(f"it holds no state of {name}")
        if entry is None:
            # One that looks on, and was not there before.
            found.append({})
            continue
        left.remove(entry)
        known = _learnt(callback)
        # Methods and parameters are not state, whatever a file says.
        if not all(key in known or (key.endswith("_") and not hasattr(type(callback), key)) for key in entry["state"]):
            raise ValueError(f"it sets what is no state of {name}")
        found.append({key: _restored(value, arrays) for key, value in entry["state"].items()})
    return found


def lost_attributes(callbacks: Sequence[tuple[str, Any]], kept: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the attributes of these callbacks that a file could not hold, with their classes."""
    there = {type(callback).__name__ for _, callback in callbacks}
    return [f"{entry['class']}.{name}" for entry in kept if entry["class"] in there for name in entry["lost"]]


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or set(entry) != {"class", "state", "lost"}:
        return False
    names = isinstance(entry["lost"], list) and all(isinstance(n, str) and n.isidentifier() for n in entry["lost"])
    return names and isinstance(entry["state"], dict) and isinstance(entry["class"], str)


def _learnt(callback: Any) -> dict[str, Any]:
    parameters = inspect.signature(type(callback)).parameters
    return {name: value for name, value in vars(callback).items() if name not in parameters}


def _described(value: Any, where: str, arrays: dict[str, NDArray]) -> Any:
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        value = value.item()
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (torch.Tensor, np.ndarray)):
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        if array.dtype.kind not in "biuf":
            raise TypeError
        arrays[where] = np.array(array)
        return {"tensor" if isinstance(value, torch.Tensor) else "array": where}
    for kind, container in _CONTAINERS.items():
        if isinstance(value, Mapping if kind == "dict" else container):
            if kind == "dict" and not all(isinstance(key, str) for key in value):
                break
            pairs = value.items() if kind == "dict" else ((str(i), inner) for i, inner in enumerate(value))
            described = {key: _described(inner, f"{where}.{key}", arrays) for key, inner in pairs}
            return {kind: described if kind == "dict" else list(described.values())}
    raise TypeError


def _restored(value: Any, arrays: Mapping[str, NDArray]) -> Any:
    if not isinstance(value, dict):
        if not isinstance(value, _PLAIN):
            raise ValueError("it holds a state of an unknown kind")
        return value
    kind, inner = next(iter(value.items()), ("", None))
    if kind in ("tensor", "array") and isinstance(inner, str) and inner in arrays:
        return torch.from_numpy(np.array(arrays[inner])) if kind == "tensor" else np.array(arrays[inner])
    if kind == "dict" and isinstance(inner, dict):
        return {key: _restored(part, arrays) for key, part in inner.items()}
    if kind in ("list", "tuple") and isinstance(inner, list):
        return _CONTAINERS[kind](_restored(part, arrays) for part in inner)
    raise ValueError("it holds a state of an unknown kind")
