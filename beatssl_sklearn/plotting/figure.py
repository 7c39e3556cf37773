"""Where pictures are drawn, and their colours, markers and names."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from .._optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette without its yellow, which is hard to see on white and pink paper.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F", "#332288")
MARKERS = "osD^vP*X"


def new_figure(inches: tuple[float, float], layout: str = "none") -> Figure:
    """Make a figure that pyplot knows, so that a notebook and ``plt.show()`` show it.

    Parameters
    ----------
    inches : tuple of 2 float
        Width and height.
    layout : str, default="none"
        Layout engine of matplotlib; that of the user's style would move what is placed true to scale.

    Returns
    -------
    matplotlib.figure.Figure
        The figure. The backend is the one that matplotlib chose or will choose.

    Raises
    ------
    ImportError
        If matplotlib is missing, or its chosen backend cannot run here.
    """
    import_optional("matplotlib.figure", "plotting", "plot")
    figure: Any = import_optional("matplotlib.pyplot", "plotting", "plot").figure(figsize=inches, layout=layout)
    figure._ipython_display_ = partial(_display, figure)
    return figure


def _display(figure: Figure) -> None:
    """Have a notebook display the figure once.

    A notebook displays the last value of a cell, and then the figures that pyplot knows, and closes those. This one
    is closed as soon as it is displayed, as the last value or by ``display``.
    """
    if "inline" in import_optional("matplotlib", "plotting", "plot").get_backend():
        import_optional("matplotlib.pyplot", "plotting", "plot").close(figure)
    # By IPython's protocol this says: display it in the usual way.
    raise NotImplementedError


def own_figure(figure: Any, inches: tuple[float, float], layout: str = "none") -> Any:
    """Return the figure that a picture fills.

    Parameters
    ----------
    figure : matplotlib.figure.Figure, matplotlib.figure.SubFigure or None
        An empty one. None makes one by `new_figure`.
    inches : tuple of 2 float
        Width and height that the figure gets; a part of another figure keeps its size.
    layout : str, default="none"
        Layout engine of matplotlib; that of the user's style would move what is placed true to scale.

    Returns
    -------
    matplotlib.figure.Figure or matplotlib.figure.SubFigure
        The figure.

    Raises
    ------
    TypeError
        If it is no figure.
    ValueError
        If something is drawn in it.
    ImportError
        If matplotlib is missing.
    """
    module = import_optional("matplotlib.figure", "plotting", "plot")
    if figure is None:
        return new_figure(inches, layout=layout)
    if not isinstance(figure, module.FigureBase):
        raise TypeError(f"figure must be a matplotlib Figure or SubFigure, got {type(figure).__name__}")
    if figure.axes:
        raise ValueError(f"figure must be empty, got one with {len(figure.axes)} axes: pass one of them as ax")
    if isinstance(figure, module.Figure):
        figure.set_size_inches(inches)
        figure.set_layout_engine(layout)
    return figure


def own_axes(ax: Axes | None, figure: Any, inches: tuple[float, float]) -> Axes:
    """Return the axes that a chart is drawn in: `ax`, or new ones that fill `figure` as `own_figure` returns it.

    Raises
    ------
    TypeError
        If `ax` or `figure` is something else.
    ValueError
        If both are given, `ax` was removed from its figure, or `figure` is not empty.
    ImportError
        If matplotlib is missing.
    """
    check_axes(ax, figure)
    return own_figure(figure, inches, layout="constrained").add_subplot() if ax is None else ax


def check_axes(ax: Any, figure: Any) -> None:
    """Raise an error unless `ax` is None or axes of a figure, and given without `figure`."""
    if ax is None:
        return
    if not isinstance(ax, import_optional("matplotlib.axes", "plotting", "plot").Axes):
        raise TypeError(f"ax must be matplotlib Axes, got {type(ax).__name__}")
    if figure is not None:
        raise ValueError("ax and figure were both given: pass one of them")
    if ax.get_figure() is None:
        raise ValueError("ax must belong to a figure, got one that was removed from its figure")


def figure_of(ax: Axes) -> Figure:
    """Return the figure of axes; of axes in a part of a figure, the whole figure."""
    # matplotlib before 3.10 has no `root`.
    figure: Any = ax.get_figure()
    while figure is not figure.figure:
        figure = figure.figure
    return figure


def open_box(ax: Axes) -> None:
    """Leave out the upper and the right border of axes."""
    ax.spines[["top", "right"]].set_visible(False)


def plain(text: str) -> str:
    """Return text that matplotlib draws as it is: no formula between dollar signs, nothing hidden by an underscore."""
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


def shortened(name: str, length: int = 28) -> str:
    """Return a name of at most `length` characters; three dots stand for the rest."""
    return name if len(name) <= length else name[: length - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
