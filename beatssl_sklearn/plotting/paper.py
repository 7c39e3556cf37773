"""ECG paper: the grid, the traces with their names, the axis of time and the marks of beats."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from .figure import MARKERS, PALETTE, check_axes, own_figure, plain, shortened
from .layout import MM_PER_MV, MM_PER_S, Page, Strip, lay_out
from .recording import Excerpt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colour and marker of a type of beat.
_BEAT_STYLE = {
    "N": ("#222222", "o"), "L": ("#0072B2", "s"), "R": ("#009E73", "D"), "A": ("#56B4E9", "^"), "S": ("#56B4E9", "^"),
    "V": ("#D55E00", "v"), "F": ("#E69F00", "P"), "/": ("#CC79A7", "*"), "Q": ("#7F7F7F", "X"),
}  # fmt: skip
_INK = "#222222"
# Right of the paper's traces, below it, and of a line of text above [mm].
_RIGHT, _BOTTOM, _LINE = 5.0, 15.0, 5.5
# On both sides of the paper [mm].
_SIDE = 3.0
# Steps of the axis of time [s].
_TICKS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0)
# Steps of the grid [s] and [mm]: each is drawn if its lines are this far apart [mm] on the drawn paper.
_TIME_STEPS = (0.04, 0.2, 1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0)
_HEIGHT_STEPS = (1.0, 5.0, 25.0)
_CLOSEST_LINES = 0.9
_GRID = (("#f9d9d9", 0.4), ("#eea9a9", 0.7))
# Samples per drawn millimetre from which only the least and the greatest of each tenth are drawn.
_DENSE = 80.0
# Root mean square of a lead [mV] that no heart has, and the range of a signal that is no ECG in mV.
_TOO_LARGE, _TOO_SMALL = 5.0, 0.03


def paper_of(
    part: Excerpt, ax: Axes | None, figure: object, title: str | None, *, marked: bool = False, legend: bool = False
) -> tuple[Axes, Page]:
    """Draw paper with the traces of a recording.

    Parameters
    ----------
    part : Excerpt
        What is shown of the recording.
    ax : matplotlib.axes.Axes or None
        Where to draw. None makes axes in `figure`, of the paper's true size.
    figure : matplotlib.figure.Figure, matplotlib.figure.SubFigure or None
        As for `own_figure`.
    title : str or None
        Title; the seconds that are shown follow it.
    marked : bool, default=False
        Whether there will be marks of beats.
    legend : bool, default=False
        Whether there will be a legend, as drawn by `draw_legend`.

    Returns
    -------
    ax : matplotlib.axes.Axes
        The axes, in millimetres.
    page : Page
        The layout.
    """
    check_axes(ax, figure)
    page = lay_out(part.x, part.fs, part.names, marked=marked)
    title = ", ".join(filter(None, (title, part.shown, _doubt(part, page))))
    if ax is None:
        title = textwrap.fill(title, int((page.margin + page.width) / 2.0)) if title else ""
        ax = _new_axes(page, figure, title.count("\n") + 1 if title else 0, legend)
    scale = _drawn_scale(ax, page)
    if scale < 1:
        page = lay_out(part.x, part.fs, part.names, marked=marked, scale=scale)
    lines = _draw_grid(ax, page)
    for k, strip in enumerate(page.strips):
        mm, y = page.x_of(np.arange(strip.start, strip.stop), strip), page.y_of(part.x, strip)
        mm, y = _thinned(mm, y, part.fs / page.speed)
        width = 0.9 if page.speed == MM_PER_S else 0.7
        ax.plot(mm, y, color="black", lw=width * page.shrink, solid_joinstyle="round", zorder=2)
        _draw_name(ax, page, k, part)
    _draw_pulses(ax, page)
    _draw_time(ax, page, part, lines)
    if title:
        ax.set_title(plain(title), loc="left", fontsize=11, color=_INK, pad=4 + 20 * legend)
    return ax, page


def _doubt(part: Excerpt, page: Page) -> str:
    """Say that the values are hardly millivolts; empty if they may be."""
    deviation = np.abs(part.x - page.medians[:, None])
    there = deviation[np.isfinite(deviation)]
    highest = float(there.max()) if there.size else 0.0
    if there.size and float(np.sqrt(np.mean(there**2))) > _TOO_LARGE:
        return f"values of up to {highest:.0f} mV: microvolts, or raw numbers?"
    return f"values of at most {highest:.2g} mV: volts?" if 0 < highest < _TOO_SMALL else ""


def _new_axes(page: Page, figure: object, n_lines: int, legend: bool) -> Axes:
    """Make axes for paper of true size, with room for a title of some lines, a legend and the axis of time."""
    above = 2 + _LINE * n_lines + 7 * legend
    size = np.array([page.margin + page.width + _RIGHT + 2 * _SIDE, page.height + above + _BOTTOM])
    own = own_figure(figure, tuple(size / 25.4))
    own.set_facecolor("white")
    width, height = np.array([own.bbox.width, own.bbox.height]) / own.dpi * 25.4
    return own.add_axes(
        (_SIDE / width, _BOTTOM / height, 1 - 2 * _SIDE / width, max(0.1, 1 - (above + _BOTTOM) / height))
    )


def _drawn_scale(ax: Axes, page: Page) -> float:
    """Size of the paper in its axes over its true size; at most 1."""
    box = ax.get_window_extent()
    true = np.array([page.margin + page.width + _RIGHT, page.height])
    scale = float(min(np.array([box.width, box.height]) / ax.figure.dpi * 25.4 / true))
    return max(scale, 0.1) if scale < 0.99 else 1.0


def _draw_grid(ax: Axes, page: Page) -> tuple[float, float]:
    """Draw the lines that can be told apart, and fix the limits. Return the finest steps [s] and [mV]; 0 for none."""
    collections = import_optional("matplotlib.collections", "plotting", "plot")
    closest = _CLOSEST_LINES / page.scale
    times = [step for step in _TIME_STEPS if step * page.speed >= closest and step <= page.row_s][:2]
    heights = [step for step in _HEIGHT_STEPS if step >= closest and step <= page.height][:2]
    left, right = -page.margin, page.width + _RIGHT
    for k, (color, lw) in enumerate(_GRID):
        lines: list[list[tuple[float, float]]] = []
        if k < len(times):
            step = times[k] * page.speed
            at = np.arange(np.ceil(left / step), np.floor(right / step) + 1) * step
            lines += [[(x, 0.0), (x, page.height)] for x in at.tolist()]
        if k < len(heights):
            at = np.arange(0, page.height + 0.5 * heights[k], heights[k])
            lines += [[(left, y), (right, y)] for y in at.tolist()]
        ax.add_collection(collections.LineCollection(lines, colors=color, linewidths=lw, zorder=0), autolim=False)
    ax.set(xlim=(left, right), ylim=(0, page.height), aspect="equal", facecolor="white")
    ax.spines[:].set_visible(False)
    ax.set_yticks([])
    return times[0] if times else 0.0, heights[0] / page.gain if heights else 0.0


def _thinned(mm: NDArray[np.float64], y: NDArray[np.float64], per_mm: float) -> tuple[NDArray[np.float64], ...]:
    """Of a dense trace, keep the least and the greatest sample of each tenth of a millimetre."""
    step = int(per_mm / 10)
    if per_mm < _DENSE or y.size < 2 * step:
        return mm, y
    n = -(-y.size // step)
    pieces = np.pad(y, (0, n * step - y.size), constant_values=np.nan).reshape(n, step)
    return np.repeat(mm[::step], 2), np.stack([np.fmin.reduce(pieces, 1), np.fmax.reduce(pieces, 1)], 1).ravel()


def _draw_name(ax: Axes, page: Page, k: int, part: Excerpt) -> None:
    """Write the name of a strip's lead where no trace is, and the time at which a later row begins."""
    strip, name = page.strips[k], plain(page.names[k])
    style: dict[str, Any] = {"fontsize": 10 * page.shrink, "color": _INK, "zorder": 3}
    if not np.isfinite(part.x[strip.lead, strip.start : strip.stop]).any():
        first = page.x_of(strip.start, strip) + 1
        ax.text(first, page.baselines[strip.row], "no samples", va="center", fontstyle="italic", **style)
    if page.columns:
        ax.text(page.x_of(strip.start, strip) + 1, page.labels[k], name, va="bottom", fontweight="bold", **style)
        return
    y, tall = page.baselines[strip.row], page.tall
    x, n_leads = -9.0, len(part.x)
    time = f"{round((part.first + strip.origin) / part.fs, 2):.10g} s" if page.wrapped else ""
    if n_leads > 1 or not strip.origin:
        up = 0.6 * tall if page.wrapped and n_leads == 1 else 0.0
        ax.text(x, y + up, name, va="center", ha="right", fontweight="bold", **style)
    if time and n_leads == 1:
        down = 0.0 if strip.origin else 0.6 * tall
        ax.text(x, y - down, time, va="center", ha="right", **style)
    elif time and strip.lead == 0:
        ax.text(x, page.tops[strip.row], time, va="bottom", ha="right", **style)


def _draw_pulses(ax: Axes, page: Page) -> None:
    """Draw the pulse of calibration: before each row of columns, or the first lead of each stretch."""
    rows = page.baselines if page.columns else page.baselines[:: len(page.medians)]
    y = rows[:, None] + page.pulse * page.gain * np.array([0, 0, 1, 1, 0, 0, np.nan])
    ax.plot(np.tile([-8, -7, -7, -3, -3, -2, np.nan], len(y)), y.ravel(), color="black", lw=0.9 * page.shrink)


def _draw_time(ax: Axes, page: Page, part: Excerpt, lines: tuple[float, float]) -> None:
    """Draw the axis of time, with the scale."""
    seconds = 0.0 if page.wrapped else part.first / part.fs
    room = 15 / page.scale / page.speed
    step = next((s for s in _TICKS if s >= room), _TICKS[-1])
    if step > page.row_s:
        step = max((s for s in _TICKS if s <= page.row_s), default=_TICKS[0])
    ticks = np.arange(np.ceil(seconds / step - 1e-9), np.floor((seconds + page.row_s) / step + 1e-9) + 1) * step
    size, words = 9 * page.shrink, [f"{round(tick, 3) + 0.0:.10g}" for tick in ticks]
    ax.set_xticks((ticks - seconds) * page.speed, words, fontsize=size, color=_INK)
    ax.tick_params(axis="x", length=3, color=_INK, pad=2)
    time = "time from the start of a row [s]" if page.wrapped else "time [s]"
    ax.set_xlabel(_beside(page, time, scale_of(page, lines)), fontsize=size, color=_INK)


def _beside(page: Page, time: str, scale: str) -> str:
    """Put the scale beside the name of the axis, or below it on narrow paper."""
    width = (page.margin + page.width) * page.scale
    one_line = len(time + scale) + 6 < width / (1.7 * page.shrink)
    return time + (" " * 6 if one_line else "\n") + scale


def scale_of(page: Page, lines: tuple[float, float]) -> str:
    """Return the scale of paper as text.

    Parameters
    ----------
    page : Page
        The layout.
    lines : tuple of 2 float
        Steps of the finest grid [s] and [mV]; 0 for none.

    Returns
    -------
    str
        Its millimetres, if it has its true size. Of paper that is not the usual one, the steps of its grid and the
        height of the pulse of calibration.
    """
    words = [f"{page.speed:.3g} mm/s   {page.gain:g} mm/mV"] if page.scale == 1 else []
    if page.scale < 1 or page.speed != MM_PER_S or page.gain != MM_PER_MV:
        found = [f"{step:g} {unit}" for step, unit in zip(lines, ("s", "mV"), strict=True) if step > 0]
        words += [f"lines every {' and '.join(found)}"] if found else []
        words += [f"pulse {page.pulse:g} mV"]
    return "   ".join(words)


def color_beats(
    ax: Axes, page: Page, strip: Strip, x: NDArray[np.float64], peaks: NDArray[np.int64], types: list[str]
) -> None:
    """Draw the beats of a strip that are not N in the colour of their type."""
    y, between = page.y_of(x, strip), (peaks[1:] + peaks[:-1]) // 2
    for k, kind in enumerate(types):
        if kind == "N":
            continue
        # Between beats of the same type the colour has no gap. Next to another type it keeps off that beat's waves.
        onset = 0 if types[max(k - 1, 0)] == kind else peaks[k] - int(0.25 * page.fs)
        offset = x.shape[1] if types[min(k + 1, len(types) - 1)] == kind else peaks[k] + int(0.45 * page.fs)
        first = max(strip.start, onset, between[k - 1] if k else 0)
        last = min(strip.stop, offset, between[k] + 1 if k < between.size else x.shape[1])
        if first < last:
            mm = page.x_of(np.arange(first, last), strip)
            ax.plot(mm, y[first - strip.start : last - strip.start], color=beat_style(kind)[0], lw=1.3, zorder=3)


def mark_beats(ax: Axes, page: Page, peaks: NDArray[np.int64], types: list[str]) -> None:
    """Mark the beats above the lowest lead, with a legend of their types."""
    strips = [next(s for s in page.lowest if s.start <= peak < s.stop) for peak in peaks.tolist()]
    at = np.array([(page.x_of(peak, s), page.marks[s.row]) for peak, s in zip(peaks, strips, strict=True)])
    if not types:
        ax.scatter(at[:, 0], at[:, 1], marker="v", s=18, color=PALETTE[0], zorder=4)
        return
    handles = []
    for kind in sorted(set(types)):
        (color, marker), own = beat_style(kind), at[np.array(types) == kind]
        label = f"{plain(shortened(kind))} ({len(own)})"
        handles.append(ax.scatter(own[:, 0], own[:, 1], marker=marker, s=24, color=color, label=label, zorder=4))
    draw_legend(ax, page, handles)


def draw_legend(ax: Axes, page: Page, handles: list[Any]) -> None:
    """Draw a legend of one line above the paper."""
    ax.legend(
        handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(handles), frameon=False,
        fontsize=9 * page.shrink, borderaxespad=0.2, handlelength=1.2, handletextpad=0.4, columnspacing=1.2,
        labelcolor=_INK,
    )  # fmt: skip


def beat_style(kind: str) -> tuple[str, str]:
    """Return colour and marker of a type of beat, the same in every picture."""
    fallback = sum(kind.encode()) % len(PALETTE)
    return _BEAT_STYLE.get(kind, (PALETTE[fallback], MARKERS[fallback]))
