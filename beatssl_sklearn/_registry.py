"""Classes by name: what files and the command line may name. Nothing is ever imported by a name found in a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_Class = TypeVar("_Class", bound=type)

_CLASSES: dict[str, type] = {}
_FITTED: dict[type, tuple[str, ...]] = {}
_CHECKS: dict[type, Callable[[Any], None]] = {}
_FILL: list[Callable[[], None]] = []


def register(cls: _Class) -> _Class:
    """Let files and the command line find a class by its name; to be used as a decorator.

    Parameters
    ----------
    cls : type
        An estimator, a `Component`, a frozen dataclass, or the class of an encoder.

    Returns
    -------
    type
        The class itself.

    Raises
    ------
    ValueError
        If another class of this name is registered.
    """
    if not cls.__module__.startswith("beatssl_sklearn."):
        # The package's own names come first, whenever its rooms are imported.
        for fill in _FILL:
            fill()
    known = _CLASSES.get(cls.__name__)
    # The same class again: its module was reloaded, or a notebook's cell was run twice.
    if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            f"{cls.__name__} is already the name of {known.__module__}.{known.__qualname__}; choose another name"
        )
    _CLASSES[cls.__name__] = cls
    return cls


def register_foreign(
    cls: type, fitted: tuple[str, ...] = (), check: Callable[[Any], None] | None = None
) -> None:
    """Register another library's estimator.

    Parameters
    ----------
    cls : type
        The estimator's class.
    fitted : tuple of str
        Fitted attributes that make a restored estimator predict as the saved one: plain values and arrays.
    check : callable, optional
        Called with a restored estimator; raises TypeError or ValueError where a file has set what cannot be.
    """
    register(cls)
    _FITTED[cls] = fitted
    if check is not None:
        _CHECKS[cls] = check


def fitted_attributes(cls: type) -> tuple[str, ...]:
    """Return the names of fitted attributes that go into a file.

    Parameters
    ----------
    cls : type
        A registered class.

    Returns
    -------
    tuple of str
        Empty if there are none.
    """
    return _FITTED.get(cls, tuple(getattr(cls, "_in_file", ())))


def file_check(kind: type) -> Callable[[Any], None] | None:
    """Return what checks a restored object of a class: the function it was registered with, or its `_check_file`.

    Parameters
    ----------
    kind : type
        A registered class.

    Returns
    -------
    callable or None
        It raises TypeError or ValueError where a file has set what cannot be.
    """
    own: Callable[[Any], None] | None = getattr(kind, "_check_file", None)
    return _CHECKS.get(kind, own)


def fill_by(import_rooms: Callable[[], None]) -> None:
    """Set what imports every room of the package, so that all of its classes are registered."""
    _FILL[:] = [import_rooms]


def registered(base: type = object) -> dict[str, type]:
    """Return registered classes by their names.

    Parameters
    ----------
    base : type
        What the classes derive from.

    Returns
    -------
    dict
        In the order of the names.
    """
    for fill in _FILL:
        fill()
    return {name: cls for name, cls in sorted(_CLASSES.items()) if issubclass(cls, base)}


def is_registered(cls: type) -> bool:
    """Return whether exactly this class is registered.

    Parameters
    ----------
    cls : type
        A base class of it does not count.

    Returns
    -------
    bool
        True if files may name it.
    """
    known = _CLASSES.get(cls.__name__)
    # By name: after a notebook's cell was run again, the earlier class is still one.
    return known is not None and (known.__module__, known.__qualname__) == (cls.__module__, cls.__qualname__)
