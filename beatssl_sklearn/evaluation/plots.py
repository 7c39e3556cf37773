"""Results of studies and their pictures; matplotlib is imported inside functions, pyplot never."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..ecg_paper import MARKERS, PALETTE
from .scores import bootstrap_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LabelFractionCurve:
    """What `evaluation.probing.label_fraction_curve` returns.

    Attributes
    ----------
    rows : list of dict
        One per fit: `mode`, `fraction`, `seed`, `n_records`, `n_groups`, `auroc` and `f1` (macro averages on the test
        records), `C` of a probe, `seconds` of the fit without embedding. `f1` is at a probe's thresholds from held-out
        folds, at .5 for fine-tuned networks, and of the most probable class where classes exclude each other.
    scores : list of ndarray of shape (n_test, n_classes)
        Probabilities of the test records, one array per row.
    y_test : ndarray of shape (n_test,) or (n_test, n_classes)
        Numbers of the classes, or a table of 0 and 1.
    groups_test : ndarray of shape (n_test,) or None
        Patients of the test records.
    """

    rows: list[dict[str, Any]]
    scores: list[NDArray[np.float32]]
    y_test: NDArray[Any]
    groups_test: NDArray[Any] | None

    def summary(self, *, n_bootstrap: int = 1000, level: float = 0.95, seed: int = 0) -> list[dict[str, Any]]:
        """Mean over the seeds of each mode and fraction, with an interval over test patients.

        Returns
        -------
        list of dict
            `mode`, `fraction`, `n_seeds`, `n_records` (mean), `auroc` and `f1` (means), `auroc_sd` over the seeds (NaN
            for one), and `auroc_low`, `auroc_high`: each replicate draws the test patients once for all seeds and
            averages their AUROCs. It does not include the spread of the seeds, which `auroc_sd` shows.
        """
        out = []
        for mode, fraction in dict.fromkeys((row["mode"], row["fraction"]) for row in self.rows):
            chosen = [i for i, row in enumerate(self.rows) if (row["mode"], row["fraction"]) == (mode, fraction)]
            low, high = bootstrap_interval(
                "macro_auroc",
                self.y_test,
                [self.scores[i] for i in chosen],
                self.groups_test,
                n_bootstrap=n_bootstrap,
                level=level,
                seed=seed,
            )
            auroc = np.array([self.rows[i]["auroc"] for i in chosen])
            out.append(
                {
                    "mode": mode,
                    "fraction": fraction,
                    "n_seeds": len(chosen),
                    "n_records": float(np.mean([self.rows[i]["n_records"] for i in chosen])),
                    "auroc": float(auroc.mean()),
                    "auroc_low": low,
                    "auroc_high": high,
                    "auroc_sd": float(auroc.std(ddof=1)) if len(auroc) > 1 else float("nan"),
                    "f1": float(np.mean([self.rows[i]["f1"] for i in chosen])),
                }
            )
        return out

    def plot(self, ax: Axes | None = None) -> Figure:
        """Draw AUROC over the fraction of labels with :func:`plot_label_fractions`."""
        return plot_label_fractions(self.summary(), ax=ax)


def plot_label_fractions(
    summary: Sequence[Mapping[str, Any]], *, ax: Axes | None = None, statistic: str = "auroc"
) -> Figure:
    """Draw a statistic over the share of labels, one line per mode.

    Parameters
    ----------
    summary : sequence of mappings
        As :meth:`LabelFractionCurve.summary` returns; intervals are drawn where ``{statistic}_low`` and
        ``{statistic}_high`` are there and finite.
    ax : matplotlib.axes.Axes, default=None
        Where to draw; None makes a figure.
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
    """
    rows = list(summary)
    if not rows or any(key not in row for row in rows for key in ("mode", "fraction", statistic)):
        raise ValueError(f"summary must be a non-empty list of dicts with mode, fraction and {statistic!r}")
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=(6.0, 4.2), layout="constrained").add_subplot()
    modes = list(dict.fromkeys(row["mode"] for row in rows))
    for k, mode in enumerate(modes):
        own = sorted((row for row in rows if row["mode"] == mode), key=lambda row: row["fraction"])
        # Moved sideways a little, so that intervals at one fraction do not hide each other.
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
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=9, frameon=False)
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("ax must belong to a figure, got one that was removed from its figure")
    return figure
