"""Picture of an ECG on paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .figure import figure_of
from .paper import color_beats, mark_beats, paper_of
from .recording import excerpt_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from ..ecg.wfdb import ECGRecord


def plot_ecg(
    signal: ECGRecord | ArrayLike,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    *,
    start: float = 0.0,
    duration: float | None = None,
    rpeaks: ArrayLike | None = None,
    beat_types: Sequence[Any] | NDArray[Any] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure:
    """Draw one record as an ECG on paper: 25 mm/s, 10 mm/mV, a grid of 1 and 5 mm, and an axis of time.

    Twelve leads of 4 to 12.5 s become three rows of four leads above a rhythm strip of lead II, or of the first lead if
    there is no lead II. Any other record has one row per lead. A longer one continues in lower rows, which begin with
    their time. If that would take more than 32 rows, rows are longer, at fewer mm/s. Tall signals and pages of many
    rows have fewer mm/mV. The scale stands below the paper. Each lead is drawn about its own median, and what
    leaves a row for less than 6 ms, such as a pacing spike, is cut off.

    Parameters
    ----------
    signal : ECGRecord, or array-like of shape (n_leads, n_times) or (n_times,)
        Signals [mV]. NaN and infinity leave a gap.
    fs : float, default=None
        Sampling rate [Hz], for an array.
    leads : sequence of n_leads str, default=None
        Names of the leads, for an array. None means the standard twelve, or numbers for any other number of leads.
    start : float, default=0.0
        First second shown.
    duration : float, default=None
        Seconds shown; None for all that follow. If it is not the whole record, the title says which seconds are shown.
    rpeaks : array-like of int of shape (n_beats,), default=None
        R peaks [samples of the signal], marked above the lowest lead.
    beat_types : sequence of length n_beats, default=None
        Type of each beat, such as MIT-BIH symbols. It sets colour, marker and legend. Beats other than "N" have their
        colour in all leads.
    title : str, default=None
        Title above the paper.
    ax : matplotlib.axes.Axes, default=None
        Where to draw. None makes axes that fill `figure`.
    figure : matplotlib.figure.Figure or matplotlib.figure.SubFigure, default=None
        An empty figure, which gets the size of the paper. None makes one that pyplot knows, so that notebooks and
        ``plt.show()`` show it. ``Figure()`` is for pictures that are only saved: nothing has to be closed.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    TypeError
        If `signal` is something else, or `ax` or `figure` is not of matplotlib.
    ValueError
        If shapes or lengths disagree, `fs` is missing or not positive, an R peak lies outside the record, or `start`
        and `duration` do. If an ECGRecord comes with another rate or other leads.
    ImportError
        If matplotlib is missing.
    """
    part = excerpt_of(signal, fs, leads, start, duration)
    n_recorded = round((part.recorded or 0.0) * part.fs)
    peaks, types = _beats(rpeaks, beat_types, n_recorded)
    shown = (peaks >= part.first) & (peaks < part.first + part.x.shape[1])
    peaks, types = peaks[shown] - part.first, [kind for kind, own in zip(types, shown, strict=False) if own]
    ax, page = paper_of(part, ax, figure, title, marked=bool(peaks.size), legend=bool(types))
    if types:
        for strip in page.strips:
            color_beats(ax, page, strip, part.x, peaks, types)
    if peaks.size:
        mark_beats(ax, page, peaks, types)
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
    # By position: a column of a table would be asked for the labels of its index.
    kinds = list(beat_types)
    if len(kinds) != len(peaks):
        raise ValueError(f"beat_types must have one entry per R peak ({len(peaks)}), got {len(kinds)}")
    order = np.argsort(peaks, kind="stable")
    return peaks[order], [str(kinds[k]) for k in order]
