"""Prompts: what they may be, and what they become."""

import warnings

import numpy as np
import pandas as pd
import pytest

from beatssl_sklearn.pretraining.report_prompts import (
    check_prompts,
    class_vectors,
    probabilities,
    tell_denied,
    tell_unknown,
)


def test_codes_have_the_prompts_of_the_glossary():
    found = check_prompts(["AFIB", "my own text"])
    assert "atrial fibrillation" in found["AFIB"] and "Vorhofflimmern" in found["AFIB"]
    assert found["my own text"] == ["my own text"]
    assert check_prompts("AFIB") == check_prompts(("AFIB",)) == check_prompts(np.array(["AFIB"]))
    assert check_prompts("AFIB") == check_prompts(pd.Series(["AFIB"], index=[7]))


def test_a_text_or_several_per_class():
    assert check_prompts({"AF": "Vorhofflimmern", 7: ["a", "b"]}) == {"AF": ["Vorhofflimmern"], "7": ["a", "b"]}
    # In a dict, texts are texts.
    assert check_prompts({"AF": "AFIB"}) == {"AF": ["AFIB"]}


@pytest.mark.parametrize(
    ("prompts", "error", "message"),
    [
        (None, TypeError, "a dict of texts by class, or a list of texts, got None"),
        (b"ab", TypeError, "got b'ab'"),
        ({"a", "b"}, TypeError, "or a list of texts"),
        ({}, ValueError, "no class"),
        ([], ValueError, "no class"),
        ([3], TypeError, "got 3"),
        ([["a"]], TypeError, r"got \['a'\]"),
        ([""], ValueError, "without a word: ''"),
        ({"AF": ""}, ValueError, r"prompts\['AF'\] holds a text without a word: ''"),
        ({"AF": ["af", "4.46"]}, ValueError, r"prompts\['AF'\] holds a text without a word: '4.46'"),
        ({"AF": []}, ValueError, r"prompts\['AF'\] must hold at least one text"),
        ({"AF": None}, TypeError, r"prompts\['AF'\] must be a list of texts, got None"),
        ({"AF": {"af"}}, TypeError, r"prompts\['AF'\] must be a list of texts"),
        ({"AF": [None]}, TypeError, r"prompts\['AF'\] must hold texts, got None"),
        (["\ud800 af"], ValueError, r"prompts holds a text that is no Unicode.*'\\ud800 af'"),
        ({"AF": ["\udce4f"]}, ValueError, r"prompts\['AF'\] holds a text that is no Unicode"),
        (["AFIB", "AFIB"], ValueError, "'AFIB' is there twice"),
        ({1: "a", "1": "b"}, ValueError, "'1' is there twice"),
    ],
)
def test_what_is_no_prompt(prompts, error, message):
    with pytest.raises(error, match=message):
        check_prompts(prompts)


def test_unknown_words_are_told():
    with pytest.warns(UserWarning, match="1 of 4 texts have no word .* such as 'qwxz blubb'"):
        tell_unknown(["qwxz blubb", "atrial fibrillation", "no AF", "eigenes Wort"], ["wort"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tell_unknown([], [])


def test_texts_that_only_deny_are_told():
    with pytest.warns(UserWarning, match=r"2 of 4 texts only deny .* such as 'no AF': .* ask for it \(atrial fib"):
        tell_denied(["no AF", "sinus rhythm", "sinus rhythm, no AF", "Vorhofflimmern nicht nachweisbar"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tell_denied(["sinus rhythm, no AF", "no such thing", "AF cannot be excluded"])


def test_a_class_is_the_direction_of_its_texts():
    vectors = {"a": [1, 0], "b": [0, 1], "c": [-1, 0]}
    found = class_vectors(
        {"x": ["a", "b"], "y": ["c"], "nowhere": ["a", "c"]}, lambda texts: np.array([vectors[t] for t in texts], float)
    )
    np.testing.assert_allclose(found, [[0.5**0.5, 0.5**0.5], [-1, 0], [0, 0]], atol=1e-12)


def test_probabilities():
    reference = np.array([[1.0, 0], [0.6, 0.8], [0, 1]])
    classes = np.eye(2)
    p = probabilities(reference, classes, reference.astype(np.float16), 10.0, "independent")
    # The median record has .5 for each class, and the order is that of the cosines.
    np.testing.assert_allclose(np.median(p, axis=0), 0.5, atol=1e-2)
    assert (np.diff(p[:, 0]) < 0).all() and (np.diff(p[:, 1]) > 0).all()
    exclusive = probabilities(reference, classes, reference, 10.0, "exclusive")
    np.testing.assert_allclose(exclusive.sum(axis=1), 1)
    blank = probabilities(np.full((1, 2), np.nan), classes, reference, 10.0, "exclusive")
    assert np.isnan(blank).all()
