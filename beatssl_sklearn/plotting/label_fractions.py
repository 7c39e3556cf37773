"""Picture of scores over the share of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .figure import MARKERS, PALETTE, figure_of, new_figure, open_box

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_label_fractions(
    summary: Sequence[Mapping[str, Any]], *, ax: Axes | None = None, statistic: str = "auroc"
) -> Figure:
    """Draw a statistic over the share of labels, one line per mode.

    Parameters
    ----------
    summary : sequence of mappings
        As returned by :meth:`LabelFractionCurve.summary`. An interval is drawn if ``{statistic}_low`` and
        ``{statistic}_high`` are present and finite.
    ax : matplotlib.axes.Axes, default=None
        Where to draw. None makes a figure.
    statistic : str, default="auroc"
        Key of the ordinate: "auroc" or "f1".

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    ValueError
        If there is nothing to draw, or `ax` belongs to no figure.
    ImportError
        If matplotlib is missing.
    """
    rows = list(summary)
    if not rows or any(key not in row for row in rows for key in ("mode", "fraction", statistic)):
        raise ValueError(f"summary must be a non-empty list of dicts with mode, fraction and {statistic!r}")
    if ax is None:
        ax = new_figure((6.0, 4.2), layout="constrained").add_subplot()
    modes = list(dict.fromkeys(row["mode"] for row in rows))
    for k, mode in enumerate(modes):
        own = sorted((row for row in rows if row["mode"] == mode), key=lambda row: row["fraction"])
        # A little sideways, so that intervals at one fraction do not hide each other.
        x = np.array([row["fraction"] for row in own]) * 1.04 ** (k - (len(modes) - 1) / 2)
        mean, low, high = (
            np.array([row.get(f"{statistic}{end}", np.nan) for row in own], float) for end in ("", "_low", "_high")
        )
        random = str(mode).startswith("random")
        color, marker = PALETTE[k % len(PALETTE)], MARKERS[k % len(MARKERS)]
        name = str(mode).replace("_", " ")
        ax.plot(x, mean, "--" if random else "-", c=color, marker=marker, lw=1.8, ms=5, label=name)
        ax.vlines(x, low, high, color=color, lw=1.4)
    shares = sorted({float(row["fraction"]) for row in rows})
    ax.set_xscale("log")
    ax.set_xticks(shares, [f"{100 * share:g} %" for share in shares])
    ax.minorticks_off()
    ax.set(xlabel="labelled records", ylabel={"auroc": "macro AUROC", "f1": "macro F1"}.get(statistic, statistic))
    ax.grid(color="#dddddd", lw=0.6)
    open_box(ax)
    ax.legend(fontsize=9, frameon=False)
    return figure_of(ax)
