"""The objective that `beatssl pretrain` trains, from its name and the settings on the command line."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from inspect import signature
from typing import Any

from ..components import Component, component_named, registered
from ..pretraining import Objective

_WIDTH = 100


def build_objective(name: str, settings: Sequence[tuple[str, Any]]) -> Objective:
    """Return an objective by name, with parameters set one after the other.

    Parameters
    ----------
    name : str
        Of a registered objective, or of a preset of one: "BeatSSL", "beat_ssl", "beat_ssl.paper".
    settings : sequence of (str, object)
        Names of parameters, with dots before those of nested components, and their values. A text as the value of a
        component is the name of one.

    Raises
    ------
    ValueError, TypeError
        If a name is unknown or a value cannot be used.
    """
    objective = _component_of(name, Objective, "--objective")
    for path, value in settings:
        _set_parameter(objective, path, value)
    objective.check()
    return objective


def described_objectives() -> Iterator[str]:
    """Yield lines on all registered objectives: names, what they learn, presets, parameters."""
    for name, cls in registered(Objective).items():
        yield f"{name}: {(cls.__doc__ or '').strip().partition(chr(10))[0]}"
        presets = [f"{name}.{preset}" for preset in _presets(cls)]
        for what, names in (("presets", presets), ("parameters", list(signature(cls).parameters))):
            if names:
                line = f"{what}: {', '.join(names)}"
                yield from textwrap.wrap(line, _WIDTH, initial_indent="  ", subsequent_indent="    ")


def _component_of(name: str, base: type, option: str) -> Any:
    """Return a registered component by name, or by name and preset: a class method that makes one."""
    name, dot, preset = name.partition(".")
    try:
        component = component_named(name, base)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from error
    if not dot:
        return component
    presets = _presets(type(component))
    if preset not in presets:
        raise ValueError(
            f"{option}: {type(component).__name__} has no preset {preset!r} (known: {', '.join(presets) or 'none'})"
        )
    return getattr(component, preset)()


def _presets(cls: type) -> list[str]:
    every = (name for base in cls.__mro__ for name, value in vars(base).items() if isinstance(value, classmethod))
    return sorted({name for name in every if not name.startswith("_")})


def _set_parameter(objective: Objective, path: str, value: Any) -> None:
    *owners, last = path.split(".")
    owner: Any = objective
    for i, name in enumerate(owners):
        # An unknown name is left to scikit-learn, whose message lists the known ones.
        if name not in owner.get_params(deep=False):
            break
        owner = owner.component(name) if name in getattr(owner, "defaults", {}) else getattr(owner, name)
        if not hasattr(owner, "get_params"):
            where = ".".join(owners[: i + 1])
            raise ValueError(f"--set {path}: {where} is {owner!r}, which has no parameters")
    else:
        if isinstance(value, str):
            value = _component_or_text(owner, last, value, f"--set {path}")
    objective.set_params(**{path.replace(".", "__"): value})


def _component_or_text(owner: Any, name: str, text: str, option: str) -> Any:
    """Return the component that a text names, where a parameter takes one; else the text."""
    now = getattr(owner, name, None)
    try:
        return _component_of(text, Component, option) if now is None or isinstance(now, Component) else text
    except ValueError:
        # None can stand for anything, unless the owner declares that it stands for a component.
        if now is None and name not in getattr(owner, "defaults", {}):
            return text
        raise
