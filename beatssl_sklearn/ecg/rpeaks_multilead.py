"""The multi-lead R-peak detector: activity of all leads, its levels, beats, R peaks.

It looks for activity that many leads share and that is high for *this* record. So amplitude and polarity do not matter,
and one dead or noisy lead cannot decide. `detect_rpeaks` documents the steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .rpeaks_activity import FEW, Grid, Index, Mask, Signal, coarse_activity, stand_still
from .rpeaks_beats import find_beats, window_step
from .rpeaks_gaps import without_gaps
from .rpeaks_refine import refined
from .rpeaks_second_look import CLOSE, MANY, look_again
from .rpeaks_trust import trusted


def level_step(fs: float) -> int:
    """Return the distance at which the levels of long records are taken [samples].

    The beats in a stretch that begins at a multiple of it are those in the whole record, but for some seconds at its
    ends.
    """
    grid = Grid.at(fs)
    return window_step(grid) * grid.block


def multilead(x: NDArray, fs: float) -> list[Index]:
    """Find the R peaks of records (n_records, n_leads, n_times) [samples]."""
    grid = Grid.at(fs)
    if x.dtype.kind != "f":
        x = x.astype(np.float32)
    n_leads, stands = np.zeros(len(x), np.int64), np.zeros(len(x), bool)
    activity = np.zeros((len(x), x.shape[2] // grid.block), np.float32)
    bends = np.zeros((*x.shape[:2], activity.shape[1]), np.float32) if 1 < x.shape[1] <= FEW else None
    # The sums show gaps and overflows; `without_gaps` bridges gaps and refuses infinite values.
    with np.errstate(invalid="ignore", over="ignore"):
        for i in range(len(x)):
            n_leads[i], stands[i] = coarse_activity(x[i], grid, activity[i], None if bends is None else bends[i])
        stands |= stand_still(activity, grid.lag)
        mended, gone = _mended(x, stands, n_leads, activity, bends, grid, fs) if stands.any() else ({}, {})
        trust = {} if bends is None else trusted(bends, activity, grid)
        beats, levels = find_beats(activity, n_leads, grid, gone)
        signals = [mended.get(i, x[i]) for i in range(len(x))] if mended else x
        peaks, narrow = refined(signals, beats.record, grid.samples(beats.position), fs, trust)
        bounds = np.searchsorted(beats.record, np.arange(len(x) + 1)).tolist()
        out = [peaks[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
        doubtful = np.logical_or.reduce(levels.high < CLOSE * levels.low, axis=1)
        doubtful[beats.record[narrow]] = True
        # A long record is looked at window by window.
        doubtful |= (len(levels.centre) > 1) | (np.diff(bounds) > MANY * x.shape[2] / fs)
        for i in np.flatnonzero(doubtful).tolist():
            own = narrow[bounds[i] : bounds[i + 1]]
            out[i] = look_again(signals[i], fs, out[i], own, activity[i], levels.of(i), gone.get(i), trust.get(i))
    return out


def _mended(
    x: NDArray, stands: Mask, n_leads: Index, activity: Signal, bends: Signal | None, grid: Grid, fs: float
) -> tuple[dict[int, Signal], dict[int, Mask]]:
    """Return records without their gaps, and the coarse samples of long gaps; correct the activity and the bends."""
    mended: dict[int, Signal] = {}
    gone: dict[int, Mask] = {}
    for i in np.flatnonzero(stands).tolist():
        whole = without_gaps(x[i], i, fs)
        if whole is None:
            continue
        mended[i], gap = whole
        own = None if bends is None else bends[i]
        n_leads[i], _ = coarse_activity(mended[i], grid, activity[i], own)
        if gap is not None:
            blocks = gap[: activity.shape[1] * grid.block].reshape(-1, grid.block)
            gone[i] = np.logical_or.reduce(blocks, axis=1)
            activity[i, gone[i]] = 0
            if own is not None:
                own[:, gone[i]] = 0
    return mended, gone
