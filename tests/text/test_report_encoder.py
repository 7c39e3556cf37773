"""ReportTextEncoder: what it learns, what it never returns, and what files may set."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone

from beatssl_sklearn import load, save
from beatssl_sklearn.text.masking import MaskedTexts
from beatssl_sklearn.text.report_encoder import ReportTextEncoder
from beatssl_sklearn.text.vocabulary import CLS, END, MASK, PAD, WordVocabulary

REPORTS = [
    *["Sinusrhythmus. Normales EKG.", "Sinusrhythmus, Linkstyp.", "Vorhofflimmern, Linkstyp.", "Sinusbradykardie."],
    *["Vorhofflimmern mit rascher Überleitung", "Linksschenkelblock", "sinus rhythm. normal ecg."],
] * 3
TINY = {"n_dims": 16, "n_heads": 2, "n_layers": 1, "max_epochs": 2, "n_buckets": 32}


@pytest.fixture(scope="module")
def fitted():
    return ReportTextEncoder(**TINY).fit(REPORTS)


def paired_texts():
    """Return texts in which the second word follows from the first."""
    rng = np.random.default_rng(0)
    return [f"alpha{k} beta{k}" for k in rng.integers(0, 6, 240)]


def test_hidden_words_are_learnt_from_their_neighbours():
    params = TINY | {"n_dims": 32, "max_epochs": 25, "glossary": False, "n_buckets": 4, "lr": 1e-2}
    encoder = ReportTextEncoder(**params).fit(paired_texts())
    losses = [row["train_loss"] for row in encoder.history_]
    # At first each of 20 ids is as likely; a guess without the neighbour is one of 6.
    assert losses[0] == pytest.approx(np.log(20), rel=0.15) and losses[-1] < 0.6 * np.log(6)
    assert [row["epoch"] for row in encoder.history_] == list(range(1, 26))


def test_vectors_have_the_length_one_whatever_the_text(fitted):
    texts = ["Sinusrhythmus", "qwxyz zzyxw", "...", "1 2 3", "§", "", "ж 心电图", "sinus " * 500]
    z = fitted.encode(texts)
    assert z.shape == (8, 16) and z.dtype == np.float32 and fitted.n_dims_ == 16
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-5)
    assert fitted.encode([]).shape == (0, 16) and fitted.encode([]).dtype == np.float32
    narrow = ReportTextEncoder(n_dims=1, n_heads=1, n_layers=1, max_epochs=0).fit(REPORTS)
    np.testing.assert_array_equal(np.abs(narrow.encode(texts)), np.ones((8, 1)))
    # Other unseen words, another vector.
    assert np.abs(z[1] - fitted.encode(["mnopq"])[0]).max() > 1e-3


def test_a_text_has_its_vector_in_any_company(fitted):
    texts = [*REPORTS[:7], "qwxyz"]
    alone = np.concatenate([fitted.encode([text]) for text in texts])
    np.testing.assert_allclose(fitted.encode(texts + texts[::-1]), np.r_[alone, alone[::-1]], atol=1e-5)


def test_the_glossary_lets_an_english_prompt_meet_a_german_report():
    with_it = ReportTextEncoder(**TINY | {"max_epochs": 0}).fit(REPORTS)
    without = ReportTextEncoder(**TINY | {"max_epochs": 0, "glossary": False}).fit(REPORTS)
    assert "§AFIB" in with_it.vocabulary_ and "§AFIB" not in without.vocabulary_

    def margin(encoder):
        prompt, afib, other = encoder.encode(["atrial fibrillation", "Vorhofflimmern", "Linksschenkelblock"])
        return prompt @ afib - prompt @ other

    assert margin(with_it) > 0.3 > margin(without)


@pytest.mark.parametrize("texts", [["Sinusrhythmus"], ["Sinusrhythmus", ""]])
def test_few_texts_are_enough_with_the_glossary(texts):
    encoder = ReportTextEncoder(**TINY | {"max_epochs": 1}).fit(texts)
    assert np.isfinite(encoder.encode(["Vorhofflimmern"])).all() and len(encoder.history_) == 1


def test_one_text_of_rare_words_is_enough():
    encoder = ReportTextEncoder(**TINY | {"glossary": False}).fit(["qwxyz"])
    assert encoder.vocabulary_.shape == (0,)
    np.testing.assert_allclose(np.linalg.norm(encoder.encode(["qwxyz", "other"]), axis=1), 1, rtol=1e-5)


def test_the_same_seed_gives_the_same_bits_and_the_global_state_stays():
    before = torch.random.get_rng_state()
    encoders = [ReportTextEncoder(**TINY, random_state=seed).fit(REPORTS) for seed in (3, 3, 4)]
    z = [encoder.encode(REPORTS[:7]) for encoder in encoders]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert encoders[0].history_ == encoders[1].history_
    np.testing.assert_array_equal(z[0], z[1])
    assert np.abs(z[0] - z[2]).max() > 1e-3


def test_saved_loaded_and_cloned(fitted, tmp_path):
    save(fitted, tmp_path / "text.bssl")
    loaded = load(tmp_path / "text.bssl")
    np.testing.assert_array_equal(loaded.encode(REPORTS), fitted.encode(REPORTS))
    assert loaded.history_ == fitted.history_ and loaded == fitted
    assert clone(fitted).get_params() == fitted.get_params() and not hasattr(clone(fitted), "weights_")


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("vocabulary_", np.array(["a", "a"]), "different words"),
        ("vocabulary_", np.arange(4.0), "vocabulary_ must be an array"),
        ("vocabulary_", np.array(["a"]), "the weights do not fit the network"),
        ("weights_", {}, "the weights do not fit the network"),
        ("n_dims_", 8, "n_dims_ must be n_dims=16, got 8"),
        ("history_", [{"epoch": 1}], "history_ must have a number as train_loss"),
        ("n_heads", 3, "n_heads must divide n_dims=16, got 3"),
    ],
)
def test_a_file_cannot_set_what_cannot_be(fitted, attribute, value, message):
    forged = copy.copy(fitted)
    setattr(forged, attribute, value)
    with pytest.raises(ValueError, match=message):
        forged._check_file()
    fitted._check_file()


def test_weights_that_are_not_finite_are_refused(fitted):
    forged = copy.deepcopy(fitted)
    forged.weights_["words"][0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        forged._check_file()


@pytest.mark.parametrize(
    ("params", "texts", "error", "message"),
    [
        ({"n_heads": 3}, REPORTS, ValueError, "n_heads must divide n_dims=16, got 3"),
        ({"mask_share": 0}, REPORTS, ValueError, "mask_share"),
        ({"glossary": 1}, REPORTS, TypeError, "glossary must be True or False, got 1"),
        ({"random_state": -1}, REPORTS, ValueError, "random_state"),
        ({}, "Sinusrhythmus", TypeError, "texts must be a sequence of str, got one str"),
        ({}, ["Sinusrhythmus", None], TypeError, r"texts\[1\] must be a str, got None"),
        ({"glossary": False}, ["...", ""], ValueError, "texts: none of 2 has a word"),
        ({}, [], ValueError, "texts: none of 0 has a word"),
    ],
)
def test_bad_values_are_named(params, texts, error, message):
    with pytest.raises(error, match=message):
        ReportTextEncoder(**TINY | params).fit(texts)


# Hidden words


def test_shares_of_hidden_words():
    rng = np.random.default_rng(0)
    words = [[f"w{i}" for i in rng.integers(0, 500, n)] for n in rng.integers(1, 30, 3000)]
    vocabulary = WordVocabulary(n_buckets=64).fit(words, min_df=1)
    masked = MaskedTexts(words, vocabulary, 128, 0.15, 32, seed=0)
    counts, n_words, hidden, kept, spelt, shown_words = 0, 0, 0, 0, 0, 0
    for shown, guessed, target in masked.epoch(0):
        shown, guessed = shown.numpy(), guessed.numpy()
        assert (guessed.sum(1) >= 1).all() and not (guessed & np.isin(shown, [PAD, CLS, END])).any()
        counts += guessed.sum()
        n_words += (shown >= END + 1).sum() + (shown == MASK).sum()
        hidden += (shown[guessed] == MASK).sum()
        kept += (shown[guessed] == target.numpy()).sum()
        others = shown[~guessed & (shown > END)]
        spelt += (others < 4 + 64).sum()
        shown_words += len(others)
    assert counts / n_words == pytest.approx(0.15, abs=0.01)
    assert spelt / shown_words == pytest.approx(0.05, abs=0.01)
    assert hidden / counts == pytest.approx(0.8, abs=0.02) and kept / counts == pytest.approx(0.1, abs=0.02)


def test_each_text_is_seen_once_per_epoch_among_texts_of_its_length():
    words = [[f"w{i}"] * (1 + i % 29) for i in range(700)]
    masked = MaskedTexts(words, WordVocabulary().fit(words, min_df=1), 128, 0.15, 32, seed=0)
    batches = [shown for shown, _, _ in masked.epoch(1)]
    assert len(batches) == len(masked) == 22 and sum(map(len, batches)) == 700
    assert sum((batch == PAD).sum() for batch in batches) < 0.1 * sum(batch.numel() for batch in batches)
    again = [shown for shown, _, _ in masked.epoch(1)]
    assert all(torch.equal(a, b) for a, b in zip(batches, again, strict=True))
    assert not all(torch.equal(a, b) for a, (b, _, _) in zip(batches, masked.epoch(2), strict=True))
