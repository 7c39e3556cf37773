"""Which answers about a heartbeat are false ones: the rules of EC57, or others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Exempt", "Rules", "distinct", "rules_of"]

Exempt = Literal["ec57", "none"] | Mapping[Any, Collection[Any]]

# The beats whose answer V or S is not a false one.
_EC57: Mapping[Any, Collection[Any]] = {"V": ("F", "Q"), "S": ("Q",)}
# Paced and unclassifiable beats have no rates unless they are asked for.
_UNSCORED = "Q"


class Rules(NamedTuple):
    """What counts against a class.

    Attributes
    ----------
    scored : tuple of n_scored labels
        The classes that have rates.
    numbers : ndarray of int64 (n_scored,)
        Their positions among all classes.
    penalised : ndarray of bool (n_classes + 1, n_scored)
        Whether a beat of this class, or an extra detection, the last row, is a false one if it is found as the scored
        class.
    counted : ndarray of bool (n_classes + 1,)
        Whether such beats count at all.
    """

    scored: tuple[Any, ...]
    numbers: NDArray[np.int64]
    penalised: NDArray[np.bool_]
    counted: NDArray[np.bool_]


def rules_of(classes: tuple[Any, ...], scored: Sequence[Any] | None, exempt: Exempt) -> Rules:
    """Return the rules of classes, of those that are scored, and of what is no false answer.

    Raises
    ------
    ValueError
        If a label is none of the classes, or `exempt` is unknown.
    """
    own = tuple(c for c in classes if c != _UNSCORED) or classes if scored is None else distinct(scored, "scored")
    unknown = [label for label in own if label not in classes]
    if unknown:
        raise ValueError(f"scored must be some of the classes {list(classes)}, got {unknown[0]!r}")
    numbers = np.array([classes.index(label) for label in own], dtype=np.int64)
    # Extra detections, the last row, are false ones of every class.
    is_scored = np.append(np.isin(np.arange(len(classes)), numbers), True)
    penalised = is_scored[:, None] & (np.arange(len(classes) + 1)[:, None] != numbers)
    for label, others in _exemptions(exempt, classes).items():
        if label in own:
            penalised[[classes.index(other) for other in others], own.index(label)] = False
    plain = isinstance(exempt, str) and exempt == "none"
    return Rules(own, numbers, penalised, is_scored if plain else np.ones_like(is_scored))


def _exemptions(exempt: Exempt, classes: tuple[Any, ...]) -> dict[Any, list[Any]]:
    if isinstance(exempt, str) and exempt in ("ec57", "none"):
        given = _EC57 if exempt == "ec57" else {}
        return {label: [other for other in others if other in classes] for label, others in given.items()}
    if not isinstance(exempt, Mapping):
        raise ValueError(f"exempt must be 'ec57', 'none' or a dict of label to labels, got {exempt!r}")
    unknown = [label for pair in exempt.items() for label in (pair[0], *pair[1]) if label not in classes]
    if unknown:
        raise ValueError(f"exempt has the label {unknown[0]!r}, which is none of the classes {list(classes)}")
    return {label: list(others) for label, others in exempt.items()}


def distinct(values: Any, name: str) -> tuple[Any, ...]:
    """Return labels or names as a tuple.

    Raises
    ------
    TypeError, ValueError
        If they are no sequence, there is none, or one occurs twice; the message has `name`.
    """
    if isinstance(values, str) or not hasattr(values, "__len__"):
        raise TypeError(f"{name} must be a sequence, got {values!r}")
    own = tuple(values.tolist() if hasattr(values, "tolist") else values)
    twice = [value for k, value in enumerate(own) if value in own[:k]]
    if twice or not own:
        raise ValueError(f"{name} must hold each value once, and one at least, got {list(own)!r:.200}")
    return own
