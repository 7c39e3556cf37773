"""What the tests of all pictures need."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close the figures that pyplot knows after each test."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")


@pytest.fixture(scope="session")
def pixels() -> Callable[[Any], np.ndarray]:
    """Draws a figure: ``pixels(figure)`` has the shape (height, width, 4)."""
    agg = pytest.importorskip("matplotlib.backends.backend_agg", reason="matplotlib is not installed")

    def draw(figure: Any) -> np.ndarray:
        canvas = agg.FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())

    return draw


@pytest.fixture(scope="session")
def check_layout() -> Callable[[Any], None]:
    """Checks a drawn figure: words cross no curve and no other words, and nothing is cut off at its borders."""
    path_class = pytest.importorskip("matplotlib.path", reason="matplotlib is not installed").Path

    def check(figure: Any) -> None:
        figure.draw_without_rendering()
        for ax in figure.axes:
            words = [text for text in words_of(ax) if text.get_visible() and text.get_text().strip()]
            boxes = [text.get_window_extent() for text in words]
            curves = [curve for line in ax.lines for curve in curves_of(line)]
            for text, box in zip(words, boxes, strict=True):
                assert not any(path_class(xy).intersects_bbox(box, filled=False) for xy in curves), text
                assert box.x0 >= -1 and box.y0 >= -1, text
                assert box.x1 <= figure.bbox.width + 1 and box.y1 <= figure.bbox.height + 1, text
            for (one, first), (other, second) in combinations(zip(words, boxes, strict=True), 2):
                assert not first.overlaps(second), (one, other)

    return check


def words_of(ax: Any) -> list[Any]:
    legend = ax.get_legend()
    titles = [ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label]
    ticks = [label for axis in (ax.xaxis, ax.yaxis) for label in ticks_of(axis)]
    return [*ax.texts, *titles, *ticks, *(legend.get_texts() if legend else [])]


def ticks_of(axis: Any) -> list[Any]:
    """Return the labels of the ticks that are drawn: those between the limits."""
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 for tick in axis.get_major_ticks() if low - 1e-6 <= tick.get_loc() <= high + 1e-6]


def curves_of(line: Any) -> list[np.ndarray]:
    """Return the pieces of a line between gaps, in pixels."""
    xy = line.get_transform().transform(line.get_xydata())
    pieces = np.split(xy, np.flatnonzero(~np.isfinite(xy).all(axis=1)))
    return [piece[np.isfinite(piece).all(axis=1)] for piece in pieces if len(piece) > 1]
