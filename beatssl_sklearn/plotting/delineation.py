"""Picture of delineated waves on ECG paper."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._optional import find_stack_level, import_optional
from ..ecg.waves.find import WAVES
from ..ecg.waves.table import CONSENSUS, check_table, table_of_marks, wave_labels
from ..ecg.wfdb import ECGRecord
from .figure import figure_of
from .layout import Page
from .paper import draw_legend, paper_of
from .recording import Excerpt, excerpt_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

# Okabe and Ito's blue, orange and green, by label.
COLORS = {1: "#0072B2", 2: "#D55E00", 3: "#009E73"}

# Above and below a wave [mm].
_ROOM = 1.0
# Drawn millimetres per second below which boxes are too narrow to be seen beside the trace.
_SLOWEST = 8.0


def plot_delineation(
    x: ECGRecord | ArrayLike,
    fs: float | None = None,
    table: Any = None,
    *,
    leads: Sequence[str] | None = None,
    record: int | str = 0,
    start: float = 0.0,
    duration: float | None = None,
    t0: float = 0.0,
    recorded: float | None = None,
    title: str | None = None,
    ax: Axes | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure:
    """Draw one record on ECG paper with its waves: shaded, with a tick at each onset and offset and a dot at each peak.

    The layout is the one of :func:`~beatssl_sklearn.plotting.plot_ecg`. On paper of less than 8 mm/s, where shades hide
    behind the trace, the trace itself has the colours of its waves.

    Parameters
    ----------
    x : ECGRecord, or array-like of shape (n_leads, n_times), (n_times,) or (n_records, n_leads, n_times)
        Signals [mV]. Of an array of several records, the one at position `record` is drawn.
    fs : float, default=None
        Sampling rate [Hz], for an array.
    table : DataFrame, or sequence of n_records dict, default=None
        Waves as returned by `make_table`, or one dict per record, as the ``waves`` of `fetch_ludb`. The waves of
        `record` are drawn, each in its lead. If none of them is in a lead of the signal, the consensus is drawn in all
        leads. None draws the ECG only.
    leads : sequence of n_leads str, default=None
        Names of the leads, for an array. None means the standard twelve, or numbers for any other number of leads. A
        single lead gets its name from a table of a single lead.
    record : int or str, default=0
        Record of the table: its position, or its name in tables of the command line. One without a wave has no row
        there, and is drawn without waves.
    start : float, default=0.0
        First second shown.
    duration : float, default=None
        Seconds shown; None for all that follow. If it is not the whole record, the title says which seconds are shown.
    t0 : float, default=0.0
        Time of the first sample of `x` [s], if it was cut out of a longer recording. The table and `start` count from
        the beginning of the recording.
    recorded : float, default=None
        Length of the whole recording [s], if `x` is a part of it. None means that it ends with `x`.
    title : str, default=None
        Title above the paper.
    ax : matplotlib.axes.Axes, default=None
        Where to draw. None makes axes that fill `figure`.
    figure : matplotlib.figure.Figure or matplotlib.figure.SubFigure, default=None
        An empty figure, as for `plot_ecg`. None makes one that pyplot knows.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    ValueError
        If shapes disagree, `fs` is missing or not positive, a wave is unknown or lies outside the recording, or the
        seconds shown do. If `record` is negative, or not a record of `x`, or not one of the names that the table has.
    TypeError
        If `x` is no signal, or `table` holds no waves, or stands in the place of `fs`.
    ImportError
        If matplotlib is missing.

    Warns
    -----
    UserWarning
        If `x` is a single record, and the table has none of this number or above.
    """
    several = getattr(x, "ndim", 0) == 3
    one = _one_of(x, record) if several else x
    marks = None if table is None else _marks_of(table, record, several)
    part = excerpt_of(one, fs, leads, start, duration, t0, recorded)
    if leads is None and not isinstance(x, ECGRecord) and marks is not None and len(part.names) == 1:
        part = part._replace(names=marks["lead"].unique().tolist() if marks["lead"].nunique() == 1 else part.names)
    if marks is not None:
        _check_inside(marks, part)
    ax, page = paper_of(part, ax, figure, title, legend=marks is not None)
    if marks is not None:
        _draw_waves(ax, page, part, marks)
    return figure_of(ax)


def _one_of(x: Any, record: int | str) -> Any:
    """Return one of several records."""
    if not isinstance(record, (int, np.integer)) or not 0 <= record < len(x):
        raise ValueError(f"record must be from 0 to {len(x) - 1}, got {record!r}")
    return x[record]


def _marks_of(table: Any, record: int | str, known: bool) -> Any:
    """Return the waves of a record; `known` says that there is a record of this number."""
    if hasattr(table, "__len__") and not isinstance(table, (str, bytes, Mapping)) and not hasattr(table, "columns"):
        # Of a sequence that is read from files, only this record is read. The rate makes seconds, which are not used.
        one = _one_of(table, record)
        return table_of_marks([*({} for _ in range(int(record))), one], 1.0, "table")
    check_table(table)
    own = table[table["record"] == record]
    names = table["record"].unique().tolist()
    if len(own) or not names:
        return own
    # A number that the table does not have may be a record without waves.
    if isinstance(names[0], str) or isinstance(record, str) or record < 0:
        raise ValueError(f"record must be one of the table's, such as {names[:3]}, got {record!r}")
    if record > max(names) and not known:
        text = f"table has no wave of record {record}, its last record with waves is {max(names)}: is this its number?"
        warnings.warn(text, UserWarning, stacklevel=find_stack_level())
    return own


def _check_inside(marks: Any, part: Excerpt) -> None:
    """Raise ValueError if a mark lies outside of the recording."""
    if part.recorded is None:
        return
    n_times = round(part.recorded * part.fs)
    times = marks[["onset", "peak", "offset"]].to_numpy(np.float64)
    outside = times[(times < 0) | (times > n_times)]
    if outside.size:
        raise ValueError(f"table has a mark at sample {outside[0]:g}, but the record has {n_times} samples")


def _draw_waves(ax: Axes, page: Page, part: Excerpt, marks: Any) -> None:
    """Draw the waves of `marks` over the traces."""
    collections = import_optional("matplotlib.collections", "plotting", "plot")
    label, lead = wave_labels(marks), marks["lead"].to_numpy(dtype=object)
    times = marks[["onset", "peak", "offset"]].to_numpy(np.float64) - part.first
    names = part.names
    if not np.isin(lead, names).any():
        # By one name for all leads, each lead gets the consensus.
        lead = np.where(lead == CONSENSUS, "", lead)
        names = [""] * len(names)
    # NaN where no mark is there at all: such a wave is in no strip.
    first, last = np.fmin.reduce(times, axis=1), np.fmax.reduce(times, axis=1)
    slow = page.speed * page.scale < _SLOWEST
    drawings: dict[int, tuple[list[Any], list[Any], list[Any]]] = {k: ([], [], []) for k in COLORS}
    for strip in page.strips:
        y = page.y_of(part.x, strip)
        y = y if slow else np.where(np.isfinite(y), y, page.baselines[strip.row])
        here = (lead == names[strip.lead]) & (last >= strip.start) & (first <= strip.stop - 1)
        to_mm = np.array([page.speed / page.fs, 1.0])
        for k, wave in zip(label[here].tolist(), times[here] - strip.start, strict=True):
            found = ([], [_stretch(y, wave)], []) if slow else _shapes(y, wave)
            for drawn, shapes in zip(drawings[k], found, strict=True):
                drawn.extend((shape + [strip.start - strip.origin, 0.0]) * to_mm for shape in shapes)
    for k, (boxes, lines, dots) in drawings.items():
        color = COLORS[k]
        for shapes in (
            collections.PolyCollection(boxes, facecolors=color, alpha=0.22, lw=0, zorder=1.5),
            collections.LineCollection(lines, colors=color, linewidths=0.8 * page.shrink, zorder=2.5),
        ):
            ax.add_collection(shapes, autolim=False)
        at = np.array(dots).reshape(-1, 2)
        ax.scatter(at[:, 0], at[:, 1], s=9 * page.shrink**2, color=color, lw=0, zorder=4)
    patch = import_optional("matplotlib.patches", "plotting", "plot").Patch
    draw_legend(ax, page, [patch(facecolor=COLORS[k], alpha=0.6, label=wave) for k, wave in enumerate(WAVES, 1)])


def _stretch(y: NDArray[np.float64], wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """The trace [samples, mm] between the marks of a wave."""
    # People and programs may set marks out of order.
    marked = wave[np.isfinite(wave)]
    at = np.arange(max(int(marked.min()), 0), min(int(np.ceil(marked.max())), y.size - 1) + 1)
    return np.column_stack([at, y[at]])


def _shapes(y: NDArray[np.float64], wave: NDArray[np.float64]) -> tuple[list[Any], list[Any], list[Any]]:
    """Box, ticks and dot of a wave over a trace [samples, mm]. A missing mark has none."""
    onset, peak, offset = wave.tolist()
    marked, end = wave[np.isfinite(wave)], y.size - 1
    left, right = max(marked.min(), 0), min(marked.max(), end)
    piece = y[int(left) : int(np.ceil(right)) + 1]
    low, high = piece.min() - _ROOM, piece.max() + _ROOM
    box = np.array([(left, low), (left, high), (right, high), (right, low)])
    ticks = [np.array([(t, low), (t, high)]) for t in (onset, offset) if 0 <= t <= end]
    dots = [np.array([t, np.interp(t, np.arange(y.size), y)]) for t in (peak,) if 0 <= t <= end]
    return [box], ticks, dots
