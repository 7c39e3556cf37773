"""The heads of `ReportAlignment`: where ECGs, heartbeats and texts meet."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.attention import AttentionPool, build_attention_pool
from ..nn.blocks import Encoder, init_weights
from .encoded_views import encode_views
from .report_words import TokenHead, build_token_head

# Tokens that are averaged before queries look at them, where a record has more than so many.
MAX_TOKENS = 128
N_BEAT_QUERIES = 10
_FIRST_SCALE = math.log(1 / 0.07)


class Encoded(NamedTuple):
    """What an encoder says of some records.

    Parameters
    ----------
    record : Tensor (n, n_dims_record + phases * n_dims)
        Embeddings of the records.
    beats : Tensor (n_beats, phases * n_dims)
        Embeddings of their beats.
    beat_record : int64 Tensor (n_beats,)
        Row of each beat's record, in order.
    tokens : Tensor (n, n_tokens, n_dims) or None
        As `pooled_tokens` returns them; None where nothing looks at them.
    """

    record: Tensor
    beats: Tensor
    beat_record: Tensor
    tokens: Tensor | None


class Aligned(NamedTuple):
    """Where records lie in the space of texts.

    Parameters
    ----------
    rhythm : Tensor (n, p)
        Share of the whole record; zero where beats are learned queries.
    beats : Tensor (n, K, p)
        Of each beat, or query.
    there : bool Tensor (n, K)
        Which slots hold a beat.
    """

    rhythm: Tensor
    beats: Tensor
    there: Tensor

    @property
    def record(self) -> Tensor:
        """Unit vectors (n, p): of the record's share and the mean of its beats, added."""
        weight = self.there.float() / self.there.sum(1, keepdim=True)
        return F.normalize(self.rhythm + (weight[..., None] * self.beats).sum(1), dim=1)


def pooled_tokens(tokens: Tensor) -> Tensor:
    """Average neighbouring tokens ``(n, n_tokens, d)``, so that at most `MAX_TOKENS` are left.

    Parameters
    ----------
    tokens : Tensor (n, n_tokens, d)

    Returns
    -------
    Tensor (n, at most MAX_TOKENS, d)
    """
    width = math.ceil(tokens.shape[1] / MAX_TOKENS)
    return F.avg_pool1d(tokens.float().transpose(1, 2), width, ceil_mode=True).transpose(1, 2)


class BeatHead(nn.Module):
    """Maps records and heartbeats into the space of texts.

    Parameters
    ----------
    n_record, n_beat, p : int
        Widths of a record's embedding, of a beat's, and of the space.
    """

    needs_tokens = False

    def __init__(self, n_record: int, n_beat: int, p: int) -> None:
        super().__init__()
        self.record_norm, self.beat_norm = (nn.BatchNorm1d(width, affine=False) for width in (n_record, n_beat))
        self.record, self.beat = nn.Linear(n_record, p), nn.Linear(n_beat, p)

    def forward(self, encoded: Encoded) -> Aligned:
        """Map what an encoder says.

        Parameters
        ----------
        encoded : Encoded

        Returns
        -------
        Aligned
            A record without beats has one slot: the mean of its tokens in every phase.
        """
        with torch.autocast(encoded.record.device.type, enabled=False):
            record, n_beat = encoded.record.float(), self.beat.in_features
            vectors, row = encoded.beats.float(), encoded.beat_record.to(record.device)
            # The end of a record's embedding is the mean of its beats, or what stands for it.
            beatless = (torch.bincount(row, minlength=len(record)) == 0).nonzero()[:, 0]
            order = torch.argsort(torch.cat([row, beatless]), stable=True)
            vectors = torch.cat([vectors, record[beatless, -n_beat:]])[order]
            row = torch.cat([row, beatless])[order]
            projected = self.beat(self.beat_norm(vectors))
            return Aligned(self.record(self.record_norm(record)), *_in_slots(projected, row, len(record)))


class QueryHead(nn.Module):
    """Maps what learned queries find in a record into the space of texts, as the publication does.

    Parameters
    ----------
    pool : AttentionPool
        The queries.
    p : int
        Width of the space.
    """

    needs_tokens = True

    def __init__(self, pool: AttentionPool, p: int) -> None:
        super().__init__()
        self.pool, self.norm, self.out = pool, nn.LayerNorm(p), nn.Linear(p, p)

    def forward(self, encoded: Encoded) -> Aligned:
        """Map what an encoder says.

        Parameters
        ----------
        encoded : Encoded
            With tokens.

        Returns
        -------
        Aligned
            A slot for each query.
        """
        assert encoded.tokens is not None
        with torch.autocast(encoded.record.device.type, enabled=False):
            found = self.out(self.norm(self.pool(encoded.tokens)))
            there = torch.ones(found.shape[:2], dtype=torch.bool, device=found.device)
            return Aligned(found.new_zeros(len(found), found.shape[2]), found, there)


def _in_slots(vectors: Tensor, row: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return vectors that are ordered by row as (n, K, p), and which slots they fill (n, K)."""
    counts = torch.bincount(row, minlength=n)
    slot = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
    there = torch.arange(int(counts.max()), device=row.device) < counts[:, None]
    out = vectors.new_zeros(n, there.shape[1], vectors.shape[1])
    return out.index_put((row, slot), vectors), there


class TextHead(nn.Module):
    """Maps vectors of texts into the space that they share with ECGs.

    Parameters
    ----------
    n_text, p : int
        Widths.
    """

    def __init__(self, n_text: int, p: int) -> None:
        super().__init__()
        self.out = nn.Linear(n_text, p)

    def forward(self, z: Tensor) -> Tensor:
        """Map ``(..., n_text)`` to ``(..., p)``.

        Parameters
        ----------
        z : Tensor (..., n_text)

        Returns
        -------
        Tensor (..., p)
        """
        mapped: Tensor = self.out(z)
        return mapped


class Scale(nn.Module):
    """The factor of the cosines, as a logarithm that is learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor([_FIRST_SCALE]))

    def draw_weights(self, generator: torch.Generator) -> None:
        """Start at 1 / .07; nothing is drawn."""
        with torch.no_grad():
            self.log.fill_(_FIRST_SCALE)


class ReportOutputs(NamedTuple):
    """Outputs of the heads.

    Parameters
    ----------
    aligned : Aligned
        Where the records lie.
    text : Tensor (n, p)
        Where the texts lie that were drawn for them.
    sentences : Tensor (n, n_most, p)
        Where the sentences of their reports lie.
    sentence_there : bool Tensor (n, n_most)
        Which slots hold a sentence.
    log_scale : Tensor (1,)
        Logarithm of the factor of the cosines.
    token_loss : Tensor
        Scalar; 0 without a head for words.
    """

    aligned: Aligned
    text: Tensor
    sentences: Tensor
    sentence_there: Tensor
    log_scale: Tensor
    token_loss: Tensor


class ReportHeads(nn.Module):
    """All heads of `ReportAlignment`.

    Parameters
    ----------
    phases : int
        Parts of a beat's window.
    ecg : BeatHead or QueryHead
    text : TextHead
    tokens : TokenHead or None
    """

    def __init__(self, phases: int, ecg: BeatHead | QueryHead, text: TextHead, tokens: TokenHead | None) -> None:
        super().__init__()
        self.phases = phases
        self.ecg, self.text, self.tokens, self.scale = ecg, text, tokens, Scale()

    @property
    def needs_tokens(self) -> bool:
        """Whether a head looks at tokens."""
        return self.tokens is not None or self.ecg.needs_tokens

    def encode(
        self, encoder: Encoder, signal: Tensor, roi_record: Tensor, roi_start: Tensor, roi_end: Tensor
    ) -> Encoded:
        """Let an encoder read signals.

        Parameters
        ----------
        encoder : torch.nn.Module
            As `nn.encoders` describes it.
        signal : Tensor (n, n_times, 12)
            Views of the records.
        roi_record, roi_start, roi_end : Tensor (n_beats,)
            Regions of the beats, as `Batch.regions` returns them.

        Returns
        -------
        Encoded
            Tokens only if a head looks at them.
        """
        wanted = pooled_tokens if self.needs_tokens else None
        found = encode_views(encoder, signal, roi_record, roi_start, roi_end, self.phases, wanted)
        return Encoded(found.record, found.beats, roi_record, found.tokens)

    def align(
        self, encoded: Encoded, text: Tensor, sentences: Tensor, sentence_there: Tensor, words: Tensor, draw: Tensor
    ) -> ReportOutputs:
        """Map records and their reports.

        Parameters
        ----------
        encoded : Encoded
            Of the records.
        text : Tensor (n, n_text)
            Vectors of the texts that were drawn for them.
        sentences : Tensor (n, n_most, n_text)
            Vectors of the sentences of their reports.
        sentence_there : bool Tensor (n, n_most)
            Which slots hold a sentence.
        words : int64 Tensor (n, n_ids)
            Words of their reports.
        draw : int64 Tensor (1,)
            Seed of the words that "mlm" hides.

        Returns
        -------
        ReportOutputs
            What the loss needs.
        """
        aligned = self.ecg(encoded)
        token_loss = aligned.rhythm.sum() * 0
        if self.tokens is not None:
            token_loss = self.tokens(encoded.tokens, words, draw)
        return ReportOutputs(
            aligned, self.text(text), self.text(sentences), sentence_there, self.scale.log, token_loss
        )

    def forward(
        self,
        encoder: Encoder,
        signal: Tensor,
        roi_record: Tensor,
        roi_start: Tensor,
        roi_end: Tensor,
        **texts: Tensor,
    ) -> ReportOutputs:
        """Encode views, and map them and their reports.

        Parameters
        ----------
        encoder : torch.nn.Module
            As `nn.encoders` describes it.
        signal, roi_record, roi_start, roi_end : Tensor
            As for `encode`.
        **texts
            As for `align`.

        Returns
        -------
        ReportOutputs
            What the loss needs.
        """
        return self.align(self.encode(encoder, signal, roi_record, roi_start, roi_end), **texts)


class TextSettings(NamedTuple):
    """What decides the shape of the heads beside the encoder.

    Parameters
    ----------
    n_text, n_words, p : int
        Widths of a text's vector, of the vocabulary, and of the space of ECGs and texts.
    token_loss : {"bag", "mlm", "caption", "none"}
    beat_source : {"rpeaks", "queries"}
    """

    n_text: int
    n_words: int
    p: int
    token_loss: str
    beat_source: str


def build_report_heads(
    encoder: Encoder, phases: int, settings: TextSettings, generator: torch.Generator
) -> ReportHeads:
    """Return heads with random weights. The global random state stays as it is.

    Parameters
    ----------
    encoder : torch.nn.Module
        As `nn.encoders` describes it.
    phases : int
        Parts of a beat's window.
    settings : TextSettings
    generator : torch.Generator
        Source of the weights.

    Returns
    -------
    ReportHeads
        On the CPU.
    """
    p, n_beat = settings.p, phases * encoder.n_dims
    ecg: BeatHead | QueryHead
    if settings.beat_source == "queries":
        pool = build_attention_pool(encoder.n_dims, N_BEAT_QUERIES, p, generator)
        with torch.device("meta"):
            ecg = QueryHead(pool, p)
        for layer in (ecg.norm, ecg.out):
            init_weights(layer.to_empty(device="cpu"), generator)
    else:
        with torch.device("meta"):
            ecg = BeatHead(encoder.n_dims_record + n_beat, n_beat, p)
        init_weights(ecg.to_empty(device="cpu"), generator)
    with torch.device("meta"):
        text = TextHead(settings.n_text, p)
    init_weights(text.to_empty(device="cpu"), generator)
    tokens = build_token_head(encoder.n_dims, settings.n_words, settings.token_loss, generator)
    return ReportHeads(phases, ecg, text, tokens)
