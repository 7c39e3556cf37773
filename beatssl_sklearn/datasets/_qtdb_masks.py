"""Masks of records in which some beats are marked: what the marks tell, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..ecg.waves.find import WAVES

_LONGEST_RR = 1.5
"""No beat is missing between two marked beats up to this many times the record's usual distance."""
_FOLLOWS = {("P", "QRS"), ("QRS", "T"), ("T", "P")}


def paint_beats(waves: Mapping[str, NDArray[np.float64]], n_times: int) -> NDArray[np.int8]:
    """Paint marked beats as labels of each sample.

    Parameters
    ----------
    waves : dict of wave to ndarray of shape (n_waves, 3)
        Onset, peak and offset [samples], NaN for a missing mark.
    n_times : int
        Length of the record [samples].

    Returns
    -------
    mask : ndarray of shape (n_times,), int8
        0 background, 1 P, 2 QRS, 3 T, -1 unknown; `fetch_qtdb` states the rules.
    """
    mask = np.full(n_times, -1, np.int8)
    rows: list[tuple[str, float, float, float]] = [(wave, *row) for wave in WAVES for row in waves[wave].tolist()]
    rows.sort(key=lambda row: row[2])
    qrs = np.sort(waves["QRS"][:, 1])
    usual = float(np.quantile(np.diff(qrs), 0.25)) if len(qrs) > 1 else np.inf
    for (wave, _, peak, offset), (following, onset, next_peak, _) in zip(rows, rows[1:], strict=False):
        if wave == "T":
            near = _of_neighbours(qrs, peak, next_peak, _LONGEST_RR * usual)
        else:
            near = next_peak - peak <= usual
        # A missing mark is NaN, and NaN is not smaller than anything.
        if (wave, following) in _FOLLOWS and near and offset < onset:
            mask[int(offset) + 1 : int(onset)] = 0
    for wave, onset, peak, offset in rows:
        start, stop = (peak if np.isnan(mark) else mark for mark in (onset, offset))
        mask[int(start) : int(stop) + 1] = WAVES.index(wave) + 1
    return mask


def _of_neighbours(qrs: NDArray[np.float64], first: float, second: float, longest: float) -> bool:
    """Whether the QRS before `first` and the QRS after `second` are `longest` apart or less."""
    before, after = int(np.searchsorted(qrs, first)) - 1, int(np.searchsorted(qrs, second))
    return before >= 0 and after < len(qrs) and bool(qrs[after] - qrs[before] <= longest)
