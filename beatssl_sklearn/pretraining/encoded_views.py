"""What an encoder says of views and of their heartbeats, for objectives that look at beats."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..nn.blocks import Encoder
from ..nn.roi import beat_embeddings, mean_beats
from ..training.sharded import ShardedEncoder


class EncodedViews(NamedTuple):
    """What an encoder says of some views.

    Parameters
    ----------
    record : Tensor (n, n_dims_record + phases * n_dims)
        Embeddings of the views.
    beats : Tensor (n_beats, phases * n_dims)
        Embeddings of their beats.
    tokens : Tensor (n, ...) or None
        What was asked for of their tokens.
    """

    record: Tensor
    beats: Tensor
    tokens: Tensor | None


def encode_views(
    encoder: Encoder,
    signal: Tensor,
    roi_record: Tensor,
    roi_start: Tensor,
    roi_end: Tensor,
    phases: int,
    of_tokens: Callable[[Tensor], Tensor] | None = None,
) -> EncodedViews:
    """Let an encoder read views.

    Parameters
    ----------
    encoder : torch.nn.Module
        As `nn.encoders` describes it.
    signal : Tensor (n, n_times, 12)
        The views.
    roi_record, roi_start, roi_end : Tensor (n_beats,)
        Regions of the beats in the order of the views, as `Batch.regions` returns them.
    phases : int
        Parts of a beat's window.
    of_tokens : callable, optional
        What else is wanted of the tokens ``(n, n_tokens, n_dims)``: a tensor with one row per view.

    Returns
    -------
    EncodedViews
    """
    if isinstance(encoder, ShardedEncoder):
        own = encoder.own(signal)
        if own is not None:
            return _joined(encoder, len(signal), own, (roi_record, roi_start, roi_end), phases, of_tokens)
    e = encoder(signal)
    beats = beat_embeddings(e, roi_record, roi_start, roi_end, phases)
    record = torch.cat([encoder.pool(e), mean_beats(beats, roi_record, e)], dim=1)
    return EncodedViews(record, beats, None if of_tokens is None else of_tokens(e))


def _joined(
    sharded: ShardedEncoder,
    n: int,
    own: Tensor,
    regions: tuple[Tensor, Tensor, Tensor],
    phases: int,
    of_tokens: Callable[[Tensor], Tensor] | None,
) -> EncodedViews:
    """Let each process read its views, and join what comes of them: embeddings are smaller than tokens."""
    ranks = sharded.ranks
    rows, counts = ranks.own_rows(n), ranks.counts(n)
    # Beats lie in the order of the views.
    first_views = torch.tensor([0, *counts]).cumsum(0)
    first_beats = torch.searchsorted(regions[0].cpu(), first_views).tolist()
    here = slice(first_beats[ranks.rank], first_beats[ranks.rank + 1])
    record, start, end = (part[here] for part in regions)
    found = sharded.alone(encode_views, sharded.encoder, own, record - rows.start, start, end, phases, of_tokens)
    n_beats = [b - a for a, b in zip(first_beats, first_beats[1:], strict=False)]
    tokens = None if found.tokens is None else sharded.join(found.tokens, counts)
    return EncodedViews(sharded.join(found.record, counts), sharded.join(found.beats, n_beats), tokens)
