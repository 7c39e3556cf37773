"""How a `ReportAligner` is fitted: with an encoder that stays as it is, or together with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ..components import check_number
from ..embedding.fitted_encoder import FittedEncoder, InferenceModel
from ..embedding.stream import BlockEmbedding, embed
from ..inputs.source import Source
from ..nn.weights import load_module_arrays
from ..text import sentences
from .batches import Batches
from .identity import digest_of
from .measured import measure_records
from .report_alignment import ReportAlignment
from .report_frozen import FrozenModule, train_heads
from .report_heads import Aligned, Encoded, ReportHeads, build_report_heads, pooled_tokens
from .report_texts import joined_text, read_reports, split_reports, text_vectors
from .run import TrainingSettings, kept_heads, pretrain

# Longer reports are no captions: an array of captions has room for the longest one everywhere.
_LONGEST_CAPTION = 4000


@dataclass(frozen=True)
class FittedAlignment:
    """What a fit leaves behind."""

    encoder: dict[str, NDArray] | None
    """State of the encoder; None if it stayed as it was."""
    heads: dict[str, NDArray]
    """State of the heads."""
    history: list[dict[str, Any]]
    rows: NDArray[np.int64]
    """Records that have a report and a sample."""
    gallery: NDArray[np.float32] | None
    """These records as unit vectors; None if they were not encoded whole."""


def fit_heads(
    objective: ReportAlignment,
    start: FittedEncoder,
    source: Source,
    reports: Any,
    settings: TrainingSettings,
    n_views: int,
) -> FittedAlignment:
    """Train the heads on an encoder that stays as it is.

    Parameters
    ----------
    objective : ReportAlignment
        Checked.
    start : FittedEncoder
    source : Source
        The records.
    reports : sequence of str
        Of the records.
    settings : TrainingSettings
    n_views : int
        Views of each record that the encoder reads.

    Raises
    ------
    TypeError, ValueError
        If a record or a report cannot be used; the message names it.
    FloatingPointError
        If training diverges.
    """
    # Before the records are read, which can take long.
    reports = read_reports(reports, source.n_records)
    records = measure_records(
        source,
        start.front_end,
        objective,
        batch_size=settings.batch_size,
        seed=settings.seed,
        arguments={"reports": reports},
        memory=settings.memory,
        n_jobs=settings.n_jobs,
        progress=settings.verbose > 0,
        check=settings.check,
    )
    model = start.model(settings.device, settings.precision)
    generator = torch.Generator().manual_seed(settings.seed)
    heads = build_report_heads(model.encoder, start.front_end.beat_phases, objective.settings(), generator)
    index = records.usable[records.known.report[records.usable] >= 0]
    n_different = len(np.unique(records.known.report[index]))
    if n_different < 2:
        raise ValueError(
            f"reports: at least 2 different ones are needed, got {n_different}: of the records that have one, only "
            f"{len(index)} hold a sample"
        )
    batches = Batches(
        objective, records, index,
        batch_size=settings.batch_size, stride=model.encoder.stride, device=settings.device, seed=settings.seed,
        n_epochs=settings.max_epochs,
    )
    history, view = train_heads(objective, heads, model, batches, settings, n_views, digest_of_weights(start))
    gallery = None
    if records.whole_records:
        parts = np.array_split(np.arange(len(index)), max(1, len(index) // 256))
        gallery = np.concatenate([_records_of(heads, Encoded(**_named(view.take(at)))) for at in parts])
    kept = kept_heads(cast(Any, FrozenModule(heads)), objective)
    return FittedAlignment(None, kept, history, index, gallery)


def _named(found: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {"tokens": None, **found}


def fit_network(
    objective: ReportAlignment,
    start: FittedEncoder,
    source: Source,
    reports: Any,
    settings: TrainingSettings,
) -> FittedAlignment:
    """Train encoder and heads together; parameters as for `fit_heads`."""
    reports = read_reports(reports, source.n_records)
    generator = torch.Generator().manual_seed(settings.seed)
    trained = pretrain(
        objective, start.module(), generator, source, start.front_end, settings, arguments={"reports": reports}
    )
    rows = np.flatnonzero(split_reports(reports)[0] >= 0)
    return FittedAlignment(trained.weights, trained.heads, trained.history, rows, None)


def restored_heads(objective: ReportAlignment, model: InferenceModel, arrays: dict[str, NDArray]) -> ReportHeads:
    """Return the heads of a fitted objective, ready to map.

    Parameters
    ----------
    objective : ReportAlignment
        Fitted.
    model : InferenceModel
        The encoder.
    arrays : dict of ndarray
        State of the heads.

    Raises
    ------
    ValueError
        If the arrays do not fit.
    """
    generator = torch.Generator().manual_seed(0)
    heads = build_report_heads(model.encoder, model.front_end.beat_phases, objective.settings(), generator)
    for name in objective.keeps:
        head = getattr(heads, name)
        own = {k.removeprefix(f"{name}."): a for k, a in arrays.items() if k.startswith(f"{name}.")}
        if head is not None:
            load_module_arrays(head, own)
    return heads.eval().to(model.device)


class AlignedBlock(NamedTuple):
    """Some records in the space of texts."""

    embedded: BlockEmbedding
    aligned: Aligned
    encoded: Encoded


@torch.no_grad()
def aligned_blocks(
    source: Source, model: InferenceModel, heads: ReportHeads, *, batch_size: int, check: str
) -> Iterator[AlignedBlock]:
    """Embed records block by block, and map them.

    Parameters
    ----------
    source : Source
    model : InferenceModel
    heads : ReportHeads
        As `restored_heads` returns them.
    batch_size : int
    check : {"warn", "raise", "ignore"}

    Yields
    ------
    AlignedBlock
    """
    check_number("batch_size", batch_size, Integral, 1)
    levels = ("rhythm", "beat", "sample") if heads.needs_tokens else ("rhythm", "beat")
    for block in embed(source, model, batch_size=batch_size, levels=levels, check=check):
        assert block.rhythm is not None and block.beats is not None
        counts = [len(b) for b in block.beats]
        tokens = None
        if block.samples is not None:
            tokens = pooled_tokens(torch.from_numpy(np.stack(block.samples)).to(model.device))
        encoded = Encoded(
            torch.from_numpy(block.rhythm).to(model.device),
            torch.from_numpy(np.concatenate(block.beats)).to(model.device),
            torch.from_numpy(np.repeat(np.arange(len(counts)), counts)),
            tokens,
        )
        yield AlignedBlock(block, heads.ecg(encoded), encoded)


@torch.no_grad()
def _records_of(heads: ReportHeads, encoded: Encoded) -> NDArray[np.float32]:
    return np.asarray(heads.eval().ecg(encoded).record.numpy(), dtype=np.float32)


@torch.no_grad()
def encoded_texts(objective: ReportAlignment, heads: ReportHeads, texts: list[str]) -> NDArray[np.float32]:
    """Return texts as unit vectors (n_texts, p) in the space that they share with records.

    Parameters
    ----------
    objective : ReportAlignment
        Fitted.
    heads : ReportHeads
    texts : list of str
        Each with a word.
    """
    if not texts:
        return np.zeros((0, int(objective.projection_dim)), dtype=np.float32)
    vectors = torch.from_numpy(text_vectors(objective.text_, texts))
    device = heads.text.out.weight.device
    mapped = torch.nn.functional.normalize(heads.text(vectors.to(device)), dim=1)
    return np.asarray(mapped.cpu().numpy(), dtype=np.float32)


def frequent_reports(reports: Any, rows: NDArray[np.int64], n_most: int) -> NDArray[np.str_]:
    """Return the most frequent reports of some records, normalised, the most frequent one first.

    Parameters
    ----------
    reports : sequence of (str or None)
    rows : ndarray of int64
        Records with a report.
    n_most : int
    """
    plain = read_reports(reports, len(reports))
    counted = Counter(joined_text(sentences(plain[i])) for i in rows)
    found = [text for text, _ in counted.most_common() if len(text) <= _LONGEST_CAPTION]
    return np.array(found[:n_most], dtype=str)

def digest_of_weights(encoder: FittedEncoder) -> str:
    """Return a digest that is the same before and after a file in half precision."""
    return digest_of({name: np.asarray(array, dtype=np.float16) for name, array in encoder.weights.items()})
