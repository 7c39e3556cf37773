"""Maps of embeddings in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .figure import MARKERS, PALETTE, figure_of, open_box, own_axes, plain, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_PALE, _OTHER = "#cccccc", "#8c8c8c"
# Whole numbers of more values than these are quantities, not classes.
_MOST_NUMBERS = 20
# Classes with an entry of their own in the legend.
_MOST_CLASSES = 12
# Percentiles of the numbers at the ends of the colour bar: a few outliers would leave one colour for the rest.
_ENDS = (1.0, 99.0)


def plot_embedding(
    Z: ArrayLike,
    labels: Sequence[Any] | NDArray[Any] | None = None,
    *,
    method: str = "pca",
    name: str | None = None,
    ax: Axes | None = None,
    figure: Figure | SubFigure | None = None,
    random_state: int = 0,
) -> Figure:
    """Draw a two-dimensional map of embeddings, coloured by class or by a number.

    Parameters
    ----------
    Z : array-like of shape (n, d)
        Embeddings, d >= 2. Rows with NaN or infinity are left out, and the picture says how many; 3 others are needed.
    labels : sequence of length n, default=None
        Labels of any kind. Numbers with fractions, or of more than 20 different values, are drawn with a colour bar,
        which ends at the percentiles 1 and 99. All others are classes with a legend: of more than 12, the 11 most
        frequent, and the others together. Missing labels are light grey, below the others: None, NaN, NaT, pandas' NA,
        infinity, "", and what a masked array hides.
    method : {"pca", "tsne"}, default="pca"
        Principal components, or t-SNE that starts from them. t-SNE is slow for more than about 10,000 rows.
    name : str, default=None
        What the labels are, for the colour bar or the legend. None means the name of a pandas Series.
    ax : matplotlib.axes.Axes, default=None
        Where to draw. None makes axes that fill `figure`.
    figure : matplotlib.figure.Figure or matplotlib.figure.SubFigure, default=None
        An empty figure, which gets a size. None makes one that pyplot knows, so that notebooks and ``plt.show()``
        show it.
    random_state : int, default=0
        Seed of t-SNE and of the order in which points are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    TypeError
        If `ax` or `figure` is not of matplotlib.
    ValueError
        If `Z` has a wrong shape or fewer than 3 finite rows, `labels` has another shape, or `method` is unknown.
    ImportError
        If matplotlib is missing.
    """
    z = np.asarray(Z, dtype=np.float64)
    if z.ndim != 2 or z.shape[0] < 3 or z.shape[1] < 2:
        raise ValueError(f"Z must have shape (n, d) with n >= 3 and d >= 2, got {z.shape}")
    finite = np.isfinite(z).all(axis=1)
    if finite.sum() < 3:
        raise ValueError(f"Z must have 3 finite rows or more, got {finite.sum()} of {len(z)}")
    if labels is not None and np.shape(labels) != (len(z),):
        raise ValueError(f"labels must have one entry per row of Z ({len(z)}), got shape {np.shape(labels)}")
    xy, axis_names = _flatten(z[finite], method, random_state)
    ax = own_axes(ax, figure, (6.8, 4.8))
    size = float(np.clip(9000 / len(xy), 5, 36))
    order = np.random.default_rng(random_state).permutation(len(xy))
    if labels is None:
        ax.scatter(xy[order, 0], xy[order, 1], s=size, color=PALETTE[0], alpha=0.7, lw=0)
    else:
        name = str(getattr(labels, "name", None) or "") if name is None else name
        values = _as_objects(labels)[finite]
        numbers = _numbers(values)
        if numbers is None:
            _scatter_classes(ax, xy, values, size, order, plain(shortened(name)))
        else:
            _scatter_numbers(ax, xy, numbers, size, order, plain(name))
    left_out = f"   ({len(z) - len(xy)} of {len(z)} rows are not finite: left out)" if len(xy) < len(z) else ""
    ax.set(xlabel=axis_names[0] + left_out, ylabel=axis_names[1])
    ax.set_aspect("equal", adjustable="datalim")
    open_box(ax)
    return figure_of(ax)


def _flatten(z: NDArray[np.float64], method: str, random_state: int) -> tuple[NDArray[np.float64], tuple[str, str]]:
    """Coordinates (n, 2) of embeddings (n, d), and names of the axes."""
    if method not in ("pca", "tsne"):
        raise ValueError(f"method must be 'pca' or 'tsne', got {method!r}")
    if method == "pca":
        from sklearn.decomposition import PCA

        # The solver is exact and fixes the sign of a component by its largest loading: pictures can be compared.
        pca = PCA(n_components=2, svd_solver="full")
        # Equal rows have no variance to share out.
        with np.errstate(invalid="ignore"):
            xy = pca.fit_transform(z)
        share = 100 * np.nan_to_num(pca.explained_variance_ratio_)
        return xy, (f"PC 1 ({share[0]:.0f} %)", f"PC 2 ({share[1]:.0f} %)")
    from sklearn.manifold import TSNE

    tsne = TSNE(perplexity=min(30.0, (len(z) - 1) / 3), init="pca", random_state=random_state)
    return tsne.fit_transform(z - z.mean(axis=0)), ("t-SNE 1", "t-SNE 2")


def _as_objects(labels: Any) -> NDArray[Any]:
    """Return labels as an array of objects of its own, None where a masked array hides one."""
    values = np.array(labels, dtype=object)
    values[np.ma.getmask(labels)] = None
    return values


def _is_missing(value: Any) -> bool:
    """Whether a label is missing: by its value, since text such as "None" or "NaN" may be the name of a class."""
    if value is None or (isinstance(value, str) and not value):
        return True
    if isinstance(value, (float, np.floating)):
        return not np.isfinite(value)
    try:
        return bool(value != value)
    except TypeError:  # pandas' NA is neither equal to itself nor unequal
        return True
    except ValueError:  # an array has no one answer
        return False


def _numbers(values: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return labels as numbers (n,), NaN where missing, if they are a quantity; None if they are classes."""
    there = [value for value in values.tolist() if not _is_missing(value)]
    kinds = (int, float, np.integer, np.floating)
    if not there or not all(isinstance(value, kinds) and not isinstance(value, bool) for value in there):
        return None
    found = np.array(there, dtype=np.float64)
    if len(np.unique(found)) <= _MOST_NUMBERS and (found == np.round(found)).all():
        return None
    return np.array([np.nan if _is_missing(value) else float(value) for value in values.tolist()])


def _scatter_numbers(
    ax: Axes, xy: NDArray[np.float64], numbers: NDArray[np.float64], size: float, order: NDArray[np.int64], name: str
) -> None:
    """Draw points (n, 2) coloured by a number, with a colour bar."""
    known = np.isfinite(numbers)
    low, high = np.percentile(numbers[known], _ENDS)
    if low == high:
        low, high = numbers[known].min(), numbers[known].max()
    missing = xy[~known]
    if len(missing):
        label = f"missing ({len(missing)})"
        ax.scatter(missing[:, 0], missing[:, 1], s=size, color=_PALE, lw=0, label=label, zorder=1)
        ax.legend(loc="best", fontsize=9)
    drawn = order[known[order]]
    points = ax.scatter(
        xy[drawn, 0], xy[drawn, 1], s=size, c=numbers[drawn], cmap="viridis", vmin=low, vmax=high, lw=0, zorder=2
    )
    below, above = bool((numbers[known] < low).any()), bool((numbers[known] > high).any())
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[below, above]
    figure_of(ax).colorbar(points, ax=ax, label=name, extend=extend)


def _scatter_classes(
    ax: Axes, xy: NDArray[np.float64], labels: NDArray[Any], size: float, order: NDArray[np.int64], name: str
) -> None:
    """Draw points (n, 2) by label, each class in its own colour and marker."""
    text = np.array(["" if _is_missing(label) else _text(label) for label in labels.tolist()])
    found, counts = np.unique(text[text != ""], return_counts=True)
    names = found.tolist()
    if len(names) > _MOST_CLASSES:
        names = found[np.argsort(-counts, kind="stable")[: _MOST_CLASSES - 1]].tolist()
    names.sort(key=_numbers_first)
    styles = [(PALETTE[k % len(PALETTE)], MARKERS[(k + k // len(PALETTE)) % len(MARKERS)]) for k in range(len(names))]
    rest = (text != "") & ~np.isin(text, names)
    grey = ((text == "", _PALE, "missing"), (rest, _OTHER, f"{len(found) - len(names)} other classes"))
    for chosen, color, _ in grey:
        ax.scatter(xy[chosen, 0], xy[chosen, 1], s=size, color=color, lw=0, zorder=1)
    # In shuffled portions: otherwise the class drawn last would hide the others.
    for portion in np.array_split(order, min(16, len(order))):
        for own, (color, marker) in zip(names, styles, strict=True):
            part = xy[portion[text[portion] == own]]
            ax.scatter(part[:, 0], part[:, 1], s=size, color=color, alpha=0.75, lw=0, marker=marker, zorder=2)
    for own, (color, marker) in zip(names, styles, strict=True):
        label = f"{plain(shortened(own))} ({np.count_nonzero(text == own)})"
        ax.scatter([], [], s=30, color=color, lw=0, marker=marker, label=label)
    for chosen, color, label in reversed(grey):
        if chosen.any():
            ax.scatter([], [], s=30, color=color, lw=0, label=f"{label} ({np.count_nonzero(chosen)})")
    ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=9, frameon=False, title=name or None)


def _text(label: Any) -> str:
    """Name of a class; a whole number has no decimals, since missing labels turn integers into floats."""
    return f"{label:.0f}" if isinstance(label, float) and label.is_integer() else str(label)


def _numbers_first(name: str) -> tuple[int, float, str]:
    """Key that sorts numbers by value, before other names."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
