"""What the waves of one beat may be, in waves that were put together: of windows, or of leads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .rules import LABEL_P, LABEL_QRS, LABEL_T

__all__ = ["REACH_S", "early_p", "extra_t"]


REACH_S = 8.0
"""How far apart two waves may be and still belong to one beat, where no complex stands between them [s].

Where a lead shows no complexes, a beat would have no end; and a record that is read in pieces has 10 s beside each.
"""


def extra_t(
    strip: NDArray[np.int64],
    label: NDArray[np.int8],
    weight: NDArray[np.floating],
    peak: NDArray[np.float64],
    reach: float,
) -> NDArray[np.bool_]:
    """Tell which T waves are not the first choice of their beat.

    Parameters
    ----------
    strip : ndarray of int64, shape (n_waves,)
        Lead of a record that each wave is of; rows are in order of the strips, then of time.
    label : ndarray of int8, shape (n_waves,)
        1 P, 2 QRS, 3 T.
    weight : ndarray of float, shape (n_waves,)
        Of several T between two QRS the one with the largest weight is kept; of equal ones, the first.
    peak : ndarray of float64, shape (n_waves,)
        [samples].
    reach : float
        Farther from each other, two T are not of one beat [samples].

    Returns
    -------
    ndarray of bool, shape (n_waves,)
    """
    extra = np.zeros(len(label), bool)
    rows = np.flatnonzero(label == LABEL_T)
    beat = _beats(strip, label)[rows]
    # Each T beside the one that follows, then beside the second: hardly any beat has more than two.
    for k in range(1, len(rows)):
        first, second = rows[:-k], rows[k:]
        rivals = (beat[k:] == beat[:-k]) & (peak[second] - peak[first] < reach)
        if not rivals.any():
            break
        first, second = first[rivals], second[rivals]
        second_wins = weight[second] > weight[first]
        extra[np.where(second_wins, first, second)] = True
    return extra


def early_p(
    strip: NDArray[np.int64],
    label: NDArray[np.int8],
    onset: NDArray[np.float64],
    offset: NDArray[np.float64],
    p_blanking: float,
    reach: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Find each P between a QRS and its T that begins too early after the QRS.

    Parameters
    ----------
    strip, label
        As for `extra_t`, after it.
    onset, offset : ndarray of float64, shape (n_waves,)
        Borders [samples].
    p_blanking : float
        Shortest time from the end of the QRS to the beginning of a P [samples].
    reach : float
        Later than this after the P, a T does not count [samples].

    Returns
    -------
    p, qrs, t : ndarray of int64, shape (n_found,)
        Rows of these P waves, and of the QRS and the T around each.
    """
    beat = _beats(strip, label)
    qrs_of = np.full(int(beat.max(initial=-1)) + 1, -1)
    rows = np.flatnonzero(label == LABEL_QRS)
    qrs_of[beat[rows]] = rows
    p, t = np.flatnonzero(label == LABEL_P), np.flatnonzero(label == LABEL_T)
    if not len(t):
        return p[:0], p[:0], t
    following = np.searchsorted(t, p)
    some = following < len(t)
    p, t = p[some], t[following[some]]
    qrs = qrs_of[beat[p]]
    early = (qrs >= 0) & (beat[t] == beat[p]) & (onset[t] - onset[p] < reach) & (onset[p] - offset[qrs] < p_blanking)
    return p[early], qrs[early], t[early]


def _beats(strip: NDArray[np.int64], label: NDArray[np.int8]) -> NDArray[np.int64]:
    """Number the beats: a beat lasts from one QRS to the next, and ends with its strip."""
    return np.cumsum((label == LABEL_QRS) | (np.diff(strip, prepend=-1) != 0)) - 1
