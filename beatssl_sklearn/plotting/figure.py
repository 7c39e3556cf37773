"""Figures without pyplot, and the colours and markers of all pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette without its yellow, which is hard to see on white and pink paper.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F", "#332288")
MARKERS = "osD^vP*X"


def new_figure(inches: tuple[float, float], **settings: Any) -> Figure:
    """Make a figure that belongs to no window.

    Parameters
    ----------
    inches : tuple of 2 float
        Width and height.
    **settings
        As for `matplotlib.figure.Figure`.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    return import_optional("matplotlib.figure", "plotting", "plot").Figure(figsize=inches, **settings)


def figure_of(ax: Axes) -> Figure:
    """Return the figure of axes.

    Raises
    ------
    ValueError
        If the axes were removed from their figure.
    """
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("ax must belong to a figure, got one that was removed from its figure")
    return figure


def open_box(ax: Axes) -> None:
    """Leave out the upper and the right border of axes."""
    ax.spines[["top", "right"]].set_visible(False)
