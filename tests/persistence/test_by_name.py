"""save(..., by_name=True): encoders of shipped models in files by their names."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from beatssl_sklearn import BeatClassifier, BeatEmbedder, BeatSSLPretrainer, RhythmEmbedder, load, make_ecg, save
from beatssl_sklearn.files.tensor_file import read_tensor_file, write_tensor_file

ECG = make_ecg(2, fs=100, duration=4, random_state=0)


@pytest.fixture(scope="module")
def encoder():
    return load("ptbxl-s").encoder_


def test_a_head_is_small_and_answers_as_before(tmp_path):
    head = BeatClassifier(LogisticRegression(max_iter=1000))
    pipe = make_pipeline(BeatEmbedder("ptbxl-s", fs=100, device="cpu", timing=True), head)
    pipe.fit(ECG.data, [np.resize(["N", "V"], len(r)) for r in pipe[0].rpeaks(ECG.data)])
    save(pipe, tmp_path / "named.bssl", by_name=True)
    save(pipe, tmp_path / "whole.bssl")
    sizes = [(tmp_path / name).stat().st_size for name in ("named.bssl", "whole.bssl")]
    assert sizes[0] < 30_000 and sizes[1] > 1_000_000
    for name in ("named.bssl", "whole.bssl"):
        for found, expected in zip(load(tmp_path / name).predict(ECG.data), pipe.predict(ECG.data), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_an_encoder_that_is_there_twice(encoder, tmp_path):
    both = Pipeline([("beats", BeatEmbedder(encoder)), ("rhythm", RhythmEmbedder(encoder))])
    save(both, tmp_path / "m.bssl", by_name=True)
    assert (tmp_path / "m.bssl").stat().st_size < 3000
    again = load(tmp_path / "m.bssl")
    assert again[0].encoder_ is again[1].encoder_


def test_an_encoder_that_differs_is_written_whole(encoder, tmp_path):
    """Equal weights behind another front end, and another network."""
    changed = replace(encoder, front_end=replace(encoder.front_end, beat_window=(0.1, 0.3)))
    save(BeatEmbedder(changed), tmp_path / "m.bssl", by_name=True)
    assert load(tmp_path / "m.bssl").encoder_.front_end.beat_window == (0.1, 0.3)
    own = BeatSSLPretrainer(fs=100, encoder_params={"widths": (4, 4, 4), "n_dims": 4}, max_epochs=0, random_state=0)
    save(BeatEmbedder(own.fit(ECG.data)), tmp_path / "m.bssl", by_name=True)
    assert load(tmp_path / "m.bssl").encoder_.encoder_params["n_dims"] == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"digest": "0" * 64}, "was written with another 'ptbxl-s' than the one of this version"),
        ({"name": "ptbxl"}, "was written with another 'ptbxl' than the one of this version"),
        ({"name": "ptbxl-xxl"}, "needs the shipped model 'ptbxl-xxl', which this version does not have"),
        ({"name": "waves"}, "m.bssl"),
        ({"name": "/dev/zero"}, "needs the shipped model '/dev/zero'"),
        ({"name": ["ptbxl"]}, "needs the shipped model"),
        ({"name": None, "digest": None}, "needs the shipped model None"),
    ],
)
def test_files_that_name_another_encoder(encoder, change, message, tmp_path):
    save(BeatEmbedder(encoder), tmp_path / "m.bssl", by_name=True)
    arrays, config = read_tensor_file(tmp_path / "m.bssl")
    assert arrays == {}
    config["parameters"]["pretrainer"]["shipped"] |= change
    write_tensor_file(tmp_path / "m.bssl", arrays, config)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "m.bssl")


def test_a_label_may_have_any_name(tmp_path):
    beats, labels = [np.arange(6.0)[:, None]], [["shipped", "class"] * 3]
    classifier = BeatClassifier(LogisticRegression(class_weight={"shipped": 2.0})).fit(beats, labels)
    save(classifier, tmp_path / "m.bssl", by_name=True)
    assert load(tmp_path / "m.bssl").estimator.class_weight == {"shipped": 2.0}
