"""Weights of modules as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def module_arrays(module: torch.nn.Module) -> dict[str, NDArray]:
    """Return a copy of a module's state as arrays."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}


def shapes_of(module: torch.nn.Module) -> dict[str, tuple[int | None, ...]]:
    """Return the shape of each array of a module's state."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def trained_arrays(module: torch.nn.Module, lr: Any) -> dict[str, NDArray]:
    """Return a copy of a trained module's state.

    Raises
    ------
    FloatingPointError
        If a weight is not finite; the message names it and `lr`.
    """
    arrays = module_arrays(module)
    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if broken:
        raise FloatingPointError(f"training diverged: {broken[0]} is not finite with lr={lr!r}; lower lr")
    return arrays


def load_module_arrays(module: torch.nn.Module, arrays: Mapping[str, NDArray]) -> None:
    """Put arrays into a module of the same structure.

    Raises
    ------
    ValueError
        If names or shapes differ.
    """
    try:
        module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    except RuntimeError as error:
        raise ValueError(f"the weights do not fit the network: {error}") from error
