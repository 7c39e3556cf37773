"""Picture of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from .figure import MARKERS, PALETTE, figure_of, open_box, own_figure, plain, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_WANTED = "a fitted estimator that was trained in epochs, or its history_, a list of one dict per epoch"
# Panels: label of the ordinate, and ends of the keys that it shows.
_PANELS = (
    ("loss", ("_loss", "_kl")),
    ("effective rank of the embeddings", ("effective_rank",)),
    ("score of held-out records", ("_auroc", "_f1", "_accuracy")),
)
# Up to so many epochs have a mark each.
_MARKED = 40
# Longer legends stand beside the panel.
_INSIDE = 5


def plot_history(history: Any, *, figure: Figure | SubFigure | None = None) -> Figure:
    """Draw losses, the effective rank of the embeddings and scores over the epochs of training.

    Parameters
    ----------
    history : estimator, or sequence of mappings, one per epoch
        A fitted pretrainer, `FineTunedClassifier` or `WaveSegmenter`, or its `history_`. Keys that end in `_loss` or
        `_kl`, such as `train_loss` and `rhythm_kl`, are drawn on the left, `effective_rank` and keys that end in
        `_auroc`, `_f1` or `_accuracy` each in its own panel. A part of the loss that is 0 in all epochs is left out.
        `epoch` is the abscissa if every epoch has it; otherwise epochs are counted from 1. An epoch without a key
        leaves a gap.
    figure : matplotlib.figure.Figure or matplotlib.figure.SubFigure, default=None
        An empty figure, which gets a size for its panels. None makes one that pyplot knows, so that notebooks and
        ``plt.show()`` show it.

    Returns
    -------
    matplotlib.figure.Figure
        A figure with one axes for each panel that has something to draw.

    Raises
    ------
    TypeError
        If `history` is something else, or `figure` is not of matplotlib.
    ValueError
        If the estimator is not fitted, was trained for no epoch, or there is nothing to draw.
    ImportError
        If matplotlib is missing.
    """
    rows = _rows(history)
    # The loss itself before its parts.
    keys = sorted(dict.fromkeys(key for row in rows for key in row), key=lambda key: not key.startswith("train"))
    panels = [(name, [key for key in keys if key.endswith(ends)]) for name, ends in _PANELS]
    panels = [(name, own) for name, own in panels if own]
    if not panels:
        raise ValueError(f"history must have a key that ends in '_loss' or '_kl', or 'effective_rank', got {keys}")
    epoch = _column(rows, "epoch") if all("epoch" in row for row in rows) else np.arange(1.0, len(rows) + 1)
    whole = own_figure(figure, (5.2 * len(panels), 3.8), layout="constrained")
    axes = np.atleast_1d(whole.subplots(1, len(panels)))
    for ax, (name, own) in zip(axes, panels, strict=True):
        _draw_panel(ax, epoch, {key: _column(rows, key) for key in own}, name)
    return figure_of(axes[0])


def _rows(history: Any) -> Sequence[Mapping[str, float]]:
    """Return the rows of an estimator's history, or of a list."""
    if hasattr(history, "fit") and not isinstance(history, type):
        rows = getattr(history, "history_", None)
        if rows is None:
            trained = [name for name in vars(history) if name.endswith("_") and not name.startswith("_")]
            state = "has no history_: it is not trained in epochs" if trained else "is not fitted: call fit first"
            raise ValueError(f"history must be {_WANTED}; this {type(history).__name__} {state}")
        if not len(rows):
            raise ValueError(f"history must have an epoch to draw; this {type(history).__name__} was trained for none")
        return list(rows)
    if not isinstance(history, Sequence) or isinstance(history, str):
        raise TypeError(f"history must be {_WANTED}, got {type(history).__name__}")
    if not history or not all(isinstance(row, Mapping) for row in history):
        raise ValueError(f"history must be {_WANTED}, got {history!r:.80}")
    return history


def _draw_panel(ax: Axes, epoch: NDArray[np.float64], columns: dict[str, NDArray[np.float64]], name: str) -> None:
    """Draw the columns of one panel."""
    parts = {key: column for key, column in columns.items() if key.startswith("train") or np.any(column != 0)}
    drawn = parts or columns
    # What is measured on held-out records has the colour of the same on the others.
    places = {name: k for k, name in enumerate(dict.fromkeys(_measured(key) for key in drawn))}
    for key, column in drawn.items():
        k, held_out = places[_measured(key)], key.startswith("valid_")
        color, marker = PALETTE[k % len(PALETTE)], MARKERS[k % len(MARKERS)] if len(epoch) <= _MARKED else ""
        line = ":" if held_out else "--" if key.endswith("_kl") else "-"
        fill: Any = {"mfc": "white"} if held_out else {}
        label = plain(shortened(key.replace("_", " ")))
        ax.plot(epoch, column, line, c=color, marker=marker, ms=4, lw=1.8, label=label, **fill)
    if list(columns) != ["effective_rank"]:
        beside: Any = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if len(drawn) > _INSIDE else {}
        ax.legend(fontsize=9, frameon=False, **beside)
    else:
        ax.set_ylim(bottom=0, top=1.1 * max(1.0, float(np.nanmax([0.0, *columns["effective_rank"]]))))
    ax.set(xlabel="epoch", ylabel=name)
    ax.xaxis.set_major_locator(import_optional("matplotlib.ticker", "plotting", "plot").MaxNLocator(integer=True))
    ax.grid(color="#dddddd", lw=0.6)
    open_box(ax)


def _measured(key: str) -> str:
    """Return what a column measures, whether of the records that are trained on or of others."""
    return key.removeprefix("train_").removeprefix("valid_")


def _column(rows: Sequence[Mapping[str, float]], key: str) -> NDArray[np.float64]:
    """Values of a key (n_epochs,), NaN for an epoch without it."""
    return np.array([np.nan if row.get(key) is None else float(row[key]) for row in rows])
