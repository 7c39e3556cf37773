"""Activity for the multi-lead R-peak detector: where all leads bend together, at a coarse rate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float32]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]

_COARSE_FS = 60.0  # [Hz] lowest coarse rate, of sums of blocks of samples
_LAG = 0.032  # [s] of the second difference
_BOX = 0.1  # [s] about the length of a QRS complex
_REFRACTORY = 0.22  # [s]
_LEAD_CAP = 1.5  # most that a lead adds, relative to the mean of all: limits pacing spikes and electrode noise
_CHUNK = 1 << 15  # coarse samples per step: limits memory in long records
_STILL = 1e-5  # of the highest activity: what rounding leaves of none
_AT_END = 3  # coarse samples without activity at an end that may be padding
_EIGHT_TRUE = np.frombuffer(8 * b"\x01", np.uint64)[0]
FEW = 3
"""Leads among which each counts."""


class Grid(NamedTuple):
    """The coarse time axis."""

    block: int
    """Samples of the record in a coarse sample."""
    rate: float
    """Coarse samples per second."""
    lag: int
    box: int
    refractory: int

    @classmethod
    def at(cls, fs: float) -> Grid:
        block = max(1, int(fs / _COARSE_FS))
        rate = fs / block
        return cls(block, rate, round(_LAG * rate), round(_BOX * rate), round(_REFRACTORY * rate))

    def samples(self, coarse: Index) -> Index:
        """Return the centre of the box at each coarse position, in samples of the record."""
        return ((2 * (coarse - self.box // 2) + self.box) * self.block) // 2


def coarse_activity(x: NDArray, grid: Grid, out: Signal, bends: Signal | None = None) -> tuple[int, bool]:
    """Write the second difference of one record, summed over leads; and that of each lead to `bends`.

    Returns
    -------
    n_leads : int
        Leads that are not flat throughout.
    stands : bool
        Whether one of two or three leads stands still for some time; `stand_still` looks at one lead, and at all.
    """
    m, lag, n_leads, stands = len(out), grid.lag, 0, False
    for start in range(0, m, _CHUNK):
        a, b = max(0, start - lag), min(m, start + _CHUNK + lag)
        if b - a <= 2 * lag:
            continue
        # One memory order gives a record the same bits in its sums, whatever array it is a part of.
        part = np.ascontiguousarray(x[:, a * grid.block : b * grid.block], dtype=np.float32)
        # For so short an axis a product with ones is three times faster than a sum.
        d = second_difference(part.reshape(len(x), -1, grid.block) @ np.ones(grid.block, np.float32), lag)
        most = d.max(axis=1)
        alive = most > 0
        if 1 < len(x) <= FEW:
            # The cap takes care of one lead among many.
            stands = stands or bool(_eight_true(d <= _STILL * most[:, None])[alive].any())
        active = int(np.count_nonzero(alive))
        if bends is not None:
            bends[:, a + lag : b - lag] = d
        out[a + lag : b - lag] = shared(d, active)
        n_leads = max(n_leads, active)
    return n_leads, stands


def stand_still(activity: Signal, lag: int) -> Mask:
    """Tell for each record whether samples may be missing: its activity is not finite, or stops for some time."""
    inner = activity[:, lag : activity.shape[1] - lag]
    most = inner.max(axis=1, initial=0)
    out: Mask = ~np.isfinite(most)
    still = inner <= np.float32(_STILL) * most[:, None]
    if still.any():
        out |= still[:, :_AT_END].all(axis=1) | still[:, -_AT_END:].all(axis=1) | _eight_true(still)
    return out


def _eight_true(mask: Mask) -> Mask:
    """Tell for each row whether eight neighbours are True: certain from fifteen in a row; all are read at once."""
    eights = np.ascontiguousarray(mask[:, : mask.shape[1] // 8 * 8]).view(np.uint64)
    found: Mask = (eights == _EIGHT_TRUE).any(axis=1)
    return found


def second_difference(x: Signal, lag: int) -> Signal:
    """Return |2 x[t] - x[t - lag] - x[t + lag]| along the last axis, `lag` samples shorter at each end."""
    return bend(x[..., lag:] - x[..., :-lag], lag)


def bend(rise: Signal, lag: int) -> Signal:
    """Return the absolute difference of differences."""
    d = rise[..., :-lag] - rise[..., lag:]
    return np.abs(d, out=d)


def shared(d: Signal, n_leads: int) -> Signal:
    """Sum over leads (first axis), each capped at a multiple of their mean; `d` is overwritten."""
    cap = d.sum(axis=0)
    cap *= np.float32(_LEAD_CAP / max(n_leads, 1))
    total: Signal = np.minimum(d, cap, out=d).sum(axis=0)
    return total


def shared_by(d: Signal, weight: Signal) -> Signal:
    """Sum over leads (first axis), each times its weight and capped at a multiple of their weighted mean.

    With weights of 1, the result is that of `shared` to the last bit.
    """
    cap = (d * weight).sum(axis=0)
    cap *= np.float32(_LEAD_CAP) / np.maximum(weight.sum(axis=0), np.finfo(np.float32).tiny)
    total: Signal = (np.minimum(d, cap) * weight).sum(axis=0)
    return total


def boxed(activity: Signal, width: int) -> Signal:
    """Sum over `width` samples around each sample, with zeros outside."""
    n, m = activity.shape
    padded = np.zeros((n, m + width - 1), np.float32)
    padded[:, width // 2 : width // 2 + m] = activity
    out = padded[:, :m].copy()
    for j in range(1, width):
        out += padded[:, j : j + m]
    return out
