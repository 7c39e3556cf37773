"""What the answer to a prompt rests on: heartbeats by their parts of the cosine, leads by leaving them out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import Bunch

from ..ecg.leads import LEADS
from ..ecg.preprocess import Preprocessed
from ..embedding.fitted_encoder import InferenceModel
from ..inputs.front_end import FrontEnd
from ..inputs.source import Block, Source
from .report_fit import aligned_blocks
from .report_heads import BeatHead, ReportHeads


@dataclass(frozen=True)
class _WithoutLead(FrontEnd):
    """A front end after which one lead is absent; heartbeats are found with all leads."""

    lead: int = 0

    def __call__(self, block: Block) -> Preprocessed:
        """Return the signals of a block without the lead."""
        prepared = super().__call__(block)
        prepared.signal[:, :, self.lead] = 0
        return prepared


def attribution_of(
    source: Source,
    model: InferenceModel,
    heads: ReportHeads,
    z: NDArray[np.float32],
    *,
    batch_size: int,
    check: str,
    leads: bool,
) -> Bunch:
    """Return what the cosine of each record with a text rests on.

    Parameters
    ----------
    source : Source
    model : InferenceModel
    heads : ReportHeads
    z : ndarray (p,)
        The text, as a unit vector.
    batch_size : int
    check : {"warn", "raise", "ignore"}
    leads : bool
        Whether to leave each lead out.

    Returns
    -------
    Bunch
        As `ReportAligner.attribution` describes it.
    """
    n, text = source.n_records, torch.from_numpy(z).to(model.device)
    score, rhythm = np.full(n, np.nan), np.full(n, np.nan)
    beats: list[NDArray] = [np.zeros(0)] * n
    rpeaks: list[NDArray] = [np.zeros(0, dtype=np.int64)] * n
    for block in aligned_blocks(source, model, heads, batch_size=batch_size, check=check):
        rows, aligned = block.embedded.rows, block.aligned
        n_slots = aligned.there.sum(1, keepdim=True)
        total = aligned.rhythm + (aligned.there[..., None] * aligned.beats).sum(1) / n_slots
        length = total.norm(dim=1, keepdim=True)
        score[rows] = ((total @ text) / length[:, 0]).cpu().numpy()
        parts = ((aligned.beats @ text) / (n_slots * length)).cpu().numpy()
        assert block.embedded.rpeaks is not None
        whole = ((aligned.rhythm @ text) / length[:, 0]).cpu().numpy()
        for i, row in enumerate(rows):
            rpeaks[row] = block.embedded.rpeaks[i]
            # Learned queries are no beats, and nor is what stands for the beats of a record without any.
            count = len(rpeaks[row]) if isinstance(heads.ecg, BeatHead) else 0
            beats[row] = parts[i, :count].astype(np.float64)
            rhythm[row] = whole[i] if count else score[row]
    found = Bunch(score=score, rhythm=rhythm, beats=beats, rpeaks=rpeaks, leads=None)
    if leads:
        found.leads = _falls(source, model, heads, text, score, batch_size)
    return found


def _falls(
    source: Source,
    model: InferenceModel,
    heads: ReportHeads,
    text: torch.Tensor,
    score: NDArray[np.float64],
    batch_size: int,
) -> NDArray[np.float64]:
    """Return how much the cosine falls without each lead (n_records, 12)."""
    present = np.zeros((source.n_records, len(LEADS)), dtype=bool)
    for block in source.read(np.arange(source.n_records), batch_size):
        present[block.rows] = model.front_end(block).present
    falls = np.full((source.n_records, len(LEADS)), np.nan)
    settings: dict[str, Any] = {name: getattr(model.front_end, name) for name in FrontEnd.__dataclass_fields__}
    for k in np.flatnonzero(present.any(axis=0)):
        without = replace(model, front_end=_WithoutLead(**settings, lead=int(k)))
        for found in aligned_blocks(source, without, heads, batch_size=batch_size, check="ignore"):
            rows = found.embedded.rows
            falls[rows, k] = score[rows] - (found.aligned.record @ text).cpu().numpy()
    # A record without its only lead is nothing that a cosine could be of.
    falls[~present | (present.sum(axis=1, keepdims=True) < 2)] = np.nan
    return falls
