"""Names of the columns of embeddings, and the choice of parts."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from beatssl_sklearn import BeatEmbedder, BeatSSLPretrainer, RhythmEmbedder, SampleEmbedder, make_ecg
from beatssl_sklearn.embedding.parts import record_parts
from beatssl_sklearn.nn.beatnet import BeatNet

ECG = make_ecg(8, rhythm="mixed", fs=100, duration=5, random_state=0)
D = 96


class Plain(BeatNet):
    """An encoder that does not name the parts of its embedding."""

    pool_parts = None

    def __init__(self, fs_model):
        super().__init__(fs_model, size="s")


class Uneven(BeatNet):
    pool_parts = ("a", "b", "c", "d", "e")

    def __init__(self, fs_model):
        super().__init__(fs_model, size="s")


def pretrainer(**changes):
    parameters = {"fs": 100, "encoder_params": {"size": "s"}, "max_epochs": 0, "random_state": 0} | changes
    return BeatSSLPretrainer(**parameters).fit(ECG.data)


@pytest.fixture(scope="module")
def pre():
    return pretrainer()


def test_names_tell_the_parts(pre):
    names = RhythmEmbedder(pre).get_feature_names_out()
    parts = ["mean", "max", "sd", *(f"beat{k}" for k in range(1, 8))]
    assert list(names) == [f"{part}_{k}" for part in parts for k in range(D)]
    assert list(names) == list(pre.get_feature_names_out())
    beats = BeatEmbedder(pre).get_feature_names_out()
    assert list(beats) == list(names[3 * D :])
    assert list(SampleEmbedder(pre).get_feature_names_out()) == [f"token_{k}" for k in range(D)]


def test_columns_are_what_their_names_say(pre):
    tokens = SampleEmbedder(pre).transform(ECG.data)
    beats = BeatEmbedder(pre).transform(ECG.data)
    table = RhythmEmbedder(pre).set_output(transform="pandas").transform(ECG.data)
    close = {"rtol": 0, "atol": 1e-5 * np.abs(tokens).max()}
    np.testing.assert_allclose(table.filter(regex="^mean_"), tokens.mean(axis=1), **close)
    np.testing.assert_allclose(table.filter(regex="^max_"), tokens.max(axis=1), **close)
    phase = [b[:, 2 * D : 3 * D].mean(axis=0) for b in beats]
    np.testing.assert_allclose(table.filter(regex="^beat3_"), phase, **close)


@pytest.mark.parametrize(
    ("parts", "chosen"),
    [
        ("mean", ["mean"]),
        (["mean", "sd"], ["mean", "sd"]),
        # The order of the embedding, whatever the order of the names.
        (("beat2", "max"), ["max", "beat2"]),
        ("beat", [f"beat{k}" for k in range(1, 8)]),
        (["beat", "beat1"], [f"beat{k}" for k in range(1, 8)]),
        (["sd", "sd"], ["sd"]),
    ],
)
def test_some_parts(parts, chosen, pre):
    every = RhythmEmbedder(pre)
    embedder = RhythmEmbedder(pre, parts=parts)
    wanted = [i for i, name in enumerate(every.get_feature_names_out()) if name.partition("_")[0] in chosen]
    np.testing.assert_array_equal(embedder.transform(ECG.data), every.transform(ECG.data)[:, wanted])
    assert list(embedder.get_feature_names_out()) == list(every.get_feature_names_out()[wanted])


@pytest.mark.parametrize("parts", ["median", ["mean", "beat8"], [], ()])
def test_unknown_parts_are_named(parts, pre):
    for use in ("transform", "get_feature_names_out"):
        with pytest.raises(ValueError, match=r"parts must be None or some of beat, mean, max, sd, beat1.*got"):
            getattr(RhythmEmbedder(pre, parts=parts), use)(*([ECG.data] if use == "transform" else []))


@pytest.mark.parametrize("parts", [3, [1], {"mean"}])
def test_parts_of_a_wrong_type(parts, pre):
    with pytest.raises(TypeError, match="parts"):
        RhythmEmbedder(pre, parts=parts).transform(ECG.data)


def test_pooling_can_be_searched_and_is_cached_once(pre, tmp_path):
    pipe = make_pipeline(RhythmEmbedder(pre, memory=str(tmp_path)), LogisticRegression(max_iter=500))
    grid = GridSearchCV(pipe, {"rhythmembedder__parts": [None, "mean", "beat", ["max", "beat3"]]}, cv=2)
    grid.fit(ECG.data, ECG.target > 2)
    assert len(grid.cv_results_["params"]) == 4
    # Two folds and the refit, each with the records of fit and of score: the parts add nothing.
    assert len(list(tmp_path.rglob("output.pkl"))) == 3


def test_an_encoder_without_names_for_its_parts():
    embedder = RhythmEmbedder(pretrainer(encoder=Plain, encoder_params=None))
    assert list(record_parts(embedder.encoder_.model()))[:2] == ["record", "beat1"]
    assert embedder.set_params(parts="record").transform(ECG.data).shape == (8, 3 * D)


def test_parts_that_do_not_divide_the_embedding():
    with pytest.raises(ValueError, match="n_dims_record = 288 has no 5 equal pool_parts"):
        pretrainer(encoder=Uneven, encoder_params=None)
