"""Parts of estimators that have parameters of their own, and the checks of parameters.

A `Component` is a parameter of an estimator and has parameters itself. ``objective__views__angle`` reaches a parameter
that lies two levels deep, in `get_params`, `set_params`, `clone` and `GridSearchCV`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import wraps
from numbers import Integral
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from ._registry import file_check, fitted_attributes, is_registered, register, register_foreign, registered

__all__ = [
    "Bounds",
    "Component",
    "Nested",
    "check_bounds",
    "check_number",
    "component_named",
    "file_check",
    "fitted_attributes",
    "is_registered",
    "register",
    "register_foreign",
    "registered",
    "seed_of",
]

_INF = float("inf")


class Bounds(NamedTuple):
    """What a number must be: of a kind (`Integral` or `Real`), and not outside a range.

    Parameters
    ----------
    kind : type
        `numbers.Integral` or `numbers.Real`.
    low, high : float
        Smallest and largest value; infinity is none.
    or_none : bool
        Whether None is allowed, too.
    """

    kind: Any
    low: float
    high: float = _INF
    or_none: bool = False


Limits = Bounds | tuple[str, ...] | type[bool]
"""What a parameter must be: a number within bounds, one of some names, or True or False."""


class Nested(BaseEstimator):
    """Base of estimators and components whose parameters may be components.

    Attributes
    ----------
    defaults : mapping
        For each parameter whose None stands for a component: the class of this component. So
        ``set_params(objective__temperature=.2)`` works even if `objective` is None.
    _in_file : tuple of str
        Fitted attributes that `save` writes: plain values, arrays, registered parts.
    """

    defaults: ClassVar[Mapping[str, Any]] = {}
    _in_file: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _with_hints(vars(cls)["__init__"])  # type: ignore[method-assign]

    def _for_file(self) -> Any:
        """Return the estimator that `save` writes in place of this one."""
        return self

    def _check_file(self) -> None:
        """Check what a file has set, for `load`; raise TypeError or ValueError where it cannot be."""

    def set_params(self, **params: Any) -> Any:
        """Set parameters, nested ones by ``name__parameter``.

        Parameters
        ----------
        **params
            Values by the names of the parameters.

        Returns
        -------
        estimator
            The estimator itself.

        Raises
        ------
        ValueError
            If there is no such parameter; the message says which component has it, if one does.
        """
        for name in params:
            home = _home_of(type(self), name)
            if home and name not in self._get_param_names():
                raise ValueError(f"Invalid parameter {name!r} for estimator {type(self).__name__}: {home}")
        for name, key in {key.partition("__")[0]: key for key in params if "__" in key}.items():
            if name in self.defaults:
                value = params.get(name, getattr(self, name))
                if value is None or isinstance(value, str):
                    params[name] = _resolved(value, self.defaults[name])
            elif name in self._get_param_names():
                params[name] = self._with_parameters(name, params.get(name, getattr(self, name)), key)
        return super().set_params(**params)

    def _with_parameters(self, name: str, value: Any, key: str) -> Any:
        """Return what a parameter holds, with a component in place of its name; refuse what has no parameters."""
        found = _named_or_none(value) if isinstance(value, str) else value
        if isinstance(found, type) or not hasattr(found, "set_params"):
            raise ValueError(
                f"Invalid parameter {key!r} for estimator {type(self).__name__}: {name}={value!r} has no parameters; "
                f"set {name} first, to a component that has them"
            )
        return found

    def component(self, name: str, base: type = object) -> Any:
        """Return the component that a parameter holds or stands for.

        Parameters
        ----------
        name : str
            Name of the parameter.
        base : type
            What the class of a registered name must derive from.

        Returns
        -------
        component
            The value of the parameter. None, and a registered name, become a component with default parameters.

        Raises
        ------
        ValueError
            If a name is not registered, or its class does not derive from `base`.
        """
        value = getattr(self, name)
        try:
            return _resolved(value, self.defaults[name], base)
        except ValueError as error:
            raise ValueError(f"{name}={value!r}: {error}") from None


class Component(Nested):
    """A part of an estimator that has parameters of its own.

    Components are equal if their types and parameters are equal. The estimator's `fit` calls `check`; the constructor
    never does.

    Attributes
    ----------
    bounds : mapping
        `Bounds` of each parameter that is a number, a tuple of choices for each parameter that is a choice, and `bool`
        for each that is True or False.
    """

    bounds: ClassVar[Mapping[str, Limits]] = {}

    def check(self) -> None:
        """Check the parameters, and those of nested components.

        Raises
        ------
        TypeError, ValueError
            If one cannot be used; the message names the parameter and its value.
        """
        parameters = self.get_params(deep=False)
        check_bounds(parameters, self.bounds)
        for value in parameters.values():
            if isinstance(value, Component):
                value.check()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Component):
            return False
        return _equal(self.get_params(deep=False), other.get_params(deep=False))


def _with_hints(init: Any) -> Any:
    """Return a constructor that says where a parameter belongs that it does not have."""
    known = inspect.signature(init).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return init

    @wraps(init)
    def with_hints(self: Any, *args: Any, **kwargs: Any) -> None:
        for name in kwargs:
            if name not in known and (home := _home_of(type(self), name)):
                raise TypeError(f"{type(self).__name__} has no parameter {name!r}: {home}")
        init(self, *args, **kwargs)

    return with_hints


def _home_of(cls: type, name: str, path: str = "") -> str:
    """Return which component of a class has a parameter; empty if none has."""
    for parameter, default in getattr(cls, "defaults", {}).items():
        if name in inspect.signature(default).parameters:
            return (
                f"{path}{parameter} has it; write {parameter}={default.__name__}({name}=...) or set_params("
                f"{path}{parameter}__{name}=...)"
            )
        if found := _home_of(default, name, f"{path}{parameter}__"):
            return found
    return ""


def _resolved(value: Any, default: Any, base: type = object) -> Any:
    if value is None:
        return default()
    return component_named(value, base) if isinstance(value, str) else value


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and type(a) is type(b):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return bool(a == b)


def _named_or_none(name: str) -> Any:
    try:
        return component_named(name)
    except ValueError:
        return None


def component_named(name: str, base: type = object) -> Any:
    """Return the component of a registered name, with its default parameters.

    Parameters
    ----------
    name : str
        Name of the class, or the same in lower case with underscores: "BeatSSL", "beat_ssl".
    base : type
        What the class must derive from.

    Returns
    -------
    component
        A new one.

    Raises
    ------
    ValueError
        If no such component has this name; the message lists the names that are known.
    """
    known = {found: cls for found, cls in registered(base).items() if issubclass(cls, Component)}
    plain = name.replace("_", "").lower()
    if name in known:
        return known[name]()
    for found, cls in known.items():
        if found.lower() == plain:
            return cls()
    raise ValueError(f"{name!r} is not registered (known: {', '.join(known) or 'none'})")


def check_number(name: str, value: Any, kind: Any, low: float, high: float = _INF) -> None:
    """Refuse a number of the wrong type or outside its range.

    Parameters
    ----------
    name : str
        Name of the parameter, for the message.
    value : object
        What was given.
    kind : type
        `numbers.Integral` or `numbers.Real`.
    low, high : float
        Smallest and largest value; infinity is none.

    Raises
    ------
    TypeError, ValueError
        If the number cannot be used; the message names the parameter and the value.
    """
    noun = "an integer" if kind is Integral else "a number"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, kind):
        raise TypeError(f"{name} must be {noun}, got {value!r}")
    if abs(value) == _INF and high == _INF:
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    if not low <= value <= high:
        bound = f"at least {low:g}" if high == _INF else f"between {low:g} and {high:g}"
        raise ValueError(f"{name} must be {noun} {bound}, got {value!r}")


def check_bounds(parameters: Mapping[str, Any], bounds: Mapping[str, Limits]) -> None:
    """Check parameters of an estimator or component, in the order of the table of bounds.

    Parameters
    ----------
    parameters : mapping
        Values by name.
    bounds : mapping
        `Bounds`, a tuple of choices, or `bool`, by name.

    Raises
    ------
    TypeError, ValueError
        If one cannot be used; the message names the parameter and the value.
    """
    for name, bound in bounds.items():
        value = parameters[name]
        if isinstance(bound, Bounds):
            if value is not None or not bound.or_none:
                check_number(name, value, bound.kind, bound.low, bound.high)
        elif isinstance(bound, type):
            if not isinstance(value, (bool, np.bool_)):
                raise TypeError(f"{name} must be True or False, got {value!r}")
        elif not isinstance(value, str) or value not in bound:
            raise ValueError(f"{name} must be one of {', '.join(bound)}, got {value!r}")


def seed_of(random_state: Any) -> int:
    """Return the integer that keys every draw of a fit.

    Parameters
    ----------
    random_state : int, RandomState, Generator or None
        None draws a new integer; a generator of numpy gives its next one.

    Returns
    -------
    int
        Not negative.

    Raises
    ------
    ValueError
        If `random_state` is neither None, an integer, nor a generator of numpy.
    """
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool) and random_state >= 0:
        return int(random_state)
    raise ValueError(f"random_state must be None, a non-negative integer or a RandomState, got {random_state!r}")
