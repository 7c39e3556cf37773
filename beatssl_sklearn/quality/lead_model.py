"""Coefficients of the models of `check_leads`. ``python -m benchmarks.study_leads --write`` fits them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .lead_shapes import shape_inputs
from .swaps import SWAPS


class LeadModel(NamedTuple):
    """Logistic models.

    Attributes
    ----------
    weights : ndarray of shape (n_swaps, n_inputs)
        In the order of `SWAPS`.
    intercepts : ndarray of shape (n_swaps,)
    rate_weights : ndarray of shape (2, 2)
        Of a rate that is too high, and too low.
    rate_intercepts : ndarray of shape (2,)
    """

    weights: NDArray[np.float32]
    intercepts: NDArray[np.float32]
    rate_weights: NDArray[np.float32]
    rate_intercepts: NDArray[np.float32]


@cache
def lead_model() -> LeadModel:
    """Return the models of the package."""
    with (files(__package__) / "leads.npz").open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return LeadModel(*(arrays[name] for name in LeadModel._fields))


def swap_logits(beats: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the logit of each mistake of `SWAPS` (n_records, n_swaps) from median heartbeats; NaN without them."""
    model = lead_model()
    out = np.full((len(beats), len(SWAPS)), np.nan)
    known = np.isfinite(beats).all(axis=(1, 2)) & (np.abs(beats).max(axis=(1, 2), initial=0) > 0)
    if known.any():
        out[known] = shape_inputs(beats[known]) @ model.weights.T + model.intercepts
    return out
