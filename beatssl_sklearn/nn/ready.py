"""Networks that are ready to run, kept beside the arrays that they are made of."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

_Network = TypeVar("_Network")


class ReadyNetworks(Generic[_Network]):
    """Networks made once per device and precision.

    A pickle, a copy and a hash of this object are as of an empty one, so that arrays alone describe what holds it.
    """

    def __init__(self) -> None:
        self._made: dict[Hashable, _Network] = {}

    def get(self, key: Hashable, make: Callable[[], _Network]) -> _Network:
        """Return the network of a key; `make` is called where there is none."""
        found = self._made.get(key)
        # Without a lock: two threads may both make one, and the first that is done is kept. A lock that another thread
        # holds at a fork would never be released in the child.
        return self._made.setdefault(key, make()) if found is None else found

    def __reduce__(self) -> Any:
        return type(self), ()
