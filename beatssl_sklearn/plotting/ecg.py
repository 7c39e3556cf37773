"""Picture of an ECG on paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..ecg.waves.table import check_rate
from .figure import figure_of
from .paper import (
    MM_PER_MV,
    MM_PER_S,
    draw_paper,
    draw_trace,
    lead_names,
    mark_beats,
    median,
    panels_of,
    paper_figure,
    row_offsets,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_ecg(
    signal: ArrayLike,
    fs: float,
    leads: Sequence[str] | None = None,
    *,
    rpeaks: ArrayLike | None = None,
    beat_types: Sequence[Any] | NDArray[Any] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Figure:
    """Draw one record as an ECG on paper: 25 mm/s, 10 mm/mV, a pink grid of 1 and 5 mm.

    Twelve leads of 4 to 12 s become three rows of four leads above a rhythm strip of lead II, or of the first lead if
    there is no lead II. Any other record has one row per lead. Each lead is drawn about its own median.

    Parameters
    ----------
    signal : array-like of shape (n_leads, n_times) or (n_times,)
        Signal [mV]. NaN and infinity leave a gap.
    fs : float
        Sampling rate [Hz].
    leads : sequence of n_leads str, default=None
        Names of the leads. None means the standard twelve, or numbers for any other number of leads.
    rpeaks : array-like of int of shape (n_beats,), default=None
        R peaks [samples], marked above the lowest row.
    beat_types : sequence of length n_beats, default=None
        Type of each beat, such as MIT-BIH symbols. It sets colour, marker and legend. Beats other than "N" have their
        colour in all leads.
    ax : matplotlib.axes.Axes, default=None
        Where to draw. None makes a figure: paper of true size, at most 16 inches wide.
    title : str, default=None
        Title above the paper.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    ValueError
        If shapes or lengths disagree, `fs` is not positive, or an R peak lies outside the record.
    ImportError
        If matplotlib is missing.
    """
    x = np.atleast_2d(np.asarray(signal, dtype=np.float64))
    names = lead_names(x, leads)
    x = np.where(np.isfinite(x), x, np.nan)
    check_rate(fs)
    peaks, types = _beats(rpeaks, beat_types, x.shape[1])
    panels, n_rows = panels_of(names, x.shape[1], fs)
    y0, height = row_offsets(x, panels, n_rows, room=5.0 if peaks.size else 0.0)
    width = x.shape[1] / fs * MM_PER_S
    if ax is None:
        ax = paper_figure(width, height).add_axes((0, 0, 1, 1))
    draw_paper(ax, width, height)
    for lead, row, start, stop in panels:
        level = median(x[lead])
        draw_trace(ax, x[lead] - level, fs, y0[row], start, stop, peaks, types)
        ax.text(
            start / fs * MM_PER_S + 1,
            y0[row] + 8,
            names[lead],
            fontsize=10,
            fontweight="bold",
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
            zorder=1,
        )
    # The pulse of calibration: 1 mV.
    for row in range(n_rows):
        ax.plot([-8, -7, -7, -3, -3, -2], y0[row] + MM_PER_MV * np.array([0, 0, 1, 1, 0, 0]), color="black", lw=0.9)
    if peaks.size:
        lead, row, _, _ = panels[-1]
        mark_beats(ax, x[lead] - median(x[lead]), fs, y0[row], peaks, types)
    ax.text(width, 1.5, "25 mm/s   10 mm/mV", fontsize=8, ha="right", va="bottom")
    if title:
        ax.text(0, height - 1, title, fontsize=11, ha="left", va="top")
    return figure_of(ax)


def _beats(rpeaks: ArrayLike | None, beat_types: Any, n_times: int) -> tuple[NDArray[np.int64], list[str]]:
    """Check R peaks [samples] and types. Return both, with types in the order of time."""
    if rpeaks is None:
        if beat_types is not None:
            raise ValueError("beat_types was given without rpeaks")
        return np.empty(0, np.int64), []
    peaks = np.asarray(rpeaks)
    if peaks.ndim != 1 or (peaks.size and not np.issubdtype(peaks.dtype, np.integer)):
        raise ValueError(f"rpeaks must be a 1-D array of sample indices, got shape {peaks.shape} of {peaks.dtype}")
    peaks = peaks.astype(np.int64)
    outside = peaks[(peaks < 0) | (peaks >= n_times)]
    if outside.size:
        raise ValueError(f"rpeaks must lie in [0, {n_times}), got {outside[0]}")
    if beat_types is None:
        return peaks, []
    if len(beat_types) != len(peaks):
        raise ValueError(f"beat_types must have one entry per R peak ({len(peaks)}), got {len(beat_types)}")
    order = np.argsort(peaks, kind="stable")
    return peaks[order], [str(beat_types[k]) for k in order]
