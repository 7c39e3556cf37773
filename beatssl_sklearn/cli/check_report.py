"""The page of `beatssl check`: one file of HTML, with the pictures in it."""

from __future__ import annotations

import argparse
import base64
import html
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..files.atomic import write_atomically
from ..formats import ECGFolder
from .check_intervals import INTERVALS, MeasuredIntervals
from .check_records import CheckedRecords
from .messages import described, printable, shown
from .progress import Progress
from .refused import RECORD_ERRORS, Refused

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Most records of the map, and seconds of a picture.
_MOST_ON_MAP, _PICTURE_S = 1000, 10.0
# Least size on a logarithmic axis [mV].
_LEAST_MV = 1e-4
# Least and largest value that a histogram shows, and the width of a bar [ms].
_OF_INTERVAL = {"PR": (60, 360, 10), "QRS": (40, 240, 5), "QT": (240, 640, 10), "QTcF": (300, 600, 10)}
_COLOUR = "#0072B2"
_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: 0; } h2 { font-size: 1.25rem; margin-top: 2.2rem; }
.small { color: #555; font-size: .9rem; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { padding: .25rem .9rem .25rem 0; text-align: left;
  vertical-align: top; border-bottom: 1px solid #ddd; } th { font-weight: 600; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.charts { display: flex; flex-wrap: wrap; gap: 1.2rem; align-items: start; }
.charts img { flex: 1 1 20rem; min-width: 0; max-width: min(30rem, 100%); }
figure { margin: 1.5rem 0; } figure img { width: 100%; border: 1px solid #eee; } figcaption { margin-bottom: .3rem; }
"""


def write_report(
    path: Path,
    checked: CheckedRecords,
    intervals: MeasuredIntervals,
    folder: ECGFolder,
    refused: Refused,
    arguments: argparse.Namespace,
) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
    checked : CheckedRecords
    intervals : MeasuredIntervals
    folder : ECGFolder
        Where the records that are shown are read again.
    refused : Refused
    arguments : argparse.Namespace
        Of the command.
    """
    rows = list(checked.rows.values())
    with Progress(arguments.pictures, "page", arguments.quiet) as bar:
        parts = [_summary(rows, len(refused.names), arguments), "<h2>Signals</h2>", _charts(rows)]
        if intervals.of:
            parts += ["<h2>Intervals</h2>", _intervals(intervals, arguments)]
        parts += ["<h2>Findings</h2>", _findings(rows)]
        if arguments.map != "none":
            parts += ["<h2>Map of embeddings</h2>", _map(checked, folder, refused, bar, arguments)]
        parts += ["<h2>Strangest records</h2>", *_strangest(checked, intervals, folder, refused, bar, arguments)]
    title = f"Check of {html.escape(printable(str(arguments.folder)))}"
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n'
        + "\n".join(parts)
        + '\n<p class="small">Written by <code>beatssl check</code>. For research only; not a medical device.</p>\n'
        "</body></html>\n"
    )
    write_atomically(path, page.encode("utf-8", "backslashreplace"))


def _summary(rows: list[dict[str, Any]], n_skipped: int, arguments: argparse.Namespace) -> str:
    bad = sum(row["score"] < 0.5 for row in rows)
    found = sum(bool(row["findings"]) for row in rows)
    lines = [
        ("records", f"{len(rows)} read, {n_skipped} could not be read"),
        ("sampling rates", _counted(f"{row['fs']:g} Hz" for row in rows)),
        ("lengths", _counted(f"{row['duration_s']:.3g} s" for row in rows)),
        ("leads", _counted(row["leads"] for row in rows)),
        ("units, by height", _counted(row["unit"] for row in rows)),
        ("quality below .5", f"{bad} ({100 * bad / len(rows):.1f} %)"),
        ("leads, unit or rate doubtful", f"{found} ({100 * found / len(rows):.1f} %)"),
    ]
    cells = "".join(f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in lines)
    table = html.escape(printable(str(arguments.out)))
    return f'<p class="small">A row per record is in {table}.</p><table>{cells}</table>'


def _counted(values: Any) -> str:
    """Return the most frequent values with their numbers."""
    counts = Counter(values)
    most = [f"{value} ({n})" for value, n in counts.most_common(5)]
    return ", ".join(most) + (f" and {len(counts) - 5} others" if len(counts) > 5 else "")


def _charts(rows: list[dict[str, Any]]) -> str:
    rates = np.array([row["heart_rate"] for row in rows], dtype=float)
    charts = [
        _histogram([row["score"] for row in rows], "quality score of the record", np.linspace(0, 1, 21)),
        _histogram(np.clip(rates[np.isfinite(rates)], 20, 240), "heart rate [1/min]", np.arange(20, 245, 5)),
        _histogram([row["noise"] for row in rows], "noise of the worst lead [mV]"),
        _histogram([row["baseline"] for row in rows], "baseline wander [mV]"),
    ]
    return f'<div class="charts">{"".join(charts)}</div>'


def _intervals(intervals: MeasuredIntervals, arguments: argparse.Namespace) -> str:
    """Return a table of intervals, and their histograms."""
    lines = "<tr><th>interval [ms]</th><th>records</th><th>5 %</th><th>median</th><th>95 %</th></tr>"
    charts = []
    for name in INTERVALS:
        ms = np.array([own[name] for own in intervals.of.values()])
        ms = ms[np.isfinite(ms)]
        numbers = [f"{v:.0f}" for v in np.percentile(ms, [5, 50, 95])] if len(ms) else [""] * 3
        cells = "".join(f'<td class="n">{text}</td>' for text in (str(len(ms)), *numbers))
        lines += f"<tr><td>{name}</td>{cells}</tr>"
        if len(ms):
            low, high, step = _OF_INTERVAL[name]
            charts.append(_histogram(np.clip(ms, low, high), f"{name} [ms]", np.arange(low, high + step, step)))
    model = printable(str(arguments.waves))
    text = f"Medians over the heartbeats of {len(intervals.of)} records, by the model {model}. "
    text += "Where fewer than half of the beats show an interval, it is left out, as PR in fibrillation."
    return f'<p class="small">{html.escape(text)}</p><table>{lines}</table><div class="charts">{"".join(charts)}</div>'


def _histogram(values: Any, name: str, bins: Any = None) -> str:
    """Draw a histogram; without bins, of sizes [mV] on a logarithmic axis."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    figure = Figure(figsize=(5, 2.6), layout="constrained")
    ax = figure.add_subplot()
    if bins is None:
        values = np.maximum(values, _LEAST_MV)
        bins = np.geomspace(values.min() / 1.05, values.max() * 1.05, 31)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.hist(values, bins=bins, color=_COLOUR)
    ax.set(xlabel=name, ylabel="records")
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.spines[["top", "right"]].set_visible(False)
    return _image(figure, f"Histogram: {name}")


def _image(figure: Figure, text: str, dpi: int = 130) -> str:
    content = BytesIO()
    figure.savefig(content, format="png", dpi=dpi)
    encoded = base64.b64encode(content.getvalue()).decode()
    return f'<img alt="{html.escape(text)}" src="data:image/png;base64,{encoded}">'


def _findings(rows: list[dict[str, Any]]) -> str:
    """Return a table of what was found, and in how many records."""
    kinds: Counter[str] = Counter()
    for row in rows:
        texts = [text.partition(" (")[0] for text in row["reasons"].split("; ")] + row["findings"].split("; ")
        kinds.update({text for text in texts if text})
    if not kinds:
        return "<p>Nothing was found.</p>"
    cells = "".join(f'<tr><td>{html.escape(k)}</td><td class="n">{n}</td></tr>' for k, n in kinds.most_common())
    return f"<table><tr><th>finding</th><th>records</th></tr>{cells}</table>"


def _map(
    checked: CheckedRecords, folder: ECGFolder, refused: Refused, bar: Progress, arguments: argparse.Namespace
) -> str:
    from matplotlib.figure import Figure

    from .. import RhythmEmbedder
    from ..plotting import plot_embedding

    names = [name for name in checked.rows if checked.rows[name]["flat_leads"] < checked.rows[name]["n_leads"]]
    names = names[:: max(1, -(-len(names) // _MOST_ON_MAP))]
    positions = {name: i for i, name in enumerate(folder.names)}
    try:
        chosen = folder[np.array([positions[name] for name in names], dtype=np.int64)]
        embedder = RhythmEmbedder(arguments.map, device=arguments.device, allow_nan=True, check="ignore")
        vectors = embedder.transform(chosen)
        figure = Figure()
        scores = np.array([checked.rows[name]["score"] for name in names])
        plot_embedding(vectors, scores, name="quality score", figure=figure)
    except RECORD_ERRORS as error:
        refused.note(f"no map: {described(error)}", bar)
        return f"<p>No map: {html.escape(described(error))}</p>"
    text = f"Two principal components of the embeddings of {len(names)} records by {arguments.map}"
    return f'<p class="small">{html.escape(text)}.</p><div class="charts">{_image(figure, text)}</div>'


def _strangest(
    checked: CheckedRecords,
    intervals: MeasuredIntervals,
    folder: ECGFolder,
    refused: Refused,
    bar: Progress,
    arguments: argparse.Namespace,
) -> list[str]:
    """Return pictures of the records with the lowest scores, and of those with findings."""
    by_score = sorted(checked.rows, key=lambda name: checked.rows[name]["score"])
    found = [name for name, row in checked.rows.items() if row["findings"]]
    doubtful = sorted(found, key=lambda name: -np.nan_to_num(checked.rows[name]["certainty"]))
    # In turn, so that a set with many noisy records shows its swapped leads, too.
    both = [name for pair in zip(by_score, doubtful, strict=False) for name in pair] + by_score
    positions = {name: i for i, name in enumerate(folder.names)}
    parts = []
    for name in list(dict.fromkeys(both))[: arguments.pictures]:
        row = checked.rows[name]
        why = "; ".join(text for text in (row["reasons"], row["findings"]) if text) or "nothing"
        caption = f"<b>{html.escape(shown(name))}</b>: quality {row['score']:.2f}; found: {html.escape(why)}"
        known = [f"{key} {ms:.0f} ms" for key, ms in intervals.of.get(name, {}).items() if np.isfinite(ms)]
        caption += f"; {', '.join(known)}" if known else ""
        picture = _picture(folder, positions[name], refused, bar)
        parts.append(f"<figure><figcaption>{caption}</figcaption>{picture}</figure>")
        bar.update()
    return parts


def _picture(folder: ECGFolder, position: int, refused: Refused, bar: Progress) -> str:
    from matplotlib.figure import Figure

    from ..plotting import plot_ecg

    name = folder.names[position]
    try:
        record = folder[position]
        lasts = record.signal.shape[1] / record.fs
        figure = plot_ecg(record, duration=min(_PICTURE_S, lasts), figure=Figure())
    except RECORD_ERRORS as error:
        refused.note(f"no picture of {shown(name)}: {described(error)}", bar)
        return f"<p>No picture: {html.escape(described(error))}</p>"
    return _image(figure, f"ECG {shown(name)}", dpi=90)
