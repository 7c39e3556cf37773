"""A decoder of words: it writes a report from what an encoder has seen in an ECG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import draw_linear_layers
from .blocks import checked_size, init_weights
from .decoder_layer import DecoderLayer, KnownSources

PAD, MASK, CLS, END = 0, 1, 2, 3
"""Ids that are no words: nothing, a hidden word, the start and the end of a report."""

_STANDARD_DEVIATION = 0.02


class WordDecoder(nn.Module):
    """Transformer on words, with attention to the memory of an ECG.

    Each layer has attention between words, attention to the memory, and two linear layers. Each of these works on
    normalised words and is added to them. The scores of the next word are products with the vectors of all words.

    Parameters
    ----------
    n_words : int
        Size of the vocabulary, with the four ids that are no words.
    n_memory : int
        Width of a vector of the memory.
    n_dims : int
        Width of a word.
    n_layers : int
        Layers.
    n_heads : int
        Heads of a layer; they divide `n_dims`.
    max_length : int
        Most ids of a report, with start and end.

    References
    ----------
    Vaswani A et al. Attention is all you need. NeurIPS 2017, section 3.1. Press O, Wolf L. Using the output embedding
    to improve language models. EACL 2017 (the same vectors for input and output). Wang F et al. MELP. ICML 2025, arXiv
    2506.21803 (there: six layers).
    """

    def __init__(
        self,
        n_words: int,
        n_memory: int,
        n_dims: int = 128,
        n_layers: int = 2,
        n_heads: int = 4,
        max_length: int = 128,
    ) -> None:
        super().__init__()
        self.n_words = checked_size("n_words", n_words, 2**24)
        if self.n_words <= END + 1:
            raise ValueError(f"n_words must be more than {END + 1}, the ids that are no words, got {n_words!r}")
        n_memory, n_dims = checked_size("n_memory", n_memory, 65536), checked_size("n_dims", n_dims, 4096)
        n_layers, self.max_length = checked_size("n_layers", n_layers, 48), checked_size("max_length", max_length, 8192)
        self.words, self.positions = nn.Embedding(self.n_words, n_dims), nn.Embedding(self.max_length, n_dims)
        self.norm_memory = nn.LayerNorm(n_memory)
        self.layers = nn.ModuleList(DecoderLayer(n_dims, n_memory, n_heads) for _ in range(n_layers))
        self.norm_out = nn.LayerNorm(n_dims)

    def draw_weights(self, generator: torch.Generator) -> None:
        """Draw all weights: words and positions small, linear layers that keep the variance, biases 0."""
        draw_linear_layers(self, generator)
        for table in (self.words, self.positions):
            with torch.no_grad():
                table.weight.copy_(
                    torch.empty(table.weight.shape).normal_(0, _STANDARD_DEVIATION, generator=generator)
                )

    def contextualize(self, ids: Tensor, memory: Tensor, causal: bool = True) -> Tensor:
        """Let words see each other and the memory.

        Parameters
        ----------
        ids : int64 Tensor (n, n_ids)
            Words, padded on the right.
        memory : Tensor (n, q, n_memory)
            What is known of the ECGs.
        causal : bool
            Whether a word sees only itself and those before it. Otherwise it sees all words of its report.

        Returns
        -------
        Tensor (n, n_ids, n_dims)
            Float32, normalised. What lies at padding means nothing.
        """
        with torch.autocast(memory.device.type, enabled=False):
            memory = self.norm_memory(memory.float())
            h = self.words(ids) + self.positions.weight[: ids.shape[1]]
            there = None
            if not causal:
                there = ids != PAD
                # A report without words would have nothing to attend to.
                there[:, 0] = True
            for layer in self.layers:
                h = layer(h, memory, there, causal)
            out: Tensor = self.norm_out(h)
            return out

    def scores(self, h: Tensor) -> Tensor:
        """Compute the logits of all words.

        Parameters
        ----------
        h : Tensor (..., n_dims)
            From `contextualize`.

        Returns
        -------
        Tensor (..., n_words)
            Float32.
        """
        with torch.autocast(h.device.type, enabled=False):
            return h @ self.words.weight.T

    def loss(self, ids: Tensor, memory: Tensor) -> Tensor:
        """Compute the cross-entropy of each word, given the words before it and the memory.

        L = -(1/N) sum_i log p(w_i | w_<i, memory), over all N ids of the batch after the start, without padding.

        Parameters
        ----------
        ids : int64 Tensor (n, n_ids)
            Reports: start, words, end, and padding on the right. A row of padding alone does not count.
        memory : Tensor (n, q, n_memory)
            What is known of the ECGs.

        Returns
        -------
        Tensor
            Scalar with a gradient; 0 without any word.

        Raises
        ------
        ValueError
            If shapes do not fit, a report is too long or does not begin with the start, or an id is outside the
            vocabulary.
        """
        ids = self._checked(ids, memory)
        targets = ids[:, 1:]
        there = targets != PAD
        if not bool(there.any()):
            return self._nothing(memory)
        return self._mean_cost(self.contextualize(ids[:, :-1], memory)[there], targets[there])

    def masked_loss(self, ids: Tensor, memory: Tensor, generator: torch.Generator, share: float = 0.3) -> Tensor:
        """Compute the cross-entropy of hidden words, given all other words and the memory.

        Parameters
        ----------
        ids : int64 Tensor (n, n_ids)
            As for `loss`.
        memory : Tensor (n, q, n_memory)
            What is known of the ECGs.
        generator : torch.Generator
            Draws which words are hidden.
        share : float
            Probability of a word to be hidden, above 0, at most 1. At least one word of each report is.

        Returns
        -------
        Tensor
            Scalar with a gradient, the mean over the hidden words of the batch; 0 without any word.

        Raises
        ------
        ValueError
            As for `loss`, and if `share` is outside its range.
        """
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, got {share!r}")
        ids = self._checked(ids, memory)
        draws = torch.rand(ids.shape, generator=generator, device=generator.device).to(ids.device)
        draws = draws.masked_fill(ids <= END, 2.0)
        # Keep at least one: the word with the lowest draw.
        hidden = (ids > END) & ((draws < share) | (draws == draws.amin(1, keepdim=True)))
        if not bool(hidden.any()):
            return self._nothing(memory)
        h = self.contextualize(ids.masked_fill(hidden, MASK), memory, causal=False)
        return self._mean_cost(h[hidden], ids[hidden])

    @torch.no_grad()
    def generate(
        self, memory: Tensor, max_length: int | None = None, blocked_ids: Sequence[int] = ()
    ) -> list[list[int]]:
        """Write a report for each ECG: always the most likely next word, until the end.

        Parameters
        ----------
        memory : Tensor (n, q, n_memory)
            What is known of the ECGs.
        max_length : int, optional
            Most words of a report; by default, and at most, ``self.max_length - 1``.
        blocked_ids : sequence of int
            Ids that are never written, besides `PAD`, `MASK` and `CLS`.

        Returns
        -------
        list of list of int
            Ids of the words of each report, without start and end.

        Raises
        ------
        ValueError
            If `max_length` or a blocked id is outside its range.
        """
        most = self.max_length - 1
        most = most if max_length is None else checked_size("max_length", max_length, most)
        blocked = torch.tensor([PAD, MASK, CLS, *blocked_ids], device=memory.device)
        if not bool(((blocked >= 0) & (blocked < self.n_words)).all()):
            raise ValueError(f"blocked_ids must lie between 0 and {self.n_words - 1}, got {list(blocked_ids)!r}")
        with torch.autocast(memory.device.type, enabled=False):
            return self._written(memory, most, blocked)

    def _written(self, memory: Tensor, most: int, blocked: Tensor) -> list[list[int]]:
        written: list[list[int]] = [[] for _ in range(len(memory))]
        # Only reports without an end go on.
        going = list(range(len(memory)))
        word = torch.full((len(memory),), CLS, device=memory.device)
        # Keys and values of what has been read: it is not read again for each word.
        layers = cast("list[DecoderLayer]", list(self.layers))
        known = [layer.begin(self.norm_memory(memory.float())) for layer in layers]
        for place in range(most):
            h = (self.words(word) + self.positions.weight[place])[:, None]
            for at, layer in enumerate(layers):
                h, known[at] = layer.step(h, known[at])
            word = self.scores(self.norm_out(h[:, 0])).index_fill(1, blocked, -torch.inf).argmax(1)
            more = word != END
            if not bool(more.all()):
                word, known = word[more], [KnownSources(*(part[more] for part in of_layer)) for of_layer in known]
                going = [i for i, goes_on in zip(going, more.tolist(), strict=True) if goes_on]
            if not going:
                break
            for i, written_now in zip(going, word.tolist(), strict=True):
                written[i].append(written_now)
        return written

    def _checked(self, ids: Tensor, memory: Tensor) -> Tensor:
        """Check reports, and cut the padding that all of them have."""
        if ids.ndim != 2 or ids.dtype != torch.int64 or memory.ndim != 3 or len(ids) != len(memory):
            raise ValueError(
                f"ids must be an int64 Tensor (n, n_ids) and memory (n, q, n_memory), got {ids.dtype} "
                f"{tuple(ids.shape)} and {tuple(memory.shape)}"
            )
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < self.n_words:
            raise ValueError(
                f"ids must lie between 0 and {self.n_words - 1}, got {int(ids.min())} to {int(ids.max())}"
            )
        there = ids != PAD
        # Each place that is there follows one that is, and the first is the start.
        if bool((there[:, 1:] & ~there[:, :-1]).any()) or bool((there[:, :1] & (ids[:, :1] != CLS)).any()):
            raise ValueError(f"ids must begin with the start, {CLS}, and have padding, {PAD}, on the right only")
        used = there.any(0).nonzero()
        longest = int(used[-1]) + 1 if len(used) else 1
        if longest > self.max_length:
            raise ValueError(f"ids must be at most {self.max_length} per report, got {longest}; shorten the reports")
        return ids[:, :longest]

    def _mean_cost(self, h: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(self.scores(h), targets)

    def _nothing(self, memory: Tensor) -> Tensor:
        """Return a loss of 0 whose gradient, also 0, reaches every parameter."""
        return (memory.float().sum() + torch.stack([p.sum() for p in self.parameters()]).sum()) * 0


def build_word_decoder(
    n_words: int,
    n_memory: int,
    generator: torch.Generator,
    *,
    n_dims: int = 128,
    n_layers: int = 2,
    n_heads: int = 4,
    max_length: int = 128,
) -> WordDecoder:
    """Build a decoder of words. The global random state stays as it is.

    Parameters
    ----------
    n_words, n_memory : int
        Size of the vocabulary, and width of the memory.
    generator : torch.Generator
        Source of the weights.
    n_dims, n_layers, n_heads, max_length : int
        As for `WordDecoder`.

    Returns
    -------
    WordDecoder
        On the CPU.

    Raises
    ------
    ValueError
        If a size is outside its range.
    """
    with torch.device("meta"):
        decoder = WordDecoder(n_words, n_memory, n_dims, n_layers, n_heads, max_length)
    init_weights(decoder.to_empty(device="cpu"), generator)
    return decoder
