"""CallableText: a function or a model of the user's, and what it may not return."""

import pickle
import threading

import numpy as np
import pytest
import torch
from sklearn.base import clone

from beatssl_sklearn import CallableText

TEXTS = ["sinus rhythm", "atrial fibrillation", "flutter"]


def lengths(texts):
    return np.array([[len(text), text.count("a") + 1] for text in texts])


class Model:
    """As a `SentenceTransformer`, which is no function, and which cannot be copied."""

    def __init__(self):
        self.lock = threading.Lock()

    def encode(self, texts):
        return torch.from_numpy(lengths(texts)).float().requires_grad_()


@pytest.mark.parametrize("model", [lengths, Model(), lambda texts: lengths(texts).tolist()])
def test_vectors_are_those_of_the_model(model):
    z = CallableText(model).fit(TEXTS).encode(TEXTS)
    assert z.dtype == np.float32 and np.array_equal(z, lengths(TEXTS))


def test_clones_share_the_model():
    text = CallableText(Model())
    assert clone(text).model is text.model and clone(text) == text


def test_a_pickle_keeps_what_can_be_pickled():
    text = CallableText(lengths).fit(TEXTS)
    assert np.array_equal(pickle.loads(pickle.dumps(text)).encode(TEXTS), text.encode(TEXTS))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, "got None"),
        (3, "got 3"),
        (dict, "got <class 'dict'>"),
        ("all-MiniLM-L6-v2", "not its name: load 'all-MiniLM-L6-v2' first"),
    ],
)
def test_what_is_no_model(model, message):
    with pytest.raises(TypeError, match=message):
        CallableText(model).fit(TEXTS)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda texts: None, r"must return numbers \(n_texts, n_dims\), got object \(\) for 2"),
        (lambda texts: np.ones(len(texts)), r"got float64 \(2,\) for 2"),
        (lambda texts: np.ones((1, 3)), r"got float64 \(1, 3\) for 2"),
        (lambda texts: [["a"]] * len(texts), "got <U1"),
        (lambda texts: np.ones((len(texts), 2)) * 1j, "got complex128"),
        (lambda texts: [[1.0] * (i + 1) for i in range(len(texts))], "got a list: .*inhomogeneous"),
        (lambda texts: np.ones((len(texts), len(texts))), "of width 3, in fit of 2"),
        (lambda texts: np.zeros((len(texts), 3)), "the text 'sinus rhythm' is zero or not finite"),
        (lambda texts: lengths(texts) * [[np.nan] if t[0] == "f" else [1] for t in texts], "'flutter' is zero"),
        (lambda texts: np.full((len(texts), 3), 1e300), "zero or not finite"),
        (lambda texts: np.full((len(texts), 3), 1e30), "zero or not finite"),
        (lambda texts: np.full((len(texts), 3), 1e-300), "zero or not finite"),
    ],
)
def test_rubbish_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        CallableText(model).fit(TEXTS).encode(TEXTS)
