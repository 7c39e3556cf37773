"""Whether the P waves of a lead are those of a rhythm: noise and fibrillation make some that belong to no beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .rules import LABEL_P, LABEL_QRS

__all__ = ["unsteady"]

_PR_S, _ALIKE_S = 0.5, 0.03  # longest PR interval, and how far one may be from the usual one [s]
_FEWEST, _ALIKE, _MOST = 5, 0.1, 0.75  # so many P are regular if so many intervals are so near to the usual one


def unsteady(
    strip: NDArray[np.int64],
    label: NDArray[np.int8],
    start: NDArray[np.int64],
    n_strips: int,
    fs: float,
    share: float,
) -> NDArray[np.bool_]:
    """Tell which strips have P waves of no rhythm.

    Parameters
    ----------
    strip : ndarray of int64, shape (n_waves,)
        Strip of each wave; rows are in order of the strips, then of time.
    label : ndarray of int8, shape (n_waves,)
        1 P, 2 QRS, 3 T.
    start : ndarray of int64, shape (n_waves,)
        First sample, on an axis on which no two strips overlap.
    n_strips : int
    fs : float
        Sampling rate [Hz].
    share : float
        A strip has a rhythm if so many of its complexes have a P at the usual distance before them. Or if it has more P
        than complexes, or P at regular intervals: where the AV node conducts some or none.

    Returns
    -------
    ndarray of bool, shape (n_strips,)
    """
    is_p, is_qrs = label == LABEL_P, label == LABEL_QRS
    n_p, n_qrs = (np.bincount(strip[rows], minlength=n_strips) for rows in (is_p, is_qrs))
    # The last P before each complex, if no other complex stands between.
    rows = np.flatnonzero(is_p | is_qrs)
    pairs = np.flatnonzero(is_p[rows[:-1]] & is_qrs[rows[1:]] & (strip[rows[:-1]] == strip[rows[1:]]))
    pr = (start[rows[pairs + 1]] - start[rows[pairs]]) / fs
    short = pr < _PR_S
    of_pr, pr = strip[rows[pairs]][short], pr[short]
    usual = _middle(pr, of_pr, n_strips)
    n_usual = np.bincount(of_pr[np.abs(pr - usual[of_pr]) < _ALIKE_S], minlength=n_strips)
    p = np.flatnonzero(is_p)
    one = strip[p[1:]] == strip[p[:-1]]
    of_pp, pp = strip[p[1:]][one], (start[p[1:]] - start[p[:-1]])[one] / fs
    usual = _middle(pp, of_pp, n_strips)
    n_alike = np.bincount(of_pp[np.abs(pp - usual[of_pp]) <= _ALIKE * usual[of_pp]], minlength=n_strips)
    regular = (n_p >= _FEWEST) & (n_alike >= _MOST * (n_p - 1))
    return np.asarray((n_usual < share * n_qrs) & (n_p <= n_qrs) & ~regular)


def _middle(values: NDArray[np.float64], group: NDArray[np.int64], n_groups: int) -> NDArray[np.float64]:
    """Return the median of each group, of two the upper one; 0 for an empty group."""
    out = np.zeros(n_groups)
    ordered = values[np.lexsort((values, group))]
    n = np.bincount(group, minlength=n_groups)
    some = np.flatnonzero(n)
    out[some] = ordered[(np.cumsum(n) - n + n // 2)[some]]
    return out
