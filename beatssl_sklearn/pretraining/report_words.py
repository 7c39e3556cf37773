"""The head of `ReportAlignment` that tells the words of a report from the tokens of its record."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.attention import AttentionPool, build_attention_pool
from ..nn.blocks import init_weights
from ..nn.word_decoder import END, PAD, WordDecoder, build_word_decoder
from .report_texts import MAX_LENGTH

N_TOKEN_QUERIES = 32
# Ids that are no words: four marks, and the bucket of unseen words.
NO_WORDS = END + 2


class TokenHead(nn.Module):
    """Queries that sum up the tokens of a record, and what tells the words of the report from them.

    Parameters
    ----------
    pool : AttentionPool
        The queries.
    words : torch.nn.Linear or WordDecoder
        Linear: which words the report holds. `WordDecoder`: the words in order, or hidden ones.
    kind : {"bag", "mlm", "caption"}
        What is asked.
    """

    def __init__(self, pool: AttentionPool, words: nn.Module, kind: str) -> None:
        super().__init__()
        self.pool, self.words, self.kind = pool, words, kind

    def forward(self, tokens: Tensor, ids: Tensor, draw: Tensor) -> Tensor:
        """Return the token loss.

        Parameters
        ----------
        tokens : Tensor (n, n_tokens, n_dims)
            As `pooled_tokens` returns them.
        ids : int64 Tensor (n, n_ids)
            Words of the reports.
        draw : int64 Tensor (1,)
            Seed of the words that "mlm" hides.

        Returns
        -------
        Tensor
            Scalar, in nats per word.
        """
        with torch.autocast(tokens.device.type, enabled=False):
            memory = self.pool(tokens)
            if isinstance(self.words, WordDecoder):
                if self.kind == "caption":
                    return self.words.loss(ids, memory)
                generator = torch.Generator(tokens.device).manual_seed(int(draw))
                return self.words.masked_loss(ids, memory, generator)
            logits = self.words(memory.mean(1))
            held = torch.zeros_like(logits).scatter_(1, ids, 1.0)[:, NO_WORDS:]
            cost = F.binary_cross_entropy_with_logits(logits[:, NO_WORDS:], held, reduction="none").sum(1)
            # A record without a report does not lack its words.
            return (cost * (ids[:, 0] != PAD)).sum() / held.sum().clamp_min(1)


def build_token_head(width: int, n_words: int, kind: str, generator: torch.Generator) -> TokenHead | None:
    """Return a head with random weights, or None. The global random state stays as it is.

    Parameters
    ----------
    width : int
        Of a token.
    n_words : int
        Size of the vocabulary.
    kind : {"bag", "mlm", "caption", "none"}
    generator : torch.Generator
        Source of the weights.
    """
    if kind == "none":
        return None
    pool = build_attention_pool(width, N_TOKEN_QUERIES, width, generator)
    if kind != "bag":
        decoder = build_word_decoder(n_words, width, generator, max_length=MAX_LENGTH)
        return TokenHead(pool, decoder, kind)
    with torch.device("meta"):
        bag = nn.Linear(width, n_words)
    return TokenHead(pool, init_weights(bag.to_empty(device="cpu"), generator), "bag")
