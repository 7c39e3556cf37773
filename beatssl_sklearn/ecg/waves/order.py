"""What the waves of one beat may be, in waves that were put together: of windows, or of leads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .rules import LABEL_P, LABEL_QRS, LABEL_T

__all__ = ["early_p", "extra_t"]


def extra_t(strip: NDArray[np.int64], label: NDArray[np.int8], weight: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell which T waves are not the first choice of their beat.

    Parameters
    ----------
    strip : ndarray of int64, shape (n_waves,)
        Lead of a record that each wave is of; rows are in order of the strips, then of time.
    label : ndarray of int8, shape (n_waves,)
        1 P, 2 QRS, 3 T.
    weight : ndarray of float, shape (n_waves,)
        Of several T between two QRS the one with the largest weight is kept; of equal ones, the first.

    Returns
    -------
    ndarray of bool, shape (n_waves,)
    """
    extra = np.zeros(len(label), bool)
    rows = np.flatnonzero(label == LABEL_T)
    beat = _beats(strip, label)[rows]
    order = np.lexsort((-weight[rows], beat))
    extra[rows[order[1:][beat[order][1:] == beat[order][:-1]]]] = True
    return extra


def early_p(
    strip: NDArray[np.int64],
    label: NDArray[np.int8],
    onset: NDArray[np.float64],
    offset: NDArray[np.float64],
    p_blanking: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Find each P between a QRS and its T that begins too early after the QRS.

    Parameters
    ----------
    strip, label
        As for `extra_t`, after it: a beat has one T.
    onset, offset : ndarray of float64, shape (n_waves,)
        Borders [samples].
    p_blanking : float
        Shortest time from the end of the QRS to the beginning of a P [samples].

    Returns
    -------
    p, qrs, t : ndarray of int64, shape (n_found,)
        Rows of these P waves, and of the QRS and the T around each.
    """
    beat = _beats(strip, label)
    qrs_of, t_of = np.full((2, int(beat.max(initial=-1)) + 1), -1)
    for of_beat, wave in ((qrs_of, LABEL_QRS), (t_of, LABEL_T)):
        rows = np.flatnonzero(label == wave)
        of_beat[beat[rows]] = rows
    p = np.flatnonzero(label == LABEL_P)
    qrs, t = qrs_of[beat[p]], t_of[beat[p]]
    early = (qrs >= 0) & (t > p) & (onset[p] - offset[qrs] < p_blanking)
    return p[early], qrs[early], t[early]


def _beats(strip: NDArray[np.int64], label: NDArray[np.int8]) -> NDArray[np.int64]:
    """Number the beats: a beat lasts from one QRS to the next, and ends with its strip."""
    return np.cumsum((label == LABEL_QRS) | (np.diff(strip, prepend=-1) != 0)) - 1
