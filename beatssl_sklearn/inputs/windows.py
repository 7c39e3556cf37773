"""Windows of records: for embedding, and for training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .front_end import FrontEnd
from .source import Source

CORE_S, LONGEST_S, MARGIN_S = 10.0, 15.0, 2.0


class Window(NamedTuple):
    """A stretch of a record in samples; only its core counts, the rest is context."""

    start: int
    stop: int
    core_start: int
    core_stop: int


def windows(n_times: int, fs: float) -> list[Window]:
    """Cut a record into windows whose cores tile it.

    Records up to 15 s are one window. Starts are whole multiples of 2 s, so that the tokens of neighbouring windows
    lie on one grid.
    """
    if n_times <= LONGEST_S * fs:
        return [Window(0, n_times, 0, n_times)]
    n_cores = max(1, int((n_times / fs - (LONGEST_S - CORE_S)) // CORE_S) + 1)
    edges = [round(k * CORE_S * fs) for k in range(n_cores)] + [n_times]
    margin = round(MARGIN_S * fs)
    return [Window(max(0, a - margin), min(n_times, b + margin), a, b) for a, b in zip(edges, edges[1:], strict=False)]


def cut_windows(
    signal: NDArray[np.float32], fs: float, start: NDArray[np.float64], window: float
) -> NDArray[np.float32]:
    """Cut `window` seconds from each record, beginning at `start` [s]; shorter records stay as they are."""
    n = round(window * fs)
    if signal.shape[2] <= n:
        return signal
    first = np.minimum(np.round(start * fs).astype(np.int64), signal.shape[2] - n)
    return np.stack([x[:, a : a + n] for x, a in zip(signal, first, strict=True)])


def repeat_to_length(signal: NDArray[np.float32], n_times: int) -> NDArray[np.float32]:
    """Cut (n_records, n_times, 12) to a length, or repeat it up to there."""
    if signal.shape[1] >= n_times:
        return signal[:, :n_times]
    return signal[:, np.arange(n_times) % signal.shape[1]]


def training_window(duration: NDArray[np.float64]) -> tuple[float, bool]:
    """Return the seconds of a record that a batch holds, and whether that is every record as it is."""
    if (duration == duration[0]).all() and duration[0] <= LONGEST_S:
        return float(duration[0]), True
    return float(min(CORE_S, duration.max())), False


def read_windows(
    source: Source, front_end: FrontEnd, rows: NDArray[np.int64], start: NDArray[np.float64], seconds: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Read one window of each record, prepared for a network.

    Parameters
    ----------
    source : Source
    front_end : FrontEnd
    rows : ndarray (n,)
        Records.
    start : ndarray (n,)
        Where their windows begin [s].
    seconds : float
        Length of the windows. A shorter record is repeated: zeros would be a rhythm of their own.

    Returns
    -------
    signal : ndarray (n, n_times, 12)
    present : ndarray (n, 12)
        Leads that are there and not flat.
    """
    n_times = front_end.n_times(seconds)
    signal = np.zeros((len(rows), n_times, 12), dtype=np.float32)
    present = np.zeros((len(rows), 12), dtype=bool)
    done = 0
    for block in source.read(rows, len(rows)):
        stop = done + len(block.rows)
        ready = front_end(block._replace(signal=cut_windows(block.signal, block.fs, start[done:stop], seconds)))
        signal[done:stop] = repeat_to_length(ready.signal, n_times)
        present[done:stop] = ready.present
        done = stop
    return signal, present
