"""A layer of a decoder: words see each other, and a memory; all at once, or one word after the other."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import MultiHeadAttention


class KnownSources(NamedTuple):
    """Keys and values of a layer: those of the memory, and those of the words so far."""

    memory_keys: Tensor
    memory_values: Tensor
    keys: Tensor
    values: Tensor


class DecoderLayer(nn.Module):
    """Attention to words, attention to a memory, and two linear layers, each on normalised words and added to them.

    Parameters
    ----------
    n_dims, n_memory : int
        Widths of a word and of the memory.
    n_heads : int
        Heads; they divide `n_dims`.

    References
    ----------
    Vaswani A et al. Attention is all you need. NeurIPS 2017, section 3.1 (there: the norm comes after each addition).
    """

    def __init__(self, n_dims: int, n_memory: int, n_heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(n_dims) for _ in range(3))
        self.to_words = MultiHeadAttention(n_dims, n_dims, n_heads)
        self.to_memory = MultiHeadAttention(n_dims, n_memory, n_heads)
        self.hidden, self.out = nn.Linear(n_dims, 4 * n_dims), nn.Linear(4 * n_dims, n_dims)

    def forward(self, h: Tensor, memory: Tensor, there: Tensor | None, causal: bool) -> Tensor:
        """Map words ``(n, n_ids, n_dims)``, of which those `there` count, to the same shape."""
        own = self.norm1(h)
        h = h + self.to_words(own, own, there, causal)
        return self._rest(h, *self.to_memory.keys_and_values(memory))

    def begin(self, memory: Tensor) -> KnownSources:
        """Read the memory ``(n, q, n_memory)``, before the first word."""
        keys, values = self.to_memory.keys_and_values(memory)
        return KnownSources(keys, values, keys[:, :, :0], values[:, :, :0])

    def step(self, h: Tensor, known: KnownSources) -> tuple[Tensor, KnownSources]:
        """Do what a causal `forward` does for the next word alone, ``(n, 1, n_dims)``."""
        own = self.norm1(h)
        new = self.to_words.keys_and_values(own)
        keys, values = (torch.cat(pair, dim=2) for pair in zip((known.keys, known.values), new, strict=True))
        h = self._rest(h + self.to_words.attend(own, keys, values), known.memory_keys, known.memory_values)
        return h, known._replace(keys=keys, values=values)

    def _rest(self, h: Tensor, memory_keys: Tensor, memory_values: Tensor) -> Tensor:
        h = h + self.to_memory.attend(self.norm2(h), memory_keys, memory_values)
        after: Tensor = h + self.out(F.gelu(self.hidden(self.norm3(h))))
        return after
