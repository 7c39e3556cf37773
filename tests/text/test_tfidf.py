"""TfidfText: languages meet by concepts, every text has a vector, and few or odd texts are no obstacle."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from beatssl_sklearn import TfidfText

REPORTS = [
    *("Sinusrhythmus. Normales EKG.", "Vorhofflimmern. Linkstyp.", "Linksschenkelblock. Sinusrhythmus."),
    *("Ventrikuläre Extrasystolen.", "Vorhofflimmern mit Rechtsschenkelblock.", "Alter Hinterwandinfarkt."),
] * 3


@pytest.fixture(scope="module")
def text():
    return TfidfText(n_dims=64).fit(REPORTS)


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("atrial fibrillation", "Vorhofflimmern"),
        ("left bundle branch block", "Linksschenkelblock"),
        ("ventricular premature complex", "Ventrikuläre Extrasystolen"),
    ],
)
def test_languages_meet_by_concepts(text, english, german):
    texts = [german, "Sinusrhythmus", "Rechtsschenkelblock", "Hinterwandinfarkt"]
    margin = []
    for encoder in (text, TfidfText(n_dims=64, glossary=False).fit(REPORTS)):
        cosines = (encoder.encode([english]) @ encoder.encode(texts).T)[0]
        margin.append(cosines[0] - cosines[1:].max())
    assert margin[0] > 0.3 and margin[0] > margin[1] + 0.2


def test_every_text_has_a_vector_of_length_one(text):
    z = text.encode(["Vorhofflimmern", "qqqq xzxz", "心房颤动", "x" * 100_000, "4.46", "", "😀"])
    assert z.dtype == np.float32 and z.shape == (7, 64) and np.isfinite(z).all()
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-5)


def test_unseen_words_mean_what_their_parts_mean(text):
    z = text.encode(["Vorhoffflimern", "Vorhofflimmern", "Hinterwandinfarkt"])
    assert z[0] @ z[1] > z[0] @ z[2] + 0.1


def test_a_text_does_not_depend_on_the_others(text):
    alone = np.concatenate([text.encode([report]) for report in REPORTS[:6]])
    np.testing.assert_allclose(alone, text.encode(REPORTS[:6]), atol=1e-6)


def test_no_text_gives_no_row(text):
    assert text.encode([]).shape == (0, 64)


def test_clones_and_pickles_are_equal(text):
    z = text.encode(REPORTS)
    assert np.array_equal(clone(text).fit(REPORTS).encode(REPORTS), z)
    assert np.array_equal(pickle.loads(pickle.dumps(text)).encode(REPORTS), z)


@pytest.mark.parametrize(
    ("parameters", "texts"),
    [
        ({}, ["ab"]),
        ({"n_dims": 1}, ["ab c", "de f"]),
        # No text has a concept, and nothing else counts.
        ({"word_weight": 0, "character_weight": 0}, ["abc xyz", "ghj uio"]),
        # No word is in two texts.
        ({"glossary": False, "character_weight": 0}, ["abc xyz", "ghj uio"]),
        ({"max_words": 1}, REPORTS),
    ],
)
def test_few_and_odd_texts(parameters, texts):
    z = TfidfText(**parameters).fit(texts).encode([*texts, "zzz"])
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-5)


def test_a_word_without_end_takes_no_memory():
    text = TfidfText(n_dims=8).fit(["x" * 50_000 + " ekg", "Sinusrhythmus ekg"] * 2)
    assert text.vocabulary_.dtype.itemsize < 1000 and "sinusrhythmus" in text.vocabulary_


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_dims": 0}, ValueError, "n_dims"),
        ({"glossary": 1}, TypeError, "glossary"),
        ({"random_state": "x"}, TypeError, "random_state"),
        ({"word_weight": 0, "glossary": False, "character_weight": 0}, ValueError, "all 0"),
    ],
)
def test_parameters_that_cannot_be(parameters, error, message):
    with pytest.raises(error, match=message):
        TfidfText(**parameters).fit(REPORTS)


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ([], ValueError, "none of 0 has a word"),
        (["", "4.46"], ValueError, "none of 2 has a word"),
        ("Vorhofflimmern", TypeError, "got one: 'Vorhofflimmern'"),
        (["a", 3], TypeError, "got 3 at position 1"),
    ],
)
def test_texts_that_are_none(texts, error, message):
    with pytest.raises(error, match=message):
        TfidfText().fit(texts)


def test_unfitted():
    with pytest.raises(NotFittedError):
        TfidfText().encode(["a"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_dims_", None),
        ("idf_", np.ones(3, dtype=np.float32)),
        ("mean_", np.full(64, np.nan, dtype=np.float32)),
        ("components_", np.zeros((64, 3), dtype=np.float32)),
        ("vocabulary_", np.array(["a", "a"])),
        ("vocabulary_", 3),
    ],
)
def test_damaged_files(text, name, value):
    damaged = pickle.loads(pickle.dumps(text))
    setattr(damaged, name, value)
    with pytest.raises((TypeError, ValueError), match=name if name != "vocabulary_" else "vocabulary_|idf_"):
        damaged._check_file()
