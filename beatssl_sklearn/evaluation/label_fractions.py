"""LabelFractionCurve: scores over the share of labels, with intervals by patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..plotting.label_fractions import plot_label_fractions
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

        Parameters
        ----------
        n_bootstrap : int, default=1000
            Draws of the test patients.
        level : float, default=.95
            Coverage of the interval.
        seed : int, default=0
            Key of the draws.

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
        """Draw AUROC over the fraction of labels with `plot_label_fractions`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        matplotlib.figure.Figure
            The figure of the axes.
        """
        return plot_label_fractions(self.summary(), ax=ax)
