"""Prompts: texts that describe classes, checked, turned into vectors, and compared with ECGs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from .._optional import find_stack_level
from ..text import Glossary, WordVocabulary, normalised

MODES = ("independent", "exclusive")
_EPS = 1e-12


def check_prompts(prompts: Any) -> dict[str, list[str]]:
    """Return the texts of each class.

    Parameters
    ----------
    prompts : mapping of str to str or sequence of str, or sequence of str
        Texts by the name of the class. In a sequence, each entry is a class: a code of the glossary has the glossary's
        prompts, and any other text is its own.

    Returns
    -------
    dict of list of str

    Raises
    ------
    TypeError, ValueError
        If there is no class or one twice, a class has no text, or a text is empty or none; the class is named.
    """
    classes = _classes(prompts)
    if not classes:
        raise ValueError("prompts: there is no class")
    named: dict[str, list[str]] = {}
    for name, texts in classes:
        if name in named:
            raise ValueError(f"prompts: the class {name!r:.60} is there twice")
        named[name] = check_texts(f"prompts[{name!r:.60}]", texts)
        if not named[name]:
            raise ValueError(f"prompts[{name!r:.60}] must hold at least one text, got {texts!r:.80}")
    return named


def _classes(prompts: Any) -> list[tuple[str, Any]]:
    """Return names of classes with their texts, which are not checked."""
    if isinstance(prompts, Mapping):
        return [(str(name), [texts] if isinstance(texts, str) else texts) for name, texts in prompts.items()]
    if not isinstance(prompts, str) and not _is_list(prompts):
        raise TypeError(f"prompts must be a dict of texts by class, or a list of texts, got {prompts!r:.80}")
    glossary = Glossary.load()
    given = check_texts("prompts", [prompts] if isinstance(prompts, str) else prompts)
    return [(str(p), glossary.prompts(p) if p in glossary.codes else [p]) for p in given]


def check_texts(name: str, texts: Any) -> list[str]:
    """Return texts as a list, each with a word.

    Parameters
    ----------
    name : str
        What they are, for messages.
    texts : sequence of str

    Raises
    ------
    TypeError, ValueError
        If one is no text, has no letter, or has a lone surrogate.
    """
    if not _is_list(texts):
        raise TypeError(f"{name} must be a list of texts, got {texts!r:.80}")
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{name} must hold texts, got {text!r:.80}")
        if not normalised(text):
            raise ValueError(f"{name} holds a text without a word: {text!r:.80}")
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise ValueError(f"{name} holds a text that is no Unicode: was it read with another encoding? {text!r:.80}")
    return [str(text) for text in texts]


def _is_list(texts: Any) -> bool:
    """Whether this is a list, a tuple, or an array or column of one dimension."""
    return (isinstance(texts, Sequence) or getattr(texts, "ndim", 0) == 1) and not isinstance(texts, str | bytes)


def tell_unknown(texts: Sequence[str], known: Sequence[str]) -> None:
    """Warn about texts that have no word of the reports of the fit, and no concept of the glossary.

    Parameters
    ----------
    texts : sequence of str
    known : sequence of str
        Frequent words of the reports.
    """
    words, glossary = set(known), Glossary.load()
    unseen = [t for t in texts if not words & set(WordVocabulary.words(t))]
    lost = [t for t in unseen if not glossary.concepts(t) and not glossary.denied(t)]
    if lost:
        warnings.warn(
            f"{len(lost)} of {len(texts)} texts have no word that is frequent in the reports of fit, or that the "
            f"glossary knows, such as {lost[0]!r:.60}: do not rely on the answers to them",
            UserWarning,
            stacklevel=find_stack_level(),
        )


def tell_denied(texts: Sequence[str]) -> None:
    """Warn about texts that do nothing but deny: their vectors lie near the things that they deny.

    Parameters
    ----------
    texts : sequence of str
    """
    glossary = Glossary.load()
    lost = [t for t in texts if glossary.denied(t) and not glossary.concepts(t)]
    if lost:
        what = ", ".join(map(glossary.describe, glossary.denied(lost[0])))
        warnings.warn(
            f"{len(lost)} of {len(texts)} texts only deny something, such as {lost[0]!r:.60}: negation is not "
            f"understood, and such a text may rank records with it highest; ask for it ({what}), and look for low "
            f"values",
            UserWarning,
            stacklevel=find_stack_level(),
        )


def class_vectors(
    prompts: Mapping[str, Sequence[str]], encode: Callable[[list[str]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return a unit vector per class: the mean of its texts' unit vectors.

    Parameters
    ----------
    prompts : mapping of str to sequence of str
    encode : callable
        Returns unit vectors of texts.

    Returns
    -------
    ndarray (n_classes, p)
    """
    texts = [text for own in prompts.values() for text in own]
    vectors = encode(texts)
    ends = np.cumsum([len(own) for own in prompts.values()])
    means = np.stack([part.mean(axis=0) for part in np.split(vectors, ends[:-1])])
    return unit(means)


def unit(z: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows of length 1."""
    return np.asarray(z / np.maximum(np.linalg.norm(z, axis=-1, keepdims=True), _EPS), dtype=z.dtype)


def probabilities(
    z: NDArray[np.float32],
    classes: NDArray[np.float32],
    reference: NDArray[np.floating],
    scale: float,
    mode: str,
) -> NDArray[np.float64]:
    """Return how well records fit classes.

    Parameters
    ----------
    z : ndarray (n, p)
        Records, as unit vectors.
    classes : ndarray (n_classes, p)
        Classes, as unit vectors.
    reference : ndarray (m, p)
        Records of the fit. Half of them have a probability above .5 for a class, whatever it is.
    scale : float
        Factor of the cosines.
    mode : {"independent", "exclusive"}
        A sigmoid for each class, or a softmax over all.

    Returns
    -------
    ndarray (n, n_classes) float64
    """
    middle = np.median(reference.astype(np.float64) @ classes.T, axis=0)
    logits = scale * (z.astype(np.float64) @ classes.T - middle)
    return softmax(logits, axis=1) if mode == "exclusive" else expit(logits)
