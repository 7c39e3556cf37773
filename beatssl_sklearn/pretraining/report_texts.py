"""Reports of a fit as vectors: whole, by sentences, by the glossary's phrases, and as the words that they hold."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import find_stack_level
from ..text import Glossary, TextEncoder, WordVocabulary, check_reports, sentences

# Sentences of a report beyond these are left out of the contrast with beats.
MAX_SENTENCES = 8
# Most words that the token loss knows, ids of a report, and texts that a word must be in.
MAX_WORDS, MAX_LENGTH, MIN_DF = 2000, 64, 5


@dataclass(frozen=True)
class ReportTexts:
    """What is known of the reports of a fit. Equal reports are one text.

    Parameters
    ----------
    report : ndarray of int64 (n_records,)
        Text of each record; -1 where it has none.
    whole : ndarray of float32 (n_texts, d)
        Vectors of the texts.
    sentence : ndarray of float32 (n_sentences, d)
        Vectors of all different sentences.
    sentences_of : ndarray of int64 (n_texts, n_most)
        Sentences of each text, padded with -1.
    phrase : ndarray of float32 (n_phrases, d)
        Vectors of the glossary's phrases; those of a concept lie together.
    phrase_offset : ndarray of int64 (n_concepts + 1,)
        Where the phrases of a concept begin.
    concepts : ndarray of bool (n_texts, n_concepts)
        Which concepts a text names.
    words : ndarray of int64 (n_texts, n_ids)
        Ids of the words of each text, as `WordVocabulary.encode` gives them.
    phases : int
        Parts of a beat's window.
    """

    report: NDArray[np.int64]
    whole: NDArray[np.float32]
    sentence: NDArray[np.float32]
    sentences_of: NDArray[np.int64]
    phrase: NDArray[np.float32]
    phrase_offset: NDArray[np.int64]
    concepts: NDArray[np.bool_]
    words: NDArray[np.int64]
    phases: int

    @property
    def n_used(self) -> int:
        """Records with a report."""
        return int((self.report >= 0).sum())


def split_reports(reports: Sequence[str]) -> tuple[NDArray[np.int64], list[list[str]]]:
    """Return the text of each record, -1 for none, and the sentences of each text.

    Parameters
    ----------
    reports : sequence of str
        As `check_reports` returns them.
    """
    numbers: dict[tuple[str, ...], int] = {}
    report = np.full(len(reports), -1, dtype=np.int64)
    for i, raw in enumerate(reports):
        found = tuple(sentences(raw))
        if found:
            report[i] = numbers.setdefault(found, len(numbers))
    return report, [list(found) for found in numbers]


def read_reports(reports: Any, n_records: int) -> list[str]:
    """Return a report per record, "" where a record has none.

    Parameters
    ----------
    reports : sequence of (str or None)
        Not a table, but a column of it.
    n_records : int

    Raises
    ------
    TypeError, ValueError
        If a report is no text, or there is not one per record.
    """
    if getattr(reports, "ndim", 1) != 1:
        raise TypeError(
            f"reports must be a sequence with a text or None per record, got an array or table of shape {reports.shape}"
        )
    return check_reports(reports, n_records)


def checked_texts(reports: Sequence[str | None], n_records: int) -> tuple[NDArray[np.int64], list[list[str]]]:
    """Check and split the reports of a fit, and tell how many records have none.

    Parameters
    ----------
    reports : sequence of (str or None)
    n_records : int

    Returns
    -------
    report : ndarray of int64 (n_records,)
        Text of each record; -1 where it has none.
    texts : list of lists of str
        Sentences of each text.

    Raises
    ------
    TypeError, ValueError
        If a report is no text, there is not one per record, or all are equal or empty.
    """
    report, texts = split_reports(read_reports(reports, n_records))
    missing = int((report < 0).sum())
    if len(texts) < 2:
        raise ValueError(
            f"reports: at least 2 different ones are needed to tell records apart, got {len(texts)}; {missing} of "
            f"{n_records} records have none"
        )
    if missing:
        warnings.warn(
            f"reports: {missing} of {n_records} records have none; these records are not trained on",
            UserWarning,
            stacklevel=find_stack_level(),
        )
    return report, texts


def encode_reports(
    report: NDArray[np.int64], texts: list[list[str]], text: TextEncoder, vocabulary: WordVocabulary, phases: int
) -> ReportTexts:
    """Return the vectors of the reports of a fit.

    Parameters
    ----------
    report, texts
        From `checked_texts`.
    text : TextEncoder
        Fitted.
    vocabulary : WordVocabulary
        Fitted.
    phases : int
        Parts of a beat's window.
    """
    known = {sentence: i for i, sentence in enumerate(dict.fromkeys(s for found in texts for s in found))}
    most = min(MAX_SENTENCES, max(map(len, texts)))
    sentences_of = np.full((len(texts), most), -1, dtype=np.int64)
    for row, found in zip(sentences_of, texts, strict=True):
        row[: len(found)] = [known[s] for s in found[:most]]
    glossary = Glossary.load()
    phrases = [glossary.phrases(code) for code in glossary.codes]
    numbers = {code: i for i, code in enumerate(glossary.codes)}
    concepts = np.zeros((len(texts), len(numbers)), dtype=np.bool_)
    joined = [joined_text(found) for found in texts]
    for named, whole in zip(concepts, joined, strict=True):
        named[[numbers[code] for code in glossary.concepts(whole)]] = True
    return ReportTexts(
        report,
        text_vectors(text, joined),
        text_vectors(text, list(known)),
        sentences_of,
        text_vectors(text, [phrase for own in phrases for phrase in own]),
        np.cumsum([0, *map(len, phrases)]).astype(np.int64),
        concepts,
        vocabulary.encode(joined, MAX_LENGTH),
        phases,
    )


def text_vectors(text: TextEncoder, texts: list[str]) -> NDArray[np.float32]:
    """Return the vectors of texts, and refuse what is none.

    Parameters
    ----------
    text : TextEncoder
        Fitted.
    texts : list of str

    Raises
    ------
    ValueError
        If the encoder returns something else than a finite row of its width for each text.
    """
    z = np.asarray(text.encode(texts), dtype=np.float32)
    if z.shape != (len(texts), text.n_dims_) or not np.isfinite(z).all():
        shown = f"shape {z.shape}" if np.isfinite(z).all() else "values that are not finite"
        raise ValueError(
            f"{type(text).__name__}.encode must return a finite array of shape ({len(texts)}, {text.n_dims_}), got "
            f"{shown}"
        )
    return z


def joined_text(found: Sequence[str]) -> str:
    """Return the sentences of a report as one text."""
    return ". ".join(found)


def drawn_texts(
    known: ReportTexts, text: NDArray[np.int64], phrase_share: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Draw what each record is compared with: its whole report, or one phrase of a concept that it names.

    Parameters
    ----------
    known : ReportTexts
    text : ndarray of int64 (n,)
        Text of each record of a step.
    phrase_share : float
        Probability of a phrase.
    rng : numpy.random.Generator

    Returns
    -------
    vectors : ndarray (n, d)
    fits : ndarray of bool (n, n)
        Whether a drawn text (column) is true of a record (row): the reports are equal, or the record's report names
        the concept.
    """
    names = known.concepts[text]
    as_phrase = (rng.random(len(text)) < phrase_share) & names.any(axis=1)
    concept = (names * rng.random(names.shape)).argmax(axis=1)
    first, after = known.phrase_offset[concept], known.phrase_offset[concept + 1]
    phrase = first + (rng.random(len(text)) * (after - first)).astype(np.int64)
    vectors = np.where(as_phrase[:, None], known.phrase[phrase], known.whole[text])
    fits = np.where(as_phrase, names[:, concept], text[:, None] == text)
    return vectors, fits
