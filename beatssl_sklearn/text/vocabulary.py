"""WordVocabulary: the words of reports as numbers, and a place for words that nobody has seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from ..components import check_number
from .reports import normalised, split_words

PAD, MASK, CLS, END = range(4)
"""Ids that are no words: behind the end, a hidden word, the beginning, and the end."""
_SPECIAL = ("[PAD]", "[MASK]", "[CLS]", "[END]")


class WordVocabulary:
    """Words by ids: four ids that are no words, buckets for unseen words, then known words.

    An unseen word has one of `n_buckets` ids. Of the hashes of its 3-grams, the smallest one decides which. So the
    chance that two spellings share an id grows with the share of 3-grams that they have in common (MinHash).

    Parameters
    ----------
    known : sequence of str
        Known words, the first one with the smallest id.
    n_buckets : int, default=512
        Ids of unseen words.

    Raises
    ------
    TypeError, ValueError
        If `n_buckets` cannot be used, or a known word is empty or there twice.

    References
    ----------
    Broder A. On the resemblance and containment of documents. SEQUENCES 1997 (MinHash).

    Examples
    --------
    >>> vocabulary = WordVocabulary(n_buckets=8).fit(["Sinus rhythm.", "Sinus tachycardia"], min_df=2)
    >>> vocabulary.known, vocabulary.size
    (('sinus',), 13)
    >>> vocabulary.encode(["sinus", "sinus sinus"]).tolist()
    [[2, 12, 3, 0], [2, 12, 12, 3]]
    """

    def __init__(self, known: Iterable[str] = (), n_buckets: int = 512) -> None:
        check_number("n_buckets", n_buckets, Integral, 1, 2**20)
        self.n_buckets = int(n_buckets)
        self._first = len(_SPECIAL) + self.n_buckets
        self._know(known)

    def _know(self, known: Iterable[str]) -> None:
        self.known = tuple(known)
        self._ids = {word: self._first + i for i, word in enumerate(self.known)}
        if len(self._ids) != len(self.known) or "" in self._ids:
            twice = [word for word, count in Counter(self.known).items() if count > 1 or not word]
            raise ValueError(f"known must hold different words that are not empty, got {twice[0]!r:.80}")

    @property
    def size(self) -> int:
        """Number of ids."""
        return self._first + len(self.known)

    @staticmethod
    def words(text: str) -> list[str]:
        """Return the words of a text: runs of letters and digits, with hyphens between them.

        Parameters
        ----------
        text : str
            It is normalised first.

        Returns
        -------
        list of str
            In their order.
        """
        return split_words(normalised(text))

    def fit(self, texts: Iterable[str | Sequence[str]], min_df: int = 2, max_words: int = 8000) -> WordVocabulary:
        """Learn which words are known.

        Parameters
        ----------
        texts : iterable of str or of lists of words
            A list is taken as it is.
        min_df : int, default=2
            Texts that a known word is in, at least.
        max_words : int, default=8000
            Most known words. The most frequent ones stay.

        Returns
        -------
        WordVocabulary
            The vocabulary itself. Frequent words come first, and words of the same frequency by the alphabet.

        Raises
        ------
        TypeError, ValueError
            If a parameter cannot be used.
        """
        check_number("min_df", min_df, Integral, 1)
        check_number("max_words", max_words, Integral, 1)
        counts = Counter(word for text in texts for word in set(self._words_of(text)))
        often = sorted((word for word, n in counts.items() if n >= min_df), key=lambda word: (-counts[word], word))
        self._know(often[:max_words])
        return self

    def encode(self, texts: Sequence[str | Sequence[str]], max_length: int = 128) -> NDArray[np.int64]:
        """Return the ids of texts.

        Parameters
        ----------
        texts : sequence of str or of lists of words
            A list is taken as it is.
        max_length : int, default=128
            Most ids of a text; the words behind are left out.

        Returns
        -------
        ndarray (n_texts, n_ids) int64
            In each row `CLS`, the words, `END`, and `PAD` up to the longest row.

        Raises
        ------
        TypeError, ValueError
            If `max_length` is no integer of at least 3.
        """
        check_number("max_length", max_length, Integral, 3)
        rows = [[self.id_of(word) for word in self._words_of(text)[: max_length - 2]] for text in texts]
        ids = np.full((len(rows), 2 + max(map(len, rows), default=0)), PAD, dtype=np.int64)
        for row, found in zip(ids, rows, strict=True):
            row[: len(found) + 2] = [CLS, *found, END]
        return ids

    def id_of(self, word: str) -> int:
        """Return the id of a word, which is that of a bucket if the word is unseen.

        Parameters
        ----------
        word : str
            As `words` returns it.

        Returns
        -------
        int
            At least 4.
        """
        known = self._ids.get(word)
        return self.bucket_of(word) if known is None else known

    def bucket_of(self, word: str) -> int:
        """Return the id that a word would have if it were unseen.

        Parameters
        ----------
        word : str
            As `words` returns it.

        Returns
        -------
        int
            From 4 to ``3 + n_buckets``.
        """
        # Marks at both ends, so that a word of one letter has a 3-gram. Python's own hash differs in each process, and
        # a CRC is linear: similar 3-grams have similar places in its order.
        marked = f"<{word}>"
        grams = (marked[i : i + 3] for i in range(max(1, len(marked) - 2)))
        smallest = min(blake2b(gram.encode(), digest_size=8).digest() for gram in grams)
        return len(_SPECIAL) + int.from_bytes(smallest, "big") % self.n_buckets

    def word_of(self, i: int) -> str:
        """Return the word of an id.

        Parameters
        ----------
        i : int
            From 0 to ``size - 1``.

        Returns
        -------
        str
            A bucket has a name such as "[#17]".

        Raises
        ------
        TypeError, ValueError
            If there is no such id.
        """
        check_number("i", i, Integral, 0, self.size - 1)
        if i < len(_SPECIAL):
            return _SPECIAL[i]
        return f"[#{i - len(_SPECIAL)}]" if i < self._first else self.known[i - self._first]

    def to_array(self) -> NDArray[np.str_]:
        """Return the known words as an array, which a file can hold.

        Returns
        -------
        ndarray (n_known,) of str
            The first one has the smallest id.
        """
        return np.array(self.known, dtype=str)

    @classmethod
    def from_array(cls, known: NDArray, n_buckets: int = 512) -> WordVocabulary:
        """Return the vocabulary of an array from `to_array`.

        Parameters
        ----------
        known : ndarray (n_known,) of str
            Known words.
        n_buckets : int, default=512
            Ids of unseen words.

        Returns
        -------
        WordVocabulary
            It gives the same ids.

        Raises
        ------
        TypeError, ValueError
            If it is no array of different words.
        """
        if not isinstance(known, np.ndarray) or known.ndim != 1 or (known.size and known.dtype.kind not in "UO"):
            raise TypeError(f"known must be an array (n_known,) of str, got {known!r:.80}")
        if not all(isinstance(word, str) for word in known):
            raise TypeError(f"known must hold words only, got {known!r:.80}")
        return cls(known.tolist(), n_buckets)

    def _words_of(self, text: str | Sequence[str]) -> Sequence[str]:
        return self.words(text) if isinstance(text, str) else text
