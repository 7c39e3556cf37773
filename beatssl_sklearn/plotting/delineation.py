"""Picture of delineated waves on ECG paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._optional import import_optional
from ..ecg.leads import LEADS
from ..ecg.waves.find import WAVES
from ..ecg.waves.table import CONSENSUS, check_rate, check_table, wave_labels
from .ecg import plot_ecg
from .paper import MM_PER_MV, MM_PER_S, median, panels_of, row_offsets

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's blue, orange and green, by label.
COLORS = {1: "#0072B2", 2: "#D55E00", 3: "#009E73"}

# Row of a long strip of one lead [s]: longer than what `plot_ecg` lays out in columns, and true to scale on a page.
_LONGEST_ROW = 12.5

# Above and below a wave [mm].
_ROOM = 1.0


def plot_delineation(
    x: ArrayLike,
    fs: float,
    table: Any = None,
    *,
    leads: Sequence[str] | None = None,
    record: int = 0,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw one record on ECG paper with its waves: shaded, with a tick at each onset and offset and a dot at each peak.

    The layout is the one of :func:`~beatssl_sklearn.plotting.plot_ecg`, but a single lead of more than 12.5 s continues
    from row to row.

    Parameters
    ----------
    x : array-like of shape (n_leads, n_times), (n_times,) or (n_records, n_leads, n_times)
        Signal [mV]. Of several records, `record` is drawn.
    fs : float
        Sampling rate [Hz].
    table : DataFrame, default=None
        Waves as returned by `make_table`. The waves of `record` are drawn, each in its lead. If none of them is in a
        lead of the signal, the consensus is drawn in all leads. None draws the ECG only.
    leads : sequence of n_leads str, default=None
        Names of the leads. None means the standard twelve, or numbers for any other number of leads. A single lead
        gets its name from a table of a single lead.
    record : int, default=0
        Record of the table.
    title : str, default=None
        Title above the paper.
    ax : matplotlib.axes.Axes, default=None
        Where to draw. None makes a figure: paper of true size, at most 16 inches wide.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    ValueError
        If shapes disagree, `fs` is not positive, a wave is unknown or lies outside the record.
    TypeError
        If `table` is not a DataFrame.
    ImportError
        If matplotlib is missing.
    """
    signal = np.asarray(x, dtype=np.float64)
    if signal.ndim == 3:
        if not 0 <= record < len(signal):
            raise ValueError(f"record must be from 0 to {len(signal) - 1}, got {record!r}")
        signal = signal[record]
    signal = np.atleast_2d(signal)
    check_rate(fs)
    marks = None
    if table is not None:
        check_table(table)
        marks = _inside(table[table["record"] == record], signal.shape[-1])
    names = _names(signal, leads, marks)
    rows, row_names, wrapped = _wrapped(signal, names, fs)
    figure = plot_ecg(rows, fs, row_names, title=title, ax=ax)
    if marks is not None:
        rows = np.where(np.isfinite(rows), rows, np.nan)
        _draw_waves(figure.axes[0] if ax is None else ax, rows, row_names, names, wrapped, fs, marks)
    return figure


def _inside(marks: Any, n_times: int) -> Any:
    """Return the marks, or raise ValueError if one lies outside of the record."""
    times = marks[["onset", "peak", "offset"]].to_numpy(np.float64)
    outside = times[(times < 0) | (times > n_times)]
    if outside.size:
        raise ValueError(f"table has a mark at sample {outside[0]:g}, but the record has {n_times} samples")
    return marks


def _names(signal: NDArray[np.float64], leads: Sequence[str] | None, marks: Any) -> list[str]:
    if leads is not None:
        return [str(name) for name in leads]
    if len(signal) == 1 and marks is not None and marks["lead"].nunique() == 1:
        return [str(marks["lead"].iloc[0])]
    return list(LEADS) if len(signal) == len(LEADS) else [str(k + 1) for k in range(len(signal))]


def _wrapped(
    signal: NDArray[np.float64], names: list[str], fs: float
) -> tuple[NDArray[np.float64], list[str], int | None]:
    """Cut a long strip of one lead into rows. Return rows, their names and their length [samples], or None as it."""
    length = int(_LONGEST_ROW * fs)
    if signal.ndim != 2 or len(signal) != 1 or signal.shape[1] <= length:
        return signal, names, None
    n_rows = -(-signal.shape[1] // length)
    rows = np.full(n_rows * length, np.nan)
    rows[: signal.shape[1]] = signal[0]
    later = [f"{k * length / fs:g} s" for k in range(1, n_rows)]
    return rows.reshape(n_rows, length), [*names, *later], length


def _draw_waves(
    ax: Axes, x: NDArray[np.float64], row_names: list[str], names: list[str], wrapped: int | None, fs: float, marks: Any
) -> None:
    """Draw the waves of `marks` over the traces of `x` (n_rows, n_times)."""
    collections = import_optional("matplotlib.collections", "plotting", "plot")
    label, lead = wave_labels(marks), marks["lead"].to_numpy(dtype=object)
    times = marks[["onset", "peak", "offset"]].to_numpy(np.float64)
    if not np.isin(lead, names).any():
        # By one name for all leads, each lead gets the consensus.
        lead = np.where(lead == CONSENSUS, "", lead)
        names = [""] * len(names)
    panels, n_rows = panels_of(row_names, x.shape[1], fs)
    y0, _ = row_offsets(x, panels, n_rows, room=0.0)
    drawings: dict[int, tuple[list[Any], list[Any], list[Any]]] = {k: ([], [], []) for k in COLORS}
    for trace, row, start, stop in panels:
        y = y0[row] + (x[trace] - median(x[trace])) * MM_PER_MV
        y = np.where(np.isfinite(y), y, y0[row])
        name, shift = (names[trace], 0) if wrapped is None else (names[0], trace * wrapped)
        here = lead == name
        for k, wave in zip(label[here].tolist(), times[here] - shift, strict=True):
            for drawn, shapes in zip(drawings[k], _shapes(y, wave, start, stop), strict=True):
                drawn.extend(shapes)
    scale = np.array([MM_PER_S / fs, 1.0])
    for k, (boxes, ticks, dots) in drawings.items():
        color = COLORS[k]
        shaded, borders = [scale * box for box in boxes], [scale * tick for tick in ticks]
        for shapes in (
            collections.PolyCollection(shaded, facecolors=color, alpha=0.22, lw=0, zorder=1.5),
            collections.LineCollection(borders, colors=color, linewidths=0.8, zorder=2.5),
        ):
            ax.add_collection(shapes, autolim=False)
        at = np.array(dots).reshape(-1, 2) * scale
        ax.scatter(at[:, 0], at[:, 1], s=9, color=color, lw=0, zorder=4)
    _draw_legend(ax)


def _shapes(
    y: NDArray[np.float64], wave: NDArray[np.float64], start: int, stop: int
) -> tuple[list[Any], list[Any], list[Any]]:
    """Box, ticks and dot of a wave in samples [start, stop) of a trace [samples, mm]. A missing mark has none."""
    onset, peak, offset = wave.tolist()
    marked = wave[np.isfinite(wave)]
    if not marked.size or marked[-1] < start or marked[0] > stop - 1:
        return [], [], []
    left, right = max(marked[0], start), min(marked[-1], stop - 1)
    piece = y[int(left) : int(np.ceil(right)) + 1]
    low, high = piece.min() - _ROOM, piece.max() + _ROOM
    box = np.array([(left, low), (left, high), (right, high), (right, low)])
    ticks = [np.array([(t, low), (t, high)]) for t in (onset, offset) if start <= t <= stop - 1]
    dots = [(t, float(np.interp(t, np.arange(y.size), y))) for t in (peak,) if start <= t <= stop - 1]
    return [box], ticks, dots


def _draw_legend(ax: Axes) -> None:
    patch = import_optional("matplotlib.patches", "plotting", "plot").Patch
    patches = [patch(facecolor=COLORS[k], alpha=0.6, label=wave) for k, wave in enumerate(WAVES, 1)]
    ax.legend(
        handles=patches, loc="upper right", ncols=3, fontsize=9, framealpha=1, borderaxespad=0.3, handlelength=1.2,
        handletextpad=0.4, columnspacing=1.2,
    )  # fmt: skip
