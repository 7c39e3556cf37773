"""The command `beatssl embed`."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from .folder import READ_ERRORS, Refused, chunks, open_folder, progress, say


def run_embed(arguments: argparse.Namespace) -> int:
    from ..embedding.embedders import BeatEmbedder, RhythmEmbedder
    from ..files.embedding_table import open_table

    beats = arguments.level == "beat"
    embedder = (BeatEmbedder if beats else RhythmEmbedder)(
        arguments.model, batch_size=arguments.batch_size, device=arguments.device
    )
    allow_nan = embedder._fitted().allow_nan
    folder, refused = open_folder(arguments), Refused()
    with open_table(arguments.out) as table, progress(folder.names, "embed", arguments.quiet) as bar:
        for names, records in chunks(folder, arguments.batch_size, allow_nan, refused, bar):
            for name, record, rows, rpeaks in _embedded(embedder, names, records, refused, bar):
                table.add(name, record.fs, rows, rpeaks if beats else None)
            bar.update(len(names))
        if len(refused.names) == len(folder):
            raise ValueError(f"none of {len(folder)} records could be embedded")
    say(f"{arguments.out}: {table.n_rows} rows of {len(folder) - len(refused.names)} records")
    return refused.summary(len(folder), arguments.strict)


def _embedded(
    embedder: Any, names: list[str], records: list[Any], refused: Refused, bar: Any
) -> Iterator[tuple[str, Any, NDArray, NDArray | None]]:
    """Yield embeddings record by record.

    A batch with a bad or an odd record is repeated one by one, so that the message can name the record.
    """
    try:
        with warnings.catch_warnings(record=True) as odd:
            warnings.simplefilter("always", UserWarning)
            results = _rows(embedder, records)
    except READ_ERRORS as error:
        if len(records) == 1:
            refused.add(names[0], error, bar)
            return
        results = []
    if len(records) > 1 and (odd or not results):
        for name, record in zip(names, records, strict=True):
            yield from _embedded(embedder, [name], [record], refused, bar)
        return
    for warning in odd:
        bar.write(f"warning: {names[0]}: {warning.message}", file=sys.stderr)
    for name, record, (rows, rpeaks) in zip(names, records, results, strict=True):
        yield name, record, rows, rpeaks


def _rows(embedder: Any, records: list[Any]) -> list[tuple[NDArray, NDArray | None]]:
    from ..embedding.embedders import RhythmEmbedder

    if isinstance(embedder, RhythmEmbedder):
        return [(row[None], None) for row in embedder.transform(records)]
    rpeaks = embedder.rpeaks(records)
    return list(zip(embedder.transform(records, rpeaks=rpeaks), rpeaks, strict=True))
