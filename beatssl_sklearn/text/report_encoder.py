"""ReportTextEncoder: a small transformer that learns the language of reports by guessing hidden words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from tqdm import tqdm

from .._file_values import check_array, check_arrays, check_described
from ..components import Bounds, Limits, register, seed_of
from ..nn.blocks import init_weights
from ..nn.text_transformer import TextTransformer
from ..nn.weights import load_module_arrays, shapes_of, trained_arrays
from .encoder import TextEncoder
from .glossary import Glossary
from .masking import MaskedTexts
from .reports import normalised
from .tfidf import CONCEPT
from .vocabulary import END, PAD, WordVocabulary

# Texts of one length that are encoded together.
_ENCODED_TOGETHER = 256
_WEIGHT_DECAY = 0.01
# Length of the concepts of a text beside its words.
_CONCEPT_WEIGHT = 2.0


@register
class ReportTextEncoder(TextEncoder):
    """A transformer on words that is trained on the reports themselves; nothing is downloaded.

    `fit` hides words of the reports and of the glossary, and the network guesses them. A word counts by its own vector
    and by its last state, which depends on the words around it. The vector of a text is the mean over its words, and
    has the length 1. With `glossary`, each statement that the glossary finds in a text is one more word of it, so that
    "atrial fibrillation" and "Vorhofflimmern" share a word. These words have a mean of their own, which weighs twice.

    Parameters
    ----------
    n_dims : int, default=128
        Width of the vectors.
    n_layers, n_heads : int, default=2, 4
        Attention layers, and heads of each; `n_heads` divides `n_dims`.
    min_df : int, default=2
        Texts that a known word is in, at least.
    max_words : int, default=8000
        Most known words.
    n_buckets : int, default=512
        Ids that all other words share, by their spelling.
    max_length : int, default=128
        Most words of a text, with two that mark its ends; the words behind are not read.
    mask_share : float, default=0.15
        Share of the words that are guessed; one in each text at least.
    max_epochs : int, default=8
        Passes over all texts; 0 leaves the network untrained.
    batch_size : int, default=32
        Texts per step.
    lr : float, default=2e-3
        Learning rate of RAdam, which falls to 0 as a cosine.
    glossary : bool, default=True
        Whether the glossary's texts are learnt, too, and its statements are found in all texts.
    random_state : int, default=0
        Key of the weights, the batches and the hidden words.
    verbose : int, default=0
        1 shows a bar.

    Attributes
    ----------
    n_dims_ : int
        Width of the vectors.
    vocabulary_ : ndarray (n_known,) of str
        Known words.
    weights_ : dict of ndarray
        Of the network.
    history_ : list of dict
        ``epoch``, and ``train_loss``: the mean cross-entropy of the guesses [nat].

    References
    ----------
    Devlin J et al. BERT. NAACL 2019, section 3.1 and appendix A (hidden words: 80 % masked, 10 % another word, 10 % as
    they are). The mean in place of [CLS]: Reimers N, Gurevych I. Sentence-BERT. EMNLP 2019, table 6. The first layer
    beside the last one: Su J et al. Whitening sentence representations. arXiv 2103.15316. Concepts as words, and words
    by their spelling, are this package's own.

    Examples
    --------
    >>> texts = ["Sinusrhythmus. Normales EKG.", "Vorhofflimmern.", "Sinusrhythmus, Linkstyp."]
    >>> encoder = ReportTextEncoder(n_dims=16, max_epochs=1).fit(texts)
    >>> encoder.encode(["atrial fibrillation", "a word that nobody knows"]).shape
    (2, 16)
    """

    bounds: ClassVar[Mapping[str, Limits]] = {
        "n_dims": Bounds(Integral, 1, 4096),
        "n_layers": Bounds(Integral, 1, 48),
        "n_heads": Bounds(Integral, 1, 64),
        "min_df": Bounds(Integral, 1),
        "max_words": Bounds(Integral, 1, 2**20),
        "n_buckets": Bounds(Integral, 1, 2**20),
        "max_length": Bounds(Integral, 3, 4096),
        "mask_share": Bounds(Real, 1e-6, 1),
        "max_epochs": Bounds(Integral, 0),
        "batch_size": Bounds(Integral, 1),
        "lr": Bounds(Real, 0),
        "glossary": bool,
    }
    _in_file: ClassVar[tuple[str, ...]] = ("n_dims_", "vocabulary_", "weights_", "history_")

    vocabulary_: NDArray[np.str_]
    weights_: dict[str, NDArray]
    history_: list[dict[str, Any]]

    def __init__(
        self,
        *,
        n_dims: int = 128,
        n_layers: int = 2,
        n_heads: int = 4,
        min_df: int = 2,
        max_words: int = 8000,
        n_buckets: int = 512,
        max_length: int = 128,
        mask_share: float = 0.15,
        max_epochs: int = 8,
        batch_size: int = 32,
        lr: float = 2e-3,
        glossary: bool = True,
        random_state: Any = 0,
        verbose: int = 0,
    ) -> None:
        self.n_dims = n_dims
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.min_df = min_df
        self.max_words = max_words
        self.n_buckets = n_buckets
        self.max_length = max_length
        self.mask_share = mask_share
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.glossary = glossary
        self.random_state = random_state
        self.verbose = verbose

    def check(self) -> None:
        """Check the parameters.

        Raises
        ------
        TypeError, ValueError
            If one cannot be used; the message names it and its value.
        """
        super().check()
        if self.n_dims % self.n_heads:
            raise ValueError(f"n_heads must divide n_dims={self.n_dims!r}, got {self.n_heads!r}")

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn words, and the network that guesses them.

        Parameters
        ----------
        texts : sequence of str
            Reports.

        Returns
        -------
        ReportTextEncoder
            The encoder itself.

        Raises
        ------
        TypeError, ValueError
            If a parameter cannot be used, a text is no str, or none has a word.
        FloatingPointError
            If the training diverges.
        """
        self.check()
        seed = seed_of(self.random_state)
        given = _checked(texts)
        if not any(map(normalised, given)):
            raise ValueError(f"texts: none of {len(given)} has a word")
        every = [*given, *(_glossary_texts() if self.glossary else [])]
        words = [found for text in every if (found := self._words(text))]
        vocabulary = WordVocabulary(n_buckets=self.n_buckets).fit(words, self.min_df, self.max_words)
        self.n_dims_ = int(self.n_dims)
        self.vocabulary_ = vocabulary.to_array()
        network = self._network().to_empty(device="cpu")
        init_weights(network, torch.Generator().manual_seed(seed))
        masked = MaskedTexts(words, vocabulary, self.max_length, self.mask_share, self.batch_size, seed)
        self.history_ = self._train(network, masked)
        self.weights_ = trained_arrays(network, self.lr)
        return self

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector of length one per text.

        Parameters
        ----------
        texts : sequence of str
            Reports, sentences or prompts.

        Returns
        -------
        ndarray (n_texts, n_dims_) float32
            Words that `fit` has not seen count by their spelling. A text without any word gets the state of [CLS].

        Raises
        ------
        TypeError
            If a text is no str.
        """
        check_is_fitted(self, "weights_")
        position = {text: i for i, text in enumerate(dict.fromkeys(_checked(texts)))}
        vocabulary = WordVocabulary.from_array(self.vocabulary_, self.n_buckets)
        network = self._network().to_empty(device="cpu").eval()
        load_module_arrays(network, self.weights_)
        rows = [vocabulary.encode([self._words(text)], self.max_length)[0] for text in position]
        z = np.empty((len(rows), self.n_dims_), dtype=np.float32)
        is_concept = np.zeros(vocabulary.size, dtype=bool)
        is_concept[vocabulary.size - len(self.vocabulary_) :] = np.char.startswith(self.vocabulary_, CONCEPT)
        with torch.inference_mode():
            for chosen in _of_one_length(rows):
                ids = torch.from_numpy(np.stack([rows[i] for i in chosen]))
                z[chosen] = _vectors(network, ids, torch.from_numpy(is_concept)[ids]).numpy()
        return z[[position[text] for text in texts]] if len(texts) else z

    def _words(self, text: str) -> list[str]:
        """Return the concepts of a text, then its words: a long text keeps its concepts."""
        concepts = [CONCEPT + code for code in Glossary.load().concepts(text)] if self.glossary else []
        return concepts + WordVocabulary.words(text)

    def _network(self) -> TextTransformer:
        """Return the network without memory for its weights; so torch's global random state draws nothing."""
        n_words = len(self.vocabulary_) + self.n_buckets + END + 1
        sizes = {"n_layers": self.n_layers, "n_heads": self.n_heads, "max_length": self.max_length}
        with torch.device("meta"):
            return TextTransformer(n_words, n_dims=self.n_dims, feed_forward=4 * self.n_dims, pad=PAD, **sizes).float()

    def _train(self, network: TextTransformer, masked: MaskedTexts) -> list[dict[str, Any]]:
        """Train the network in place; return the history."""
        # The first steps of Adam follow the gradient's signs, rounding errors included; rectified, they do not.
        optimizer = torch.optim.RAdam(
            network.parameters(), self.lr, weight_decay=_WEIGHT_DECAY, decoupled_weight_decay=True
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, self.max_epochs * len(masked)))
        history: list[dict[str, Any]] = []
        for epoch in tqdm(range(self.max_epochs), desc=type(self).__name__, unit="epoch", disable=not self.verbose):
            losses: list[Tensor] = []
            n_guessed = 0
            for shown, guessed, target in masked.epoch(epoch):
                loss = F.cross_entropy(network.word_logits(network(shown), guessed), target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                losses.append(loss.detach() * len(target))
                n_guessed += len(target)
            mean = float(torch.stack(losses).double().sum() / n_guessed)
            if not np.isfinite(mean):
                raise FloatingPointError(
                    f"training diverged: the loss of epoch {epoch + 1} is not finite with lr={self.lr!r}; lower lr"
                )
            history.append({"epoch": epoch + 1, "train_loss": mean})
        return history

    def _check_file(self) -> None:
        self.check()
        check_described(self)
        if not hasattr(self, "weights_"):
            return
        if self.n_dims_ != self.n_dims:
            raise ValueError(f"n_dims_ must be n_dims={self.n_dims!r}, got {self.n_dims_!r:.80}")
        check_array("vocabulary_", self.vocabulary_, "U", None)
        # It refuses what is there twice.
        WordVocabulary.from_array(self.vocabulary_, self.n_buckets)
        check_arrays("weights_", self.weights_, shapes_of(self._network()))


def _vectors(network: TextTransformer, ids: Tensor, concept: Tensor) -> Tensor:
    """Return a vector of length one per text: its words, and its concepts with their weight."""
    size = (network.n_dims,)
    states = F.layer_norm(network(ids), size) + F.layer_norm(F.embedding(ids, network.words), size)
    words = F.normalize(network.pool(states, (ids > END) & ~concept))
    concepts = F.normalize(network.pool(states, concept)) * concept.any(1, keepdim=True)
    z = words + _CONCEPT_WEIGHT * concepts
    # Very narrow networks may give the vector 0, which has no direction.
    return F.normalize(torch.where(z.norm(dim=1, keepdim=True) > 1e-6, z, torch.ones_like(z)))


def _checked(texts: Sequence[str]) -> list[str]:
    """Return texts as a list."""
    if isinstance(texts, str):
        raise TypeError(f"texts must be a sequence of str, got one str: {texts!r:.80}; write [text]")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{i}] must be a str, got {text!r:.80}")
    return list(texts)


def _glossary_texts() -> list[str]:
    glossary = Glossary.load()
    return [phrase for code in glossary.codes for phrase in glossary.phrases(code)]


def _of_one_length(rows: Sequence[NDArray[np.int64]]) -> Iterator[list[int]]:
    """Yield positions of rows of one length, so that none has to be filled up."""
    by_length: dict[int, list[int]] = {}
    for i, row in enumerate(rows):
        by_length.setdefault(len(row), []).append(i)
    for _, chosen in sorted(by_length.items()):
        for first in range(0, len(chosen), _ENCODED_TOGETHER):
            yield chosen[first : first + _ENCODED_TOGETHER]
