"""Pictures: ECG paper, training history, maps of embeddings. matplotlib is imported inside functions, pyplot never."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from beatssl_sklearn.delineation_plot import plot_delineation as plot_delineation
from beatssl_sklearn.ecg.leads import LEADS
from beatssl_sklearn.ecg_paper import (
    MARKERS,
    MM_PER_MV,
    MM_PER_S,
    PALETTE,
    draw_paper,
    draw_trace,
    mark_beats,
    median,
    panels_of,
    paper_figure,
    row_offsets,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MISSING = ("", "None", "nan", "NaN", "NaT", "<NA>")


def plot_ecg(
    signal: ArrayLike,
    fs: float,
    leads: Sequence[str] | None = None,
    *,
    rpeaks: ArrayLike | None = None,
    beat_types: Sequence[Any] | NDArray[Any] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Figure:
    """Draw one record as an ECG on paper: 25 mm/s, 10 mm/mV, a pink grid of 1 and 5 mm.

    Twelve leads of 4 to 12 s are drawn as three rows of four leads above a rhythm strip of lead II (or of the first
    lead), everything else as one row per lead. Each lead is drawn about its own median.

    Parameters
    ----------
    signal : array-like of shape (n_leads, n_times) or (n_times,)
        Signal [mV]; what is not finite is left blank.
    fs : float
        Sampling rate [Hz].
    leads : sequence of n_leads str, default=None
        Names of the leads; None means the standard twelve, or numbers where there are not twelve.
    rpeaks : array-like of int of shape (n_beats,), default=None
        R peaks [samples]: marked above the lowest row.
    beat_types : sequence of length n_beats, default=None
        Type of each beat, such as MIT-BIH symbols: sets colour, marker and legend; beats other than "N" are coloured
        in all leads.
    ax : matplotlib.axes.Axes, default=None
        Where to draw; None makes a figure whose paper has its true size, up to 16 inches of width.
    title : str, default=None
        Title above the paper.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    ValueError
        If shapes or lengths disagree, `fs` is not positive, or an R peak lies outside the record.
    """
    x = np.atleast_2d(np.asarray(signal, dtype=np.float64))
    names = _lead_names(x, leads)
    x = np.where(np.isfinite(x), x, np.nan)
    if not (np.isfinite(fs) and fs > 0):
        raise ValueError(f"fs must be a positive number [Hz], got {fs!r}")
    peaks, types = _beats(rpeaks, beat_types, x.shape[1])
    panels, n_rows = panels_of(names, x.shape[1], fs)
    y0, height = row_offsets(x, panels, n_rows, room=5.0 if peaks.size else 0.0)
    width = x.shape[1] / fs * MM_PER_S
    if ax is None:
        ax = paper_figure(width, height).add_axes((0, 0, 1, 1))
    draw_paper(ax, width, height)
    for lead, row, start, stop in panels:
        level = median(x[lead])
        draw_trace(ax, x[lead] - level, fs, y0[row], start, stop, peaks, types)
        ax.text(
            start / fs * MM_PER_S + 1,
            y0[row] + 8,
            names[lead],
            fontsize=10,
            fontweight="bold",
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
            zorder=1,
        )
    for row in range(n_rows):
        ax.plot([-8, -7, -7, -3, -3, -2], y0[row] + MM_PER_MV * np.array([0, 0, 1, 1, 0, 0]), color="black", lw=0.9)
    if peaks.size:
        lead, row, _, _ = panels[-1]
        mark_beats(ax, x[lead] - median(x[lead]), fs, y0[row], peaks, types)
    ax.text(width, 1.5, "25 mm/s   10 mm/mV", fontsize=8, ha="right", va="bottom")
    if title:
        ax.text(0, height - 1, title, fontsize=11, ha="left", va="top")
    return _figure_of(ax)


def plot_history(history: Sequence[Mapping[str, float]]) -> Figure:
    """Draw losses and the effective rank of the embeddings over the epochs of training.

    Parameters
    ----------
    history : sequence of mappings, one per epoch
        `train_loss`, `valid_loss`, `rhythm_loss`, `beat_loss`, `rhythm_kl`, `beat_kl` and other keys that end in
        `_loss` or `_kl` are drawn on the left, `effective_rank` on the right, each where present. `epoch` is the
        abscissa if every epoch has it, else they are counted from 1. An epoch without a key leaves a gap.

    Returns
    -------
    matplotlib.figure.Figure
        A figure with two axes, or one where no epoch has an effective rank.

    Raises
    ------
    ValueError
        If `history` is empty, holds something else than mappings, or has nothing to draw.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    rows = list(history)
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError(f"history must be a non-empty list of one dict per epoch, got {history!r:.80}")
    keys = list(dict.fromkeys(key for row in rows for key in row))
    losses = [key for key in keys if key.endswith(("_loss", "_kl"))]
    has_rank = "effective_rank" in keys
    if not losses and not has_rank:
        raise ValueError(f"history must have a key that ends in '_loss' or '_kl', or 'effective_rank', got {keys}")
    epoch = _column(rows, "epoch") if all("epoch" in row for row in rows) else np.arange(1.0, len(rows) + 1)
    n_axes = bool(losses) + has_rank
    figure = Figure(figsize=(5.2 * n_axes, 3.8), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, n_axes))
    for k, key in enumerate(losses):
        style = "--" if key.endswith("_kl") else "-"
        color, marker = PALETTE[k % len(PALETTE)], MARKERS[k % len(MARKERS)]
        axes[0].plot(
            epoch, _column(rows, key), style, c=color, marker=marker, ms=4, lw=1.8, label=key.replace("_", " ")
        )
    if losses:
        axes[0].set_ylabel("loss [nats]")
        axes[0].legend(fontsize=9, frameon=False)
    if has_rank:
        axes[-1].plot(epoch, _column(rows, "effective_rank"), color=PALETTE[0], lw=1.8, marker="o", ms=4)
        axes[-1].set_ylabel("effective rank of the embeddings")
        axes[-1].set_ylim(bottom=0, top=1.1 * max(1.0, float(np.nanmax([0.0, *_column(rows, "effective_rank")]))))
    for ax in axes:
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(color="#dddddd", lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    return figure


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
    return _figure_of(ax)


def _lead_names(x: NDArray[np.float64], leads: Sequence[str] | None) -> list[str]:
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"signal must have shape (n_leads, n_times), got {x.shape}")
    if x.shape[0] > x.shape[1]:
        raise ValueError(f"signal must have shape (n_leads, n_times), got {x.shape}: is it transposed?")
    if leads is None:
        return list(LEADS) if len(x) == len(LEADS) else [str(k + 1) for k in range(len(x))]
    if len(leads) != len(x):
        raise ValueError(f"leads must name the {len(x)} rows of signal, got {len(leads)}: {list(leads)}")
    return [str(name) for name in leads]


def _beats(rpeaks: ArrayLike | None, beat_types: Any, n_times: int) -> tuple[NDArray[np.int64], list[str]]:
    if rpeaks is None:
        if beat_types is not None:
            raise ValueError("beat_types was given without rpeaks")
        return np.empty(0, np.int64), []
    peaks = np.asarray(rpeaks)
    if peaks.ndim != 1 or (peaks.size and not np.issubdtype(peaks.dtype, np.integer)):
        raise ValueError(f"rpeaks must be a 1-D array of sample indices, got shape {peaks.shape} of {peaks.dtype}")
    peaks = peaks.astype(np.int64)
    outside = peaks[(peaks < 0) | (peaks >= n_times)]
    if outside.size:
        raise ValueError(f"rpeaks must lie in [0, {n_times}), got {outside[0]}")
    if beat_types is None:
        return peaks, []
    if len(beat_types) != len(peaks):
        raise ValueError(f"beat_types must have one entry per R peak ({len(peaks)}), got {len(beat_types)}")
    order = np.argsort(peaks, kind="stable")
    return peaks[order], [str(beat_types[k]) for k in order]


def _column(rows: Sequence[Mapping[str, float]], key: str) -> NDArray[np.float64]:
    return np.array([np.nan if row.get(key) is None else float(row[key]) for row in rows])


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


def _figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("ax must belong to a figure, got one that was removed from its figure")
    return figure
