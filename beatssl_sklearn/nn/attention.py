"""Attention with several heads, a layer in which tokens see each other, and queries that sum up tokens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import checked_size, init_weights


class MultiHeadAttention(nn.Module):
    """Attention of queries to sources, with several heads.

    Parameters
    ----------
    n_dims : int
        Width of queries and of the result.
    n_sources : int
        Width of a source.
    n_heads : int
        Heads; they divide `n_dims`.

    References
    ----------
    Vaswani A et al. Attention is all you need. NeurIPS 2017, section 3.2.2.
    """

    def __init__(self, n_dims: int, n_sources: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = checked_size("n_heads", n_heads, 64)
        if n_dims % self.n_heads:
            raise ValueError(f"n_heads must divide the width {n_dims}, got {n_heads!r}")
        self.to_query = nn.Linear(n_dims, n_dims)
        self.to_key, self.to_value = nn.Linear(n_sources, n_dims), nn.Linear(n_sources, n_dims)
        self.out = nn.Linear(n_dims, n_dims)

    def _heads(self, x: Tensor) -> Tensor:
        """Cut ``(n, m, n_dims)`` into heads ``(n, n_heads, m, n_dims / n_heads)``."""
        return x.unflatten(2, (self.n_heads, -1)).transpose(1, 2)

    def forward(self, queries: Tensor, sources: Tensor, there: Tensor | None = None, causal: bool = False) -> Tensor:
        """Attend.

        Parameters
        ----------
        queries : Tensor (n, m, n_dims)
            What asks.
        sources : Tensor (n, t, n_sources)
            What is attended to.
        there : bool Tensor (n, t), optional
            Sources that count; at least one per row.
        causal : bool
            Whether query i sees only the sources up to i.

        Returns
        -------
        Tensor (n, m, n_dims)
            One row per query.
        """
        return self.attend(queries, *self.keys_and_values(sources), there, causal)

    def keys_and_values(self, sources: Tensor) -> tuple[Tensor, Tensor]:
        """Map sources ``(n, t, n_sources)`` to keys and values, each ``(n, n_heads, t, n_dims / n_heads)``."""
        return self._heads(self.to_key(sources)), self._heads(self.to_value(sources))

    def attend(
        self, queries: Tensor, keys: Tensor, values: Tensor, there: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """Attend to sources whose keys and values are known; otherwise as `forward`."""
        mask = None if there is None else there[:, None, None]
        query = self._heads(self.to_query(queries))
        mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, is_causal=causal)
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return result

    def shares(self, queries: Tensor, sources: Tensor, there: Tensor | None = None) -> Tensor:
        """Compute how much of each source a query takes, mean over the heads.

        Parameters
        ----------
        queries : Tensor (n, m, n_dims)
            As for `forward`.
        sources : Tensor (n, t, n_sources)
            As for `forward`.
        there : bool Tensor (n, t), optional
            As for `forward`.

        Returns
        -------
        Tensor (n, m, t)
            Not negative; rows sum to 1; 0 where there is no source.
        """
        query, key = self._heads(self.to_query(queries)), self._heads(self.to_key(sources))
        logits = query @ key.transpose(2, 3) / query.shape[3] ** 0.5
        if there is not None:
            logits = logits.masked_fill(~there[:, None, None], -torch.inf)
        return logits.softmax(3).mean(1)


class AttentionLayer(nn.Module):
    """Attention between tokens and two linear layers, each on normalised tokens and added to them.

    Parameters
    ----------
    n_dims, n_heads, hidden : int
        Width of a token; heads, which divide it; hidden width of the linear layers.

    References
    ----------
    Xiong R et al. On layer normalization in the transformer architecture. ICML 2020, figure 1b.
    """

    def __init__(self, n_dims: int, n_heads: int, hidden: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        # Files of models have these names: query, key and value are one linear layer there.
        self.norm1, self.norm2 = nn.LayerNorm(n_dims), nn.LayerNorm(n_dims)
        self.to_heads, self.from_heads = nn.Linear(n_dims, 3 * n_dims), nn.Linear(n_dims, n_dims)
        self.hidden, self.out = nn.Linear(n_dims, hidden), nn.Linear(hidden, n_dims)

    def forward(self, h: Tensor, seen: Tensor | None = None) -> Tensor:
        """Map tokens to tokens that have seen each other.

        Parameters
        ----------
        h : Tensor (n, n_tokens, n_dims)
            Tokens.
        seen : bool Tensor that broadcasts to (n, n_heads, n_tokens, n_tokens), optional
            Which token (third axis) sees which (last axis); all by default.

        Returns
        -------
        Tensor (n, n_tokens, n_dims)
            One row per token.
        """
        n, n_tokens, d = h.shape
        heads = self.to_heads(self.norm1(h)).view(n, n_tokens, 3, self.n_heads, d // self.n_heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        h = h + self.from_heads(mixed.transpose(1, 2).reshape(n, n_tokens, d))
        after: Tensor = h + self.out(F.gelu(self.hidden(self.norm2(h))))
        return after


class AttentionPool(nn.Module):
    """Sum up tokens by learned queries: each takes a weighted mean of all tokens.

    Queries and tokens are normalised first. Without positions, the order of tokens does not count.

    Parameters
    ----------
    n_in : int
        Width of a token.
    n_queries : int
        Number of queries.
    n_out : int
        Width of a query and of the result.
    n_heads : int
        Heads; they divide `n_out`.

    References
    ----------
    Yu J et al. CoCa. TMLR 2022, arXiv 2205.01917, section 3.2 (attentional pooling). Lee J et al. Set Transformer. ICML
    2019, section 3.2.
    """

    def __init__(self, n_in: int, n_queries: int, n_out: int, n_heads: int = 4) -> None:
        super().__init__()
        n_in, n_out = checked_size("n_in", n_in, 65536), checked_size("n_out", n_out, 16384)
        self.queries = nn.Parameter(torch.empty(checked_size("n_queries", n_queries, 4096), n_out))
        self.norm_queries, self.norm_tokens = nn.LayerNorm(n_out), nn.LayerNorm(n_in)
        self.attend = MultiHeadAttention(n_out, n_in, n_heads)

    def draw_weights(self, generator: torch.Generator) -> None:
        """Draw all weights: queries of variance 1, linear layers that keep the variance, biases 0."""
        draw_linear_layers(self, generator)
        with torch.no_grad():
            self.queries.copy_(torch.empty(self.queries.shape).normal_(generator=generator))

    def _normalised(self, e: Tensor, there: Tensor | None) -> tuple[Tensor, Tensor]:
        if there is not None:
            _check_there(there, e)
            # What an empty slot holds can be anything, even NaN.
            e = e.masked_fill(~there[..., None], 0)
        return self.norm_queries(self.queries).expand(len(e), -1, -1), self.norm_tokens(e.float())

    def forward(self, e: Tensor, there: Tensor | None = None) -> Tensor:
        """Pool tokens.

        Parameters
        ----------
        e : Tensor (n, n_tokens, n_in)
            Tokens.
        there : bool Tensor (n, n_tokens), optional
            Tokens that count; all by default.

        Returns
        -------
        Tensor (n, n_queries, n_out) float32
            Also under autocast.

        Raises
        ------
        ValueError
            If `there` does not fit, or a record has no token.
        """
        with torch.autocast(e.device.type, enabled=False):
            pooled: Tensor = self.attend(*self._normalised(e, there), there)
        return pooled

    def attention(self, e: Tensor, there: Tensor | None = None) -> Tensor:
        """Compute how much of each token a query takes, mean over the heads; for pictures.

        Parameters
        ----------
        e : Tensor (n, n_tokens, n_in)
            Tokens.
        there : bool Tensor (n, n_tokens), optional
            As for `forward`.

        Returns
        -------
        Tensor (n, n_queries, n_tokens) float32
            Not negative; rows sum to 1.

        Raises
        ------
        ValueError
            As for `forward`.
        """
        with torch.autocast(e.device.type, enabled=False):
            return self.attend.shares(*self._normalised(e, there), there)


def build_attention_pool(
    n_in: int, n_queries: int, n_out: int, generator: torch.Generator, n_heads: int = 4
) -> AttentionPool:
    """Build an attention pool. The global random state stays as it is.

    Parameters
    ----------
    n_in, n_queries, n_out : int
        Width of a token, number of queries, width of a query.
    generator : torch.Generator
        Source of the weights.
    n_heads : int
        Heads; they divide `n_out`.

    Returns
    -------
    AttentionPool
        On the CPU.

    Raises
    ------
    ValueError
        If a size is not positive, or `n_heads` does not divide `n_out`.
    """
    with torch.device("meta"):
        pool = AttentionPool(n_in, n_queries, n_out, n_heads)
    init_weights(pool.to_empty(device="cpu"), generator)
    return pool


def draw_linear_layers(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the linear layers of a module so that they keep the variance; norms become the identity.

    Parameters
    ----------
    module : nn.Module
        On the CPU.
    generator : torch.Generator
        Source of the weights.

    References
    ----------
    LeCun Y et al. Efficient BackProp. 1998, section 4.6.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            with torch.no_grad():
                layer.weight.copy_(
                    torch.empty(layer.weight.shape).normal_(0, layer.in_features**-0.5, generator=generator)
                )
                layer.bias.zero_()
        elif isinstance(layer, nn.LayerNorm):
            layer.reset_parameters()


def _check_there(there: Tensor, e: Tensor) -> None:
    if there.shape != e.shape[:2] or there.dtype != torch.bool:
        raise ValueError(
            f"there must be a bool Tensor {tuple(e.shape[:2])}, one value per token, got {there.dtype} "
            f"{tuple(there.shape)}"
        )
    empty = ~there.any(1)
    if bool(empty.any()):
        raise ValueError(f"there: record {int(empty.nonzero()[0])} has no token; leave this record out")
