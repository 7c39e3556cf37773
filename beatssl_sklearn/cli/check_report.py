"""The page of `beatssl check`: one file of HTML, with the pictures in it."""

from __future__ import annotations

import argparse
import base64
import html
from collections import Counter
from io import BytesIO
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..files.atomic import write_atomically
from ..formats import ECGFolder
from .check_intervals import INTERVALS, MeasuredIntervals
from .check_map import draw_map
from .check_records import CheckedRecords, questions_leads
from .messages import described, printable, shown
from .progress import Progress
from .refused import RECORD_ERRORS, Refused

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .. import RhythmEmbedder

_PICTURE_S = 10.0
# Records that are named beside a finding.
_MOST_NAMED = 8
_WHICH_FIRST = (
    '<p class="small">In turn: of records with a fault, the one with the lowest quality score (0 is of no use, 1 is '
    "clean), then the one whose leads, unit or rate are most likely wrong, and so on. Diseases have no say: a rare one "
    "does not come first. Records in which nothing was found are here if no others are left.</p>"
)
_EXPLAINED = (
    '<p class="small">Quality: what is wrong with at least one lead, as <code>signal_quality</code> says it. Leads, '
    "unit, rate: what is likely, as <code>check_leads</code> says it. Where a mistake is suspected and heartbeats are "
    "“too noisy to tell”, look at the record. Limb leads with “gains of their own” are in their places, but their "
    "amplitudes cannot be compared. The page “Quality and leads” of the guide explains more.</p>"
)
# Least size on a logarithmic axis [mV].
_LEAST_MV = 1e-4
# Least and largest value that a histogram shows, and the width of a bar [ms].
_OF_INTERVAL = {"PR": (60, 360, 10), "QRS": (40, 240, 5), "QT": (240, 640, 10), "QTcF": (300, 600, 10)}
_COLOUR = "#0072B2"
_STYLE = """
:root { color-scheme: light dark; --text: #1a1a1a; --back: #fff; --small: #555; --line: #ddd; --link: #0060a8; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e6e8; --back: #15181c; --small: #a6adb4; --line: #3a4047; --link: #7cc0f5; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: 0; } h2 { font-size: 1.25rem; margin-top: 2.2rem; } a { color: var(--link); }
.small { color: var(--small); font-size: .9rem; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { padding: .25rem .9rem .25rem 0; text-align: left;
  vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } td { overflow-wrap: anywhere; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.charts { display: flex; flex-wrap: wrap; gap: 1.2rem; align-items: start; }
.charts img { flex: 1 1 20rem; min-width: 0; max-width: min(30rem, 100%); }
/* Pictures are drawn on white. */
img { background: #fff; border-radius: 4px; }
figure { margin: 1.5rem 0; } figure img { width: 100%; border: 1px solid var(--line); }
figcaption { margin-bottom: .3rem; }
"""


def write_report(
    path: Path,
    checked: CheckedRecords,
    intervals: MeasuredIntervals,
    embedder: RhythmEmbedder | None,
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
    embedder : RhythmEmbedder or None
        Of the map; None for no map.
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
        first = _look_first(checked, arguments.pictures)
        parts += ["<h2>Findings</h2>", _findings(checked, set(first))]
        if embedder is not None:
            parts += ["<h2>Map of embeddings</h2>", _map(embedder, checked, folder, refused, bar, arguments.map)]
        parts += ["<h2>Records to look at first</h2>", _WHICH_FIRST]
        parts += [_figure(name, checked, intervals, folder, refused, bar) for name in first]
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
    found = sum(questions_leads(row["findings"]) for row in rows)
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
        # Of many decades, the numbers between would lie over each other.
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if bins[-1] < 1000 * bins[0] else (1.0,)))
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


def _findings(checked: CheckedRecords, shown_below: set[str]) -> str:
    """Return a table of what was found, and in which records."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, row in checked.rows.items():
        of_quality = [text.partition(" (")[0] for text in row["reasons"].split("; ")]
        for kind, texts in (("quality", of_quality), ("leads, unit, rate", row["findings"].split("; "))):
            for text in dict.fromkeys(filter(None, texts)):
                found.setdefault((kind, text), []).append(name)
    if not found:
        return "<p>Nothing was found.</p>"
    lines = "<tr><th>finding</th><th>of</th><th>number</th><th>records</th></tr>"
    for (kind, text), names in sorted(found.items(), key=lambda item: -len(item[1])):
        # Those with a picture first.
        names = sorted(names, key=lambda name: name not in shown_below)
        told = ", ".join(_named(name, name in shown_below) for name in names[:_MOST_NAMED])
        told += f" and {len(names) - _MOST_NAMED} others" if len(names) > _MOST_NAMED else ""
        lines += f'<tr><td>{html.escape(text)}</td><td>{kind}</td><td class="n">{len(names)}</td><td>{told}</td></tr>'
    return f"{_EXPLAINED}<table>{lines}</table>"


def _named(name: str, linked: bool) -> str:
    """Return the name of a record, with a link to its picture."""
    text = html.escape(shown(name))
    return f'<a href="#{_anchor(name)}">{text}</a>' if linked else text


def _anchor(name: str) -> str:
    """Return an id that any name of a record can have."""
    return "record-" + name.encode("utf-8", "surrogateescape").hex()


def _map(
    embedder: RhythmEmbedder, checked: CheckedRecords, folder: ECGFolder, refused: Refused, bar: Progress, model: str
) -> str:
    try:
        figure, n_records = draw_map(embedder, checked, folder)
    except RECORD_ERRORS as error:
        refused.note(f"no map: {described(error)}", bar)
        return f"<p>No map: {html.escape(described(error))}</p>"
    text = f"Two principal components of the embeddings of {n_records} records by {printable(model)}"
    why = "Records that lie together look alike to the model. A group apart may be another device, or noise."
    return f'<p class="small">{html.escape(text)}. {why}</p><div class="charts">{_image(figure, text)}</div>'


def _look_first(checked: CheckedRecords, n: int) -> list[str]:
    """Return poor records and those with findings about leads, in turn; then the others, the lowest score first."""
    by_score = sorted(checked.rows, key=lambda name: checked.rows[name]["score"])
    poor = [name for name in by_score if checked.rows[name]["score"] < 0.5 or checked.rows[name]["reasons"]]
    found = [name for name, row in checked.rows.items() if questions_leads(row["findings"])]
    doubtful = sorted(found, key=lambda name: -np.nan_to_num(checked.rows[name]["certainty"]))
    # In turn, so that a set with many noisy records shows its swapped leads, too.
    both = [name for pair in zip_longest(poor, doubtful) for name in pair if name is not None] + by_score
    return list(dict.fromkeys(both))[:n]


def _figure(
    name: str,
    checked: CheckedRecords,
    intervals: MeasuredIntervals,
    folder: ECGFolder,
    refused: Refused,
    bar: Progress,
) -> str:
    """Return the picture of a record under what was found in it."""
    row = checked.rows[name]
    why = "; ".join(text for text in (row["reasons"], row["findings"]) if text) or "nothing"
    caption = f"<b>{html.escape(shown(name))}</b>: quality {row['score']:.2f}; found: {html.escape(why)}"
    known = [f"{key} {ms:.0f} ms" for key, ms in intervals.of.get(name, {}).items() if np.isfinite(ms)]
    caption += f"; {', '.join(known)}" if known else ""
    picture = _picture(folder, folder.names.index(name), refused, bar)
    bar.update()
    return f'<figure id="{_anchor(name)}"><figcaption>{caption}</figcaption>{picture}</figure>'


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
