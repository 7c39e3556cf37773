"""Picture of how classified heartbeats are mistaken for each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .figure import figure_of, own_axes, plain, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

# Share of a row from which letters are white.
_DARK = 0.6
_LETTERS = 12


def plot_confusion(
    scores: Any,
    classes: Sequence[Any] | None = None,
    *,
    title: str | None = None,
    ax: Axes | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure:
    """Draw a confusion of beats: how many of each reference class got which answer, and their share of the class.

    Parameters
    ----------
    scores : AAMIScores, or array-like of int of shape (n_classes, n_classes)
        As returned by :func:`beatssl_sklearn.evaluation.aami_scores`, or counts with a row per reference class and a
        column per predicted class. Scores have a column of missed beats and a row of extra detections if there are any.
        Their classes without a beat and without an answer are left out.
    classes : sequence of n_classes labels, default=None
        Names of the classes, for an array. None numbers them from 0.
    title : str, default=None
        Title of the picture.
    ax : matplotlib.axes.Axes, default=None
        Where to draw. None makes axes that fill `figure`.
    figure : matplotlib.figure.Figure or matplotlib.figure.SubFigure, default=None
        An empty figure, which gets a size. None makes one that pyplot knows.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on. Cells are the darker, the larger their share of the row.

    Raises
    ------
    TypeError
        If `ax` or `figure` is not of matplotlib.
    ValueError
        If the counts are no square table of numbers of at least 0, `classes` has another length, or classes are given
        for scores, which have their own.
    ImportError
        If matplotlib is missing.
    """
    table = _table(scores, classes)
    n_rows, n_columns = table.counts.shape
    ax = own_axes(ax, figure, (1.5 + 0.95 * n_columns, 1.1 + 0.62 * n_rows))
    total = table.counts.sum(axis=1, keepdims=True)
    # Extra detections belong to no reference class.
    total[table.n_classes :] = 0
    share = np.divide(table.counts, total, out=np.zeros(table.counts.shape), where=total > 0)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    for (i, j), n in np.ndenumerate(table.counts):
        if i >= table.n_classes and j >= table.n_classes:
            continue
        words = f"{n:,}" + (f"\n{_percent(share[i, j])}" if share[i, j] else "")
        color = "white" if share[i, j] > _DARK else "#222222" if n else "#888888"
        ax.text(j, i, words, ha="center", va="center", fontsize=9, color=color, linespacing=1.25)
    # Missed beats and extra detections stand apart from the classes.
    for draw, n in ((ax.axvline, n_columns), (ax.axhline, n_rows)):
        for k in range(1, n):
            draw(k - 0.5, color="white", lw=5.0 if k == table.n_classes else 1.5)
    ax.set_xticks(range(n_columns), [plain(shortened(name, _LETTERS)) for name in table.columns])
    ax.set_yticks(range(n_rows), [plain(shortened(name, _LETTERS)) for name in table.rows])
    ax.tick_params(length=0, labelsize=10)
    ax.set(xlabel="predicted", ylabel="reference")
    ax.spines[:].set_visible(False)
    if title is not None:
        ax.set_title(plain(title), fontsize=11)
    return figure_of(ax)


class _Table(NamedTuple):
    """Counts, the names of rows and columns, and how many of both are classes; others stand behind them."""

    counts: NDArray[np.int64]
    rows: list[str]
    columns: list[str]
    n_classes: int


def _table(scores: Any, classes: Sequence[Any] | None) -> _Table:
    if hasattr(scores, "confusion"):
        if classes is not None:
            raise ValueError(f"classes must not be given for scores, which have their own: {list(scores.classes)}")
        return _of_scores(scores)
    counts = np.asarray(scores)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ValueError(f"scores must be AAMIScores or a square table of counts, got shape {counts.shape}")
    if counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ValueError(f"scores must hold counts, whole numbers of at least 0, got {counts.dtype}: {counts.min()}")
    names = [str(name) for name in (range(len(counts)) if classes is None else classes)]
    if len(names) != len(counts):
        raise ValueError(f"classes must name the {len(counts)} rows of the counts, got {len(names)}: {names}")
    return _Table(counts.astype(np.int64), names, names, len(counts))


def _of_scores(scores: Any) -> _Table:
    """Put missed beats and extra detections beside the confusion of the classes that occur."""
    confusion, missed, extra = scores.confusion, scores.missed, scores.extra
    kept = (confusion.sum(axis=0) + confusion.sum(axis=1) + missed + extra) > 0
    names = [str(name) for name, own in zip(scores.classes, kept, strict=True) if own]
    counts, rows, columns = confusion[np.ix_(kept, kept)], [*names], [*names]
    if missed.any():
        counts, columns = np.column_stack([counts, missed[kept]]), [*columns, "missed"]
    if extra.any():
        last = np.append(extra[kept], [0] * (len(columns) - len(names)))
        counts, rows = np.vstack([counts, last]), [*rows, "extra"]
    return _Table(counts, rows, columns, len(names))


def _percent(share: float) -> str:
    """Write a share so that neither a few beats are none nor most beats are all."""
    if share < 0.001:
        return "<0.1 %"
    return ">99.9 %" if 0.999 < share < 1 else f"{100 * share:.1f} %"
