"""ECG paper: the places of the leads, the grid, the traces and the marks of beats, all in millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from ..ecg.leads import LEADS
from .figure import MARKERS, PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colour and marker of a type of beat.
_BEAT_STYLE = {
    "N": ("#222222", "o"), "L": ("#0072B2", "s"), "R": ("#009E73", "D"), "A": ("#56B4E9", "^"), "S": ("#56B4E9", "^"),
    "V": ("#D55E00", "v"), "F": ("#E69F00", "P"), "/": ("#CC79A7", "*"), "Q": ("#7F7F7F", "X"),
}  # fmt: skip
MM_PER_S, MM_PER_MV = 25.0, 10.0
_WIDEST_INCHES, _HIGHEST_MM = 16.0, 40.0


def panels_of(names: list[str], n_times: int, fs: float) -> tuple[list[tuple[int, int, int, int]], int]:
    """Lay out the leads of a record.

    Parameters
    ----------
    names : list of n_leads str
        Names of the leads.
    n_times : int
        Length of the record [samples].
    fs : float
        Sampling rate [Hz].

    Returns
    -------
    panels : list of tuple
        Lead, row, first sample and last sample + 1 of each piece of trace. The last piece is the rhythm strip.
    n_rows : int
        Rows of the paper.
    """
    if len(names) != 12 or not 4 <= n_times / fs <= 12:
        return [(k, k, 0, n_times) for k in range(len(names))], len(names)
    edges = np.linspace(0, n_times, 5).astype(int)
    panels = [(k, k % 3, int(edges[k // 3]), int(edges[k // 3 + 1])) for k in range(12)]
    return [*panels, (names.index("II") if "II" in names else 0, 3, 0, n_times)], 4


def median(row: NDArray[np.float64]) -> float:
    """Median of the finite values; 0 if there is none."""
    return float(np.median(row[np.isfinite(row)])) if np.isfinite(row).any() else 0.0


def row_offsets(
    x: NDArray[np.float64], panels: list[tuple[int, int, int, int]], n_rows: int, room: float
) -> tuple[list[float], float]:
    """Ordinate of each row's baseline, and height of the paper [mm]: room for the traces, in whole large squares."""
    up, down = np.full(n_rows, 8.0), np.full(n_rows, 5.0)
    for lead, row, start, stop in panels:
        piece = x[lead, start:stop]
        piece = piece[np.isfinite(piece)]
        if piece.size:
            # A few samples, such as pacing spikes, take no room.
            low, high = (np.percentile(piece, [0.1, 99.9]) - median(x[lead])) * MM_PER_MV
            up[row], down[row] = max(up[row], min(high, _HIGHEST_MM)), max(down[row], min(-low, _HIGHEST_MM))
    up[-1] += room
    y, offsets = 5.0, [0.0] * n_rows
    for row in reversed(range(n_rows)):
        y = np.ceil((y + down[row]) / 5) * 5
        offsets[row] = float(y)
        y += up[row] + 2
    return offsets, float(np.ceil((y + 9) / 5) * 5)


def paper_figure(width: float, height: float) -> Figure:
    """Make a figure for paper of a size [mm], true to scale up to 16 inches of width."""
    inches = np.array([width + 15, height]) / 25.4
    return new_figure(tuple(inches * min(1.0, _WIDEST_INCHES / inches[0])))


def draw_paper(ax: Axes, width: float, height: float) -> None:
    """Draw the grid of 1 and 5 mm and fix the limits of the axes."""
    collections = import_optional("matplotlib.collections", "plotting", "plot")
    left, right = -10.0, width + 5
    for step, color, lw in ((1.0, "#f9d9d9", 0.4), (5.0, "#eea9a9", 0.7)):
        columns, rows = np.arange(left, right + 0.5, step), np.arange(0, height + 0.5, step)
        lines = [[(c, 0.0), (c, height)] for c in columns] + [[(left, r), (right, r)] for r in rows]
        ax.add_collection(collections.LineCollection(lines, colors=color, linewidths=lw, zorder=0), autolim=False)
    ax.set(xlim=(left, right), ylim=(0, height), aspect="equal")
    ax.set_axis_off()


def draw_trace(
    ax: Axes,
    y: NDArray[np.float64],
    fs: float,
    y0: float,
    start: int,
    stop: int,
    peaks: NDArray[np.int64],
    types: list[str],
) -> None:
    """Draw samples [start, stop) of a lead [mV]. Beats other than N have the colour of their type."""
    mm = np.arange(y.size) / fs * MM_PER_S
    ax.plot(mm[start:stop], y0 + y[start:stop] * MM_PER_MV, color="black", lw=0.9, solid_joinstyle="round", zorder=2)
    between = (peaks[1:] + peaks[:-1]) // 2
    for k, kind in enumerate(types):
        if kind == "N":
            continue
        # Between beats of the same type the colour has no gap. Next to another type it keeps off that beat's waves.
        onset = 0 if types[max(k - 1, 0)] == kind else peaks[k] - int(0.25 * fs)
        offset = y.size if types[min(k + 1, len(types) - 1)] == kind else peaks[k] + int(0.45 * fs)
        first = max(start, onset, between[k - 1] if k else 0)
        last = min(stop, offset, between[k] + 1 if k < between.size else y.size)
        if first < last:
            ax.plot(mm[first:last], y0 + y[first:last] * MM_PER_MV, color=_beat_style(kind)[0], lw=1.3, zorder=3)


def mark_beats(
    ax: Axes, y: NDArray[np.float64], fs: float, y0: float, peaks: NDArray[np.int64], types: list[str]
) -> None:
    """Mark the beats above a row, with a legend of their types."""
    at = y0 + min(max(8.0, float(np.nanmax(np.r_[y, 0])) * MM_PER_MV), _HIGHEST_MM) + 2.5
    if not types:
        ax.scatter(peaks / fs * MM_PER_S, np.full(peaks.size, at), marker="v", s=18, color=PALETTE[0], zorder=4)
        return
    for kind in sorted(set(types)):
        color, marker = _beat_style(kind)
        x = np.array([p for p, t in zip(peaks, types, strict=True) if t == kind]) / fs * MM_PER_S
        ax.scatter(x, np.full(x.size, at), marker=marker, s=24, color=color, label=f"{kind} ({x.size})", zorder=4)
    ax.legend(loc="upper right", ncols=len(set(types)), fontsize=9, framealpha=1, borderaxespad=0.3, handletextpad=0.1)


def _beat_style(kind: str) -> tuple[str, str]:
    """Colour and marker of a type of beat, the same in every picture."""
    fallback = sum(kind.encode()) % len(PALETTE)
    return _BEAT_STYLE.get(kind, (PALETTE[fallback], MARKERS[fallback]))


def lead_names(x: NDArray[np.float64], leads: Sequence[str] | None) -> list[str]:
    """Names of the leads of a signal (n_leads, n_times).

    Raises
    ------
    ValueError
        If the signal is not two-dimensional or transposed, or `leads` has another length.
    """
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"signal must have shape (n_leads, n_times), got {x.shape}")
    if x.shape[0] > x.shape[1]:
        raise ValueError(f"signal must have shape (n_leads, n_times), got {x.shape}: is it transposed?")
    if leads is None:
        return list(LEADS) if len(x) == len(LEADS) else [str(k + 1) for k in range(len(x))]
    if len(leads) != len(x):
        raise ValueError(f"leads must name the {len(x)} rows of signal, got {len(leads)}: {list(leads)}")
    return [str(name) for name in leads]
