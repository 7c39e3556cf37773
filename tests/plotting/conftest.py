"""What the tests of all pictures need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def pixels() -> Callable[[Any], np.ndarray]:
    """Draws a figure: ``pixels(figure)`` has the shape (height, width, 4)."""
    agg = pytest.importorskip("matplotlib.backends.backend_agg", reason="matplotlib is not installed")

    def draw(figure: Any) -> np.ndarray:
        canvas = agg.FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())

    return draw
