"""Masked texts: batches of texts of similar length, with words hidden, for a network that guesses them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .vocabulary import END, MASK, PAD, WordVocabulary

# Shares of the guessed words that are hidden, and that another word stands for (Devlin et al. 2019, appendix A.1).
_HIDDEN, _REPLACED = 0.8, 0.1
# Share of the known words that are shown as the bucket of their spelling, so that buckets come to mean something.
_SPELT = 0.05
# Batches of which texts are sorted by length together: little padding, and yet other neighbours in each epoch.
_SORTED_TOGETHER = 20


class MaskedTexts:
    """Batches for masked-language training; a function of seed and epoch alone.

    Parameters
    ----------
    words : sequence of lists of str
        The words of each text; none is empty.
    vocabulary : WordVocabulary
        It gives the ids.
    max_length : int
        Most ids of a text.
    mask_share : float
        Share of the words of a text that are guessed, rounded; one at least.
    batch_size : int
        Texts of a batch.
    seed : int
        Key of all draws.

    References
    ----------
    Devlin J et al. BERT. NAACL 2019, section 3.1 and appendix A.
    """

    def __init__(
        self,
        words: Sequence[Sequence[str]],
        vocabulary: WordVocabulary,
        max_length: int,
        mask_share: float,
        batch_size: int,
        seed: int,
    ) -> None:
        self.rows = [vocabulary.encode([text], max_length)[0] for text in words]
        self.mask_share, self.batch_size, self.seed = mask_share, batch_size, seed
        self.n_ids = vocabulary.size
        buckets = [vocabulary.bucket_of(word) for word in vocabulary.known]
        self.spelt = np.r_[np.arange(self.n_ids - len(buckets)), buckets].astype(np.int64)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield the batches of an epoch.

        Parameters
        ----------
        epoch : int
            From 0 on.

        Yields
        ------
        shown : int64 Tensor (n, n_ids)
            What the network reads.
        guessed : bool Tensor (n, n_ids)
            Where it guesses.
        target : int64 Tensor (n_guessed,)
            The true ids there.
        """
        rng = np.random.default_rng([self.seed, epoch])
        for chosen in self._order(rng):
            ids = np.full((len(chosen), max(len(self.rows[i]) for i in chosen)), PAD, dtype=np.int64)
            for row, i in zip(ids, chosen, strict=True):
                row[: len(self.rows[i])] = self.rows[i]
            guessed = self._guessed(ids > END, rng)
            shown = self._shown(ids, guessed, rng)
            yield torch.from_numpy(shown), torch.from_numpy(guessed), torch.from_numpy(ids[guessed])

    def _order(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """Return the texts of each batch: drawn at random, then sorted by length within a part of them."""
        lengths = np.array([len(row) for row in self.rows])
        order = rng.permutation(len(lengths))
        part = _SORTED_TOGETHER * self.batch_size
        parts = [order[i : i + part] for i in range(0, len(order), part)]
        ordered = np.concatenate([p[np.argsort(lengths[p], kind="stable")] for p in parts])
        batches = [ordered[i : i + self.batch_size] for i in range(0, len(ordered), self.batch_size)]
        return [batches[i] for i in rng.permutation(len(batches))]

    def _guessed(self, words: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
        """Draw the words of each text that are guessed."""
        wanted = np.maximum(1, np.rint(self.mask_share * words.sum(1)))
        order = np.argsort(np.where(words, rng.random(words.shape), 2.0), axis=1)
        return (np.argsort(order, axis=1) < wanted[:, None]) & words

    def _shown(self, ids: NDArray, guessed: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return ids as the network reads them."""
        draw = rng.random(ids.shape)
        others = rng.integers(END + 1, self.n_ids, ids.shape)
        shown = np.where(~guessed & (draw < _SPELT), self.spelt[ids], ids)
        shown = np.where(guessed & (draw < _HIDDEN), MASK, shown)
        replaced = guessed & (draw >= _HIDDEN) & (draw < _HIDDEN + _REPLACED)
        return np.where(replaced, others, shown)
