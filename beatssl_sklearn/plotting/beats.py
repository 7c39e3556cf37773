"""Picture of classified heartbeats: a strip of ECG paper with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._optional import import_optional
from ..ecg.beats import as_rpeaks
from .figure import PALETTE, figure_of, plain, shortened
from .layout import Page, Strip
from .paper import draw_legend, paper_of
from .recording import excerpt_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from ..ecg.wfdb import ECGRecord

_QUIET, _OTHER, _WRONG = "#666666", PALETTE[0], PALETTE[1]
# Height of labels [points], the first that leaves room between them is taken, and the width of a letter over it.
_SIZES = (9.0, 7.5, 6.0)
_LETTER, _MM_PER_POINT = 0.68, 25.4 / 72
# Shaded around a beat [s].
_BEFORE, _AFTER = 0.25, 0.45


class _Beat(NamedTuple):
    """A beat on the paper: its strip, its sample, the two words that may stand over it, and its colour."""

    strip: Strip
    sample: int
    full: str
    short: str
    color: str


def plot_beats(
    signal: ECGRecord | ArrayLike,
    rpeaks: ArrayLike,
    predicted: Sequence[Any] | NDArray[Any],
    *,
    reference: Sequence[Any] | NDArray[Any] | None = None,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    start: float = 0.0,
    duration: float | None = 10.0,
    normal: Any = "N",
    title: str | None = None,
    ax: Axes | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure:
    """Draw a strip of one record on ECG paper, with the label of each beat above the lowest lead.

    Normal beats have small grey labels, other beats bold blue ones. Where the label is not that of the reference, it is
    orange and the reference follows in brackets, as V(N), and the beat is shaded in all leads. Where labels would
    overlap, they are smaller. If that is not enough, normal beats are dots, references are left out, and at last all
    beats are dots.

    Parameters
    ----------
    signal : ECGRecord, or array-like of shape (n_leads, n_times) or (n_times,)
        Signals [mV], as for :func:`~beatssl_sklearn.plotting.plot_ecg`, whose layout this picture has.
    rpeaks : array-like of int of shape (n_beats,)
        R peaks [samples of the signal], in any order.
    predicted : sequence of length n_beats
        Label of each beat. None or NaN is drawn as "?".
    reference : sequence of length n_beats, default=None
        Reference label of each beat, None or NaN where there is none. `match_labels` gives detected beats those of
        annotated ones.
    fs : float, default=None
        Sampling rate [Hz], for an array.
    leads : sequence of n_leads str, default=None
        Names of the leads, for an array.
    start : float, default=0.0
        First second shown.
    duration : float, default=10.0
        Seconds shown; None for all that follow. Longer strips continue in lower rows.
    normal : object, default="N"
        The label of quiet beats.
    title : str, default=None
        Title above the paper.
    ax : matplotlib.axes.Axes, default=None
        Where to draw. None makes axes that fill `figure`.
    figure : matplotlib.figure.Figure or matplotlib.figure.SubFigure, default=None
        An empty figure, as for `plot_ecg`. None makes one that pyplot knows.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    TypeError
        If `signal` is something else, R peaks are no integers, or `ax` or `figure` is not of matplotlib.
    ValueError
        If shapes or numbers of labels disagree, `fs` is missing or not positive, an R peak lies outside the record, or
        `start` and `duration` do.
    ImportError
        If matplotlib is missing.
    """
    part = excerpt_of(signal, fs, leads, start, duration)
    peaks = as_rpeaks(rpeaks)
    n_times = round((part.recorded or 0.0) * part.fs)
    outside = peaks[(peaks < 0) | (peaks >= n_times)]
    if outside.size:
        raise ValueError(f"rpeaks must lie in [0, {n_times}), got {outside[0]}")
    found = _words(predicted, len(peaks), "predicted")
    true = [None] * len(peaks) if reference is None else _words(reference, len(peaks), "reference")
    ax, page = paper_of(part, ax, figure, title, marked=True, legend=True)
    beats = []
    for k in np.argsort(peaks, kind="stable").tolist():
        sample = int(peaks[k]) - part.first
        strip = next((s for s in page.lowest if s.start <= sample < s.stop), None)
        if strip is not None:
            beats.append(_beat(strip, sample, found[k], true[k], str(normal)))
    _shade(ax, page, [beat.sample for beat in beats], [beat.color == _WRONG for beat in beats])
    complete = _write(ax, page, beats)
    names = {_QUIET: "normal", _OTHER: "other class"}
    if reference is not None:
        names[_WRONG] = "differs: predicted(reference)" if complete else "differs from the reference"
    _explain(ax, page, beats, names)
    return figure_of(ax)


def _words(labels: Any, n_beats: int, name: str) -> list[str | None]:
    """Return labels as words; None for a missing one."""
    own = list(labels)
    if len(own) != n_beats:
        raise ValueError(f"{name} must have one label per R peak ({n_beats}), got {len(own)}")
    return [None if _is_missing(label) else shortened(str(label), 8) for label in own]


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas' NA is neither equal to itself nor unequal
        return True


def _beat(strip: Strip, sample: int, found: str | None, true: str | None, normal: str) -> _Beat:
    word = "?" if found is None else found
    if true is not None and true != word:
        return _Beat(strip, sample, f"{word}({true})", word, _WRONG)
    return _Beat(strip, sample, word, word, _QUIET if word == normal else _OTHER)


def _shade(ax: Axes, page: Page, samples: list[int], wrong: list[bool]) -> None:
    """Shade the beats that differ from the reference, each as far as half way to its neighbours."""
    boxes = []
    for k in np.flatnonzero(wrong).tolist():
        first, last = samples[k] - _BEFORE * page.fs, samples[k] + _AFTER * page.fs
        if k:
            first = max(first, (samples[k - 1] + samples[k]) / 2)
        if k + 1 < len(samples):
            last = min(last, (samples[k] + samples[k + 1]) / 2)
        for strip in page.strips:
            left, right = page.x_of(max(first, strip.start), strip), page.x_of(min(last, strip.stop), strip)
            low, high = page.bottoms[strip.row], page.tops[strip.row]
            if left < right:
                boxes.append([(left, low), (left, high), (right, high), (right, low)])
    shapes = import_optional("matplotlib.collections", "plotting", "plot").PolyCollection
    ax.add_collection(shapes(boxes, facecolors=_WRONG, alpha=0.15, lw=0, zorder=1), autolim=False)


def _write(ax: Axes, page: Page, beats: list[_Beat]) -> bool:
    """Write the labels as large as they fit beside each other; normal beats, or all, become dots where they do not.

    Return whether references stand in brackets.
    """
    steps = [(size, dots, full) for full in (True, False) for dots in (False, True) for size in _SIZES]
    size, dots, full = next((step for step in steps if _fits(page, beats, *step)), (0.0, True, False))
    points: dict[str, list[tuple[float, float]]] = {}
    for beat in beats:
        at = (page.x_of(beat.sample, beat.strip), page.marks[beat.strip.row])
        quiet = beat.color == _QUIET
        if not size or (dots and quiet):
            points.setdefault(beat.color, []).append(at)
            continue
        ax.text(
            *at, plain(beat.full if full else beat.short), ha="center", va="center", color=beat.color, zorder=4,
            fontsize=size * page.shrink * (0.85 if quiet else 1.0), fontweight="normal" if quiet else "bold",
        )  # fmt: skip
    # Of many dots, those that differ lie on top.
    for color in (_QUIET, _OTHER, _WRONG):
        xy = np.array(points.get(color, [])).reshape(-1, 2)
        ax.scatter(xy[:, 0], xy[:, 1], s=(4 if color == _QUIET else 14) * page.shrink**2, color=color, lw=0, zorder=4)
    return full


def _fits(page: Page, beats: list[_Beat], size: float, dots: bool, full: bool) -> bool:
    """Whether no label reaches the next one of its row."""
    letter = _LETTER * size * page.shrink * _MM_PER_POINT / page.scale
    ends: dict[int, float] = {}
    for beat in beats:
        word = beat.full if full else beat.short
        half = 0.5 * letter * (0.5 if dots and beat.color == _QUIET else len(word))
        x, row = page.x_of(beat.sample, beat.strip), beat.strip.row
        if x - half < ends.get(row, -np.inf):
            return False
        ends[row] = x + half
    return True


def _explain(ax: Axes, page: Page, beats: list[_Beat], names: dict[str, str]) -> None:
    """Draw the legend: what each colour says, and of how many beats."""
    patch = import_optional("matplotlib.patches", "plotting", "plot").Patch
    n = {color: sum(beat.color == color for beat in beats) for color in names}
    draw_legend(ax, page, [patch(facecolor=color, label=f"{name}: {n[color]}") for color, name in names.items()])
