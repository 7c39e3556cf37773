"""The map of embeddings on the page of `beatssl check`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np

from .. import RhythmEmbedder
from ..formats import ECGFolder
from .check_records import CheckedRecords
from .models import from_option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_RECORDS = 1000
"""Most records of the map."""


def map_embedder(arguments: argparse.Namespace) -> RhythmEmbedder | None:
    """Return the embedder of the map, ready to use; None for no map.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command, with `map` and `device`.

    Raises
    ------
    ValueError, OSError
        If the model is none, or cannot be read.
    """
    if arguments.map == "none":
        return None
    embedder = RhythmEmbedder(arguments.map, device=arguments.device, allow_nan=True, check="ignore")
    with from_option("--map", arguments.map):
        _ = embedder.encoder_  # loads the model
    return embedder


def draw_map(embedder: RhythmEmbedder, checked: CheckedRecords, folder: ECGFolder) -> tuple[Figure, int]:
    """Draw two principal components of embeddings, coloured by quality.

    Parameters
    ----------
    embedder : RhythmEmbedder
    checked : CheckedRecords
    folder : ECGFolder
        Where records are read again.

    Returns
    -------
    figure : Figure
    n_records : int
        How many are on it: those with a lead that varies, of a large folder every so many of them.
    """
    from matplotlib.figure import Figure

    from ..plotting import plot_embedding

    names = [name for name in checked.rows if checked.rows[name]["flat_leads"] < checked.rows[name]["n_leads"]]
    names = names[:: max(1, -(-len(names) // MOST_RECORDS))]
    positions = {name: i for i, name in enumerate(folder.names)}
    vectors = embedder.transform(folder[np.array([positions[name] for name in names], dtype=np.int64)])
    scores = np.array([checked.rows[name]["score"] for name in names])
    figure = Figure()
    plot_embedding(vectors, scores, name="quality score", figure=figure)
    return figure, len(names)
