"""Picture of scores over the share of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .figure import MARKERS, PALETTE, figure_of, open_box, own_axes, plain, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

# Ratio of neighbouring shares whose names would overlap, by the decades that the axis spans.
_CLOSEST = 0.13


def plot_label_fractions(
    summary: Sequence[Mapping[str, Any]],
    *,
    ax: Axes | None = None,
    figure: Figure | SubFigure | None = None,
    statistic: str = "auroc",
) -> Figure:
    """Draw a statistic over the share of labels, one line per mode.

    Parameters
    ----------
    summary : sequence of mappings
        As returned by :meth:`LabelFractionCurve.summary`. An interval is drawn if ``{statistic}_low`` and
        ``{statistic}_high`` are present and finite.
    ax : matplotlib.axes.Axes, default=None
        Where to draw. None makes axes that fill `figure`.
    figure : matplotlib.figure.Figure or matplotlib.figure.SubFigure, default=None
        An empty figure, which gets a size. None makes one that pyplot knows, so that notebooks and ``plt.show()``
        show it.
    statistic : str, default="auroc"
        Key of the ordinate: "auroc" or "f1".

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    TypeError
        If `ax` or `figure` is not of matplotlib.
    ValueError
        If there is nothing to draw, a fraction is not from 0 to 1, or `ax` belongs to no figure.
    ImportError
        If matplotlib is missing.
    """
    rows = list(summary)
    if not rows or any(key not in row for row in rows for key in ("mode", "fraction", statistic)):
        raise ValueError(f"summary must be a non-empty list of dicts with mode, fraction and {statistic!r}")
    outside = [row["fraction"] for row in rows if not 0 < row["fraction"] <= 1]
    if outside:
        raise ValueError(f"summary must have fractions above 0 and up to 1, got {outside[0]!r}")
    ax = own_axes(ax, figure, (6.4, 4.2))
    modes = list(dict.fromkeys(row["mode"] for row in rows))
    for k, mode in enumerate(modes):
        own = sorted((row for row in rows if row["mode"] == mode), key=lambda row: row["fraction"])
        # A little sideways, so that intervals at one fraction do not hide each other.
        x = np.array([row["fraction"] for row in own]) * 1.04 ** (k - (len(modes) - 1) / 2)
        mean, low, high = (
            np.array([row.get(f"{statistic}{end}", np.nan) for row in own], float) for end in ("", "_low", "_high")
        )
        random = str(mode).startswith("random")
        color, marker = PALETTE[k % len(PALETTE)], MARKERS[(k + k // len(PALETTE)) % len(MARKERS)]
        name = plain(shortened(str(mode).replace("_", " ")))
        ax.plot(x, mean, "--" if random else "-", c=color, marker=marker, lw=1.8, ms=5, label=name)
        ax.vlines(x, low, high, color=color, lw=1.4)
    shares = sorted({float(row["fraction"]) for row in rows})
    ax.set_xscale("log")
    ax.set_xticks(shares, _share_names(shares))
    ax.minorticks_off()
    ax.set(xlabel="labelled records", ylabel={"auroc": "macro AUROC", "f1": "macro F1"}.get(statistic, statistic))
    ax.grid(color="#dddddd", lw=0.6)
    open_box(ax)
    # Beside the curves: matplotlib's best place does not avoid intervals.
    ax.legend(fontsize=9, frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure_of(ax)


def _share_names(shares: Sequence[float]) -> list[str]:
    """Names of shares in ascending order; "" for one whose name would overlap the last named one's."""
    names, last = [""] * len(shares), np.inf
    apart = _CLOSEST * max(1.0, np.log10(shares[-1] / shares[0]))
    for k in reversed(range(len(shares))):
        if np.log10(shares[k]) <= last - apart:
            names[k], last = f"{100 * shares[k]:g} %", np.log10(shares[k])
    return names
