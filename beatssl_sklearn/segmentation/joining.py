"""Waves of the windows of a long record, put together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ecg.waves.find import Waves
from ..ecg.waves.order import early_p, extra_t
from ..ecg.waves.rules import LABEL_QRS


class _Sights(NamedTuple):
    """Waves, and the window in which each was seen."""

    waves: Waves
    window: NDArray[np.int64]

    def take(self, rows: NDArray) -> _Sights:
        return _Sights(take(self.waves, rows), self.window[rows])


def take(waves: Waves, rows: NDArray) -> Waves:
    """Return some of the waves."""
    return Waves(*(column[rows] for column in waves))


def joined(parts: list[Waves], *, refractory: float, p_blanking: float, reach: float) -> Waves:
    """Put the waves of the windows of long records together.

    Of two sights of one wave across a border, the surer one stays. Then the rules of `find_waves` hold again, which
    each window has kept for itself: across a border, complexes keep their distance, a beat has one T, and no P stands
    right after a QRS and before its T.

    Parameters
    ----------
    parts : list of Waves
        Of each window, positions counted from the beginning of the record.
    refractory, p_blanking : float
        As for `find_waves`, in samples.
    reach : float
        As for `ecg.waves.order.extra_t`.

    Returns
    -------
    Waves
        In order of the strips, then of the onsets.
    """
    if len(parts) == 1:
        return parts[0]
    columns = Waves(*(np.concatenate(c) for c in zip(*parts, strict=True)))
    sights = _Sights(columns, np.repeat(np.arange(len(parts)), [len(part.strip) for part in parts]))
    sights = sights.take(np.lexsort((columns.onset, columns.strip)))
    # Sights of one wave first: which of them stays decides how far the wave beside it may reach.
    sights = _without_overlaps(sights, alike=True)
    sights = _without_overlaps(sights._replace(waves=_apart(sights.waves)), alike=False)
    return _in_order(_without_near_qrs(sights, refractory), p_blanking, reach).waves


def _apart(waves: Waves) -> Waves:
    """Let neighbours that overlap less than up to their peaks meet in the middle."""
    onset, offset = waves.onset.copy(), waves.offset.copy()
    overlap = (waves.strip[1:] == waves.strip[:-1]) & (onset[1:] < offset[:-1])
    overlap &= (waves.peak[:-1] < onset[1:]) & (offset[:-1] < waves.peak[1:])
    onset[1:][overlap] = offset[:-1][overlap] = ((onset[1:] + offset[:-1]) / 2)[overlap]
    return waves._replace(onset=onset, offset=offset)


def _without_overlaps(sights: _Sights, alike: bool) -> _Sights:
    while len(sights.window) > 1:
        waves = sights.waves
        overlap = (waves.strip[1:] == waves.strip[:-1]) & (waves.onset[1:] < waves.offset[:-1])
        if alike:
            overlap &= waves.wave[1:] == waves.wave[:-1]
        if not overlap.any():
            break
        sights = sights.take(~_weaker(overlap, waves.confidence))
    return sights


def _without_near_qrs(sights: _Sights, refractory: float) -> _Sights:
    """Of complexes of two windows that are too close, keep the surer one."""
    while True:
        waves = sights.waves
        rows = np.flatnonzero(waves.wave == LABEL_QRS)
        near = (np.diff(waves.peak[rows]) < refractory) & (np.diff(waves.strip[rows]) == 0)
        near &= np.diff(sights.window[rows]) != 0
        if not near.any():
            return sights
        kept = np.ones(len(waves.strip), bool)
        kept[rows[_weaker(near, waves.confidence[rows])]] = False
        sights = sights.take(kept)


def _in_order(sights: _Sights, p_blanking: float, reach: float) -> _Sights:
    waves = sights.waves
    # As in `find_waves`: the largest sum of probability.
    mass = waves.confidence * (waves.offset - waves.onset)
    sights = sights.take(~extra_t(waves.strip, waves.wave, mass, waves.peak, reach))
    waves, window = sights
    p, qrs, t = early_p(waves.strip, waves.wave, waves.onset, waves.offset, p_blanking, reach)
    # Within a window borders decided before they were moved to their mean positions.
    across = p[(window[p] != window[qrs]) | (window[p] != window[t])]
    return sights.take(np.setdiff1d(np.arange(len(window)), across))


def _weaker(pairs: NDArray[np.bool_], confidence: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the less sure row of each pair of neighbours; of equally sure ones, the second."""
    first_goes = pairs & (confidence[:-1] < confidence[1:])
    gone = np.zeros(len(confidence), dtype=bool)
    gone[:-1] |= first_goes
    gone[1:] |= pairs & ~first_goes
    return gone
