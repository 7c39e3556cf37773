"""Maps of embeddings in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .figure import MARKERS, PALETTE, figure_of, new_figure, open_box

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MISSING = ("", "None", "nan", "NaN", "NaT", "<NA>")


def plot_embedding(
    Z: ArrayLike,
    labels: Sequence[Any] | NDArray[Any] | None = None,
    *,
    method: str = "pca",
    ax: Axes | None = None,
    random_state: int = 0,
) -> Figure:
    """Draw a two-dimensional map of embeddings, coloured by label.

    Parameters
    ----------
    Z : array-like of shape (n, d)
        Embeddings, d >= 2 and n >= 3, finite.
    labels : sequence of length n, default=None
        Labels of any kind. None, NaN and "" mean missing: light grey, below the others.
    method : {"pca", "tsne"}, default="pca"
        Principal components, or t-SNE that starts from them. t-SNE is slow for more than about 10,000 rows.
    ax : matplotlib.axes.Axes, default=None
        Where to draw. None makes a figure.
    random_state : int, default=0
        Seed of t-SNE and of the order in which points are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    ValueError
        If `Z` has a wrong shape or is not finite, `labels` has another length, or `method` is unknown.
    ImportError
        If matplotlib is missing.
    """
    z = np.asarray(Z, dtype=np.float64)
    if z.ndim != 2 or z.shape[0] < 3 or z.shape[1] < 2:
        raise ValueError(f"Z must have shape (n, d) with n >= 3 and d >= 2, got {z.shape}")
    if not np.isfinite(z).all():
        raise ValueError("Z must be finite, got NaN or infinity")
    if labels is not None and len(labels) != len(z):
        raise ValueError(f"labels must have one entry per row of Z ({len(z)}), got {len(labels)}")
    xy, axis_names = _flatten(z, method, random_state)
    if ax is None:
        ax = new_figure((6.4, 4.8), layout="constrained").add_subplot()
    size = float(np.clip(3000 / len(z), 4, 36))
    order = np.random.default_rng(random_state).permutation(len(z))
    if labels is None:
        ax.scatter(xy[order, 0], xy[order, 1], s=size, color=PALETTE[0], alpha=0.7, lw=0)
    else:
        _scatter_classes(ax, xy, labels, size, order)
    ax.set(xlabel=axis_names[0], ylabel=axis_names[1])
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


def _scatter_classes(ax: Axes, xy: NDArray[np.float64], labels: Any, size: float, order: NDArray[np.int64]) -> None:
    """Draw points (n, 2) by label, each class in its own colour and marker."""
    text = np.array(["" if str(label) in _MISSING else str(label) for label in labels])
    names = sorted(set(text[text != ""].tolist()), key=_numbers_first)
    styles = [(PALETTE[k % len(PALETTE)], MARKERS[(k + k // len(PALETTE)) % len(MARKERS)]) for k in range(len(names))]
    missing = xy[text == ""]
    if missing.size:
        label = f"missing ({len(missing)})"
        ax.scatter(missing[:, 0], missing[:, 1], s=size, color="#cccccc", lw=0, label=label, zorder=1)
    # In shuffled portions: otherwise the class drawn last would hide the others.
    for portion in np.array_split(order, min(16, len(order))):
        for name, (color, marker) in zip(names, styles, strict=True):
            part = xy[portion[text[portion] == name]]
            ax.scatter(part[:, 0], part[:, 1], s=size, color=color, alpha=0.75, lw=0, marker=marker, zorder=2)
    for name, (color, marker) in zip(names, styles, strict=True):
        label = f"{name} ({np.count_nonzero(text == name)})"
        ax.scatter([], [], s=30, color=color, lw=0, marker=marker, label=label)
    ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=9, frameon=False)


def _numbers_first(name: str) -> tuple[int, float, str]:
    """Key that sorts numbers by value, before other names."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
