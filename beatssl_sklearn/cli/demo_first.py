"""What the models of the package say of the first records, before the demonstration trains anything."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import RhythmEmbedder, WaveMeasures, WaveSegmenter, load
from ..files.atomic import write_atomically
from .demo_records import DemoRecords

N_FIRST = 12
FIRST_FILES = ("first_records.csv", "first_waves.png", "first_map.png")


class FirstLook(NamedTuple):
    """Waves of the first records (a table), and their embeddings (n_first, n_dims)."""

    waves: Any
    embeddings: NDArray[np.float32]


def first_look(ecgs: DemoRecords, out: Path, say: Callable[[str], None]) -> FirstLook:
    """Embed and delineate the first records, label their heartbeats, and write and say what was found."""
    first = ecgs.records[:N_FIRST]
    embeddings = RhythmEmbedder("ptbxl").transform(first)
    waves = WaveSegmenter.load("waves").delineate(first)
    measures = WaveMeasures().set_output(transform="pandas").transform(first)
    table = measures[["heart_rate", "pr", "qrs", "qt"]].reset_index(drop=True)
    beats = load("beats").predict(first)
    for label in "NSVF":
        table[label] = [int(np.sum(np.asarray(own) == label)) for own in beats]
    if len(ecgs.classes):
        table.insert(0, ecgs.class_name, ecgs.classes[: len(first)])
    table.insert(0, "record", ecgs.names[: len(first)])
    write_atomically(out / FIRST_FILES[0], table.to_csv(index=False, float_format="%.0f").encode())
    say(f"      {embeddings.shape[1]} numbers a record; {len(waves)} waves; intervals [ms] and types of beats:")
    for line in table.to_string(index=False, float_format="{:.0f}".format, na_rep="-").splitlines():
        say(f"      {line}")
    return FirstLook(waves, embeddings)


def draw_first(look: FirstLook, ecgs: DemoRecords, out: Path) -> list[str]:
    """Draw the waves of the first record, and a map of the first records; return the names of the files."""
    from matplotlib.figure import Figure

    from ..plotting import plot_delineation, plot_embedding

    n = len(look.embeddings)
    labels = ecgs.classes[:n].tolist() if len(ecgs.classes) else None
    pictures: dict[str, Figure] = {
        FIRST_FILES[1]: plot_delineation(ecgs.records[0], table=look.waves, title=ecgs.names[0], figure=Figure()),
        FIRST_FILES[2]: plot_embedding(look.embeddings, labels, figure=Figure()),
    }
    for name, picture in pictures.items():
        content = BytesIO()
        picture.savefig(content, format="png", dpi=110)
        write_atomically(out / name, content.getvalue())
    return list(pictures)
