"""Dower's matrix: the twelve leads of a heart dipole, and back.

The dipole has the components X (to the left), Y (to the feet) and Z (to the back).

References
----------
Dower GE, Machado HB, Osborne JA. Clin Cardiol 1980;3:87-95 (the matrix). Edenbrandt L, Pahlm O. J Electrocardiol
1988;21:361-367 (its inverse).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .leads import DERIVED, INDEPENDENT, LEADS

__all__ = ["DOWER", "DOWER_EIGHT", "INVERSE_DOWER"]

Array = NDArray[np.float64]


def _read_only(matrix: Array) -> Array:
    matrix.setflags(write=False)
    return matrix


DOWER_EIGHT: Array = _read_only(np.array([
    [0.632, -0.235, 0.059], [0.235, 1.066, -0.132], [-0.515, 0.157, -0.917], [0.044, 0.164, -1.387],
    [0.882, 0.098, -1.277], [1.213, 0.127, -0.601], [1.125, 0.127, -0.086], [0.831, 0.076, 0.230],
]))  # fmt: skip
"""Leads I, II, V1 to V6 of a dipole, shape (8, 3)."""


def _twelve_rows() -> Array:
    rows = np.empty((len(LEADS), 3))
    rows[INDEPENDENT] = DOWER_EIGHT
    for name, weights in DERIVED.items():
        rows[LEADS.index(name)] = np.array(weights) @ DOWER_EIGHT[:2]
    return rows


DOWER: Array = _read_only(_twelve_rows())
"""The twelve leads of a dipole, shape (12, 3): III, aVR, aVL and aVF follow from I and II."""


def _twelve_columns(eight: Array) -> Array:
    columns = np.zeros((3, len(LEADS)))
    columns[:, INDEPENDENT] = eight
    return columns


INVERSE_DOWER: Array = _read_only(_twelve_columns(np.array([
    [0.156, -0.010, -0.172, -0.074, 0.122, 0.231, 0.239, 0.194],
    [-0.227, 0.887, 0.057, -0.019, -0.106, -0.022, 0.041, 0.048],
    [0.022, 0.102, -0.229, -0.310, -0.246, -0.063, 0.055, 0.108],
])))  # fmt: skip
"""The dipole from the twelve leads, shape (3, 12): 0 for the leads that follow from I and II."""
