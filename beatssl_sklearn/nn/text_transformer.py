"""TextTransformer: a small network that reads texts, and guesses words that are hidden."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import AttentionLayer
from .blocks import checked_size

_STANDARD_DEVIATION = 0.02
_MOST_WORDS = 2**24


class TextTransformer(nn.Module):
    """Transformer on the ids of words, with a norm before each layer.

    The first id of a text is not a word. Its last state stands for the text as a whole ([CLS]).

    Parameters
    ----------
    n_words : int
        Number of ids.
    n_dims : int
        Width of a token.
    n_layers : int
        Attention layers.
    n_heads : int
        Heads of a layer; they divide `n_dims`.
    max_length : int
        Most ids of a text; each position has a vector that is learnt.
    feed_forward : int
        Hidden width of the layers.
    pad : int
        Id that fills up short texts; no token sees it.

    References
    ----------
    Devlin J et al. BERT. NAACL 2019, section 3 (there: 768 wide, 12 layers, norm after each layer). Xiong R et al. On
    layer normalization in the transformer architecture. ICML 2020. Press O, Wolf L. Using the output embedding to
    improve language models. EACL 2017 (the same vectors for the words that go in and come out).
    """

    def __init__(
        self,
        n_words: int,
        *,
        n_dims: int = 128,
        n_layers: int = 2,
        n_heads: int = 4,
        max_length: int = 128,
        feed_forward: int = 512,
        pad: int = 0,
    ) -> None:
        super().__init__()
        n_words, self.n_dims = checked_size("n_words", n_words, _MOST_WORDS), checked_size("n_dims", n_dims, 4096)
        n_layers, n_heads = checked_size("n_layers", n_layers, 48), checked_size("n_heads", n_heads, 64)
        hidden, length = checked_size("feed_forward", feed_forward, 16384), checked_size("max_length", max_length, 4096)
        if self.n_dims % n_heads:
            raise ValueError(f"n_heads must divide n_dims = {n_dims}, got {n_heads!r}")
        self.pad, self.max_length = pad, length
        # Parameters rather than nn.Embedding, which draws from the global random state.
        self.words = nn.Parameter(torch.zeros(n_words, self.n_dims))
        self.positions = nn.Parameter(torch.zeros(length, self.n_dims))
        self.layers = nn.ModuleList(AttentionLayer(self.n_dims, n_heads, hidden) for _ in range(n_layers))
        self.norm_out = nn.LayerNorm(self.n_dims)
        self.bias = nn.Parameter(torch.zeros(n_words))

    def draw_weights(self, generator: torch.Generator) -> None:
        """Draw all weights: normal with a small deviation, biases 0, norms the identity."""
        with torch.no_grad():
            for weight in (self.words, self.positions):
                weight.normal_(0, _STANDARD_DEVIATION, generator=generator)
            self.bias.zero_()
            for layer in self.modules():
                if isinstance(layer, nn.Linear):
                    layer.weight.normal_(0, _STANDARD_DEVIATION, generator=generator)
                    layer.bias.zero_()
                elif isinstance(layer, nn.LayerNorm):
                    layer.reset_parameters()

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids ``(n, n_ids)`` to states ``(n, n_ids, n_dims)``.

        Raises
        ------
        ValueError
            If a text is longer than `max_length`.
        """
        if ids.ndim != 2 or ids.shape[1] > self.max_length:
            raise ValueError(f"ids must have shape (n, n_ids <= {self.max_length}), got {tuple(ids.shape)}")
        there = ids != self.pad
        # No mask at all is faster; so are batches of texts of one length.
        seen = None if there.all() else there[:, None, None]
        h = F.embedding(ids, self.words) + self.positions[: ids.shape[1]]
        for layer in self.layers:
            h = layer(h, seen)
        out: Tensor = self.norm_out(h)
        return out

    def word_logits(self, states: Tensor, masked: Tensor) -> Tensor:
        """Compute the logits of all words, at masked positions only.

        Parameters
        ----------
        states : Tensor (n, n_ids, n_dims)
            From `forward`.
        masked : bool Tensor (n, n_ids)
            Positions to guess.

        Returns
        -------
        Tensor (n_masked, n_words) float32
            In the order of ``states[masked]``.
        """
        return F.linear(states[masked].float(), self.words.float(), self.bias.float())

    def pool(self, states: Tensor, counted: Tensor) -> Tensor:
        """Compute the mean of the states of some tokens; of [CLS] where there are none.

        Parameters
        ----------
        states : Tensor (n, n_ids, n_dims)
            From `forward`.
        counted : bool Tensor (n, n_ids)
            Tokens that count.

        Returns
        -------
        Tensor (n, n_dims) float32
            One row per text.
        """
        only_first = F.one_hot(counted.new_zeros(len(counted), dtype=torch.long), counted.shape[1]).bool()
        weight = torch.where(counted.any(1, keepdim=True), counted, only_first).float()
        return torch.einsum("nt,ntd->nd", weight / weight.sum(1, keepdim=True), states.float())
