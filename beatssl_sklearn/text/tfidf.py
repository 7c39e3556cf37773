"""TfidfText: words, concepts and character n-grams, weighted and reduced; no network is trained."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd
from sklearn.utils.validation import check_is_fitted

from .._file_values import check_array, check_described, check_type
from ..components import Bounds, Limits, check_number, register
from .encoder import TextEncoder
from .glossary import Glossary
from .reports import normalised, split_words

_CHARACTERS = (3, 5)
# Runs of more letters are no words: an array of words has room for the longest one everywhere.
_LONGEST_WORD = 60
# Begins a word that stands for a concept; no word of a report has it.
CONCEPT = "§"


@register
class TfidfText(TextEncoder):
    """Turn texts into vectors by the words, concepts and character n-grams that they hold.

    Counts are weighted by their rarity (tf-idf), each kind is brought to length one and multiplied by its weight, and
    the singular vectors of all texts make them short. Concepts are the statements of the glossary, so that "atrial
    fibrillation" and "Vorhofflimmern" meet. Character n-grams are hashed: words that no text of `fit` has still mean
    what their parts mean.

    Parameters
    ----------
    n_dims : int, default=128
        Width of a vector, at most; few texts give less.
    max_words : int, default=6000
        Words and pairs of words, and concepts, that are counted: the most frequent ones.
    min_df : int, default=2
        Texts that must hold a word; concepts always count.
    n_buckets : int, default=2048
        Of hashed character n-grams of 3 to 5 characters.
    word_weight, concept_weight, character_weight : float, default=1, 1, 0.5
        Length of each kind beside the others; 0 leaves it out.
    glossary : bool, default=True
        Whether texts of `fit` get the phrases of the glossary for company, and concepts are looked for.
    random_state : int, default=0
        Of the singular vectors.

    Attributes
    ----------
    vocabulary_ : ndarray of str (n_words,)
        What is counted.
    idf_ : ndarray (n_words + n_buckets,)
        Rarity of each column.
    components_ : ndarray (n_dims, n_words + n_buckets) float16
        Singular vectors.
    mean_ : ndarray (n_dims,)
        Mean vector of the texts of `fit`: what a text stands for that shares nothing with them.
    n_dims_ : int

    Examples
    --------
    >>> from beatssl_sklearn import TfidfText
    >>> text = TfidfText(n_dims=8).fit(["Sinusrhythmus. Normales EKG.", "Vorhofflimmern.", "VES. Sinusrhythmus."])
    >>> text.encode(["atrial fibrillation"]).shape
    (1, 8)
    """

    bounds: ClassVar[dict[str, Limits]] = {
        "n_dims": Bounds(Integral, 1, 4096),
        "max_words": Bounds(Integral, 1),
        "min_df": Bounds(Integral, 1),
        "n_buckets": Bounds(Integral, 1, 2**20),
        "word_weight": Bounds(Real, 0),
        "concept_weight": Bounds(Real, 0),
        "character_weight": Bounds(Real, 0),
        "glossary": bool,
        "random_state": Bounds(Integral, 0, 2**32 - 1),
    }
    _in_file: ClassVar[tuple[str, ...]] = ("vocabulary_", "idf_", "components_", "mean_", "n_dims_")

    def __init__(
        self,
        *,
        n_dims: int = 128,
        max_words: int = 6000,
        min_df: int = 2,
        n_buckets: int = 2048,
        word_weight: float = 1.0,
        concept_weight: float = 1.0,
        character_weight: float = 0.5,
        glossary: bool = True,
        random_state: int = 0,
    ) -> None:
        self.n_dims = n_dims
        self.max_words = max_words
        self.min_df = min_df
        self.n_buckets = n_buckets
        self.word_weight = word_weight
        self.concept_weight = concept_weight
        self.character_weight = character_weight
        self.glossary = glossary
        self.random_state = random_state

    def check(self) -> None:
        """Check the parameters.

        Raises
        ------
        TypeError, ValueError
            If one cannot be used; the message names it and its value.
        """
        super().check()
        if not self.word_weight + self.concept_weight * self.glossary + self.character_weight > 0:
            raise ValueError("word_weight, concept_weight and character_weight are all 0: nothing is counted")

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn words, their rarity, and singular vectors.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        TfidfText
            The encoder itself.

        Raises
        ------
        TypeError, ValueError
            If a parameter cannot be used, or there is no text with a word.
        """
        self.check()
        plain = _plain(texts)
        if not any(plain):
            raise ValueError(f"texts: none of {len(plain)} has a word")
        every = plain + (_glossary_texts() if self.glossary else [])
        self.vocabulary_: NDArray[np.str_] = self._chosen(every)
        counts = self._counts(every)
        present = np.bincount(counts.indices, minlength=counts.shape[1])
        # As scikit-learn's: as if one more text held every word.
        self.idf_: NDArray[np.float32] = (np.log((1 + len(every)) / (1 + present)) + 1).astype(np.float32)
        weighted = self._weighted(counts)
        n_dims = min(self.n_dims, *weighted.shape)
        _, _, axes = randomized_svd(weighted, n_dims, random_state=self.random_state)
        self.components_: NDArray[np.float16] = axes.astype(np.float16)
        self.n_dims_ = len(axes)
        short = normalize(self._short(weighted))
        mean = short[: len(plain)].mean(axis=0)
        # Without a concept in any text, and with nothing else that counts, the texts have no mean.
        self.mean_: NDArray[np.float32] = mean if mean.any() else short.mean(axis=0)
        return self

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector of length one per text.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        ndarray (n_texts, n_dims_) float32
            A text that shares nothing with those of `fit` gets their mean.

        Raises
        ------
        TypeError
            If this is one text and not a sequence, or an entry is no text.
        """
        check_is_fitted(self)
        plain = _plain(texts)
        if not plain:
            return np.zeros((0, self.n_dims_), dtype=np.float32)
        z = self._short(self._weighted(self._counts(plain)))
        lost = np.linalg.norm(z, axis=1) < 1e-6
        z[lost] = self.mean_
        return np.asarray(normalize(z), dtype=np.float32)

    def _short(self, weighted: sparse.csr_matrix) -> NDArray[np.float32]:
        return np.asarray(weighted @ self.components_.T.astype(np.float32))

    def _chosen(self, texts: list[str]) -> NDArray[np.str_]:
        """Return the words to count: those that enough texts hold, and all concepts among them."""
        counter = CountVectorizer(analyzer=self._words, min_df=1)
        counts = counter.fit_transform(texts)
        names = counter.get_feature_names_out()
        present = np.bincount(counts.indices, minlength=len(names))
        concept = np.char.startswith(names.astype(str), CONCEPT)
        # Texts may be so few, or so different, that no word is in `min_df` of them.
        kept = np.flatnonzero(concept | (present >= min(self.min_df, present.max())))
        first = kept[np.lexsort((names[kept], -present[kept], ~concept[kept]))][: self.max_words]
        return np.sort(names[first].astype(str))

    def _words(self, text: str) -> list[str]:
        words = [word for word in split_words(text) if len(word) <= _LONGEST_WORD]
        pairs = [f"{a} {b}" for a, b in zip(words, words[1:], strict=False)]
        concepts = [CONCEPT + code for code in Glossary.load().concepts(text)] if self.glossary else []
        return words + pairs + concepts

    def _counts(self, texts: list[str]) -> sparse.csr_matrix:
        words = CountVectorizer(analyzer=self._words, vocabulary=self.vocabulary_.tolist()).transform(texts)
        hashed = HashingVectorizer(
            analyzer="char_wb", ngram_range=_CHARACTERS, n_features=self.n_buckets, alternate_sign=False, norm=None
        )
        return sparse.hstack([words, hashed.transform(texts)], format="csr").astype(np.float32)

    def _weighted(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return counts as they are compared: damped, rare ones heavier, each kind with its length."""
        counts = counts.copy()
        counts.data = 1 + np.log(counts.data)
        weighted = counts @ sparse.diags(self.idf_)
        n_words = len(self.vocabulary_)
        concept = np.char.startswith(self.vocabulary_, CONCEPT)
        kinds = (
            (self.word_weight, np.flatnonzero(~concept)),
            (self.concept_weight, np.flatnonzero(concept)),
            (self.character_weight, np.arange(n_words, counts.shape[1])),
        )
        parts = [weight * normalize(weighted[:, columns]) for weight, columns in kinds if len(columns)]
        order = np.argsort(np.concatenate([columns for _, columns in kinds]), kind="stable")
        return sparse.hstack(parts, format="csr")[:, order].astype(np.float32)

    def _check_file(self) -> None:
        self.check()
        check_described(self)
        if not hasattr(self, "components_"):
            return
        check_number("n_dims_", self.n_dims_, Integral, 1, 4096)
        check_type("vocabulary_", self.vocabulary_, np.ndarray)
        if len(np.unique(self.vocabulary_)) != len(self.vocabulary_):
            raise ValueError("vocabulary_ holds a word twice")
        n_columns = len(self.vocabulary_) + self.n_buckets
        check_array("vocabulary_", self.vocabulary_, "U", None)
        check_array("components_", self.components_, "f", self.n_dims_, n_columns)
        check_array("idf_", self.idf_, "f", n_columns)
        check_array("mean_", self.mean_, "f", self.n_dims_)


def _plain(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str | bytes):
        raise TypeError(f"texts must be a sequence of texts, got one: {texts!r:.60}")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts must hold texts, got {text!r:.60} at position {i}")
    return [normalised(text) for text in texts]


def _glossary_texts() -> list[str]:
    glossary = Glossary.load()
    return [normalised(phrase) for code in glossary.codes for phrase in glossary.phrases(code)]
