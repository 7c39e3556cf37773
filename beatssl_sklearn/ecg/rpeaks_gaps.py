"""Missing samples for the R-peak detector: NaN, padding, and leads that stand still."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .rpeaks_activity import Mask, Signal

_STILL, _STILL_AT_END = 0.25, 0.1  # [s] a lead that keeps one value so long has no signal there
_SAME = 1e-6  # of the largest value: what resampling leaves of a step from a value to itself
_LONG = 1.0  # [s] a gap of all leads from which on it is left out of the levels
_MARGIN = 0.05  # [s] taken from the signal beside a long gap: where padding was resampled, its edge rings


def bridged(signal: Signal, record: int) -> Signal:
    """Bridge missing samples (NaN) of a record with straight lines; a lead without any value becomes 0."""
    _refuse_infinite(signal, record)
    return _lines(signal.copy(), np.isnan(signal))


def without_gaps(x: NDArray, record: int, fs: float) -> tuple[Signal, Mask | None] | None:
    """Bridge what is missing in a record: NaN, and stretches in which a lead keeps one value.

    A straight line takes away the steps into padding, into a gap and to the rail of an electrode that is off. It
    leaves a signal that merely rests as it is.

    Returns
    -------
    signal : ndarray of shape (n_leads, n_times), float32
        A copy.
    gone : ndarray of shape (n_times,), bool, or None
        Long gaps of all leads, and gaps at either end; None if there are none.

    None in place of both if nothing is missing.
    """
    signal = np.array(x, dtype=np.float32, order="C")
    _refuse_infinite(signal, record)
    missing = np.isnan(signal)
    known = not missing.any()
    n, least, at_end = signal.shape[1], round(_STILL * fs), max(2, round(_STILL_AT_END * fs))
    for row, lead in zip(missing, signal, strict=True):
        still = np.abs(lead[1:] - lead[:-1]) <= _SAME * np.fmax.reduce(np.abs(lead))
        for start, stop in runs(still, at_end - 1):
            if stop - start >= least - 1 or start == 0 or stop == n - 1:
                row[start : stop + 1] = True
                known = False
    if known:
        return None
    alive = ~missing.all(axis=1)
    blank = np.logical_and.reduce(missing[alive], axis=0)  # all is missing where no lead is alive
    gone = _long_gaps(blank, at_end, fs)
    if gone is not None:
        missing |= gone
    return _lines(signal, missing), gone


def runs(mask: Mask, least: int) -> list[tuple[int, int]]:
    """Return start and stop of the runs of at least `least` True values."""
    edges = np.zeros(len(mask) + 1, bool)
    edges[0], edges[-1] = mask[0], mask[-1]
    edges[1:-1] = mask[1:] != mask[:-1]
    at = np.flatnonzero(edges).reshape(-1, 2)
    return [(start, stop) for start, stop in at[at[:, 1] - at[:, 0] >= least].tolist()]


def bridge(signal: Signal, start: int, stop: int) -> None:
    """Put a straight line between the samples before and after a range (last axis); at an end, the only one."""
    before = signal[..., start - 1 if start else stop, None]
    after = signal[..., stop if stop < signal.shape[-1] else start - 1, None]
    signal[..., start:stop] = before + (after - before) * (np.arange(1, stop - start + 1) / (stop - start + 1))


def _long_gaps(blank: Mask, least: int, fs: float) -> Mask | None:
    margin = round(_MARGIN * fs)
    long = [
        (start, stop)
        for start, stop in runs(blank, least)
        if stop - start >= _LONG * fs or start == 0 or stop == len(blank)
    ]
    if not long:
        return None
    gone = np.zeros_like(blank)
    for start, stop in long:
        gone[max(0, start - margin) : stop + margin] = True
    return gone


def _lines(signal: Signal, missing: Mask) -> Signal:
    for row, gap in zip(signal, missing, strict=True):
        for start, stop in runs(gap, 1):
            if stop - start == len(row):
                row[:] = 0
            else:
                bridge(row, start, stop)
    return signal


def _refuse_infinite(signal: Signal, record: int) -> None:
    if np.isinf(signal).any():
        lead = int(np.flatnonzero(np.isinf(signal).any(axis=1))[0])
        raise ValueError(f"X must not be infinite: record {record}, lead {lead}")
