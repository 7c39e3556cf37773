"""Two segments of each record, for objectives that compare them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..views.augment import checked_views
from .batches import Batch

SHORTEST = 1.0
"""Shortest segment, where records are long enough [s]."""


def draw_segments(batch: Batch, segment: float, views: Any) -> Tensor:
    """Draw two segments of each record that follow each other, and a view of each.

    Parameters
    ----------
    batch : Batch
        Records of the step.
    segment : float
        Length [s]; records shorter than two of them give two halves, or segments that overlap.
    views : component or callable
        Draws a view.

    Returns
    -------
    Tensor (2 * n, n_times, 12)
        First all first segments, then all second ones.
    """
    seconds = max(min(segment, batch.seconds / 2), min(SHORTEST, batch.seconds))
    start = batch.draw_start(min(2 * seconds, batch.seconds))
    later = np.minimum(start + seconds, start + batch.seconds - seconds)
    drawn = checked_views(views)
    return torch.cat([drawn(*batch.window(at, seconds), batch.generator)[0] for at in (start, later)])
