"""R peaks from beats: the sharpest deflection near each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .rpeaks_activity import FEW, Grid, Index, Mask, Signal, second_difference, shared
from .rpeaks_trust import Trust

_REFINE, _REFINE_LAG = 0.05, 0.048  # [s] search to each side, and lag of the second difference there
_NARROW, _NARROW_SHARE = 0.004, 0.55  # a spike falls below this share of its height so soon before and after [s]
_NARROW_FS = 200.0  # [Hz] lowest sampling rate at which a spike is narrower than a QRS complex
_MILDER = 0.8  # power of the weights here: a lead too poor to tell beats may still tell where the peak is
_ROWS = 512  # windows of single leads at once: they fit a core's cache


def refined(
    signals: Sequence[NDArray] | Mapping[int, NDArray] | NDArray,
    record: Index,
    centres: Index,
    fs: float,
    trust: Mapping[int, Trust],
) -> tuple[Index, Mask]:
    """Move beats to the sharpest deflection nearby.

    Parameters
    ----------
    signals : sequence of arrays of shape (n_leads, n_times)
        Signals of the records.
    record : ndarray of int64
        Record of each beat.
    centres : ndarray of int64
        Beats [samples].
    fs : float
        Sampling rate [Hz].
    trust : mapping of Trust
        Weights of the leads, of the records whose leads do not count alike.

    Returns
    -------
    peaks : ndarray of int64
        Samples of the record.
    narrow : ndarray of bool
        Whether a peak is as narrow as a pacing spike.
    """
    peaks, narrow = np.empty(len(centres), np.int64), np.zeros(len(centres), bool)
    if not len(centres):
        return peaks, narrow
    n_leads, n_times = signals[int(record[0])].shape
    reach, lag = math.ceil(_REFINE * fs), round(_REFINE_LAG * fs)
    side = math.ceil(_NARROW * fs - 1e-9)
    width = 2 * (reach + lag) + 1
    step = max(1, _ROWS // n_leads)
    weight = _weights(trust, record, centres, fs, n_leads) if trust else None
    starts, records = (centres - reach - lag).tolist(), record.tolist()
    for first in range(0, len(centres), step):
        beats = slice(first, first + step)
        windows = np.empty((n_leads, len(starts[beats]), width), np.float32)
        for i, (start, own) in enumerate(zip(starts[beats], records[beats], strict=True)):
            if 0 <= start <= n_times - width:
                windows[:, i] = signals[own][:, start : start + width]
            else:
                windows[:, i] = signals[own].take(np.arange(start, start + width), axis=1, mode="clip")
        sharpness = _sharpness(second_difference(windows, lag), None if weight is None else weight[:, beats, None])
        at = sharpness.argmax(axis=1)
        peaks[beats] = at
        if fs < _NARROW_FS:
            continue
        # At an edge, the inner neighbour counts alone.
        before = np.where(at < side, side, -side)
        after = np.where(at > 2 * reach - side, -side, side)
        at += np.arange(0, sharpness.size, sharpness.shape[1])
        beside = np.maximum(sharpness.take(at + before), sharpness.take(at + after))
        narrow[beats] = beside < np.float32(_NARROW_SHARE) * sharpness.take(at)
    peaks += centres - reach
    return np.minimum(np.maximum(peaks, 0), n_times - 1), narrow


def _sharpness(d: Signal, weight: Signal | None) -> Signal:
    """Sum second differences over leads (first axis); `d` is overwritten."""
    if len(d) == 1 or len(d) > FEW:
        return shared(d, len(d))
    # Few leads do not agree on the peak. With squares, most beats of a record have it from the same lead.
    if weight is not None:
        d *= weight
    return np.sqrt(np.square(d, out=d).sum(axis=0))


def _weights(trust: Mapping[int, Trust], record: Index, centres: Index, fs: float, n_leads: int) -> Signal:
    """Return the weights of the leads (n_leads, n_beats) at each beat."""
    out = np.ones((n_leads, len(record)), np.float32)
    for i, own in trust.items():
        mine = slice(*np.searchsorted(record, [i, i + 1]))
        out[:, mine] = own.at(centres[mine] / Grid.at(fs).block) ** np.float32(_MILDER)
    return out
