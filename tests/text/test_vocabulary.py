"""WordVocabulary: words, ids, and buckets of unseen words."""

import numpy as np
import pytest

from beatssl_sklearn.text.vocabulary import CLS, END, MASK, PAD, WordVocabulary

TEXTS = ["Sinusrhythmus. ST-T abnorm in V1", "sinusrhythmus, ST-T normal", "Vorhofflimmern; V1"]


def test_words_keep_their_hyphens_and_digits():
    text = "Sinusrhythmus,  ST-T abnorm (V1-3); r/s in avL - 1. Ordnung"
    found = ["sinusrhythmus", "st-t", "abnorm", "v1-3", "r", "s", "in", "avl", "1", "ordnung"]
    assert WordVocabulary.words(text) == found
    assert WordVocabulary.words(" .,; - ") == []


def test_ids_that_are_no_words_come_first_and_frequent_words_before_rare_ones():
    vocabulary = WordVocabulary(n_buckets=8).fit([*TEXTS, "v1"], min_df=2)
    assert (PAD, MASK, CLS, END) == (0, 1, 2, 3)
    assert vocabulary.known == ("v1", "sinusrhythmus", "st-t")
    assert [vocabulary.id_of(word) for word in vocabulary.known] == [12, 13, 14]
    assert vocabulary.size == 15
    assert [vocabulary.word_of(i) for i in (0, 1, 2, 3, 4, 11, 12)] == [
        *("[PAD]", "[MASK]", "[CLS]", "[END]", "[#0]", "[#7]", "v1")
    ]
    assert WordVocabulary().fit([*TEXTS, "v1"], min_df=2, max_words=1).known == ("v1",)


def test_a_word_counts_once_per_text():
    assert WordVocabulary().fit(["afib afib", "pvc"], min_df=2).known == ()


def test_encoded_texts_have_a_beginning_an_end_and_padding():
    vocabulary = WordVocabulary(n_buckets=8).fit(TEXTS, min_df=2)
    a, b = vocabulary.id_of("st-t"), vocabulary.id_of("v1")
    ids = vocabulary.encode(["ST-T V1.", "", "v1"])
    assert ids.dtype == np.int64
    assert ids.tolist() == [[CLS, a, b, END], [CLS, END, PAD, PAD], [CLS, b, END, PAD]]
    assert vocabulary.encode(["v1 v1 v1 v1"], max_length=4).tolist() == [[CLS, b, b, END]]
    assert vocabulary.encode([]).shape == (0, 2)
    np.testing.assert_array_equal(vocabulary.encode([["st-t", "v1"]]), vocabulary.encode(["ST-T V1"]))


def test_an_unseen_word_has_the_bucket_of_its_3_grams():
    vocabulary = WordVocabulary(n_buckets=512).fit(TEXTS, min_df=1)
    unseen = [f"w{i}ort{7 * i}" for i in range(300)]
    ids = np.array([vocabulary.id_of(word) for word in unseen])
    assert (ids >= 4).all() and (ids < 516).all() and len(np.unique(ids)) > 30
    # Two spellings share a bucket as often as they share 3-grams: 7 of 10, or (nearly) none.
    rng = np.random.default_rng(0)
    drawn = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 8)) for _ in range(2000)]
    bucket = vocabulary.bucket_of
    assert np.mean([bucket(word) == bucket(word + "s") for word in drawn]) == pytest.approx(0.7, abs=0.06)
    assert np.mean([bucket(a) == bucket(b) for a, b in zip(drawn, drawn[1:], strict=False)]) < 0.05


def test_buckets_are_the_same_in_every_process():
    # The smallest BLAKE2b hash (8 bytes) of its 3-grams, modulo 512, after four ids that are no words.
    assert WordVocabulary().id_of("vorhofflattern") == 71
    assert WordVocabulary().id_of("u") == 4 + 0x84853EE479A75084 % 512


def test_an_array_gives_the_same_vocabulary_back():
    vocabulary = WordVocabulary(n_buckets=16).fit(TEXTS, min_df=1)
    again = WordVocabulary.from_array(vocabulary.to_array(), 16)
    assert vocabulary.to_array().dtype.kind == "U"
    np.testing.assert_array_equal(again.encode([*TEXTS, "unseen"]), vocabulary.encode([*TEXTS, "unseen"]))
    assert WordVocabulary.from_array(WordVocabulary().to_array()).known == ()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: WordVocabulary(n_buckets=0), ValueError, "n_buckets must be an integer between 1"),
        (lambda: WordVocabulary(["a", "b", "a"]), ValueError, "different words that are not empty, got 'a'"),
        (lambda: WordVocabulary(["a", ""]), ValueError, "not empty, got ''"),
        (lambda: WordVocabulary().fit(TEXTS, min_df=0), ValueError, "min_df must be an integer at least 1, got 0"),
        (lambda: WordVocabulary().fit(TEXTS, max_words=1.5), TypeError, "max_words must be an integer, got 1.5"),
        (lambda: WordVocabulary().encode(TEXTS, max_length=2), ValueError, "max_length"),
        (lambda: WordVocabulary(n_buckets=2).word_of(6), ValueError, "i must be an integer between 0 and 5, got 6"),
        (lambda: WordVocabulary.from_array(np.arange(3)), TypeError, "known must be an array"),
        (lambda: WordVocabulary.from_array(np.array([["a"]])), TypeError, "known must be an array"),
        (lambda: WordVocabulary.from_array(np.array(["a", 3], dtype=object)), TypeError, "words only"),
    ],
)
def test_bad_values_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
