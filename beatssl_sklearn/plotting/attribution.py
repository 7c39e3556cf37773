"""Picture of what the answer to a prompt rests on: heartbeats on ECG paper, and leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._optional import import_optional
from ..ecg.leads import LEADS
from ..ecg.wfdb import ECGRecord
from .figure import check_axes, figure_of, open_box, plain
from .layout import Page
from .paper import draw_legend, mark_beats, paper_of
from .recording import Excerpt, excerpt_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

# Okabe and Ito's blue and orange: what takes from the score, and what adds to it.
_TAKES, _ADDS = "#0072B2", "#D55E00"
_SHADE = 0.6
# Seconds before and after an R peak that are shaded.
_BEFORE, _AFTER = 0.25, 0.45
_INK = "#222222"
# Widths right of the paper [mm]: of the colour bar with its words, and of the chart with its names.
_BAR_MM, _CHART_MM = 22.0, 55.0
_FIELDS = ("score", "rhythm", "beats", "rpeaks", "leads")


class _Own(NamedTuple):
    """What the score of one record rests on."""

    score: float
    rhythm: float
    beats: NDArray[np.float64]
    rpeaks: NDArray[np.int64]
    leads: NDArray[np.float64] | None


def plot_attribution(
    signal: ECGRecord | ArrayLike,
    fs: float | None = None,
    attribution: Any = None,
    *,
    record: int = 0,
    leads: Sequence[str] | None = None,
    prompt: str | None = None,
    start: float = 0.0,
    duration: float | None = None,
    limit: float | None = None,
    title: str | None = None,
    ax: Axes | None = None,
    lead_ax: Axes | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure:
    """Draw what the answer to a prompt rests on: each heartbeat shaded by what it adds, and what each lead adds.

    The layout of the paper is the one of :func:`~beatssl_sklearn.plotting.plot_ecg`. Orange beats add to the score,
    blue ones take from it, and white ones do neither. The bars show how much the score falls without a lead.

    Parameters
    ----------
    signal : ECGRecord or array-like of shape (n_leads, n_times) or (n_times,); or all records that were asked about
        Signals [mV]. Of several records, the one at position `record` is drawn: of an array of shape (n_records,
        n_leads, n_times), of (n_records, n_times) if each has one lead, or of a collection such as a `WFDBFolder`.
    fs : float, default=None
        Sampling rate [Hz], for an array.
    attribution : Bunch
        As `ReportAligner.attribution` returns it.
    record : int, default=0
        Position of the record in `attribution`.
    leads : sequence of n_leads str, default=None
        Names of the leads, for an array. None means the standard twelve, or numbers for any other number of leads.
    prompt : str, default=None
        What was asked, for the title.
    start : float, default=0.0
        First second shown.
    duration : float, default=None
        Seconds shown; None for all that follow.
    limit : float, default=None
        Part of the score that has the full colour; None is the largest one of the record. The same limit makes pictures
        of several records comparable.
    title : str, default=None
        Title in place of prompt and score.
    ax : matplotlib.axes.Axes, default=None
        Where to draw the paper; a legend then takes the place of the colour bar.
    lead_ax : matplotlib.axes.Axes, default=None
        Where to draw the leads. None leaves them out if `ax` is given.
    figure : matplotlib.figure.Figure or matplotlib.figure.SubFigure, default=None
        An empty figure, as for `plot_ecg`. None makes one that pyplot knows.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    TypeError
        If `signal` or `attribution` is something else, or `ax` or `figure` is not of matplotlib.
    ValueError
        If shapes disagree, `fs` is missing, `record` is none of the attribution's, `signal` has another number of
        records, or an R peak lies outside of the signal.
    ImportError
        If matplotlib is missing.
    """
    own = _own_of(attribution, record)
    part = excerpt_of(_one_of(signal, len(attribution["score"]), record, own.leads), fs, leads, start, duration)
    if part.recorded is not None and own.rpeaks.size and own.rpeaks.max() >= round(part.recorded * part.fs):
        raise ValueError(
            f"attribution has an R peak at sample {own.rpeaks.max()}, but the record has "
            f"{round(part.recorded * part.fs)} samples: is it another record, or another fs?"
        )
    full = _limit_of(limit, own.beats)
    check_axes(ax, figure)
    check_axes(lead_ax, None)
    title = _title_of(own, prompt) if title is None else title
    within, colour_ax = figure, None
    if ax is None:
        within, colour_ax, lead_ax = _side_by_side(figure, lead_ax, own.leads is not None)
    n_peaks = int(((own.rpeaks >= part.first) & (own.rpeaks < part.first + part.x.shape[1])).sum())
    paper, page = paper_of(part, ax, within, title, marked=n_peaks > 0, legend=ax is not None)
    if ax is None and colour_ax is None:
        colour_ax, lead_ax = _widened(paper, lead_ax, own.leads is not None)
    _shade(paper, page, part, own, full)
    if colour_ax is None:
        _draw_shades_legend(paper, page, full)
    else:
        _draw_colour_bar(colour_ax, full)
    if lead_ax is not None and own.leads is not None:
        _draw_leads(lead_ax, own.leads)
    return figure_of(paper)


def _one_of(signal: Any, n: int, record: int, falls: NDArray[np.float64] | None) -> Any:
    """Return the record that is drawn, from one record or from all n of an attribution."""
    if isinstance(signal, ECGRecord) or not hasattr(signal, "__len__"):
        return signal
    if isinstance(signal, np.ndarray):
        # Without its only lead, a record has no score. So rows of such records are records, and not leads.
        of_one_lead = signal.ndim == 2 and n == len(signal) > 1 and falls is not None and not np.isfinite(falls).any()
        several = signal.ndim == 3 or of_one_lead
    else:
        several = len(signal) > 0 and isinstance(signal[0], ECGRecord)
    if not several:
        return signal
    if len(signal) != n:
        raise ValueError(
            f"signal has {len(signal)} records, but attribution is of {n}: pass the same records, or record {record} "
            f"alone as signal[{record}]"
        )
    return signal[record]


def _own_of(attribution: Any, record: int) -> _Own:
    """Return the part of an attribution that belongs to a record."""
    if not isinstance(attribution, Mapping) or any(name not in attribution for name in _FIELDS):
        raise TypeError(
            f"attribution must be what ReportAligner.attribution returns, got {type(attribution).__name__}"
        )
    n = len(attribution["score"])
    if isinstance(record, bool) or not isinstance(record, (int, np.integer)) or not 0 <= record < n:
        raise ValueError(f"record must be from 0 to {n - 1}, got {record!r}")
    beats = np.asarray(attribution["beats"][record], dtype=np.float64)
    rpeaks = np.asarray(attribution["rpeaks"][record], dtype=np.int64)
    # Where learned queries stand for beats, no beat has a part.
    rpeaks = rpeaks[: len(beats)] if not len(beats) else rpeaks
    if len(beats) != len(rpeaks):
        raise ValueError(f"attribution has {len(beats)} beats and {len(rpeaks)} R peaks of record {record}")
    falls = attribution["leads"]
    return _Own(
        float(attribution["score"][record]),
        float(attribution["rhythm"][record]),
        beats,
        rpeaks,
        None if falls is None else np.asarray(falls[record], dtype=np.float64),
    )


def _limit_of(limit: float | None, beats: NDArray[np.float64]) -> float:
    """Return the part that has the full colour."""
    if limit is not None:
        if not (np.isfinite(limit) and limit > 0):
            raise ValueError(f"limit must be a positive number, got {limit!r}")
        return float(limit)
    there = np.abs(beats[np.isfinite(beats)])
    return float(there.max()) if there.size and there.max() > 0 else 1.0


def _title_of(own: _Own, prompt: str | None) -> str:
    """Return prompt, score and its parts as words."""
    asked = f"\N{LEFT DOUBLE QUOTATION MARK}{prompt}\N{RIGHT DOUBLE QUOTATION MARK}: " if prompt else ""
    if not np.isfinite(own.score):
        return f"{asked}no score"
    parts = f"whole record {_signed(own.rhythm)}, {len(own.beats)} beats {_signed(own.beats.sum())}"
    return f"{asked}score {_signed(own.score)} ({parts})"


def _signed(value: float, digits: str = "+.3f") -> str:
    """Return a number with its sign, which is never a hyphen."""
    return f"{value:{digits}}".replace("-", "\N{MINUS SIGN}")


def _side_by_side(figure: Any, lead_ax: Any, with_leads: bool) -> tuple[Any, Any, Any]:
    """Split a part of a figure, whose size is fixed. Any other figure is made wider by `_widened`."""
    module = import_optional("matplotlib.figure", "plotting", "plot")
    if not isinstance(figure, module.SubFigure):
        return figure, None, lead_ax
    if figure.axes:
        raise ValueError(f"figure must be empty, got one with {len(figure.axes)} axes: pass one of them as ax")
    chart = with_leads and lead_ax is None
    left, right = figure.subfigures(1, 2, width_ratios=(3, 1) if chart else (8, 1))
    right.set_facecolor("white")
    colour_ax = right.add_axes((0.05, 0.2, 0.06, 0.6))
    return left, colour_ax, right.add_axes((0.55, 0.2, 0.35, 0.6)) if chart else lead_ax


def _widened(paper: Axes, lead_ax: Any, with_leads: bool) -> tuple[Any, Any]:
    """Make the figure of some paper wider, for the colour bar and the chart of leads."""
    figure: Any = paper.figure
    # The position depends on the size: it is asked for first.
    x, y, w, h = paper.get_position(original=True).bounds
    width, height = figure.get_size_inches()
    chart = with_leads and lead_ax is None
    wider = width + (_BAR_MM + _CHART_MM * chart) / 25.4
    figure.set_size_inches(wider, height)
    paper.set_position((x * width / wider, y, w * width / wider, h))

    def beside(left: float, wide: float) -> Any:
        return figure.add_axes(((width + left / 25.4) / wider, y, wide / 25.4 / wider, h))

    return beside(1.0, 4.0), beside(_BAR_MM + 12.0, _CHART_MM - 18.0) if chart else lead_ax


def _colours(full: float) -> Any:
    """Return what turns parts of the score into colours; 0 is white."""
    colors = import_optional("matplotlib.colors", "plotting", "plot")
    cm = import_optional("matplotlib.cm", "plotting", "plot")
    # Of an odd number of colours, the middle one is 0: white to the last bit.
    scale = colors.LinearSegmentedColormap.from_list("parts", [_TAKES, "#FFFFFF", _ADDS], N=257)
    return cm.ScalarMappable(colors.Normalize(-full, full), scale)


def _shade(ax: Axes, page: Page, part: Excerpt, own: _Own, full: float) -> None:
    """Shade the beats in all leads, and mark their R peaks."""
    collections = import_optional("matplotlib.collections", "plotting", "plot")
    peaks, between = own.rpeaks - part.first, (own.rpeaks[1:] + own.rpeaks[:-1]) / 2 - part.first
    # Windows of fast beats would overlap: each ends half-way to the next one.
    first = np.maximum(peaks - _BEFORE * part.fs, np.concatenate([[-np.inf], between])[: len(peaks)])
    last = np.minimum(peaks + _AFTER * part.fs, np.concatenate([between, [np.inf]])[: len(peaks)])
    colours = _colours(full).to_rgba(own.beats)
    boxes, faces = [], []
    for strip in page.strips:
        low, high = page.bottoms[strip.row], page.tops[strip.row]
        for onset, offset, colour in zip(first, last, colours, strict=True):
            left, right = page.x_of(max(onset, strip.start), strip), page.x_of(min(offset, strip.stop), strip)
            if left < right:
                boxes.append([(left, low), (left, high), (right, high), (right, low)])
                faces.append(colour)
    shades = collections.PolyCollection(boxes, facecolors=faces, alpha=_SHADE, lw=0, zorder=0.5)
    ax.add_collection(shades, autolim=False)
    shown = peaks[(peaks >= 0) & (peaks < part.x.shape[1])]
    if shown.size:
        mark_beats(ax, page, shown, [])


def _draw_colour_bar(ax: Any, full: float) -> None:
    """Draw the colour bar."""
    bar = ax.figure.colorbar(_colours(full), cax=ax, alpha=_SHADE, ticks=[-full, 0, full])
    bar.ax.set_yticklabels([_signed(-full, "+.2g"), "0", _signed(full, "+.2g")], fontsize=9, color=_INK)
    bar.set_label("what a beat adds to the score", fontsize=9, color=_INK, labelpad=-2)
    bar.outline.set_visible(False)


def _draw_shades_legend(ax: Axes, page: Page, full: float) -> None:
    """Say by a legend what the full colours mean."""
    patch = import_optional("matplotlib.patches", "plotting", "plot").Patch
    named = ((_TAKES, _signed(-full, "+.2g")), (_ADDS, _signed(full, "+.2g")))
    draw_legend(ax, page, [patch(facecolor=color, alpha=_SHADE, label=label) for color, label in named])


def _draw_leads(ax: Axes, falls: NDArray[np.float64]) -> None:
    """Draw how much the score falls without each lead that the record has."""
    there = np.flatnonzero(np.isfinite(falls))
    own = falls[there]
    ax.barh(np.arange(len(own)), own, color=np.where(own < 0, _TAKES, _ADDS).tolist(), height=0.7)
    ax.axvline(0, color=_INK, lw=0.8)
    ax.set_yticks(np.arange(len(own)), [plain(LEADS[k]) for k in there], fontsize=9, color=_INK)
    ax.set_ylim(len(own) - 0.4, -0.6)
    widest = float(np.abs(own).max()) if own.size and np.abs(own).max() > 0 else 1.0
    ax.set_xlim(-1.1 * widest, 1.1 * widest)
    ticks = [-widest, 0, widest]
    ax.set_xticks(ticks, [_signed(-widest, "+.2g"), "0", _signed(widest, "+.2g")], fontsize=9, color=_INK)
    ax.tick_params(length=2, color=_INK)
    ax.set_xlabel("fall of the score\nwithout the lead", fontsize=9, color=_INK)
    open_box(ax)
