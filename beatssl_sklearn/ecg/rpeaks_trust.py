"""Trust in leads for the multi-lead R-peak detector: a weight per lead and stretch of a record.

In a good lead, the activity of a beat stands far above the rest, and between the waves there is next to none. In a
noisy lead this is not so, and such a lead counts less beside a good one. Good leads count alike: a lead in which some
beats are small may be the only one that shows the others. One lead, and many leads, need no weights: the cap of
`shared` takes care of one lead among many.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .rpeaks_activity import Grid, Signal, shared_by
from .rpeaks_beats import window_step

# A lead is good in which the highest activity of a second or so is so many times its mean, and its lower quartile.
_GOOD, _STILL = 8.0, 100.0
_SEGMENTS = 4  # of a stretch, about 1.25 s each: long enough for a beat
_LEAST = 3  # segments that a record needs
_TINY = np.finfo(np.float32).tiny


class Trust(NamedTuple):
    """Weights of the leads of one record, linear between knots and constant before the first and after the last."""

    knot: NDArray[np.float64]
    """Of shape (n_knots,), coarse samples."""
    weight: Signal
    """Of shape (n_leads, n_knots), 1 for the best lead."""

    def at(self, position: NDArray) -> Signal:
        """Return the weights (n_leads, n_positions) at coarse positions, or (n_leads, 1) if they are constant."""
        if len(self.knot) == 1:
            return self.weight
        return np.array([np.interp(position, self.knot, row) for row in self.weight], np.float32)

    def near(self, position: float) -> Trust:
        """Return the weights at the knot next to a coarse position."""
        k = int(np.abs(self.knot - position).argmin())
        return Trust(self.knot[k : k + 1], self.weight[:, k : k + 1])


def trusted(bends: Signal, activity: Signal, grid: Grid) -> dict[int, Trust]:
    """Weigh the leads of records, and correct their activity.

    Parameters
    ----------
    bends : ndarray of shape (n_records, n_leads, n_coarse)
        Second differences of 2 or 3 leads.
    activity : ndarray of shape (n_records, n_coarse)
        Activity of all leads, overwritten where leads do not count alike.
    grid : Grid
        The coarse time axis.

    Returns
    -------
    dict of Trust
        By record; without those records whose leads count alike throughout.
    """
    # A long record has a stretch of 5 s between knots, and a knot's weights come from both of its stretches.
    step, n_coarse = window_step(grid), bends.shape[2]
    segment, long = step // _SEGMENTS, n_coarse > 3 * step
    n, each = (n_coarse // step, _SEGMENTS) if long else (1, n_coarse // segment)
    if each < _LEAST:
        return {}
    length = step if long else n_coarse
    cut = bends[:, :, : n * length].reshape(*bends.shape[:2], n, length)[..., : each * segment]
    cut = cut.reshape(*cut.shape[:3], each, segment)
    three = np.empty((3, *cut.shape[:4]), np.float32)
    cut.max(axis=4, out=three[0])
    cut.sum(axis=4, out=three[1])
    quarter = segment // 4
    three[2] = np.partition(cut[..., ::2], quarter // 2, axis=4)[..., quarter // 2]
    if long:
        three = np.concatenate([three[..., :-1, :], three[..., 1:, :]], axis=4)
    # The upper one of two medians will do.
    middle = three.shape[4] // 2
    beat, total, quiet = np.partition(three, middle, axis=4)[..., middle]
    good = np.minimum(_ratio(beat, total), _GOOD / segment) * np.sqrt(np.minimum(_ratio(beat, quiet), _STILL))
    unlike = np.flatnonzero((good[:, 1:] != good[:, :-1]).any(axis=(1, 2)))
    knot, out = np.arange(1, n) * float(length) if long else np.zeros(1), {}
    for i in unlike.tolist():
        out[i] = Trust(knot, _weights(beat[i], good[i]))
        if long:
            _weigh_stretches(bends[i], out[i].weight, length, activity[i])
        else:
            activity[i] = shared_by(bends[i], out[i].weight)
    return out


def _weights(beat: Signal, good: Signal) -> Signal:
    """Weigh leads (first axis) by how good they are, and by the height of their beats."""
    most = good.max(axis=0)
    weight = np.where(most > 0, _ratio(good, most), np.float32(1))
    # Noise makes a lead large. A lead that is not good counts as if it were no larger than the best.
    best = np.take_along_axis(beat, good.argmax(axis=0)[None], axis=0)
    return np.asarray(weight * np.minimum(_ratio(best, beat), 1) ** (1 - weight), np.float32)


def _ratio(top: Signal, bottom: Signal) -> Signal:
    """Divide, with 0 for nothing by nothing."""
    return np.asarray(top / np.maximum(bottom, _TINY), np.float32)


def _weigh_stretches(bends: Signal, weight: Signal, length: int, activity: Signal) -> None:
    """Write the activity of one long record in the stretches in which leads do not count alike."""
    n = bends.shape[1] // length
    left, right = np.concatenate([weight[:, :1], weight], axis=1), np.concatenate([weight, weight[:, -1:]], axis=1)
    unlike = np.flatnonzero((np.minimum(left, right) < 1).any(axis=0))
    left, right = left[:, unlike, None], right[:, unlike, None]
    ramp = np.arange(length, dtype=np.float32) / np.float32(length)
    stretches = bends[:, : n * length].reshape(len(bends), n, length)[:, unlike]
    activity[: n * length].reshape(n, length)[unlike] = shared_by(stretches, left + (right - left) * ramp)
    # What is shorter than a stretch remains at the end.
    activity[n * length :] = shared_by(bends[:, n * length :], weight[:, -1:])
