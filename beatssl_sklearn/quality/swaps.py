"""What can be wrong with the leads of a record, as a linear map of its eight independent leads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..ecg.leads import EIGHT_LEADS

_LIMB = {
    # New I and II as weights of I and II; each undoes itself.
    "LA/RA": ((-1, 0), (-1, 1)),
    "LA/LL": ((0, 1), (1, 0)),
    "RA/LL": ((1, -1), (0, -1)),
}


def _limb(weights: tuple[tuple[int, int], tuple[int, int]]) -> NDArray[np.float32]:
    matrix = np.eye(len(EIGHT_LEADS), dtype=np.float32)
    matrix[:2, :2] = weights
    return matrix


def _neighbours(first: int) -> NDArray[np.float32]:
    order = np.arange(len(EIGHT_LEADS))
    order[[first, first + 1]] = order[[first + 1, first]]
    return np.eye(len(EIGHT_LEADS), dtype=np.float32)[order]


def _inverted(lead: int) -> NDArray[np.float32]:
    matrix = np.eye(len(EIGHT_LEADS), dtype=np.float32)
    matrix[lead, lead] = -1
    return matrix


SWAPS: dict[str, NDArray[np.float32]] = (
    {f"swap {name}": _limb(weights) for name, weights in _LIMB.items()}
    | {f"swap V{k}/V{k + 1}": _neighbours(k + 1) for k in range(1, 6)}
    | {f"inverted {name}": _inverted(k) for k, name in enumerate(EIGHT_LEADS)}
)
"""Matrices (8, 8) that turn leads I, II, V1 to V6 as they should be into those of a mistake, and back."""
LIMB_SWAPS: tuple[str, ...] = tuple(f"swap {name}" for name in _LIMB)
"""Mistakes that change all six limb leads: electrodes of arms and leg."""
# Neighbours on the left of the chest, and LA and LL, show nearly the same heart: patients look like their swaps.
_SUBTLE = ("swap LA/LL", "swap V2/V3", "swap V3/V4", "swap V4/V5", "swap V5/V6")
_ODDS_OF_SUBTLE = 100.0


def least_certainty(mistake: str, certainty: float) -> float:
    """Return the certainty that `fix_leads` asks for before it undoes a mistake.

    Parameters
    ----------
    mistake : str
        One of `SWAPS`.
    certainty : float
        What the user asks for, below 1.

    Returns
    -------
    float
        The same; a hundred times its odds for swaps that change little: LA and LL, and neighbours from V2 on.
    """
    odds = certainty / (1 - certainty) * (_ODDS_OF_SUBTLE if mistake in _SUBTLE else 1.0)
    return odds / (1 + odds) if mistake in _SUBTLE else certainty
