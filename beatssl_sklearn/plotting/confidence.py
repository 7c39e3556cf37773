"""Pictures of what the confidence of waves is worth."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from ..ecg.waves.rules import USUAL_LIMITS, WAVES
from .figure import MARKERS, PALETTE, check_axes, figure_of, open_box, own_axes, own_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from pandas import DataFrame

_COLORS = dict(zip(WAVES, PALETTE, strict=False))
_FORMS = dict(zip(WAVES, MARKERS, strict=False))
# Bins of fewer waves are hollow points beside the curve: their share is mostly chance.
_FEW = 20


def plot_reliability(
    table: DataFrame, *, ax: Axes | None = None, figure: Figure | SubFigure | None = None, title: str | None = None
) -> Figure:
    """Draw the share of right waves over their confidence, and how many waves there are.

    Parameters
    ----------
    table : DataFrame
        As returned by :func:`beatssl_sklearn.evaluation.reliability`.
    ax : matplotlib.axes.Axes, default=None
        Where to draw the shares alone. None makes axes that fill `figure`, above those of the numbers of waves.
    figure : matplotlib.figure.Figure or matplotlib.figure.SubFigure, default=None
        An empty figure, which gets a size. None makes one that pyplot knows.
    title : str, default=None
        Title of the picture.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on. Points of fewer than 20 waves are hollow, and no curve joins them. On the dashed line,
        confidence is the probability that a wave is right.

    Raises
    ------
    TypeError
        If `ax` or `figure` is not of matplotlib.
    ValueError
        If the table lacks a column or is empty, or `ax` belongs to no figure.
    ImportError
        If matplotlib is missing.
    """
    _check(table, ("wave", "low", "high", "n", "confidence", "right"), "evaluation.reliability")
    check_axes(ax, figure)
    below = None
    if ax is None:
        whole = own_figure(figure, (5.6, 5.2), layout="constrained")
        ax, below = whole.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    ax.plot([0, 1], [0, 1], "--", c="#7F7F7F", lw=1, label="as it should be")
    waves = [wave for wave in WAVES if (table["wave"] == wave).any()]
    for k, wave in enumerate(waves):
        rows = table[table["wave"] == wave]
        color, form = _COLORS[wave], _FORMS[wave]
        many, few = rows[rows["n"] >= _FEW], rows[rows["n"] < _FEW]
        ax.plot(many["confidence"], many["right"], "-", marker=form, c=color, ms=5, lw=1.6, label=wave)
        ax.plot(few["confidence"], few["right"], form, c=color, mfc="white", ms=5)
        if below is not None:
            width = (rows["high"] - rows["low"]) / (len(waves) + 1)
            below.bar(rows["low"] + width * (k + 1), rows["n"], width, color=color)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05), ylabel="share that is right")
    # Beside the curves, which may be anywhere.
    ax.legend(fontsize=9, frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))
    if title is not None:
        ax.set_title(title, fontsize=10)
    if below is not None:
        below.set(yscale="log", ylim=(0.6, 3 * max(1, table["n"].max())), ylabel="waves")
        open_box(below)
    (ax if below is None else below).set_xlabel("confidence")
    ax.grid(color="#dddddd", lw=0.6)
    open_box(ax)
    return figure_of(ax)


def plot_confidence_trade(
    table: DataFrame,
    *,
    ax: Axes | None = None,
    figure: Figure | SubFigure | None = None,
    mark: float | Sequence[float] = USUAL_LIMITS,
) -> Figure:
    """Draw sensitivity over false waves a minute, as the least confidence rises.

    Parameters
    ----------
    table : DataFrame
        As returned by :func:`beatssl_sklearn.evaluation.confidence_trade`.
    ax : matplotlib.axes.Axes, default=None
        Where to draw. None makes axes that fill `figure`.
    figure : matplotlib.figure.Figure or matplotlib.figure.SubFigure, default=None
        An empty figure, which gets a size. None makes one that pyplot knows.
    mark : float or sequence of three floats, default=(.1, .5, .5)
        The least confidence that gets a large point, of all waves, or of P, QRS and T; the nearest one of the table.
        The default is `min_confidence` of a calibrated `WaveSegmenter`.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on. Curves run from the highest threshold, on the left, to the lowest. The legend says what is
        found, and how many waves are false, at the large points.

    Raises
    ------
    TypeError
        If `ax` or `figure` is not of matplotlib.
    ValueError
        If the table lacks a column or is empty, `mark` has neither one number nor three, or `ax` belongs to no figure.
    ImportError
        If matplotlib is missing.
    """
    _check(table, ("wave", "threshold", "sensitivity", "false_per_minute"), "evaluation.confidence_trade")
    marks = list(mark) if isinstance(mark, Sequence) else [mark] * len(WAVES)
    if len(marks) != len(WAVES) or not all(isinstance(level, Real) for level in marks):
        raise ValueError(f"mark must be one number, or those of P, QRS and T, got {mark!r:.60}")
    ax = own_axes(ax, figure, (5.6, 3.8))
    for wave, level in zip(WAVES, marks, strict=True):
        rows = table[table["wave"] == wave].sort_values("threshold")
        if not rows["sensitivity"].notna().any():
            continue
        color, form = _COLORS[wave], _FORMS[wave]
        chosen = rows.iloc[int((rows["threshold"] - level).abs().to_numpy().argmin())]
        found, false = chosen["sensitivity"], chosen["false_per_minute"]
        name = f"{wave} from {chosen['threshold']:g}: {100 * found:.1f} % found, {false:.2g} false/min"
        ax.plot(rows["false_per_minute"], rows["sensitivity"], "-", c=color, marker=form, ms=3, lw=1.6)
        ax.plot([chosen["false_per_minute"]], [chosen["sensitivity"]], form, c=color, ms=9, mec="white", label=name)
    ax.set(xlabel="false waves per minute and lead", ylabel="sensitivity")
    ax.grid(color="#dddddd", lw=0.6)
    open_box(ax)
    ax.legend(fontsize=9, frameon=False, loc="lower right", title="least confidence (large points)", title_fontsize=9)
    return figure_of(ax)


def _check(table: Any, columns: tuple[str, ...], source: str) -> None:
    missing = [name for name in columns if name not in getattr(table, "columns", ())]
    if missing or not len(table):
        raise ValueError(f"table must be one of {source}, with a row; it lacks the columns {missing}")
