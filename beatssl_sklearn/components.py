"""Checks of constructor parameters, made in `fit`; every message names the parameter and its value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from .ecg.preprocess import AMPLITUDES, check_fs
from .inputs.front_end import check_beat_window

RHYTHM_TARGETS = ("none", "hard", "soft", "paper")
BEAT_TARGETS = ("none", "hard", "soft")
SIMILARITIES = ("rbf", "cosine")
SAME_GROUP = ("mask", "positive")

_INF = float("inf")


class Bounds(NamedTuple):
    """What a number must be: of a kind (`Integral` or `Real`), and neither below nor above."""

    kind: Any
    low: float
    high: float = _INF
    or_none: bool = False
    """Whether None will do, too."""


_NUMBERS = {
    "projection_dim": Bounds(Integral, 1),
    "max_epochs": Bounds(Integral, 0),
    "batch_size": Bounds(Integral, 2),
    "temperature": Bounds(Real, 1e-6),
    "exponent": Bounds(Real, 0),
    "perplexity": Bounds(Real, 1),
    "soft_fraction": Bounds(Real, 0, 1),
    "beat_weight": Bounds(Real, 0),
    "beat_phases": Bounds(Integral, 1, 64),
    "feature_weight": Bounds(Real, 0),
    "beat_feature_weight": Bounds(Real, 0),
    "lr": Bounds(Real, 0),
    "weight_decay": Bounds(Real, 0),
}
_CHOICES = {
    "rhythm_targets": RHYTHM_TARGETS,
    "beat_targets": BEAT_TARGETS,
    "similarity": SIMILARITIES,
    "same_group": SAME_GROUP,
    "amplitude": AMPLITUDES,
}


def check_number(name: str, value: Any, kind: Any, low: float, high: float = _INF) -> None:
    """Refuse a number of the wrong type or outside its range.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and the value.
    """
    noun = "an integer" if kind is Integral else "a number"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, kind):
        raise TypeError(f"{name} must be {noun}, got {value!r}")
    if not low <= value <= high:
        bound = f"at least {low:g}" if high == _INF else f"between {low:g} and {high:g}"
        raise ValueError(f"{name} must be {noun} {bound}, got {value!r}")


def check_numbers(estimator: Any, table: Mapping[str, Bounds]) -> None:
    """Check the parameters of an estimator that are numbers, in the order of the table.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and the value.
    """
    for name, (kind, low, high, or_none) in table.items():
        value = getattr(estimator, name)
        if value is not None or not or_none:
            check_number(name, value, kind, low, high)


def check_parameters(estimator: Any) -> None:
    """Check the parameters of a `BeatSSLPretrainer`.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and the value.
    """
    check_fs(estimator.fs, "fs")
    check_fs(estimator.fs_model, "fs_model")
    check_numbers(estimator, _NUMBERS)
    for name, choices in _CHOICES.items():
        value = getattr(estimator, name)
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
    for name in ("encoder_params", "augment_params"):
        value = getattr(estimator, name)
        if value is not None and not isinstance(value, Mapping):
            raise TypeError(f"{name} must be a dict or None, got {value!r}")
    check_numbers(estimator, {"validation_fraction": Bounds(Real, 0.01, 0.9, or_none=True)})
    check_beat_window(estimator.beat_window)
    if estimator.checkpoint_dir is not None and not isinstance(estimator.checkpoint_dir, (str, os.PathLike)):
        raise TypeError(f"checkpoint_dir must be a folder's path or None, got {estimator.checkpoint_dir!r}")
    if estimator.checkpoint_dir is not None and estimator.random_state is None:
        raise ValueError("checkpoint_dir needs a random_state other than None: a resumed run repeats its draws")




def seed_of(random_state: Any) -> int:
    """Return the integer that keys every draw of a fit.

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
