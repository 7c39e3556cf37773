"""Where a lead has no signal: it cannot show waves there, whatever the others show, and says nothing about theirs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Shortest stretch without a known sample [s].
_MISSING_S = 0.2
# Shortest stretch of one value [s]. Coarse and smoothed recordings are constant between T and P: in 300 lead-minutes of
# LUDB 641 stretches last .2 s, 148 last .3 s, 8 last .5 s and none .6 s; in 3,000 of PTB-XL at 100 Hz 279, 16, 8 and 8.
_CONSTANT_S = 0.6
# From so long on, a lead of one value says nothing about the others' waves [s].
_MUTE_S = 0.3
# A lead that stays within this range for so long has the noise of an amplifier alone.
_QUIET_MV, _QUIET_S = 0.01, 2.0
# Range of the record [mV] from which on that counts. Where it is less, the unit may not be mV.
_LEAST_MV = 0.5
# Parts of a stretch that are looked at first.
_PARTS = 8


class Dead(NamedTuple):
    """Samples (n_records, n_leads, n_times) at which a lead has no signal; None in place of a mask without any."""

    silent: NDArray[np.bool_] | None
    """Where a lead shows no waves."""
    mute: NDArray[np.bool_] | None
    """Where a lead says nothing about the waves of the others: also in shorter stretches of one value."""


def dead_stretches(signal: NDArray[np.float32], fs: float) -> Dead:
    """Find where leads have no signal.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_records, n_leads, n_times)
        Leads [mV] as they were given.
    fs : float
        Sampling rate [Hz].

    Returns
    -------
    Dead
        Silent in stretches that are missing (.2 s or longer), constant (.6 s) or within 10 microvolts (2 s); mute there
        and where constant for .3 s.
    """
    missing = np.isnan(signal)
    both = [_quiet(signal, fs), _long_runs(missing, round(_MISSING_S * fs)) if missing.any() else None]
    same = signal[..., 1:] == signal[..., :-1]
    short = _long_runs(same, max(1, round(_MUTE_S * fs) - 1))
    long = None if short is None else _long_runs(short, max(1, round(_CONSTANT_S * fs) - 1))
    return Dead(_any([*both, _samples(long)]), _any([*both, _samples(short)]))


def silence(proba: NDArray[np.float32], dead: NDArray[np.bool_]) -> None:
    """Take out of probabilities what is no wave of the lead: in place.

    A wave that lies in dead stretches by more than half is taken out as a whole, others end at the border.

    Parameters
    ----------
    proba : ndarray of float32, shape (n_classes, n_times)
        Probabilities of a strip; the first are those of the background.
    dead : ndarray of bool, shape (n_times,)
        Where the strip has no signal.
    """
    label = proba.argmax(axis=0)
    start = np.flatnonzero(np.diff(label, prepend=-1))
    length = np.diff(start, append=len(label))
    lost = 2 * np.add.reduceat(dead.astype(np.int64), start) > length
    gone = dead | np.repeat(lost & (label[start] > 0), length)
    proba[:, gone] = 0
    proba[0, gone] = 1


def _samples(steps: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Return both samples of each step from one to the next."""
    if steps is None:
        return None
    out = np.zeros((*steps.shape[:-1], steps.shape[-1] + 1), bool)
    out[..., 1:] = steps
    out[..., :-1] |= steps
    return out


def _any(masks: list[NDArray[np.bool_] | None]) -> NDArray[np.bool_] | None:
    found = [mask for mask in masks if mask is not None]
    return np.logical_or.reduce(found) if found else None


def _long_runs(flags: NDArray[np.bool_], least: int) -> NDArray[np.bool_] | None:
    """Keep the runs of at least so many flags in a row."""
    step = max(1, least // _PARTS)
    # A long run holds that many samples of a coarse grid in a row: most strips need no closer look.
    able = _windows(flags[..., ::step], min(_PARTS, least)).all(axis=-1).any(axis=-1)
    if not able.any():
        return None
    kept = np.zeros(flags.shape, bool)
    for place in zip(*np.nonzero(able), strict=True):
        edges = np.flatnonzero(np.diff(flags[place], prepend=False, append=False)).reshape(-1, 2)
        for first, stop in edges[edges[:, 1] - edges[:, 0] >= least]:
            kept[place][first:stop] = True
    return kept if kept.any() else None


def _quiet(signal: NDArray[np.float32], fs: float) -> NDArray[np.bool_] | None:
    """Return the stretches in which a lead hardly varies though a lead of the record does."""
    size, n_times = round(_QUIET_S / _PARTS * fs), signal.shape[-1]
    # Windows that do not vary on a coarse grid; hardly any strip has one.
    able = (np.ptp(_windows(signal[..., ::size], _PARTS), axis=-1) <= _QUIET_MV).any(axis=-1)
    if not able.any():
        return None
    mask = np.zeros(signal.shape, bool)
    for record, lead in zip(*np.nonzero(able), strict=True):
        if np.nanmax(signal[record]) - np.nanmin(signal[record]) < _LEAST_MV:
            continue
        pieces = signal[record, lead, : n_times - n_times % size].reshape(-1, size)
        low, high = _windows(pieces.min(axis=1), _PARTS).min(axis=1), _windows(pieces.max(axis=1), _PARTS).max(axis=1)
        for first in np.flatnonzero(high - low <= _QUIET_MV):
            stop = (first + _PARTS) * size
            # The last window takes what is left of the strip.
            mask[record, lead, first * size : stop if stop + size <= n_times else n_times] = True
    return mask if mask.any() else None


def _windows(array: NDArray, size: int) -> NDArray:
    """Return all windows of some neighbours, as a view; none if there are fewer."""
    if array.shape[-1] < size:
        return np.empty((*array.shape[:-1], 0, size), array.dtype)
    return np.lib.stride_tricks.sliding_window_view(array, size, axis=-1)
