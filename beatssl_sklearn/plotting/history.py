"""Picture of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from .figure import MARKERS, PALETTE, new_figure, open_box

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_history(history: Sequence[Mapping[str, float]]) -> Figure:
    """Draw losses and the effective rank of the embeddings over the epochs of training.

    Parameters
    ----------
    history : sequence of mappings, one per epoch
        Keys that end in `_loss` or `_kl`, such as `train_loss` and `rhythm_kl`, are drawn on the left, and
        `effective_rank` on the right. `epoch` is the abscissa if every epoch has it; otherwise epochs are counted
        from 1. An epoch without a key leaves a gap.

    Returns
    -------
    matplotlib.figure.Figure
        A figure with two axes, or with one if no epoch has a loss or none has an effective rank.

    Raises
    ------
    ValueError
        If `history` is empty, holds values that are not mappings, or has nothing to draw.
    ImportError
        If matplotlib is missing.
    """
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
    figure = new_figure((5.2 * n_axes, 3.8), layout="constrained")
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
    ticker = import_optional("matplotlib.ticker", "plotting", "plot")
    for ax in axes:
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        ax.grid(color="#dddddd", lw=0.6)
        open_box(ax)
    return figure


def _column(rows: Sequence[Mapping[str, float]], key: str) -> NDArray[np.float64]:
    """Values of a key (n_epochs,), NaN for an epoch without it."""
    return np.array([np.nan if row.get(key) is None else float(row[key]) for row in rows])
