"""Pictures of the study, from its CSV files and cached embeddings.

    python -m benchmarks.study.plots --unpacked PTBXL --model ours=OURS.bssl

Draws: the label-fraction curve (from labels.csv and finetune.csv), the ablations as dots with intervals (from
ablation.csv), the scores of few leads (from leads.csv), learning curves, and a map of the embeddings of fold 9 coloured
by superclass. Results that are missing are not drawn.

Cannot show: the distances of the embeddings. The map is a projection, and its distances differ, in t-SNE above all.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from beatssl_sklearn.plotting import plot_embedding, plot_history, plot_label_fractions

from .common import Study, make_parser, parse
from .labels import CELL_KEYS
from .leads import KEYS as LEAD_KEYS
from .results import Row, Table
from .train import write_history

DPI = 150
CURVES = ("random", "features", "ours", "ours+ours-s", "finetuned", "supervised")
"""Rows of the label-fraction curve; with more it is hard to read."""
MOST_POINTS = 3000


def label_fractions(out: Path) -> Any:
    """Return the curve of AUROC over the share of labels; None without results."""
    rows: dict[tuple[str, float], Row] = {}
    for file in ("labels.csv", "finetune.csv"):
        for row in Table(out / file, CELL_KEYS).rows:
            rows.setdefault((row["row"], row["fraction"]), {**row, "mode": row["row"]})
    chosen = [row for name in CURVES for (own, _), row in rows.items() if own == name]
    return plot_label_fractions(chosen, figure=Figure()) if chosen else None


def ablation(rows: Sequence[Row], score: str = "auroc") -> Any:
    """Return dots with intervals, the best on top, and a line through "ours"."""
    chosen = sorted((row for row in rows if row.get(score, "") != ""), key=lambda row: float(row[score]))
    if not chosen:
        return None
    figure = Figure(figsize=(6.4, 1.2 + 0.24 * len(chosen)), layout="constrained")
    ax = figure.add_subplot()
    y = np.arange(len(chosen))
    mean, low, high = (np.array([float(row[f"{score}{e}"]) for row in chosen]) for e in ("", "_low", "_high"))
    ours = [row for row in chosen if row["name"] == "ours"]
    if ours:
        ax.axvline(float(ours[0][score]), color="#999999", lw=1.0, ls="--")
    ax.hlines(y, low, high, color="#1f4e79", lw=1.6)
    ax.plot(mean, y, "o", color="#1f4e79", ms=5)
    names = [str(row["name"]) for row in chosen]
    ax.set_yticks(y, names, fontsize=8)
    for tick, name in zip(ax.get_yticklabels(), names, strict=True):
        tick.set_fontweight("bold" if name in ("ours", "random") else "normal")
    label = {"auroc": "macro AUROC, all labels", "auroc_1": "macro AUROC, 1 % of the labels"}
    ax.set_xlabel(f"{label.get(score, score)} (mean over seeds, 95 %)")
    ax.grid(axis="x", color="#dddddd", lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


FEW = ("12", "I, II, V2", "I, II", "II")
"""Lead sets of the picture of few leads."""


def few_leads(rows: Sequence[Row]) -> Any:
    """Return AUROC over the lead sets, trained and scored on them, one line per row; random networks are dashed."""
    own = [{**row, "leads": str(row["leads"])} for row in rows if row["trained_on"] == "same"]
    own = [row for row in own if row["leads"] in FEW]
    if not own:
        return None
    figure = Figure(figsize=(6.8, 4.6), layout="constrained")
    ax = figure.add_subplot()
    names = list(dict.fromkeys(row["row"] for row in own))
    for k, name in enumerate(names):
        chosen = sorted((row for row in own if row["row"] == name), key=lambda row: FEW.index(row["leads"]))
        # A little sideways, so that intervals do not hide each other.
        x = np.array([FEW.index(row["leads"]) for row in chosen]) + 0.035 * (k - (len(names) - 1) / 2)
        mean, low, high = (np.array([float(row[f"auroc{end}"]) for row in chosen]) for end in ("", "_low", "_high"))
        style = "--" if name.startswith("random") else "-"
        line = ax.plot(x, mean, style, marker="o", ms=4, lw=1.4, color=f"C{k % 10}", label=name)[0]
        ax.vlines(x, low, high, color=line.get_color(), lw=1.0)
    ax.set_xticks(range(len(FEW)), FEW)
    ax.set(xlabel="leads", ylabel="macro AUROC, frozen, trained on these leads")
    ax.grid(axis="y", color="#dddddd", lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8, frameon=False)
    return figure


def map_of_embeddings(study: Study, name: str, method: str) -> Any:
    """Return the map of fold 9's embeddings; records with several superclasses, or none, are grey."""
    task, test = study.records.tasks["superclass"], study.records.test
    rows = np.flatnonzero(test)[:MOST_POINTS]
    Z = study.embedding(name)[rows]
    Z = (Z - Z.mean(axis=0)) / np.maximum(Z.std(axis=0), 1e-6)
    target = task.target[rows]
    labels = [task.classes[t.argmax()] if t.sum() == 1 else "" for t in target]
    return plot_embedding(Z, labels, method=method, figure=Figure())


def _of_rows(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    return [row for name in names for row in rows if row["row"] == name]


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__, ("random", "ours"))
    parser.add_argument("--maps", default="pca,tsne", help="methods, separated by commas; empty for none")
    parser.add_argument("--histories", action="store_true", help="learning curves of the rows' trainings")
    args = parse(parser, "plots", argv)
    figures = {"label_fractions": label_fractions(args.out)}
    figures["leads"] = few_leads(_of_rows(Table(args.out / "leads.csv", LEAD_KEYS).rows, args.rows))
    table = Table(args.out / "ablation.csv", ("table", "name", "budget"))
    for part in ("paper", "changes", "sizes"):
        rows = [row for row in table.rows if row["table"] == part]
        last = [row for row in rows if row["budget"] == rows[-1]["budget"]]  # tables hold one budget after the other
        for score in ("auroc", "auroc_1", "beats_f1"):
            figures[f"ablation_{part}_{score}"] = ablation(last, score)
    study = Study(args)
    for method in filter(None, args.maps.split(",")):
        for name in args.rows:
            figures[f"map_{name}_{method}"] = map_of_embeddings(study, name, method)
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.rows if args.histories else ():
        history = study.encoders(name)[0].history_
        write_history(history, args.out / f"history_{name}.csv")
        figures[f"history_{name}"] = plot_history(history, figure=Figure())
    for name, figure in figures.items():
        if figure is not None:
            figure.savefig(args.out / f"{name}.png", dpi=DPI)
            sys.stdout.write(f"{name}.png\n")


if __name__ == "__main__":
    main()
