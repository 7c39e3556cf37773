"""Maps of embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .paper import (
    MARKERS,
    PALETTE,
    figure_of,
)

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
        Labels of any kind; None, NaN and "" mean missing and are drawn in light grey below the others.
    method : {"pca", "tsne"}, default="pca"
        Principal components, or t-SNE started from them (slow above some 10,000 rows).
    ax : matplotlib.axes.Axes, default=None
        Where to draw; None makes a figure.
    random_state : int, default=0
        Seed of t-SNE, and of the order of drawing, without which the last class would hide the others.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    ValueError
        If `Z` has a wrong shape or is not finite, `labels` has another length, or `method` is unknown.
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
        from matplotlib.figure import Figure

        ax = Figure(figsize=(6.4, 4.8), layout="constrained").add_subplot()
    size = float(np.clip(3000 / len(z), 4, 36))
    order = np.random.default_rng(random_state).permutation(len(z))
    if labels is None:
        ax.scatter(xy[order, 0], xy[order, 1], s=size, color=PALETTE[0], alpha=0.7, lw=0)
    else:
        _scatter_classes(ax, xy, labels, size, order)
    ax.set(xlabel=axis_names[0], ylabel=axis_names[1])
    ax.set_aspect("equal", adjustable="datalim")
    ax.spines[["top", "right"]].set_visible(False)
    return figure_of(ax)


def _flatten(z: NDArray[np.float64], method: str, random_state: int) -> tuple[NDArray[np.float64], tuple[str, str]]:
    if method not in ("pca", "tsne"):
        raise ValueError(f"method must be 'pca' or 'tsne', got {method!r}")
    centred = z - z.mean(axis=0)
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    if method == "pca":
        # The sign of a component is arbitrary: its largest loading fixes it, so that two pictures can be compared.
        sign = np.sign(vt[np.arange(2), np.abs(vt[:2]).argmax(axis=1)])
        share = 100 * s[:2] ** 2 / max(float((s**2).sum()), np.finfo(float).tiny)
        return u[:, :2] * s[:2] * sign, (f"PC 1 ({share[0]:.0f} %)", f"PC 2 ({share[1]:.0f} %)")
    from sklearn.manifold import TSNE

    tsne = TSNE(perplexity=min(30.0, (len(z) - 1) / 3), init="pca", random_state=random_state)
    return tsne.fit_transform(centred), ("t-SNE 1", "t-SNE 2")


def _scatter_classes(ax: Axes, xy: NDArray[np.float64], labels: Any, size: float, order: NDArray[np.int64]) -> None:
    text = np.array(["" if str(label) in _MISSING else str(label) for label in labels])
    names = sorted(set(text[text != ""].tolist()), key=_numbers_first)
    styles = [(PALETTE[k % len(PALETTE)], MARKERS[(k + k // len(PALETTE)) % len(MARKERS)]) for k in range(len(names))]
    missing = xy[text == ""]
    if missing.size:
        label = f"missing ({len(missing)})"
        ax.scatter(missing[:, 0], missing[:, 1], s=size, color="#cccccc", lw=0, label=label, zorder=1)
    # In shuffled portions: the class drawn last would otherwise hide the others.
    for portion in np.array_split(order, min(16, len(order))):
        for name, (color, marker) in zip(names, styles, strict=True):
            part = xy[portion[text[portion] == name]]
            ax.scatter(part[:, 0], part[:, 1], s=size, color=color, alpha=0.75, lw=0, marker=marker, zorder=2)
    for name, (color, marker) in zip(names, styles, strict=True):
        label = f"{name} ({np.count_nonzero(text == name)})"
        ax.scatter([], [], s=30, color=color, lw=0, marker=marker, label=label)
    ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=9, frameon=False)


def _numbers_first(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
