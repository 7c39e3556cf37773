"""Training batches of a `WaveSegmenter` without an encoder: leads singly, in pairs and in groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .batches import IGNORED, WaveBatches

# Leads of a window and their share of the steps: one, two, three to eight, twelve.
_GROUPS = ((1, 1, 0.3), (2, 2, 0.25), (3, 8, 0.3), (12, 12, 0.15))
# Windows of a step at least, however many leads they have.
_FEWEST = 2


class LeadBatches(WaveBatches):
    """Draw windows of some leads each; the fewer leads, the more windows, so that steps take the same time.

    Half of the steps show one lead or two, so that no lead needs the others. Windows are drawn with replacement among
    the records that have as many annotated leads.

    Parameters
    ----------
    *args, **kwargs
        As for `WaveBatches`. A step has about ``batch_size * n_leads`` windows of one lead.
    """

    def __init__(self, *args: Any, batch_size: int, **kwargs: Any) -> None:
        super().__init__(*args, batch_size=batch_size, **kwargs)
        self.lead_windows = batch_size * self.n_leads
        annotated = {int(i): int(self._annotated(int(i)).sum()) for i in np.unique(self.index)}
        self.n_annotated = np.array([annotated[int(i)] for i in self.index], dtype=np.int64)
        if self.augment is None:
            # Windows of held-out records have all their leads, and so stand alone.
            self.n_batches = max(1, len(self.index))

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        if self.augment is None:
            rng = np.random.default_rng([self.seed, 0])
            for i in self.index:
                yield self._group(np.array([i]), int(self._annotated(int(i)).sum()), rng)
            return
        rng = np.random.default_rng([self.seed, self.epoch])
        for _ in range(self.n_batches):
            n_leads = self._draw_n_leads(rng)
            able = self.n_annotated >= n_leads
            share = able.astype(np.float64) if self.share is None else able * self.share
            n_windows = max(_FEWEST, self.lead_windows // n_leads)
            yield self._group(rng.choice(self.index, n_windows, p=share / share.sum()), n_leads, rng)

    def _annotated(self, record: int) -> NDArray[np.bool_]:
        mask = self.records[record].mask
        return np.asarray((mask != IGNORED).any(axis=0))

    def _draw_n_leads(self, rng: np.random.Generator) -> int:
        first, last, _ = _GROUPS[rng.choice(len(_GROUPS), p=[share for *_, share in _GROUPS])]
        # Records that cannot be drawn do not count.
        there = self.n_annotated if self.share is None else self.n_annotated[self.share > 0]
        return min(int(rng.integers(first, last + 1)), int(there.max()))

    def _group(
        self, index: NDArray[np.int64], n_leads: int, rng: np.random.Generator
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return windows of records with `n_leads` of their annotated leads each."""
        signals, masks = [], []
        for i in index:
            signal, mask = self._window(self.records[i], rng)
            chosen = rng.permutation(np.flatnonzero(self._annotated(int(i))))[:n_leads]
            signals.append(signal[:, chosen].T)
            masks.append(mask[:, chosen].T)
        leads, labels = (torch.from_numpy(np.ascontiguousarray(np.stack(parts))) for parts in (signals, masks))
        return {"leads": leads.float().to(self.device)}, labels.to(self.device)
